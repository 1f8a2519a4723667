"""What follows a failed request: a pure decision, without clock or sleep.

It depends on the kind of failure and on what the request does (`Effect`):

| failure                        | READ  | SET           | ADD     | CREATE |
| ------------------------------ | ----- | ------------- | ------- | ------ |
| nothing was sent               | again | again         | again   | again  |
| 429                            | pause | pause         | pause   | pause  |
| no answer, unreadable, or 5xx  | again | again         | unknown | look   |
| an answer of a wrong shape     | raise | unknown       | unknown | look   |
| an undocumented refusal        | raise | unknown       | unknown | look   |
| 409 after a creation in doubt  | -     | -             | -       | look   |
| any other refusal              | raise | raise         | raise   | raise  |

- again: send it again after a backoff, while attempts and deadline last.
- pause: the whole client waits, then it is sent again. Attempts are not counted.
- look: look whether the review is there. If it is not, sending again is safe.
- unknown: raise `OutcomeUnknownError`.
- raise: raise the failure.

If an earlier attempt is in doubt, a write that then fails always raises `OutcomeUnknownError`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import Enum
from typing import Any

from attrs import Attribute, field, frozen

from .checks import check_integer, check_seconds
from .errors import APIError, ConflictError, MayarError, RateLimitError


class Effect(Enum):
    """What a request does, and so what doing it twice would do."""

    READ = "reads"
    SET = "sets values: twice is the same as once"
    ADD = "adds or removes media: twice is not the same as once"
    CREATE = "creates a review"


class Next(Enum):
    """What follows a failure."""

    AGAIN = "again"
    PAUSE = "pause"
    LOOK = "look"
    UNKNOWN = "unknown"
    RAISE = "raise"


def decide(failure: MayarError, effect: Effect, *, in_doubt: bool = False) -> Next:
    """Look up the table.

    Args:
        failure: what ended the attempt.
        effect: what the request does.
        in_doubt: whether an earlier attempt may have taken effect.
    """
    if isinstance(failure, RateLimitError):
        return Next.PAUSE
    if effect is Effect.CREATE and (
        failure.in_doubt or (in_doubt and isinstance(failure, ConflictError))
    ):
        return Next.LOOK
    repeatable = effect in (Effect.READ, Effect.SET) or not failure.in_doubt
    if failure.transient and repeatable:
        return Next.AGAIN
    return Next.UNKNOWN if failure.in_doubt and effect is not Effect.READ else Next.RAISE


def _is_attempts(_: object, attribute: Attribute[Any], value: object) -> None:
    check_integer(attribute.name, value, 1)


def _is_backoff(_: object, attribute: Attribute[Any], value: object) -> None:
    check_seconds(attribute.name, value, or_zero=True)


@frozen
class RetryPolicy:
    """How often a failed request is sent again, and after how long.

    5xx answers, broken connections, unreadable answers and 429s are retried where that cannot
    do something twice. The wait before the n-th retry is a random number of seconds from 0 to
    `backoff_initial * 2 ** (n - 1)`, at most `backoff_max` ("full jitter"). A legal
    `Retry-After` replaces it. The API does not process a request that it answers with 429, so a
    429 uses up time, but no attempt. With `attempts=1` nothing is retried, not even a 429.

    Args:
        attempts: how often one request is sent at most, the first time included; at least 1.
        backoff_initial: the bound of the first wait in seconds; 0 or more.
        backoff_max: the bound of every wait in seconds; 0 or more.

    Raises:
        InvalidArgumentError: a field is outside its limits.
    """

    attempts: int = field(default=4, validator=_is_attempts)
    backoff_initial: float = field(default=0.5, validator=_is_backoff)
    backoff_max: float = field(default=8.0, validator=_is_backoff)

    @classmethod
    def none(cls) -> RetryPolicy:
        """Return the policy that never retries."""
        return cls(attempts=1)

    def delay(
        self, failure: MayarError, attempt: int, draw: Callable[[], float] = random.random
    ) -> float | None:
        """Return how many seconds to wait before a retry that is safe; `None`: do not retry.

        Args:
            failure: what ended the attempt.
            attempt: how many attempts have failed, this one included; for a 429, how many 429s.
            draw: returns a random number from 0 to 1.
        """
        limited = isinstance(failure, RateLimitError)
        if not failure.transient or self.attempts == 1:
            return None
        if attempt >= self.attempts and not limited:
            return None
        if isinstance(failure, APIError) and failure.retry_after:
            return failure.retry_after
        # The exponent is bounded: 2.0 ** 1024 overflows, and a patient job may meet as many 429s.
        bound = self.backoff_initial * 2.0 ** min(attempt - 1, 64)
        wait = draw() * min(bound, self.backoff_max)
        # 429s are not counted: without a least wait they could make a busy loop.
        return max(wait, 0.1) if limited else wait
