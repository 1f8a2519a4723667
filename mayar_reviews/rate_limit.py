"""The request budget: never more than N requests in any window, and hardly slower than that.

Each request takes one of N slots. Its slot comes back `per` seconds after its *answer*. The
server counts a request when it arrives, which is never later than its answer. So no window at
the server holds more than N, whatever the latency. A limiter that stamps slots when they are
taken lets 23-31 requests through instead of 20, a token bucket up to 40.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, NoReturn, Protocol, TypeVar, runtime_checkable

from attrs import define, field

from .checks import check_integer, check_seconds
from .errors import DeadlineExceededError

T = TypeVar("T")

# A timer may fire a clock tick early, and two clocks never agree to the last digit: slots come
# back this many seconds late, and timers hand them out this many seconds early.
_MARGIN = 0.001
_EARLY = 0.0005
_log = logging.getLogger("mayar_reviews")


@runtime_checkable
class RateLimiter(Protocol):
    """A budget of requests: `RateLimit`, `redis.RedisRateLimit`, or one of your own."""

    def slot(
        self, until: float | None = None, on_wait: Callable[[float], None] | None = None
    ) -> AbstractAsyncContextManager[None]:
        """Hold a slot for one request.

        Args:
            until: the loop time after which waiting is useless; `None`: wait as long as it
                takes.
            on_wait: is called before a wait, with the seconds that it will take at least.

        Raises:
            DeadlineExceededError: no slot comes free by then.
            RuntimeError: the budget is in use in another event loop.
        """
        ...  # pyright takes a docstring alone for a body

    async def pause(self, seconds: float) -> None:
        """Hand out no slot for so many seconds: the server has answered 429."""


@define(eq=False)
class Slot(Generic[T]):
    """One slot of a budget, held while it is entered."""

    _acquire: Callable[[float | None, Callable[[float], None] | None], Awaitable[T]]
    _release: Callable[[T], None]
    _until: float | None
    _on_wait: Callable[[float], None] | None
    _ticket: T = field(init=False)

    async def __aenter__(self) -> None:
        self._ticket = await self._acquire(self._until, self._on_wait)

    async def __aexit__(self, *_: object) -> None:
        self._release(self._ticket)


class RateLimit:
    """A budget of requests, shared by every client that it is given to.

    Waiters are served in the order in which they came. A waiter that is cancelled takes no slot.
    A budget belongs to one event loop at a time.

    Args:
        requests: how many requests any window may hold; at least 1. Mayar documents 20 a minute
            for an address; newer pages say 50 a minute for a key.
        per: the length of the window in seconds; more than 0.

    Raises:
        InvalidArgumentError: an argument is outside its limits.

    https://docs.mayar.id/api-reference-v2
    """

    def __init__(self, requests: int, per: float) -> None:
        check_integer("requests", requests, 1)
        check_seconds("per", per)
        self._requests = requests
        self._per = per
        self._free = requests
        self._returns: deque[float] = deque()  # when the slots of answered requests come back
        self._queue: deque[asyncio.Future[None]] = deque()
        self._paused_until = -math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a RateLimit cannot be pickled or copied: a copy would be a second budget. "
            "Give the same object to each client"
        )

    def __repr__(self) -> str:
        return f"RateLimit({self._requests}, per={self._per:g})"

    def slot(
        self, until: float | None = None, on_wait: Callable[[float], None] | None = None
    ) -> AbstractAsyncContextManager[None]:
        """Hold a slot for one request; see `RateLimiter.slot`."""
        return Slot(self._acquire, self._release, until, on_wait)

    async def pause(self, seconds: float) -> None:
        """Hand out no slot for so many seconds: the server has answered 429."""
        self._enter(asyncio.get_running_loop())
        now = self._now()
        if self._paused_until <= now:
            _log.warning("the rate limit is reached: pausing for %.1f s", seconds)
        self._paused_until = max(self._paused_until, now + seconds)
        self._serve()

    async def _acquire(
        self, until: float | None, on_wait: Callable[[float], None] | None
    ) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        self._enter(loop)
        self._serve()
        now = self._now()
        if self._free and self._paused_until <= now:  # nobody waits: they would have been served
            self._free -= 1
            return loop
        turn = self._turn(now)
        if until is not None and turn > until:
            raise DeadlineExceededError(
                f"the rate limit has no free slot for {turn - now:.1f} s; the deadline is sooner"
            )
        if on_wait is not None:
            on_wait(turn - now)
        waiter = loop.create_future()
        self._queue.append(waiter)
        self._serve()
        try:
            async with asyncio.timeout_at(until):
                await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():
                self._free += 1  # it was given a slot just as it gave up
            elif waiter in self._queue:
                self._queue.remove(waiter)
            self._serve()
            if not isinstance(error, TimeoutError):
                raise
        else:
            return loop
        raise DeadlineExceededError("the deadline passed while waiting for the rate limit")

    def _release(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is self._loop:  # else its loop was closed, and `_enter` has taken the slot back
            self._give_back()

    def _give_back(self) -> None:
        self._returns.append(self._now() + self._per + _MARGIN)
        self._serve()

    def _turn(self, now: float) -> float:
        """Return the earliest loop time at which a new waiter can be served."""
        rounds, place = divmod(len(self._queue), self._requests)
        if place < self._free:
            turn = now
        elif place < self._free + len(self._returns):
            turn = self._returns[place - self._free]
        else:
            turn = now + self._per  # a request that has no answer yet holds its slot
        return max(turn, self._paused_until) + rounds * self._per

    def _serve(self) -> None:
        """Take back the slots that are due, give them to waiters, set a timer for the rest."""
        now = self._now() + _EARLY
        while self._returns and self._returns[0] <= now:
            self._returns.popleft()
            self._free += 1
        while self._queue and self._free and self._paused_until <= now:
            waiter = self._queue.popleft()
            if not waiter.done():
                waiter.set_result(None)
                self._free -= 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._loop is not None and self._queue and (self._free or self._returns):
            due = now if self._free else self._returns[0]
            self._timer = self._loop.call_at(max(due, self._paused_until), self._serve)

    def _enter(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is self._loop:
            return
        under_way = self._requests - self._free - len(self._returns)
        if self._loop is not None and not self._loop.is_closed() and (self._queue or under_way):
            raise RuntimeError("this RateLimit is in use in another event loop")
        self._timer = None
        self._loop = loop
        self._queue.clear()
        for _ in range(under_way):  # requests that a closed loop left behind: perhaps just sent
            self._give_back()

    def _now(self) -> float:
        assert self._loop is not None
        return self._loop.time()


def unpaced() -> RateLimit:
    """Return a budget that never paces, but still pauses after a 429."""
    return RateLimit(sys.maxsize, per=1e-6)
