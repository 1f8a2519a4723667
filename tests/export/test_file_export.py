"""One export into one file: what comes out, and what is left when it stops."""

from __future__ import annotations

import asyncio
import json
import math
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet  # type: ignore[import-untyped]

from mayar_reviews import ExportError, InvalidArgumentError, NotFoundError, PaginationError
from mayar_reviews.export import ExportProgress, export_reviews
from mayar_reviews.testing import FakeMayar
from tests.support.clock import virtual_time
from tests.support.export_shop import (
    FINISHED,
    KEY,
    WaitingBudget,
    ids,
    interrupt,
    journal_of,
    left_of,
    newest_first,
    refusal,
    reviews_in,
    shop,
    state_of,
)

# --- what comes out --------------------------------------------------------------------------


async def test_jsonl_holds_the_objects_that_the_api_sent(tmp_path: Path) -> None:
    """In the order of the list. The report counts them."""
    async with shop() as (fake, client):
        report = await export_reviews(client, "kelas-web", tmp_path / "out.jsonl")
        expected = [fake.reviews[one] for one in newest_first(fake)]
    assert reviews_in(tmp_path / "out.jsonl") == expected
    # Three pages, and another look at the head.
    assert (report.written, report.pages, report.requests) == (120, 3, 4)
    assert report.seconds > 0
    assert report.failed == ()
    assert report.complete is None
    (file,) = report.files
    assert (file.payment_link_id, file.path) == ("kelas-web", tmp_path / "out.jsonl")
    assert (file.resumed_from, file.expected, file.missing, file.error) == (None, None, {}, None)
    assert sum(file.ratings.values()) == 120
    assert file.ratings[1] == sum(one["rating"] == 1 for one in expected)


async def test_the_whole_store_has_every_status_or_the_one_asked_for(tmp_path: Path) -> None:
    async with shop(30) as (fake, client):
        fake.seed("kelas-dua", 30)
        archived = fake.add_review("kelas-dua", status="ARCHIVED")
        await export_reviews(client, None, tmp_path / "all.jsonl")
        await export_reviews(client, None, tmp_path / "archived.jsonl", status="ARCHIVED")
    assert len(ids(tmp_path / "all.jsonl")) == 61
    assert ids(tmp_path / "archived.jsonl") == [archived["id"]]


async def test_rating_and_page_size_are_asked_of_the_api(tmp_path: Path) -> None:
    async with shop() as (fake, client):
        await export_reviews(client, "kelas-web", tmp_path / "out.jsonl", rating=4, page_size=7)
        fours = [one for one in newest_first(fake) if fake.reviews[one]["rating"] == 4]
        assert {one.query["rating"] for one in fake.requests} == {"4"}
        # One more where the last review of the page before comes again.
        assert {one.query["limit"] for one in fake.requests} == {"7", "8"}
    assert ids(tmp_path / "out.jsonl") == fours


async def test_a_product_without_reviews_makes_an_empty_finished_file(tmp_path: Path) -> None:
    async with shop(0) as (_, client):
        report = await export_reviews(client, "kelas-web", tmp_path / "out.jsonl", verify=True)
        again = await export_reviews(client, "kelas-web", tmp_path / "out.jsonl", resume=True)
    assert (tmp_path / "out.jsonl").read_bytes() == b""
    assert (report.written, report.files[0].expected, report.complete) == (0, 0, True)
    assert (again.requests, again.files[0].resumed_from) == (0, 0)


async def test_an_odd_review_does_not_stop_an_export(tmp_path: Path) -> None:
    """Half an emoji, a huge integer and a deep nest are written as they came."""
    deep: Any = 0
    for _ in range(300):
        deep = [deep]
    async with shop(0) as (fake, client):
        odd = fake.add_review("kelas-web", message="\ud83d", huge=2**70)
        nested = fake.add_review("kelas-web", nest=deep)
        # One review a page: a page with half an emoji takes another way through the decoder.
        await export_reviews(client, "kelas-web", tmp_path / "out.jsonl", page_size=1)
    assert reviews_in(tmp_path / "out.jsonl") == [nested, odd]


async def test_an_integer_of_more_than_64_bits_is_exact_or_null(tmp_path: Path) -> None:
    """JSONL and CSV have it exactly. Parquet, whose columns have 64 bits, has null."""
    async with shop(3) as (fake, client):
        huge = fake.add_review("kelas-web", rating=2**63, big=12345678901234567890123)
        await export_reviews(client, "kelas-web", tmp_path / "out.jsonl")
        await export_reviews(client, "kelas-web", tmp_path / "out.csv", format="csv")
        await export_reviews(client, "kelas-web", tmp_path / "out.parquet", format="parquet")
    assert reviews_in(tmp_path / "out.jsonl")[0] == huge
    assert f",{2**63},ACTIVE," in (tmp_path / "out.csv").read_text(encoding="utf-8")
    ratings = [one["rating"] for one in parquet.read_table(tmp_path / "out.parquet").to_pylist()]
    assert ratings[0] is None
    assert None not in ratings[1:]


async def test_nothing_that_an_export_leaves_shows_the_key(tmp_path: Path) -> None:
    """Neither its files nor its report nor its error."""
    async with shop() as (fake, client):
        report = await export_reviews(client, ["kelas-web"], tmp_path, format="csv", verify=True)
        fake.fail_next(404, message=f"Bearer {KEY}")
        with pytest.raises(ExportError) as caught:
            await export_reviews(client, "kelas-web", tmp_path / "out", force=True)
        await interrupt(client, fake, tmp_path / "out", format="csv")
    assert "Bearer" in str(caught.value)
    assert KEY not in repr(report) + str(caught.value) + repr(caught.value.__cause__)
    files = list(tmp_path.iterdir())
    assert {one.name for one in files} >= {"kelas-web.csv", "out.partial.jsonl", "out.state.json"}
    assert all(KEY.encode() not in file.read_bytes() for file in files)


# --- what was there before -------------------------------------------------------------------


async def test_force_starts_from_the_beginning(tmp_path: Path) -> None:
    """It overwrites a file, an interrupted export, and one that cannot be resumed."""
    async with shop() as (fake, client):
        await interrupt(client, fake, tmp_path / "out")
        state = {"version": 1, "payment_link_id": None}
        (tmp_path / "out.state.json").write_text(json.dumps(state))
        report = await export_reviews(client, "kelas-web", tmp_path / "out", force=True)
        assert ids(tmp_path / "out") == newest_first(fake)
    assert (report.written, report.files[0].resumed_from) == (120, None)


@pytest.mark.parametrize("format", ["jsonl", "csv", "csv-spreadsheet", "parquet"])
async def test_force_keeps_the_old_output_until_the_new_one_is_whole(
    tmp_path: Path, format: Any
) -> None:
    """Also one that an export has made, and one that somebody else wrote."""
    async with shop() as (fake, client):
        await export_reviews(client, "kelas-web", tmp_path / "whole", format=format)
        await export_reviews(client, "kelas-web", tmp_path / "mine", rating=5)
        (tmp_path / "other").write_text("precious")
        for name in ("mine", "other"):
            before = (tmp_path / name).read_bytes()
            await interrupt(client, fake, tmp_path / name, format=format, force=True)
            assert (tmp_path / name).read_bytes() == before
            await export_reviews(client, "kelas-web", tmp_path / name, format=format, resume=True)
            assert (tmp_path / name).read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("fault", [401, 404])
async def test_an_export_without_a_page_changes_nothing(tmp_path: Path, fault: int) -> None:
    """A wrong key or a wrong product does not cost an old export its file."""
    async with shop() as (fake, client):
        await export_reviews(client, "kelas-web", tmp_path / "out")
        before = (tmp_path / "out").read_bytes()
        fake.fail_next(fault)
        with pytest.raises(ExportError):
            await export_reviews(client, "kelas-web", tmp_path / "out", force=True)
        assert (tmp_path / "out").read_bytes() == before
        report = await export_reviews(client, "kelas-web", tmp_path / "out", resume=True)
    assert report.requests == 0
    assert left_of(tmp_path / "out") == FINISHED


async def test_a_misspelt_product_leaves_nothing(tmp_path: Path) -> None:
    """So the next export into this file needs neither `resume` nor `force`."""
    async with shop() as (_, client):
        with pytest.raises(ExportError) as caught:
            await export_reviews(client, "kelas-wbe", tmp_path / "out", format="csv")
        assert isinstance(caught.value.__cause__, NotFoundError)
        assert (caught.value.written, caught.value.starting_after) == (0, None)
        assert list(tmp_path.iterdir()) == []
        assert (await export_reviews(client, "kelas-web", tmp_path / "out")).written == 120


async def test_an_existing_output_is_refused(tmp_path: Path) -> None:
    """Neither a file nor a journal is overwritten unasked, with `resume` or without."""
    (tmp_path / "out").write_text("precious")
    async with shop() as (fake, client):
        await interrupt(client, fake, tmp_path / "new", format="csv")
        left = {one: one.read_bytes() for one in tmp_path.iterdir()}
        for name in ("out", "new"):
            message = await refusal(client, fake, "kelas-web", tmp_path / name, format="csv")
            assert message.startswith("output ")
            assert "already exists" in message
        message = await refusal(client, fake, "kelas-web", tmp_path / "out", resume=True)
        assert "exists, but has no state to resume from" in message
    assert {one: one.read_bytes() for one in tmp_path.iterdir()} == left


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("force", [True, False])
async def test_an_output_that_is_not_a_file_is_left_alone(tmp_path: Path, force: bool) -> None:
    """A pipe, or a device such as /dev/null, is neither waited for nor removed."""
    os.mkfifo(tmp_path / "out")
    async with shop() as (fake, client):
        message = await refusal(client, fake, "kelas-web", tmp_path / "out", force=force)
    assert "is not a regular file" in message
    assert (tmp_path / "out").is_fifo()


@virtual_time
async def test_two_exports_do_not_write_one_output(tmp_path: Path) -> None:
    """The second one is refused before any request. The first one comes out whole."""
    async with shop(rate_limit=WaitingBudget()) as (fake, client):
        refused: list[InvalidArgumentError] = []

        async def again() -> None:
            try:
                await export_reviews(client, "kelas-web", tmp_path / "out", resume=True)
            except InvalidArgumentError as error:
                refused.append(error)

        async with asyncio.TaskGroup() as tasks:
            await export_reviews(
                client,
                "kelas-web",
                tmp_path / "out",
                page_size=40,
                on_progress=lambda _: tasks.create_task(again()),
            )
        assert ids(tmp_path / "out") == newest_first(fake)
        assert len([one for one in fake.requests if one.path.endswith("/reviews")]) == 5
        assert len(refused) >= 2
        assert "is being written by another export" in str(refused[0])
        await export_reviews(client, "kelas-web", tmp_path / "out", resume=True)
    assert left_of(tmp_path / "out") == FINISHED


# --- verify ----------------------------------------------------------------------------------


@pytest.mark.parametrize("rating", [1, 2, 3, 4, 5])
async def test_what_the_server_cannot_show_is_named(tmp_path: Path, rating: int) -> None:
    """Sixty reviews of one millisecond do not fit on a page, and its cursor skips the rest."""
    time = 1_767_063_610_000
    async with shop(0, mayar=FakeMayar(KEY, cursor="updated")) as (fake, client):
        for _ in range(60):
            fake.add_review("kelas-web", rating=rating, createdAt=time)
        fake.add_review("kelas-web", createdAt=time - 1)
        report = await export_reviews(client, "kelas-web", tmp_path / "out", verify=True)
        assert fake.requests[-1].path.endswith("/stats")
        again = await export_reviews(client, "kelas-web", tmp_path / "out", resume=True)
    (file,) = report.files
    assert (file.written, file.expected) == (51, 61)
    assert file.missing == {rating: 10}
    ((start, until),) = file.gaps
    assert start <= datetime.fromtimestamp(time / 1000, UTC) <= until
    assert (file.error, file.complete, report.complete) == (None, False, False)
    # It stays known.
    assert (again.gaps, again.complete, again.requests) == (report.gaps, False, 0)


@pytest.mark.parametrize("stats", ["stale", "broken"])
@virtual_time
async def test_statistics_that_are_wrong_fail_no_export(tmp_path: Path, stats: Any) -> None:
    """Nothing waits for them: they are asked once before and a few times after."""
    async with shop(120, mayar=FakeMayar(KEY, stats=stats)) as (fake, client):
        await client.get_merchant_stats() if stats == "stale" else None
        if stats == "stale":
            await client.get_product_stats("kelas-web")
            for one in newest_first(fake)[:3]:
                fake.edit_review(one, status="ARCHIVED")
        report = await export_reviews(client, "kelas-web", tmp_path / "out", verify=True)
    (file,) = report.files
    assert (file.error, file.complete, report.complete, file.gaps) == (None, None, None, ())
    assert file.not_verified is not None
    if stats == "stale":
        assert "count 3 more active reviews than the list has" in file.not_verified
        assert (file.expected, sum(file.missing.values())) == (120, 3)
    else:
        assert "the statistics do not answer" in file.not_verified
        assert (file.expected, file.missing) == (None, {})


@virtual_time
async def test_nothing_waits_an_hour_for_the_statistics(tmp_path: Path) -> None:
    async with shop() as (fake, client):
        fake.fail_next(429, math.inf, path="/stats")
        start = asyncio.get_running_loop().time()
        report = await export_reviews(
            client, "kelas-web", tmp_path / "out", verify=True, on_progress=lambda _: None
        )
        assert asyncio.get_running_loop().time() - start < 300
    assert (report.written, report.complete) == (120, None)


async def test_verify_expects_only_the_rating_asked_for(tmp_path: Path) -> None:
    told: list[ExportProgress] = []
    async with shop() as (fake, client):
        fours = sum(one["rating"] == 4 for one in fake.reviews.values())
        report = await export_reviews(
            client, "kelas-web", tmp_path / "out", rating=4, verify=True, on_progress=told.append
        )
    assert (report.files[0].expected, report.complete) == (fours, True)
    assert told[-1].total == fours


async def test_verify_expects_only_active_reviews_of_the_store(tmp_path: Path) -> None:
    """The store's list has more reviews than the statistics count: they are not its total."""
    told: list[ExportProgress] = []
    async with shop(rate_limit=WaitingBudget()) as (fake, client):
        fake.add_review("kelas-web", status="ARCHIVED")
        fake.add_review("kelas-web", status="INACTIVE")
        report = await export_reviews(
            client, None, tmp_path / "all", verify=True, on_progress=told.append
        )
        assert (report.written, report.files[0].expected, report.complete) == (122, 120, True)
        assert {one.total for one in told} == {None, 122}  # known when all are there
        told.clear()
        await export_reviews(
            client,
            None,
            tmp_path / "active",
            status="ACTIVE",
            verify=True,
            on_progress=told.append,
        )
        assert {one.total for one in told} >= {None, 120}


@pytest.mark.parametrize("hidden", ["ARCHIVED", "INACTIVE"])
async def test_a_hidden_review_does_not_replace_a_missing_one(tmp_path: Path, hidden: str) -> None:
    """A hidden review of the store is in the file, but is not counted."""
    async with shop(0) as (fake, client):
        for status in ("ACTIVE", "ACTIVE", hidden, hidden):
            fake.add_review("kelas-web", status=status)
        fake.personality.omits = lambda review, _: review["status"] == "ACTIVE"
        report = await export_reviews(client, None, tmp_path / "out", verify=True)
    assert (report.written, report.files[0].expected) == (2, 2)
    assert report.files[0].missing == {5: 2}
    assert report.complete is None


async def test_reviews_that_come_or_go_during_an_export_are_not_missing(tmp_path: Path) -> None:
    async with shop() as (fake, client):
        order = newest_first(fake)
        added: list[Any] = []

        def on_progress(progress: ExportProgress) -> None:
            if progress.pages == 1 and not added:
                added.append(fake.add_review("kelas-web", rating=5))
                fake.edit_review(order[0], status="ARCHIVED")  # already written
                fake.edit_review(order[-1], status="ARCHIVED")  # not yet written

        report = await export_reviews(
            client, "kelas-web", tmp_path / "out", verify=True, on_progress=on_progress
        )
    # The new one is found by another look at the head.
    assert report.written == 120
    assert report.complete is True


async def test_verify_after_a_resume_compares_with_what_is_there_now(tmp_path: Path) -> None:
    """Reviews made after the first page are in the file, even if that was days ago."""
    async with shop() as (fake, client):
        fake.before_list(2, lambda: fake.fail_next(401))
        with pytest.raises(ExportError):
            await export_reviews(client, "kelas-web", tmp_path / "out", verify=True)
        fake.clear_faults()
        fake.seed("kelas-web", 5)
        report = await export_reviews(
            client, "kelas-web", tmp_path / "out", resume=True, verify=True
        )
        assert ids(tmp_path / "out") == newest_first(fake)
    assert (report.files[0].expected, report.complete) == (125, True)


# --- how it ends early -----------------------------------------------------------------------


async def test_a_cursor_that_leads_back_ends_the_export(tmp_path: Path) -> None:
    """What was written stays. It is not asked for again: the answer would be the same."""
    async with shop() as (fake, client):
        fake.personality.paginate = lambda reviews, *_: (reviews[:2], "77")
        with pytest.raises(ExportError, match="stopped after 2 reviews") as caught:
            await export_reviews(client, "kelas-web", tmp_path / "out")
        assert len(fake.requests) == 2
    assert isinstance(caught.value.__cause__, PaginationError)
    assert caught.value.starting_after is not None
    assert caught.value.starting_after.startswith("77~")
    assert len(ids(journal_of(tmp_path / "out"))) == 2


@virtual_time
async def test_a_cancelled_export_leaves_a_true_state(tmp_path: Path) -> None:
    """Cancelled during the request for a page, it resumes at that page."""
    async with shop() as (fake, client):

        def stall() -> None:
            fake.stall_next()
            asyncio.get_running_loop().call_later(5, task.cancel)

        fake.before_list(2, stall)
        task = asyncio.create_task(export_reviews(client, "kelas-web", tmp_path / "out"))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(fake.requests) == 3
        written = len(ids(journal_of(tmp_path / "out")))
        assert state_of(tmp_path / "out")["written"] == written == 99
        report = await export_reviews(client, "kelas-web", tmp_path / "out", resume=True)
        assert report.files[0].resumed_from == 99
        assert ids(tmp_path / "out") == newest_first(fake)


async def test_an_export_cancelled_during_the_conversion_needs_no_further_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal stays, the half-made output goes, and a resume makes the output."""
    monkeypatch.setattr("mayar_reviews.export.file_export._LINES_AT_ONCE", 10)
    async with shop(40) as (fake, client):

        def on_progress(_: ExportProgress) -> None:
            asyncio.get_running_loop().call_soon(task.cancel)

        task = asyncio.create_task(
            export_reviews(
                client, "kelas-web", tmp_path / "out", format="csv", on_progress=on_progress
            )
        )
        with pytest.raises(asyncio.CancelledError):
            await task
        assert left_of(tmp_path / "out") == ["*.partial.jsonl", "*.state.json"]
        fake.requests.clear()
        report = await export_reviews(
            client, "kelas-web", tmp_path / "out", format="csv", resume=True
        )
        assert fake.requests == []
    assert (report.written, report.pages) == (40, 0)
    assert (tmp_path / "out").exists()


@pytest.mark.parametrize("line", [b"X\n", b"[]\n", b'"text"\n', b'{"id": 5}\n'])
@pytest.mark.parametrize("format", ["csv", "parquet"])
async def test_a_damaged_journal_is_reported_as_damaged(
    tmp_path: Path, format: Any, line: bytes
) -> None:
    """Among many products, only the one whose journal was edited fails."""
    async with shop(3) as (fake, client):
        fake.seed("kelas-data", 3)
        output = tmp_path / f"kelas-web.{format}"
        await export_reviews(client, "kelas-web", output, format=format)
        output.unlink()
        # As if it had been killed before the output was made.
        state = state_of(output) | {"output": None}
        (tmp_path / f"kelas-web.{format}.state.json").write_text(json.dumps(state))
        journal_of(output).write_bytes(line.rjust(state["offset"], b" "))
        report = await export_reviews(
            client, ["kelas-web", "kelas-data"], tmp_path, format=format, resume=True
        )
    damaged, whole = report.files
    assert "is damaged: start again with force" in str(damaged.error)
    assert not output.exists()
    assert whole.error is None


async def test_a_closed_client_is_not_reported_as_a_failed_file(tmp_path: Path) -> None:
    """It is a mistake in the program, so it is raised as it is."""
    async with shop() as (_, client):
        pass
    with pytest.raises(RuntimeError):
        await export_reviews(client, "kelas-web", tmp_path / "out")
    with pytest.raises(ExceptionGroup):
        await export_reviews(client, ["kelas-web"], tmp_path)


async def test_a_product_that_is_gone_halfway_leaves_its_reviews_readable(tmp_path: Path) -> None:
    """It may never come back. The error says where the reviews are."""
    async with shop() as (fake, client):
        fake.before_list(2, lambda: fake.fail_next(404, message="Tidak ada"))
        with pytest.raises(ExportError) as caught:
            await export_reviews(client, "kelas-web", tmp_path / "out.csv", format="csv")
        first = newest_first(fake)[:99]
    journal = journal_of(tmp_path / "out.csv")
    assert f"99 reviews (they are in {journal}, as JSON lines): " in str(caught.value)
    assert [one["id"] for one in reviews_in(journal)] == first
