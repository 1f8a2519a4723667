"""What every test can rely on."""

from __future__ import annotations

import gc
import os

import pytest
from hypothesis import settings

# Asserts in these modules say as much as those in tests.
pytest.register_assert_rewrite("tests.support", "tests.core.faults.matrix")

# The same examples in every run; `--hypothesis-profile=default` tries others.
settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
settings.load_profile("repeatable")

SLOW_TIMEOUT = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give slow tests more time than the `timeout` of pyproject.toml."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT))


def pytest_collection_finish() -> None:
    """Keep the tests themselves out of every garbage collection that a test makes."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail if a test was skipped, where `FAIL_IF_SKIPPED` is set: `.ci/run` sets it."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("FAIL_IF_SKIPPED") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.section("a test was skipped, and FAIL_IF_SKIPPED is set", red=True)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAYAR_API_KEY", "MAYAR_API_URL"):
        monkeypatch.delenv(name, raising=False)
