"""What a release rests on: the workflows, the versions, the package page and the forms."""

from __future__ import annotations

import ast
import re
import runpy
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mayar_reviews import __version__

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").iterdir())
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
NOXFILE = (ROOT / "noxfile.py").read_text()
CI_RUN = (ROOT / ".ci/run").read_text()
_CI: dict[str, Any] = runpy.run_path(str(ROOT / ".ci/notes.py"))
release_notes: Callable[[str, str, str], str] = _CI["release_notes"]
read_version: Callable[[str], str] = _CI["read_version"]

MADE_BY_A_WORKFLOW = {"notes/notes.md"}
_PATH = re.compile(
    r"(?<![\w./<-])\.?[\w-]+(?:/[\w-]+)*(?:\.(?:md|py|toml|txt|ya?ml)|/run)(?![\w/])"
)
_CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-11-25\n\n### Added\n\n- That.\n\n## [1.1.0] - 2026-10-01\n\n- This.\n"


def _pythons() -> list[str]:
    """Return `PYTHONS` of noxfile.py, which needs nox to be imported."""
    line = re.search(r"^PYTHONS = (\[.*\])$", NOXFILE, re.MULTILINE)
    assert line
    pythons: list[str] = ast.literal_eval(line[1])
    return pythons


def test_the_changelog_has_the_version_or_unreleased_changes() -> None:
    assert read_version((ROOT / "mayar_reviews/version.py").read_text()) == __version__
    headings = re.findall(r"^## \[([^]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert {__version__, "Unreleased"} & set(headings)


def test_the_notes_of_a_release_are_its_section() -> None:
    assert release_notes("v1.2.0", "1.2.0", _CHANGELOG) == "### Added\n\n- That.\n"
    assert release_notes("v1.1.0", "1.1.0", _CHANGELOG) == "- This.\n"


@pytest.mark.parametrize(
    ("tag", "version", "changelog", "message"),
    [
        ("v1.2.1", "1.2.0", _CHANGELOG, "The tag is v1.2.1"),
        ("1.2.0", "1.2.0", _CHANGELOG, "The tag is 1.2.0"),
        ("v1.3.0", "1.3.0", _CHANGELOG, "has no line"),
        ("v1x2.0", "1x2.0", _CHANGELOG, "has no line"),
        ("v1.2.0", "1.2.0", _CHANGELOG.replace(" - 2026-11-25", ""), "has no line"),
        ("v1.2.0", "1.2.0", _CHANGELOG.replace("2026-11-25", "soon"), "soon is not a date"),
        ("v1.2.0", "1.2.0", "## [1.2.0] - 2026-11-25\n", "says nothing"),
    ],
)
def test_a_release_that_does_not_agree_is_refused(
    tag: str, version: str, changelog: str, message: str
) -> None:
    with pytest.raises(SystemExit, match=message):
        release_notes(tag, version, changelog)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_every_file_and_session_that_a_workflow_names_exists(workflow: Path) -> None:
    text = workflow.read_text()
    named = set(_PATH.findall(text)) - MADE_BY_A_WORKFLOW
    assert named
    assert not [name for name in named if not (ROOT / name).exists()]


def test_every_session_that_is_named_exists() -> None:
    sessions = set(re.findall(r"^def (\w+)\(session: ", NOXFILE, re.MULTILINE))
    places = [CI_RUN, (ROOT / "CONTRIBUTING.md").read_text(), *(w.read_text() for w in WORKFLOWS)]
    named = {
        name.partition("-")[0]
        for text in places
        for line in re.findall(r'(?:\bnox|\[@\]\}") -s "?((?:[a-z][\w.$"-]*[ `\n]+)+)', text)
        for name in line.replace("`", "\n").partition("\n")[0].split()
    }
    assert {"checks", "workflows", "package", "lowest", "tests", "smoke", "actionlint"} <= named
    assert named <= sessions


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_a_commit_and_its_version_named(workflow: Path) -> None:
    used = re.findall(r"^.*\buses:.*$", workflow.read_text(), re.MULTILINE)
    assert used
    pinned = re.compile(r"\s*(- )?uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert not [line for line in used if not pinned.fullmatch(line)]


def test_an_action_has_one_version() -> None:
    """The same commit of an action has the same version, in every workflow."""
    text = "".join(workflow.read_text() for workflow in WORKFLOWS)
    used = set(re.findall(r"uses: (\S+)@(\w+) # (\S+)", text))
    assert len(used) == len({action for action, _, _ in used})


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_do_nothing_that_a_job_does_not_ask_for(workflow: Path) -> None:
    text = workflow.read_text()
    assert "\npermissions: {}\n" in text
    assert text.count("persist-credentials: false") == text.count("uses: actions/checkout@")
    jobs = text.partition("\njobs:\n")[2]
    assert jobs.count("timeout-minutes:") == len(re.findall(r"^  \w+:$", jobs, re.MULTILINE))


def test_only_the_job_that_publishes_gets_a_token_of_pypi() -> None:
    text = (GITHUB / "workflows/release.yml").read_text()
    publish = text[text.index("\n  publish:\n") : text.index("\n  github:\n")]
    assert "environment:\n      name: pypi\n" in publish
    assert "id-token: write" in publish
    assert sum(workflow.read_text().count("id-token: write") for workflow in WORKFLOWS) == 1


def test_classifiers_and_workflows_name_every_python() -> None:
    pythons = _pythons()
    found = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))
    assert found == pythons
    assert PROJECT["project"]["requires-python"] == f">={pythons[0]}"
    ci = (GITHUB / "workflows/ci.yml").read_text()
    linux = re.search(r"python-version: \|\n((?: +3\.\d+\n)+)", ci)
    assert linux
    assert sorted(linux[1].split()) == sorted(pythons)
    assert f'python: ["{pythons[0]}", "{pythons[-1]}"]' in ci
    [needed] = re.findall(r"^pythons=\((.+)\)$", CI_RUN, re.MULTILINE)
    where_found = re.findall(r"pythons\+=\((3\.\d+)\)", CI_RUN)
    assert [*needed.split(), *where_found] == pythons


def test_the_package_page_has_absolute_links_to_files_that_exist() -> None:
    """The substitutions of pyproject.toml, over what the README and the changelog say."""
    hook = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    text = (ROOT / "README.md").read_text() + (ROOT / "CHANGELOG.md").read_text()
    relative = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", text)
    assert relative
    assert not [path for path in relative if not (ROOT / path).exists()]
    for substitution in hook["substitutions"]:
        text = re.sub(substitution["pattern"], substitution["replacement"], text)
    links = re.findall(r"(!?)\[[^]]*\]\(([^)]*)\)", text)
    assert not [url for _, url in links if not url.startswith(("https://", "#"))]
    ours = [(picture, url) for picture, url in links if "$HFPR_VERSION" in url]
    assert len(ours) == len(relative)
    assert all(("raw.githubusercontent.com" in url) == bool(picture) for picture, url in ours)


def test_the_package_page_has_the_newest_section_that_says_something() -> None:
    hook = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    pattern = hook["fragments"][-1]["pattern"]
    for text, newest in [
        (_CHANGELOG, "### Added\n\n- That.\n"),
        (_CHANGELOG.replace("## [Unreleased]\n\n", ""), "### Added\n\n- That.\n"),
        (_CHANGELOG.replace("[Unreleased]", "[Unreleased]\n\n- New."), "- New.\n"),
    ]:
        found = re.search(pattern, text, re.DOTALL)
        assert found
        assert found[1] == newest
    assert re.search(pattern, (ROOT / "CHANGELOG.md").read_text(), re.DOTALL)


def test_the_forms_exist_and_ask_for_what_a_bug_needs() -> None:
    bug = (GITHUB / "ISSUE_TEMPLATE/bug.yml").read_text()
    assert "mayar-reviews doctor --json" in bug
    assert "mayar-reviews --version" in bug
    private = f"{PROJECT['project']['urls']['Source']}/security/advisories/new"
    for path in ("SECURITY.md", ".github/ISSUE_TEMPLATE/config.yml"):
        assert private in (ROOT / path).read_text()
    assert (GITHUB / "pull_request_template.md").exists()
    assert (GITHUB / "dependabot.yml").exists()


def test_pre_commit_and_nox_run_the_same_versions() -> None:
    """The hooks run what the group `dev` installs, and what only checks is pinned there."""
    hooks = re.findall(r"entry: python -m (\w+)", (ROOT / ".pre-commit-config.yaml").read_text())
    groups = PROJECT["dependency-groups"]
    pinned = [*groups["types"], *(one for one in groups["dev"] if isinstance(one, str))]
    assert set(hooks) == {"ruff", "mypy"}
    assert all(any(one.startswith(f"{hook}==") for one in pinned) for hook in hooks)
    tools = groups["release"] + groups["actionlint"]
    assert all("==" in tool for tool in tools)
