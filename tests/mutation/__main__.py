"""Mutation testing of the core: each small change of the code must fail a test.

    python -m tests.mutation [MODULE ...]

mutmut changes one thing at a time in each function and runs the tests that reach it, one change
after the other. A change that no test notices must stand in `survivors.toml`, with the reason why
it does no harm; one that stands there and is noticed must go. Constants of a module and functions
with a decorator are not changed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SURVIVORS = Path(__file__).with_name("survivors.toml")
LEAST_KILLED = 0.97
"""Of all modules together."""

TESTS = {
    "retry": ["test_retry.py", "test_arguments.py"],
    "creation": [
        "test_creation.py",
        "test_client.py",
        "test_events.py",
        "faults/test_creations.py",
    ],
    "status_updates": ["test_status_updates.py", "faults/test_status_updates.py"],
    "walk": ["test_walk.py", "test_pagination.py"],
    "delivery": [
        "test_creation.py",
        "test_retry.py",
        "test_call.py",
        "test_events.py",
        "faults/test_creations.py",
        "faults/test_rate_limits.py",
        "faults/test_updates.py",
    ],
    "call": [
        "test_call.py",
        "test_events.py",
        "test_creation.py",
        "test_lifecycle.py",
        "test_rate_limit_pauses.py",
        "faults/test_foreign_answers.py",
    ],
    "rate_limit": [
        "test_rate_limit.py",
        "test_rate_limit_pauses.py",
        "test_rate_limit_within.py",
        "test_budgets.py",
        "test_arguments.py",
    ],
    "answers": [
        "test_answers.py",
        "test_converter.py",
        "test_endpoint_reads.py",
        "test_endpoints.py",
        "test_models.py",
        "test_pagination.py",
    ],
    "endpoints": [
        "test_endpoint_reads.py",
        "test_endpoints.py",
        "test_endpoint_lists.py",
        "test_arguments.py",
    ],
}
"""For each module the tests in `tests/core` that are to notice."""

_CONFIG = """
[tool.mutmut]
source_paths = ["mayar_reviews"]
only_mutate = ["mayar_reviews/{module}.py"]
also_copy = ["tests", "docs", "examples", "README.md", "pyproject.toml"]
pytest_add_cli_args = ["-n0", "-p", "no:cacheprovider", "--timeout", "20"]
pytest_add_cli_args_test_selection = {tests}
"""


def copy(directory: Path) -> None:
    """Copy what git knows, and what it would add, into a directory."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.check_output(listed, cwd=ROOT, text=True).splitlines():
        if (ROOT / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, directory / name)


def run(module: str) -> tuple[int, list[dict[str, str]]]:
    """Return how many mutants there are, and which are not killed."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        copy(directory)
        tests = json.dumps([f"tests/core/{file}" for file in TESTS[module]])
        with (directory / "pyproject.toml").open("a") as file:
            file.write(_CONFIG.format(module=module, tests=tests))

        def mutmut(*arguments: str) -> str:
            command = [sys.executable, "-m", "mutmut", *arguments]
            return subprocess.check_output(command, cwd=directory, text=True)

        # With a pattern, mutmut first runs the tests by their ids, without a change, as it does for
        # each mutant. So a test that it cannot find by its id ends this, and counts as no kill.
        mutmut("run", "--max-children", "1", f"mayar_reviews.{module}.*")
        results = re.findall(r"^ +(\S+): (.+)$", mutmut("results", "--all", "true"), re.MULTILINE)
        alive = [name for name, verdict in results if verdict not in ("killed", "timeout")]
        return len(results), [_survivor(name, mutmut("show", name)) for name in alive]


def _survivor(name: str, diff: str) -> dict[str, str]:
    """Describe a mutant by what stays when others come and go."""
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    was, becomes = (
        "\n".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+"
    )
    function = re.sub(r"^mayar_reviews\.|\bx_|xǁ|__mutmut_\d+$", "", name).replace("ǁ", ".")
    return {"function": function, "was": was, "becomes": becomes}


def main() -> None:
    modules = sys.argv[1:] or list(TESTS)
    known = tomllib.loads(SURVIVORS.read_text(encoding="utf-8"))["survivor"]
    total = survived = 0
    faults = []
    for module in modules:
        count, alive = run(module)
        total += count
        survived += len(alive)
        sys.stdout.write(f"{module}: {count - len(alive)} of {count} killed\n")
        sys.stdout.flush()
        listed = [
            {key: one[key] for key in ("function", "was", "becomes")}
            for one in known
            if one["function"].partition(".")[0] == module
        ]
        faults += [("survived, and is not listed", one) for one in alive if one not in listed]
        faults += [("is listed, but was killed", one) for one in listed if one not in alive]
    for fault, one in faults:
        sys.stdout.write(f"\n{one['function']}: {fault}\n- {one['was']}\n+ {one['becomes']}\n")
    killed = 1 - survived / total
    sys.stdout.write(f"\n{total - survived} of {total} killed: {killed:.1%}\n")
    if faults or (modules == list(TESTS) and killed < LEAST_KILLED):
        sys.exit(1)


if __name__ == "__main__":
    main()
