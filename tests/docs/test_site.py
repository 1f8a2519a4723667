"""The pages of the documentation site: their code runs, and their links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mayar_reviews.testing import FakeMayar
from tests.support.documents import (
    ROOT,
    bash_command,
    examples,
    file_name,
    mypy_says,
    python_command,
    start,
)

DOCS = ROOT / "docs"
PAGES = sorted(page.relative_to(DOCS) for page in DOCS.rglob("*.md") if "_build" not in page.parts)
IN_INDONESIAN = [page for page in PAGES if page.parts[0] == "id"]
_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?://)(?P<target>[^)#\s]+)(#[^)\s]*)?\)")
_ENTRY = re.compile(r"^(?:[^\n<]*<)?(?P<page>[\w/-]+)>?$", re.MULTILINE)


def _blocks(page: Path) -> list[tuple[int, str, str]]:
    """Return the line, the language and the text of each block that runs, in their order."""
    found = [
        (example.line, language, str(example.parsed))
        for language in ("python", "bash")
        for example in examples(DOCS / page, language)
    ]
    return sorted(found)


RUN = [page for page in PAGES if page not in IN_INDONESIAN and _blocks(page)]
"""The Indonesian pages have the same blocks as the English ones."""


def _shop() -> FakeMayar:
    """The server that `python -m mayar_reviews.testing --seed 200` serves."""
    fake = FakeMayar()
    fake.seed("kelas-web", 180)
    fake.seed("kelas-web", 20)
    fake.add_purchase("kelas-web", "budi@example.com")
    return fake


def _run(page: Path, directory: Path) -> None:
    """Run the blocks of a page one after the other, in one directory, with one server.

    A block that the reader is to save as a file is saved, and imported.
    """
    with _shop() as fake:
        for line, language, text in _blocks(page):
            command = bash_command(text)
            if language == "python":
                name = file_name(text)
                if name is None:
                    command = python_command(text)
                else:
                    (directory / name).write_text(text)
                    command = python_command(f"import {name.removesuffix('.py')}")
            process = start(command, fake, directory)
            output, errors = process.communicate(timeout=50)
            assert process.returncode == 0, f"{page}:{line}\n{output}\n{errors}"
            if language == "python":
                assert errors == "", f"{page}:{line}"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", RUN, ids=str)
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    """Each as a process of its own; a block may need the ones before it."""
    _run(page, tmp_path)


@pytest.mark.slow
def test_the_server_of_the_tutorial_is_the_one_that_the_pages_run_against(tmp_path: Path) -> None:
    """The command of the tutorial, at any free port, serves what `_shop` does."""
    [command] = re.findall(
        r"^python -m (mayar_reviews\.testing .*)$", _text("tutorial.md"), re.MULTILINE
    )
    arguments = [sys.executable, "-u", "-m", *command.split(), "--port", "0"]
    listing = "mayar-reviews list kelas-web --max 50 --json"
    with _shop() as fake, subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as served:
        try:
            assert served.stdout is not None
            served.stdout.readline()
            export = served.stdout.readline()
            listed = subprocess.run(
                bash_command(f"{export}{listing}"), cwd=tmp_path, capture_output=True, check=True
            )
            expected, _ = start(bash_command(listing), fake, tmp_path).communicate(timeout=50)
        finally:
            served.kill()
    assert listed.stdout.decode().splitlines() == expected.splitlines()
    assert len(expected.splitlines()) == 50


@pytest.mark.slow
def test_the_page_of_the_tutorial_shows_reviews(tmp_path: Path) -> None:
    """The program `app.py` answers a visitor."""
    [app] = [text for _, _, text in _blocks(Path("tutorial.md")) if file_name(text) == "app.py"]
    (tmp_path / "app.py").write_text(app)
    visit = (
        "import asyncio, sys; sys.path.insert(0, '')\n"
        "from aiohttp.test_utils import TestClient, TestServer\n"
        "from app import app\n"
        "async def main():\n"
        "    async with TestClient(TestServer(app)) as visitor:\n"
        "        print(await (await visitor.get('/products/kelas-web')).text())\n"
        "        print((await visitor.get('/products/kelas-lain')).status)\n"
        "asyncio.run(main())\n"
    )
    with _shop() as fake:
        process = start([sys.executable, "-c", visit], fake, tmp_path)
        output, errors = process.communicate(timeout=50)
    assert "Materinya jelas" in output, errors
    assert output.endswith("404\n")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_block_of_python_passes_mypy(tmp_path: Path) -> None:
    """A reader who copies one gets no complaint from a type checker."""
    for page in RUN:
        for line, language, text in _blocks(page):
            if language == "python":
                name = file_name(text) or f"{page.stem.replace('-', '_')}_{line}.py"
                assert not (tmp_path / name).exists(), f"two files have the name {name}"
                (tmp_path / name).write_text(text)
    assert mypy_says(tmp_path, ".") == ""


def _text(page: str | Path) -> str:
    return (DOCS / page).read_text()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_is_short_and_its_links_lead_to_files(page: Path) -> None:
    """Sphinx checks this as well, but is not needed to run the tests."""
    text = _text(page)
    assert len(text.splitlines()) <= 135
    prose = _FENCE.sub("", text)
    for link in _LINK.finditer(prose):
        assert ((DOCS / page).parent / link["target"]).is_file(), link["target"]


def test_every_page_is_in_a_table_of_contents() -> None:
    """Whoever begins at the index finds them all."""
    named = set()
    for page in PAGES:
        for tree in re.findall(
            r"^```\{toctree\}\n(.*?)^```$", _text(page), re.MULTILINE | re.DOTALL
        ):
            entries = "\n".join(line for line in tree.splitlines() if line[:1] not in (":", ""))
            named |= {page.parent / f"{entry['page']}.md" for entry in _ENTRY.finditer(entries)}
    assert named == set(PAGES) - {Path("index.md")}


def test_there_are_indonesian_pages() -> None:
    """The three that most beginners read."""
    assert {page.name for page in IN_INDONESIAN} == {
        "tutorial.md",
        "web-backend.md",
        "nightly-job.md",
    }


@pytest.mark.parametrize("page", IN_INDONESIAN, ids=str)
def test_an_indonesian_page_has_the_code_of_the_english_one(page: Path) -> None:
    """Block by block: only the prose differs."""
    [english] = [one for one in PAGES if one.name == page.name and one not in IN_INDONESIAN]
    blocks = [
        [(match["language"], match["text"]) for match in _FENCE.finditer(_text(one))]
        for one in (page, english)
    ]
    assert blocks[0] == blocks[1]


def test_every_command_has_its_help_on_the_page_of_the_command_line() -> None:
    """In the order of the code; the build makes the help from the code."""
    app = pytest.importorskip("mayar_reviews.cli.app")._app()
    commands = [name for name in app if not name.startswith("-")]
    shown = re.findall(
        r"^```\{command\} ([\w-]+)$", _text("reference/command-line.md"), re.MULTILINE
    )
    assert shown == ["connection", *commands]


def test_llms_txt_names_every_page_once() -> None:
    """In the form of llmstxt.org: a title, a summary, and sections of links."""
    text = _text("llms.txt")
    assert re.match(r"# mayar-reviews\n\n> ", text)
    links = re.findall(r"^- \[[^\]]+\]\(([\w/-]+)\.html\): .+$", text, re.MULTILINE)
    assert sorted(links) == sorted(
        str(page.with_suffix("")) for page in PAGES if page.name != "index.md"
    )
