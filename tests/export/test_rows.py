"""The rows of a list."""

from __future__ import annotations

from typing import Any

import pytest

from mayar_reviews import ExportError
from mayar_reviews.export.rows import Rows, json_lines


def test_lines_are_the_objects_that_the_api_sent() -> None:
    rows: Rows = [{"id": "a", "x": None}, {"message": "\ud83d"}]
    assert json_lines(rows) == b'{"id":"a","x":null}\n{"message":"\\ud83d"}\n'


def test_a_review_that_is_nested_too_deeply_is_an_export_error() -> None:
    nested: Any = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(ExportError, match="nested too deeply"):
        json_lines([{"whatever": nested}])
