"""Several products in one file."""

from __future__ import annotations

import csv
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet  # type: ignore[import-untyped]

from mayar_reviews import InvalidArgumentError, ReviewsClient
from mayar_reviews.export import ExportProgress, ExportReport, export_reviews
from mayar_reviews.testing import FakeMayar
from tests.support.export_shop import ids, newest_first, shop

BOTH = ["kelas-web", "kelas-dua"]


def expected(fake: FakeMayar) -> list[str]:
    return [one for product in BOTH for one in newest_first(fake, product)]


async def merge(client: ReviewsClient, output: Path, **options: Any) -> ExportReport:
    return await export_reviews(client, BOTH, output, merge=True, **options)


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
async def test_the_products_follow_each_other_in_one_file(tmp_path: Path, format: Any) -> None:
    """In the order asked for, under one header."""
    output = tmp_path / "out"
    async with shop(120) as (fake, client):
        fake.seed("kelas-dua", 70)
        report = await merge(client, output, format=format, verify=True)
        if format == "jsonl":
            found = ids(output)
        elif format == "csv":
            with output.open(newline="") as file:
                found = [row["id"] for row in csv.DictReader(file)]
        else:
            found = parquet.read_table(output)["id"].to_pylist()
        assert found == expected(fake)
    assert (report.written, report.complete, report.failed) == (190, True, ())
    assert [file.path for file in report.files] == [output, output]
    if os.name == "posix":
        assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert sorted(one.name for one in tmp_path.iterdir()) == ["out", "out.products"]


async def test_it_is_there_only_when_every_product_is(tmp_path: Path) -> None:
    """A failure keeps last night's file; the next run goes on from what is there."""
    output = tmp_path / "out.jsonl"
    async with shop(120) as (fake, client):
        fake.add_product("kelas-dua")
        fake.fail_next(404, path="/products/kelas-dua/reviews")
        report = await merge(client, output, concurrency=1)
        assert len(report.failed) == 1
        assert not output.exists()
        fake.seed("kelas-dua", 70)
        fake.requests.clear()
        report = await merge(client, output, resume=True)
        assert not any("kelas-web" in one.path for one in fake.requests)
        assert ids(output) == expected(fake)
        whole = output.read_bytes()

        fake.add_review("kelas-web")
        fake.fail_next(404, path="/products/kelas-dua/reviews")
        assert (await merge(client, output, update=True)).failed
        assert output.read_bytes() == whole
        report = await merge(client, output, update=True)
        assert ids(output) == expected(fake)
    assert report.failed == ()


async def test_an_update_takes_few_requests(tmp_path: Path) -> None:
    """One or two for each product, also when the list of products has grown."""
    output = tmp_path / "out.jsonl"
    async with shop(120) as (fake, client):
        fake.seed("kelas-dua", 70)
        fake.seed("kelas-tiga", 10)
        await merge(client, output)
        fake.add_review("kelas-dua")
        fake.requests.clear()
        await merge(client, output, update=True)
        assert len(fake.requests) <= 4
        assert ids(output) == expected(fake)
        await export_reviews(client, [*BOTH, "kelas-tiga"], output, merge=True, update=True)
        assert ids(output) == [*expected(fake), *newest_first(fake, "kelas-tiga")]


@pytest.mark.parametrize("after", ["record", "rename"])
async def test_a_kill_while_it_is_made_leaves_one_of_the_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    """Last night's file or tonight's, and the next run makes tonight's."""
    output = tmp_path / "out.jsonl"
    async with shop(120) as (fake, client):
        fake.seed("kelas-dua", 70)
        await merge(client, output)
        old = output.read_bytes()
        fake.add_review("kelas-dua")
        replace = Path.replace

        def die(path: Path, target: Path) -> Any:
            if target == output:
                if after == "rename":
                    replace(path, target)
                raise KeyboardInterrupt
            return replace(path, target)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Path, "replace", die)
            await merge(client, output, update=True)
        assert (output.read_bytes() == old) == (after == "record")
        await merge(client, output, update=True)
        assert ids(output) == expected(fake)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("edited", "is not as this export left it"),
        ("another format", "is not as this export left it"),
        ("of somebody else", "already exists"),
        ("a directory", "is not a file"),
    ],
)
async def test_nothing_of_anybody_else_is_overwritten(
    tmp_path: Path, change: str, fault: str
) -> None:
    """Refused before the first request; `force` does it."""
    output = tmp_path / "out.jsonl"
    options: dict[str, Any] = {"update": True}
    async with shop(12) as (fake, client):
        fake.seed("kelas-dua", 7)
        if change in ("edited", "another format"):
            await merge(client, output)
        if change == "edited":
            output.write_text("mine")
        elif change == "another format":
            options["format"] = "csv"
        elif change == "of somebody else":
            output.write_text("mine")
            options = {}
        else:
            output.mkdir()
        before = output.read_bytes() if output.is_file() else None
        fake.requests.clear()
        with pytest.raises(InvalidArgumentError, match=fault):
            await merge(client, output, **options)
        assert not fake.requests
        assert (output.read_bytes() if output.is_file() else None) == before
        if before is not None:
            await merge(client, output, force=True)
            assert ids(output) == expected(fake)


async def test_a_disk_that_fails_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every product, as their file is not there."""
    output = tmp_path / "out.jsonl"
    async with shop(12) as (fake, client):
        fake.seed("kelas-dua", 7)
        replace = Path.replace

        def fail(path: Path, target: Path) -> Any:
            if target == output:
                raise OSError(28, "No space left on device")
            return replace(path, target)

        monkeypatch.setattr(Path, "replace", fail)
        report = await merge(client, output)
    assert len(report.failed) == 2
    assert "No space left" in str(report.failed[0].error)
    assert not output.exists()


async def test_it_needs_a_list_of_products(tmp_path: Path) -> None:
    async with shop(1) as (_, client):
        with pytest.raises(InvalidArgumentError, match="merge needs a list of products"):
            await export_reviews(client, "kelas-web", tmp_path / "out", merge=True)
        with pytest.raises(InvalidArgumentError, match="merge needs a list of products"):
            await export_reviews(client, None, tmp_path / "out", merge=True)


async def test_bad_reviews_are_kept_as_well(tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    async with shop(12) as (fake, client):
        fake.seed("kelas-dua", 7)
        bad = newest_first(fake)[3]
        fake.reviews[bad].update(rating="five")
        report = await merge(client, output, format="csv")
    with output.open(newline="") as file:
        (row,) = (row for row in csv.DictReader(file) if row["id"] == bad)
    assert json.loads(row["raw"]) == {"rating": "five"}
    assert report.files[0].invalid.keys() == {bad}


@pytest.mark.parametrize("place", ["missing/out", "file/out", "x" * 300])
async def test_an_output_that_cannot_be_is_refused(tmp_path: Path, place: str) -> None:
    """Before the first request, and nothing stays locked."""
    (tmp_path / "file").write_text("mine")
    async with shop(12) as (fake, client):
        with pytest.raises(InvalidArgumentError, match=r"cannot be (written|used)"):
            await merge(client, tmp_path / place)
        assert not fake.requests


@pytest.mark.parametrize("content", ["my shopping list", "[" * 100_000, "[]"])
async def test_a_record_of_somebody_else_is_not_overwritten(tmp_path: Path, content: str) -> None:
    output = tmp_path / "out.jsonl"
    async with shop(12) as (fake, client):
        fake.seed("kelas-dua", 7)
        (tmp_path / "out.jsonl.products").mkdir()
        record = tmp_path / "out.jsonl.products/combined.json"
        record.write_text(content)
        with pytest.raises(InvalidArgumentError, match="is not as this export left it"):
            await merge(client, output, update=True)
        assert record.read_text() == content
        await merge(client, output, force=True)
        assert ids(output) == expected(fake)


@pytest.mark.parametrize("format", ["jsonl", "csv"])
async def test_a_part_that_is_changed_meanwhile_is_noticed(tmp_path: Path, format: Any) -> None:
    """The old file stays."""
    output = tmp_path / "out"
    async with shop(120) as (fake, client):
        fake.seed("kelas-dua", 70)
        await merge(client, output, format=format)
        before = output.read_bytes()
        part = tmp_path / "out.products/kelas-web.jsonl"

        def cut(progress: ExportProgress) -> None:
            if progress.payment_link_id == "kelas-dua":
                part.write_bytes(part.read_bytes()[:-300])

        report = await merge(
            client, output, format=format, update=True, concurrency=1, on_progress=cut
        )
        assert len(report.failed) == 2
        assert "was changed meanwhile" in str(report.failed[0].error)
        assert output.read_bytes() == before
