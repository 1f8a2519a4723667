"""The commands that export."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest

from mayar_reviews.testing import FakeMayar

from .conftest import Mayar, Result, end, grow, start


def _raw(fake: FakeMayar, payment_link_id: str = "kelas-web") -> list[dict[str, Any]]:
    """What an export of a product must hold, newest first."""
    ours = [one for one in fake.reviews.values() if one["paymentLinkId"] == payment_link_id]
    return ours[::-1]


def _read(path: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_bytes().splitlines()]


@pytest.mark.parametrize("there", [0, 1, 49, 50, 51, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_export_is_whole(fake: FakeMayar, mayar: Mayar, there: int) -> None:
    """The file holds exactly the API's objects; standard output nothing, for 0 reviews as well."""
    fake.add_product("kelas-web")
    fake.seed("kelas-web", there)
    result = await mayar(
        *("export", "kelas-web", "--output", "out.jsonl", "--verify", "--rate-limit", "off")
    )
    assert (result.code, result.out) == (0, "")
    assert _read("out.jsonl") == _raw(fake)
    summary, complete = result.err.splitlines()
    plural = "" if there == 1 else "s"
    none = "" if there else ": there are none"
    assert summary == f"{there:,} review{plural} in out.jsonl{none}"
    assert complete == f"complete: {there} of {there}"


async def test_export_to_standard_output(fake: FakeMayar, mayar: Mayar) -> None:
    """It is the same bytes as the file, with the talk and the report on standard error."""
    fake.seed("kelas-web", 51)
    fake.add_review("kelas-web", message="\ud83d cut")
    grow(fake)
    await mayar("export", "kelas-web", "--output", "out.jsonl")
    streamed = await mayar("export", "kelas-web", "--output", "-", "--json")
    assert streamed.code == 0
    assert streamed.out.encode() == Path("out.jsonl").read_bytes()
    summary, report = streamed.err.splitlines()
    assert summary == "52 reviews on standard output"
    assert json.loads(report)["written"] == 52
    quiet = await mayar("export", "--all", "--rating", 5, "--output", "-", "--quiet")
    assert {review["rating"] for review in quiet.lines} == {5}
    assert quiet.err == ""


async def test_export_of_the_store(fake: FakeMayar, mayar: Mayar) -> None:
    """--all holds every product and status, and --status fewer."""
    fake.add_review("kelas-web", id="aktif")
    fake.add_review("kelas-data", id="arsip", status="ARCHIVED")
    await mayar("export", "--all", "--output", "all.jsonl")
    await mayar("export", "--all", "--status", "archived", "--output", "archived.jsonl")
    assert [review["id"] for review in _read("all.jsonl")] == ["arsip", "aktif"]
    assert [review["id"] for review in _read("archived.jsonl")] == ["arsip"]


async def test_export_of_several(fake: FakeMayar, mayar: Mayar) -> None:
    """A file for each, ids from standard input too; one that fails is exit code 1, not the end."""
    fake.seed("kelas-web", 3)
    fake.seed("kelas-data", 2)
    result = await mayar(
        *("export", "-", "kelas-data", "--output", "out", "--json"), stdin=b"kelas-web\nnirvana\n"
    )
    assert result.code == 1
    assert _read("out/kelas-web.jsonl") == _raw(fake, "kelas-web")
    assert _read("out/kelas-data.jsonl") == _raw(fake, "kelas-data")
    (report,) = result.lines
    assert [file["written"] for file in report["files"]] == [3, 0, 2]
    assert "Produk tidak ditemukan" in report["files"][1]["error"]
    assert report["failed"] == 1
    error, last = (line for line in result.err.splitlines() if not line.endswith(".jsonl"))
    assert error.startswith("error: ")
    assert last == (
        "1 of 3 products failed; go on with: "
        "mayar-reviews export --resume - kelas-data --output out --json"
    )
    fake.add_product("nirvana")
    fake.requests.clear()
    again = await mayar(
        *("export", "--resume", "-", "kelas-data", "--output", "out"), stdin=b"kelas-web nirvana"
    )
    assert again.code == 0
    assert [request.path for request in fake.requests] == ["/hl/v2/products/nirvana/reviews"]


async def test_export_of_one_into_a_directory(fake: FakeMayar, mayar: Mayar) -> None:
    """Where the output is a directory, or ids are piped in, the file has the product's name."""
    fake.seed("kelas-web", 1)
    Path("out").mkdir()
    result = await mayar("export", "kelas-web", "--output", "out", "--format", "csv")
    assert result.code == 0
    assert result.err == "1 review in out/kelas-web.csv\n"
    assert Path("out/kelas-web.csv").read_bytes().startswith(b"id,")
    await mayar("export", "-", "--output", "new", stdin=b"kelas-web\n")
    assert _read("new/kelas-web.jsonl") == _raw(fake)


async def test_verify_finds_what_is_missing(fake: FakeMayar, mayar: Mayar) -> None:
    """Reviews that the cursor skipped are told by their stars and why, even if quiet: code 3."""
    for rating in (5, 4, 3):
        fake.add_review("kelas-web", rating=rating, createdAt=1_767_063_610_103)
    result = await mayar(
        *("export", "kelas-web", "--output", "out.jsonl", "--page-size", 1, "--verify", "--quiet")
    )
    assert result.code == 3
    incomplete, why = result.err.splitlines()
    assert incomplete.startswith("incomplete: 1 of 3; missing: 1 with ")
    assert "same millisecond" in why


async def test_an_existing_output_is_not_overwritten(fake: FakeMayar, mayar: Mayar) -> None:
    """Only --resume and --force touch a file that is there."""
    fake.seed("kelas-web", 2)
    Path("out.jsonl").write_text("mine")
    refused = await mayar("export", "kelas-web", "--output", "out.jsonl")
    assert refused.code == 2
    assert refused.err.startswith("error: out.jsonl is there already")
    assert Path("out.jsonl").read_text() == "mine"
    assert not fake.requests
    assert (await mayar("export", "kelas-web", "--output", "out.jsonl", "--force")).code == 0
    resumed = await mayar("export", "kelas-web", "--output", "out.jsonl", "--resume")
    assert resumed.err == "2 reviews in out.jsonl, 2 of them from before\n"


async def test_an_export_that_fails_says_how_to_go_on(fake: FakeMayar, mayar: Mayar) -> None:
    """The error's one line gives the command that resumes, and that command works."""
    fake.seed("kelas-web", 5)
    arguments = "export", "kelas-web", "--output", "my reviews.jsonl", "--page-size", "2", "--force"

    original = fake._page

    def page(*args: object, **options: object) -> object:
        if not fake.requests:
            fake.fail_next(404, message="Hilang")
        return original(*args, **options)  # type: ignore[arg-type]

    fake._page = page  # type: ignore[assignment, method-assign]
    failed = await mayar(*arguments)
    assert failed.code == 1
    assert failed.err.count("\n") == 1
    assert failed.err.startswith("error: ")
    assert "stopped after 2 reviews" in failed.err
    command = shlex.split(failed.err.partition("; go on with: ")[2])
    assert command[0] == "mayar-reviews"
    assert (await mayar(*command[1:])).code == 0
    assert _read("my reviews.jsonl") == _raw(fake)


async def test_demo(mayar: Mayar, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two thousand reviews, whatever the environment says, as often as one likes."""
    monkeypatch.delenv("MAYAR_API_KEY")
    monkeypatch.setenv("MAYAR_API_URL", "http://127.0.0.1:1")
    for _ in range(2):
        result = await mayar("demo")
        assert result.code == 0
        *histogram, _, last = result.out.splitlines()
        assert [line.split()[0] for line in histogram] == ["5", "4", "3", "2", "1"]
        assert last == "2,000 reviews in demo-reviews.jsonl; complete: 2000 of 2000"
        assert len(set(Path("demo-reviews.jsonl").read_bytes().splitlines())) == 2000
    Path("mine.jsonl").write_text("mine")
    assert (await mayar("demo", "--output", "mine.jsonl")).code == 2
    assert Path("mine.jsonl").read_text() == "mine"
    assert (await mayar("demo", "--output", "mine.jsonl", "--force")).code == 0


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_stops_it_cleanly(
    fake: FakeMayar, mayar: Mayar, number: int, code: int, times: int
) -> None:
    """Ctrl-C, once or twice, and SIGTERM end with one line: what is written, how to go on."""
    fake.seed("kelas-web", 120)
    process = await start("export", "kelas-web", "--output", "out.jsonl", "--rate-limit", "2/600")
    while len(fake.requests) < 2:
        await asyncio.sleep(0.01)
    assert process.stderr is not None
    assert (await process.stderr.readline()).decode().endswith("rate limit: 600 s\n")
    for _ in range(times):
        process.send_signal(number)
    stopped = await end(process)
    assert stopped == Result(
        code,
        "",
        "stopped: 100 reviews written; go on with: "
        "mayar-reviews export --resume kelas-web --output out.jsonl --rate-limit 2/600\n",
    )
    assert _read("out.jsonl") == _raw(fake)[:100]
    assert (await mayar("export", "--resume", "kelas-web", "--output", "out.jsonl")).code == 0
    assert _read("out.jsonl") == _raw(fake)


async def test_ctrl_c_while_an_answer_is_awaited(fake: FakeMayar) -> None:
    """A request under way is given up at once; where no page came there is nothing to find."""
    fake.seed("kelas-web", 3)
    fake.stall_next()
    process = await start("export", "kelas-web", "--output", "out.jsonl")
    while not fake.requests:
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGINT)
    stopped = await end(process)
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.err.startswith("stopped: 0 reviews written; ")
    assert not list(Path().iterdir())


async def test_a_reader_that_leaves(fake: FakeMayar) -> None:
    """A closed pipe ends it without a word, with the exit code that a shell gives."""
    fake.seed("kelas-web", 200)
    reading, writing = os.pipe()
    os.close(reading)
    for command in (["export", "kelas-web", "--output", "-", "--quiet"], ["list"]):
        result = await end(await start(*command, stdout=writing))
        assert (result.code, result.err) == (141, "")
    os.close(writing)
