"""Exports into a stream."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from mayar_reviews import InvalidArgumentError, NotFoundError
from mayar_reviews.export import ExportProgress, export_reviews
from mayar_reviews.export.stream import STREAM, stream_reviews
from mayar_reviews.testing import FakeMayar
from tests.support.clock import virtual_time
from tests.support.export_shop import KEY, reviews_in, shop


class Stream(io.BytesIO):
    """Bytes, and how many of them had been flushed each time."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed: list[int] = []

    def flush(self) -> None:
        self.flushed.append(self.tell())


async def test_a_stream_gets_the_bytes_of_the_file(tmp_path: Path) -> None:
    """Also when a message holds half an emoji."""
    async with shop() as (fake, client):
        fake.add_review("kelas-web", message="\ud83d")
        await export_reviews(client, "kelas-web", tmp_path / "out")
        stream = Stream()
        report = await stream_reviews(client, "kelas-web", stream)
    assert stream.getvalue() == (tmp_path / "out").read_bytes()
    (file,) = report.files
    assert (file.payment_link_id, file.path, file.written) == ("kelas-web", STREAM, 121)
    assert (report.pages, report.requests) == (3, 4)
    assert sum(file.ratings.values()) == 121


async def test_each_page_is_flushed_before_it_is_reported() -> None:
    told: list[ExportProgress] = []
    stream = Stream()

    def on_progress(progress: ExportProgress) -> None:
        assert stream.flushed[-1] == stream.tell()
        told.append(progress)

    async with shop() as (_, client):
        await stream_reviews(client, "kelas-web", stream, on_progress=on_progress)
    assert [(one.written, one.pages, one.total) for one in told] == [
        (50, 1, None),
        (99, 2, None),
        (120, 3, None),
    ]


async def test_the_store_is_filtered() -> None:
    async with shop(0) as (fake, client):
        for rating, status in ((5, "ACTIVE"), (5, "ARCHIVED"), (4, "ARCHIVED")):
            fake.add_review("kelas-web", rating=rating, status=status)
        stream = io.BytesIO()
        await stream_reviews(client, None, stream, rating=5, status="ARCHIVED", page_size=7)
        assert fake.requests[-1].query["limit"] == "7"
    (line,) = stream.getvalue().splitlines()
    review = json.loads(line)
    assert (review["rating"], review["status"]) == (5, "ARCHIVED")


@virtual_time
async def test_an_outage_is_waited_out(tmp_path: Path) -> None:
    """And then nothing comes twice."""
    told: list[ExportProgress] = []
    async with shop(0) as (fake, client):
        for n in range(10):
            fake.add_review("kelas-web", createdAt=1_767_063_610_000 + n // 4)
        fake.before_list(2, lambda: fake.fail_next(503, 30))
        stream = Stream()
        report = await stream_reviews(
            client, "kelas-web", stream, page_size=2, on_progress=told.append
        )
    (tmp_path / "out").write_bytes(stream.getvalue())
    assert sorted(one["id"] for one in reviews_in(tmp_path / "out")) == sorted(fake.reviews)
    assert report.written == 10
    assert {one.failure for one in told if one.waiting == "outage"} == {
        "the server failed (status 503): Service Unavailable"
    }


async def test_what_the_server_cannot_show_is_named() -> None:
    async with shop(0, mayar=FakeMayar(KEY, cursor="updated")) as (fake, client):
        for _ in range(60):
            fake.add_review("kelas-web", createdAt=1_767_063_610_000)
        stream = Stream()
        report = await stream_reviews(client, "kelas-web", stream)
    assert (report.written, len(report.gaps), report.complete) == (50, 1, False)


async def test_a_failure_ends_the_stream() -> None:
    async with shop() as (_, client):
        with pytest.raises(NotFoundError):
            await stream_reviews(client, "kelas-lain", io.BytesIO())


async def test_impossible_arguments_are_refused() -> None:
    async with shop() as (fake, client):
        with pytest.raises(InvalidArgumentError, match=r"^status can only be used"):
            await stream_reviews(client, "kelas-web", io.BytesIO(), status="ACTIVE")
        assert fake.requests == []
