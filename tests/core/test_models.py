"""The models: frozen values."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime

import pytest

from mayar_reviews import Review, ReviewPage, ReviewStats

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
REVIEW = Review("r-1", "p-1", "c-1", "u-1", 5, "ACTIVE", WHEN, WHEN, "Bagus")


def test_models_pickle_copy_and_hash() -> None:
    """Frozen values: equal after a round trip, usable in sets."""
    page = ReviewPage((REVIEW,), True, "c50", ({"id": "r-1", "new": 1},))
    stats = ReviewStats(1, 5.0, ())
    for value in (REVIEW, page, stats):
        assert pickle.loads(pickle.dumps(value)) == value
        assert copy.deepcopy(value) == value
        assert len({value, copy.copy(value)}) == 1
        with pytest.raises(AttributeError):
            value.id = "other"  # type: ignore[misc,union-attr]
    assert "new" not in repr(page)
    assert pickle.loads(pickle.dumps(page)).raw == page.raw
