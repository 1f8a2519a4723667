"""What an export reports while it runs, and at its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mayar_reviews import ExportError
from mayar_reviews.export import ExportProgress, ExportReport, FileReport, export_reviews
from tests.support.clock import virtual_time
from tests.support.export_shop import WaitingBudget, ids, journal_of, shop


async def test_progress_is_reported_when_a_page_is_safe(tmp_path: Path) -> None:
    """The total is there from the second page on: the statistics are asked in between."""
    told: list[ExportProgress] = []
    sizes: list[int] = []

    def on_progress(progress: ExportProgress) -> None:
        if progress.waiting is None:
            told.append(progress)
            sizes.append(len(ids(journal_of(tmp_path / "out.jsonl"))))

    async with shop(rate_limit=WaitingBudget()) as (_, client):
        await export_reviews(client, "kelas-web", tmp_path / "out.jsonl", on_progress=on_progress)
    assert told == [
        ExportProgress("kelas-web", written, pages, total)
        for written, pages, total in ((50, 1, None), (99, 2, 120), (120, 3, 120))
    ]
    assert sizes == [50, 99, 120]


@virtual_time
async def test_pages_are_told_together_a_second_after_the_first_of_them(tmp_path: Path) -> None:
    """A sync takes longer than a page, so a fast list is synced once a second."""
    told: list[tuple[float, int]] = []

    class Unhurried(WaitingBudget):
        @asynccontextmanager
        async def slot(self, *_: object) -> AsyncGenerator[None, None]:
            await asyncio.sleep(0.3)
            yield

    async with shop(1000, rate_limit=Unhurried()) as (_, client):
        loop = asyncio.get_running_loop()
        start = loop.time()
        await export_reviews(
            client,
            "kelas-web",
            tmp_path / "out",
            on_progress=lambda one: told.append((round(loop.time() - start, 3), one.pages)),
        )
    # The first page is told before the statistics are asked for the total.
    assert told == [(0.3, 1), (1.9, 5), (3.1, 9), (4.3, 13), (5.5, 17), (6.7, 21)]


@pytest.mark.parametrize("there", [0, 1, 50])
async def test_one_page_needs_no_total(tmp_path: Path, there: int) -> None:
    """So a thousand small products cost no more requests."""
    told: list[ExportProgress] = []
    async with shop(there) as (fake, client):
        await export_reviews(client, "kelas-web", tmp_path / "out", on_progress=told.append)
        assert len(fake.requests) == 1
    assert told == [ExportProgress("kelas-web", there, 1, there)]


async def test_a_resumed_export_first_reports_what_is_there(tmp_path: Path) -> None:
    told: list[ExportProgress] = []
    async with shop() as (fake, client):
        fake.before_list(3, lambda: fake.fail_next(401))
        with pytest.raises(ExportError):
            await export_reviews(client, "kelas-web", tmp_path / "out", on_progress=lambda _: None)
        fake.clear_faults()
        await export_reviews(
            client, "kelas-web", tmp_path / "out", resume=True, on_progress=told.append
        )
    # The total of the first run is remembered. The last review of a page may come again.
    assert told[0] == ExportProgress("kelas-web", 120, 0, 120)


async def test_a_broken_progress_bar_does_not_end_an_export(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What `on_progress` raises is logged, even if it looks like a disk error."""

    def on_progress(_: ExportProgress) -> None:
        raise BrokenPipeError

    async with shop() as (_, client):
        report = await export_reviews(
            client, "kelas-web", tmp_path / "out.jsonl", on_progress=on_progress
        )
    assert report.written == 120
    assert "on_progress raised" in caplog.text


def test_a_report_adds_up_its_files() -> None:
    failed = FileReport("kelas-dua", Path("b"), error=ExportError("stopped"))
    done = FileReport("kelas-web", Path("a"), written=3, pages=1, requests=2)
    report = ExportReport((done, failed), 1.0)
    assert (report.written, report.pages, report.requests) == (3, 1, 2)
    assert report.failed == (failed,)


GAP = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    ("files", "complete"),
    [
        ([{}], None),
        ([{"expected": 3}], True),
        ([{"expected": 3, "not_verified": "they differ", "missing": {5: 1}}], None),
        ([{"not_verified": "the statistics do not answer"}], None),
        ([{"expected": 3}, {}], None),
        ([{"gaps": (GAP,)}], False),
        ([{"expected": 3, "gaps": (GAP,)}, {"expected": 3}], False),
        ([{"expected": 3}, {"error": ExportError("stopped")}], False),
    ],
)
def test_a_report_is_complete_when_every_file_was_counted_and_is_whole(
    files: list[dict[str, Any]], complete: bool | None
) -> None:
    """It is incomplete when one lacks something, and otherwise nobody can tell."""
    report = ExportReport(tuple(FileReport("a", Path("a"), **one) for one in files), 1.0)
    assert report.complete is complete
