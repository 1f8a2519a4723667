"""The program as a whole: help, faults, exit codes, where which words go."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest
from rich.cells import cell_len

from mayar_reviews import SANDBOX_URL, __version__
from mayar_reviews.testing import FakeMayar

from .conftest import Mayar, end, start

COMMANDS = ["create", "demo", "export", "get", "list", "set-status", "stats", "update"]


async def test_help_and_version(mayar: Mayar) -> None:
    """By itself it tells its commands, the version is the package's."""
    bare, asked = await mayar(), await mayar("--help")
    assert bare == asked
    assert (bare.code, bare.err) == (0, "")
    assert [name for name in COMMANDS if f" {name} " in bare.out] == COMMANDS
    assert (await mayar("--version")).out == f"{__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
async def test_help_has_an_example_that_works(fake: FakeMayar, mayar: Mayar, command: str) -> None:
    """What --help shows as an example is run, against a shop that has what it names."""
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
        ("lsit", "list"),
    ],
)
async def test_usage_faults(fake: FakeMayar, mayar: Mayar, command: str, named: str) -> None:
    """Exit code 2 and one line that names the option, before anything is sent or written."""
    result = await mayar(*command.split())
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    assert named in result.err
    assert not fake.requests
    assert not list(Path().iterdir())


@pytest.mark.parametrize("command", ["stats kelas-web", "export kelas-web --output o"])
async def test_failures(
    fake: FakeMayar, mayar: Mayar, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """A wrong key and no key: exit code 1 and one line, without a traceback."""

    async def fault() -> str:
        result = await mayar(*command.split())
        assert (result.code, result.out) == (1, "")
        assert result.err.startswith("error: ")
        assert result.err.count("\n") == 1
        assert not list(Path().iterdir())
        return result.err

    fake.seed("kelas-web", 3)
    monkeypatch.setenv("MAYAR_API_KEY", "wrong-key")
    assert "the API key was not accepted (status 401)" in await fault()
    assert "wrong-key" not in await fault()
    monkeypatch.setenv("MAYAR_API_KEY", "")
    assert "there is no API key: set MAYAR_API_KEY" in await fault()
    monkeypatch.delenv("MAYAR_API_KEY")
    assert "there is no API key: set MAYAR_API_KEY" in await fault()


@pytest.mark.parametrize(
    "command",
    ["export kelas-web --output o", pytest.param("stats kelas-web", marks=pytest.mark.slow)],
)
async def test_no_network(mayar: Mayar, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Nobody at the other end: exit code 1, and not after an hour's patience."""
    monkeypatch.setenv("MAYAR_API_URL", "http://127.0.0.1:1")
    result = await mayar(*command.split())
    assert (result.code, result.out) == (1, "")
    assert "no connection to 127.0.0.1:1: " in result.err.splitlines()[-1]
    assert not list(Path().iterdir())


async def test_unknown_product(mayar: Mayar) -> None:
    """Exit code 1, Mayar's own words, and nothing left behind."""
    result = await mayar("export", "nirvana", "--output", "out.jsonl")
    assert (result.code, result.out) == (1, "")
    assert result.err.count("\n") == 1
    assert "Produk tidak ditemukan" in result.err
    assert not list(Path().iterdir())


async def test_key_from_a_file(
    fake: FakeMayar, mayar: Mayar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--api-key-file goes before the environment; what is no key is not repeated."""
    monkeypatch.setenv("MAYAR_API_KEY", "wrong-key")
    Path("key").write_text(f"{fake.api_key}\n")
    assert (await mayar("stats", "--api-key-file", "key")).code == 0
    missing = await mayar("stats", "--api-key-file", "nowhere")
    assert (missing.code, missing.err) == (1, "error: nowhere: No such file or directory\n")
    Path("key").write_bytes(b"\xffhush hush")
    bad = await mayar("stats", "--api-key-file", "key")
    assert bad.code == 1
    assert "hush" not in bad.err


@pytest.mark.parametrize(
    "arguments",
    [["--api-key=hush"], ["--api-key", "hush"], ["--api-key:hush"], ["-khush"], ["-k", "hush"]],
)
async def test_the_key_is_no_option(mayar: Mayar, arguments: list[str]) -> None:
    """Whoever tries does not read it again in the fault."""
    result = await mayar("stats", *arguments)
    assert result.code == 2
    assert "hush" not in result.err


async def test_sandbox(monkeypatch: pytest.MonkeyPatch, mayar: Mayar) -> None:
    """--sandbox goes before MAYAR_API_URL."""
    origins = []

    def client(*_: object, base_url: str | None, **__: object) -> None:
        origins.append(base_url)
        raise RuntimeError("not now")

    monkeypatch.setattr("mayar_reviews.cli.connection.ReviewsClient", client)
    for arguments in ([], ["--sandbox"], ["--base-url", "https://example.com"]):
        result = await mayar("stats", *arguments)
        assert (result.code, result.err) == (1, "error: not now\n")
    assert origins == [os.environ["MAYAR_API_URL"], SANDBOX_URL, "https://example.com"]


async def test_rate_limit_is_kept_and_can_be_off(fake: FakeMayar, mayar: Mayar) -> None:
    """Without pacing, more requests go out than the default lets through in a minute."""
    fake.seed("kelas-web", 30)
    result = await mayar(
        *("export", "kelas-web", "--output", "o", "--page-size", 1, "--rate-limit", "off")
    )
    assert result.code == 0
    assert len(fake.requests) == 30


async def test_stdin_that_is_not_text(mayar: Mayar) -> None:
    """Bytes that are no UTF-8 are refused, not guessed at."""
    result = await mayar("update", "ulasan-1", "--message", "-", stdin=b"\xff")
    assert (result.code, result.err) == (2, "error: standard input is not UTF-8\n")


async def test_without_the_extra() -> None:
    """Where cyclopts is missing, one line says what to install."""
    code = (
        "import sys; sys.modules['cyclopts'] = None; "
        "from mayar_reviews.__main__ import main; main()"
    )
    result = await end(await start(program=["-c", code]))
    assert (result.code, result.out) == (1, "")
    assert result.err == "the command line is an extra: pip install 'mayar-reviews[cli]'\n"


async def test_nothing_is_loaded_for_nothing() -> None:
    """--help does not load the fake server, and the package itself not the command line."""
    code = (
        "import sys, mayar_reviews; assert 'mayar_reviews.cli' not in sys.modules; "
        "sys.argv[1:] = ['--help']; from mayar_reviews.cli import run; run(); "
        "assert 'mayar_reviews.testing' not in sys.modules"
    )
    result = await end(await start(program=["-c", code]))
    assert (result.code, result.err) == (0, "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
async def test_a_terminal_without_stars(fake: FakeMayar, encoding: str) -> None:
    """What an encoding cannot express is replaced, and ends nothing."""
    fake.add_review("kelas-web", message="Bagus 👍")
    process = await start("list", "kelas-web", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    result = await end(process)
    assert (result.code, result.err) == (0, "")
    assert "Bagus ?" in result.out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
async def test_a_full_disk_under_standard_output(fake: FakeMayar) -> None:
    """An output that cannot be written is one line and exit code 1."""
    fake.add_review("kelas-web")
    with Path("/dev/full").open("wb") as full:
        for command in (["list", "kelas-web"], ["export", "kelas-web", "--output", "-"]):
            result = await end(await start(*command, stdout=full))
            assert (result.code, result.err) == (1, "error: [Errno 28] No space left on device\n")


@pytest.mark.parametrize("width", [80, 120])
async def test_tables_fit_the_terminal(fake: FakeMayar, width: int) -> None:
    """No line is wider than the terminal, and ids are whole."""
    fake.seed("kelas-web", 20)
    process = await start("list", COLUMNS=str(width))
    result = await end(process)
    assert all(cell_len(line) <= width for line in result.out.splitlines())
    assert all(review_id in result.out for review_id in fake.reviews)
