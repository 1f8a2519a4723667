"""The runner of the fault matrix: what a call comes to when the network or the server misbehaves.

The rows stand in the test files beside this one. A row is a call, a script of steps for the
`FaultServer`, and what must come of it. `hold` runs one row and checks:

- what the row says: the error and its cause, the exchanges, the creations, the commits, the time;
- of a call that succeeds, the value it returns and what the server stores then;
- the invariants of `harness.observed`: as many attempts are reported as the server saw, nothing
  stays open, no creation is sent blindly, no secret is told.

A row with a 429 in its script is run twice: without pacing, and under a budget of 20 requests
a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from attrs import evolve, field, frozen

from mayar_reviews import (
    Attachment,
    MayarError,
    RateLimit,
    Review,
    ReviewPage,
    ReviewsClient,
    ReviewStats,
    StatusUpdate,
)
from tests.support.fault_server import FaultServer, make_review
from tests.support.harness import EMAIL, MESSAGE, PRODUCT, observed
from tests.support.steps import Respond, Step

CUSTOMER = "customer-ibu"
ALL = [f"review-{number}" for number in range(1, 121)]
"""The reviews that the server has at the start."""

Check = Callable[[Any, FaultServer], None]


# --- the calls, and what each must return ---------------------------------------------------------


def _create(client: ReviewsClient, **others: Any) -> Awaitable[Review]:
    return client.create_review(
        payment_link_id=PRODUCT, customer_email=EMAIL, rating=5, message=MESSAGE, **others
    )


def _is_created(review: Review, server: FaultServer) -> None:
    [stored] = [one for one in server.reviews if one["customerId"] == CUSTOMER]
    assert (stored["paymentLinkId"], stored["rating"], stored["message"]) == (PRODUCT, 5, MESSAGE)
    assert (review.id, review.customer_id) == (stored["id"], CUSTOMER)
    assert (review.payment_link_id, review.rating, review.message) == (PRODUCT, 5, MESSAGE)


def _is_updated(review: Review, server: FaultServer) -> None:
    stored = server.review("review-1")
    assert (stored["rating"], stored["message"]) == (2, MESSAGE)
    assert (review.id, review.rating, review.message) == ("review-1", 2, MESSAGE)


def _has_the_image(review: Review, server: FaultServer) -> None:
    assert review.id == "review-1"
    assert len(server.review("review-1")["multipleImage"]) == 1


def _all_are_archived(nothing: None, server: FaultServer) -> None:
    assert nothing is None
    assert {review["status"] for review in server.reviews} == {"ARCHIVED"}


def _is_first_page(count: int) -> Check:
    def check(page: ReviewPage, server: FaultServer) -> None:
        assert [review.id for review in page.data] == ALL[:count]
        assert (page.has_more, page.next_starting_after) == (True, f"c{count}")
        assert list(page.raw) == server.reviews[:count]

    return check


async def _walk(client: ReviewsClient) -> list[str]:
    return [review.id async for review in client.iter_product_reviews(PRODUCT)]


def walked(count: int) -> Check:
    """The first `count` reviews were walked over, in their order."""

    def check(ids: list[str], server: FaultServer) -> None:
        assert ids == ALL[:count]

    return check


def _is_review_1(review: Review, server: FaultServer) -> None:
    assert (review.id, review.customer_id, review.message) == ("review-1", "customer-1", MESSAGE)


def _counts_all(stats: ReviewStats, server: FaultServer) -> None:
    assert (stats.total, stats.average) == (120, 5.0)
    assert [(count.rating, count.total_rating) for count in stats.stats] == [
        *((5, 120), (4, 0), (3, 0), (2, 0), (1, 0))
    ]


@frozen
class Call:
    """A call of the client, and how what it returns is checked."""

    make: Callable[[ReviewsClient], Awaitable[Any]]
    check: Check


CALLS = {
    "create": Call(_create, _is_created),
    "create, id known": Call(lambda client: _create(client, customer_id=CUSTOMER), _is_created),
    "update": Call(
        lambda client: client.update_review("review-1", rating=2, message=MESSAGE), _is_updated
    ),
    "update media": Call(
        lambda client: client.update_review(
            "review-1", content_review=[Attachment("file-1", "image")]
        ),
        _has_the_image,
    ),
    "statuses": Call(
        lambda client: client.update_review_statuses(
            [StatusUpdate(review_id, "ARCHIVED") for review_id in ALL]
        ),
        _all_are_archived,
    ),
    "list": Call(lambda client: client.list_product_reviews(PRODUCT, limit=50), _is_first_page(50)),
    "walk": Call(_walk, walked(120)),
    "get": Call(
        lambda client: client.get_customer_review(PRODUCT, customer_id="customer-1"), _is_review_1
    ),
    "stats": Call(lambda client: client.get_product_stats(PRODUCT), _counts_all),
    "store stats": Call(lambda client: client.get_merchant_stats(), _counts_all),
    "store list": Call(lambda client: client.list_reviews(), _is_first_page(10)),
}


# --- rows -----------------------------------------------------------------------------------------


@frozen
class Row:
    """One fault, and what must come of it."""

    id: str
    call: str
    script: tuple[Step, ...]
    raises: type[MayarError] | None = None
    """The error that the call ends with; `None`: the call succeeds."""
    cause: type[MayarError] | None = None
    exchanges: int | None = None
    """How many attempts the server sees, look-ups included."""
    creations: int | None = None
    """How many creations the server sees."""
    committed: int | None = None
    """How many writes took effect."""
    options: dict[str, Any] = field(factory=dict)
    """Of the client."""
    check: Check | None = None
    """How the result is checked, where it is not what the call returns without a fault."""
    seconds: tuple[float, float] = (0.0, 120.0)
    """How long it may take, in virtual time."""
    seconds_paced: tuple[float, float] | None = None
    """How long it may take under a budget, where that differs."""
    budget: tuple[int, float] | None = None


def _has_a_429(row: Row) -> bool:
    answers = [step for step in row.script if isinstance(step, Respond)]
    return any(
        answer.status == 429
        or (isinstance(answer.body, dict) and answer.body.get("statusCode") == 429)
        for answer in answers
    )


def _paced(row: Row) -> Row:
    return evolve(
        row,
        id=f"{row.id}, under a budget",
        budget=(20, 60.0),
        seconds=row.seconds_paced or row.seconds,
    )


def every(rows: Sequence[Row]) -> pytest.MarkDecorator:
    """Run a test once for each row, and once more under a budget where a 429 is in the script."""
    all_rows = [*rows, *(_paced(row) for row in rows if _has_a_429(row))]
    names = [row.id for row in all_rows]
    assert len(set(names)) == len(names), "two rows have the same name"
    return pytest.mark.parametrize("row", all_rows, ids=names)


async def hold(row: Row) -> None:
    """Run the row's call, and check what came of it."""
    call = CALLS[row.call]
    options = {"rate_limit": row.budget and RateLimit(*row.budget)} | row.options
    async with FaultServer(
        [make_review(number, message=MESSAGE) for number in range(1, 121)],
        customers={EMAIL: CUSTOMER},
        script=row.script,
    ) as server:
        outcome = await observed(server, call.make, **options)
        if row.raises is None:
            assert outcome.error is None
        else:
            assert isinstance(outcome.error, row.raises)
        if row.cause is not None:
            assert outcome.error is not None
            assert isinstance(outcome.error.__cause__, row.cause)
        if row.exchanges is not None:
            assert server.ledger.exchanges == row.exchanges
        if row.creations is not None:
            assert len(server.ledger.creations) == row.creations
        if row.committed is not None:
            await asyncio.sleep(60)  # for those that take effect late
            assert len(server.ledger.of("committed")) == row.committed
        if row.raises is None:
            (row.check or call.check)(outcome.result, server)
        low, high = row.seconds
        assert low <= outcome.seconds <= high
