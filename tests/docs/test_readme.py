"""Every block of the README runs, as it stands there, against a `FakeMayar`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from mayar_reviews.testing import FakeMayar
from tests.support.documents import ROOT, bash_command, examples, python_command, start

README = ROOT / "README.md"
PYTHON = examples(README, "python")
BASH = examples(README, "bash")[2:]
"""The first two blocks of shell, which install, are run by `.ci/run`."""


def _shop() -> FakeMayar:
    """A server with what the README's examples need."""
    fake = FakeMayar()
    fake.add_product("PRODUCT_ID")
    fake.seed("PRODUCT_ID", 120)
    fake.add_review("PRODUCT_ID", id="REVIEW_ID")
    fake.add_purchase("PRODUCT_ID", "budi@example.com")
    return fake


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, subprocess.Popen[str]]]:
    """All blocks, by their lines, running at the same time: each with a server of its own."""
    commands = {example.line: python_command(str(example.parsed)) for example in PYTHON}
    commands |= {example.line: bash_command(str(example.parsed)) for example in BASH}
    fakes = [_shop() for _ in commands]
    with ExitStack() as stack:
        for fake in fakes:
            stack.enter_context(fake)
        running = {
            line: start(command, fake, tmp_path_factory.mktemp("block"))
            for (line, command), fake in zip(commands.items(), fakes, strict=True)
        }
        yield running
        for process in running.values():
            process.kill()
            process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("line", [example.line for example in PYTHON])
def test_a_block_of_python_runs(line: int, runs: dict[int, subprocess.Popen[str]]) -> None:
    """As a script of its own, without a warning."""
    _, errors = runs[line].communicate(timeout=60)
    assert runs[line].returncode == 0, errors
    assert errors == ""


@pytest.mark.slow
@pytest.mark.parametrize("line", [example.line for example in BASH])
def test_a_block_of_shell_runs(line: int, runs: dict[int, subprocess.Popen[str]]) -> None:
    """Every command in it succeeds."""
    _, errors = runs[line].communicate(timeout=60)
    assert runs[line].returncode == 0, errors


def test_the_two_commands_stand_at_the_top() -> None:
    """The first two blocks of the README are the two commands."""
    first, second, *_ = [str(example.parsed) for example in examples(README, "bash")]
    assert "mayar-reviews demo" in first
    assert "pytest" in second


@pytest.mark.parametrize("language", ["python", "bash", "console"])
def test_the_indonesian_readme_has_the_same_blocks(language: str) -> None:
    """So they run as well."""
    english, indonesian = (
        [re.sub("#.*", "", str(example.parsed)) for example in examples(ROOT / name, language)]
        for name in ("README.md", "README.id.md")
    )
    assert english == indonesian != []


def test_every_promise_names_a_test_that_exists() -> None:
    """Each link names a test and the file that it is in, in both languages."""
    text = README.read_text() + (ROOT / "README.id.md").read_text()
    promised = re.findall(r"\[`(test_\w+)`\]\((tests/[\w/]+\.py)\)", text)
    assert promised
    for name, path in promised:
        assert f"def {name}(" in (README.parent / path).read_text(), name


def test_it_has_at_most_150_lines() -> None:
    """Longer ones are not read."""
    assert len(README.read_text().splitlines()) <= 150
