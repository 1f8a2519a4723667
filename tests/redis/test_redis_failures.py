"""A Redis that dies, says nothing, or loses an answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

import mayar_reviews.redis
from mayar_reviews import ConnectionFailedError, RequestEvent
from mayar_reviews.redis import RedisRateLimit
from tests.support.processes import Redis

from .conftest import PRODUCT, QUICK, api_of, budget_of, client_of, everything, queued, take

# Each of these starts a Redis.
pytestmark = pytest.mark.slow


async def test_a_redis_that_dies_midway_ends_the_waiting_at_the_deadline(
    server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls that wait for a slot get an error that says what failed."""
    monkeypatch.setattr(mayar_reviews.redis, "_POLL", 0.05)
    async with (
        asyncio.timeout(20),
        api_of() as api,
        budget_of(server, 2, 2.0) as budget,
        client_of(api, budget, retry=QUICK, deadline=5.0) as client,
    ):
        calls = [asyncio.create_task(client.list_product_reviews(PRODUCT)) for _ in range(6)]
        while await queued(server) < 4 or not all(call.done() for call in calls[:2]):
            await asyncio.sleep(0.01)
        server.kill()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert Counter(map(type, outcomes))[ConnectionFailedError] == 4
        assert len(api.ledger.received()) == 2


async def test_an_answer_is_returned_though_redis_has_died(
    server: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """That the slot was not given back is a warning."""
    async with (
        api_of(latency=(0.1, 0.1)) as api,
        budget_of(server, 20) as budget,
        client_of(api, budget) as client,
    ):
        call = asyncio.create_task(client.list_product_reviews(PRODUCT))
        async with asyncio.timeout(20):
            while not api.ledger.received():
                await asyncio.sleep(0.01)
        server.kill()
        assert len((await call).data) == 1
    assert "could not be told" in caplog.text


async def test_a_dropped_connection_is_made_anew(server: Redis) -> None:
    """Redis closes idle connections: the next call succeeds and takes one slot."""
    async with budget_of(server, 20, 60.0) as budget:
        await take(budget)
        async with redis.asyncio.Redis.from_url(server.url) as connection:
            await connection.client_kill_filter(_type="normal", skipme=True)
        await take(budget)
    assert await queued(server, "slots") == 2


async def test_a_lost_answer_does_not_cost_a_second_slot(
    server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis granted a slot and its answer was lost: asking again finds the same slot."""
    read = redis.asyncio.Connection.read_response
    lost: list[object] = []

    async def lose_one(self: Any, *args: Any, **options: Any) -> Any:
        answer = await read(self, *args, **options)
        if isinstance(answer, list) and not lost:
            lost.append(answer)
            await self.disconnect(nowait=True)
            raise redis.ConnectionError("lost")
        return answer

    monkeypatch.setattr(redis.asyncio.Connection, "read_response", lose_one)
    async with asyncio.timeout(10), budget_of(server, 20, 60.0) as budget, budget.slot():
        assert lost
        assert await queued(server, "slots") == 1


async def test_the_password_is_in_no_error(tmp_path: Path) -> None:
    """A refused password ends the call at once; no message, repr or local variable has it."""
    with Redis(tmp_path, password="right-word") as server:
        url = f"redis://:wrong-word@127.0.0.1:{server.port}"
        budget = RedisRateLimit(url, 20, 60.0, scope="test")
        events: list[RequestEvent] = []
        async with (
            api_of() as api,
            budget,
            client_of(api, budget, on_event=events.append) as client,
        ):
            with pytest.raises(ConnectionFailedError, match="AuthenticationError") as caught:
                await client.list_product_reviews(PRODUCT)
            assert events == []
            assert "wrong-word" not in repr(budget) + everything(caught.value)
