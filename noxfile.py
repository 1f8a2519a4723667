"""The checks and the Python versions they run on; `nox --list` names them.

`.ci/run` runs the default suite on the lowest Python, with the newest dependencies and with the
lowest allowed ones, and on the newest Python; and a smoke test on each.
"""

import hashlib
import os
import re
import shutil
import tarfile
import zipfile
from pathlib import Path

import nox

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
EXTRAS = ["cli", "parquet", "redis", "dask"]
LARGEST_FILE = 1_000_000
"""No file of a package is larger, in bytes."""
ALLOWED = re.compile(
    r"mayar_reviews/(\w+/)*(\w+\.py|py\.typed)"
    r"|mayar_reviews-[^/]+\.dist-info/(METADATA|RECORD|WHEEL|entry_points\.txt|licenses/LICENSE)"
    r"|CHANGELOG\.md|LICENSE|PKG-INFO|README\.md|pyproject\.toml|\.gitignore"
)
"""The names of the files of an sdist and of a wheel."""

nox.options.sessions = ["checks", "tests-3.11"]
nox.options.error_on_missing_interpreters = True


def group(name: str) -> tuple[str, ...]:
    """Return what a dependency group holds."""
    return nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), name)


def contents(file: Path) -> dict[str, int]:
    """Return the names and sizes of the files in an sdist or a wheel."""
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as wheel:
            return {info.filename: info.file_size for info in wheel.infolist()}
    with tarfile.open(file) as sdist:
        return {info.name.partition("/")[2]: info.size for info in sdist.getmembers()}


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run all tests with the newest dependencies."""
    session.install(".[all]", *group("test"))
    session.run("python", "-m", "pytest", "-m", "slow or not slow", *session.posargs)


@nox.session(python=PYTHONS)
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest versions of what users install, and measure the coverage."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    extras = (project["optional-dependencies"][name] for name in EXTRAS)
    allowed = {dep for deps in (project["dependencies"], *extras) for dep in deps if ">=" in dep}
    constraints = Path(session.create_tmp()) / "lowest.txt"
    constraints.write_text(
        "\n".join(re.sub(r"(\[.*\])?>=", "==", dep).partition(";")[0] for dep in allowed)
    )
    session.install("-e", ".[all]", *group("test"), "-c", str(constraints))
    session.run("python", "-m", "pytest", "--cov", *session.posargs)


@nox.session(python=PYTHONS)
def smoke(session: nox.Session) -> None:
    """Install nothing but the package and its command line, and run the demo."""
    session.install(".[cli]")
    session.run("mayar-reviews", "demo", "--output", f"{session.create_tmp()}/reviews.jsonl")


@nox.session(python="3.11")
def mutation(session: nox.Session) -> None:
    """Change the core in small ways, and see its tests fail; `-- walk` does one module."""
    session.install("-e", ".[all]", *group("test"), *group("mutation"))
    session.run("python", "-m", "tests.mutation", *session.posargs)


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
def workflows(session: nox.Session) -> None:
    """Check the workflows and the forms for issues, without asking GitHub."""
    session.install(*group("release"))
    audited = (".github", ".pre-commit-config.yaml")
    session.run("zizmor", "--offline", "--strict-collection", "--persona=auditor", *audited)
    for schema, files in (
        ("github-workflows", sorted(Path(".github/workflows").iterdir())),
        ("dependabot", [".github/dependabot.yml"]),
        ("github-issue-forms", [".github/ISSUE_TEMPLATE/bug.yml"]),
        ("github-issue-config", [".github/ISSUE_TEMPLATE/config.yml"]),
    ):
        session.run("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *map(str, files))


@nox.session(python="3.11")
def actionlint(session: nox.Session) -> None:
    """Run actionlint, which its package downloads from GitHub."""
    session.install(*group("actionlint"))
    session.run("actionlint", "-color")


@nox.session(python="3.11")
def package(session: nox.Session) -> None:
    """Build the last commit twice, compare the bytes, use the wheel; `-- dist` keeps both files."""
    session.install(*group("release"))
    work = Path(session.create_tmp()).absolute()
    shutil.rmtree(work)
    work.mkdir()
    commit_time = session.run("git", "log", "-1", "--format=%ct", external=True, silent=True)

    # The first build is from a clone, the second from an archive, under another umask and zone.
    session.run("git", "clone", "-q", ".", str(work / "clone"), external=True)
    session.run("git", "archive", "-o", str(work / "archive.tar"), "HEAD", external=True)
    with tarfile.open(work / "archive.tar") as archive:
        archive.extractall(work / "archive", filter="data")
    build = ("python", "-m", "build", "--outdir")
    env = {"SOURCE_DATE_EPOCH": str(commit_time).strip()}
    session.run(*build, str(work / "first"), str(work / "clone"), env=env)
    env["TZ"] = "Asia/Jakarta"
    before = os.umask(0o077)
    session.run(*build, str(work / "second"), str(work / "archive"), env=env)
    os.umask(before)

    first, second = (
        {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
        for folder in (work / "first", work / "second")
    )
    for name, digest in sorted(first.items()):
        session.log(f"{digest}  {name}")
    if first != second:
        session.error(f"The second build differs: {second}")

    built = sorted(map(str, (work / "first").iterdir()))
    session.run("twine", "check", "--strict", *built)
    for file in built:
        held = contents(Path(file))
        session.log(f"{Path(file).name}: {len(held)} files, {sum(held.values()):,} bytes")
        if wrong := sorted(
            name
            for name, size in held.items()
            if size > LARGEST_FILE or not ALLOWED.fullmatch(name)
        ):
            session.error(f"{file} should not hold {wrong}")

    session.run("python", "-m", "venv", str(work / "venv"))
    programs = next(path for path in (work / "venv/bin", work / "venv/Scripts") if path.exists())
    wheel = next(file for file in built if file.endswith(".whl"))
    python, command = str(programs / "python"), str(programs / "mayar-reviews")
    session.run(python, "-m", "pip", "install", "-q", f"{wheel}[cli]", external=True)
    with session.chdir(work):
        session.run(command, "--version", external=True)
        session.run(command, "demo", "--output", "reviews.jsonl", external=True)
    for folder in session.posargs:
        shutil.copytree(work / "first", folder)


@nox.session(python="3.11")
def docs(session: nox.Session) -> None:
    """Build the documentation site into `docs/_build`; any warning fails."""
    session.install("-e", ".[all]", *group("docs"))
    session.run("sphinx-build", "-E", "-W", "--keep-going", "-b", "html", "docs", "docs/_build")
