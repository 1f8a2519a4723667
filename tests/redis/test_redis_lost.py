"""A Redis that loses its memory, goes away for a while, or serves somebody with other terms."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio

from mayar_reviews import InvalidArgumentError
from mayar_reviews.redis import RedisRateLimit
from tests.support.processes import Redis

from .conftest import KEY, budget_of, peak, take

# Each of these starts a Redis.
pytestmark = pytest.mark.slow


async def flush(server: Redis) -> None:
    async with redis.asyncio.Redis.from_url(server.url) as connection:
        await connection.flushall()


async def evict(server: Redis) -> None:
    async with redis.asyncio.Redis.from_url(server.url) as connection:
        await connection.delete(KEY)


async def restart(server: Redis) -> None:
    server.kill()
    assert server.start()


@pytest.mark.parametrize("lose", [flush, evict, restart])
async def test_the_limit_holds_when_redis_loses_its_memory(
    server: Redis, lose: Callable[[Redis], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    """Each of two processes tells it again what it has used, the one that waits for nothing too."""
    starts: list[float] = []
    loop = asyncio.get_running_loop()
    async with budget_of(server, 10, 3.0) as busy, budget_of(server, 10, 3.0) as idle:

        async def use(budget: RedisRateLimit) -> None:
            async with budget.slot():
                starts.append(loop.time())
                await asyncio.sleep(0.05)

        await asyncio.gather(*(use(idle) for _ in range(5)))
        waiting = [asyncio.create_task(use(busy)) for _ in range(15)]
        await asyncio.sleep(0.5)
        assert len(starts) == 10
        await lose(server)
        waiting.append(asyncio.create_task(use(busy)))  # it asks at once, the idle one later
        async with asyncio.timeout(60):
            await asyncio.gather(*waiting)
    assert len(starts) == 21
    assert peak(starts, 3.0) <= 10
    assert "lost its memory" in caplog.text


async def test_slots_in_use_are_told_again(server: Redis) -> None:
    """A request that is under way when Redis loses its memory holds its slot."""
    loop = asyncio.get_running_loop()
    async with budget_of(server, 1, 0.5) as budget:
        async with budget.slot():
            await flush(server)
            waiting = asyncio.create_task(take(budget))
            await asyncio.sleep(2.5)  # the time in which nobody gets a slot is over
            assert not waiting.done()
            answered = loop.time()
        assert await waiting - answered >= 0.5


async def test_a_redis_that_is_away_is_waited_for(server: Redis) -> None:
    """Calls begun before and meanwhile: none fails, and the limit holds."""
    starts: list[float] = []
    async with budget_of(server, 5, 1.0) as budget:

        async def use() -> None:
            starts.append(await take(budget))

        waiting = [asyncio.create_task(use()) for _ in range(10)]
        await asyncio.sleep(0.3)
        server.kill()
        waiting += [asyncio.create_task(use()) for _ in range(5)]
        await asyncio.sleep(4.0)
        assert len(starts) == 5
        assert server.start()
        async with asyncio.timeout(30):
            await asyncio.gather(*waiting)
    assert peak(starts, 1.0) <= 5


async def test_a_failover_is_waited_out(server: Redis) -> None:
    """A replica that is becoming the master refuses to write for a while."""
    async with (
        budget_of(server, 5, 60.0) as budget,
        redis.asyncio.Redis.from_url(server.url) as connection,
    ):
        await take(budget)
        await connection.replicaof("127.0.0.1", "1")
        waiting = asyncio.create_task(take(budget))
        await asyncio.sleep(1.0)
        assert not waiting.done()
        await connection.replicaof("NO", "ONE")
        async with asyncio.timeout(20):
            await waiting


@pytest.mark.parametrize("terms", [(21, 60.0), (20, 61.0)])
async def test_other_terms_for_the_same_scope_are_refused(
    server: Redis, terms: tuple[int, float]
) -> None:
    """The error says what the others say."""
    async with budget_of(server, 20, 60.0) as one, budget_of(server, *terms) as other:
        await take(one)
        with pytest.raises(InvalidArgumentError, match="it says 20 requests per 60 s"):
            await take(other)
        await take(one)


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "noeviction"])
async def test_a_redis_that_may_drop_slots_is_warned_of_once(
    server: Redis, policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with redis.asyncio.Redis.from_url(server.url) as connection:
        await connection.config_set("maxmemory-policy", policy)
    async with budget_of(server, 20) as budget:
        await take(budget)
        await take(budget)
    warned = [record for record in caplog.records if policy in record.getMessage()]
    assert len(warned) == (policy != "noeviction")


async def test_a_user_who_may_only_run_scripts_is_enough(server: Redis) -> None:
    """The rights that the documentation names."""
    async with redis.asyncio.Redis.from_url(server.url) as connection:
        rights = (
            "reset on >pw ~{mayar-reviews}:* -@all +@connection +eval +evalsha +time +zadd +zrem "
            "+zscore +zrank +zcount +zrangebyscore +zremrangebyscore +pttl +pexpire +get +set +del"
        )
        command: Any = connection.execute_command
        await command("ACL", "SETUSER", "limiter", *rights.split(" "))
    url = server.url.replace("//", "//limiter:pw@")
    async with RedisRateLimit(url, 2, 0.2, scope="test") as budget:
        await asyncio.gather(*(take(budget) for _ in range(4)))
        await budget.pause(0.01)
