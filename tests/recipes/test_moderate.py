"""examples/moderate.py."""

from __future__ import annotations

import pytest

from mayar_reviews.testing import FakeMayar

from .conftest import Run

pytestmark = pytest.mark.slow


@pytest.fixture
def low(fake: FakeMayar) -> list[str]:
    """The ids of three reviews of one or two stars, among others."""
    for rating in (5, 4, 3):
        fake.add_review("kelas-web", rating=rating)
    fake.add_review("kelas-web", rating=1, status="INACTIVE")
    return [fake.add_review("kelas-web", rating=rating)["id"] for rating in (1, 2, 2)]


def archived(fake: FakeMayar) -> set[str]:
    return {key for key, review in fake.reviews.items() if review["status"] == "ARCHIVED"}


def test_low_ratings_are_archived_after_a_yes(fake: FakeMayar, run: Run, low: list[str]) -> None:
    """Others stay as they are."""
    result = run("moderate.py", answer="y\n")
    assert result.returncode == 0, result.stderr
    assert archived(fake) == set(low)
    assert all(review_id in result.stdout for review_id in low)
    assert "Archive these 3 reviews?" in result.stdout
    assert "all archived" in result.stdout


@pytest.mark.parametrize("answer", ["\n", "n\n"])
def test_nothing_is_archived_without_a_yes(
    fake: FakeMayar, run: Run, low: list[str], answer: str
) -> None:
    result = run("moderate.py", answer=answer)
    assert result.returncode == 1
    assert "nothing was changed" in result.stderr
    assert not archived(fake)


def test_what_the_api_refuses_is_named(fake: FakeMayar, run: Run, low: list[str]) -> None:
    """The others are archived."""
    fake.edit_review(low[0], id="deleted-meanwhile")  # shown by the list, unknown to the update
    result = run("moderate.py", answer="y\n")
    assert result.returncode == 1, result.stderr
    assert "2 archived" in result.stdout
    assert "refused by the API: deleted-meanwhile\n" in result.stdout
    assert archived(fake) == set(low[1:])


def test_a_server_that_ignores_the_filter_archives_no_good_review(
    fake: FakeMayar, run: Run, low: list[str]
) -> None:
    """The client filters as well."""
    fake.personality.ignores = {"rating", "status"}
    assert run("moderate.py", answer="y\n").returncode == 0
    assert archived(fake) == set(low)
