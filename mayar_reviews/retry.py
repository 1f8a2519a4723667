"""Whether and when a failed request is tried again: a pure decision, without clock or sleep.

What is sent, and what becomes of a write in doubt, is the business of `call` and `creation`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import Attribute, field, frozen

from .arguments import check_seconds, check_whole
from .errors import APIError, MayarError, RateLimitError


def _attempts(_: object, attribute: Attribute[Any], value: object) -> None:
    check_whole(attribute.name, value, 1)


def _backoff(_: object, attribute: Attribute[Any], value: object) -> None:
    check_seconds(attribute.name, value, or_zero=True)


@frozen
class RetryPolicy:
    """How often, and after how long, a request that failed is tried again.

    Tried again are 5xx answers, broken connections, unreadable answers and 429s, where doing
    it twice does no harm. The wait before the n-th retry is drawn evenly from 0 to
    `backoff_initial * 2 ** (n - 1)` seconds, at most `backoff_max` ("full jitter"); a legal
    `Retry-After` takes its place. A 429 was not processed and counts against the deadline,
    not the attempts; a policy of one attempt does not wait for it either.

    Args:
        attempts: the most attempts of one request, the first included; at least 1.
        backoff_initial: seconds, the bound of the first wait; 0 or more.
        backoff_max: seconds, the bound of every wait; 0 or more.

    Raises:
        InvalidArgumentError: a field is outside its limits.
    """

    attempts: int = field(default=4, validator=_attempts)
    backoff_initial: float = field(default=0.5, validator=_backoff)
    backoff_max: float = field(default=8.0, validator=_backoff)

    @classmethod
    def none(cls) -> RetryPolicy:
        """The policy that never tries again."""
        return cls(attempts=1)

    def delay(
        self, error: MayarError, attempt: int, replayable: bool, random: Callable[[], float]
    ) -> float | None:
        """How long to wait before trying again, in seconds; `None`: do not.

        Args:
            error: what ended the attempt.
            attempt: how many attempts have failed, this one included.
            replayable: whether doing the request twice is the same as doing it once.
            random: draws from 0 to 1.
        """
        if not error.transient or self.attempts == 1:
            return None
        if error.in_doubt and not replayable:
            return None
        if attempt >= self.attempts and not isinstance(error, RateLimitError):
            return None
        if isinstance(error, APIError) and error.retry_after:
            return error.retry_after
        # Clamped: 2.0 ** 1024 overflows, and a patient job may meet as many 429s.
        bound = self.backoff_initial * 2.0 ** min(attempt - 1, 64)
        wait = random() * min(bound, self.backoff_max)
        # As 429s are not counted, without a floor they could make a hot loop.
        return max(wait, 0.1) if isinstance(error, RateLimitError) else wait
