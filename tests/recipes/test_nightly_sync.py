"""examples/nightly_sync.py."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from mayar_reviews.testing import FakeMayar

from .conftest import Run


def stored(directory: Path) -> dict[str, Any]:
    with sqlite3.connect(directory / "shop.db") as database:
        rows = database.execute("SELECT id, updated_at, review FROM reviews").fetchall()
    database.close()
    for review_id, updated_at, review in rows:
        assert (review_id, updated_at) == (
            json.loads(review)["id"],
            json.loads(review)["updatedAt"],
        )
    return {review_id: json.loads(review) for review_id, _, review in rows}


@pytest.mark.slow
def test_only_what_is_new_or_changed_is_read_again(
    fake: FakeMayar, run: Run, tmp_path: Path
) -> None:
    """The second run takes one request for a hundred and fifty reviews."""
    fake.seed("kelas-web", 150, edited=0.1)
    result = run("nightly_sync.py", "shop.db")
    assert (result.returncode, result.stdout) == (0, "150 reviews stored\n"), result.stderr
    assert set(stored(tmp_path)) == set(fake.reviews)

    old = next(iter(fake.reviews))
    fake.edit_review(old, rating=1, message="Berubah")
    new = fake.add_review("kelas-web", rating=3)["id"]
    fake.requests.clear()
    # Those two, and the newest that was stored.
    assert run("nightly_sync.py", "shop.db").stdout == "3 reviews stored\n"
    assert len(fake.requests) == 1
    reviews = stored(tmp_path)
    assert len(reviews) == 151
    assert (reviews[old]["rating"], reviews[old]["message"]) == (1, "Berubah")
    assert reviews[new]["rating"] == 3


@pytest.mark.slow
def test_a_run_that_fails_stores_nothing_and_leaves_no_gap(
    fake: FakeMayar, run: Run, tmp_path: Path
) -> None:
    """Its first pages are the newest: if they were stored, the older ones were never read."""
    fake.seed("kelas-web", 120)
    fake.before_list(2, lambda: fake.fail_next(403, times=9))
    assert run("nightly_sync.py", "shop.db").returncode == 1
    assert not stored(tmp_path)
    fake.clear_faults()
    assert run("nightly_sync.py", "shop.db").stdout == "120 reviews stored\n"


@pytest.mark.slow
def test_what_the_api_cannot_show_is_told_and_the_rest_is_stored(
    fake: FakeMayar, run: Run, tmp_path: Path
) -> None:
    fake.seed("kelas-web", 120)
    for review_id in list(fake.reviews)[60:]:  # more than a page with one time
        fake.edit_review(review_id, updatedAt=1_800_000_000_000)
    fake.personality.cursor = "updated"
    result = run("nightly_sync.py", "shop.db")
    assert result.returncode == 0, result.stderr
    assert "the API cannot show what was created in" in result.stderr
    assert len(stored(tmp_path)) == 110
