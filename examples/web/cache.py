"""A cache that would rather show something old than an error, and never waits long for better.

What is fresh is served at once. What is a little older is served at once too, while one task
fetches it anew, however many ask. What is very old or known to have changed is waited for, but
only for a moment: then the old value will do. A failure leaves the old value in place and puts
the next attempt off: five seconds at first, fifteen in a long outage.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Generic, TypeVar

from attrs import define, frozen

from mayar_reviews import DeadlineExceededError, MayarError

T = TypeVar("T")

_log = logging.getLogger(__name__)


@frozen
class Snapshot(Generic[T]):
    """What the cache knows: a value, the failure of the last attempt to renew it, or both."""

    value: T | None
    as_of: float
    """The event loop's time when the fetch of the value began; -inf: it never succeeded."""
    failure: MayarError | None
    outdated: bool
    """Whether the value is older than it should be, and a newer one could not be had in time."""

    @property
    def known(self) -> bool:
        """Whether there is a value, which may be `None`."""
        return self.as_of > -math.inf


@define
class _Entry:
    value: Any = None
    as_of: float = -math.inf
    failure: MayarError | None = None
    failures: int = 0
    tried: float = -math.inf
    due: float = -math.inf
    flight: asyncio.Task[None] | None = None


class Cache:
    """A time-to-live cache for one event loop.

    Args:
        ttl: seconds for which a value is fresh; for ten times as long it is good enough to be
            served while a new one is fetched.
        pause: seconds after a failure during which nothing is asked for again; they double with
            each further failure, up to three times as many.
        size: how many values to keep; the least recently used goes first.
    """

    PATIENCE = 0.4
    """Seconds to wait for something newer than what is there."""
    FIRST = 3.0
    """Seconds to wait where nothing is there."""

    def __init__(self, ttl: float, *, pause: float = 5.0, size: int = 1000) -> None:
        self._ttl = ttl
        self._pause = pause
        self._size = size
        self._entries: dict[Hashable, _Entry] = {}
        self._flights: set[asyncio.Task[None]] = set()

    def __contains__(self, key: Hashable) -> bool:
        """Whether somebody has asked for it before."""
        return key in self._entries

    def as_of(self, key: Hashable) -> float:
        """The event loop's time of a value; -inf: there is none."""
        entry = self._entries.get(key)
        return -math.inf if entry is None else entry.as_of

    async def get(
        self,
        key: Hashable,
        fetch: Callable[[], Awaitable[T]],
        not_before: float = 0.0,
        *,
        patience: float | None = None,
    ) -> Snapshot[T]:
        """The value of `key`, by `fetch()` where there is none that will do.

        Args:
            key: what is asked for; its first element is its name in the log.
            fetch: gets it, or raises a `MayarError`.
            not_before: the event loop's time of the last known change: a value older than this
                is only returned when no newer one is to be had.
            patience: seconds to wait for a newer value where there is an old value; `None`:
                `PATIENCE`.
        """
        entry = self._entries.pop(key, None) or _Entry()
        self._entries[key] = entry
        if len(self._entries) > self._size:
            del self._entries[next(iter(self._entries))]
        now = self._now()
        if patience is None:
            patience = self.PATIENCE
        until = now + (patience if entry.as_of > -math.inf else max(patience, self.FIRST))
        changed, not_before = not_before, max(not_before, now - 10 * self._ttl)
        while True:
            if entry.flight is None:
                if self._now() < entry.due and entry.tried >= changed:
                    break
                entry.flight = asyncio.create_task(self._renew(key, entry, fetch))
                self._flights.add(entry.flight)
                entry.flight.add_done_callback(self._flights.discard)
            if entry.as_of >= not_before or self._now() >= until:
                break
            flight = entry.flight
            await asyncio.wait({flight}, timeout=until - self._now())
            if flight.done():
                flight.result()  # a fault of ours, not of Mayar's, is not to be hidden
        failure = entry.failure
        if failure is None and entry.as_of == -math.inf:
            failure = DeadlineExceededError(f"Mayar has not answered within {self.FIRST:g} s")
        old = entry.failure is not None and self._now() - entry.as_of > 2 * self._ttl
        return Snapshot(entry.value, entry.as_of, failure, old or entry.as_of < not_before)

    async def _renew(self, key: Hashable, entry: _Entry, fetch: Callable[[], Awaitable[T]]) -> None:
        entry.tried = self._now()
        try:
            entry.value = await fetch()
        except MayarError as error:
            if type(entry.failure) is not type(error):  # an outage is told once
                _log.warning("reading %s failed: %s", key, explain(error))
            entry.failure = error
            entry.due = self._now() + self._pause * min(2**entry.failures, 3)
            entry.failures = min(entry.failures + 1, 2)
        else:
            if entry.failure is not None:
                _log.warning("reading %s works again", key)
            entry.failure, entry.failures = None, 0
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


def explain(error: MayarError) -> str:
    """A failure for the log: its kind, not its text, as Mayar's own words might name a customer."""
    status = getattr(error, "status_code", None)
    answered = f", HTTP {status}" if status else ""
    return f"{type(error).__name__}{answered}, after {error.attempts} attempts"
