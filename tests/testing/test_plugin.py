"""The fixtures for users' tests: in this process, and from an environment of their own."""

from __future__ import annotations

import subprocess
import sys
import time
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
FAULTS = """
import pytest
from mayar_reviews import ReviewsClient

@pytest.mark.asyncio
async def test_nothing_waits(fake_mayar, reviews_client):
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
"""


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_both_modes_of_pytest_asyncio(pytester: pytest.Pytester, mode: str) -> None:
    """A user's tests use the fixtures as they are, and none of them waits."""
    pytester.makepyfile(test_mine=USER_TEST, test_faults=FAULTS)
    started = time.monotonic()
    result = pytester.runpytest_subprocess(
        "-p",
        "mayar_reviews.testing.plugin",
        "-W",
        "error",
        "-o",
        f"asyncio_mode={mode}",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
    )
    result.assert_outcomes(passed=2)
    assert time.monotonic() - started < 30


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
    from importlib.metadata import entry_points  # noqa: PLC0415

    assert not [e for e in entry_points(group="pytest11") if "mayar" in e.value]
