"""A run in which a test was skipped fails where `.ci/run` asks for that."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SKIPS = {
    "a test": "import pytest\n\ndef test_skips():\n    pytest.skip('no tool')\n",
    "a file": "import pytest\n\npytest.importorskip('no_such_module')\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["-n0", "-n1"])
@pytest.mark.parametrize("what", SKIPS)
def test_a_skip_fails_the_run_where_it_must(what: str, workers: str, tmp_path: Path) -> None:
    """Whether one test or a whole file is skipped, and in whatever process."""
    (tmp_path / "test_skips.py").write_text(SKIPS[what])
    (tmp_path / "test_passes.py").write_text("def test_passes():\n    pass\n")
    options = ["-c", str(ROOT / "pyproject.toml"), "-p", "tests.conftest", "-p", "no:cacheprovider"]
    for asked, code in (("", 0), ("1", 1)):
        run = subprocess.run(
            [sys.executable, "-m", "pytest", workers, *options, str(tmp_path)],
            cwd=ROOT,
            env=os.environ | {"FAIL_IF_SKIPPED": asked},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == code, run.stdout
        assert ("a test was skipped" in run.stdout) is bool(asked)
        assert "1 passed" in run.stdout
