"""Law 4: a long pause is obeyed, but not believed; and a budget holds under odd use."""

from __future__ import annotations

import asyncio
import logging
import math
import threading

import pytest

from mayar_reviews import (
    DeadlineExceededError,
    RateLimit,
    RateLimitError,
    RequestEvent,
    ReviewsClient,
)
from tests.support.clock import virtual_time
from tests.support.fault_server import FaultServer, make_review
from tests.support.harness import PRODUCT, client_of
from tests.support.steps import too_many


def _server(**options: object) -> FaultServer:
    return FaultServer([make_review(1)], **options)  # type: ignore[arg-type]


async def _many(client: ReviewsClient, count: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        for _ in range(count):
            tasks.create_task(client.list_product_reviews(PRODUCT))


@virtual_time
async def test_a_long_pause_is_tried_every_two_windows_until_the_server_accepts() -> None:
    """One request at a time is let through; once one is accepted, all are."""
    loop = asyncio.get_running_loop()
    refusals = [too_many("3600") for _ in range(4)]
    async with (
        _server(script=refusals, limit=None) as server,
        client_of(server, deadline=None, rate_limit=RateLimit(20, per=60.0)) as client,
    ):
        started = loop.time()
        await _many(client, 10)
        times = [round(entry.at - started) for entry in server.ledger.received()]
        early = [time for time in times if time < 1]
        assert early == [0] * 10  # before anything was known
        assert times[10:11] == [120]
        assert times[11:] == [120] * 3
        assert loop.time() - started < 121


@virtual_time
async def test_a_refused_probe_lets_nobody_else_through() -> None:
    """In an hour's pause that holds, a request is sent every two windows, and no more."""
    loop = asyncio.get_running_loop()
    async with (
        _server(script=(too_many("3600", times=math.inf),), limit=None) as server,
        client_of(server, deadline=1000.0, rate_limit=RateLimit(20, per=60.0)) as client,
    ):
        started = loop.time()
        with pytest.raises(RateLimitError):
            await client.list_product_reviews(PRODUCT)
        calls = [client.with_options(deadline=None).list_product_reviews(PRODUCT) for _ in range(5)]
        tasks = [asyncio.create_task(call) for call in calls]
        await asyncio.sleep(1000)
        times = [round(entry.at - started) for entry in server.ledger.received()]
        assert times == [0, *range(120, 1000, 120)]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.mark.parametrize(("first", "later", "wait"), [(130.0, 200.0, 120.0), (50.0, 40.0, 80.0)])
@virtual_time
async def test_the_windows_count_from_the_beginning_of_the_pause(
    first: float, later: float, wait: float
) -> None:
    """A pause that is over does not count, and one that grows longer goes on."""
    limit = RateLimit(20, per=60.0)
    await limit.pause(first)
    await asyncio.sleep(later)
    assert await _wait_in_a_long_pause(limit) == wait


@pytest.mark.parametrize(("per", "wait"), [(0.9, 120.0), (1.0, 2.0), (1.5, 3.0)])
@virtual_time
async def test_two_windows_of_less_than_a_second_count_as_two_minutes(
    per: float, wait: float
) -> None:
    """A budget that hardly paces does not try a pause all the time."""
    assert await _wait_in_a_long_pause(RateLimit(20, per)) == wait


async def _wait_in_a_long_pause(limit: RateLimit) -> float:
    waits: list[float] = []
    await limit.pause(3600.0)
    async with limit.slot(on_wait=waits.append):
        return waits[0]


@virtual_time
async def test_calls_that_cannot_wait_probe_a_long_pause_too() -> None:
    """A web backend with short deadlines finds out that an hour's pause holds no longer."""
    loop = asyncio.get_running_loop()
    async with (
        _server(script=(too_many("3600"),), limit=None) as server,
        client_of(server, deadline=3.0, rate_limit=RateLimit(20, per=60.0)) as client,
    ):
        started = loop.time()
        with pytest.raises(RateLimitError):
            await client.list_product_reviews(PRODUCT)
        refused = 0
        while loop.time() - started < 130:
            try:
                await client.list_product_reviews(PRODUCT)
            except DeadlineExceededError:
                refused += 1
            await asyncio.sleep(5)
        assert refused == 24
        assert server.ledger.exchanges == 1 + 2


@virtual_time
async def test_a_long_pause_is_told_as_an_event_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever wonders why nothing happens can see it."""
    events: list[RequestEvent] = []
    caplog.set_level(logging.INFO, logger="mayar_reviews")
    async with (
        _server(script=(too_many("120"), too_many("3600")), limit=None) as server,
        client_of(server, deadline=None, on_event=events.append) as client,
    ):
        await client.list_product_reviews(PRODUCT)
    waits = [(event.reason, round(event.seconds)) for event in events if event.kind == "wait"]
    assert waits == [("rate_limit", 120), ("pause", 3600), ("rate_limit", 120)]
    assert [record.getMessage() for record in caplog.records] == [
        "the rate limit is reached: pausing for 120.0 s",
        "list_product_reviews waits for 120.0 s: rate_limit",
        "list_product_reviews waits for 3600.0 s: pause",
        "the rate limit is reached: pausing for 3600.0 s",
        "list_product_reviews waits for 120.0 s: rate_limit",
        "the server accepts requests again: the pause is over",
    ]


@pytest.mark.slow
@virtual_time
async def test_twenty_thousand_waiters_can_be_cancelled() -> None:
    """In the worst order, and the next waiter still gets the next slot."""
    limit = RateLimit(1, per=10.0)
    async with limit.slot():
        pass

    async def wait() -> None:
        async with limit.slot():
            pass

    tasks = [asyncio.create_task(wait()) for _ in range(20_000)]
    await asyncio.sleep(1)
    for task in reversed(tasks):
        task.cancel()
        await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    started = loop.time()
    await wait()
    assert loop.time() - started < 10


def _use_from_two_threads() -> list[str]:
    limit = RateLimit(5, per=1.0)
    ready, done = threading.Barrier(2), threading.Barrier(2)
    outcomes: list[str] = []

    async def use() -> None:
        ready.wait()
        try:
            async with limit.slot():
                outcomes.append("used")
                done.wait()
        except RuntimeError:
            outcomes.append("refused")
            done.wait()

    threads = [threading.Thread(target=lambda: asyncio.run(use())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


def test_two_threads_cannot_use_a_budget_at_the_same_time() -> None:
    """One of them is refused, however close the two are."""
    for _ in range(50):
        assert _use_from_two_threads() == ["refused", "used"]
