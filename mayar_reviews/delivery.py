"""One request, sent until it is answered or not worth another try."""

from __future__ import annotations

from typing import Generic, TypeVar

from attrs import define, field

from .call import LONGEST_WAIT, Call
from .endpoints import Endpoint
from .errors import (
    DeadlineExceededError,
    MayarError,
    OutcomeUnknownError,
    RateLimitError,
    ResponseError,
    TransportError,
)
from .retry import Effect, Next, decide

T = TypeVar("T")


async def deliver(call: Call, endpoint: Endpoint[T]) -> T:
    """Send a request, again and again where that is safe, and return what its answer says.

    Raises:
        MayarError: what ended it; `OutcomeUnknownError` for a write that may have happened.
    """
    delivery = Delivery(call, endpoint)
    while isinstance(outcome := await delivery.send(), MayarError):
        await delivery.wait(outcome)
    return outcome


@define
class Delivery(Generic[T]):
    """The state of one request: what has failed so far, and whether it may have happened."""

    _call: Call
    _endpoint: Endpoint[T]
    doubt: MayarError | None = field(default=None, init=False)
    """The last failure after which the write may have happened."""
    doubtful_since: float | None = field(default=None, init=False)
    """The loop time at which the first attempt began that may have taken effect."""
    _last: MayarError | None = field(default=None, init=False)
    _failed: int = field(default=0, init=False)
    _limited: int = field(default=0, init=False)

    async def send(self) -> T | MayarError:
        """Send the request once, and return what its answer says or what failed.

        Raises:
            MayarError: the deadline has passed.
        """
        outcome = await self._call.exchange(self._endpoint)
        if not isinstance(outcome, MayarError):
            return outcome
        if outcome.in_doubt and self._endpoint.effect is not Effect.READ:
            self.doubt = outcome
            if self.doubtful_since is None:
                self.doubtful_since = self._call.sent_at
        if self._call.is_late and isinstance(outcome, TransportError) and outcome.transient:
            outcome = DeadlineExceededError("the deadline passed before the answer was complete")
        if isinstance(outcome, DeadlineExceededError):
            # An earlier failure says more than that time has run out.
            raise self._end(self._last or outcome)
        self._last = outcome
        return outcome

    @property
    def next(self) -> Next:
        """What follows the last failure."""
        assert self._last is not None
        return decide(self._last, self._endpoint.effect, in_doubt=self.doubt is not None)

    async def wait(self, failure: MayarError, *, absent: bool = False) -> None:
        """Wait until the request may be sent again.

        Args:
            failure: what `send` returned.
            absent: a look-up has shown that the write did not happen.

        Raises:
            MayarError: the request must not be sent again, or not in time.
        """
        limited = isinstance(failure, RateLimitError)
        self._limited += limited
        self._failed += not limited
        again = self.next in (Next.AGAIN, Next.PAUSE) or absent
        if absent and isinstance(failure, ResponseError):
            # The look-up found no review, so sending again is safe even after an answer that
            # would be unreadable again.
            failure.transient = True
        settings = self._call.settings
        attempt = self._limited if limited else self._failed
        delay = settings.retry.delay(failure, attempt) if again else None
        stop = delay is None or settings.transport.closed or delay > self._call.time_left()
        if isinstance(failure, RateLimitError):
            seconds = failure.retry_after if delay is None else delay
            # Pause the whole client. Ignore a pause of over an hour if this call gives up anyway.
            if seconds is not None and (seconds <= LONGEST_WAIT or not stop):
                await self._call.pause(self._endpoint, seconds)
        if delay is None or stop:
            raise self._end(failure)
        if not limited:  # after a 429 it is the rate limit that makes the request wait
            await self._call.sleep(self._endpoint, delay, "retry")

    def outcome_unknown(self) -> OutcomeUnknownError:
        """Return the error for a write that may or may not have happened."""
        error = OutcomeUnknownError(
            f"{self._endpoint.name} may or may not have happened: {self.doubt}"
        )
        error.__cause__ = self.doubt
        return error

    def _end(self, failure: MayarError) -> MayarError:
        return failure if self.doubt is None else self.outcome_unknown()
