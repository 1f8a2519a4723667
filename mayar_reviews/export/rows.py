"""The rows of a page: each review with the object that the API sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mayar_reviews import ExportError, Review, ReviewPage
from mayar_reviews.api_json import dump

Rows = Sequence[tuple[Review, Mapping[str, Any]]]


def rows_of(page: ReviewPage) -> Rows:
    """Return the rows of a page."""
    return tuple(zip(page.data, page.raw, strict=True))


def json_lines(rows: Rows) -> bytes:
    """Return the objects that the API sent, one a line.

    Raises:
        ExportError: a review is nested too deeply to be written.
    """
    try:
        return b"".join(dump(raw) + b"\n" for _, raw in rows)
    except ValueError:
        pass  # raise outside: this exception's frames hold the reviews
    raise ExportError("a review is nested too deeply to be written")
