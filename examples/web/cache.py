"""A cache that would rather show something old than an error.

What is fresh is served at once. What is a little older is served at once too, while one task
fetches it anew, however many ask. Only what is not there, very old or known to have changed is
waited for. A failure leaves the old value in place, and the next attempt to a little later.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Generic, TypeVar

from attrs import define, frozen

from mayar_reviews import MayarError

T = TypeVar("T")


@frozen
class Snapshot(Generic[T]):
    """What the cache knows: a value, the failure of the last attempt to renew it, or both."""

    value: T | None
    as_of: float
    """The event loop's time when the fetch of the value began; -inf: it never succeeded."""
    failure: MayarError | None


@define
class _Entry:
    value: Any = None
    as_of: float = -math.inf
    failure: MayarError | None = None
    tried: float = -math.inf
    due: float = -math.inf
    flight: asyncio.Task[None] | None = None


class Cache:
    """A time-to-live cache for one event loop.

    Args:
        ttl: seconds for which a value is fresh; for ten times as long it is good enough to be
            served while a new one is fetched.
        pause: seconds after a failure during which nothing is asked for again.
        size: how many values to keep; the least recently used goes first.
    """

    def __init__(self, ttl: float, *, pause: float = 5.0, size: int = 1000) -> None:
        self._ttl = ttl
        self._pause = pause
        self._size = size
        self._entries: dict[Hashable, _Entry] = {}
        self._flights: set[asyncio.Task[None]] = set()

    async def get(
        self, key: Hashable, fetch: Callable[[], Awaitable[T]], not_before: float = 0.0
    ) -> Snapshot[T]:
        """The value of `key`, by `fetch()` where there is none that will do.

        Args:
            key: what is asked for.
            fetch: gets it, or raises a `MayarError`.
            not_before: the event loop's time of the last known change: a value older than this
                is only returned when fetching a newer one fails.
        """
        entry = self._entries.pop(key, None) or _Entry()
        self._entries[key] = entry
        if len(self._entries) > self._size:
            del self._entries[next(iter(self._entries))]
        not_before = max(not_before, self._now() - 10 * self._ttl)
        while True:
            if entry.flight is None:
                if self._now() < entry.due and entry.tried >= not_before:
                    break
                entry.flight = asyncio.create_task(self._renew(entry, fetch))
                self._flights.add(entry.flight)
                entry.flight.add_done_callback(self._flights.discard)
            if entry.as_of >= not_before:
                break
            await asyncio.wait({flight := entry.flight})
            flight.result()  # a fault of ours, not of Mayar's, is not to be hidden
        return Snapshot(entry.value, entry.as_of, entry.failure)

    async def _renew(self, entry: _Entry, fetch: Callable[[], Awaitable[T]]) -> None:
        entry.tried = self._now()
        try:
            entry.value = await fetch()
        except MayarError as error:
            entry.failure = error
            entry.due = self._now() + self._pause
        else:
            entry.failure = None
            entry.as_of = entry.tried
            entry.due = self._now() + self._ttl
        finally:
            entry.flight = None

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def aclose(self) -> None:
        """Give up what is being fetched."""
        for flight in self._flights:
            flight.cancel()
        if self._flights:
            await asyncio.wait(self._flights)
