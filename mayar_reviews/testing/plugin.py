"""Fixtures for the tests of those who use this package; pytest loads them when told to.

In a `conftest.py`, or as `-p mayar_reviews.testing.plugin`:

```
pytest_plugins = ["mayar_reviews.testing.plugin"]
```

They need `pytest-asyncio`, in either of its modes.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from mayar_reviews import ReviewsClient

from .server import FakeMayar


class _NoPacing:
    """A budget that has a slot for everybody, even after a 429."""

    @asynccontextmanager
    async def slot(
        self, until: float | None = None, on_wait: Callable[[float], None] | None = None
    ) -> AsyncGenerator[None, None]:
        yield

    async def pause(self, seconds: float) -> None:
        pass


async def _at_once(_: float) -> None:
    await asyncio.sleep(0)


@pytest_asyncio.fixture
async def fake_mayar() -> AsyncGenerator[FakeMayar, None]:
    """A running `FakeMayar`, empty: fill it, script its faults, look at what it received."""
    async with FakeMayar() as fake:
        yield fake


@pytest_asyncio.fixture
async def reviews_client(
    fake_mayar: FakeMayar, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[ReviewsClient, None]:
    """A client of `fake_mayar` that does all it does in production, but never waits.

    It does not pace itself, and backoffs, `Retry-After` and look-ups take no time, so that a
    deadline is not reached by waiting. Its events tell how long it would have waited.
    """
    monkeypatch.setattr("mayar_reviews.call.sleep", _at_once)
    async with ReviewsClient(
        fake_mayar.api_key, base_url=fake_mayar.url, rate_limit=_NoPacing()
    ) as client:
        yield client
