"""The tree of exceptions: drawn, whole, and fit to cross a process boundary."""

from __future__ import annotations

import copy
import pickle
import re
from datetime import UTC, datetime

import pytest

import mayar_reviews
from mayar_reviews import (
    APIError,
    BadRequestError,
    ConflictError,
    ExportError,
    InvalidArgumentError,
    MayarError,
    OutcomeUnknownError,
    PaginationError,
    RateLimitError,
    ResponseError,
    Review,
    ServerError,
    StatusUpdateError,
    errors,
)


def _tree(kind: type[MayarError] = MayarError, depth: int = 0) -> list[tuple[int, str]]:
    children = [one for one in kind.__subclasses__() if one.__module__ == errors.__name__]
    inner = [line for child in children for line in _tree(child, depth + 1)]
    return [(depth, kind.__name__), *inner]


def test_the_drawing_shows_the_tree() -> None:
    """The module's docstring draws each exception under its parent, in order."""
    assert errors.__doc__ is not None
    drawn = re.findall(r"^([│ ]*(?:[├└]── )?)(\w+Error)\b", errors.__doc__, re.MULTILINE)
    assert [(len(indent) // 4, name) for indent, name in drawn] == _tree()


def test_every_exception_is_exported() -> None:
    """Every exception can be caught by its public name."""
    for _, name in _tree():
        assert name in mayar_reviews.__all__


WHEN = datetime(2026, 1, 1, tzinfo=UTC)
REVIEW = Review("r-1", "p-1", "c-1", "u-1", 5, "ACTIVE", WHEN, WHEN, "Bagus")


def _conflict() -> ConflictError:
    error = ConflictError("sudah", status_code=409)
    error.existing = REVIEW
    return error


def _caused() -> OutcomeUnknownError:
    error = OutcomeUnknownError("unknown")
    error.__cause__ = ServerError("broken", status_code=500, data={"a": [1]})
    return error


EXAMPLES = [
    *(getattr(mayar_reviews, name)("text") for _, name in _tree()),
    InvalidArgumentError("rating is out of range", field="rating"),
    APIError("text", status_code=418, data={"a": 1}, request_id="req", retry_after=1.0),
    RateLimitError("text", status_code=429, retry_after=7.0),
    ResponseError("$.data: expected", path="$.data"),
    StatusUpdateError("stopped", applied=("a",), unknown=("b",), not_sent=("c",)),
    PaginationError("cycle", starting_after="c50"),
    ExportError("stopped", written=7, starting_after="c50"),
    _conflict(),
    _caused(),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_every_exception_pickles_and_copies(error: MayarError) -> None:
    """With its text, its attributes, its notes and its cause."""
    error.attempts = 3
    error.starting_after = "c100"
    error.add_note("a note")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert repr(again) == repr(error)
        assert vars(again) == vars(error)
        assert repr(again.__cause__) == repr(error.__cause__)


def test_the_text_of_a_refusal_can_be_printed() -> None:
    """Half of a surrogate pair or a control character in what the server said hides nothing."""
    error = BadRequestError("cut \ud83d\x1b[31m\n", status_code=400, request_id="\ud800")
    str(error).encode()
    assert str(error).isprintable()
    assert error.messages == "cut \ud83d\x1b[31m\n"
