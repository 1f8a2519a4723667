"""The picture in the README."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.slow
def test_it_shows_what_the_demo_prints() -> None:
    """`python docs/picture.py` draws it again."""
    script = runpy.run_path(str(DOCS / "picture.py"))
    assert (DOCS / "demo.svg").read_text() == script["draw"]()
