"""The rows of a page: the objects that the API sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mayar_reviews import ExportError, InvalidArgumentError, ResponseError, Review, ReviewPage
from mayar_reviews.api_json import dump_lines
from mayar_reviews.checks import check_id
from mayar_reviews.converter import structure
from mayar_reviews.walk import Row, keys_of

MOST_NAMED = 100
"""Of how many reviews a report says what does not fit."""

Rows = Sequence[Any]
"""Objects as the API sent them. One that is no review of the documented form may be anything."""


def rows_of(page: ReviewPage) -> Rows:
    """Return the rows of a page in their order, with those that are not as documented.

    Raises:
        ExportError: a review is nested too deeply.
    """
    try:
        rows: list[Any] = list(page.raw)
    except ValueError:
        pass  # raise outside, as below
    else:
        for one in page.invalid:
            rows.insert(one.place, one.raw)
        return rows
    raise ExportError("a review is nested too deeply to be read")


def keyed_rows(page: ReviewPage) -> list[tuple[Row, Any]]:
    """Return the rows of a page, each with what tells it from the others."""
    rows = rows_of(page)
    return list(zip(keys_of(rows), rows, strict=True))


def value_of(raw: Any, name: str, kind: type) -> Any:
    """Return a field of a row; `None` if it is missing or of another type."""
    value = raw.get(name) if isinstance(raw, dict) else None
    return value if type(value) is kind else None


def name_of(review_id: str, number: int) -> str:
    """Return the name of a review in a report; what is no id may hold the review's text."""
    try:
        check_id("id", review_id)
    except InvalidArgumentError:
        return f"(without an id: {number})"
    return review_id


def fault_of(raw: Any) -> str | None:
    """Return what does not fit and where, such as `rating: expected int, got str`."""
    try:
        structure(raw, Review, "$")
    except ResponseError as error:
        return str(error).removeprefix("$.")
    return None


def json_lines(rows: Rows) -> bytes:
    """Return the rows, one a line.

    Raises:
        ExportError: a review is nested too deeply to be written.
    """
    try:
        return dump_lines(rows)
    except ValueError:
        pass  # raise outside: this exception's frames hold the reviews
    raise ExportError("a review is nested too deeply to be written")
