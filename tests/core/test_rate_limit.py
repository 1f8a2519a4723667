"""Laws 4 and 5: a server that counts on arrival never counts too many, and is hardly slower."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
from contextlib import AsyncExitStack

import pytest

from mayar_reviews import (
    ConnectionLostError,
    DeadlineExceededError,
    RateLimit,
    RateLimitError,
    RequestEvent,
    ReviewsClient,
)
from tests.support.budget_rules import free_slots
from tests.support.clock import VirtualClockLoop, virtual_time
from tests.support.fault_server import FaultServer, make_review
from tests.support.harness import PRODUCT, client_of
from tests.support.steps import Break, Respond, too_many

LATENCY = (0.010, 0.120)


def _server(**options: object) -> FaultServer:
    return FaultServer([make_review(1)], **options)  # type: ignore[arg-type]


async def _many(client: ReviewsClient, count: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        for _ in range(count):
            tasks.create_task(client.list_product_reviews(PRODUCT))


@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 10))]
)
@virtual_time
async def test_never_more_than_the_limit_in_a_window_and_hardly_slower(
    seed: int,
) -> None:
    """100 tasks at 20 a window get no 429, and take at most 2 % longer than they must."""
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
    """A client without a `rate_limit` keeps to 20 requests in any 60 seconds."""
    async with _server(limit=(20, 60.0), latency=LATENCY) as server:
        async with ReviewsClient("key", base_url=server.url, deadline=None) as client:
            await _many(client, 41)
        assert server.ledger.exchanges == 41


@virtual_time
async def test_two_clients_share_one_budget() -> None:
    """Two clients with the same `RateLimit` keep to it together."""
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
async def test_the_slot_of_a_failed_request_comes_back_a_window_later(
    fault: Break | Respond,
) -> None:
    """The server has counted the request."""
    loop = asyncio.get_running_loop()
    async with (
        _server(script=(fault,)) as server,
        client_of(server, rate_limit=RateLimit(1, per=60.0), deadline=None, timeout=5.0) as client,
    ):
        started = loop.time()
        await client.list_product_reviews(PRODUCT)
        assert loop.time() - started >= 60.0


@virtual_time
async def test_the_slot_of_a_cancelled_request_comes_back_a_window_later() -> None:
    """The server may have counted the request."""
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
    """Waiting calls are served in the order in which they came."""
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
    """Half of the waiting calls are cancelled: the others are served as if those never came."""
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
async def test_a_waiter_that_is_cancelled_when_it_is_served_loses_no_slot() -> None:
    """The next waiter gets the slot, and no slot is there twice."""
    limit = RateLimit(3, per=10.0)
    assert await free_slots(limit) == 3

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
    assert await free_slots(limit) == 2


@virtual_time
async def test_a_wait_that_would_outlive_the_deadline_is_not_begun() -> None:
    """The call fails at once, and nobody loses their turn."""
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
        assert str(caught.value) == (
            "the rate limit has no free slot for 60.0 s; the deadline is sooner"
            " (a client with deadline=None waits)"
        )
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
async def test_a_wait_is_announced_as_long_as_it_will_take_at_least() -> None:
    """A slot given back has its time; one under way comes back a window from now at best."""
    limit = RateLimit(2, per=10.0)
    waits: list[float] = []

    async def wait() -> None:
        async with limit.slot(on_wait=waits.append):
            pass

    async with asyncio.TaskGroup() as tasks, limit.slot():  # under way until the end
        async with limit.slot():
            pass  # back at 10 s
        await asyncio.sleep(4)
        waiters = [tasks.create_task(wait()) for _ in range(5)]
        await asyncio.sleep(0)
        for waiter in waiters:
            waiter.cancel()
    # The first gets the slot that comes back, the second the one under way, then again.
    assert [round(seconds, 1) for seconds in waits] == [6.0, 10.0, 16.0, 20.0, 26.0]


@virtual_time
async def test_a_wait_in_a_pause_is_announced_too() -> None:
    """The slots that are free come with the end of the pause, or with the request that probes it."""
    limit = RateLimit(3, per=10.0)
    async with limit.slot():
        pass  # back at 10 s
    assert await _announced(limit, 5.0) == [5.0, 5.0, 10.0, 15.0, 15.0]
    assert await _announced(limit, 100.0) == [20.0, 20.0, 20.0, 30.0, 30.0]


async def _announced(limit: RateLimit, pause: float) -> list[float]:
    """Pause the budget, let five requests wait, and return the waits that they are told."""
    waits: list[float] = []
    await limit.pause(pause)
    waiters = [asyncio.create_task(limit.slot(on_wait=waits.append).__aenter__()) for _ in range(5)]
    await asyncio.sleep(0)
    for waiter in waiters:
        waiter.cancel()
    await asyncio.wait(waiters)
    return [round(seconds, 1) for seconds in waits]


@virtual_time
async def test_a_pause_is_over_when_its_time_has_passed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """From that moment on a slot is free at once, and a new pause is logged again."""
    limit = RateLimit(5, per=10.0)
    waits: list[float] = []
    loop = asyncio.get_running_loop()
    await limit.pause(4.0)
    ends = loop.time() + 4.0
    await asyncio.sleep(3)
    await limit.pause(1.0)  # no longer than the first
    await asyncio.sleep(ends - loop.time())
    async with limit.slot(on_wait=waits.append):
        assert loop.time() == ends
    assert waits == []
    await limit.pause(2.0)
    assert [record.getMessage() for record in caplog.records] == [
        "the rate limit is reached: pausing for 4.0 s",
        "the rate limit is reached: pausing for 2.0 s",
    ]


@virtual_time
async def test_a_slot_of_a_hanging_request_is_not_awaited_beyond_the_deadline() -> None:
    """A call that waits for it ends when its deadline passes."""
    loop = asyncio.get_running_loop()
    async with (
        _server(script=(Break("request", "hang"),)) as server,
        client_of(server, rate_limit=RateLimit(1, per=1.0), deadline=20.0) as client,
    ):
        started = loop.time()
        hanging = asyncio.create_task(client.list_product_reviews(PRODUCT))
        await asyncio.sleep(0)
        with pytest.raises(DeadlineExceededError) as caught:
            await client.list_product_reviews(PRODUCT)
        assert 20.0 <= loop.time() - started < 20.01
        assert str(caught.value) == (
            "the deadline passed while waiting for the rate limit"
            " (a client with deadline=None waits)"
        )
        with pytest.raises(DeadlineExceededError):
            await hanging


@pytest.mark.parametrize("paced", [True, False])
@virtual_time
async def test_one_429_pauses_the_whole_client_once(paced: bool) -> None:
    """Nobody sends until the pause is over; then every call succeeds."""
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
async def test_without_pacing_calls_are_sent_together() -> None:
    """With `rate_limit=None` fifty calls take as long as one."""
    loop = asyncio.get_running_loop()
    async with (
        _server(latency=(0.1, 0.1)) as server,
        client_of(server) as client,
    ):
        started = loop.time()
        await _many(client, 50)
        assert loop.time() - started < 0.5


@virtual_time
async def test_a_retry_after_of_a_day_does_not_pause_the_client() -> None:
    """It ends its own call; the next one is sent."""
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


def test_slots_in_use_when_a_loop_is_closed_come_back_a_window_later() -> None:
    """And they come back only once."""
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

    @virtual_time
    async def all_slots_are_there_once() -> None:
        waits: list[float] = []
        async with AsyncExitStack() as stack:
            await asyncio.sleep(60)
            for _ in range(3):
                await stack.enter_async_context(limit.slot(on_wait=waits.append))
            assert waits == []
            with pytest.raises(DeadlineExceededError):
                await stack.enter_async_context(limit.slot(asyncio.get_running_loop().time() + 1))

    all_slots_are_there_once()


def test_a_budget_is_not_copied() -> None:
    """A copy would be a second budget."""
    for take in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError) as caught:
            take(RateLimit(1, per=1))
        assert str(caught.value) == (
            "a RateLimit cannot be pickled or copied: a copy would be a second budget. "
            "Give the same object to each client"
        )


@virtual_time
async def test_a_budget_can_move_to_another_loop_when_its_own_is_closed() -> None:
    """While its own loop runs, it cannot."""
    limit = RateLimit(1, per=5.0)

    async def abandon() -> None:
        async with limit.slot():
            pass
        waiting = asyncio.ensure_future(limit.slot().__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()

    await asyncio.to_thread(asyncio.run, abandon())
    async with limit.slot():
        with pytest.raises(RuntimeError, match=r"^this RateLimit is in use in another event loop$"):
            await asyncio.to_thread(asyncio.run, abandon())


def test_a_waiter_of_a_closed_loop_takes_no_slot_in_the_next() -> None:
    """The queue of the closed loop is forgotten."""
    limit = RateLimit(1, per=5.0)
    loop = VirtualClockLoop()

    async def wait() -> None:
        async with limit.slot():
            pass

    loop.run_until_complete(wait())
    waiting = loop.create_task(wait())
    loop.run_until_complete(asyncio.wait([waiting], timeout=0))
    loop.close()
    waits: list[float] = []

    @virtual_time
    async def scenario() -> None:
        for _ in range(2):
            async with limit.slot(on_wait=waits.append):
                pass

    scenario()
    assert [round(seconds) for seconds in waits] == [5, 5]
    waiting._log_destroy_pending = False  # type: ignore[attr-defined]
    waiting.get_coro().close()


@virtual_time
async def test_retries_take_slots_like_any_other_request() -> None:
    """Four attempts at two slots a window take one window more."""
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
