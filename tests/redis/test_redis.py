"""Laws 3, 4 and 5 for many processes: the budget that is kept in Redis."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import redis.asyncio

import mayar_reviews.redis
from mayar_reviews import RateLimitError, RetryPolicy, ReviewsClient
from mayar_reviews.redis import RedisRateLimit, key_scope
from tests.support.budget_rules import RULES, Rule, name
from tests.support.processes import Process, Redis
from tests.support.steps import too_many

from .conftest import KEY, PRODUCT, api_of, budget_of, client_of, queued, take

# Each of these starts a Redis.
pytestmark = pytest.mark.slow


# -- the budget ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=name)
async def test_a_budget_in_redis_keeps_the_rule(server: Redis, rule: Rule) -> None:
    """Windows, order, waits, deadlines, pauses and cancellation: the same as in one process."""
    async with asyncio.timeout(30), budget_of(server, 2, 0.4) as budget:
        await rule(budget, 0.4)


async def test_two_processes_share_one_budget(server: Redis) -> None:
    """A slot that one has used comes back to the other `per` seconds after the answer."""
    async with budget_of(server) as one, budget_of(server) as other:
        async with one.slot():
            waiting = asyncio.create_task(take(other))
            await asyncio.sleep(0.1)
        answered = asyncio.get_running_loop().time()
        assert await waiting - answered >= 0.2


async def test_scopes_are_apart(server: Redis) -> None:
    """Another address or key has a budget of its own."""
    async with (
        budget_of(server, per=60.0) as one,
        RedisRateLimit(server.url, 1, 60.0, scope="other") as other,
    ):
        await take(one)
        async with asyncio.timeout(20):  # one that is not apart waits for a minute
            await take(other)


async def test_first_come_first_served_over_all_processes(server: Redis) -> None:
    """The one that has waited longest gets the slot, whichever process it is in."""
    order: list[int] = []
    async with budget_of(server, per=0.05) as one, budget_of(server, per=0.05) as other:

        async def wait(place: int) -> None:
            async with (one, other)[place % 2].slot():
                order.append(place)

        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            for place in range(6):
                tasks.create_task(wait(place))
                await asyncio.sleep(0.02)
    assert order == list(range(6))


async def test_a_pause_reaches_every_process(server: Redis) -> None:
    """A 429 in one process holds back the other one, whose slots were free."""
    async with (
        api_of(script=[too_many("1")]) as api,
        budget_of(server, 20, 60.0) as one,
        budget_of(server, 20, 60.0) as other,
        client_of(api, one, retry=RetryPolicy.none()) as first,
        client_of(api, other) as second,
    ):
        with pytest.raises(RateLimitError):
            await first.list_product_reviews(PRODUCT)
        started = asyncio.get_running_loop().time()
        await second.list_product_reviews(PRODUCT)
        assert asyncio.get_running_loop().time() - started >= 0.9
        assert api.ledger.exchanges == 2


async def test_a_wait_is_announced_once(server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often Redis is asked."""
    monkeypatch.setattr(mayar_reviews.redis, "_POLL", 0.05)
    waits: list[float] = []
    async with budget_of(server) as budget:
        await take(budget)
        async with budget.slot(on_wait=waits.append):
            pass
    assert len(waits) == 1
    assert 0 < waits[0] <= 0.21


# -- who leaves, and who dies ----------------------------------------------------------------------


async def test_a_cancelled_waiter_takes_no_slot(server: Redis) -> None:
    """It leaves the queue at once, and whoever comes next waits for one window, not for six."""
    async with asyncio.timeout(20), budget_of(server, per=60.0) as budget:
        await take(budget)
        waiters = [asyncio.create_task(take(budget)) for _ in range(5)]
        while await queued(server) < 5:
            await asyncio.sleep(0.01)
        for waiter in waiters:
            waiter.cancel()
        await asyncio.wait(waiters)
        assert all(waiter.cancelled() for waiter in waiters)
        while await queued(server):
            await asyncio.sleep(0.01)
        waits: list[float] = []

        async def wait() -> None:
            async with budget.slot(on_wait=waits.append):
                pass

        next_one = asyncio.create_task(wait())
        while not waits:
            await asyncio.sleep(0.01)
        assert waits[0] < 61
        next_one.cancel()
        await asyncio.wait([next_one])


async def test_a_cancellation_at_any_moment_loses_no_slot(server: Redis) -> None:
    """Wherever it falls, it passes through, and all slots are there afterwards."""
    async with budget_of(server, 3, 0.01) as budget:
        for _ in range(3):
            for steps in range(40):
                task = asyncio.create_task(take(budget))
                for _ in range(steps):
                    await asyncio.sleep(0)
                if task.cancel():
                    with pytest.raises(asyncio.CancelledError):
                        await task
    await asyncio.sleep(0.02)
    async with budget_of(server, 3, 0.01) as budget, AsyncExitStack() as slots:
        async with asyncio.timeout(20):  # a slot that is lost comes back after 35 s
            for _ in range(3):
                await slots.enter_async_context(budget.slot())
    assert await queued(server) == 0


async def test_slots_and_places_of_a_killed_process_come_back(server: Redis) -> None:
    """When the lease is over; until then its slots are in use."""
    with Process(
        "holder", redis=server.url, requests=4, per=0.3, lease=2.0, slots=4, tickets=9
    ) as process:
        process.hear()
    assert await queued(server, "slots") == 4
    async with asyncio.timeout(20), budget_of(server, 4, 0.3, lease=2.0) as budget:
        await asyncio.gather(*[take(budget) for _ in range(4)])
    assert await queued(server) == 0


async def test_a_slow_waiter_gets_its_place_back(
    server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken for dead; when it asks again, it stands before those who came later."""
    monkeypatch.setattr(mayar_reviews.redis, "_POLL", 0.3)
    order: list[str] = []

    async def use(name: str, budget: RedisRateLimit) -> None:
        async with budget.slot():
            order.append(name)

    async with (
        budget_of(server, per=1.0) as slow,
        budget_of(server, per=1.0) as other,
        redis.asyncio.Redis.from_url(server.url, decode_responses=True) as connection,
    ):
        await take(slow)
        first = asyncio.create_task(use("slow", slow))
        while not await queued(server):
            await asyncio.sleep(0.01)
        await connection.zadd(KEY, {f"@{slow._me}": 4e15})  # it should have asked long ago
        second = asyncio.create_task(use("other", other))
        await asyncio.gather(first, second)
    assert order == ["slow", "other"]


async def test_keys_expire_by_themselves(server: Redis) -> None:
    """All keys go away, of slots, of the queue and of a pause."""
    async with redis.asyncio.Redis.from_url(server.url) as connection:
        async with budget_of(server, per=0.5, lease=0.5) as budget:
            await budget.pause(0.1)
            await take(budget)
            waiting = asyncio.create_task(take(budget))
            await budget.pause(1.0)
            keys = await connection.keys()
            assert len(keys) == 2
            for key in keys:
                assert 0 < await connection.pttl(key) <= 2600  # lease, window, and two to be late
            await waiting
        await asyncio.sleep(2.7)
        assert await connection.keys() == []


# -- what Redis is told ----------------------------------------------------------------------------


@asynccontextmanager
async def overheard(server: Redis) -> AsyncGenerator[list[str], None]:
    """Every command that the server gets."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"MONITOR\r\n")
    await reader.readline()
    lines: list[str] = []
    try:
        yield lines
        writer.write(b"QUIT\r\n")
        async with asyncio.timeout(20):
            lines += (await reader.read()).decode().splitlines()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_redis_is_told_neither_the_key_nor_the_time(
    server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands hold tickets and the terms, and no time: the same on any clock."""
    said: list[set[str]] = []
    for skew in (0.0, 1.0, 5e8):
        loop = asyncio.get_running_loop()
        right_loop, right_wall = loop.time, time.time
        with monkeypatch.context() as clocks:
            clocks.setattr(loop, "time", lambda right=right_loop, skew=skew: right() + skew)
            clocks.setattr(time, "time", lambda right=right_wall, skew=skew: right() + skew)
            async with (
                overheard(server) as lines,
                api_of() as api,
                RedisRateLimit(server.url, 1, 0.1, scope=key_scope("secret-key")) as budget,
                ReviewsClient("secret-key", base_url=api.url, rate_limit=budget) as client,
            ):
                await asyncio.gather(*[client.list_product_reviews(PRODUCT) for _ in range(2)])
                await budget.pause(0.01)
        told = [line for line in lines if "EVALSHA" in line.upper()]
        assert len(told) >= 5
        assert "secret-key" not in "\n".join(lines)
        said.append({re.sub(r"[0-9a-f]{16,}", "_", line.partition("EVALSHA")[2]) for line in told})
        await asyncio.sleep(0.12)
    assert said[0] == said[1] == said[2]


async def test_it_belongs_to_one_event_loop_until_it_is_closed(server: Redis) -> None:
    """Another loop is refused while the first one uses it; after `aclose` it can move."""
    budget = budget_of(server, 20)

    async def use() -> None:
        async with budget:
            await take(budget)

    await take(budget)
    with pytest.raises(RuntimeError, match="another event loop"):
        await asyncio.to_thread(asyncio.run, use())
    await budget.aclose()
    await asyncio.to_thread(asyncio.run, use())
    await use()
