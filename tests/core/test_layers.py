"""Who imports whom, and what an import costs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mayar_reviews

PACKAGE = Path(mayar_reviews.__file__).parent


# What each module of the core may import from the package, in the order of the map.
CORE = {
    "version": set[str](),
    "events": set[str](),
    "api_json": set[str](),
    "models": {"api_json"},
    "errors": {"models"},
    "checks": {"errors", "models"},
    "arguments": {"checks", "models"},
    "credentials": {"errors"},
    "converter": {"api_json", "errors", "models"},
    "answers": {"api_json", "checks", "converter", "credentials", "errors", "models"},
    "retry": {"checks", "errors"},
    "endpoints": {"answers", "api_json", "arguments", "checks", "errors", "models", "retry"},
    "rate_limit": {"checks", "errors"},
    "transport": {"answers", "credentials", "endpoints", "errors", "version"},
    "call": {
        "answers", "endpoints", "errors", "events", "rate_limit", "retry", "transport",
    },
    "delivery": {"call", "endpoints", "errors", "retry"},
    "creation": {"call", "delivery", "endpoints", "errors", "models", "retry"},
    "status_updates": {"arguments", "call", "checks", "delivery", "endpoints", "errors"},
    "pagination": {"call", "delivery", "endpoints", "errors", "models"},
    "client": {
        "arguments", "call", "checks", "creation", "credentials", "delivery", "endpoints",
        "events", "models", "pagination", "rate_limit", "retry", "status_updates", "transport",
    },
    "__init__": {"arguments", "client", "errors", "events", "models", "rate_limit", "retry", "version"},
}  # fmt: skip
ONLY_IN = {
    "cattrs": {"converter"},
    "aiohttp": {"transport", "client"},
    "orjson": {"api_json"},
}


def _imports(path: Path) -> tuple[set[str], set[str]]:
    """The modules of this package, and the others, that a file imports."""
    ours, others = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            ours |= {name.partition(".")[0] for name in names}
        elif isinstance(node, ast.ImportFrom):
            others.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.Import):
            others |= {alias.name.partition(".")[0] for alias in node.names}
    return ours, others


@pytest.mark.parametrize("module", sorted(CORE))
def test_imports_point_one_way(module: str) -> None:
    """A module imports what its layer allows, and what only one may import only there."""
    ours, others = _imports(PACKAGE / f"{module}.py")
    assert ours <= CORE[module]
    for library, allowed in ONLY_IN.items():
        assert library not in others or module in allowed


def test_every_module_of_the_core_has_its_layer() -> None:
    """A new module is drawn into the layers, or is an extra that the core does not know."""
    extras = {"__main__", "cli", "redis", "dask"}
    assert {path.stem for path in PACKAGE.glob("*.py")} - extras == set(CORE)


def test_the_fake_server_shares_no_code_with_the_client() -> None:
    """So that a misspelt field cannot cancel itself out."""
    for path in (PACKAGE / "testing").glob("*.py"):
        if path.stem in ("plugin", "__init__"):
            continue
        ours, others = _imports(path)
        assert ours <= {"store"}
        assert "mayar_reviews" not in others


@pytest.mark.parametrize("part", ["cli", "__main__", "export"])
def test_the_outer_parts_use_public_names_only(part: str) -> None:
    """The command line and the export are honest users of the package."""
    path = PACKAGE / part
    files = list(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    private = re.compile(r"from (?:\.\.|\.|mayar_reviews\.)(?!export|testing|cli)(\w+) import")
    for file in files:
        if file.exists():
            found = set(private.findall(file.read_text())) & set(CORE)
            assert not found, (file.name, found)


def test_an_import_loads_neither_the_command_line_nor_the_fake_server() -> None:
    """Nor cattrs, which is loaded with the first page."""
    unwanted = {
        "mayar_reviews.cli", "mayar_reviews.testing", "mayar_reviews.export", "aiohttp.web",
        "cattrs", "rich", "cyclopts", "pyarrow", "redis", "distributed",
    }  # fmt: skip
    code = f"import sys, mayar_reviews; print(sorted({unwanted!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
