"""The journal: what a resumed export continues from, and what it refuses."""

from __future__ import annotations

import os
from pathlib import Path
from traceback import TracebackException
from typing import Any

import pytest

from mayar_reviews import ExportError
from mayar_reviews.export import ExportProgress, export_reviews
from tests.support.export_shop import (
    FINISHED,
    STORE,
    ids,
    interrupt,
    journal_of,
    left_of,
    newest_first,
    refusal,
    shop,
    state_of,
)

FORMATS = ["jsonl", "csv", "csv-spreadsheet", "parquet"]


@pytest.mark.parametrize("format", FORMATS)
async def test_a_resumed_export_makes_the_same_file(tmp_path: Path, format: Any) -> None:
    """It has the same bytes as one that was not interrupted, and asks only for the rest."""
    async with shop() as (fake, client):
        await export_reviews(client, "kelas-web", tmp_path / "whole", format=format, page_size=20)
        await interrupt(client, fake, tmp_path / "out", format=format)
        assert left_of(tmp_path / "out") == ["*.partial.jsonl", "*.state.json"]
        report = await export_reviews(
            client, "kelas-web", tmp_path / "out", format=format, page_size=20, resume=True
        )
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()
    # Two pages of six are there. The head is looked at once more, which brings no page.
    assert (report.written, report.pages, report.requests) == (120, 4, 5)
    assert report.files[0].resumed_from == 40
    assert sum(report.files[0].ratings.values()) == 120
    store = [] if format == "jsonl" else [STORE]
    assert left_of(tmp_path / "out") == sorted([*FINISHED, *store])


async def test_an_export_resumes_at_the_page_that_failed(tmp_path: Path) -> None:
    """The error, the state and the next request name the same cursor."""
    async with shop() as (fake, client):
        fake.before_list(2, lambda: fake.fail_next(401))
        with pytest.raises(ExportError) as caught:
            await export_reviews(client, "kelas-web", tmp_path / "out")
        assert caught.value.attempts == 3
        assert state_of(tmp_path / "out")["cursor"] == caught.value.starting_after
        await export_reviews(client, "kelas-web", tmp_path / "out", resume=True)
        cursors = [one.query.get("startingAfter") for one in fake.requests]
    cursor = caught.value.starting_after
    # A walk's cursor says more than the server's, which is its first part.
    assert cursor is not None
    assert cursors[2] == cursors[3] == cursor.partition("~")[0]


async def test_a_resumed_export_cuts_off_a_torn_page(tmp_path: Path) -> None:
    """Bytes after the recorded offset were never reported."""
    async with shop() as (fake, client):
        await export_reviews(client, "kelas-web", tmp_path / "whole", page_size=20)
        await interrupt(client, fake, tmp_path / "out")
        with journal_of(tmp_path / "out").open("ab") as file:
            file.write(b'{"id": "torn')
        await export_reviews(client, "kelas-web", tmp_path / "out", page_size=20, resume=True)
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("page_size", [1, 2, 3, 50])
async def test_a_review_on_two_pages_is_written_once(tmp_path: Path, page_size: int) -> None:
    """All reviews are of one millisecond, so that a walk that goes on repeats some."""
    async with shop(0) as (fake, client):
        for n in range(7):
            fake.add_review("kelas-web", createdAt=1_767_063_610_000 + n // 4)

        def on_progress(progress: ExportProgress) -> None:
            if progress.pages == 2:
                fake.fail_next(401, path="/reviews")

        for _ in range(20):
            try:
                await export_reviews(
                    client,
                    "kelas-web",
                    tmp_path / "out",
                    page_size=page_size,
                    resume=True,
                    on_progress=on_progress,
                )
                break
            except ExportError:
                fake.clear_faults()
        assert sorted(ids(tmp_path / "out")) == sorted(fake.reviews)


@pytest.mark.parametrize("format", FORMATS)
async def test_a_review_that_is_edited_meanwhile_is_written_once_as_a_fresh_export_would(
    tmp_path: Path, format: Any
) -> None:
    """In its newest form and at its new place: the file is that of a fresh export."""
    async with shop() as (fake, client):
        order = newest_first(fake)

        def on_progress(progress: ExportProgress) -> None:
            if progress.pages == 2 and progress.waiting is None:
                fake.edit_review(order[5], message="edited twice")  # already written
                fake.edit_review(order[5], message="edited")
                fake.edit_review(order[-1], rating=1)  # not yet written

        report = await export_reviews(
            client, "kelas-web", tmp_path / "out", format=format, on_progress=on_progress
        )
        await export_reviews(client, "kelas-web", tmp_path / "fresh", format=format)
    assert report.written == 120
    assert sum(report.files[0].ratings.values()) == 120
    assert (tmp_path / "out").read_bytes() == (tmp_path / "fresh").read_bytes()


@pytest.mark.parametrize("format", ["jsonl", "csv"])
async def test_resuming_a_finished_export_does_nothing(tmp_path: Path, format: Any) -> None:
    """It reports what is there. With `verify` it asks the statistics."""
    async with shop() as (fake, client):
        first = await export_reviews(client, "kelas-web", tmp_path / "out", format=format)
        before = (tmp_path / "out").read_bytes()
        fake.requests.clear()
        report = await export_reviews(
            client, "kelas-web", tmp_path / "out", format=format, resume=True
        )
        assert fake.requests == []
        assert (report.written, report.requests, report.files[0].resumed_from) == (120, 0, 120)
        assert report.files[0].ratings == first.files[0].ratings
        verified = await export_reviews(
            client, "kelas-web", tmp_path / "out", format=format, resume=True, verify=True
        )
        assert (verified.requests, verified.complete) == (1, True)
    assert (tmp_path / "out").read_bytes() == before


async def test_resuming_without_an_earlier_run_starts(tmp_path: Path) -> None:
    """So the same call serves for the first run and for the later ones."""
    async with shop() as (_, client):
        report = await export_reviews(client, "kelas-web", tmp_path / "out", resume=True)
    assert (report.written, report.files[0].resumed_from) == (120, None)


@pytest.mark.parametrize("format", ["jsonl", "csv"])
async def test_a_journal_that_has_lost_bytes_is_refused(tmp_path: Path, format: Any) -> None:
    """Reviews that were safe and are gone cannot be replaced."""
    async with shop() as (fake, client):
        await interrupt(client, fake, tmp_path / "out", format=format)
        journal = journal_of(tmp_path / "out")
        offset = state_of(tmp_path / "out")["offset"]
        resume = {"format": format, "resume": True}
        with journal.open("r+b") as file:
            file.truncate(100)
        message = await refusal(client, fake, "kelas-web", tmp_path / "out", **resume)
        assert f"has 100 bytes, but its state records {offset}" in message
        journal.unlink()
        message = await refusal(client, fake, "kelas-web", tmp_path / "out", **resume)
        assert f"has 0 bytes, but its state records {offset}" in message


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("way", ["resume", "update"])
@pytest.mark.parametrize("change", ["grown", "emptied", "edited"])
async def test_a_finished_file_that_was_changed_is_refused(
    tmp_path: Path, format: Any, way: str, change: str
) -> None:
    """It is no longer the export. With `force` it is made again."""
    path = tmp_path / "out"
    async with shop(3) as (fake, client):
        await export_reviews(client, "kelas-web", path, format=format)
        whole = path.read_bytes()
        changed = {"grown": whole + b"\n", "emptied": b"", "edited": b"!" + whole[1:]}[change]
        path.write_bytes(changed)
        message = await refusal(client, fake, "kelas-web", path, format=format, **{way: True})
        assert "has been changed since it was exported" in message
        assert path.read_bytes() == changed
        await export_reviews(client, "kelas-web", path, format=format, force=True)
        assert path.read_bytes() == whole


async def test_a_file_that_appears_while_an_export_is_stopped_is_refused(tmp_path: Path) -> None:
    """Somebody else wrote it."""
    async with shop() as (fake, client):
        await interrupt(client, fake, tmp_path / "out")
        (tmp_path / "out").write_text("precious")
        message = await refusal(client, fake, "kelas-web", tmp_path / "out", resume=True)
    assert "has been changed since the export began" in message
    assert (tmp_path / "out").read_text() == "precious"


@pytest.mark.parametrize("format", ["jsonl", "csv"])
async def test_a_finished_file_that_is_gone_is_refused(tmp_path: Path, format: Any) -> None:
    """It is not reported as being there. Without `resume` it is made again."""
    async with shop(3) as (fake, client):
        await export_reviews(client, "kelas-web", tmp_path / "out", format=format)
        (tmp_path / "out").unlink()
        message = await refusal(
            client, fake, "kelas-web", tmp_path / "out", format=format, resume=True
        )
        assert "is gone; put it back, or start again with force" in message
        await export_reviews(client, "kelas-web", tmp_path / "out", format=format)
        assert (tmp_path / "out").exists()


@pytest.mark.parametrize("way", ["resume", "update"])
@pytest.mark.parametrize("finished", [True, False])
async def test_the_reviews_of_another_store_are_not_added(
    tmp_path: Path, way: str, finished: bool
) -> None:
    """Another store's key gives other owners. The file and its state stay as they are."""
    path = tmp_path / "out"
    async with shop() as (fake, client):
        if finished:
            await export_reviews(client, "kelas-web", path)
        else:
            await interrupt(client, fake, path)
        before = {one: one.read_bytes() for one in tmp_path.iterdir()}
        for review in list(fake.reviews):
            fake.edit_review(review, userId="somebody-else")
        if finished and way == "resume":
            return  # nothing is fetched
        options: dict[str, Any] = {way: True}
        with pytest.raises(ExportError, match="belongs to another store") as caught:
            await export_reviews(client, "kelas-web", path, **options)
        frames = TracebackException.from_exception(
            caught.value, capture_locals=True, compact=True
        ).__cause__
        assert frames is not None
        assert "paymentLinkId" not in str([frame.locals for frame in frames.stack])
        assert "force" in str(caught.value)
    assert {one: one.read_bytes() for one in before} == before


async def test_the_export_of_another_origin_is_refused(tmp_path: Path) -> None:
    """The sandbox has other reviews than production."""
    async with shop() as (fake, client):
        await interrupt(client, fake, tmp_path / "out")
    async with shop() as (fake, client):
        message = await refusal(client, fake, "kelas-web", tmp_path / "out", resume=True)
    assert "belongs to an export of origin http://127.0.0.1:" in message


@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize(
    "name",
    ["out.state.json", "out.partial.jsonl", "out.reviews.jsonl.gz"],
)
@pytest.mark.parametrize("link", [True, False])
async def test_files_of_somebody_else_are_left_alone(
    tmp_path: Path, name: str, link: bool, force: bool
) -> None:
    """They have the names of ours, or are links to a file that nobody may write to."""
    (tmp_path / "precious").write_text("precious")
    if link:
        (tmp_path / name).symlink_to(tmp_path / "precious")
    else:
        (tmp_path / name).write_text("precious")
    async with shop() as (fake, client):
        options: dict[str, Any] = {"format": "csv", "force": force}
        message = await refusal(client, fake, "kelas-web", tmp_path / "out", **options)
    assert f"{tmp_path / name}" in message
    assert "move" in message
    assert (tmp_path / name).read_text() == (tmp_path / "precious").read_text() == "precious"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", ["out.lock", "out.tmp"])
async def test_files_with_ordinary_names_are_not_touched(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    async with shop(3) as (_, client):
        await export_reviews(client, "kelas-web", tmp_path / "out", format="csv")
    assert (tmp_path / name).read_text() == "precious"


@pytest.mark.skipif(os.name != "posix", reason="needs permissions")
async def test_new_files_are_for_their_owner_and_old_ones_keep_their_permissions(
    tmp_path: Path,
) -> None:
    """Reviews name customers. `force` and `update` do not widen what was narrowed."""
    async with shop() as (fake, client):
        await interrupt(client, fake, tmp_path / "out", format="csv")
        assert {one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == {0o600}
        await export_reviews(client, "kelas-web", tmp_path / "out", format="csv", resume=True)
        assert {one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == {0o600}
        (tmp_path / "out").chmod(0o640)
        fake.add_review("kelas-web")
        for way in ("force", "update"):
            options: dict[str, Any] = {"format": "csv", way: True}
            await export_reviews(client, "kelas-web", tmp_path / "out", **options)
            assert (tmp_path / "out").stat().st_mode & 0o777 == 0o640
