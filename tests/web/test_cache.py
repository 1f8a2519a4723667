"""The cache: what is served at once, what is waited for, and what a failure leaves."""

from __future__ import annotations

import asyncio
import math

import pytest
from aiohttp.test_utils import TestClient, TestServer
from attrs import define, field

from examples.web.app import create_app
from examples.web.cache import Cache
from mayar_reviews import DeadlineExceededError, ServerError
from mayar_reviews.testing import FakeMayar
from tests.support.clock import virtual_time

from .conftest import KEY, PAGE, PRODUCT, SETTINGS, read


@pytest.fixture(autouse=True)
def _no_hurry() -> None:
    """Time is virtual here: the cache is as impatient as it is."""


@define
class Source:
    """Counts up, one second at a time, and fails when told to."""

    fetched: int = 0
    seconds: float = 1
    failure: Exception | None = field(default=None)

    async def __call__(self) -> int:
        """The next number."""
        self.fetched += 1
        number = self.fetched
        await asyncio.sleep(self.seconds)
        if self.failure is not None:
            raise self.failure
        return number


@virtual_time
async def test_many_at_once_cause_one_fetch() -> None:
    """Two hundred callers wait for the same fetch."""
    cache, source = Cache(60), Source()
    got = await asyncio.gather(*(cache.get("key", source) for _ in range(200)))
    assert {snapshot.value for snapshot in got} == {1}
    assert source.fetched == 1


@virtual_time
async def test_a_fresh_value_is_not_fetched_again() -> None:
    """Within the time to live nothing is asked for."""
    cache, source = Cache(60), Source()
    await cache.get("key", source)
    await asyncio.sleep(58)
    assert (await cache.get("key", source)).value == 1
    assert source.fetched == 1


@virtual_time
async def test_a_stale_value_is_served_while_it_is_fetched_again() -> None:
    """The old value comes at once; a later caller gets the new one."""
    cache, source = Cache(60), Source()
    loop = asyncio.get_running_loop()
    await cache.get("key", source)
    await asyncio.sleep(100)
    before = loop.time()
    assert (await cache.get("key", source)).value == 1
    assert loop.time() == before
    await asyncio.sleep(2)
    assert (await cache.get("key", source)).value == 2
    assert source.fetched == 2


@virtual_time
async def test_a_very_old_value_is_fetched_before_it_is_served() -> None:
    """A page that nobody asked for since yesterday is not shown as it was yesterday."""
    cache, source = Cache(60), Source(seconds=0.3)
    await cache.get("key", source)
    await asyncio.sleep(86_400)
    snapshot = await cache.get("key", source)
    assert (snapshot.value, snapshot.outdated) == (2, False)


@virtual_time
async def test_nobody_waits_long_for_something_newer() -> None:
    """While Mayar stalls, every view has the old value within `PATIENCE`, and it says so."""
    cache, source = Cache(60), Source()
    loop = asyncio.get_running_loop()
    await cache.get("key", source)
    source.seconds = 8
    source.failure = ServerError(status_code=503)
    for second in range(600):
        await asyncio.sleep(1)
        before = loop.time()
        snapshot = await cache.get("key", source, loop.time() if second == 300 else 0.0)
        assert loop.time() - before <= Cache.PATIENCE + 0.001
        assert snapshot.value == 1
    assert snapshot.outdated
    assert source.fetched < 30
    await cache.aclose()


@virtual_time
async def test_where_nothing_is_there_a_view_waits_three_seconds() -> None:
    """Then it is told of a failure, though the fetch goes on, and a later view has its value."""
    cache, source = Cache(60), Source(seconds=5)
    began = asyncio.get_running_loop().time()
    snapshot = await cache.get("key", source)
    assert asyncio.get_running_loop().time() - began == Cache.FIRST
    assert isinstance(snapshot.failure, DeadlineExceededError)
    assert not snapshot.known
    await asyncio.sleep(2.5)
    assert (await cache.get("key", source)).value == 1
    assert source.fetched == 1


@virtual_time
async def test_after_a_change_a_new_fetch_is_waited_for() -> None:
    """A fetch that began before the change does not count."""
    cache, source = Cache(60), Source()
    early = asyncio.create_task(cache.get("key", source))
    await asyncio.sleep(0.5)
    changed = asyncio.get_running_loop().time()
    assert (await cache.get("key", source, changed, patience=3)).value == 2
    assert (await early).value is not None


@virtual_time
async def test_a_failure_leaves_the_old_value() -> None:
    """The old value is served, together with the failure."""
    cache, source = Cache(60), Source()
    first = await cache.get("key", source)
    source.failure = ServerError(status_code=503)
    await asyncio.sleep(86_400)
    snapshot = await cache.get("key", source, patience=3)
    assert (snapshot.value, snapshot.as_of) == (1, first.as_of)
    assert snapshot.failure is source.failure


@virtual_time
async def test_after_a_failure_there_is_a_pause() -> None:
    """Callers in the pause are answered without another fetch."""
    cache, source = Cache(60, pause=5), Source(failure=ServerError(status_code=503))
    assert (await cache.get("key", source)).value is None
    for _ in range(4):
        await asyncio.sleep(1)
        await cache.get("key", source)
    assert source.fetched == 1
    source.failure = None
    await asyncio.sleep(1)
    snapshot = await cache.get("key", source)
    assert (snapshot.value, snapshot.failure) == (2, None)


@virtual_time
async def test_the_least_recently_used_value_is_dropped() -> None:
    """When there are more values than it may keep."""
    cache, source = Cache(60, size=2), Source()
    for key in ("a", "b", "a", "c", "a", "b"):
        await cache.get(key, source)
    assert source.fetched == 4


@virtual_time
async def test_a_fault_of_ours_is_not_hidden() -> None:
    """An exception that is none of Mayar's reaches the caller."""
    cache, source = Cache(60), Source(failure=KeyError("fault"))
    with pytest.raises(KeyError, match="fault"):
        await cache.get("key", source)


@virtual_time
async def test_closing_cancels_the_fetches_under_way() -> None:
    """No fetch outlives the cache."""
    cache, source = Cache(60), Source()
    waiting = asyncio.create_task(cache.get("key", source))
    await asyncio.sleep(0.5)
    await cache.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(asyncio.all_tasks()) == 1


@virtual_time
async def test_a_long_outage_is_asked_about_ever_less_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The pause grows to fifteen seconds; the log has one line for it, and one for its end."""
    cache, source = Cache(1), Source(failure=ServerError(status_code=503))
    for _ in range(300):
        await cache.get("key", source)
        await asyncio.sleep(1)
    assert source.fetched < 22
    source.failure = None
    for _ in range(40):
        await cache.get("key", source)
        await asyncio.sleep(1)
    assert [record.message for record in caplog.records] == [
        "reading key failed: ServerError, HTTP 503, after 0 attempts",
        "reading key works again",
    ]


@pytest.mark.slow
@virtual_time
async def test_ten_minutes_of_stall_keep_nobody_waiting() -> None:
    """Through the whole application: Mayar is silent, every view takes half a second at most."""
    loop = asyncio.get_running_loop()
    async with FakeMayar(KEY) as fake:
        fake.seed(PRODUCT, 45)
        app = create_app(SETTINGS, api_key=KEY, base_url=fake.url)
        async with TestClient(TestServer(app), headers={"Accept-Language": "en"}) as visitor:
            await read(visitor, PAGE)
            await read(visitor, "/")
            fake.stall_next(math.inf)
            for _ in range(200):
                await asyncio.sleep(3)
                for path in (PAGE, "/", f"{PAGE}/reviews.json"):
                    before = loop.time()
                    await read(visitor, path)
                    assert loop.time() - before <= 0.5
            assert "These are the reviews as of" in await read(visitor, PAGE)
            fake.clear_faults()
            await fake.close()
