"""Every block of the README runs, as it stands there, against a `FakeMayar`."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser

from mayar_reviews.testing import FakeMayar

README = Path(__file__).parents[2] / "README.md"


def _examples(language: str) -> list[Example]:
    parser = CodeBlockParser(language, evaluator=lambda example: None)
    return list(Sybil([parser]).parse(README).examples())


@pytest.fixture
def mayar(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMayar]:
    """A server in a thread of its own, to which the environment points."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    fake = FakeMayar()
    fake.add_product("PRODUCT_ID")
    fake.seed("PRODUCT_ID", 120)
    fake.add_review("PRODUCT_ID", id="REVIEW_ID")
    fake.add_purchase("PRODUCT_ID", "budi@example.com")
    asyncio.run_coroutine_threadsafe(fake.start(), loop).result()
    monkeypatch.setenv("MAYAR_API_KEY", fake.api_key)
    monkeypatch.setenv("MAYAR_API_URL", fake.url)
    yield fake
    asyncio.run_coroutine_threadsafe(fake.close(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.mark.parametrize("example", _examples("python"), ids=lambda example: f"line {example.line}")
def test_python_block(
    example: Example, mayar: FakeMayar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block of Python runs as a script of its own, without a warning."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", str(example.parsed)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize(
    "example", _examples("bash")[2:], ids=lambda example: f"line {example.line}"
)
def test_bash_block(example: Example, mayar: FakeMayar, tmp_path: Path) -> None:
    """A block of shell runs; the first two, which install, are run by `.ci/run`."""
    scripts = Path(sys.executable).parent
    block = re.sub(r"^export MAYAR_API_KEY=.*$", "", str(example.parsed), flags=re.MULTILINE)
    done = subprocess.run(
        ["bash", "-eu", "-c", f'PATH="{scripts}:$PATH"\n{block}'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_two_commands_stand_at_the_top() -> None:
    """The first two blocks of the README are the two commands."""
    first, second, *_ = [str(example.parsed) for example in _examples("bash")]
    assert "mayar-reviews demo" in first
    assert "pytest" in second


def test_every_promise_names_a_test_that_exists() -> None:
    """A promise without a test is no promise."""
    text = README.read_text()
    promised = re.findall(r"\[`(test_\w+)`\]\((tests/[\w/]+\.py)\)", text)
    assert promised
    for name, path in promised:
        assert f"def {name}(" in (README.parent / path).read_text(), name


def test_it_is_of_a_length_to_be_read() -> None:
    """At most about two hundred lines."""
    assert len(README.read_text().splitlines()) <= 225
