"""A Redis of the test's own, and budgets in it."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from mayar_reviews import RetryPolicy, ReviewsClient
from mayar_reviews.redis import RedisRateLimit
from tests.support.fault_server import FaultServer, make_review
from tests.support.processes import Redis

PRODUCT = "product-1"
KEY = "{mayar-reviews}:test"
"""Where Redis keeps the budgets of `budget_of`."""
TESTS = Path(__file__).parents[1]
QUICK = RetryPolicy(attempts=3, backoff_initial=0.01)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Redis]:
    """A Redis of the test's own."""
    with Redis(tmp_path) as server:
        yield server


@asynccontextmanager
async def client_of(
    api: FaultServer, budget: RedisRateLimit, **options: Any
) -> AsyncIterator[ReviewsClient]:
    async with ReviewsClient("key", base_url=api.url, rate_limit=budget, **options) as client:
        yield client


def api_of(**options: Any) -> FaultServer:
    return FaultServer([make_review(1)], **options)


def budget_of(server: Redis, requests: int = 1, per: float = 0.2, **options: Any) -> RedisRateLimit:
    return RedisRateLimit(server.url, requests, per, scope="test", **options)


async def take(budget: RedisRateLimit, until: float | None = None) -> float:
    """Take a slot, give it back at once, and return when that was."""
    async with budget.slot(until):
        return asyncio.get_running_loop().time()


async def queued(server: Redis, name: str = "queue") -> int:
    """Return how many there are in the queue, or hold `slots`."""
    low, high = ("-inf", 0) if name == "queue" else (0, 4e15)
    async with redis.asyncio.Redis.from_url(server.url) as connection:
        return int(await connection.zcount(KEY, low, high))


def peak(starts: list[float], per: float) -> int:
    """Return the most requests of any window."""
    return max(sum(start <= at < start + per for at in starts) for start in starts)


def everything(error: BaseException) -> str:
    """Return the error as the most talkative of error reports shows it, without the test."""
    seen = traceback.TracebackException.from_exception(error, capture_locals=True)
    while seen.stack and Path(seen.stack[0].filename).is_relative_to(TESTS):
        del seen.stack[0]
    return "".join(seen.format()) + repr(error)
