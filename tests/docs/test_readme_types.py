"""Every block of Python in the documents passes mypy's strictest checks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "examples/celery_or_cron.md")


def write_blocks(directory: Path) -> list[str]:
    """Write each block to a file of its own, on the lines that it has in its document."""
    parser = CodeBlockParser("python", evaluator=lambda example: None)
    names = []
    for document in DOCUMENTS:
        for example in Sybil([parser]).parse(ROOT / document).examples():
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
    checked = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--warn-unreachable",
            "--no-error-summary",
            *names,
        ],
        cwd=tmp_path,
        env={"MYPYPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.stdout + checked.stderr == ""
    assert checked.returncode == 0
