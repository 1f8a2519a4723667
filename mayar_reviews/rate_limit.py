"""The request budget: never more than N requests in any window, and hardly slower than that.

Each request takes one of N slots. Its slot comes back `per` seconds after its *answer*. The
server counts a request when it arrives, which is never later than its answer. So no window at
the server holds more than N, whatever the latency. A limiter that stamps slots when they are
taken lets 23-31 requests through instead of 20, a token bucket up to 40.

A 429 pauses the whole budget. A pause of more than two windows is not believed blindly: every two
windows one request is let through, and when the server accepts it the pause is over.

A budget within another one takes a slot of both, or none: while a request waits for the larger
one, it uses nothing of its own. A 429 does not say whose limit was met, a key's or its address's.
It pauses the budget that its request was sent with. When another part of the same larger budget
gets one too, and no request sent since the first has been accepted, the larger one is paused.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import math
import sys
import threading
from bisect import bisect_left, insort
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from operator import itemgetter
from typing import Generic, NoReturn, Protocol, TypeVar, runtime_checkable

from attrs import define, field, frozen

from .checks import check_integer, check_seconds, check_type
from .errors import APIError, DeadlineExceededError

T = TypeVar("T")

# A timer may fire a clock tick early, and two clocks never agree to the last digit: slots come
# back this many seconds late, and timers hand them out this many seconds early.
_MARGIN = 0.001
_EARLY = 0.0005
LONG_PAUSE = 120.0
"""Seconds: two windows of the limits that Mayar documents."""
_log = logging.getLogger("mayar_reviews")
_arrivals = itertools.count()


@runtime_checkable
class RateLimiter(Protocol):
    """A budget of requests: `RateLimit`, `redis.RedisRateLimit`, or one of your own."""

    def slot(
        self, until: float | None = None, on_wait: Callable[[float], None] | None = None
    ) -> AbstractAsyncContextManager[None]:
        """Hold a slot for one request. An exception that leaves it tells how the request ended.

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
    _release: Callable[[T, BaseException | None], None]
    _until: float | None
    _on_wait: Callable[[float], None] | None
    _ticket: T = field(init=False)

    async def __aenter__(self) -> None:
        self._ticket = await self._acquire(self._until, self._on_wait)

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._release(self._ticket, error)


@frozen
class _Ticket:
    loop: asyncio.AbstractEventLoop
    taken: float
    """When; of a part's slot, when the larger budget gave one too."""


class RateLimit:
    """A budget of requests, shared by every client that it is given to.

    Waiters are served in the order in which they came. A waiter that is cancelled takes no slot.
    A budget belongs to one event loop at a time.

    Args:
        requests: how many requests any window may hold; at least 1. Mayar documents 20 a minute
            for an address; newer pages say 50 a minute for a key.
        per: the length of the window in seconds; more than 0.
        within: a larger budget. Every request takes a slot of both, in the order in which the
            requests came. Give a bulk job `RateLimit(14, per=60, within=budget)` of a budget of
            20, and page views keep the rest. Or give each key its limit within that of its
            address. A 429 pauses this budget, and those who take from the larger one directly;
            its other parts only when a second part gets one too.

    Raises:
        InvalidArgumentError: an argument is outside its limits.

    https://docs.mayar.id/api-reference-v2
    """

    def __init__(self, requests: int, per: float, *, within: RateLimiter | None = None) -> None:
        check_integer("requests", requests, 1)
        check_seconds("per", per)
        if within is not None:
            check_rate_limiter("within", within)
        self._within = within
        self._requests = requests
        self._per = per
        self._free = requests
        self._returns: deque[float] = deque()  # when the slots of answered requests come back
        # Waiters in the order in which they came: a number, and the parts that gave them a slot
        # already. One that is cancelled is taken out at once.
        self._queue: list[tuple[int, asyncio.Future[_Ticket], tuple[RateLimit, ...]]] = []
        self._paused_until = -math.inf
        self._probe_every = 2 * per if per >= 1 else LONG_PAUSE
        self._probe_at = math.inf
        self._limited_at = -math.inf  # when the last 429 came
        # When a pause began, or the largest budget let a request of this part go since.
        self._let_go_at = -math.inf
        # The part that got the last 429, when it got it, and until when direct requests wait.
        self._refused: tuple[RateLimit, float, float] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._entering = threading.Lock()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a RateLimit cannot be pickled or copied: a copy would be a second budget. "
            "Give the same object to each client"
        )

    def __repr__(self) -> str:
        within = "" if self._within is None else f", within={self._within!r}"
        return f"RateLimit({self._requests}, per={self._per:g}{within})"

    def slot(
        self, until: float | None = None, on_wait: Callable[[float], None] | None = None
    ) -> AbstractAsyncContextManager[None]:
        """Hold a slot for one request; see `RateLimiter.slot`."""
        return self._slot(next(_arrivals), (), until, on_wait)

    def _slot(
        self,
        arrival: int,
        parts: tuple[RateLimit, ...],
        until: float | None,
        on_wait: Callable[[float], None] | None,
    ) -> AbstractAsyncContextManager[None]:
        if self._within is None:
            acquire = functools.partial(self._acquire, arrival, parts)
            return Slot(acquire, self._release, until, on_wait)
        return self._slot_within(self._within, arrival, parts, until, on_wait)

    @asynccontextmanager
    async def _slot_within(
        self,
        whole: RateLimiter,
        arrival: int,
        parts: tuple[RateLimit, ...],
        until: float | None,
        on_wait: Callable[[float], None] | None,
    ) -> AsyncGenerator[None, None]:
        # Our own slot is taken first. It uses nothing of our budget while it waits for the other.
        ticket = await self._acquire(arrival, parts, until, on_wait)
        error: BaseException | None = None
        used = False
        try:
            if isinstance(whole, RateLimit):
                slot = whole._slot(  # noqa: SLF001  our own class
                    arrival, (*parts, self), until, on_wait
                )
            else:
                slot = whole.slot(until, on_wait)
            async with slot:
                used = True
                ticket = _Ticket(ticket.loop, self._now())
                yield
        except BaseException as caught:
            error = caught
            raise
        finally:
            if used:
                self._release(ticket, error)
            else:
                self._put_back(ticket)

    async def pause(self, seconds: float) -> None:
        """Hand out no slot for so many seconds: the server has answered 429."""
        self._enter(asyncio.get_running_loop())
        now = self._now()
        if self._paused_until <= now:
            _log.warning("the rate limit is reached: pausing for %.1f s", seconds)
            self._probe_at = now + self._probe_every
            self._let_go_at = now
        self._limited_at = now
        self._paused_until = max(self._paused_until, now + seconds)
        self._serve()
        if isinstance(self._within, RateLimit):
            await self._within._part_refused(self, seconds)  # noqa: SLF001
        elif self._within is not None:
            await self._within.pause(seconds)

    async def _part_refused(self, part: RateLimit, seconds: float) -> None:
        self._enter(asyncio.get_running_loop())
        now = self._now()
        before = self._refused
        if before is not None and before[0] is not part and before[2] > now:
            await self.pause(seconds)
        else:
            # No longer than that: the part may have nothing more to send that would end it.
            until = now + min(seconds, self._probe_every)
            if before is not None and before[0] is part:
                until = max(until, before[2])
            self._refused = part, now, until

    async def _acquire(
        self,
        arrival: int,
        parts: tuple[RateLimit, ...],
        until: float | None,
        on_wait: Callable[[float], None] | None,
    ) -> _Ticket:
        loop = asyncio.get_running_loop()
        self._enter(loop)
        self._serve()
        now = self._now()
        opens_at = self._opens_for(parts)
        if self._free and max(self._opens_at, opens_at) <= now:
            return self._hand_out(now, parts)  # nobody waits for it: they would have been served
        turn = max(self._turn(now, arrival), opens_at)
        if until is not None and turn > until:
            raise DeadlineExceededError(
                f"the rate limit has no free slot for {turn - now:.1f} s; the deadline is sooner"
            )
        if on_wait is not None:
            on_wait(turn - now)
        waiter: asyncio.Future[_Ticket] = loop.create_future()
        insort(self._queue, (arrival, waiter, parts))
        self._serve()
        try:
            async with asyncio.timeout_at(until):
                return await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():
                self._free += 1  # it was given a slot just as it gave up
            else:
                place = bisect_left(self._queue, arrival, key=itemgetter(0))
                if place < len(self._queue) and self._queue[place][1] is waiter:
                    del self._queue[place]
            self._serve()
            if not isinstance(error, TimeoutError):
                raise
        raise DeadlineExceededError("the deadline passed while waiting for the rate limit")

    def _release(self, ticket: _Ticket, error: BaseException | None) -> None:
        if ticket.loop is not self._loop:
            return  # its loop was closed, and `_enter` has taken the slot back
        accepted = error is None or (isinstance(error, APIError) and not error.transient)
        if accepted and self._limited_at < ticket.taken and self._now() < self._paused_until:
            _log.warning("the server accepts requests again: the pause is over")
            self._paused_until = -math.inf
            self._serve_larger()
        if accepted and self._refused is not None and ticket.taken >= self._refused[1]:
            self._refused = None
            self._serve_larger()
        self._give_back()

    def _put_back(self, ticket: _Ticket) -> None:
        """Take back a slot that no request has used."""
        if ticket.loop is self._loop:
            self._free += 1
            if isinstance(self._within, RateLimit):
                self._probe_at = self._let_go_at + self._probe_every  # it tried nothing
            self._serve()

    def _give_back(self) -> None:
        self._returns.append(self._now() + self._per + _MARGIN)
        self._serve()

    def _turn(self, now: float, arrival: int) -> float:
        """Return the earliest loop time at which a new waiter can be served."""
        before = bisect_left(self._queue, arrival, key=itemgetter(0))
        rounds, place = divmod(before, self._requests)
        if place < self._free:
            turn = now
        elif place < self._free + len(self._returns):
            turn = self._returns[place - self._free]
        else:
            turn = now + self._per  # a request that has no answer yet holds its slot
        return max(turn, self._opens_at) + rounds * self._per

    @property
    def _opens_at(self) -> float:
        """When a slot may be handed out again: after the pause, or before, to probe it."""
        return min(self._paused_until, self._probe_at)

    @property
    def _lets_go_at(self) -> float:
        """When a request that has a slot of this part may have one of the larger budget."""
        return min(self._paused_until, self._let_go_at + self._probe_every)

    @property
    def _opens_directly_at(self) -> float:
        """When a 429 of a part lets those have a slot that take from this budget directly."""
        return -math.inf if self._refused is None else self._refused[2]

    def _opens_for(self, parts: tuple[RateLimit, ...]) -> float:
        """When the 429s of parts let a request have a slot that has one of these already."""
        if not parts:
            return self._opens_directly_at
        return max(parts[0]._opens_directly_at, *(part._lets_go_at for part in parts))  # noqa: SLF001

    def _hand_out(self, now: float, parts: tuple[RateLimit, ...]) -> _Ticket:
        """Take a free slot."""
        assert self._loop is not None
        if not isinstance(self._within, RateLimit):
            for part in parts:
                part._let_go_at = now  # noqa: SLF001
                part._probe_at = now + part._probe_every  # noqa: SLF001
        self._free -= 1
        self._probe_at = now + self._probe_every
        return _Ticket(self._loop, self._now())

    def _serve_larger(self) -> None:
        """Serve those that wait in the larger budgets: a 429 that is over held them up."""
        whole = self._within
        while isinstance(whole, RateLimit):
            whole._serve()  # noqa: SLF001
            whole = whole._within  # noqa: SLF001

    def _serve(self) -> None:
        """Take back the slots that are due, give them to waiters, set a timer for the rest."""
        now = self._now() + _EARLY
        while self._returns and self._returns[0] <= now:
            self._returns.popleft()
            self._free += 1
        while self._free and self._opens_at <= now:
            place = next(
                (n for n, one in enumerate(self._queue) if self._opens_for(one[2]) <= now), None
            )
            if place is None:
                break
            _, waiter, parts = self._queue.pop(place)
            if not waiter.done():
                waiter.set_result(self._hand_out(now, parts))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._loop is not None and self._queue and (self._free or self._returns):
            due = max(now if self._free else self._returns[0], self._opens_at)
            if due <= now:  # those that are left are held up by a 429 of a part
                due = min(self._opens_for(parts) for _, _, parts in self._queue)
            self._timer = self._loop.call_at(due, self._serve)

    def _enter(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is self._loop:
            return
        with self._entering:  # two loops of two threads may come at the same moment
            under_way = self._requests - self._free - len(self._returns)
            in_use = self._queue or under_way
            if self._loop is not None and not self._loop.is_closed() and in_use:
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


def check_rate_limiter(name: str, value: object) -> None:
    """Refuse what is not a rate limiter."""
    if not isinstance(value, RateLimit):  # to compare with the protocol is slow
        check_type(name, value, RateLimiter)
