"""One call of a public method: attempts, waits and the one deadline that holds them all.

The loop is the same for every endpoint: take a slot, send, understand, decide, wait. What a
failure means is known to `errors`, whether it is tried again to `retry`, what became of an
interrupted creation to `creation`.
"""

from __future__ import annotations

import logging
import math
import random
from asyncio import CancelledError, get_running_loop, sleep
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from attrs import define, field, frozen

from .errors import (
    APIError,
    ConflictError,
    DeadlineExceededError,
    MayarError,
    OutcomeUnknownError,
    RateLimitError,
    ResponseError,
    TransportError,
)
from .events import RequestEvent
from .rate_limit import Budget
from .retry import RetryPolicy
from .transport import Transport
from .wire import Answer, Endpoint, decode

T = TypeVar("T")
Settle = Callable[[MayarError, MayarError], Awaitable[T | None]]

_log = logging.getLogger("mayar_reviews")
_log.addHandler(logging.NullHandler())  # who has not configured logging wants to see nothing
# Without a deadline somebody is patient, but not with a server that says "tomorrow".
_LONGEST_WAIT = 3600.0
# A timer fires a little before or after its time; this near to the deadline is at it.
_AT_THE_DEADLINE = 0.001


@frozen
class Caller:
    """What the calls of one client have in common."""

    transport: Transport
    rate_limit: Budget
    retry: RetryPolicy
    timeout: float
    deadline: float | None
    observers: tuple[Callable[[RequestEvent], object], ...]

    async def run(self, endpoint: Endpoint[T]) -> T:
        """Make a call of that one endpoint."""
        call = Call(self)
        call.start()
        return await call.run(endpoint)


@define
class Call:
    """The state of one call: how much time is left, how many exchanges were started."""

    _caller: Caller
    _until: float = field(default=math.inf, init=False)
    attempts: int = field(default=0, init=False)
    _before: int = field(default=0, init=False)
    _settling: bool = field(default=False, init=False)

    def start(self) -> None:
        """Start the call's deadline.

        Raises:
            RuntimeError: the client is closed, or belongs to another event loop.
        """
        self._caller.transport.check_usable()
        self.go_on()

    def go_on(self) -> None:
        """Start the deadline anew, for the next page or chunk of a long call."""
        self._before = self.attempts
        deadline = math.inf if self._caller.deadline is None else self._caller.deadline
        self._until = get_running_loop().time() + deadline

    async def run(self, endpoint: Endpoint[T], settle: Settle[T] | None = None) -> T:
        """Send the request until it is answered, refused, or not worth trying again.

        Args:
            endpoint: the request.
            settle: finds out what became of a write that cannot simply be repeated, given the
                last failure and the one that left the doubt: returns what it made, or `None`
                when it is known to be not there.

        Raises:
            MayarError: what ended the call, with `attempts`; `OutcomeUnknownError` for a write
                of which any attempt may have taken effect.
        """
        failed = refused = 0
        failure: MayarError | None = None
        doubt: MayarError | None = None
        while True:
            outcome = await self._attempt(endpoint)
            if not isinstance(outcome, MayarError):
                return outcome
            if outcome.in_doubt and endpoint.method != "GET":
                doubt = outcome
            if self._cut_short(outcome):
                outcome = DeadlineExceededError("the deadline passed before the answer was here")
            if isinstance(outcome, DeadlineExceededError):
                # What failed before says more than that time has run out.
                raise self._end(endpoint, failure or outcome, doubt)
            failure = outcome
            replayable = endpoint.replayable
            if settle and doubt and (doubt is failure or isinstance(failure, ConflictError)):
                found = await self._settled(settle, failure, doubt)
                if found is not None:
                    return found
                replayable = True
                # Known to be not there, it may be sent again, whatever was unreadable.
                failure.transient |= isinstance(failure, ResponseError)
            if limited := isinstance(failure, RateLimitError):
                refused += 1
            else:
                failed += 1
            delay = self._caller.retry.delay(
                failure, refused if limited else failed, replayable, random.random
            )
            gives_up = delay is None or self._caller.transport.closed or delay > self._patience()
            if isinstance(failure, RateLimitError):
                await self._pause(failure.retry_after if delay is None else delay, gives_up)
            if delay is None or gives_up:
                raise self._end(endpoint, failure, doubt)
            if not limited:  # else the rate limit makes all of the client wait
                await self.wait(endpoint, delay, "retry")

    async def wait(
        self, endpoint: Endpoint[object], seconds: float, reason: Literal["retry", "look_up"]
    ) -> bool:
        """Sleep before sending `endpoint`, unless that would outlive the deadline: `False`."""
        if seconds > self._patience():
            return False
        self._tell("wait", endpoint, None, seconds, reason)
        await sleep(seconds)
        return True

    def _patience(self) -> float:
        if math.isinf(self._until):
            return _LONGEST_WAIT
        return self._until - get_running_loop().time()

    async def _attempt(self, endpoint: Endpoint[T]) -> T | MayarError:
        """One exchange; a failure is returned, without the frames that held the answer."""
        caller = self._caller
        loop = get_running_loop()
        answer: Answer | None = None
        outcome: T | MayarError
        before, started = self.attempts, loop.time()
        try:
            async with caller.rate_limit.slot(
                None if math.isinf(self._until) else self._until,
                lambda seconds: self._tell("wait", endpoint, None, seconds, "rate_limit"),
            ):
                started = loop.time()
                limit = min(caller.timeout, self._until - started)
                if limit <= 0:
                    raise DeadlineExceededError("the deadline passed before anything was sent")
                caller.transport.check_open()
                self.attempts += 1
                answer = await caller.transport.send(endpoint, limit)
            outcome = self._understand(endpoint, answer)
        except MayarError as error:
            outcome = error.with_traceback(None)
        except CancelledError:
            if self.attempts > before:
                seconds = loop.time() - started
                self._tell("attempt", endpoint, None, seconds, "CancelledError")
            raise
        if self.attempts == before:
            return outcome  # there was no slot to be had
        reason = type(outcome).__name__ if isinstance(outcome, MayarError) else None
        seconds = loop.time() - started
        self._tell("attempt", endpoint, None if answer is None else answer.status, seconds, reason)
        return outcome

    def _understand(self, endpoint: Endpoint[T], answer: Answer) -> T:
        try:
            return decode(endpoint, answer)
        except APIError as error:
            clean = self._caller.transport.without_key  # a server may repeat it
            error.messages, error.request_id = clean(error.messages), clean(error.request_id)
            error.args = (error.messages,)
            try:
                error.data = clean(error.data)
            except RecursionError:
                error.data = None  # nobody can use, or pickle, what is nested so deep
            raise

    def _cut_short(self, failure: MayarError) -> bool:
        """Whether it was the deadline that ended the attempt."""
        late = get_running_loop().time() >= self._until - _AT_THE_DEADLINE
        return late and isinstance(failure, TransportError)

    async def _pause(self, seconds: float | None, gives_up: bool) -> None:
        """One 429 holds back the whole client, unless nobody waits for the unbelievable."""
        if seconds is not None and (seconds <= _LONGEST_WAIT or not gives_up):
            await self._caller.rate_limit.pause(seconds)

    async def _settled(self, settle: Settle[T], failure: MayarError, doubt: MayarError) -> T | None:
        self._settling = True  # what fails meanwhile is not what the caller called
        try:
            return await settle(failure, doubt)
        finally:
            self._settling = False

    def _end(
        self, endpoint: Endpoint[object], failure: MayarError, doubt: MayarError | None
    ) -> MayarError:
        """What to raise, in view of everything that happened."""
        failure.attempts = self.attempts
        if doubt is not None:
            return self.in_doubt(endpoint, doubt)
        refused = isinstance(failure, APIError) and not failure.transient
        if not refused and not self._settling:
            self._warn(endpoint, failure)
        return failure

    def in_doubt(self, endpoint: Endpoint[object], cause: MayarError) -> OutcomeUnknownError:
        """The error for a write that may or may not have happened."""
        error = OutcomeUnknownError(f"{endpoint.name} may or may not have happened: {cause}")
        error.__cause__ = cause
        error.attempts = cause.attempts = self.attempts
        self._warn(endpoint, cause)
        return error

    def _warn(self, endpoint: Endpoint[object], failure: MayarError) -> None:
        _log.warning(
            "%s gave up after %d attempts: %s",
            endpoint.name,
            self.attempts - self._before,
            type(failure).__name__,
        )

    def _tell(
        self,
        kind: Literal["attempt", "wait"],
        endpoint: Endpoint[object],
        status_code: int | None,
        seconds: float,
        reason: str | None,
    ) -> None:
        if kind == "attempt":
            _log.debug(
                "%s %s -> %s in %.3f s (attempt %d)",
                endpoint.method,
                endpoint.route,
                status_code or reason,
                seconds,
                self.attempts - self._before,
            )
        if not self._caller.observers:
            return
        attempt = self.attempts - self._before + (kind == "wait")
        event = RequestEvent(
            kind=kind,
            endpoint=endpoint.name,
            method=endpoint.method,
            route=endpoint.route,
            attempt=attempt,
            status_code=status_code,
            seconds=seconds,
            reason=reason,
        )
        for on_event in self._caller.observers:
            try:
                on_event(event)
            except Exception:
                # An observer's fault must not hide what became of a write.
                _log.exception("on_event raised")
