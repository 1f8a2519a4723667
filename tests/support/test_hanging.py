"""A test that hangs is ended by the time-out in pyproject.toml, whatever clock its loop has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

HANGING = """
import asyncio
from tests.support.clock import virtual_time

@virtual_time
async def test_hangs():
    {hang}
"""
HANGS = {
    "a wait without a timer": "await asyncio.Event().wait()",
    "virtual sleeps without end, and a failure that is swallowed": """
    while True:
        try:
            await asyncio.sleep(1)
        except BaseException:
            pass""",
}


def _run(directory: Path, hang: str) -> subprocess.Popen[str]:
    """Start pytest on a test that hangs, with this project's settings but for the seconds."""
    test = directory / "test_hanging.py"
    test.write_text(HANGING.format(hang=hang))
    options = [
        "-n0",
        "-c",
        str(ROOT / "pyproject.toml"),
        "-p",
        "no:cacheprovider",
        "-o",
        "timeout=1",
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, str(test)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.timeout(180)  # a machine that is busy elsewhere may take a minute to start Python
def test_a_hanging_test_is_ended(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each way to hang ends the run with an exit code and the place where it hung."""
    runs = {name: _run(tmp_path_factory.mktemp("hang"), hang) for name, hang in HANGS.items()}
    try:
        for name, run in runs.items():
            output, _ = run.communicate(timeout=120)
            assert run.returncode == 1, (name, output)
            assert "Timeout" in output, (name, output)
            assert "virtual_run" in output, (name, output)  # the stack says where
    finally:
        for run in runs.values():
            run.kill()
            run.communicate()
