"""Bringing a finished file up to date."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from mayar_reviews import ExportError
from mayar_reviews.export import ExportProgress, export_reviews
from mayar_reviews.testing import FakeMayar
from tests.support.clock import virtual_time
from tests.support.export_shop import (
    FINISHED,
    KEY,
    STORE,
    ids,
    left_of,
    newest_first,
    reviews_in,
    shop,
    state_of,
)

FORMATS = ["jsonl", "csv", "csv-spreadsheet", "parquet"]


def live(fake: FakeMayar, count: int, edits: int, chance: random.Random) -> None:
    """Let a day pass: new reviews, and edits of old and new ones."""
    for _ in range(count):
        fake.add_review("kelas-web", rating=chance.randint(1, 5))
    for one in chance.sample(sorted(fake.reviews), edits):
        fake.edit_review(one, message=f"edited {chance.random()}")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("cursor", ["created", "updated", "offset"])
async def test_an_updated_file_is_that_of_a_fresh_export(
    tmp_path: Path, format: Any, cursor: Any
) -> None:
    """Byte for byte, night after night, in a list sorted by the last change."""
    chance = random.Random(7)
    async with shop(160, mayar=FakeMayar(KEY, cursor=cursor)) as (fake, client):
        for night in range(6):
            report = await export_reviews(
                client, "kelas-web", tmp_path / "out", format=format, update=True
            )
            await export_reviews(client, "kelas-web", tmp_path / "fresh", format=format, force=True)
            assert (tmp_path / "out").read_bytes() == (tmp_path / "fresh").read_bytes()
            assert report.written == len(fake.reviews)
            assert sum(report.files[0].ratings.values()) == len(fake.reviews)
            live(fake, *[(0, 0), (1, 0), (0, 1), (60, 10), (3, 30)][night % 5], chance)
    store = [] if format == "jsonl" else [STORE]
    assert left_of(tmp_path / "out") == sorted([*FINISHED, *store])


@pytest.mark.parametrize("cursor", ["created", "updated", "offset"])
async def test_in_a_list_sorted_by_creation_edits_are_not_seen_and_this_is_said(
    tmp_path: Path, cursor: Any
) -> None:
    """All new reviews are there. The report says what an update cannot see."""
    async with shop(0, mayar=FakeMayar(KEY, order="created", cursor=cursor)) as (fake, client):
        fake.seed("kelas-web", 160, edited=0.1)
        await export_reviews(client, "kelas-web", tmp_path / "out")
        live(fake, 70, 20, random.Random(7))
        report = await export_reviews(client, "kelas-web", tmp_path / "out", update=True)
    (file,) = report.files
    if cursor != "updated":
        assert ids(tmp_path / "out") == newest_first(fake)
    else:
        assert file.gaps  # the server hides edited reviews
    assert file.notes[0].startswith("the list is not sorted by the time of the last change")
    assert "archived, deleted" in file.notes[1]


async def test_few_requests_bring_what_is_new(tmp_path: Path) -> None:
    """Sixty reviews cost three, a quiet night costs one, and writes nothing anew."""
    async with shop(2000) as (fake, client):
        await export_reviews(client, "kelas-web", tmp_path / "out")
        for new, requests in ((60, 3), (0, 1), (1, 1), (0, 1)):
            fake.seed("kelas-web", new)
            written_at = (tmp_path / "out").stat().st_mtime_ns
            report = await export_reviews(client, "kelas-web", tmp_path / "out", update=True)
            assert (report.requests, report.files[0].changed) == (requests, new)
            assert ((tmp_path / "out").stat().st_mtime_ns == written_at) == (new == 0)
            assert report.files[0].finished_at is not None
    assert ids(tmp_path / "out") == newest_first(fake)


async def test_reviews_that_change_during_an_update_are_found(tmp_path: Path) -> None:
    """One that is edited between two pages moves to the head, behind the reader's back."""
    async with shop(160) as (fake, client):
        await export_reviews(client, "kelas-web", tmp_path / "out")
        live(fake, 120, 0, random.Random(7))
        order = newest_first(fake)
        edited: list[Any] = []

        def on_progress(progress: ExportProgress) -> None:
            if progress.pages == 1 and not edited:
                edited.append(fake.edit_review(order[110], message="not read yet"))
                edited.append(fake.edit_review(order[200], message="an old one"))

        await export_reviews(
            client, "kelas-web", tmp_path / "out", update=True, on_progress=on_progress
        )
        await export_reviews(client, "kelas-web", tmp_path / "fresh")
    assert (tmp_path / "out").read_bytes() == (tmp_path / "fresh").read_bytes()


async def test_what_the_server_cannot_show_stays_known(tmp_path: Path) -> None:
    """A hundred reviews are edited to one time: a page shows fifty of them."""
    async with shop(300, mayar=FakeMayar(KEY, cursor="updated")) as (fake, client):
        await export_reviews(client, "kelas-web", tmp_path / "out")
        now = fake.now()
        for one in newest_first(fake)[100:200]:
            fake.edit_review(one, message="edited", updatedAt=now)
        report = await export_reviews(client, "kelas-web", tmp_path / "out", update=True)
        assert report.gaps
        assert report.complete is False
        later = await export_reviews(client, "kelas-web", tmp_path / "out", update=True)
        assert (later.gaps, later.complete) == (report.gaps, False)
        assert sorted(ids(tmp_path / "out")) == sorted(fake.reviews)


async def test_an_update_of_an_unfinished_export_continues_it(tmp_path: Path) -> None:
    """And without one, it starts: one command is enough for every night."""
    async with shop() as (fake, client):
        fake.before_list(2, lambda: fake.fail_next(404))
        with pytest.raises(ExportError):
            await export_reviews(client, "kelas-web", tmp_path / "out", update=True)
        fake.clear_faults()
        report = await export_reviews(client, "kelas-web", tmp_path / "out", update=True)
        assert ids(tmp_path / "out") == newest_first(fake)
    (file,) = report.files
    assert (file.resumed_from, file.changed, file.notes) == (99, None, ())


@virtual_time
async def test_an_outage_during_an_update_is_waited_out(tmp_path: Path) -> None:
    async with shop(160) as (fake, client):
        await export_reviews(client, "kelas-web", tmp_path / "out")
        live(fake, 120, 0, random.Random(7))
        fake.before_list(2, lambda: fake.fail_next(503, 30))
        await export_reviews(client, "kelas-web", tmp_path / "out", update=True)
        assert ids(tmp_path / "out") == newest_first(fake)


@pytest.mark.parametrize("format", FORMATS)
async def test_an_update_that_fails_leaves_the_old_file(tmp_path: Path, format: Any) -> None:
    """Whatever it had read. The next one begins at the head again."""
    path = tmp_path / "out"
    async with shop(160) as (fake, client):
        await export_reviews(client, "kelas-web", path, format=format)
        before, state = path.read_bytes(), state_of(path)
        live(fake, 120, 0, random.Random(7))
        fake.before_list(2, lambda: fake.fail_next(404))
        with pytest.raises(ExportError):
            await export_reviews(client, "kelas-web", path, format=format, update=True)
        fake.clear_faults()
        assert (path.read_bytes(), state_of(path)) == (before, state)
        resumed = await export_reviews(client, "kelas-web", path, format=format, resume=True)
        assert (resumed.requests, path.read_bytes()) == (0, before)
        await export_reviews(client, "kelas-web", path, format=format, update=True)
        await export_reviews(client, "kelas-web", tmp_path / "fresh", format=format)
    assert path.read_bytes() == (tmp_path / "fresh").read_bytes()


async def test_stored_reviews_that_are_gone_or_damaged_are_told(tmp_path: Path) -> None:
    """The old file stays."""
    path, store = tmp_path / "out", tmp_path / "out.reviews.jsonl.gz"
    async with shop(60) as (fake, client):
        await export_reviews(client, "kelas-web", path, format="csv")
        before, whole = path.read_bytes(), store.read_bytes()
        fake.add_review("kelas-web")
        for damage in (b"", b"text", whole[:-20], whole[:500] + b"!!!" + whole[503:]):
            store.write_bytes(damage)
            with pytest.raises(ExportError, match="is damaged: start again with force"):
                await export_reviews(client, "kelas-web", path, format="csv", update=True)
            assert path.read_bytes() == before
        store.write_bytes(whole)
        await export_reviews(client, "kelas-web", path, format="csv", update=True)
        assert len(path.read_bytes()) > len(before)


async def test_each_product_is_updated(tmp_path: Path) -> None:
    """Those that are finished; the others are continued or begun."""
    async with shop(60) as (fake, client):
        fake.seed("kelas-dua", 70)
        both = ["kelas-web", "kelas-dua"]
        await export_reviews(client, both[:1], tmp_path, update=True)
        fake.add_review("kelas-web")
        report = await export_reviews(client, both, tmp_path, update=True)
        assert [file.changed for file in report.files] == [1, None]
        for product in both:
            assert ids(tmp_path / f"{product}.jsonl") == newest_first(fake, product)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
async def test_any_number_of_products_needs_few_open_files(tmp_path: Path) -> None:
    """300 products, with fewer files that may be open."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with shop(0) as (fake, client):
        products = [fake.add_product(f"kelas-{n}") for n in range(300)]
        for product in products:
            fake.add_review(product)
        most = len(list(Path("/proc/self/fd").iterdir())) + 60
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, limits[1]))
        try:
            report = await export_reviews(client, products, tmp_path, format="csv")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert (report.written, report.failed) == (300, ())


async def test_a_review_is_stored_as_the_api_sent_it(tmp_path: Path) -> None:
    """So an update of a CSV knows unknown fields of old reviews."""
    async with shop(0) as (fake, client):
        fake.add_review("kelas-web", new={"x": 2**70})
        await export_reviews(client, "kelas-web", tmp_path / "out", format="csv")
        fake.add_review("kelas-web")
        await export_reviews(client, "kelas-web", tmp_path / "out", format="csv", update=True)
        await export_reviews(client, "kelas-web", tmp_path / "fresh", format="csv")
        await export_reviews(client, "kelas-web", tmp_path / "fresh.jsonl")
    assert (tmp_path / "out").read_bytes() == (tmp_path / "fresh").read_bytes()
    assert reviews_in(tmp_path / "fresh.jsonl")[1]["new"] == {"x": 2**70}
