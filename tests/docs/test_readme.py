"""Every block of the README runs, as it stands there, against a `FakeMayar`."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser

from mayar_reviews.testing import FakeMayar

README = Path(__file__).parents[2] / "README.md"


def _examples(language: str) -> list[Example]:
    parser = CodeBlockParser(language, evaluator=lambda example: None)
    return list(Sybil([parser]).parse(README).examples())


PYTHON = _examples("python")
BASH = _examples("bash")[2:]
"""The first two blocks of shell, which install, are run by `.ci/run`."""


@contextmanager
def _servers(number: int) -> Iterator[list[FakeMayar]]:
    """Servers with what the README's examples need, in a thread of their own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    fakes = []
    for _ in range(number):
        fake = FakeMayar()
        fake.add_product("PRODUCT_ID")
        fake.seed("PRODUCT_ID", 120)
        fake.add_review("PRODUCT_ID", id="REVIEW_ID")
        fake.add_purchase("PRODUCT_ID", "budi@example.com")
        asyncio.run_coroutine_threadsafe(fake.start(), loop).result()
        fakes.append(fake)
    yield fakes
    for fake in fakes:
        asyncio.run_coroutine_threadsafe(fake.close(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def _start(command: list[str], fake: FakeMayar, directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=directory,
        env={**os.environ, "MAYAR_API_KEY": fake.api_key, "MAYAR_API_URL": fake.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, subprocess.Popen[str]]]:
    """All blocks, by their lines, running at the same time: each with a server of its own."""
    scripts = Path(sys.executable).parent
    commands = {
        example.line: [sys.executable, "-W", "error", "-c", str(example.parsed)]
        for example in PYTHON
    }
    for example in BASH:
        block = re.sub(r"^export MAYAR_API_KEY=.*$", "", str(example.parsed), flags=re.MULTILINE)
        commands[example.line] = ["bash", "-eu", "-c", f'PATH="{scripts}:$PATH"\n{block}']
    with _servers(len(commands)) as fakes:
        running = {
            line: _start(command, fake, tmp_path_factory.mktemp("block"))
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
    first, second, *_ = [str(example.parsed) for example in _examples("bash")]
    assert "mayar-reviews demo" in first
    assert "pytest" in second


def test_every_promise_names_a_test_that_exists() -> None:
    """Each link names a test and the file that it is in."""
    text = README.read_text()
    promised = re.findall(r"\[`(test_\w+)`\]\((tests/[\w/]+\.py)\)", text)
    assert promised
    for name, path in promised:
        assert f"def {name}(" in (README.parent / path).read_text(), name


def test_it_has_at_most_150_lines() -> None:
    """Longer ones are not read."""
    assert len(README.read_text().splitlines()) <= 150
