"""What every test can rely on."""

from __future__ import annotations

import pytest

# Their asserts say as much as those of the tests.
pytest.register_assert_rewrite("tests.support", "tests.core.faults.matrix")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAYAR_API_KEY", "MAYAR_API_URL"):
        monkeypatch.delenv(name, raising=False)
