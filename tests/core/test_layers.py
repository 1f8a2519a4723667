"""Who imports whom, and what an import costs."""

from __future__ import annotations

import ast
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
    "endpoints": {"answers", "api_json", "arguments", "checks", "converter", "errors", "models", "retry"},
    "rate_limit": {"checks", "errors"},
    "tracebacks": set[str](),
    "transport": {"answers", "credentials", "endpoints", "errors", "tracebacks", "version"},
    "call": {
        "answers", "endpoints", "errors", "events", "rate_limit", "retry", "transport",
    },
    "delivery": {"call", "endpoints", "errors", "retry"},
    "creation": {"call", "delivery", "endpoints", "errors", "models", "retry"},
    "status_updates": {"arguments", "call", "checks", "delivery", "endpoints", "errors"},
    "walk": {"answers", "api_json", "checks", "errors"},
    "pagination": {"call", "delivery", "endpoints", "errors", "models", "tracebacks", "walk"},
    "client": {
        "arguments", "call", "checks", "creation", "credentials", "delivery", "endpoints",
        "errors", "events", "models", "pagination", "rate_limit", "retry", "status_updates", "transport",
        "tracebacks", "walk",
    },
    "__init__": {"arguments", "client", "credentials", "errors", "events", "models", "rate_limit", "retry", "version"},
}  # fmt: skip
ONLY_IN = {
    "cattrs": {"converter"},
    "aiohttp": {"transport", "client"},
    "msgspec": {"api_json", "converter", "walk"},
}


# What the parts around the core use beside public names; "" is `mayar_reviews` itself.
AROUND = {
    "__main__": {"cli", "version"},
    "cli": {
        "",
        "api_json",
        "checks",
        "cli",
        "export",
        "export.durable",
        "export.key_file",
        "export.stream",
        "testing",
    },
    "dask": {
        "",
        "api_json",
        "checks",
        "credentials",
        "export",
        "export.durable",
        "export.formats",
        "export.key_file",
        "redis",
    },
    "export": {"", "api_json", "checks", "converter", "export", "walk"},
    "redis": {"checks", "credentials", "errors", "rate_limit"},
    "testing": {"", "export", "testing"},
}


def _imports(path: Path) -> tuple[set[str], set[str]]:
    """The modules of this package, without its name, and the libraries that a file imports."""
    here = ["mayar_reviews", *path.relative_to(PACKAGE).parts[:-1]]
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = here[: len(here) + 1 - node.level] if node.level else []
            module = ".".join([*package, *filter(None, [node.module])])
            inner = {f"{module}.{alias.name}" for alias in node.names}
            names |= {name if _is_module(name) else module for name in inner}
    ours = {name for name in names if name.partition(".")[0] == "mayar_reviews"}
    return (
        {name.removeprefix("mayar_reviews").removeprefix(".") for name in ours},
        {name.partition(".")[0] for name in names - ours},
    )


def _is_module(name: str) -> bool:
    package, *parts = name.split(".")
    path = PACKAGE.joinpath(*parts)
    return package == "mayar_reviews" and (path.is_dir() or path.with_suffix(".py").exists())


@pytest.mark.parametrize("module", sorted(CORE))
def test_imports_point_one_way(module: str) -> None:
    """A module imports only modules below it, and a library only where it belongs."""
    ours, others = _imports(PACKAGE / f"{module}.py")
    assert ours <= CORE[module]
    for library, allowed in ONLY_IN.items():
        assert library not in others or module in allowed


def test_every_module_is_drawn() -> None:
    """A new module must be added to one of the two tables."""
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert modules | packages == CORE.keys() | AROUND.keys()


def test_the_fake_server_shares_no_code_with_the_client() -> None:
    """Else a misspelt field would be wrong on both sides, and pass."""
    for path in (PACKAGE / "testing").glob("*.py"):
        if path.stem in ("plugin", "__init__"):
            continue
        ours, _ = _imports(path)
        assert all(name.startswith("testing.") for name in ours)


@pytest.mark.parametrize("part", AROUND)
def test_the_parts_around_the_core_use_no_more_of_it_than_is_drawn(part: str) -> None:
    """The command line and the export are built on public names only."""
    path = PACKAGE / part
    files = list(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    for file in files:
        ours, _ = _imports(file)
        own = {name for name in ours if name.partition(".")[0] == part and path.is_dir()}
        assert ours - own <= AROUND[part], file.name


def test_an_import_loads_only_what_everybody_needs() -> None:
    """Aiohttp comes with `ReviewsClient`, and cattrs with the first page that does not fit."""
    unwanted = {
        "aiohttp",
        "mayar_reviews.cli", "mayar_reviews.testing", "mayar_reviews.export", "aiohttp.web",
        "cattrs", "rich", "cyclopts", "pyarrow", "redis", "distributed",
    }  # fmt: skip
    code = f"import sys, mayar_reviews; print(sorted({unwanted!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--version", "--help"])
def test_the_command_line_loads_aiohttp_only_to_send(option: str) -> None:
    """It takes longer to load than everything else together."""
    code = (
        f"import sys; sys.argv = ['mayar-reviews', {option!r}]\n"
        "from mayar_reviews.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print('aiohttp' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
