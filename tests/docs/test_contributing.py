"""The worked example of CONTRIBUTING.md works, and no step of it can be forgotten."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

ROOT = Path(__file__).parents[2]
COPIED = (
    "docs",
    "mayar_reviews",
    "tests",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
)
TESTS = (
    "tests/core/test_public_surface.py",
    "tests/core/test_endpoint_lists.py",
    "tests/core/test_laws.py::test_any_value_in_any_field_gives_a_model_or_an_error",
    "tests/core/test_lifecycle.py",
    "tests/docs/test_openapi.py",
    "tests/typing",
)
_STEP = re.compile(
    r"^`(?P<path>[\w./]+)`, (?P<where>at the end|above|below)(?: `(?P<anchor>[^\n]+?)`(?: … `(?P<last>[^\n]+?)`)?)?:"
    r".*?\n\n```(?:python|yaml|markdown)\n(?P<text>.*?)```",
    re.MULTILINE | re.DOTALL,
)


@frozen
class _Step:
    path: str
    where: str
    anchor: str | None
    last: str | None
    text: str

    def apply(self, root: Path) -> None:
        file = root / self.path
        lines = file.read_text().splitlines(keepends=True)
        at = len(lines)
        text = f"\n\n{self.text}"
        if self.anchor is not None:
            at = next(i for i, line in enumerate(lines) if line.startswith(self.anchor))
            if self.last is not None:
                at = next(i for i in range(at, len(lines)) if lines[i].startswith(self.last))
            at += self.where == "below"
            text = self.text
        file.write_text("".join([*lines[:at], text, *lines[at:]]))


STEPS = [
    _Step(**match.groupdict()) for match in _STEP.finditer((ROOT / "CONTRIBUTING.md").read_text())
]


def _copy(to: Path) -> Path:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, to / name)
    return to


def _test(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-n0", "-q", "-x", "-p", "no:cacheprovider", *TESTS],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_example_has_its_steps() -> None:
    """The pattern finds each block of the section."""
    section = (ROOT / "CONTRIBUTING.md").read_text().partition("## Add an endpoint")[2]
    section = section.partition("\n## ")[0]
    assert len(STEPS) == section.count("```") / 2


@pytest.mark.slow
def test_an_endpoint_is_added_as_contributing_says(tmp_path: Path) -> None:
    """All steps: the tests pass, and the new method works against the fake server."""
    root = _copy(tmp_path)
    for step in STEPS:
        step.apply(root)
    done = _test(root)
    assert done.returncode == 0, done.stdout
    program = (
        "import asyncio\n"
        "from mayar_reviews import ReviewsClient\n"
        "from mayar_reviews.testing import FakeMayar\n"
        "async def main():\n"
        "    async with FakeMayar() as fake:\n"
        "        fake.add_product('kelas-web')\n"
        "        async with ReviewsClient(fake.api_key, base_url=fake.url) as client:\n"
        "            print(await client.get_photo_count('kelas-web'))\n"
        "asyncio.run(main())\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert run.stdout == "PhotoCount(total=0)\n"


@pytest.mark.slow
@pytest.mark.parametrize("forgotten", range(len(STEPS)), ids=lambda i: f"{STEPS[i].path} {i}")
def test_a_forgotten_step_fails_a_test(forgotten: int, tmp_path: Path) -> None:
    """Whatever is left out: a test, or else the type checker."""
    root = _copy(tmp_path)
    for number, step in enumerate(STEPS):
        if number != forgotten:
            step.apply(root)
    failed = _test(root).returncode != 0
    if not failed:
        mypy = [sys.executable, "-m", "mypy", "mayar_reviews", "tests/typing"]
        failed = subprocess.run(mypy, cwd=root, capture_output=True, check=False).returncode != 0
    assert failed
