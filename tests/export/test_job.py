"""An export from its start to its end, whatever the API does in between."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from mayar_reviews import (
    AuthenticationError,
    ConnectionFailedError,
    ExportError,
    InvalidArgumentError,
    NotFoundError,
    PaginationError,
    RateLimit,
    RateLimitError,
    RetryPolicy,
    ReviewsClient,
    ServerError,
)
from mayar_reviews.export import ExportProgress, export_reviews
from mayar_reviews.export.formats import to_line
from mayar_reviews.testing import FakeMayar
from tests.faults.clock import virtual_time

from .shop import KEY, ids, newest_first, shop


def state(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(Path(f"{path}.state.json").read_text())
    return loaded


# --- what comes out --------------------------------------------------------------------------


async def test_one_product(tmp_path: Path) -> None:
    """JSONL holds the API's own objects in the list's order, and the report counts them."""
    async with shop() as (fake, client):
        report = await export_reviews(client, "kelas-web", tmp_path / "out.jsonl")
        expected = [fake.reviews[one] for one in newest_first(fake)]
    lines = (tmp_path / "out.jsonl").read_bytes().splitlines()
    assert [orjson.loads(line) for line in lines] == expected
    assert (report.written, report.pages, report.requests) == (120, 3, 3)
    assert report.seconds > 0
    assert report.failed == ()
    assert report.complete is None
    (file,) = report.files
    assert (file.payment_link_id, file.path) == ("kelas-web", tmp_path / "out.jsonl")
    assert (file.resumed_from, file.expected, file.missing, file.error) == (None, None, {}, None)
    assert sum(file.ratings.values()) == 120
    assert file.ratings[1] == sum(one["rating"] == 1 for one in expected)


async def test_whole_store(tmp_path: Path) -> None:
    """`None` exports the store, of every status or of one."""
    async with shop(30) as (fake, client):
        fake.seed("kelas-dua", 30)
        gone = fake.add_review("kelas-dua", status="ARCHIVED")
        await export_reviews(client, None, tmp_path / "all.jsonl")
        await export_reviews(client, None, tmp_path / "gone.jsonl", status="ARCHIVED")
    assert len(ids(tmp_path / "all.jsonl")) == 61
    assert ids(tmp_path / "gone.jsonl") == [gone["id"]]


async def test_filters(tmp_path: Path) -> None:
    """`rating` and `page_size` are what is asked of the API."""
    async with shop() as (fake, client):
        await export_reviews(client, "kelas-web", tmp_path / "out.jsonl", rating=4, page_size=7)
        twos = [one for one in newest_first(fake) if fake.reviews[one]["rating"] == 4]
        assert {one.query["rating"] for one in fake.requests} == {"4"}
        assert {one.query["limit"] for one in fake.requests} == {"7"}
    assert ids(tmp_path / "out.jsonl") == twos


async def test_nothing_to_export(tmp_path: Path) -> None:
    """A product without reviews makes an empty file, which is finished."""
    async with shop(0) as (fake, client):
        fake.add_product("kelas-web")
        report = await export_reviews(client, "kelas-web", tmp_path / "out.jsonl", verify=True)
        again = await export_reviews(client, "kelas-web", tmp_path / "out.jsonl", resume=True)
    assert (tmp_path / "out.jsonl").read_bytes() == b""
    assert (report.written, report.files[0].expected, report.complete) == (0, 0, True)
    assert (again.requests, again.files[0].resumed_from) == (0, 0)


async def test_reviews_that_orjson_cannot_dump(tmp_path: Path) -> None:
    """Half an emoji, a huge integer or a deep nest in one review never blocks an export."""
    deep: Any = 0
    for _ in range(300):
        deep = [deep]
    async with shop(0) as (fake, client):
        odd = fake.add_review("kelas-web", message="\ud83d", huge=2**70)
        nested = fake.add_review("kelas-web", nest=deep)
        # One page each: with half an emoji on it, orjson does not read a page either.
        await export_reviews(client, "kelas-web", tmp_path / "out.jsonl", page_size=1)
    lines = (tmp_path / "out.jsonl").read_bytes().splitlines()
    assert [json.loads(line) for line in lines] == [nested, odd]


async def test_a_shifted_list_repeats_nothing(tmp_path: Path) -> None:
    """A review that stood on the page before is not written twice, over a resume either."""
    async with shop(4) as (fake, client):
        pages = newest_first(fake)
        # The last of a page shows again on the next, as it does when the list shifts.
        shifting = _Shifting(client)
        with pytest.raises(ExportError):
            await export_reviews(shifting, "kelas-web", tmp_path / "out.jsonl", page_size=2)  # type: ignore[arg-type]
        assert ids(tmp_path / "out.jsonl") == pages[:2]
        await export_reviews(
            shifting,  # type: ignore[arg-type]
            "kelas-web",
            tmp_path / "out.jsonl",
            page_size=2,
            resume=True,
        )
    assert ids(tmp_path / "out.jsonl") == pages


class _Shifting:
    """A client whose second page begins with the last review of the first, and fails once."""

    def __init__(self, client: ReviewsClient) -> None:
        self.client = client
        self.calls = 0

    def with_options(self, **_: Any) -> _Shifting:
        return self

    def iter_product_review_pages(self, *_: Any, starting_after: str | None, **__: Any) -> Any:
        async def pages() -> Any:
            from attrs import evolve  # noqa: PLC0415

            if starting_after is None:
                first = await self.client.list_product_reviews("kelas-web", limit=2)
                self.last = first
                yield first
                raise PaginationError("stop here", starting_after=first.next_starting_after)
            page = await self.client.list_product_reviews(
                "kelas-web", starting_after=starting_after
            )
            yield evolve(
                page, data=self.last.data[-1:] + page.data, raw=self.last.raw[-1:] + page.raw
            )

        return pages()


async def test_progress(tmp_path: Path) -> None:
    """Each page is told once it is safe, with the total where the statistics tell it."""
    told: list[ExportProgress] = []
    sizes: list[int] = []

    def on_progress(progress: ExportProgress) -> None:
        told.append(progress)
        sizes.append(len(ids(tmp_path / "out.jsonl")))

    async with shop() as (_, client):
        await export_reviews(
            client, "kelas-web", tmp_path / "out.jsonl", verify=True, on_progress=on_progress
        )
    assert told == [
        ExportProgress("kelas-web", written, pages, 120)
        for written, pages in ((50, 1), (100, 2), (120, 3))
    ]
    assert sizes == [50, 100, 120]


async def test_a_broken_progress_bar_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What `on_progress` raises is logged, also when it looks like the disk's fault."""

    def on_progress(_: ExportProgress) -> None:
        raise BrokenPipeError

    async with shop() as (_, client):
        report = await export_reviews(
            client, "kelas-web", tmp_path / "out.jsonl", on_progress=on_progress
        )
    assert report.written == 120
    assert "on_progress raised" in caplog.text


async def test_no_file_holds_the_key(tmp_path: Path) -> None:
    """Nothing that an export writes, reports or raises shows the key."""
    async with shop() as (fake, client):
        fake.drop_next(40)
        impatient = client.with_options(retry=RetryPolicy.none())
        report = await export_reviews(
            client,
            ["kelas-web"],
            tmp_path,
            format="csv",
            on_progress=lambda _: fake._faults.clear(),
        )
        fake.fail_next(500, message=f"Bearer {KEY}", times=400)
        task = asyncio.create_task(
            export_reviews(impatient, "kelas-web", tmp_path / "out.jsonl", force=True)
        )
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert KEY not in repr(report)
    assert all(KEY.encode() not in file.read_bytes() for file in tmp_path.iterdir())


# --- resuming and refusing -------------------------------------------------------------------


async def interrupted(client: ReviewsClient, fake: FakeMayar, path: Path, **options: Any) -> None:
    """Export two pages of 20, and be refused the third."""

    def on_progress(progress: ExportProgress) -> None:
        if progress.pages == 2:
            fake.fail_next(401)

    with pytest.raises(ExportError) as caught:
        await export_reviews(
            client, "kelas-web", path, page_size=20, on_progress=on_progress, **options
        )
    assert isinstance(caught.value.__cause__, AuthenticationError)
    assert caught.value.written == 40
    assert caught.value.attempts == 3
    assert (
        caught.value.starting_after
        == state(path)["cursor"]
        == fake.requests[-1].query["startingAfter"]
    )


@pytest.mark.parametrize("format", ["jsonl", "csv", "csv-spreadsheet", "parquet"])
async def test_resume(tmp_path: Path, format: Any) -> None:
    """A resumed export ends with the same bytes as an undisturbed one, and asks for the rest."""
    async with shop() as (fake, client):
        await export_reviews(client, "kelas-web", tmp_path / "whole", format=format, page_size=20)
        await interrupted(client, fake, tmp_path / "out", format=format)
        assert (tmp_path / "out").exists() == (format == "jsonl")
        report = await export_reviews(
            client, "kelas-web", tmp_path / "out", format=format, page_size=20, resume=True
        )
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()
    assert (report.written, report.pages, report.requests) == (120, 4, 4)
    assert report.files[0].resumed_from == 40
    assert sum(report.files[0].ratings.values()) == 120
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "out",
        "out.state.json",
        "whole",
        "whole.state.json",
    ]


async def test_resume_cuts_a_torn_tail(tmp_path: Path) -> None:
    """What lies behind the recorded offset was never reported, and is cut back."""
    async with shop() as (fake, client):
        await export_reviews(client, "kelas-web", tmp_path / "whole", page_size=20)
        await interrupted(client, fake, tmp_path / "out")
        with (tmp_path / "out").open("ab") as file:
            file.write(b'{"id": "torn')
        await export_reviews(client, "kelas-web", tmp_path / "out", page_size=20, resume=True)
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize("format", ["jsonl", "csv"])
async def test_resume_of_a_finished_export(tmp_path: Path, format: Any) -> None:
    """It does nothing, and reports what is there."""
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


async def test_resume_of_nothing_begins(tmp_path: Path) -> None:
    """The same command serves for the first run."""
    async with shop() as (_, client):
        report = await export_reviews(client, "kelas-web", tmp_path / "out", resume=True)
    assert (report.written, report.files[0].resumed_from) == (120, None)


async def test_force_begins_from_the_start(tmp_path: Path) -> None:
    """`force` overwrites a file, an interrupted export and what cannot be resumed."""
    async with shop() as (fake, client):
        await interrupted(client, fake, tmp_path / "out")
        (tmp_path / "out.state.json").write_text("{}")
        report = await export_reviews(client, "kelas-web", tmp_path / "out", force=True)
        assert ids(tmp_path / "out") == newest_first(fake)
    assert (report.written, report.files[0].resumed_from) == (120, None)


async def test_force_keeps_the_old_output_until_the_new_is_whole(tmp_path: Path) -> None:
    """In the formats that are made at the end, what is there stays until then."""
    (tmp_path / "out").write_text("precious")
    async with shop() as (fake, client):
        await interrupted(client, fake, tmp_path / "out", format="csv", force=True)
        assert (tmp_path / "out").read_text() == "precious"
        await export_reviews(client, "kelas-web", tmp_path / "out", format="csv", resume=True)
    assert (tmp_path / "out").read_text().startswith("id,")


async def refused(client: ReviewsClient, fake: FakeMayar, *args: Any, **options: Any) -> str:
    """What an export says that is refused before any request."""
    fake.requests.clear()
    with pytest.raises(InvalidArgumentError) as caught:
        await export_reviews(client, *args, **options)
    assert fake.requests == []
    assert "\n" not in str(caught.value)
    return f"{caught.value.field}: {caught.value}"


async def test_an_existing_output_is_refused(tmp_path: Path) -> None:
    """Nothing is overwritten unasked: no file, no journal, with or without `resume`."""
    (tmp_path / "out").write_text("precious")
    (tmp_path / "new.partial.jsonl").write_text("precious")
    async with shop() as (fake, client):
        for name in ("out", "new"):
            said = await refused(client, fake, "kelas-web", tmp_path / name, format="csv")
            assert said.startswith("output: ")
            assert "is there already" in said
        said = await refused(client, fake, "kelas-web", tmp_path / "out", resume=True)
        assert "has no state to resume from" in said
    assert (tmp_path / "out").read_text() == "precious"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("product", "options", "said"),
    [
        ("kelas-web", {"rating": 5}, "with rating None, not 5"),
        ("kelas-dua", {}, "with payment_link_id kelas-web, not kelas-dua"),
        (None, {}, "with payment_link_id kelas-web, not None"),
        ("kelas-web", {"format": "csv"}, "with format jsonl, not csv"),
    ],
)
async def test_a_state_of_something_else_is_refused(
    tmp_path: Path, product: str | None, options: dict[str, Any], said: str
) -> None:
    """An export goes on only with what it was asked for."""
    async with shop() as (fake, client):
        await interrupted(client, fake, tmp_path / "out")
        before = (tmp_path / "out").read_bytes()
        assert said in await refused(
            client, fake, product, tmp_path / "out", resume=True, **options
        )
    assert (tmp_path / "out").read_bytes() == before


async def test_a_state_of_another_status_is_refused(tmp_path: Path) -> None:
    """The status, which only the store's list knows, is part of what was asked for."""
    async with shop() as (fake, client):
        await export_reviews(client, None, tmp_path / "out", status="ACTIVE")
        said = await refused(client, fake, None, tmp_path / "out", resume=True)
        assert "with status ACTIVE, not None" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not the state of an export"),
        ("\0\0\0", "is not the state of an export"),
        ("[]", "is not the state of an export"),
        ('{"version": 1}', "is not the state of an export"),
        ('{"version": 1, "offset": "9"}', "is not the state of an export"),
        ('{"version": 2}', "has another schema than this release's version 1"),
    ],
)
async def test_what_is_no_state_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """A state that is broken, or of another release, is not guessed at."""
    async with shop() as (fake, client):
        await interrupted(client, fake, tmp_path / "out")
        (tmp_path / "out.state.json").write_text(text)
        assert said in await refused(client, fake, "kelas-web", tmp_path / "out", resume=True)


@pytest.mark.parametrize("format", ["jsonl", "csv"])
async def test_a_journal_that_lacks_bytes_is_refused(tmp_path: Path, format: Any) -> None:
    """Reviews that were safe and are gone cannot be made up for."""
    async with shop() as (fake, client):
        await interrupted(client, fake, tmp_path / "out", format=format)
        journal = tmp_path / ("out" if format == "jsonl" else "out.partial.jsonl")
        with journal.open("r+b") as file:
            file.truncate(100)
        offset = state(tmp_path / "out")["offset"]
        said = await refused(
            client, fake, "kelas-web", tmp_path / "out", format=format, resume=True
        )
        assert f"has 100 bytes of the {offset}" in said
        journal.unlink()
        said = await refused(
            client, fake, "kelas-web", tmp_path / "out", format=format, resume=True
        )
        assert f"has 0 bytes of the {offset}" in said


@pytest.mark.parametrize("format", ["jsonl", "csv"])
async def test_a_finished_output_that_is_gone_is_refused(tmp_path: Path, format: Any) -> None:
    """A finished export whose file was moved away is not reported as being there."""
    async with shop(3) as (fake, client):
        await export_reviews(client, "kelas-web", tmp_path / "out", format=format)
        (tmp_path / "out").unlink()
        await refused(client, fake, "kelas-web", tmp_path / "out", format=format, resume=True)
        await export_reviews(client, "kelas-web", tmp_path / "out", format=format)


@pytest.mark.parametrize(
    ("product", "options", "field"),
    [
        ("..", {}, "payment_link_id"),
        (["kelas-web", "a/../../b"], {}, "payment_link_id"),
        ([], {}, "payment_link_ids"),
        ("kelas-web", {"format": "xml"}, "format"),
        ("kelas-web", {"rating": 6}, "rating"),
        ("kelas-web", {"page_size": 0}, "page_size"),
        ("kelas-web", {"concurrency": 0}, "concurrency"),
        ("kelas-web", {"status": "ACTIVE"}, "status"),
        (None, {"status": "SOLD"}, "status"),
        (None, {"status": "ARCHIVED", "verify": True}, "verify"),
        ("kelas-web", {"resume": True, "force": True}, "force"),
    ],
)
async def test_impossible_arguments_are_refused(
    tmp_path: Path, product: Any, options: dict[str, Any], field: str
) -> None:
    """Before any request, and before anything is made on the disk."""
    async with shop() as (fake, client):
        said = await refused(client, fake, product, tmp_path / "new" / "out", **options)
    assert said.startswith(f"{field}: ")
    assert list(tmp_path.iterdir()) == []


async def test_a_misspelt_product_leaves_nothing(tmp_path: Path) -> None:
    """The next attempt, spelt well, needs neither `resume` nor `force`."""
    async with shop() as (_, client):
        with pytest.raises(ExportError) as caught:
            await export_reviews(client, "kelas-wbe", tmp_path / "out", format="csv")
        assert isinstance(caught.value.__cause__, NotFoundError)
        assert (caught.value.written, caught.value.starting_after) == (0, None)
        assert list(tmp_path.iterdir()) == []
        assert (await export_reviews(client, "kelas-web", tmp_path / "out")).written == 120


# --- many products ---------------------------------------------------------------------------


async def test_many_products(tmp_path: Path) -> None:
    """Each gets its file; one that fails does not stop the rest; a resume does what is missing."""
    async with shop(60) as (fake, client):
        fake.seed("kelas-dua", 70)
        wanted = ["kelas-web", "gone", "kelas-dua", "kelas-web"]
        report = await export_reviews(
            client, wanted, tmp_path / "a" / "b", format="csv", verify=True
        )
        assert [one.payment_link_id for one in report.files] == ["kelas-web", "gone", "kelas-dua"]
        assert [one.requests for one in report.files] == [4, 2, 4]
        assert [one.payment_link_id for one in report.failed] == ["gone"]
        (failed,) = report.failed
        assert failed.error is not None
        assert isinstance(failed.error.__cause__, NotFoundError)
        assert (report.written, report.pages, report.complete) == (130, 4, False)
        assert sorted(one.name for one in (tmp_path / "a" / "b").glob("*.csv")) == [
            "kelas-dua.csv",
            "kelas-web.csv",
        ]

        fake.add_product("gone")
        fake.requests.clear()
        report = await export_reviews(
            client, wanted, tmp_path / "a" / "b", format="csv", resume=True
        )
        assert {one.path for one in fake.requests} == {"/hl/v2/products/gone/reviews"}
    assert (report.written, report.requests, report.failed) == (130, 1, ())


async def test_one_product_in_a_list_is_a_directory(tmp_path: Path) -> None:
    """It is the list that asks for a directory, not its length."""
    async with shop() as (fake, client):
        await export_reviews(client, ["kelas-web"], tmp_path)
        assert ids(tmp_path / "kelas-web.jsonl") == newest_first(fake)


@virtual_time
async def test_concurrency_and_one_budget(tmp_path: Path) -> None:
    """No more products at a time than asked, and all within the client's budget."""
    async with shop(0, rate_limit=RateLimit(4, per=10)) as (fake, client):
        products = [fake.add_product(f"kelas-{n}") for n in range(6)]
        for product in products:
            fake.seed(product, 4)
        busy: set[str | None] = set()
        most = 0

        def on_progress(progress: ExportProgress) -> None:
            nonlocal most
            (busy.discard if progress.pages == 2 else busy.add)(progress.payment_link_id)
            most = max(most, len(busy))

        await export_reviews(
            client, products, tmp_path, page_size=2, concurrency=2, on_progress=on_progress
        )
        times = [one.at for one in fake.requests]
    assert most == 2
    assert len(times) == 12
    assert all(later - earlier >= 10 for earlier, later in zip(times, times[4:], strict=False))


async def test_cancelling_many_products(tmp_path: Path) -> None:
    """A cancellation ends them all, at once, and each can go on."""
    async with shop() as (fake, client):
        fake.seed("kelas-dua", 120)
        task: asyncio.Task[Any] | None = None

        def on_progress(progress: ExportProgress) -> None:
            if progress.pages == 2:
                fake.stall_next(2)
                assert task is not None
                asyncio.get_running_loop().call_later(0.05, task.cancel)

        both = ["kelas-web", "kelas-dua"]
        task = asyncio.create_task(
            export_reviews(client, both, tmp_path, page_size=20, on_progress=on_progress)
        )
        with pytest.raises(asyncio.CancelledError):
            await task
        fake._faults.clear()
        report = await export_reviews(client, both, tmp_path, page_size=20, resume=True)
        for one in report.files:
            assert one.resumed_from in (40, 60)
            assert one.payment_link_id is not None
            assert ids(one.path) == newest_first(fake, one.payment_link_id)


# --- completeness ----------------------------------------------------------------------------


async def test_reviews_skipped_by_the_cursor_are_missed(tmp_path: Path) -> None:
    """Reviews of one millisecond at a page's edge: the report tells how many, of which rating."""
    async with shop(0) as (fake, client):
        for n in range(9):
            fake.add_review(
                "kelas-web", rating=4 if n % 2 else 5, createdAt=1_767_063_610_000 + n // 3
            )
        report = await export_reviews(
            client, "kelas-web", tmp_path / "out", page_size=4, verify=True
        )
    (file,) = report.files
    assert file.written == 7
    assert file.expected == 9
    assert sum(file.missing.values()) == 2
    assert all(
        count + file.ratings[rating] == {5: 5, 4: 4}[rating]
        for rating, count in file.missing.items()
    )
    assert report.complete is False


async def test_verify_knows_its_filter(tmp_path: Path) -> None:
    """Of one rating, only that rating is expected; of the store, only what is active."""
    async with shop() as (fake, client):
        fours = sum(one["rating"] == 4 for one in fake.reviews.values())
        told: list[ExportProgress] = []
        report = await export_reviews(
            client, "kelas-web", tmp_path / "out", rating=4, verify=True, on_progress=told.append
        )
        assert (report.files[0].expected, report.complete) == (fours, True)
        assert told[-1].total == fours
        fake.add_review("kelas-web", status="ARCHIVED")
        fake.add_review("kelas-web", status="INACTIVE")
        report = await export_reviews(
            client, None, tmp_path / "all", verify=True, on_progress=told.append
        )
        assert (report.written, report.files[0].expected, report.complete) == (122, 120, True)
        assert told[-1].total is None


async def test_archived_reviews_do_not_stand_in_for_missing_ones(tmp_path: Path) -> None:
    """Of the store, an archived review is in the file, and counts for none that is missing."""
    async with shop(0) as (fake, client):
        for status in ("ACTIVE", "ACTIVE", "ARCHIVED"):
            fake.add_review("kelas-web", status=status, createdAt=1_767_063_610_000)
        # A page of one, whose cursor skips the two others; the newest of them is archived.
        fake.add_review("kelas-web", status="ARCHIVED")
        report = await export_reviews(client, None, tmp_path / "out", page_size=2, verify=True)
    assert (report.written, report.files[0].expected) == (2, 2)
    assert report.files[0].missing == {5: 2}


async def test_what_comes_and_goes_meanwhile_is_not_missing(tmp_path: Path) -> None:
    """Reviews made or archived during an export of hours are not held against it."""
    async with shop() as (fake, client):
        order = newest_first(fake)

        def on_progress(progress: ExportProgress) -> None:
            if progress.pages == 1:
                fake.add_review("kelas-web", rating=5)
                fake.reviews[order[0]]["status"] = "ARCHIVED"  # already written
                fake.reviews[order[-1]]["status"] = "ARCHIVED"  # not yet

        report = await export_reviews(
            client, "kelas-web", tmp_path / "out", verify=True, on_progress=on_progress
        )
    assert report.written == 119
    assert report.complete is True


async def test_verify_after_a_resume_compares_with_the_start(tmp_path: Path) -> None:
    """What came after the first page, days ago perhaps, is still not due."""
    async with shop() as (fake, client):
        await interrupted_and_verified(client, fake, tmp_path / "out")
        fake.seed("kelas-web", 5)
        report = await export_reviews(
            client, "kelas-web", tmp_path / "out", resume=True, verify=True
        )
    assert (report.files[0].expected, report.complete) == (120, True)


async def interrupted_and_verified(client: ReviewsClient, fake: FakeMayar, path: Path) -> None:
    def on_progress(_: ExportProgress) -> None:
        fake.fail_next(401)

    with pytest.raises(ExportError):
        await export_reviews(client, "kelas-web", path, verify=True, on_progress=on_progress)


# --- what must not be lost ---------------------------------------------------------------------


@virtual_time
async def test_two_runs_do_not_write_one_output(tmp_path: Path) -> None:
    """The second one is refused, before any request; the first one comes out whole."""
    async with shop() as (fake, client):
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
        assert len(fake.requests) == 3
        assert "is being written by another export" in str(refused[0])
        await export_reviews(client, "kelas-web", tmp_path / "out", resume=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.state.json"]


@pytest.mark.parametrize("fault", [401, 404])
async def test_what_was_there_stays_until_there_is_something_else(
    tmp_path: Path, fault: int
) -> None:
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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without named pipes")
@pytest.mark.parametrize("force", [True, False])
async def test_what_is_no_file_is_left_alone(tmp_path: Path, force: bool) -> None:
    """A pipe, or a device such as /dev/null, is neither waited for nor removed."""
    os.mkfifo(tmp_path / "out")
    async with shop() as (fake, client):
        with pytest.raises(InvalidArgumentError, match="is not a regular file"):
            await export_reviews(client, "kelas-web", tmp_path / "out", force=force)
        assert fake.requests == []
    assert (tmp_path / "out").is_fifo()


async def test_a_link_is_followed(tmp_path: Path) -> None:
    """The output is what the link points to, in every format."""
    (tmp_path / "link").symlink_to(tmp_path / "real.csv")
    async with shop(3) as (_, client):
        await export_reviews(client, "kelas-web", tmp_path / "link", format="csv")
    assert (tmp_path / "link").is_symlink()
    assert len((tmp_path / "real.csv").read_bytes().splitlines()) > 3


async def test_a_damaged_journal_is_said_to_be_one(tmp_path: Path) -> None:
    """Among many, the one whose journal was edited fails, the others do not."""
    async with shop(3) as (fake, client):
        fake.seed("kelas-data", 3)
        with pytest.raises(ExportError):
            await stopped_at_conversion(client, tmp_path)
        report = await export_reviews(
            client, ["kelas-web", "kelas-data"], tmp_path, format="csv", resume=True
        )
    broken, whole = report.files
    assert "is damaged: start again with force" in str(broken.error)
    assert whole.error is None


async def stopped_at_conversion(client: ReviewsClient, path: Path) -> None:
    await export_reviews(client, "kelas-web", path / "kelas-web.csv", format="csv", force=True)
    (path / "kelas-web.csv").unlink()
    state = json.loads((path / "kelas-web.csv.state.json").read_bytes())
    (path / "kelas-web.csv.partial.jsonl").write_bytes(b"X" * state["offset"])
    raise ExportError("stopped")


def test_a_review_that_cannot_be_written_is_an_error_of_its_export() -> None:
    """What is nested beyond sense ends its own export, in words."""
    nested: Any = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(ExportError, match="nested too deeply"):
        to_line({"id": "review-1", "whatever": nested})


async def test_an_integer_beyond_64_bits_is_exact(tmp_path: Path) -> None:
    """Whatever its neighbours are; a column of Parquet that cannot hold it has null."""
    async with shop(3) as (fake, client):
        fake.add_review("kelas-web", rating=2**63, big=12345678901234567890123)
        await export_reviews(client, "kelas-web", tmp_path / "out")
        await export_reviews(client, "kelas-web", tmp_path / "out.parquet", format="parquet")
    lines = [json.loads(line) for line in (tmp_path / "out").read_bytes().splitlines()]
    assert [line["big"] for line in lines if "big" in line] == [12345678901234567890123]


async def test_a_key_that_is_refused_once_is_not_tried_for_every_product(tmp_path: Path) -> None:
    """A wrong key costs as many requests as were under way, not one for each product."""
    async with shop(3) as (fake, client):
        fake.fail_next(401, 50)
        report = await export_reviews(
            client, [f"kelas-{n}" for n in range(30)], tmp_path, concurrency=2
        )
        assert len(fake.requests) <= 2
    assert len(report.failed) == 30


async def test_a_product_is_a_string(tmp_path: Path) -> None:
    """`None` among the products is not the whole store."""
    async with shop() as (fake, client):
        with pytest.raises(InvalidArgumentError, match="must hold strings"):
            await export_reviews(client, ["kelas-web", None], tmp_path)  # type: ignore[list-item]
        assert fake.requests == []


@pytest.mark.parametrize(
    "fields",
    [
        {"offset": -5},
        {"cursor": 5},
        {"finished": "no"},
        {"ratings": {"5": "many"}},
        {"expected": {"5": None}},
        {"written": 1.5},
    ],
)
async def test_a_state_of_wrong_types_is_refused(tmp_path: Path, fields: dict[str, Any]) -> None:
    """It is none of ours, and says so in a line."""
    async with shop(3) as (fake, client):
        await export_reviews(client, "kelas-web", tmp_path / "out")
        path = tmp_path / "out.state.json"
        path.write_text(json.dumps(json.loads(path.read_bytes()) | fields))
        asked = len(fake.requests)
        with pytest.raises(InvalidArgumentError, match="is not the state of an export"):
            await export_reviews(client, "kelas-web", tmp_path / "out", resume=True)
        assert len(fake.requests) == asked


# --- patience --------------------------------------------------------------------------------


@virtual_time
async def test_an_outage_is_waited_out(tmp_path: Path) -> None:
    """Half an hour of failures costs half an hour and a line for each wait, nothing else."""
    told: list[ExportProgress] = []
    async with shop() as (fake, client):
        loop = asyncio.get_running_loop()
        fake.fail_next(503, 10_000)
        loop.call_later(1800, fake._faults.clear)
        start = loop.time()
        report = await export_reviews(
            client, "kelas-web", tmp_path / "out", on_progress=told.append
        )
        assert 1800 <= loop.time() - start <= 1800 + 300 + 60
        assert ids(tmp_path / "out") == newest_first(fake)
        assert report.requests == len(fake.requests)
    waits = [one.seconds for one in told if one.waiting == "outage"]
    assert waits == sorted(waits)
    assert waits[0] == 5
    assert waits[-1] == 300
    assert sum(one.seconds for one in told) == pytest.approx(report.seconds, abs=1)
    assert {one.waiting for one in told} == {"outage", "retry", None}


@virtual_time
async def test_an_outage_without_end_ends_the_export(tmp_path: Path) -> None:
    """After an hour a person has to look; the last failure says at what."""
    async with shop() as (fake, client):
        fake.fail_next(503, 10_000)
        start = asyncio.get_running_loop().time()
        with pytest.raises(ExportError, match="the server failed") as caught:
            await export_reviews(client, "kelas-web", tmp_path / "out")
        assert 3000 <= asyncio.get_running_loop().time() - start <= 3700
    assert isinstance(caught.value.__cause__, ServerError)


@virtual_time
async def test_many_products_share_one_outage(tmp_path: Path) -> None:
    """A dead line is waited for once, not by every product anew."""
    async with shop(0) as (fake, client):
        for n in range(21):
            fake.add_product(f"kelas-{n}")
        closing: list[asyncio.Task[None]] = []

        def on_progress(progress: ExportProgress) -> None:
            if progress.waiting is None:
                closing.append(asyncio.create_task(fake.close()))

        start = asyncio.get_running_loop().time()
        report = await export_reviews(
            client,
            [f"kelas-{n}" for n in range(21)],
            tmp_path,
            concurrency=1,
            on_progress=on_progress,
        )
        assert 3000 <= asyncio.get_running_loop().time() - start <= 4000
    assert len(report.failed) == 20
    assert all(
        one.error is not None and isinstance(one.error.__cause__, ConnectionFailedError)
        for one in report.failed
    )


@virtual_time
async def test_without_a_network_it_fails_at_once(tmp_path: Path) -> None:
    """Who has just started it, perhaps with a wrong address, is not left waiting for an hour."""
    async with shop() as (fake, client):
        await fake.close()
        start = asyncio.get_running_loop().time()
        with pytest.raises(ExportError, match="no connection to") as caught:
            await export_reviews(client, "kelas-web", tmp_path / "out")
        assert asyncio.get_running_loop().time() - start <= 10
    assert isinstance(caught.value.__cause__, ConnectionFailedError)


class _Broken(FakeMayar):
    """A Mayar that makes nothing but errors of one product."""

    def _page(self, payment_link_id: str | None, *args: Any, **options: Any) -> Any:
        if payment_link_id == "broken":
            raise RuntimeError("this one never works")
        return super()._page(payment_link_id, *args, **options)


@virtual_time
async def test_a_product_of_errors_is_given_up_while_others_answer(tmp_path: Path) -> None:
    """That others answer does not keep a hopeless one waiting."""
    async with shop(60, mayar=_Broken(KEY), rate_limit=RateLimit(1, per=90)) as (fake, client):
        fake.add_product("broken")
        report = await export_reviews(
            client, ["kelas-web", "broken"], tmp_path, page_size=1, concurrency=2
        )
    whole, broken = report.files
    assert whole.written == 60
    assert broken.error is not None
    assert isinstance(broken.error.__cause__, ServerError)
    assert broken.seconds < 4500 < whole.seconds


@virtual_time
async def test_the_rate_limit_is_waited_for(tmp_path: Path) -> None:
    """Each wait for the budget is announced."""
    told: list[ExportProgress] = []
    async with shop(rate_limit=RateLimit(1, per=60)) as (_, client):
        report = await export_reviews(
            client, "kelas-web", tmp_path / "out", on_progress=told.append
        )
    waits = [(one.waiting, round(one.seconds), one.written) for one in told if one.waiting]
    assert waits == [("rate limit", 60, 50), ("rate limit", 60, 100)]
    assert report.seconds == pytest.approx(120, abs=1)


@virtual_time
async def test_a_deadline_or_a_policy_of_one_attempt_does_not_end_it(tmp_path: Path) -> None:
    """The job is patient with whatever client it gets."""
    options: dict[str, Any] = {"deadline": 1.0, "retry": RetryPolicy.none()}
    async with shop(mayar=FakeMayar(KEY, rate_limit=(1, 30)), **options) as (fake, client):
        fake.fail_next(502, 3)
        await export_reviews(client, "kelas-web", tmp_path / "out")
        assert ids(tmp_path / "out") == newest_first(fake)


@virtual_time
async def test_a_pause_longer_than_patience_is_not_waited_for(tmp_path: Path) -> None:
    """A limit that asks for a day ends the export at once, and says so."""
    async with shop() as (fake, client):
        fake.fail_next(429, 10, retry_after=86_400)
        start = asyncio.get_running_loop().time()
        with pytest.raises(ExportError) as caught:
            await export_reviews(client, "kelas-web", tmp_path / "out")
        assert asyncio.get_running_loop().time() == start
    assert isinstance(caught.value.__cause__, RateLimitError)


async def test_cursors_that_lead_nowhere_end_it(tmp_path: Path) -> None:
    """What asking again cannot mend is not asked again; what was written stays."""
    async with shop() as (fake, client):
        fake._page = lambda *_, **__: (list(fake.reviews.values())[:2], "77")  # type: ignore[method-assign]
        with pytest.raises(ExportError, match="stopped after 2 reviews") as caught:
            await export_reviews(client, "kelas-web", tmp_path / "out")
    assert isinstance(caught.value.__cause__, PaginationError)
    assert caught.value.starting_after == "77"
    assert len(ids(tmp_path / "out")) == 2


async def test_a_cancellation_leaves_a_true_state(tmp_path: Path) -> None:
    """Cancelled in the middle of a page's request, it goes on from there."""
    async with shop() as (fake, client):

        def on_progress(progress: ExportProgress) -> None:
            if progress.pages == 1:
                fake.stall_next()
                asyncio.get_running_loop().call_later(0.05, task.cancel)

        task = asyncio.create_task(
            export_reviews(client, "kelas-web", tmp_path / "out", on_progress=on_progress)
        )
        with pytest.raises(asyncio.CancelledError):
            await task
        assert state(tmp_path / "out")["written"] == len(ids(tmp_path / "out")) == 50
        report = await export_reviews(client, "kelas-web", tmp_path / "out", resume=True)
        assert report.files[0].resumed_from == 50
        assert ids(tmp_path / "out") == newest_first(fake)


async def test_a_cancellation_while_the_output_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal stays, the half-made output goes, and a resume makes it without a request."""
    monkeypatch.setattr("mayar_reviews.export.formats._CSV_BATCH", 10)
    async with shop() as (fake, client):

        def on_progress(progress: ExportProgress) -> None:
            if progress.pages == 3:
                asyncio.get_running_loop().call_soon(task.cancel)

        task = asyncio.create_task(
            export_reviews(
                client, "kelas-web", tmp_path / "out", format="csv", on_progress=on_progress
            )
        )
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sorted(one.name for one in tmp_path.iterdir()) == [
            "out.partial.jsonl",
            "out.state.json",
        ]
        fake.requests.clear()
        report = await export_reviews(
            client, "kelas-web", tmp_path / "out", format="csv", resume=True
        )
        assert fake.requests == []
    assert (report.written, report.pages) == (120, 0)
    assert (tmp_path / "out").exists()


async def test_what_is_no_failure_of_the_job_propagates(tmp_path: Path) -> None:
    """A closed client is the program's mistake, not a product's."""
    async with shop() as (_, client):
        pass
    with pytest.raises(RuntimeError):
        await export_reviews(client, "kelas-web", tmp_path / "out")
    with pytest.raises(ExceptionGroup):
        await export_reviews(client, ["kelas-web"], tmp_path)
