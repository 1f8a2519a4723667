"""Laws 4 and 5: a server that counts on arrival never counts too many, and is hardly slower."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle

import pytest

from mayar_reviews import (
    ConnectionLostError,
    DeadlineExceededError,
    RateLimit,
    RateLimitError,
    RequestEvent,
    ReviewsClient,
)
from tests.faults.clock import virtual_time
from tests.faults.server import Break, FaultServer, Respond, make_review, too_many
from tests.support.harness import PRODUCT, client_of

LATENCY = (0.010, 0.120)


def _server(**options: object) -> FaultServer:
    return FaultServer([make_review(1)], **options)  # type: ignore[arg-type]


async def _many(client: ReviewsClient, count: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        for _ in range(count):
            tasks.create_task(client.list_product_reviews(PRODUCT))


@pytest.mark.parametrize("seed", range(10))
@virtual_time
async def test_a_hundred_tasks_draw_no_429_and_take_hardly_longer_than_they_must(
    seed: int,
) -> None:
    """100 tasks at 20 a window all succeed, without a 429, within 1.02 of the minimum."""
    loop = asyncio.get_running_loop()
    async with (
        _server(limit=(20, 60.0), latency=LATENCY, seed=seed) as server,
        client_of(server, rate_limit=RateLimit(20, per=60.0), deadline=None) as client,
    ):
        started = loop.time()
        await _many(client, 100)
        assert server.peak == 20
        assert server.ledger.exchanges == 100
        minimum = (100 / 20 - 1) * 60.0
        assert minimum <= loop.time() - started <= minimum * 1.02


@virtual_time
async def test_no_429_with_the_default_budget() -> None:
    """Without a word about pacing a client keeps to 20 requests in any 60 seconds."""
    async with _server(limit=(20, 60.0), latency=LATENCY) as server:
        async with ReviewsClient("key", base_url=server.url, deadline=None) as client:
            await _many(client, 41)
        assert server.ledger.exchanges == 41


@virtual_time
async def test_two_clients_share_one_budget() -> None:
    """Two clients that were given one `RateLimit` together keep to it."""
    budget = RateLimit(5, per=10.0)
    async with (
        _server(limit=(5, 10.0), latency=LATENCY) as server,
        ReviewsClient("key", base_url=server.url, rate_limit=budget, deadline=None) as one,
        ReviewsClient("key", base_url=server.url, rate_limit=budget, deadline=None) as other,
    ):
        await asyncio.gather(_many(one, 12), _many(other, 13))
        assert server.ledger.exchanges == 25
        assert server.peak == 5


@pytest.mark.parametrize("fault", [Break("request"), Respond(500), Break("request", "hang")])
@virtual_time
async def test_a_failed_request_holds_its_slot_as_long(fault: Break | Respond) -> None:
    """A slot comes back a window after a failure, too: the server has counted the request."""
    loop = asyncio.get_running_loop()
    async with (
        _server(script=(fault,)) as server,
        client_of(server, rate_limit=RateLimit(1, per=60.0), deadline=None, timeout=5.0) as client,
    ):
        started = loop.time()
        await client.list_product_reviews(PRODUCT)
        assert loop.time() - started >= 60.0


@virtual_time
async def test_a_cancelled_request_holds_its_slot_as_long() -> None:
    """A slot comes back a window after its request was cancelled."""
    loop = asyncio.get_running_loop()
    async with (
        _server(script=(Break("request", "hang"),)) as server,
        client_of(server, rate_limit=RateLimit(1, per=60.0), deadline=None) as client,
    ):
        started = loop.time()
        hanging = asyncio.create_task(client.list_product_reviews(PRODUCT))
        await asyncio.sleep(3)
        hanging.cancel()
        await client.list_product_reviews(PRODUCT)
        assert 63.0 <= loop.time() - started < 63.1


@virtual_time
async def test_first_come_first_served() -> None:
    """Waiters are served in the order in which they came."""
    served = []
    async with (
        _server() as server,
        client_of(server, rate_limit=RateLimit(2, per=1.0), deadline=None) as client,
    ):

        async def ask(number: int) -> None:
            await client.list_product_reviews(PRODUCT)
            served.append(number)

        async with asyncio.TaskGroup() as tasks:
            for number in range(20):
                tasks.create_task(ask(number))
    assert [number // 2 for number in served] == [number // 2 for number in range(20)]


@virtual_time
async def test_cancelled_waiters_take_no_slot_and_lose_none() -> None:
    """Half of the waiters cancelled: the rest go on in their order, as if those had never come."""
    loop = asyncio.get_running_loop()
    async with (
        _server(limit=(10, 10.0)) as server,
        client_of(server, rate_limit=RateLimit(10, per=10.0), deadline=None) as client,
    ):
        await _many(client, 10)
        started = loop.time()
        waiters = [asyncio.create_task(client.list_product_reviews(PRODUCT)) for _ in range(100)]
        await asyncio.sleep(1)
        for waiter in waiters[::2]:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
        assert server.ledger.exchanges == 60
        assert 50.0 <= loop.time() - started < 50.5


@virtual_time
async def test_cancelling_in_the_very_moment_of_being_served_loses_no_slot() -> None:
    """A slot handed to a waiter that is cancelled at that moment goes to the next."""
    limit = RateLimit(1, per=10.0)
    async with limit.slot():
        pass

    async def hold() -> None:
        async with limit.slot():
            await asyncio.sleep(0)

    loop = asyncio.get_running_loop()
    first, second = asyncio.create_task(hold()), asyncio.create_task(hold())
    await asyncio.sleep(0)
    # The timer that serves `first` was set before this one, so it fires just before it.
    loop.call_at(loop.time() + 10.001, first.cancel)
    started = loop.time()
    await second
    assert first.cancelled()
    assert loop.time() - started < 10.1


@virtual_time
async def test_a_wait_that_would_outlive_the_deadline_is_not_begun() -> None:
    """No slot before the deadline: the call fails at once, and takes nobody's turn."""
    loop = asyncio.get_running_loop()
    async with (
        _server() as server,
        client_of(server, rate_limit=RateLimit(1, per=60.0), deadline=30.0) as client,
    ):
        await client.list_product_reviews(PRODUCT)
        started = loop.time()
        with pytest.raises(DeadlineExceededError) as caught:
            await client.list_product_reviews(PRODUCT)
        assert loop.time() == started
        assert caught.value.attempts == 0
        patient = client.with_options(deadline=90.0)
        waiting = asyncio.create_task(patient.list_product_reviews(PRODUCT))
        await asyncio.sleep(0.1)
        started = loop.time()
        with pytest.raises(DeadlineExceededError):  # 60 s for the one before, 60 s for itself
            await patient.list_product_reviews(PRODUCT)
        assert loop.time() == started
        await waiting
        assert server.ledger.exchanges == 2


@virtual_time
async def test_a_slot_under_way_makes_nobody_wait_beyond_the_deadline() -> None:
    """Who waits for the slot of a request that hangs leaves when the deadline passes."""
    loop = asyncio.get_running_loop()
    async with (
        _server(script=(Break("request", "hang"),)) as server,
        client_of(server, rate_limit=RateLimit(1, per=1.0), deadline=20.0) as client,
    ):
        started = loop.time()
        hanging = asyncio.create_task(client.list_product_reviews(PRODUCT))
        await asyncio.sleep(0)
        with pytest.raises(DeadlineExceededError):
            await client.list_product_reviews(PRODUCT)
        assert 20.0 <= loop.time() - started < 20.01
        with pytest.raises(DeadlineExceededError):
            await hanging


@pytest.mark.parametrize("paced", [True, False])
@virtual_time
async def test_one_429_pauses_the_whole_client_once(paced: bool) -> None:
    """A 429 caused by someone else: nobody sends until it is over, then everybody succeeds."""
    loop = asyncio.get_running_loop()
    events: list[RequestEvent] = []
    async with (
        _server(script=(too_many("30"),)) as server,
        client_of(
            server,
            rate_limit=RateLimit(100, per=60.0) if paced else None,
            on_event=events.append,
        ) as client,
    ):
        started = loop.time()
        refused = asyncio.create_task(client.list_product_reviews(PRODUCT))
        await asyncio.sleep(1)
        await _many(client, 20)
        await refused
        sent = [entry.at - started for entry in server.ledger.received()]
        assert sent[0] < 0.1
        assert all(30.0 <= at < 31.0 for at in sent[1:])
        assert len(sent) == 22
        waits = [event for event in events if event.kind == "wait"]
        assert {event.reason for event in waits} == {"rate_limit"}
        assert [round(event.seconds) for event in waits] == [30] + [29] * 20


@virtual_time
async def test_no_pacing_still_sends_together() -> None:
    """With `rate_limit=None` fifty calls take no longer than one."""
    loop = asyncio.get_running_loop()
    async with (
        _server(latency=(0.1, 0.1)) as server,
        client_of(server) as client,
    ):
        started = loop.time()
        await _many(client, 50)
        assert loop.time() - started < 0.5


@virtual_time
async def test_an_unbelievable_retry_after_pauses_nobody() -> None:
    """A 429 until tomorrow ends its own call; the next one is sent all the same."""
    loop = asyncio.get_running_loop()
    async with (
        _server(script=(too_many("86400"),)) as server,
        client_of(server, deadline=None) as client,
    ):
        started = loop.time()
        with pytest.raises(RateLimitError) as caught:
            await client.list_product_reviews(PRODUCT)
        assert caught.value.retry_after == 86400.0
        await client.list_product_reviews(PRODUCT)
        assert server.ledger.exchanges == 2
        assert loop.time() - started < 1


def test_a_budget_whose_loop_was_closed_under_it() -> None:
    """Requests that a closed loop left behind keep their slots for a window, and once only."""
    limit = RateLimit(3, per=10.0)
    loop = asyncio.new_event_loop()
    holders = [limit.slot() for _ in range(3)]
    for holder in holders:
        loop.run_until_complete(holder.__aenter__())
    loop.close()

    @virtual_time
    async def scenario() -> None:
        started = asyncio.get_running_loop().time()
        for _ in range(4):
            async with limit.slot():
                pass
        assert asyncio.get_running_loop().time() - started >= 10.0

    scenario()
    del holders, holder
    gc.collect()

    assert limit._requests == limit._free + len(limit._returns)


def test_a_budget_is_not_copied() -> None:
    """A copy would be second budget."""
    for take in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="second budget"):
            take(RateLimit(1, per=1))


@virtual_time
async def test_the_budget_survives_the_loop_it_was_used_in() -> None:
    """A `RateLimit` that was waited for in a loop now closed works in the next one."""
    limit = RateLimit(1, per=5.0)

    async def abandon() -> None:
        async with limit.slot():
            pass
        waiting = asyncio.ensure_future(limit.slot().__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()

    await asyncio.to_thread(asyncio.run, abandon())
    async with limit.slot():
        with pytest.raises(RuntimeError, match="in use in another event loop"):
            await asyncio.to_thread(asyncio.run, abandon())


@virtual_time
async def test_a_lost_request_is_paced_like_any_other() -> None:
    """Retries take slots: five failures at two slots a window take two windows more."""
    loop = asyncio.get_running_loop()
    async with (
        _server(script=(Break("request", times=4),), limit=(2, 10.0)) as server,
        client_of(server, rate_limit=RateLimit(2, per=10.0), deadline=None) as client,
    ):
        started = loop.time()
        with pytest.raises(ConnectionLostError):
            await client.list_product_reviews(PRODUCT)
        assert server.peak == 2
        assert loop.time() - started >= 10.0
