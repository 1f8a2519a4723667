"""One review that is not as documented stops no export."""

from __future__ import annotations

import csv
import json
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet  # type: ignore[import-untyped]

from mayar_reviews import ResponseError
from mayar_reviews.api_json import to_time
from mayar_reviews.export import export_reviews
from mayar_reviews.export.rows import rows_of
from mayar_reviews.export.stream import stream_reviews
from mayar_reviews.testing import FakeMayar
from tests.support.clock import virtual_time
from tests.support.export_shop import KEY, ids, newest_first, reviews_in, shop
from tests.support.fault_server import FaultServer, make_review
from tests.support.harness import PRODUCT, client_of

BAD: list[dict[str, Any]] = [
    {"rating": "five"},
    {"message": ["a", "list"]},
    {"customer": "Budi"},
    {"updatedAt": None},
    {"createdAt": "2026-01-31"},
    {"userId": None},
    {"multipleImage": [{"url": 7}]},
    {"updatedAt": 10**30},
    {"id": 12},
    {"id": None},
]


def spoil(fake: FakeMayar, number: int, **fields: Any) -> str:
    """Let one review have fields that the API does not document."""
    one = newest_first(fake)[number]
    fake.reviews[one].update(fields)
    return one


@pytest.mark.parametrize("method", ["list", "iterate", "iterate pages"])
async def test_a_bad_review_ends_a_list_and_is_named(method: str) -> None:
    """Its id and the field, so that somebody can mend it."""
    async with shop(120) as (fake, client):
        bad = spoil(fake, 3, rating="five")
        with pytest.raises(ResponseError) as caught:
            if method == "list":
                await client.list_product_reviews("kelas-web")
            elif method == "iterate":
                [review async for review in client.iter_product_reviews("kelas-web")]
            else:
                [page async for page in client.iter_product_review_pages("kelas-web")]
    assert str(caught.value) == f"$.data[3].rating: expected int, got str (review {bad})"
    assert caught.value.path == "$.data[3].rating"
    assert caught.value.attempts == 1


async def test_bad_reviews_can_be_kept() -> None:
    """They come with the page, beside those that fit."""
    async with shop(120) as (fake, client):
        bad = [spoil(fake, number, rating="five") for number in (3, 60)]
        pages = [
            page async for page in client.iter_product_review_pages("kelas-web", keep_invalid=True)
        ]
        assert sum(len(page.data) for page in pages) == 118
        invalid = [one for page in pages for one in page.invalid]
        assert [one.raw["id"] for one in invalid] == bad
        assert [one.raw["rating"] for one in invalid] == ["five", "five"]
        assert f"rating: expected int, got str (review {bad[0]})" in invalid[0].fault
        assert "five" not in repr(pages)


@pytest.mark.parametrize("fields", BAD, ids=lambda fields: json.dumps(fields)[:30])
@virtual_time
async def test_a_bad_review_is_exported_as_it_came(tmp_path: Path, fields: Any) -> None:
    """Every other review, too, each once, and in the order of the list."""
    reviews = [make_review(n) for n in range(120)]
    reviews[57] |= fields
    output = tmp_path / "out.jsonl"
    async with (
        FaultServer(reviews, order="updated", cursor="offset") as server,
        client_of(server) as client,
    ):
        report = await export_reviews(client, PRODUCT, output)
    written = reviews_in(output)
    assert sorted(map(json.dumps, written)) == sorted(map(json.dumps, reviews))
    (file,) = report.files
    assert (file.written, file.invalid_count, file.error) == (120, 1, None)
    (fault,) = file.invalid.values()
    assert next(iter(fields)) in fault


@pytest.mark.parametrize("format", ["csv", "csv-spreadsheet", "parquet"])
async def test_in_a_table_a_bad_review_has_what_fits(tmp_path: Path, format: Any) -> None:
    """What does not fit is in the column `raw`."""
    async with shop(120) as (fake, client):
        bad = spoil(fake, 3, rating="five", updatedAt=None, new=1)
        report = await export_reviews(client, "kelas-web", tmp_path / "out", format=format)
        again = await export_reviews(
            client, "kelas-web", tmp_path / "out", format=format, resume=True
        )
    if format == "parquet":
        rows = parquet.read_table(tmp_path / "out").to_pylist()
        empty: object = None
    else:
        with (tmp_path / "out").open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        empty = ""
    assert len(rows) == 120
    (row,) = (row for row in rows if row["id"] == bad)
    assert (row["rating"], row["updated_at"]) == (empty, empty)
    assert row["customer_id"] == fake.reviews[bad]["customerId"]
    assert json.loads(row["raw"]) == {"rating": "five", "updatedAt": None, "new": 1}
    assert report.files[0].invalid.keys() == again.files[0].invalid.keys() == {bad}


async def test_a_list_of_bad_reviews_is_exported_too(tmp_path: Path) -> None:
    """The API changed a type. The export still keeps what it says; a hundred are named."""
    async with shop(320) as (fake, client):
        for number in range(320):
            spoil(fake, number, rating=4.5)
        report = await export_reviews(client, "kelas-web", tmp_path / "out.jsonl")
        assert ids(tmp_path / "out.jsonl") == newest_first(fake)
    (file,) = report.files
    assert (file.invalid_count, len(file.invalid)) == (320, 100)
    assert set(file.invalid.values()) == {"rating: expected int, got float"}


async def test_an_update_counts_what_is_bad_now(tmp_path: Path) -> None:
    """A review that was mended is not named any longer, one that became bad is."""
    output = tmp_path / "out.jsonl"
    async with shop(120) as (fake, client):
        first = spoil(fake, 0, rating="five")
        before = await export_reviews(client, "kelas-web", output)
        fake.edit_review(first, rating=5)
        second = newest_first(fake)[70]
        fake.edit_review(second, message="x")
        fake.reviews[second].update(rating="one")
        after = await export_reviews(client, "kelas-web", output, update=True)
        fresh = await export_reviews(client, "kelas-web", tmp_path / "fresh.jsonl")
    assert before.files[0].invalid.keys() == {first}
    assert after.files[0].invalid.keys() == fresh.files[0].invalid.keys() == {second}
    assert output.read_bytes() == (tmp_path / "fresh.jsonl").read_bytes()


async def test_a_stream_has_bad_reviews_too(tmp_path: Path) -> None:
    async with shop(120) as (fake, client):
        bad = spoil(fake, 3, rating="five")
        with (tmp_path / "out").open("wb") as output:
            report = await stream_reviews(client, "kelas-web", output)
        assert ids(tmp_path / "out") == newest_first(fake)
    assert report.files[0].invalid == {bad: "rating: expected int, got str"}
    assert report.files[0].invalid_count == 1


async def test_what_is_bad_is_never_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A fault names the field and the types, not the value."""
    async with shop(10) as (fake, client):
        spoil(fake, 3, rating="budi@example.com", message=["secret"])
        report = await export_reviews(client, "kelas-web", tmp_path / "out.jsonl")
    for text in (repr(report), caplog.text):
        assert "budi@" not in text
        assert "secret" not in text


# --- reviews that lack a time ---------------------------------------------------------------


def by_update(fake: FakeMayar) -> list[str]:
    """The ids in the order of the list."""
    rows = sorted(fake.reviews.values(), key=lambda one: -one["updatedAt"])
    return [one["id"] for one in rows]


CURSORS = ["created", "updated", "offset"]
NO_TIMES: list[dict[str, Any]] = [
    {"updatedAt": None},
    {"createdAt": None},
    {"createdAt": None, "updatedAt": None},
]


@pytest.mark.parametrize("cursor", CURSORS)
@pytest.mark.parametrize("place", [0, 48, 49, 50])
@pytest.mark.parametrize("fields", NO_TIMES, ids="+".join)
async def test_a_review_without_a_time_hides_no_other(
    tmp_path: Path, cursor: Any, place: int, fields: Any
) -> None:
    """Not even an old one, edited, as the first or the last of a page."""
    async with shop(200, mayar=FakeMayar(KEY, cursor=cursor)) as (fake, client):
        old = newest_first(fake)[190]
        for number in range(20, 60, 7):
            fake.edit_review(newest_first(fake)[number], message="edited")
        fake.edit_review(old, updatedAt=fake.reviews[by_update(fake)[place]]["updatedAt"] - 1)
        fake.reviews[old].update(fields)
        report = await export_reviews(client, "kelas-web", tmp_path / "out")
        everything = set(fake.reviews)
    missing = everything - set(ids(tmp_path / "out"))
    (file,) = report.files
    assert not missing
    assert (file.written, file.gaps, file.invalid_count) == (200, (), 1)


@pytest.mark.parametrize("cursor", CURSORS)
@pytest.mark.parametrize("place", [0, 48, 49, 50])
@pytest.mark.parametrize("fields", NO_TIMES, ids="+".join)
async def test_a_review_without_a_time_comes_once(cursor: Any, place: int, fields: Any) -> None:
    """So does every other one, although the head of the list is read twice."""
    async with shop(200, mayar=FakeMayar(KEY, cursor=cursor)) as (fake, client):
        bad = newest_first(fake)[place]
        fake.reviews[bad].update(fields)
        pages = client.iter_product_review_pages("kelas-web", keep_invalid=True)
        came = [one["id"] async for page in pages for one in rows_of(page)]
        assert sorted(came) == sorted(fake.reviews)


@pytest.mark.parametrize("cursor", CURSORS)
async def test_an_update_is_not_stopped_by_a_review_without_a_time(
    tmp_path: Path, cursor: Any
) -> None:
    """It reads on, until a review with both times is old enough."""
    output = tmp_path / "out"
    async with shop(200, mayar=FakeMayar(KEY, cursor=cursor)) as (fake, client):
        await export_reviews(client, "kelas-web", output)
        old = newest_first(fake)[150]
        for number in range(120):
            if number == 100:
                fake.edit_review(old, message="edited")
                fake.reviews[old].update(updatedAt=None)
            fake.add_review("kelas-web")
        await export_reviews(client, "kelas-web", output, update=True)
        assert set(ids(output)) == set(fake.reviews)
        (now,) = (one for one in reviews_in(output) if one["id"] == old)
        assert now["message"] == "edited"
        await export_reviews(client, "kelas-web", output, update=True)
        assert len(ids(output)) == 320


async def test_a_bulk_edit_with_a_bad_review_is_walked(tmp_path: Path) -> None:
    """Fifty-five reviews of one `updatedAt`: as without the bad one."""
    async with shop(200) as (fake, client):
        for one in list(fake.reviews)[:55]:
            fake.edit_review(one, updatedAt=1_767_000_000_000)
        fake.reviews[list(fake.reviews)[20]].update(createdAt="2025-01-31")
        report = await export_reviews(client, "kelas-web", tmp_path / "out")
        missing = set(fake.reviews) - set(ids(tmp_path / "out"))
    assert report.files[0].error is None
    assert not missing or report.files[0].gaps


async def test_a_list_without_times_is_exported_and_called_incomplete(tmp_path: Path) -> None:
    """Nothing tells whether the server's cursor hides reviews."""
    async with shop(120) as (fake, client):
        order = newest_first(fake)
        for one in fake.reviews.values():
            one["updatedAt"] = str(one["updatedAt"])
        report = await export_reviews(client, "kelas-web", tmp_path / "out")
        assert ids(tmp_path / "out") == order
    (file,) = report.files
    assert (file.written, file.invalid_count, file.complete) == (120, 120, False)


@pytest.mark.parametrize("bad", [[], {}, False, 0, 12.5, None], ids=repr)
async def test_reviews_without_an_id_are_not_taken_for_one(tmp_path: Path, bad: Any) -> None:
    """Their whole text tells them apart, and no report shows it."""
    async with shop(12) as (fake, client):
        for number in (3, 5, 7):
            spoil(fake, number, id=bad, message=f"secret {number}")
        report = await export_reviews(client, "kelas-web", tmp_path / "out")
    assert len(reviews_in(tmp_path / "out")) == 12
    assert "secret" not in repr(report)
    assert report.files[0].invalid_count == 3
    assert list(report.files[0].invalid) == [f"(without an id: {n})" for n in (1, 2, 3)]


async def test_watching_is_not_stopped_by_a_review_without_a_time() -> None:
    """It sees every new review below it."""
    async with shop(200) as (fake, client):
        since = to_time(max(one["updatedAt"] for one in fake.reviews.values()))
        old = newest_first(fake)[180]
        new = []
        for number in range(120):
            if number == 71:
                fake.edit_review(old, message="edited")
                fake.reviews[old].update(updatedAt=None)
            new.append(fake.add_review("kelas-web")["id"])
        got: list[str] = []
        async with aclosing(client.watch_reviews("kelas-web", since=since)) as changes:
            async for review in changes:
                got.append(review.id)
                if len(got) == 120:
                    break
    assert sorted(got) == sorted(new)
