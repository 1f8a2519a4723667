"""Waiting out an outage of the API: how long, and when to give up.

The client's own retries come first. A step that still fails is repeated here, for up to an hour.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import define

from mayar_reviews import (
    AuthenticationError,
    ConnectionFailedError,
    MayarError,
    RateLimitError,
    RequestEvent,
    RetryPolicy,
)

T = TypeVar("T")

# 5, 10, 20 ... 300 seconds: `_no_jitter` draws the longest wait that the policy allows.
_SHORTEST_WAIT = 5.0
_RETRY = RetryPolicy(attempts=sys.maxsize, backoff_initial=_SHORTEST_WAIT, backoff_max=300.0)
# Longer than a deployment or a reboot takes. After that a person should find an error, not a job
# that hangs.
_LONGEST_OUTAGE = 3600.0


def _no_jitter() -> float:
    return 1.0


@define(eq=False)
class ApiHealth:
    """What the files of one export know about the API. They share it."""

    reached: bool = False
    """Whether the API has ever answered. If not, the address may be wrong: do not wait."""
    failing_since: float | None = None
    """The loop time of the first failure after the last answer to any file."""
    rejected_key: AuthenticationError | None = None
    """The API refused the key: the other files need not try it."""


class Patience:
    """Repeats a step of one file until an outage is over.

    Args:
        health: shared by all files of the export.
        on_wait: called with the reason, the seconds and the failure before each wait.
    """

    def __init__(
        self, health: ApiHealth, on_wait: Callable[[str, float, str | None], object]
    ) -> None:
        self._health = health
        self._on_wait = on_wait
        self._failing_since: float | None = None
        self._failures = 0
        self._asked_at = 0.0

    def on_event(self, event: RequestEvent) -> None:
        """Note whether the API can be reached."""
        self._health.reached |= event.status_code is not None

    def answered(self) -> None:
        """Note that the API works: the outage is over."""
        self._failing_since = self._health.failing_since = None
        self._failures = 0
        self._asked_at = asyncio.get_running_loop().time()

    async def outlast(self, step: Callable[[], Awaitable[T]]) -> T:
        """Run a step, and run it again until it succeeds.

        Raises:
            MayarError: a retry would fail the same way, or the outage lasts too long.
        """
        while True:
            self._asked_at = asyncio.get_running_loop().time()
            try:
                done = await step()
            except MayarError as error:
                failure = error
            else:
                self.answered()
                return done
            wait = self._delay(failure)
            if wait is None:
                raise failure
            self._on_wait("outage", wait, str(failure))
            await asyncio.sleep(wait)

    def _delay(self, failure: MayarError) -> float | None:
        """Return how long to wait before the next try, in seconds; `None`: give up."""
        if isinstance(failure, ConnectionFailedError) and not self._health.reached:
            return None
        self._failures += 1
        delay = _RETRY.delay(failure, self._failures, draw=_no_jitter)
        if delay is None:
            return None
        wait = max(delay, _SHORTEST_WAIT)
        now = asyncio.get_running_loop().time()
        # The client itself waits for a 429, as long as the deadline of the page allows.
        began = self._asked_at if isinstance(failure, RateLimitError) else now
        # Two clocks. This file's own: one product may fail for ever while others succeed. The
        # shared one: a hundred products must not wait for an hour each in the same outage.
        self._failing_since = self._failing_since or began
        self._health.failing_since = self._health.failing_since or began
        lasted = now - min(self._failing_since, self._health.failing_since)
        return wait if lasted + wait <= _LONGEST_OUTAGE else None
