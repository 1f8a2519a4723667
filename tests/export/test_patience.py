"""Waiting out an outage, on a virtual clock."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest

from mayar_reviews import (
    ConnectionFailedError,
    ExportError,
    MayarError,
    NotFoundError,
    RateLimit,
    RateLimitError,
    RequestEvent,
    RetryPolicy,
    ServerError,
)
from mayar_reviews.export import ExportProgress, export_reviews
from mayar_reviews.export.patience import ApiHealth, Patience
from mayar_reviews.testing import FakeMayar
from tests.support.clock import virtual_time
from tests.support.export_shop import (
    KEY,
    ids,
    newest_first,
    shop,
)

ANSWER = RequestEvent(
    kind="attempt",
    endpoint="list_product_reviews",
    method="GET",
    route="/products/{payment_link_id}/reviews",
    attempt=1,
    status_code=503,
    seconds=0.1,
    reason="ServerError",
)


class Steps:
    """A step that fails with each of these errors, and then succeeds."""

    def __init__(self, *failures: MayarError, takes: float = 0.0) -> None:
        self.failures = list(failures)
        self.takes = takes

    async def __call__(self) -> str:
        await asyncio.sleep(self.takes)
        if self.failures:
            raise self.failures.pop(0)
        return "done"


def server_error(retry_after: float | None = None) -> ServerError:
    return ServerError("down", status_code=503, retry_after=retry_after)


def waiter(health: ApiHealth | None = None) -> tuple[Patience, list[float]]:
    waits: list[float] = []

    def on_wait(reason: str, seconds: float, failure: str | None) -> None:
        assert reason == "outage"
        assert failure
        waits.append(seconds)

    return Patience(health or ApiHealth(), on_wait), waits


@virtual_time
async def test_waits_double_from_5_to_300_seconds() -> None:
    patience, waits = waiter()
    start = asyncio.get_running_loop().time()
    assert await patience.outlast(Steps(*[server_error()] * 9)) == "done"
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert asyncio.get_running_loop().time() - start == sum(waits)


@virtual_time
async def test_after_an_answer_the_waits_start_again() -> None:
    patience, waits = waiter()
    await patience.outlast(Steps(server_error(), server_error()))
    await patience.outlast(Steps(server_error()))
    assert waits == [5, 10, 5]


@virtual_time
async def test_retry_after_is_waited_for() -> None:
    """A wait that the server asks for replaces ours. It is never shorter than 5 seconds."""
    patience, waits = waiter()
    await patience.outlast(Steps(server_error(90), server_error(1), server_error()))
    assert waits == [90, 5, 20]


@virtual_time
async def test_after_an_hour_the_last_failure_is_raised() -> None:
    patience, waits = waiter()
    with pytest.raises(ServerError):
        await patience.outlast(Steps(*[server_error()] * 100))
    assert 3300 < sum(waits) <= 3600


@virtual_time
async def test_a_pause_of_more_than_an_hour_is_not_waited_for() -> None:
    patience, waits = waiter()
    with pytest.raises(ServerError):
        await patience.outlast(Steps(server_error(3601)))
    assert waits == []


@virtual_time
async def test_what_would_fail_again_is_raised_at_once() -> None:
    patience, waits = waiter()
    with pytest.raises(NotFoundError):
        await patience.outlast(Steps(NotFoundError("gone", status_code=404)))
    assert waits == []


@virtual_time
async def test_without_any_answer_yet_a_failed_connection_is_raised_at_once() -> None:
    """The address may be wrong. Once the API has answered, a failed connection is an outage."""
    patience, waits = waiter()
    with pytest.raises(ConnectionFailedError):
        await patience.outlast(Steps(ConnectionFailedError("nobody there")))
    patience.on_event(ANSWER)
    await patience.outlast(Steps(ConnectionFailedError("nobody there")))
    assert waits == [5]


@virtual_time
async def test_files_share_the_hour_of_one_outage() -> None:
    """A file that starts during an outage does not wait for another hour."""
    health = ApiHealth()
    first, first_waits = waiter(health)
    with pytest.raises(ServerError):
        await first.outlast(Steps(*[server_error()] * 100))
    second, second_waits = waiter(health)
    with pytest.raises(ServerError):
        await second.outlast(Steps(*[server_error()] * 100))
    assert sum(first_waits) + sum(second_waits) <= 3600


@virtual_time
async def test_an_answer_to_another_file_does_not_reset_this_file() -> None:
    """A product that always fails is given up after an hour, though others succeed."""
    health = ApiHealth()
    broken, waits = waiter(health)
    working, _ = waiter(health)
    task = asyncio.create_task(broken.outlast(Steps(*[server_error()] * 100)))
    while not task.done():
        await working.outlast(Steps(takes=60))
    with pytest.raises(ServerError):
        await task
    assert 3300 < sum(waits) <= 3600


# --- in a whole export -----------------------------------------------------------------------


@virtual_time
async def test_an_outage_is_waited_out(tmp_path: Path) -> None:
    """Half an hour of failures costs half an hour, and each wait is reported."""
    told: list[ExportProgress] = []
    async with shop() as (fake, client):
        loop = asyncio.get_running_loop()
        fake.fail_next(503, 10_000)
        loop.call_later(1800, fake.clear_faults)
        start = loop.time()
        report = await export_reviews(
            client, "kelas-web", tmp_path / "out", on_progress=told.append
        )
        assert 1800 <= loop.time() - start <= 1800 + 300 + 60
        assert ids(tmp_path / "out") == newest_first(fake)
        assert report.requests == len(fake.requests)
    waits = [one.seconds for one in told if one.waiting == "outage"]
    assert waits[:7] == [5, 10, 20, 40, 80, 160, 300]
    assert waits[-1] == 300
    assert sum(one.seconds for one in told) == pytest.approx(report.seconds, abs=1)
    assert {one.waiting for one in told} == {"outage", "retry", None}


@pytest.mark.slow
@virtual_time
async def test_an_outage_without_end_ends_the_export_after_an_hour(tmp_path: Path) -> None:
    async with shop() as (fake, client):
        fake.fail_next(503, 10_000)
        start = asyncio.get_running_loop().time()
        with pytest.raises(ExportError, match="the server failed") as caught:
            await export_reviews(client, "kelas-web", tmp_path / "out")
        assert 3000 <= asyncio.get_running_loop().time() - start <= 3700
    assert isinstance(caught.value.__cause__, ServerError)


@virtual_time
async def test_many_products_wait_for_one_outage_together(tmp_path: Path) -> None:
    async with shop(0) as (fake, client):
        products = [fake.add_product(f"kelas-{n}") for n in range(21)]
        closing: list[asyncio.Task[None]] = []

        def on_progress(progress: ExportProgress) -> None:
            if progress.waiting is None:
                closing.append(asyncio.create_task(fake.close()))

        start = asyncio.get_running_loop().time()
        report = await export_reviews(
            client, products, tmp_path, concurrency=1, on_progress=on_progress
        )
        assert 3000 <= asyncio.get_running_loop().time() - start <= 4000
    assert len(report.failed) == 20
    assert all(
        one.error is not None and isinstance(one.error.__cause__, ConnectionFailedError)
        for one in report.failed
    )


@virtual_time
async def test_without_a_network_the_export_fails_at_once(tmp_path: Path) -> None:
    async with shop() as (fake, client):
        await fake.close()
        start = asyncio.get_running_loop().time()
        with pytest.raises(ExportError, match="no connection to") as caught:
            await export_reviews(client, "kelas-web", tmp_path / "out")
        assert asyncio.get_running_loop().time() - start <= 10
    assert isinstance(caught.value.__cause__, ConnectionFailedError)


@pytest.mark.slow
@virtual_time
async def test_a_product_that_always_fails_is_given_up_while_others_answer(
    tmp_path: Path,
) -> None:
    async with shop(60, rate_limit=RateLimit(1, per=90)) as (fake, client):
        fake.fail_next(500, math.inf, path="/products/broken/reviews")
        report = await export_reviews(
            client, ["kelas-web", "broken"], tmp_path, page_size=1, concurrency=2
        )
    whole, broken = report.files
    assert whole.written == 60
    assert broken.error is not None
    assert isinstance(broken.error.__cause__, ServerError)
    assert broken.seconds < 4500 < whole.seconds


@virtual_time
async def test_each_wait_for_the_rate_limit_is_reported(tmp_path: Path) -> None:
    told: list[ExportProgress] = []
    async with shop(rate_limit=RateLimit(1, per=60)) as (_, client):
        report = await export_reviews(
            client, "kelas-web", tmp_path / "out", on_progress=told.append
        )
    waits = [(one.waiting, round(one.seconds), one.written) for one in told if one.waiting]
    # The total is not waited for. The last wait is for another look at the head.
    assert waits == [("rate limit", 60, 50), ("rate limit", 60, 99), ("rate limit", 60, 120)]
    assert report.seconds == pytest.approx(180, abs=1)


@virtual_time
async def test_an_export_is_patient_whatever_the_client_is(tmp_path: Path) -> None:
    """Neither the client's deadline nor a policy of one attempt ends the export."""
    options: dict[str, Any] = {"deadline": 1.0, "retry": RetryPolicy.none()}
    async with shop(mayar=FakeMayar(KEY, rate_limit=(2, 5)), **options) as (fake, client):
        fake.fail_next(502, 3)
        await export_reviews(client, "kelas-web", tmp_path / "out")
        assert ids(tmp_path / "out") == newest_first(fake)


@pytest.mark.slow
@virtual_time
async def test_a_429_without_end_ends_the_export_after_an_hour(tmp_path: Path) -> None:
    """As any other outage does."""
    async with shop() as (fake, client):
        fake.before_list(2, lambda: fake.fail_next(429, math.inf))
        start = asyncio.get_running_loop().time()
        with pytest.raises(ExportError) as caught:
            await export_reviews(client, "kelas-web", tmp_path / "out")
        assert 3000 <= asyncio.get_running_loop().time() - start <= 3700
    assert isinstance(caught.value.__cause__, RateLimitError)
    assert caught.value.written == 99


@virtual_time
async def test_a_rate_limit_that_asks_for_a_day_ends_the_export_at_once(tmp_path: Path) -> None:
    async with shop() as (fake, client):
        fake.fail_next(429, 10, retry_after=86_400)
        start = asyncio.get_running_loop().time()
        with pytest.raises(ExportError) as caught:
            await export_reviews(client, "kelas-web", tmp_path / "out")
        assert asyncio.get_running_loop().time() == start
    assert isinstance(caught.value.__cause__, RateLimitError)
