"""pytest fixtures for the tests of programs that use this package.

Load them in a `conftest.py`, or by `-p mayar_reviews.testing.plugin`:

```
pytest_plugins = ["mayar_reviews.testing.plugin"]
```

`fake_mayar` works in every test. `reviews_client` works in tests that `pytest-asyncio` runs, in
either of its modes, and in those that anyio's plugin runs on asyncio.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

import mayar_reviews.export  # noqa: F401  loaded here, so that its waits are skipped as well
from mayar_reviews import ReviewsClient

from .server import FakeMayar

pytest_asyncio: Any
try:
    import pytest_asyncio
except ImportError:
    pytest_asyncio = None

_MOST_SKIPPED = 3600.0


class _NoPacing:
    """A budget that has a slot for everybody, even after a 429."""

    @asynccontextmanager
    async def slot(
        self, until: float | None = None, on_wait: Callable[[float], None] | None = None
    ) -> AsyncGenerator[None, None]:
        yield

    async def pause(self, seconds: float) -> None:
        pass


@pytest.fixture
def fake_mayar() -> Iterator[FakeMayar]:
    """A running, empty `FakeMayar`.

    It serves from a thread of its own, so it works with any test framework.
    """
    with FakeMayar() as fake:
        yield fake


@pytest.fixture
def reviews_client(request: pytest.FixtureRequest) -> ReviewsClient:
    """A client of `fake_mayar` that works as in production, but never waits.

    It has no rate limit, and the waits for backoff, `Retry-After`, look-ups and an export's
    outages take no time. Its events tell how long it would have waited.
    """
    if "anyio_backend" in request.fixturenames:
        if _takes_every_test(request.config):
            pytest.fail(
                "pytest-asyncio runs this test, because its mode is auto, and anyio runs its async "
                "fixtures, in another event loop: set asyncio_mode to strict, or do without anyio",
                pytrace=False,
            )
        if request.getfixturevalue("anyio_backend_name") != "asyncio":
            pytest.fail(
                "reviews_client needs asyncio, and anyio runs this test on another backend: define "
                'a fixture `anyio_backend` that returns "asyncio"',
                pytrace=False,
            )
        client = request.getfixturevalue("_mayar_client_of_anyio")
    elif request.config.pluginmanager.has_plugin("asyncio"):
        client = request.getfixturevalue("_mayar_client_of_pytest_asyncio")
    else:
        pytest.fail(
            "reviews_client needs an event loop: install pytest-asyncio, or mark the test with "
            "pytest.mark.anyio",
            pytrace=False,
        )
    assert isinstance(client, ReviewsClient)
    return client


def _takes_every_test(config: pytest.Config) -> bool:
    """Whether pytest-asyncio runs every async test, marked or not."""
    if not config.pluginmanager.has_plugin("asyncio"):
        return False
    return "auto" in (config.getoption("asyncio_mode") or config.getini("asyncio_mode"))


async def _client(
    fake_mayar: FakeMayar, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[ReviewsClient, None]:
    _skip_waits(monkeypatch)
    async with ReviewsClient(
        fake_mayar.api_key, base_url=fake_mayar.url, rate_limit=_NoPacing()
    ) as client:
        yield client


@pytest.fixture(name="_mayar_client_of_anyio")
async def _client_of_anyio(
    fake_mayar: FakeMayar, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[ReviewsClient, None]:
    async for client in _client(fake_mayar, monkeypatch):
        yield client


if pytest_asyncio is not None:
    _client_of_pytest_asyncio = pytest_asyncio.fixture(
        _client, name="_mayar_client_of_pytest_asyncio"
    )


def _skip_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the waits of this package, and only these, take no time."""
    skipped = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal skipped
        skipped += seconds
        if skipped > _MOST_SKIPPED:
            pytest.fail(
                "reviews_client has skipped an hour of waiting in this test: what it waits for "
                "does not come",
                pytrace=False,
            )
        await asyncio.sleep(0)

    hasty = SimpleNamespace(**vars(asyncio) | {"sleep": sleep})
    for name, module in list(sys.modules.items()):
        if name.startswith("mayar_reviews.") and name != __name__:
            if vars(module).get("sleep") is asyncio.sleep:
                monkeypatch.setattr(module, "sleep", sleep)
            if vars(module).get("asyncio") is asyncio:
                monkeypatch.setattr(module, "asyncio", hasty)
