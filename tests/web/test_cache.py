"""The cache: what is served at once, what is waited for, and what a failure leaves."""

from __future__ import annotations

import asyncio

import pytest
from attrs import define, field

from examples.web.cache import Cache
from mayar_reviews import ServerError
from tests.faults.clock import virtual_time


@define
class Source:
    """Counts up, one second at a time, and fails when told to."""

    fetched: int = 0
    failure: Exception | None = field(default=None)

    async def __call__(self) -> int:
        """The next number."""
        self.fetched += 1
        number = self.fetched
        await asyncio.sleep(1)
        if self.failure is not None:
            raise self.failure
        return number


@virtual_time
async def test_many_at_once_cause_one_fetch() -> None:
    """Two hundred who ask for what is not there wait for the same fetch."""
    cache, source = Cache(60), Source()
    got = await asyncio.gather(*(cache.get("key", source) for _ in range(200)))
    assert {snapshot.value for snapshot in got} == {1}
    assert source.fetched == 1


@virtual_time
async def test_what_is_fresh_is_not_fetched_again() -> None:
    """Within the time to live nothing is asked for."""
    cache, source = Cache(60), Source()
    await cache.get("key", source)
    await asyncio.sleep(58)
    assert (await cache.get("key", source)).value == 1
    assert source.fetched == 1


@virtual_time
async def test_what_is_a_little_old_is_served_while_it_is_fetched_anew() -> None:
    """After the time to live the old value comes at once, and the new one to who asks later."""
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
async def test_what_is_very_old_is_waited_for() -> None:
    """A page that nobody has asked for since yesterday is not shown as it was yesterday."""
    cache, source = Cache(60), Source()
    await cache.get("key", source)
    await asyncio.sleep(86_400)
    assert (await cache.get("key", source)).value == 2


@virtual_time
async def test_what_has_changed_is_waited_for_even_past_a_fetch_under_way() -> None:
    """A fetch that began before the change does not count as news of it."""
    cache, source = Cache(60), Source()
    early = asyncio.create_task(cache.get("key", source))
    await asyncio.sleep(0.5)
    changed = asyncio.get_running_loop().time()
    assert (await cache.get("key", source, changed)).value == 2
    assert (await early).value is not None


@virtual_time
async def test_a_failure_leaves_the_old_value() -> None:
    """What cannot be renewed is served as it is, with the failure beside it."""
    cache, source = Cache(60), Source()
    first = await cache.get("key", source)
    source.failure = ServerError(status_code=503)
    await asyncio.sleep(86_400)
    snapshot = await cache.get("key", source)
    assert (snapshot.value, snapshot.as_of) == (1, first.as_of)
    assert snapshot.failure is source.failure


@virtual_time
async def test_after_a_failure_there_is_a_pause() -> None:
    """Who asks in the pause after a failure is answered without another attempt."""
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
async def test_it_keeps_what_was_used_last() -> None:
    """Of more values than it may keep, the least recently used goes."""
    cache, source = Cache(60, size=2), Source()
    for key in ("a", "b", "a", "c", "a", "b"):
        await cache.get(key, source)
    assert source.fetched == 4


@virtual_time
async def test_a_fault_of_ours_is_not_hidden() -> None:
    """What is no failure of Mayar's reaches who asks."""
    cache, source = Cache(60), Source(failure=KeyError("fault"))
    with pytest.raises(KeyError, match="fault"):
        await cache.get("key", source)


@virtual_time
async def test_closing_gives_up_what_is_under_way() -> None:
    """No fetch outlives the cache."""
    cache, source = Cache(60), Source()
    waiting = asyncio.create_task(cache.get("key", source))
    await asyncio.sleep(0.5)
    await cache.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(asyncio.all_tasks()) == 1
