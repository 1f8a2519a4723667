"""The models: frozen values."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime

import pytest
from attrs import fields

from mayar_reviews import RatingCount, Review, ReviewPage, ReviewsClient, ReviewStats
from mayar_reviews.api_json import camel_case
from mayar_reviews.testing import FakeMayar

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
REVIEW = Review("r-1", "p-1", "c-1", "u-1", 5, "ACTIVE", WHEN, WHEN, "Bagus")


def test_models_pickle_copy_and_hash() -> None:
    """They are frozen values: equal after a round trip, and fit for sets."""
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


# --- plain data ----------------------------------------------------------------------------------


def _told(value: object) -> object:
    """What the API told: without nulls and empty lists."""
    if isinstance(value, dict):
        return {name: _told(one) for name, one in value.items() if one is not None and one != []}
    if isinstance(value, list):
        return [_told(one) for one in value]
    return value


async def test_a_review_goes_out_as_it_came_in() -> None:
    """`to_dict` agrees with `raw`, but for unknown fields, nulls and empty lists."""
    async with FakeMayar() as fake:
        fake.seed("kelas-web", 120)
        async with ReviewsClient(fake.api_key, base_url=fake.url) as client:
            page = await client.list_product_reviews("kelas-web", limit=50)
    known = {camel_case(one.name) for one in fields(Review)}
    for review, raw in zip(page.data, page.raw, strict=True):
        expected = _told({name: value for name, value in raw.items() if name in known})
        assert review.to_dict() == expected
        assert json.loads(json.dumps(review.to_dict())) == expected
    assert page.to_dict() == {
        "data": [review.to_dict() for review in page.data],
        "hasMore": True,
        "nextStartingAfter": page.next_starting_after,
    }


def test_figures_go_out_too() -> None:
    """Numbers as the API writes them."""
    stats = ReviewStats(2, 4.5, (RatingCount(5, 50.0, 1), RatingCount(4, 50.0, 1)))
    assert json.loads(json.dumps(stats.to_dict())) == {
        "total": 2,
        "average": 4.5,
        "stats": [
            {"rating": 5, "percentage": 50.0, "totalRating": 1},
            {"rating": 4, "percentage": 50.0, "totalRating": 1},
        ],
    }


def test_the_repr_of_a_page_is_short() -> None:
    """It counts its reviews."""
    assert len(repr(ReviewPage((REVIEW,) * 50, True, "1767063610103", ({},) * 50))) < 300
