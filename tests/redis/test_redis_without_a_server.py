"""What needs no Redis to be tested: arguments, what is asked of Redis and when, and its silence."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mayar_reviews import (
    ConnectionFailedError,
    DeadlineExceededError,
    InvalidArgumentError,
    RateLimitError,
    RetryPolicy,
)
from mayar_reviews.redis import RedisRateLimit, key_scope
from tests.support.clock import virtual_time
from tests.support.steps import too_many

from .conftest import PRODUCT, api_of, client_of, everything, take
from .stub import StubRedis


def _budget(stub: StubRedis) -> RedisRateLimit:
    return RedisRateLimit(stub.url, 20, 60.0, scope="test")


@virtual_time
async def test_a_slot_is_taken_before_the_request_and_given_back_after_the_answer() -> None:
    """Redis is asked for a slot, then told that the request was answered."""
    async with (
        StubRedis() as stub,
        api_of() as api,
        _budget(stub) as budget,
        client_of(api, budget) as client,
    ):
        assert len((await client.list_product_reviews(PRODUCT)).data) == 1
        assert stub.asked == ["new"]
        await asyncio.sleep(0.01)
        assert stub.asked == ["new", "answered"]


@virtual_time
async def test_a_wait_is_as_long_as_redis_says_and_is_announced_once() -> None:
    """Redis lets it wait twice: it takes as long as both waits, and is announced once."""
    loop = asyncio.get_running_loop()
    waits: list[float] = []
    async with StubRedis(waits=[3_000_000, 2_000_000]) as stub, _budget(stub) as budget:
        started = loop.time()
        async with budget.slot(on_wait=waits.append):
            assert 5.0 <= loop.time() - started < 5.1
    assert stub.asked == ["new", "answered"]
    assert [round(wait, 1) for wait in waits] == [3.0]


@virtual_time
async def test_a_wait_beyond_the_deadline_is_not_begun() -> None:
    """The call ends at once, and gives up its place in the queue."""
    loop = asyncio.get_running_loop()
    async with StubRedis(waits=[30_000_000]) as stub, _budget(stub) as budget:
        started = loop.time()
        with pytest.raises(DeadlineExceededError, match=r"another 30\.0 s"):
            await take(budget, until=started + 10)
        assert loop.time() == started
        await asyncio.sleep(0.01)
        assert stub.asked == ["new", "left"]


@virtual_time
async def test_a_cancelled_waiter_gives_up_its_place() -> None:
    """The cancellation passes through, and Redis is told."""
    async with StubRedis(waits=[30_000_000]) as stub, _budget(stub) as budget:
        waiting = asyncio.create_task(take(budget))
        await asyncio.sleep(1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.sleep(0.01)
        assert stub.asked == ["new", "left"]


@virtual_time
async def test_a_429_is_told_to_redis() -> None:
    """So that every process pauses."""
    async with (
        StubRedis() as stub,
        api_of(script=[too_many("1")]) as api,
        _budget(stub) as budget,
        client_of(api, budget, retry=RetryPolicy.none()) as client,
    ):
        with pytest.raises(RateLimitError):
            await client.list_product_reviews(PRODUCT)
        assert "PAUSE" in stub.asked


@pytest.mark.parametrize("deadline", [3.0, 300.0])
@virtual_time
async def test_without_redis_nothing_is_sent(deadline: float) -> None:
    """The call waits for it up to its deadline, and names the rate limit's Redis in its error."""
    loop = asyncio.get_running_loop()
    async with StubRedis() as stub:
        url = stub.url
    async with (
        api_of() as api,
        RedisRateLimit(url, 20, 60.0, scope="test") as budget,
        client_of(api, budget, deadline=deadline) as client,
    ):
        started = loop.time()
        with pytest.raises(ConnectionFailedError, match="the rate limit's Redis failed") as caught:
            await client.list_product_reviews(PRODUCT)
        assert deadline - 0.1 < loop.time() - started <= deadline
        assert caught.value.attempts == 0
        assert len(api.ledger) == 0


@virtual_time
async def test_closing_one_budget_twice_at_once_leaves_the_others_their_connection() -> None:
    """Two budgets share it; one is closed by two tasks."""
    async with (
        StubRedis() as stub,
        _budget(stub) as budget,
        RedisRateLimit(stub.url, 20, 60.0, scope="other") as other,
    ):
        for each in (budget, other):
            async with each.slot():
                pass
        await asyncio.gather(budget.aclose(), budget.aclose())
        assert other._link.users == 1


@pytest.mark.slow
@virtual_time
async def test_without_a_deadline_a_call_waits_for_redis_for_an_hour() -> None:
    """Not for ever: somebody should hear of it."""
    loop = asyncio.get_running_loop()
    async with StubRedis() as stub:
        url = stub.url
    started = loop.time()
    async with RedisRateLimit(url, 20, 60.0, scope="test") as budget:
        with pytest.raises(ConnectionFailedError):
            await take(budget)
    assert 3600 <= loop.time() - started < 3602


@virtual_time
async def test_a_redis_that_does_not_answer_is_waited_for() -> None:
    """Five seconds for an answer, then anew, up to the deadline. Then it goes on."""
    loop = asyncio.get_running_loop()
    async with StubRedis(silent=True) as stub, _budget(stub) as budget:
        started = loop.time()
        with pytest.raises(DeadlineExceededError):
            await take(budget, until=started + 2)  # it has not failed yet
        assert loop.time() - started == pytest.approx(2, abs=0.02)
        with pytest.raises(ConnectionFailedError, match=r"no answer .* in 5 s"):
            await take(budget, until=started + 12)
        assert loop.time() - started == pytest.approx(12, abs=0.02)
        waiting = asyncio.create_task(take(budget))
        await asyncio.sleep(1)
        stub.silent = False
        await waiting
        assert loop.time() - started < 20


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("url", "redis-host:6379/pass-word"),
        ("url", "http://:pass-word@127.0.0.1"),
        ("url", "redis://:pass-word@127.0.0.1:port"),
        ("url", "redis://:pass-word@127.0.0.1?no_such_option=1"),
        ("url", None),
        ("requests", 0),
        ("per", 0),
        ("scope", "a b"),
        ("scope", ""),
        ("lease", 0),
    ],
)
def test_wrong_arguments_are_refused(field: str, wrong: object) -> None:
    """Before anything is connected. The error names the argument and repeats no password."""
    arguments: dict[str, Any] = {
        "url": "redis://:pass-word@127.0.0.1",
        "requests": 20,
        "per": 60.0,
        "scope": "test",
        "lease": 30,
    } | {field: wrong}
    with pytest.raises(InvalidArgumentError, match=f"^{field} ") as caught:
        RedisRateLimit(**arguments)
    assert caught.value.field == field
    del arguments
    assert "pass-word" not in everything(caught.value)


def test_the_scope_of_a_key_does_not_show_the_key() -> None:
    """The same key gives the same scope, another key another one."""
    assert key_scope("secret") == key_scope("secret") != key_scope("other")
    assert "secret" not in key_scope("secret")
