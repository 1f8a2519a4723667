"""The public call: its arguments, and exports of many products."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mayar_reviews import InvalidArgumentError, NotFoundError, RateLimit
from mayar_reviews.export import ExportProgress, export_reviews
from tests.support.clock import virtual_time
from tests.support.export_shop import WaitingBudget, ids, newest_first, refusal, shop


@pytest.mark.parametrize(
    ("product", "options", "field"),
    [
        ("..", {}, "payment_link_id"),
        (["kelas-web", "a/../../b"], {}, "payment_link_id"),
        ([], {}, "payment_link_ids"),
        (["kelas-web", None], {}, "payment_link_ids"),
        ("kelas-web", {"format": "xml"}, "format"),
        ("kelas-web", {"rating": 6}, "rating"),
        ("kelas-web", {"page_size": 0}, "page_size"),
        ("kelas-web", {"concurrency": 0}, "concurrency"),
        ("kelas-web", {"concurrency": 1.5}, "concurrency"),
        ("kelas-web", {"status": "ACTIVE"}, "status"),
        (None, {"status": "SOLD"}, "status"),
        (None, {"status": "ARCHIVED", "verify": True}, "verify"),
        ("kelas-web", {"resume": True, "force": True}, "force"),
    ],
)
async def test_impossible_arguments_are_refused(
    tmp_path: Path, product: Any, options: dict[str, Any], field: str
) -> None:
    """This happens before any request, and before anything is made on the disk."""
    async with shop() as (fake, client):
        message = await refusal(client, fake, product, tmp_path / "new" / "out", **options)
    assert message.startswith(f"{field} ")
    assert list(tmp_path.iterdir()) == []


async def test_a_link_is_followed(tmp_path: Path) -> None:
    """The target becomes the output, and the link stays, in every format."""
    (tmp_path / "link").symlink_to(tmp_path / "real.csv")
    async with shop(3) as (_, client):
        await export_reviews(client, "kelas-web", tmp_path / "link", format="csv")
    assert (tmp_path / "link").is_symlink()
    assert len((tmp_path / "real.csv").read_bytes().splitlines()) > 3


async def test_each_product_gets_a_file(tmp_path: Path) -> None:
    """One that fails does not stop the others. A resume does only what is missing."""
    async with shop(60) as (fake, client):
        fake.seed("kelas-dua", 70)
        wanted = ["kelas-web", "gone", "kelas-dua", "kelas-web"]
        directory = tmp_path / "a" / "b"
        report = await export_reviews(client, wanted, directory, format="csv", verify=True)
        assert [one.payment_link_id for one in report.files] == ["kelas-web", "gone", "kelas-dua"]
        assert [one.requests for one in report.files] == [4, 1, 4]
        assert [one.payment_link_id for one in report.failed] == ["gone"]
        (failed,) = report.failed
        assert failed.error is not None
        assert isinstance(failed.error.__cause__, NotFoundError)
        assert (report.written, report.pages, report.complete) == (130, 4, False)
        names = sorted(one.name for one in directory.glob("*.csv"))
        assert names == ["kelas-dua.csv", "kelas-web.csv"]

        fake.add_product("gone")
        fake.requests.clear()
        report = await export_reviews(client, wanted, directory, format="csv", resume=True)
        assert [one.path for one in fake.requests] == ["/hl/v2/products/gone/reviews"]
    assert (report.written, report.requests, report.failed) == (130, 1, ())


async def test_a_list_of_one_product_makes_a_directory(tmp_path: Path) -> None:
    async with shop() as (fake, client):
        await export_reviews(client, ["kelas-web"], tmp_path)
        assert ids(tmp_path / "kelas-web.jsonl") == newest_first(fake)


@virtual_time
async def test_products_are_exported_at_the_same_time_under_one_rate_limit(
    tmp_path: Path,
) -> None:
    """No more than `concurrency` at a time, and all within the client's budget."""
    async with shop(0, rate_limit=RateLimit(4, per=10)) as (fake, client):
        products = [fake.add_product(f"kelas-{n}") for n in range(6)]
        for product in products:
            fake.seed(product, 4)
        busy: set[str | None] = set()
        most = left = 0

        def on_progress(progress: ExportProgress) -> None:
            nonlocal most, left
            busy.add(progress.payment_link_id)
            most = max(most, len(busy))
            left = max(left, len(list(tmp_path.glob("*.partial.jsonl"))))

        await export_reviews(
            client, products, tmp_path, page_size=2, concurrency=2, on_progress=on_progress
        )
        times = [one.at for one in fake.requests]
    assert (most, left) == (6, 2)
    assert len(times) == 6 * 4  # two pages, the total, and another look at the head
    assert all(later - earlier >= 10 for earlier, later in zip(times, times[4:], strict=False))


@virtual_time
async def test_a_cancellation_ends_every_product(tmp_path: Path) -> None:
    """It takes no time, and each product can be resumed."""
    async with shop(rate_limit=WaitingBudget()) as (fake, client):
        fake.seed("kelas-dua", 120)
        task: asyncio.Task[Any] | None = None
        cancelled_at: list[float] = []
        loop = asyncio.get_running_loop()

        def cancel() -> None:
            assert task is not None
            task.cancel()
            cancelled_at.append(loop.time())

        def on_progress(progress: ExportProgress) -> None:
            if progress.pages == 2 and not stalled:
                stalled.append(progress)
                fake.stall_next(2)
                loop.call_later(5, cancel)

        stalled: list[ExportProgress] = []
        both = ["kelas-web", "kelas-dua"]
        task = asyncio.create_task(
            export_reviews(client, both, tmp_path, page_size=20, on_progress=on_progress)
        )
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [loop.time()] == cancelled_at
        fake.clear_faults()
        report = await export_reviews(client, both, tmp_path, page_size=20, resume=True)
        for one in report.files:
            assert one.resumed_from in (20, 40, 60)
            assert one.error is None
            assert one.payment_link_id is not None
            assert ids(one.path) == newest_first(fake, one.payment_link_id)


async def test_a_key_that_is_refused_is_not_tried_for_every_product(tmp_path: Path) -> None:
    """It costs as many requests as were under way, not one for each product."""
    async with shop(3) as (fake, client):
        fake.fail_next(401, 50)
        products = [f"kelas-{n}" for n in range(30)]
        report = await export_reviews(client, products, tmp_path, concurrency=2)
        assert 1 <= len(fake.requests) <= 2
    assert len(report.failed) == 30


@pytest.mark.parametrize("output", [".", "/", "a\0b", "a\ud83d"])
async def test_what_names_no_file_is_refused(output: str) -> None:
    """As one of the package's exceptions."""
    async with shop(1) as (fake, client):
        with pytest.raises(
            InvalidArgumentError, match=r"output (does not name a file|is not a path)"
        ):
            await export_reviews(client, "kelas-web", output)
        assert not fake.requests


async def test_several_products_can_go_into_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with shop(1) as (_, client):
        await export_reviews(client, ["kelas-web"], ".")
    assert (tmp_path / "kelas-web.jsonl").exists()
