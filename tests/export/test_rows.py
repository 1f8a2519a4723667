"""The rows of a list."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mayar_reviews import ExportError, Review
from mayar_reviews.export.rows import Rows, json_lines


def review(name: str) -> Review:
    now = datetime.now(UTC)
    return Review(name, "kelas-web", "customer", "user", 5, "ACTIVE", now, now)


def test_lines_are_the_objects_that_the_api_sent() -> None:
    rows: Rows = [(review("a"), {"id": "a", "x": None}), (review("b"), {"message": "\ud83d"})]
    assert json_lines(rows) == b'{"id":"a","x":null}\n{"message":"\\ud83d"}\n'


def test_a_review_that_is_nested_too_deeply_is_an_export_error() -> None:
    nested: Any = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(ExportError, match="nested too deeply"):
        json_lines([(review("a"), {"whatever": nested})])
