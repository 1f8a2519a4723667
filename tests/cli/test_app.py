"""The program as a whole: help, errors, exit codes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from mayar_reviews import __version__
from mayar_reviews.testing import FakeMayar

from .conftest import Mayar, end, start

COMMANDS = ["create", "demo", "doctor", "export", "get", "list", "set-status", "stats", "update"]
COMMANDS += ["watch"]


async def test_help_lists_the_commands(mayar: Mayar) -> None:
    """So does the program without arguments. --version is the version of the package."""
    bare, asked = await mayar(), await mayar("--help")
    assert bare == asked
    assert (bare.code, bare.err) == (0, "")
    assert [name for name in COMMANDS if f" {name} " in bare.out] == COMMANDS
    assert (await mayar("--version")).out == f"{__version__}\n"


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS[:-1])  # the last one never ends
async def test_help_has_an_example_that_works(fake: FakeMayar, mayar: Mayar, command: str) -> None:
    """The fake Mayar has what the examples name."""
    fake.add_product("kelas-data")
    fake.add_review("kelas-web", id="ulasan-1", customerId="pembeli-1")
    fake.add_review("kelas-web", id="ulasan-2")
    fake.add_purchase("kelas-web", "budi@example.com")
    process = await start(command, "--help", COLUMNS="200")
    shown = await end(process)
    examples = re.findall(r"^Example: mayar-reviews (.+?) *$", shown.out, re.MULTILINE)
    assert examples
    for example in examples:
        result = await mayar(*shlex.split(example))
        assert result.code == 0, result.err


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("export kelas-web --output o --rating 9", "--rating is out of range"),
        ("export kelas-web --output o --rating 4.7", "--rating"),
        ("export kelas-web --output o --page-size 0", "--page-size"),
        ("export kelas-web --output o --concurrency 0", "--concurrency"),
        ("export kelas-web --output o --format xml", "--format"),
        ("export kelas-web --output o --rate-limit 20", "--rate-limit"),
        ("export kelas-web --output o --rate-limit 0/60", "--rate-limit"),
        ("export kelas-web --output o --rate-limit 20/0", "--rate-limit"),
        ("export kelas-web --output o --base-url http://example.com", "--base-url"),
        ("export kelas-web --output o --base-url https://a.b --sandbox", "--sandbox"),
        ("export kelas-web --output o --status ACTIVE", "--status"),
        ("export kelas-web --output o --jsn", "--jsn"),
        ("export kelas-web --output o --resume --force", "--force"),
        ("export kelas-web --output nowhere/o", "--output"),
        ("export kelas-web kelas-data --output -", "--output"),
        ("export kelas-web --output - --resume", "--output"),
        ("export kelas-web --output - --format csv", "--output"),
        ("export kelas-web", "--output"),
        ("export - --output o", "standard input"),
        ("export --output o", "PRODUCT_ID"),
        ("export k --output o", "PRODUCT_ID"),
        ("export kelas-web --all --output o", "--all"),
        ("list --rating 0", "--rating"),
        ("list --max 0", "--max"),
        ("list --status GONE", "--status"),
        ("list kelas-web --all", "--all"),
        ("list --prioritize-message", "--prioritize-message"),
        ("get kelas-web", "--customer-id"),
        ("get ../x --customer-id pembeli-1", "PRODUCT_ID"),
        ("create kelas-web --rating 5", "--customer-email"),
        ("create kelas-web --rating 5 --customer-email budi", "--customer-email"),
        ("create kelas-web --rating 5 --customer-email a@b.cd --message -", "--message"),
        ("create kelas-web --rating 5 --customer-email a@b.cd --attach foto", "--attach"),
        ("create kelas-web --rating 5 --customer-email a@b.cd --attach gif:x", "--attach"),
        ("update ulasan-1", "nothing to update"),
        ("update u --rating 1", "REVIEW_ID"),
        ("update ulasan-1 --detach image:", "--detach"),
        ("set-status GONE ulasan-1", "STATUS"),
        ("set-status ACTIVE u", "REVIEW_ID"),
        ("set-status ACTIVE", "REVIEW_ID"),
        ("demo --rating 5", "--rating"),
        ("doctor ../x", "PRODUCT_ID"),
        ("lsit", "list"),
    ],
)
async def test_wrong_usage_is_one_line(
    fake: FakeMayar, mayar: Mayar, command: str, named: str
) -> None:
    """It names the option, before anything is sent or written. The exit code is 2."""
    result = await mayar(*command.split())
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    assert named in result.err
    assert not fake.requests
    assert not list(Path().iterdir())


@pytest.mark.parametrize("command", ["stats kelas-web", "export kelas-web --output o"])
async def test_a_wrong_or_missing_key_is_one_line(
    fake: FakeMayar, mayar: Mayar, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Without a traceback. The exit code is 1."""

    async def failure() -> str:
        result = await mayar(*command.split())
        assert (result.code, result.out) == (1, "")
        assert result.err.startswith("error: ")
        assert result.err.count("\n") == 1
        assert not list(Path().iterdir())
        return result.err

    fake.seed("kelas-web", 3)
    monkeypatch.setenv("MAYAR_API_KEY", "wrong-key")
    assert "the API key was not accepted (status 401)" in await failure()
    assert "wrong-key" not in await failure()
    monkeypatch.setenv("MAYAR_API_KEY", "")
    assert "the API key is missing: set MAYAR_API_KEY" in await failure()
    monkeypatch.delenv("MAYAR_API_KEY")
    assert "the API key is missing: set MAYAR_API_KEY" in await failure()


@pytest.mark.slow
@pytest.mark.parametrize("command", ["export kelas-web --output o", "stats kelas-web"])
async def test_without_a_network_a_command_fails_at_once(
    mayar: Mayar, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """It does not wait for an hour. The exit code is 1."""
    monkeypatch.setenv("MAYAR_API_URL", "http://127.0.0.1:1")
    result = await mayar(*command.split())
    assert (result.code, result.out) == (1, "")
    assert "no connection to 127.0.0.1:1: " in result.err.splitlines()[-1]
    assert not list(Path().iterdir())


async def test_an_unknown_product_is_one_line(mayar: Mayar) -> None:
    """It has Mayar's own words, and nothing is left on the disk."""
    result = await mayar("export", "nirvana", "--output", "out.jsonl")
    assert (result.code, result.out) == (1, "")
    assert result.err.count("\n") == 1
    assert "Produk tidak ditemukan" in result.err
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    "arguments",
    [["--api-key=hush"], ["--api-key", "hush"], ["--api-key:hush"], ["-khush"], ["-k", "hush"]],
)
async def test_a_key_given_as_an_option_is_not_shown(mayar: Mayar, arguments: list[str]) -> None:
    """There is no such option, and the message does not repeat the value."""
    result = await mayar("stats", *arguments)
    assert result.code == 2
    assert "hush" not in result.err


async def test_standard_input_must_be_utf_8(mayar: Mayar) -> None:
    result = await mayar("update", "ulasan-1", "--message", "-", stdin=b"\xff")
    assert (result.code, result.err) == (2, "error: standard input is not UTF-8\n")


@pytest.mark.slow
async def test_without_the_extra_one_line_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['cyclopts'] = None; "
        "from mayar_reviews.__main__ import main; main()"
    )
    result = await end(await start(program=["-c", code]))
    assert (result.code, result.out) == (1, "")
    assert result.err == "the command line is an extra: pip install 'mayar-reviews[cli]'\n"


@pytest.mark.slow
async def test_nothing_is_loaded_without_need() -> None:
    """The package does not load the command line. --help does not load the fake server."""
    code = (
        "import sys, mayar_reviews; assert 'mayar_reviews.cli' not in sys.modules; "
        "sys.argv[1:] = ['--help']; from mayar_reviews.cli import run; run(); "
        "assert 'mayar_reviews.testing' not in sys.modules"
    )
    result = await end(await start(program=["-c", code]))
    assert (result.code, result.err) == (0, "")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
async def test_standard_output_on_a_full_disk_is_one_line(fake: FakeMayar) -> None:
    """The exit code is 1."""
    fake.add_review("kelas-web")
    with Path("/dev/full").open("wb") as full:
        for command in (["list", "kelas-web"], ["export", "kelas-web", "--output", "-"]):
            result = await end(await start(*command, stdout=full))
            assert (result.code, result.err) == (1, "error: [Errno 28] No space left on device\n")


async def test_shell_completion_is_installed(
    mayar: Mayar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the shell that runs, into the home directory."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SHELL", "/bin/bash")
    result = await mayar("--install-completion", "--shell", "bash")
    assert result.code == 0, result.err
    made = [one for one in (tmp_path / "home").rglob("*") if one.is_file()]
    assert any("set-status" in one.read_text() for one in made)


@pytest.mark.slow
async def test_a_closed_standard_input_or_output_is_told(
    fake: FakeMayar, mayar: Mayar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reviews are not thrown away in silence."""
    fake.seed("kelas-web", 3)
    closed = await end(
        await start(
            "-c",
            "import sys; sys.stdout = None; from mayar_reviews.__main__ import main; "
            "sys.argv = ['mayar-reviews', 'export', 'kelas-web', '--output', '-']; main()",
            program=(),
        )
    )
    assert (closed.code, closed.err) == (
        2,
        "error: --output - cannot be used: standard output is closed\n",
    )
    closed = await end(
        await start(
            "-c",
            "import sys; sys.stdin = None; from mayar_reviews.__main__ import main; "
            "sys.argv = ['mayar-reviews', 'export', '-', '--output', 'out']; main()",
            program=(),
        )
    )
    assert (closed.code, closed.err) == (2, "error: standard input is closed\n")
    assert fake.requests == []
