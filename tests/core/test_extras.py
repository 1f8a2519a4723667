"""What an import says when the library of an extra is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import importlib, sys

module, library = sys.argv[1:]


class Missing:
    def find_spec(self, name, *_):
        if name == library:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Missing())
try:
    importlib.import_module(module)
except ModuleNotFoundError as error:
    print(error.name, error)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "library", "extra"),
    [
        ("mayar_reviews.redis", "redis", "redis"),
        ("mayar_reviews.dask", "distributed", "dask"),
    ],
)
def test_an_import_without_its_extra_says_what_to_install(
    module: str, library: str, extra: str
) -> None:
    """It stays a `ModuleNotFoundError` that names the library."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, module, library],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == (
        f"{library} {module} is an extra: pip install 'mayar-reviews[{extra}]'\n"
    )
