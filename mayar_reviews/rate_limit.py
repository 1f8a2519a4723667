"""The request budget: never more than N requests in any window, and hardly slower than that.

Each request takes one of N slots, and its slot comes back `per` seconds after its *answer*.
As the server counts on arrival, and an arrival is never later than its answer, no window at
the server can hold more than N, whatever the latency; stamping slots when they are taken
lets 23-31 through of 20, a token bucket up to 40.

Who waits, for what, and what a 429 means is the business of `call`.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NoReturn, Protocol, runtime_checkable

from .arguments import check_seconds, check_whole
from .errors import DeadlineExceededError

# A timer may fire a clock tick early, and two clocks never agree to the last digit: slots come
# back this many seconds late, and are handed out by timers that are this much early.
_MARGIN = 0.001
_EARLY = 0.0005
_log = logging.getLogger("mayar_reviews")


@runtime_checkable
class Budget(Protocol):
    """What a client needs of a budget; `RateLimit` has it, and `redis.RedisRateLimit`."""

    def slot(
        self, until: float | None = None, on_wait: Callable[[float], None] | None = None
    ) -> AbstractAsyncContextManager[None]:
        """Hold a slot for one request."""
        ...  # pyright takes a docstring alone for a body

    async def pause(self, seconds: float) -> None:
        """Hand out no slot for so long."""


class RateLimit:
    """A budget of requests, shared by every client that it is given to.

    First come, first served; a waiter that is cancelled takes no slot. It belongs to one event
    loop at a time, and starts no task.

    Args:
        requests: how many requests any window may hold; at least 1. Mayar documents 20 a
            minute for an address, newer pages 50 a minute for a key.
        per: the window's length in seconds; more than 0.

    Raises:
        InvalidArgumentError: an argument is outside its limits.

    https://docs.mayar.id/api-reference-v2
    """

    def __init__(self, requests: int, per: float) -> None:
        check_whole("requests", requests, 1)
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
        raise TypeError("a RateLimit cannot be pickled or copied: a copy would be another budget")

    def __repr__(self) -> str:
        return f"RateLimit({self._requests}, per={self._per:g})"

    @asynccontextmanager
    async def slot(
        self, until: float | None = None, on_wait: Callable[[float], None] | None = None
    ) -> AsyncGenerator[None, None]:
        """Hold a slot for one request.

        Args:
            until: the loop time after which waiting is useless; `None`: wait as long as it
                takes.
            on_wait: called with the seconds that the wait will take at least, before it.

        Raises:
            DeadlineExceededError: no slot is to be had by then; the wait is not begun.
            RuntimeError: it is in use in another event loop.
        """
        await self._take(until, on_wait)
        loop = self._loop
        try:
            yield
        finally:
            if loop is self._loop:  # else its loop was closed under it, and its slot returned
                self._give_back()

    async def pause(self, seconds: float) -> None:
        """Hand out no slot for so long: the server has said 429."""
        self._enter(asyncio.get_running_loop())
        now = self._now()
        if self._paused_until <= now:
            _log.warning("the rate limit is reached: pausing for %.1f s", seconds)
        self._paused_until = max(self._paused_until, now + seconds)
        self._serve()

    async def _take(self, until: float | None, on_wait: Callable[[float], None] | None) -> None:
        self._enter(asyncio.get_running_loop())
        self._serve()
        now = self._now()
        if self._free and self._paused_until <= now:  # nobody is before us: they were served
            self._free -= 1
            return
        turn = self._turn(now)
        if until is not None and turn > until:
            raise DeadlineExceededError(
                f"the rate limit has no slot for another {turn - now:.1f} s, the deadline is sooner"
            )
        if on_wait is not None:
            on_wait(turn - now)
        waiter = asyncio.get_running_loop().create_future()
        self._queue.append(waiter)
        self._serve()
        try:
            async with asyncio.timeout_at(until):
                await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():
                self._free += 1  # it was handed a slot in the very moment of giving up
            elif waiter in self._queue:
                self._queue.remove(waiter)
            self._serve()
            if not isinstance(error, TimeoutError):
                raise
        else:
            return
        raise DeadlineExceededError("the deadline passed while waiting for the rate limit")

    def _give_back(self) -> None:
        self._returns.append(self._now() + self._per + _MARGIN)
        self._serve()

    def _turn(self, now: float) -> float:
        """The earliest loop time at which one who queues now can be served."""
        rounds, place = divmod(len(self._queue), self._requests)
        if place < self._free:
            turn = now
        elif place < self._free + len(self._returns):
            turn = self._returns[place - self._free]
        else:
            turn = now + self._per  # its slot is with a request that has no answer yet
        return max(turn, self._paused_until) + rounds * self._per

    def _serve(self) -> None:
        """Take back the slots that are due, hand them to who waits, set a timer for the rest."""
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
        for _ in range(under_way):  # what a closed loop left behind was sent, perhaps just now
            self._give_back()

    def _now(self) -> float:
        assert self._loop is not None
        return self._loop.time()
