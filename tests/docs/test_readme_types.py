"""Every block of Python in the documents passes mypy's strictest checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.documents import ROOT, examples, mypy_says

DOCUMENTS = ("README.md", "examples/celery_or_cron.md")


def write_blocks(directory: Path) -> list[str]:
    """Write each block to a file of its own, on the lines that it has in its document."""
    names = []
    for document in DOCUMENTS:
        for example in examples(ROOT / document, "python"):
            names.append(f"{Path(document).stem.lower()}_{example.line}.py")
            (directory / names[-1]).write_text("\n" * example.line + str(example.parsed))
    return names


@pytest.mark.slow
def test_every_block_of_python_passes_mypy(tmp_path: Path) -> None:
    """A reader who copies one gets no complaint from a type checker."""
    names = write_blocks(tmp_path)
    assert len(names) >= 5
    (tmp_path / "celery.pyi").write_text(
        "from collections.abc import Callable\n"
        "def shared_task[**P, T](function: Callable[P, T]) -> Callable[P, T]: ...\n"
    )
    assert mypy_says(tmp_path, *names) == ""
