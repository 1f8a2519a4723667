"""The checks and the Python versions they run on; `nox --list` names them.

`.ci/run` runs the newest dependencies and the lowest allowed ones on one Python, and a smoke
test on the others.
"""

import re
from pathlib import Path

import nox

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
EXTRAS = ["cli", "parquet", "redis", "dask"]

nox.options.sessions = ["checks", "tests-3.11"]
nox.options.error_on_missing_interpreters = False


def group(name: str) -> list[str]:
    """Return what a dependency group holds."""
    return nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), name)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run all tests with the newest dependencies."""
    session.install(".[all]", *group("test"))
    session.run("python", "-m", "pytest", "-m", "slow or not slow", *session.posargs)


@nox.session(python=PYTHONS)
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest versions of what users install."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    extras = (project["optional-dependencies"][name] for name in EXTRAS)
    allowed = {dep for deps in (project["dependencies"], *extras) for dep in deps if ">=" in dep}
    constraints = Path(session.create_tmp()) / "lowest.txt"
    constraints.write_text(
        "\n".join(re.sub(r"(\[.*\])?>=", "==", dep).partition(";")[0] for dep in allowed)
    )
    session.install(".[all]", *group("test"), "-c", str(constraints))
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python=PYTHONS)
def smoke(session: nox.Session) -> None:
    """Install nothing but the package and its command line, and run the demo."""
    session.install(".[cli]")
    session.run("mayar-reviews", "demo", "--output", f"{session.create_tmp()}/reviews.jsonl")


@nox.session(python="3.11")
def checks(session: nox.Session) -> None:
    """Formatter, linter and type checkers."""
    session.install("-e", ".[all]", *group("dev"))
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", "--verifytypes", "mayar_reviews", "--ignoreexternal")


@nox.session(python="3.11")
def docs(session: nox.Session) -> None:
    """Build the documentation site into `docs/_build`; any warning fails."""
    session.install("-e", ".[all]", *group("docs"))
    session.run("sphinx-build", "-E", "-W", "--keep-going", "-b", "html", "docs", "docs/_build")
