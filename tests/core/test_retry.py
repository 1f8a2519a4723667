"""The retry decision: the table, and how long to wait."""

from __future__ import annotations

import asyncio
import random
import re

import pytest

from mayar_reviews import (
    APIError,
    BadRequestError,
    ConflictError,
    ConnectionFailedError,
    ConnectionLostError,
    MayarError,
    NotFoundError,
    RateLimitError,
    RequestEvent,
    ResponseError,
    RetryPolicy,
    ServerError,
    retry,
)
from mayar_reviews.retry import Effect, Next, decide
from tests.support.clock import virtual_time
from tests.support.fault_server import FaultServer, make_review
from tests.support.harness import client_of
from tests.support.steps import Respond

POLICY = RetryPolicy(attempts=4, backoff_initial=0.5, backoff_max=8.0)

# For each row of the table, in the words of its first column: failures of that kind.
KINDS: dict[str, list[MayarError]] = {
    "nothing was sent": [ConnectionFailedError()],
    "429": [RateLimitError(), RateLimitError(retry_after=5.0)],
    "no answer, unreadable, or 5xx": [ConnectionLostError(), ResponseError(""), ServerError()],
    "an answer of a wrong shape": [ResponseError("", transient=False)],
    "an undocumented refusal": [APIError(status_code=418)],
    "409 after a creation in doubt": [ConflictError()],
    "any other refusal": [BadRequestError(), NotFoundError(), ConflictError()],
}


def _table() -> list[tuple[str, Effect, str]]:
    """The table in the docstring of `retry`, a cell at a time."""
    assert retry.__doc__ is not None
    header, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in re.findall(r"^\|.*\|$", retry.__doc__, re.MULTILINE)
    ]
    return [
        (row[0], Effect[effect], cell)
        for row in rows
        for effect, cell in zip(header[1:], row[1:], strict=True)
    ]


def test_the_table_has_every_kind_of_failure_and_of_request() -> None:
    """No row and no column is missing."""
    assert {kind for kind, _, _ in _table()} == set(KINDS)
    assert {effect for _, effect, _ in _table()} == set(Effect)


@pytest.mark.parametrize(("kind", "effect", "then"), _table())
def test_the_code_does_what_the_table_says(kind: str, effect: Effect, then: str) -> None:
    """Each cell, for each failure of its row."""
    for failure in KINDS[kind]:
        if then != "-":
            options = {"in_doubt": True} if kind == "409 after a creation in doubt" else {}
            assert decide(failure, effect, **options) is Next(then)


def delay(failure: MayarError, attempt: int = 1) -> float | None:
    return POLICY.delay(failure, attempt, lambda: 1.0)


@pytest.mark.parametrize(
    ("failure", "again"),
    [
        (ConnectionFailedError(), True),
        (ServerError(), True),
        (ConnectionFailedError(transient=False), False),
        (APIError(status_code=418), False),
        (BadRequestError(), False),
    ],
    ids=repr,
)
def test_only_a_transient_failure_is_waited_for(failure: MayarError, again: bool) -> None:
    """A failure that would come again is not worth a wait."""
    assert (delay(failure) is not None) is again


def test_the_bound_doubles_up_to_the_largest() -> None:
    """0.5, 1, 2, 4, 8, 8 seconds, and no overflow after a thousand 429s."""
    bounds = [delay(RateLimitError(""), attempt) for attempt in (1, 2, 3, 4, 5, 6, 5000)]
    assert bounds == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


@pytest.mark.parametrize("drawn", [0.0, 0.25, 0.5, 1.0])
def test_a_wait_is_drawn_from_zero_to_its_bound(drawn: float) -> None:
    """Full jitter: what is drawn is multiplied with the bound, the largest one too."""

    def delay(attempt: int) -> float | None:
        policy = RetryPolicy(attempts=9, backoff_initial=0.5, backoff_max=8.0)
        return policy.delay(ServerError(""), attempt, lambda: drawn)

    assert [delay(attempt) for attempt in (1, 2, 5, 6)] == [
        *(drawn * 0.5, drawn * 1.0, drawn * 8.0, drawn * 8.0)
    ]


@virtual_time
async def test_the_waits_of_a_client_differ() -> None:
    """Forty calls that fail at the same moment are not all tried again at the same moment."""
    random.seed(7)
    waits: list[float] = []

    def note(event: RequestEvent) -> None:
        if event.kind == "wait":
            waits.append(event.seconds)

    async with (
        FaultServer([make_review(1)], script=(Respond(503, times=40),)) as server,
        client_of(server, on_event=note) as client,
    ):
        await asyncio.gather(*(client.list_reviews() for _ in range(40)))
    assert len(set(waits)) == 40
    assert min(waits) < 0.1
    assert 0.4 < max(waits) <= 0.5


def test_a_429_does_not_count_as_an_attempt() -> None:
    """The fourth failure is the last one, whatever number of 429s came before."""
    assert delay(ServerError(""), 3) is not None
    assert delay(ServerError(""), 4) is None
    assert delay(RateLimitError(""), 400) is not None


def test_a_429_is_waited_for_even_if_nothing_is_to_be_waited() -> None:
    """Else a server that answers 429 at once would be asked in a busy loop."""
    hasty = RetryPolicy(backoff_initial=0, backoff_max=0)
    assert hasty.delay(RateLimitError(""), 1) == 0.1
    assert hasty.delay(ServerError(""), 1) == 0.0


def test_retry_after_takes_the_place_of_the_backoff() -> None:
    """For 429 and 5xx; but not a zero, which would make a hot loop."""
    assert delay(RateLimitError("", retry_after=7.0), 3) == 7.0
    assert delay(ServerError("", retry_after=9.0)) == 9.0
    assert delay(RateLimitError("", retry_after=0.0)) == 0.5


def test_the_policy_without_retries_never_waits() -> None:
    """Not even for a 429."""
    assert RetryPolicy.none() == RetryPolicy(attempts=1)
    for error in (RateLimitError("", retry_after=1.0), ServerError(""), ConnectionFailedError("")):
        assert RetryPolicy.none().delay(error, 1) is None
