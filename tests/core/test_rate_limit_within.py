"""A part of a budget: a bulk job beside page views."""

from __future__ import annotations

import asyncio

import pytest

from mayar_reviews import DeadlineExceededError, InvalidArgumentError, RateLimit
from tests.support.clock import virtual_time
from tests.support.fault_server import FaultServer, make_review
from tests.support.harness import PRODUCT, client_of
from tests.support.steps import too_many

REVIEWS = [make_review(number) for number in range(1, 1001)]


@virtual_time
async def test_page_views_get_through_while_a_bulk_job_has_its_part() -> None:
    """A job with 14 of 20 slots: every page view with a deadline of 3 seconds succeeds."""
    budget = RateLimit(20, per=60.0)
    async with (
        FaultServer(REVIEWS, limit=(20, 60.0), latency=(0.01, 0.1)) as server,
        client_of(server, rate_limit=budget, deadline=3.0) as client,
    ):
        part = RateLimit(14, per=60.0, within=budget)
        patient = client.with_options(deadline=None, rate_limit=part)

        async def job() -> int:
            return sum([1 async for _ in patient.iter_product_reviews(PRODUCT, page_size=10)])

        task = asyncio.create_task(job())
        for _ in range(40):
            await client.list_product_reviews(PRODUCT)
            await asyncio.sleep(10.5)
        assert await task == 1000
        assert server.peak <= 20
        assert all(entry.status == 200 for entry in server.ledger.of("answered"))


@virtual_time
async def test_neither_limit_is_ever_exceeded() -> None:
    """Two parts of 14 in a budget of 20: 14 at most for each, 20 at most for both."""
    budget = RateLimit(20, per=60.0)
    parts = [RateLimit(14, per=60.0, within=budget) for _ in range(2)]
    loop = asyncio.get_running_loop()
    starts: list[tuple[float, int]] = []

    async def use(number: int) -> None:
        async with parts[number].slot():
            starts.append((loop.time(), number))
            await asyncio.sleep(0.05)

    await asyncio.gather(*(use(n % 2) for n in range(100)))
    for time, _ in starts:
        window = [number for at, number in starts if time <= at < time + 60]
        assert len(window) <= 20
        assert max(window.count(0), window.count(1)) <= 14


@virtual_time
async def test_a_slot_of_the_part_that_was_not_used_is_free_at_once() -> None:
    """Who gives up on the whole budget costs the part nothing."""
    budget = RateLimit(1, per=60.0)
    part = RateLimit(1, per=60.0, within=budget)
    async with budget.slot():
        pass
    loop = asyncio.get_running_loop()
    with pytest.raises(DeadlineExceededError):
        async with part.slot(loop.time() + 5):
            pass
    waiting = asyncio.create_task(part.slot().__aenter__())
    await asyncio.sleep(1)
    waiting.cancel()
    await asyncio.wait([waiting])
    async with part.slot():
        assert 60 <= loop.time() - 1000 <= 60.1


@virtual_time
async def test_a_429_of_the_part_pauses_the_whole() -> None:
    """It is the server's limit that was met, not the part's."""
    budget = RateLimit(20, per=60.0)
    async with (
        FaultServer(REVIEWS[:1], script=(too_many("7"),)) as server,
        client_of(server, rate_limit=RateLimit(14, per=60.0, within=budget)) as client,
    ):
        task = asyncio.create_task(client.list_product_reviews(PRODUCT))
        await asyncio.sleep(1)
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with budget.slot():
            assert 5.9 <= loop.time() - started <= 6.1
        await task


def test_within_must_be_a_budget() -> None:
    """A number is none."""
    with pytest.raises(InvalidArgumentError, match="within"):
        RateLimit(14, per=60, within=20)  # type: ignore[arg-type]
    part = RateLimit(14, per=60, within=RateLimit(20, per=60))
    assert repr(part) == "RateLimit(14, per=60, within=RateLimit(20, per=60))"
