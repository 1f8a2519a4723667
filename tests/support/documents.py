"""Running the blocks of code of a document, as a reader would, against a `FakeMayar`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser

from mayar_reviews.testing import FakeMayar

ROOT = Path(__file__).parents[2]
_FILE = re.compile(r"# (?P<name>\w+\.py)$", re.MULTILINE)


def examples(document: Path, language: str) -> list[Example]:
    """Return the document's blocks of that language, in their order."""
    parser = CodeBlockParser(language, evaluator=lambda example: None)
    return list(Sybil([parser]).parse(document).examples())


def file_name(block: str) -> str | None:
    """Return the name in the block's first line, `# name.py`: the reader is to save it so."""
    match = _FILE.match(block)
    return None if match is None else match["name"]


def python_command(block: str) -> list[str]:
    """Return the command that runs a block of Python, any warning being an error."""
    return [sys.executable, "-W", "error", "-c", block]


def bash_command(block: str) -> list[str]:
    """Return the command that runs a block of shell, and stops at the first failure."""
    block = re.sub(r"^export MAYAR_API_KEY=.*$", "", block, flags=re.MULTILINE)
    scripts = Path(sys.executable).parent
    return ["bash", "-eu", "-c", f'PATH="{scripts}:$PATH"\n{block}']


def mypy_says(directory: Path, *names: str) -> str:
    """Return what mypy's strictest checks say about the files of a directory."""
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
        cwd=directory,
        env={"MYPYPATH": str(ROOT), "PATH": "", "HOME": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = checked.stdout + checked.stderr
    assert bool(checked.returncode) == bool(said)
    return said


def start(command: Sequence[str], fake: FakeMayar, directory: Path) -> subprocess.Popen[str]:
    """Start a command whose environment names the server."""
    return subprocess.Popen(
        command,
        cwd=directory,
        env={**os.environ, "MAYAR_API_KEY": fake.api_key, "MAYAR_API_URL": fake.url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
