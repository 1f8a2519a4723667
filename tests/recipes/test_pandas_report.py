"""examples/pandas_report.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from mayar_reviews.testing import FakeMayar

from .conftest import Run

pytestmark = pytest.mark.slow


def test_ratings_are_counted_by_month_and_drawn(fake: FakeMayar, run: Run, tmp_path: Path) -> None:
    """A month is one of Jakarta's: the last review of January in UTC is one of February there."""
    day = 24 * 3600 * 1000
    january = 1_767_225_600_000  # 2026-01-01T00:00:00Z
    for rating, created in ((5, january), (5, january + day), (2, january + 31 * day - 3_600_000)):
        fake.add_review("kelas-web", rating=rating, createdAt=created)
    result = run("pandas_report.py", "kelas-web", "ratings.png")
    assert result.returncode == 0, result.stderr
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["rating", "2", "5"],
        ["month"],
        ["2026-01", "0", "2"],
        ["2026-02", "1", "0"],
    ]
    assert (tmp_path / "ratings.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_a_product_without_reviews_is_told(fake: FakeMayar, run: Run, tmp_path: Path) -> None:
    fake.add_product("kelas-web")
    result = run("pandas_report.py", "kelas-web", "ratings.png")
    assert (result.returncode, result.stderr) == (1, "kelas-web has no reviews\n")
    assert not (tmp_path / "ratings.png").exists()
