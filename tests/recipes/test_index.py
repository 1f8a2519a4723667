"""The examples as a whole: short, in the index, and each with a test."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from mayar_reviews.testing import FakeMayar

from .conftest import EXAMPLES

FILES = sorted(path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".md"))
PROGRAMS = [name for name in FILES if name.endswith(".py") and name != "__init__.py"]
GUIDE = (EXAMPLES / "celery_or_cron.md").read_text(encoding="utf-8")


def test_the_index_names_each_file() -> None:
    """And no file that is not there."""
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| \[([\w./]+)\]\(", index, flags=re.MULTILINE))
    assert named == {*FILES, "web/"} - {"README.md", "__init__.py"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_has_at_most_60_lines_and_a_test(name: str) -> None:
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) <= 60
    assert Path(__file__).with_name(f"test_{name}").exists()


@pytest.mark.parametrize("name", ["README.md", "celery_or_cron.md"])
def test_every_link_leads_to_a_file(name: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (EXAMPLES / name).read_text(encoding="utf-8")):
        assert (EXAMPLES / target).exists(), target


def test_the_task_of_the_guide_runs_twice(fake: FakeMayar, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two event loops, one after the other, share its budget."""
    celery = ModuleType("celery")
    celery.shared_task = lambda function: function  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "celery", celery)
    task, _ = re.findall(r"^```python\n(.+?)^```", GUIDE, flags=re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(task, names)
    archive = names["archive"]
    assert callable(archive)
    ids = [fake.add_review("kelas-web")["id"] for _ in range(2)]
    for review_id in ids:
        archive(review_id)
    assert [fake.reviews[review_id]["status"] for review_id in ids] == ["ARCHIVED"] * 2
