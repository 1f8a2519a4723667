"""What the tests of the examples share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from mayar_reviews.testing import FakeMayar

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMayar]:
    """A fake Mayar in a thread of its own; the environment leads the examples to it."""
    with FakeMayar() as fake:
        monkeypatch.setenv("MAYAR_API_KEY", fake.api_key)
        monkeypatch.setenv("MAYAR_API_URL", fake.url)
        yield fake


class Run(Protocol):
    """Runs an example as its user does, in a directory of its own."""

    def __call__(
        self, name: str, *arguments: str, answer: str = ""
    ) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def run(fake: FakeMayar, tmp_path: Path) -> Run:
    """Return a function that runs an example against the fake Mayar."""

    def run(name: str, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, EXAMPLES / name, *arguments],
            cwd=tmp_path,
            env={**os.environ, "RUNTIME__DLTHUB_TELEMETRY": "false", "DLT_DATA_DIR": str(tmp_path)},
            input=answer,
            capture_output=True,
            text=True,
            check=False,
        )

    return run
