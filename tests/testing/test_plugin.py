"""The fixtures for users' tests: in this process, and from an environment of their own."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

USER_TEST = """
import pytest

@pytest.mark.asyncio
async def test_mine(fake_mayar, reviews_client):
    fake_mayar.seed("my-product", 60); fake_mayar.fail_next(503, times=2)
    assert len([review async for review in reviews_client.iter_product_reviews("my-product")]) == 60
"""
NOTHING_WAITS = """
import asyncio
import pytest
from mayar_reviews.export import export_reviews

@pytest.fixture
def real_waits(monkeypatch):
    # Whoever sleeps, by whatever name, asks the loop to wake it with this callback.
    waits, call_later = [], asyncio.BaseEventLoop.call_later

    def watched(loop, delay, callback, *args, **options):
        if callback is asyncio.futures._set_result_unless_cancelled:
            waits.append(delay)
        return call_later(loop, delay, callback, *args, **options)

    monkeypatch.setattr(asyncio.BaseEventLoop, "call_later", watched)
    return waits

@pytest.mark.asyncio
async def test_a_creation(fake_mayar, reviews_client, real_waits):
    told = []
    client = reviews_client.with_options(on_event=told.append)
    fake_mayar.add_purchase("my-product", "a@b.id")
    fake_mayar.fail_next(429, retry_after=60)
    fake_mayar.drop_next()
    review = await client.create_review(
        payment_link_id="my-product", customer_email="a@b.id", rating=5
    )
    assert list(fake_mayar.reviews) == [review.id]
    assert sum(event.seconds for event in told if event.kind == "wait") >= 3
    assert real_waits == []

@pytest.mark.asyncio
async def test_an_export(fake_mayar, reviews_client, real_waits, tmp_path):
    told = []
    fake_mayar.seed("my-product", 60)
    fake_mayar.fail_next(503, times=9)
    report = await export_reviews(
        reviews_client, "my-product", tmp_path / "reviews.jsonl", on_progress=told.append
    )
    assert report.written == 60
    assert sum(one.seconds for one in told if one.waiting == "outage") >= 5
    assert real_waits == []

@pytest.mark.asyncio
async def test_others_still_wait(reviews_client, real_waits):
    await asyncio.sleep(0.01)
    assert real_waits == [0.01]
"""
WITHOUT_END = """
import math
import pytest
from mayar_reviews import RetryPolicy
from mayar_reviews.export import export_reviews

@pytest.mark.asyncio
async def test_an_outage_without_end(fake_mayar, reviews_client, tmp_path):
    fake_mayar.fail_next(503, math.inf)
    client = reviews_client.with_options(retry=RetryPolicy.none())
    await export_reviews(client, "my-product", tmp_path / "reviews.jsonl")
"""
ANYIO_TEST = USER_TEST.replace("mark.asyncio", "mark.anyio")
ON_ASYNCIO = """
import pytest

@pytest.fixture
def anyio_backend():
    return "asyncio"
"""
SYNC_TEST = """
from urllib.request import Request, urlopen

def test_mine(fake_mayar):
    fake_mayar.add_review("my-product")
    headers = {"Authorization": f"Bearer {fake_mayar.api_key}"}
    with urlopen(Request(f"{fake_mayar.url}/hl/v2/reviews", headers=headers)) as answer:
        assert answer.status == 200
"""


def run(pytester: pytest.Pytester, *options: str, mode: str = "") -> pytest.RunResult:
    return pytester.runpytest_subprocess(
        "-p",
        "mayar_reviews.testing.plugin",
        "-W",
        "error",
        *(["-o", f"asyncio_mode={mode}"] if mode else []),
        *(["-o", "asyncio_default_fixture_loop_scope=function"] if mode else []),
        *options,
    )


@pytest.mark.slow
def test_the_strict_mode_of_pytest_asyncio(pytester: pytest.Pytester) -> None:
    """The fixtures work as they are, nothing of the client or an export waits, nor for ever.

    Tests that anyio runs may stand beside those of pytest-asyncio.
    """
    pytester.makeconftest(ON_ASYNCIO)
    pytester.makepyfile(
        test_mine=USER_TEST,
        test_waits=NOTHING_WAITS,
        test_sync=SYNC_TEST,
        test_anyio=ANYIO_TEST,
        test_endless=WITHOUT_END,
    )
    result = run(pytester, mode="strict")
    result.assert_outcomes(passed=6, failed=1)
    result.stdout.fnmatch_lines(["*skipped an hour of waiting*"])


@pytest.mark.slow
def test_the_auto_mode_of_pytest_asyncio(pytester: pytest.Pytester) -> None:
    """They work as well, but not where anyio runs the same test in another loop: that is told."""
    pytester.makeconftest(ON_ASYNCIO)
    pytester.makepyfile(test_mine=USER_TEST, test_waits=NOTHING_WAITS, test_anyio=ANYIO_TEST)
    result = run(pytester, mode="auto")
    result.assert_outcomes(passed=4, errors=1)
    result.stdout.fnmatch_lines(["*set asyncio_mode to strict*"])


@pytest.mark.slow
def test_anyio_alone(pytester: pytest.Pytester) -> None:
    """They work on asyncio; on trio, which the client does not know, the test says what to do."""
    pytester.makepyfile(test_mine=ANYIO_TEST, test_sync=SYNC_TEST)
    result = run(pytester, "-p", "no:asyncio")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*reviews_client needs asyncio*anyio_backend*"])


@pytest.mark.slow
def test_without_a_plugin_that_runs_coroutines(pytester: pytest.Pytester) -> None:
    """The server works; the client says what is missing."""
    pytester.makepyfile(test_sync=SYNC_TEST, test_mine="def test_mine(reviews_client): pass")
    result = run(pytester, "-p", "no:asyncio", "-p", "no:anyio")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*install pytest-asyncio*"])


@pytest.mark.slow
def test_from_a_fresh_environment(tmp_path: Path) -> None:
    """With nothing but the package and pytest-asyncio installed, three lines suffice."""
    root = Path(__file__).parents[2]
    (tmp_path / "test_mine.py").write_text(USER_TEST)
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["mayar_reviews.testing.plugin"]\n')
    subprocess.run([sys.executable, "-m", "venv", "env"], cwd=tmp_path, check=True)
    python = str(tmp_path / "env" / "bin" / "python")
    install = [python, "-m", "pip", "install", "-q", str(root), "pytest-asyncio"]
    subprocess.run(install, cwd=tmp_path, check=True)
    done = subprocess.run(
        [python, "-m", "pytest", "-q"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_nothing_is_loaded_by_itself() -> None:
    """Who does not name the plugin does not get it, whatever is installed."""
    assert not [e for e in entry_points(group="pytest11") if "mayar" in e.value]
