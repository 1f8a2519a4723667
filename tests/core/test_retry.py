"""The retry decision: pure, bounded by the attempts, blind to nothing that was said."""

from __future__ import annotations

import pytest

from mayar_reviews import (
    APIError,
    BadRequestError,
    ConnectionFailedError,
    ConnectionLostError,
    DeadlineExceededError,
    MayarError,
    RateLimitError,
    ResponseError,
    RetryPolicy,
    ServerError,
)

POLICY = RetryPolicy(attempts=4, backoff_initial=0.5, backoff_max=8.0)


def delay(error: MayarError, attempt: int = 1, *, replayable: bool = True) -> float | None:
    return POLICY.delay(error, attempt, replayable, lambda: 1.0)


@pytest.mark.parametrize(
    ("error", "once", "write"),
    [
        (ConnectionFailedError(""), True, True),
        (ConnectionLostError(""), True, False),
        (ServerError(""), True, False),
        (ResponseError(""), True, False),
        (RateLimitError(""), True, True),
        (APIError("", status_code=418), False, False),
        (BadRequestError(""), False, False),
        (DeadlineExceededError(""), False, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, MayarError) else str(value),
)
def test_what_is_tried_again(error: MayarError, once: bool, write: bool) -> None:
    """What can pass is tried again; what may have happened only where twice does no harm."""
    assert (delay(error) is not None) is once
    assert (delay(error, replayable=False) is not None) is write


def test_the_bound_doubles_up_to_the_largest() -> None:
    """0.5, 1, 2, 4, 8, 8 seconds, and no overflow after a thousand 429s."""
    bounds = [delay(RateLimitError(""), attempt) for attempt in (1, 2, 3, 4, 5, 6, 5000)]
    assert bounds == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_the_attempts_are_counted_but_for_429s() -> None:
    """The fourth failure is the last one; a 429 was not an attempt."""
    assert delay(ServerError(""), 3) is not None
    assert delay(ServerError(""), 4) is None
    assert delay(RateLimitError(""), 400) is not None


def test_retry_after_takes_the_place_of_the_backoff() -> None:
    """To the second, for 429 and 5xx; a zero would be a hot loop."""
    assert delay(RateLimitError("", retry_after=7.0), 3) == 7.0
    assert delay(ServerError("", retry_after=9.0)) == 9.0
    assert delay(RateLimitError("", retry_after=0.0)) == 0.5


def test_no_retries_is_none() -> None:
    """`RetryPolicy.none()` waits for nothing, not even for a 429."""
    assert RetryPolicy.none() == RetryPolicy(attempts=1)
    for error in (RateLimitError("", retry_after=1.0), ServerError(""), ConnectionFailedError("")):
        assert RetryPolicy.none().delay(error, 1, True, lambda: 1.0) is None
