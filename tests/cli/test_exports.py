"""The commands `export` and `demo`."""

from __future__ import annotations

import csv
import json
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest

from mayar_reviews.cli import report_json
from mayar_reviews.testing import FakeMayar
from tests.support.export_shop import newest_first, reviews_in

from .conftest import Mayar, end, start


def expected(fake: FakeMayar, payment_link_id: str = "kelas-web") -> list[object]:
    """What an export of a product must hold."""
    return [fake.reviews[one] for one in newest_first(fake, payment_link_id)]


@pytest.mark.parametrize("there", [0, 1, 49, 50, 51, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_the_file_holds_every_review(fake: FakeMayar, mayar: Mayar, there: int) -> None:
    """And standard output holds nothing."""
    fake.add_product("kelas-web")
    fake.seed("kelas-web", there)
    result = await mayar(
        *("export", "kelas-web", "--output", "out.jsonl", "--verify", "--rate-limit", "off")
    )
    assert (result.code, result.out) == (0, "")
    assert reviews_in("out.jsonl") == expected(fake)
    summary, complete = result.err.splitlines()
    plural = "" if there == 1 else "s"
    assert summary == f"{there:,} review{plural} in out.jsonl"
    assert complete == f"complete: {there} of {there}"


async def test_standard_output_gets_the_bytes_of_the_file(fake: FakeMayar, mayar: Mayar) -> None:
    """The summary and the JSON report then go to standard error."""
    fake.seed("kelas-web", 51)
    fake.add_review("kelas-web", message="\ud83d cut")
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


async def test_all_exports_every_product_and_status(fake: FakeMayar, mayar: Mayar) -> None:
    """--status selects one status."""
    fake.add_review("kelas-web", id="aktif")
    fake.add_review("kelas-data", id="arsip", status="ARCHIVED")
    await mayar("export", "--all", "--output", "all.jsonl")
    await mayar("export", "--all", "--status", "archived", "--output", "archived.jsonl")
    assert [review["id"] for review in reviews_in("all.jsonl")] == ["arsip", "aktif"]
    assert [review["id"] for review in reviews_in("archived.jsonl")] == ["arsip"]


async def test_several_products_get_a_file_each(fake: FakeMayar, mayar: Mayar) -> None:
    """Ids may come from standard input. If one product fails, the others are exported: code 1."""
    fake.seed("kelas-web", 3)
    fake.seed("kelas-data", 2)
    result = await mayar(
        *("export", "-", "kelas-data", "--output", "out", "--json"), stdin=b"kelas-web\nnirvana\n"
    )
    assert result.code == 1
    assert reviews_in("out/kelas-web.jsonl") == expected(fake, "kelas-web")
    assert reviews_in("out/kelas-data.jsonl") == expected(fake, "kelas-data")
    (report,) = result.lines
    assert [file["written"] for file in report["files"]] == [3, 0, 2]
    assert "Produk tidak ditemukan" in report["files"][1]["error"]
    assert report["failed"] == 1
    error, last = (line for line in result.err.splitlines() if not line.endswith(".jsonl"))
    assert error.startswith("error: ")
    assert last == (
        "1 of 3 products failed; continue with: "
        "mayar-reviews export --resume - kelas-data --output out --json"
    )
    fake.add_product("nirvana")
    fake.requests.clear()
    again = await mayar(
        *("export", "--resume", "-", "kelas-data", "--output", "out"), stdin=b"kelas-web nirvana"
    )
    assert again.code == 0
    assert [request.path for request in fake.requests] == ["/hl/v2/products/nirvana/reviews"]


async def test_in_a_directory_the_file_is_named_after_the_product(
    fake: FakeMayar, mayar: Mayar
) -> None:
    """That is so if the output is a directory, or if ids are read from standard input."""
    fake.seed("kelas-web", 1)
    Path("out").mkdir()
    result = await mayar("export", "kelas-web", "--output", "out", "--format", "csv")
    assert result.code == 0
    assert result.err == "1 review in out/kelas-web.csv\n"
    assert Path("out/kelas-web.csv").read_bytes().startswith(b"id,")
    await mayar("export", "-", "--output", "new", stdin=b"kelas-web\n")
    assert reviews_in("new/kelas-web.jsonl") == expected(fake)


async def test_what_the_server_cannot_show_is_named(fake: FakeMayar, mayar: Mayar) -> None:
    """Which span of time, even with --quiet: code 3."""
    fake.personality.cursor = "updated"
    for _ in range(60):
        fake.add_review("kelas-web", createdAt=1_767_063_610_103)
    result = await mayar("export", "kelas-web", "--output", "out.jsonl", "--quiet")
    assert result.code == 3
    (incomplete,) = result.err.splitlines()
    assert incomplete.startswith("incomplete: the server cannot show all reviews created from ")
    assert "2025-12-30 03:00:10" in incomplete
    again = await mayar("export", "kelas-web", "--output", "out.jsonl", "--resume", "--json")
    assert again.code == 3
    (report,) = again.lines
    assert report["complete"] is False
    ((start, until),) = report["files"][0]["gaps"]
    assert start < "2025-12-30T03:00:10.103000+00:00" < until


@pytest.mark.parametrize("stats", ["stale", pytest.param("broken", marks=pytest.mark.slow)])
async def test_statistics_that_cannot_be_trusted_verify_nothing(
    fake: FakeMayar, mayar: Mayar, stats: Any
) -> None:
    """The file is whole as far as anybody can tell: code 0. The reason is shown."""
    for rating in (5, 4, 4):
        fake.add_review("kelas-web", rating=rating)
    fake.personality.stats = stats
    fake.count_stats()
    fake.edit_review(next(iter(fake.reviews)), status="ARCHIVED")
    result = await mayar("export", "kelas-web", "--output", "out.jsonl", "--verify", "--quiet")
    assert result.code == 0
    (why,) = result.err.splitlines()
    if stats == "stale":
        assert why.startswith("not verified: the statistics count 1 more active reviews than the ")
        assert why.endswith(": 1 with 5 ★")
    else:
        assert why.startswith("not verified: the statistics do not answer: ")


@pytest.mark.parametrize(
    ("arguments", "starts"),
    [
        (["--output", "out.csv"], b"id,"),
        (["--output", "out.CSV"], b"id,"),
        (["--output", "out.parquet"], b"PAR1"),
        (["--output", "out"], b"{"),
        (["--output", "out.txt"], b"{"),
        (["--output", "out.txt", "--format", "csv"], b"id,"),
        (["--output", "out.csv", "--format", "csv-spreadsheet"], b"\xef\xbb\xbfid,"),
        (
            ["--output", "out.csv", "--format", "csv-spreadsheet", "--separator", "semicolon"],
            b"\xef\xbb\xbfid;",
        ),
        (
            ["--output", "out.csv", "--format", "csv-spreadsheet", "--separator", "tab"],
            b"\xef\xbb\xbfid\t",
        ),
    ],
)
async def test_the_format_follows_the_name(
    fake: FakeMayar, mayar: Mayar, arguments: list[str], starts: bytes
) -> None:
    """--format is for names that say nothing, and for the two forms of CSV."""
    fake.seed("kelas-web", 1)
    result = await mayar("export", "kelas-web", *arguments)
    assert result.code == 0
    assert Path(arguments[1]).read_bytes().startswith(starts)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--output", "out.csv", "--format", "jsonl"], "--format jsonl does not fit"),
        (["--output", "out.jsonl", "--format", "csv"], "--format csv does not fit"),
        (["--output", "s3://bucket/out.csv"], "--output is a URL"),
        (["--output", ""], "--output is empty"),
        (["--output", "out.csv", "--separator", "tab"], "--separator needs the format"),
        (["--output", "out", "--update", "--force"], "--force cannot be used with update"),
        (["--output", "-", "--update"], "--output - is for one product"),
    ],
)
async def test_contradictions_are_refused(
    fake: FakeMayar, mayar: Mayar, arguments: list[str], said: str
) -> None:
    result = await mayar("export", "kelas-web", *arguments)
    assert result.code == 2
    assert result.err.startswith(f"error: {said}")
    assert fake.requests == []
    assert not list(Path().iterdir())


async def test_update_is_for_every_night(fake: FakeMayar, mayar: Mayar) -> None:
    """--resume of a finished file fetches nothing, and says what to use."""
    fake.seed("kelas-web", 60)
    nightly = "export", "kelas-web", "--output", "out.csv", "--update"
    first = await mayar(*nightly)
    assert (first.code, first.err) == (0, "60 reviews in out.csv\n")
    fake.seed("kelas-web", 2)
    resumed = await mayar("export", "kelas-web", "--output", "out.csv", "--resume")
    summary, hint = resumed.err.splitlines()
    assert summary == "60 reviews in out.csv, 60 of them from an earlier run"
    assert hint.startswith("finished on 20")
    assert hint.endswith("UTC, nothing fetched: use --update to bring it up to date")
    fake.requests.clear()
    second = await mayar(*nightly)
    summary, note = second.err.splitlines()
    assert summary == "62 reviews in out.csv, 2 of them new or changed"
    assert note.startswith("note: reviews that have left the list since")
    assert len(fake.requests) == 1


@pytest.mark.slow
async def test_an_outage_is_named(fake: FakeMayar) -> None:
    """So that a person sees whether it is worth waiting."""
    fake.seed("kelas-web", 3)
    fake.fail_next(503, 100, message="Pemeliharaan")
    process = await start("export", "kelas-web", "--output", "out.jsonl")
    assert process.stderr is not None
    while b"outage" not in (line := await process.stderr.readline()):
        assert line
    process.send_signal(signal.SIGINT)
    assert b"outage: 5 s (the server failed (status 503): Pemeliharaan)" in line
    assert (await end(process)).code == 130


async def test_an_existing_output_is_not_overwritten(fake: FakeMayar, mayar: Mayar) -> None:
    """Only with --resume or --force."""
    fake.seed("kelas-web", 2)
    Path("out.jsonl").write_text("mine")
    refused = await mayar("export", "kelas-web", "--output", "out.jsonl")
    assert refused.code == 2
    assert refused.err.startswith("error: --output out.jsonl already exists: ")
    assert Path("out.jsonl").read_text() == "mine"
    assert not fake.requests
    assert (await mayar("export", "kelas-web", "--output", "out.jsonl", "--force")).code == 0
    resumed = await mayar("export", "kelas-web", "--output", "out.jsonl", "--resume")
    assert resumed.err.splitlines()[0] == ("2 reviews in out.jsonl, 2 of them from an earlier run")


async def test_an_export_that_fails_says_how_to_continue(fake: FakeMayar, mayar: Mayar) -> None:
    """Its one line has the command that resumes it, and that command works."""
    fake.seed("kelas-web", 5)
    arguments = (
        "export",
        "kelas-web",
        "--output",
        "my  reviews.jsonl",
        "--page-size",
        "2",
        "--force",
    )
    fake.before_list(2, lambda: fake.fail_next(404, message="Hilang"))
    failed = await mayar(*arguments)
    assert failed.code == 1
    assert failed.err.count("\n") == 1
    assert failed.err.startswith("error: ")
    assert "stopped after 4 reviews" in failed.err
    command = shlex.split(failed.err.partition("; continue with: ")[2])
    assert command[0] == "mayar-reviews"
    assert (await mayar(*command[1:])).code == 0
    assert reviews_in("my  reviews.jsonl") == expected(fake)


JSON: dict[str, Any] = {
    "written": int,
    "pages": int,
    "requests": int,
    "failed": int,
    "complete": bool | None,
    "seconds": float,
    "files": list,
}
JSON_FILE: dict[str, Any] = {
    "payment_link_id": str | None,
    "path": str,
    "written": int,
    "pages": int,
    "requests": int,
    "seconds": float,
    "complete": bool | None,
    "resumed_from": int | None,
    "changed": int | None,
    "finished_at": str | None,
    "ratings": dict,
    "gaps": list,
    "expected": int | None,
    "missing": dict,
    "not_verified": str | None,
    "invalid": dict,
    "invalid_count": int,
    "notes": list,
    "error": str | None,
}


@pytest.mark.parametrize(
    "arguments",
    [
        ["kelas-web", "--output", "out.jsonl", "--verify"],
        ["--all", "--output", "out.jsonl"],
        ["kelas-web", "nirvana", "--output", "out"],
        ["nirvana", "--output", "out.jsonl"],
        ["kelas-web", "--output", "-"],
        ["nirvana", "--output", "-"],
    ],
)
async def test_the_json_report_always_has_the_documented_shape(
    fake: FakeMayar, mayar: Mayar, arguments: list[str]
) -> None:
    """Whatever is exported, and whether it fails or not."""
    fake.seed("kelas-web", 3)
    result = await mayar("export", *arguments, "--json", "--quiet")
    text = result.err if "-" in arguments else result.out
    (line,) = (line for line in text.splitlines() if line.startswith("{"))
    report = json.loads(line)
    shapes = [(report, JSON), *((file, JSON_FILE) for file in report["files"])]
    for given, documented in shapes:
        assert given.keys() == documented.keys()
        for name, kind in documented.items():
            assert isinstance(given[name], kind), name
            assert f"`{name}`" in (report_json.__doc__ or "")


@pytest.mark.slow
async def test_the_demo_needs_no_key_and_no_network(
    mayar: Mayar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be run again. Only its own file is overwritten without --force."""
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


async def test_reviews_that_are_not_as_documented_are_named(fake: FakeMayar, mayar: Mayar) -> None:
    """The export succeeds, and says so even with --quiet."""
    fake.seed("kelas-web", 8)
    for review in list(fake.reviews.values())[:6]:
        review["rating"] = 4.5
    result = await mayar("export", "kelas-web", "--output", "out.jsonl", "--quiet")
    assert result.code == 0
    (line,) = result.err.splitlines()
    assert line.startswith("6 reviews not as documented, but written: ")
    assert line.count("(rating: expected int, got float)") == 5
    assert line.endswith(", ...")


async def test_several_products_in_one_file(fake: FakeMayar, mayar: Mayar) -> None:
    """The format follows the file's name, and each product has its line."""
    fake.seed("kelas-web", 3)
    fake.seed("kelas-dua", 2)
    export = ("export", "kelas-web", "kelas-dua", "--output", "all.csv", "--merge")
    result = await mayar(*export)
    assert result.code == 0
    assert "kelas-web: 3 reviews in all.csv" in result.err
    assert "kelas-dua: 2 reviews in all.csv" in result.err
    with Path("all.csv").open(newline="") as file:
        products = [row["payment_link_id"] for row in csv.DictReader(file)]
    assert products == ["kelas-web"] * 3 + ["kelas-dua"] * 2
    assert (await mayar(*export, "--update")).code == 0
    refused = await mayar("export", "--all", "--output", "all.csv", "--merge")
    assert (refused.code, refused.err) == (
        2,
        "error: --merge is for several products: --all is one file already\n",
    )
