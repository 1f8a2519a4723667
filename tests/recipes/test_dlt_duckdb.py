"""examples/dlt_duckdb.py."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from mayar_reviews.testing import FakeMayar

from .conftest import Run

pytestmark = pytest.mark.slow


def test_only_what_is_new_or_changed_is_loaded_again(
    fake: FakeMayar, run: Run, tmp_path: Path
) -> None:
    """The second run reads one page of four."""
    fake.seed("kelas-web", 180)
    result = run("dlt_duckdb.py")
    assert result.returncode == 0, result.stderr

    old = next(iter(fake.reviews))
    fake.edit_review(old, rating=1, message="Berubah")
    fake.add_review("kelas-web", id="new-review", rating=3)
    fake.requests.clear()
    result = run("dlt_duckdb.py")
    assert result.returncode == 0, result.stderr
    assert len(fake.requests) == 1

    with duckdb.connect(str(tmp_path / "mayar.duckdb"), read_only=True) as database:
        rows = database.execute("SELECT id, rating, message FROM shop.reviews").fetchall()
        images = database.execute("SELECT count(*) FROM shop.reviews__multiple_image").fetchone()
    assert len(rows) == 181
    assert {row[0] for row in rows} == set(fake.reviews)
    assert (old, 1, "Berubah") in rows
    assert "new-review" in {row[0] for row in rows if row[1] == 3}
    assert images is not None
    assert images[0] == sum(len(review["multipleImage"] or ()) for review in fake.reviews.values())


def test_a_review_edited_while_it_is_read_is_stored_in_its_newer_form(
    fake: FakeMayar, run: Run, tmp_path: Path
) -> None:
    """The list shows it twice."""
    fake.seed("kelas-web", 120)
    first = list(fake.reviews)[-1]
    fake.before_list(3, lambda: fake.edit_review(first, rating=1, message="Berubah"))
    result = run("dlt_duckdb.py")
    assert result.returncode == 0, result.stderr
    with duckdb.connect(str(tmp_path / "mayar.duckdb"), read_only=True) as database:
        rows = database.execute("SELECT id, message FROM shop.reviews").fetchall()
    assert len(rows) == 120
    assert (first, "Berubah") in rows
