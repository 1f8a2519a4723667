"""`watch_reviews`: each change once, the oldest first, through outages."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mayar_reviews import (
    AuthenticationError,
    InvalidArgumentError,
    RateLimit,
    Review,
    ReviewsClient,
)
from tests.support.clock import virtual_time
from tests.support.fault_server import FaultServer, make_review
from tests.support.harness import PRODUCT, client_of
from tests.support.steps import Break, Respond, too_many

OBSERVED: dict[str, Any] = {"order": "updated", "cursor": "created"}


def _server(count: int = 60, **options: Any) -> FaultServer:
    return FaultServer([make_review(n) for n in range(count)], **(OBSERVED | options))


async def _collect(client: ReviewsClient, into: list[Review], **options: Any) -> None:
    async with aclosing(client.watch_reviews(**options)) as changes:
        async for review in changes:
            into.append(review)


def _ids(reviews: list[Review]) -> list[str]:
    return [review.id for review in reviews]


@pytest.mark.parametrize("product", [None, PRODUCT])
@virtual_time
async def test_each_change_is_given_once_and_the_oldest_first(product: str | None) -> None:
    """New reviews and edited ones, as they come; nothing of what was there before."""
    got: list[Review] = []
    async with _server() as server, client_of(server) as client:
        task = asyncio.create_task(_collect(client, got, payment_link_id=product))
        await asyncio.sleep(30)
        server.store.edit_review("review-7", rating=1)
        await asyncio.sleep(1)
        server.store.add_review(PRODUCT, id="a-new-one")
        await asyncio.sleep(40)
        assert _ids(got) == ["review-7", "a-new-one"]
        server.store.edit_review("review-7", rating=2)
        await asyncio.sleep(60)
        assert _ids(got) == ["review-7", "a-new-one", "review-7"]
        assert [review.rating for review in got] == [1, 5, 2]
        task.cancel()
        await asyncio.wait([task])


@virtual_time
async def test_a_quiet_round_is_one_request() -> None:
    """Ten rounds of a quiet hour, and the first look."""
    async with _server(200) as server, client_of(server) as client:
        task = asyncio.create_task(_collect(client, [], every=60.0))
        await asyncio.sleep(630)
        assert server.ledger.exchanges == 11
        task.cancel()
        await asyncio.wait([task])


@virtual_time
async def test_more_changes_than_a_page_holds_come_all() -> None:
    """Two hundred edits between two rounds, some of them of the same millisecond."""
    got: list[Review] = []
    async with _server(300) as server, client_of(server) as client:
        task = asyncio.create_task(_collect(client, got))
        await asyncio.sleep(30)
        for number in range(200):
            server.store.edit_review(f"review-{number}", rating=3)
            if number % 3 == 0:
                await asyncio.sleep(0.001)
        await asyncio.sleep(60)
        assert sorted(_ids(got)) == sorted(f"review-{number}" for number in range(200))
        times = [review.updated_at for review in got]
        assert times == sorted(times)
        task.cancel()
        await asyncio.wait([task])


@virtual_time
async def test_a_watch_goes_on_from_a_time() -> None:
    """`since` is the `updated_at` of the last review that was taken."""
    got: list[Review] = []
    async with _server() as server, client_of(server) as client:
        since = datetime.fromtimestamp(server.reviews[57]["updatedAt"] / 1000, UTC)
        task = asyncio.create_task(_collect(client, got, since=since))
        await asyncio.sleep(1)
        assert _ids(got) == ["review-58", "review-59"]
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.slow
@virtual_time
async def test_an_outage_of_an_hour_loses_no_change() -> None:
    """Changes made before, during and after it come, each once."""
    got: list[Review] = []
    async with _server() as server, client_of(server) as client:
        task = asyncio.create_task(_collect(client, got))
        await asyncio.sleep(30)
        server.script += [Break("request", times=40), Respond(503, times=40)]
        for number in range(3):
            server.store.edit_review(f"review-{number}", rating=1)
            await asyncio.sleep(1200)
        await asyncio.sleep(3600)
        assert _ids(got) == ["review-0", "review-1", "review-2"]
        task.cancel()
        await asyncio.wait([task])


@virtual_time
async def test_a_refusal_ends_a_watch() -> None:
    """A key that is revoked will not come back."""
    async with _server(script=(Respond(401),)) as server, client_of(server) as client:
        with pytest.raises(AuthenticationError):
            await anext(client.watch_reviews())


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"every": 0}, "every"),
        ({"since": datetime(2026, 1, 1)}, "since"),
        ({"since": "2026-01-01"}, "since"),
        ({"payment_link_id": "x"}, "payment_link_id"),
    ],
)
async def test_a_watch_refuses_what_it_cannot_use(options: dict[str, Any], field: str) -> None:
    """At the call, before anything is sent."""
    async with ReviewsClient("key") as client:
        with pytest.raises(InvalidArgumentError) as caught:
            client.watch_reviews(**options)
        assert caught.value.field == field


@virtual_time
async def test_times_in_the_future_hide_no_change() -> None:
    """A review dated next year stays at the head; what changes below it is seen."""
    got: list[Review] = []
    async with _server() as server, client_of(server) as client:
        ahead = int((datetime.now(UTC) + timedelta(days=3650)).timestamp() * 1000)
        server.store.add_review(PRODUCT, id="of-next-decade", createdAt=ahead, updatedAt=ahead)
        task = asyncio.create_task(_collect(client, got))
        await asyncio.sleep(30)
        server.store.edit_review("review-7", rating=1)
        await asyncio.sleep(60)
        assert _ids(got) == ["review-7"]
        task.cancel()
        await asyncio.wait([task])


@virtual_time
async def test_an_outage_at_the_start_and_a_busy_budget_are_waited_out() -> None:
    """A watch ends for neither; nor for a hang that its deadline cuts off."""
    got: list[Review] = []
    script = (Respond(503, times=9), Break("request", "hang"), too_many("200"))
    async with (
        _server(script=script) as server,
        client_of(server, rate_limit=RateLimit(20, per=60.0), deadline=20.0) as client,
    ):
        task = asyncio.create_task(_collect(client, got))
        patient = client.with_options(deadline=None)
        jobs = [asyncio.create_task(patient.get_merchant_stats()) for _ in range(100)]
        await asyncio.sleep(1500)
        server.store.edit_review("review-7", rating=1)
        await asyncio.sleep(600)
        assert not task.done()
        assert _ids(got) == ["review-7"]
        task.cancel()
        await asyncio.wait([task, *jobs])


@virtual_time
async def test_changes_that_the_server_cannot_show_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A hundred old reviews of five hundred change at once."""
    got: list[Review] = []
    async with _server(500) as server, client_of(server) as client:
        task = asyncio.create_task(_collect(client, got))
        await asyncio.sleep(30)
        for number in range(0, 500, 5):
            server.store.edit_review(f"review-{number}", rating=1)
        await asyncio.sleep(300)
        complete = len(set(_ids(got))) == 100
        assert complete or "cannot show all of what has changed" in caplog.text
        task.cancel()
        await asyncio.wait([task])


@virtual_time
async def test_a_bad_review_does_not_end_the_watch(caplog: pytest.LogCaptureFixture) -> None:
    """It is passed over, and the log names it."""
    got: list[Review] = []
    async with _server() as server, client_of(server) as client:
        task = asyncio.create_task(_collect(client, got, every=10))
        await asyncio.sleep(15)
        server.store.edit_review("review-7", rating=1)
        server.store.reviews["review-7"]["rating"] = "one"
        server.store.edit_review("review-8", rating=1)
        await asyncio.sleep(10)
        task.cancel()
        await asyncio.wait([task])
    assert _ids(got) == ["review-8"]
    assert "passed over: $.data[1].rating: expected int, got str (review review-7)" in caplog.text
