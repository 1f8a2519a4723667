"""One call of a public method: its deadline, its exchanges and waits, and what it tells."""

from __future__ import annotations

import logging
import math
from asyncio import CancelledError, get_running_loop, sleep
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal, Self, TypeVar

from attrs import define, field, frozen

from .answers import Answer, date_header, http_date, understand
from .endpoints import Endpoint
from .errors import APIError, DeadlineExceededError, MayarError, ResponseError
from .events import RequestEvent
from .rate_limit import LONG_PAUSE, RateLimiter
from .retry import RetryPolicy
from .transport import Transport

T = TypeVar("T")

_log = logging.getLogger("mayar_reviews")
_log.addHandler(logging.NullHandler())  # stay silent until the application configures logging
# A call without a deadline waits long, but not for a server that says "tomorrow".
LONGEST_WAIT = 3600.0
# A timer fires a little before or after its time: so many seconds early count as late.
_DEADLINE_MARGIN = 0.001


@frozen
class Settings:
    """What the calls of one client have in common."""

    transport: Transport
    rate_limit: RateLimiter
    retry: RetryPolicy
    timeout: float
    deadline: float | None
    observers: tuple[Callable[[RequestEvent], object], ...]


@define
class Call:
    """A call in progress. Each `with call:` is a part of it with a deadline of its own.

    Most calls have one part. A walk has one for each page, a bulk update one for each request.
    An error that leaves a part is complete: it has `attempts`.
    """

    settings: Settings
    _name: str
    attempts: int = field(default=0, init=False)
    """Exchanges started, over all parts."""
    sent_at: float = field(default=0.0, init=False)
    """The loop time at which the last exchange began."""
    _server_clock: tuple[str, float, float] | None = field(default=None, init=False)
    """The last `Date`, and the loop times of its request and of hearing it."""
    _attempts_before: int = field(default=0, init=False)
    """`attempts` when this part began."""
    _until: float = field(default=math.inf, init=False)

    def __enter__(self) -> Self:
        """Start the deadline.

        Raises:
            RuntimeError: the client is closed, or belongs to another event loop.
        """
        if not self.attempts:
            self.settings.transport.check_usable()
        self._attempts_before = self.attempts
        deadline = self.settings.deadline
        self._until = math.inf if deadline is None else get_running_loop().time() + deadline
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if not isinstance(error, MayarError):
            return
        cause = error.__cause__ if isinstance(error.__cause__, MayarError) else error
        error.attempts = cause.attempts = self.attempts
        refused = isinstance(error, APIError) and not error.transient
        if not refused:
            attempts = self.attempts - self._attempts_before
            _log.warning(
                "%s gave up after %d attempts: %s", self._name, attempts, type(cause).__name__
            )

    async def exchange(self, endpoint: Endpoint[T]) -> T | MayarError:
        """Send one request and read its answer.

        A failure is returned, without the frames that held the answer.
        """
        settings, loop = self.settings, get_running_loop()
        answer: Answer | None = None
        outcome: T | MayarError
        before, started = self.attempts, loop.time()
        try:
            async with settings.rate_limit.slot(
                None if math.isinf(self._until) else self._until,
                lambda seconds: self._tell("wait", endpoint, seconds, "rate_limit"),
            ):
                started = loop.time()
                limit = min(settings.timeout, self._until - started)
                if limit <= 0:
                    raise DeadlineExceededError("the deadline passed before anything was sent")
                settings.transport.check_open()
                self.attempts += 1
                self.sent_at = started
                answer = await settings.transport.send(endpoint, limit)
                if (date := date_header(answer)) is not None:
                    self._server_clock = date, started, answer.received_at
                # Inside, so that the budget hears of a 429.
                outcome = understand(
                    answer, endpoint.read, settings.transport.key, lists=endpoint.lists
                )
        except MayarError as error:
            outcome = error.with_traceback(None)
            if answer is not None and isinstance(outcome, ResponseError):
                settings.transport.drop_connection(answer)
        except CancelledError:
            if self.attempts > before:
                self._tell("attempt", endpoint, loop.time() - started, "CancelledError")
            raise
        if self.attempts > before:
            status = None if answer is None else answer.status
            reason = type(outcome).__name__ if isinstance(outcome, MayarError) else None
            seconds = loop.time() - started
            self._tell("attempt", endpoint, seconds, reason, status_code=status)
        return outcome

    def server_time(self, loop_time: float) -> tuple[datetime, datetime] | None:
        """Return the earliest and the latest that the server's clock can have said at a loop time.

        They differ by the time that the last answer took. `None`: the server never said.
        """
        if self._server_clock is None:
            return None
        date, asked_at, heard_at = self._server_clock
        if (said := http_date(date)) is None:
            return None
        earliest, latest = (said - timedelta(seconds=at - loop_time) for at in (heard_at, asked_at))
        return earliest, latest

    async def sleep(
        self, endpoint: Endpoint[object], seconds: float, reason: Literal["retry", "look_up"]
    ) -> bool:
        """Wait before sending `endpoint`; `False`, at once, if the deadline is sooner."""
        if seconds > self.time_left():
            return False
        self._tell("wait", endpoint, seconds, reason)
        await sleep(seconds)
        return True

    def time_left(self) -> float:
        """Return how many seconds this call may still wait."""
        if math.isinf(self._until):
            return LONGEST_WAIT
        return self._until - get_running_loop().time()

    async def pause(self, endpoint: Endpoint[object], seconds: float) -> None:
        """Let the whole client wait: the server has answered 429."""
        if seconds > LONG_PAUSE:
            self._tell("wait", endpoint, seconds, "pause")
        await self.settings.rate_limit.pause(seconds)

    @property
    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return get_running_loop().time() >= self._until - _DEADLINE_MARGIN

    def _tell(
        self,
        kind: Literal["attempt", "wait"],
        endpoint: Endpoint[object],
        seconds: float,
        reason: str | None,
        *,
        status_code: int | None = None,
    ) -> None:
        # A wait event carries the number of the next attempt.
        attempt = self.attempts - self._attempts_before + (kind == "wait")
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
        if kind == "attempt":
            _log.debug(
                "%s %s -> %s in %.3f s (attempt %d)",
                event.method,
                event.route,
                status_code or reason,
                seconds,
                attempt,
            )
        elif seconds >= 1:
            _log.info("%s waits for %.1f s: %s", event.endpoint, seconds, reason)
        for on_event in self.settings.observers:
            try:
                on_event(event)
            except Exception:
                # An observer's fault must not hide what became of a write.
                _log.exception("on_event raised")
