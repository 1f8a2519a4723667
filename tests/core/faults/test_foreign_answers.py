"""An answer that belongs to another request is no answer: reads are sent again, writes are in doubt."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mayar_reviews import OutcomeUnknownError, ResponseError, Review, ReviewPage
from tests.support.clock import virtual_time
from tests.support.fault_server import FaultServer, make_review
from tests.support.harness import EMAIL, PRODUCT, client_of
from tests.support.steps import Behave, Respond, Step

from .causes import EVER, FEW, envelope
from .matrix import CALLS, CUSTOMER, Row, every, hold

IDLE_408 = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
OTHERS = make_review(900, paymentLinkId="product-9", customerId="customer-9", rating=5)
OTHER_PAGE = envelope([OTHERS]) | {"hasMore": False, "nextStartingAfter": None}
OTHER_CUSTOMER = envelope({"id": "customer-9", "email": "orang.lain@example.com"})


ROWS = [
    Row("list, of another product", "list", (Respond(200, OTHER_PAGE),), exchanges=2),
    Row("list, of another product for ever", "list", (Respond(200, OTHER_PAGE, times=EVER),),
        ResponseError, exchanges=4),
    Row("walk, the second page of another product", "walk", (Behave(), Respond(200, OTHER_PAGE)),
        exchanges=4),
    Row("get, another customer's review", "get", (Respond(200, envelope(OTHERS)),), exchanges=2),
    Row("get, another customer's review of the product", "get",
        (Respond(200, envelope(OTHERS | {"paymentLinkId": PRODUCT})),), exchanges=2),
    Row("create, another rating, not done", "create, id known",
        (Respond(200, envelope(OTHERS | {"paymentLinkId": PRODUCT, "rating": 1}), on="create"),),
        creations=2, committed=1),
    Row("update, another review", "update", (Respond(200, envelope(OTHERS)),), exchanges=2,
        committed=1),
    Row("update, another review for ever", "update", (Respond(200, envelope(OTHERS), times=EVER),),
        OutcomeUnknownError, ResponseError, exchanges=4, committed=0),
    Row("update media, another review", "update media", (Respond(200, envelope(OTHERS)),),
        OutcomeUnknownError, ResponseError, exchanges=1, committed=0),
    Row("create, another review, not done", "create",
        (Respond(200, envelope(OTHERS), on="create"),), creations=2, committed=1),
    Row("create, another review, done", "create",
        (Respond(200, envelope(OTHERS), on="create", commit=True),), creations=1, committed=1),
    Row("create, done, another customer is found", "create",
        (Respond(503, on="create", commit=True), Respond(200, OTHER_CUSTOMER, on="customer")),
        creations=1, committed=1),
    Row("create, done, another review is found", "create, id known",
        (Respond(503, on="create", commit=True),
         Respond(200, envelope(OTHERS), on="customer_review")), creations=1, committed=1),
    Row("create, another review is found for ever", "create, id known",
        (Respond(503, on="create"), Respond(200, envelope(OTHERS), on="customer_review", times=EVER)),
        OutcomeUnknownError, creations=1, committed=0, options={"retry": FEW}),
]  # fmt: skip


@every(ROWS)
@virtual_time
async def test_an_answer_to_another_request_ends_as_its_row_says(row: Row) -> None:
    """What identifies an answer is compared with what was asked for."""
    await hold(row)


UNASKED: dict[str, Step] = {
    "the answer again, at once": Behave(unasked="the answer again"),
    "the answer again, later": Behave(unasked="the answer again", unasked_after=1.0),
    "an idle 408": Behave(unasked=IDLE_408, unasked_after=1.0),
    "an idle 408, and closed": Behave(unasked=IDLE_408, unasked_after=1.0, unasked_then="close"),
}


@pytest.mark.parametrize("name", UNASKED)
@pytest.mark.parametrize(
    ("call", "pause"),
    [
        *((call, 2.0) for call in ("create", "update", "statuses", "list", "stats")),
        *((call, 0.0) for call in ("create", "update", "statuses")),
    ],
)
@virtual_time
async def test_bytes_that_nobody_asked_for_are_no_answer(
    name: str, call: str, pause: float
) -> None:
    """The kept connection is dropped before use: each write that is reported done arrived."""
    async with (
        FaultServer(
            [make_review(number) for number in range(1, 121)],
            customers={EMAIL: CUSTOMER},
            script=(UNASKED[name],),
        ) as server,
        client_of(server) as client,
    ):
        await client.get_merchant_stats()
        await asyncio.sleep(pause)
        await CALLS[call].make(client)
        expected = {"create": 1, "update": 1, "statuses": 3, "list": 0, "stats": 0}[call]
        assert len(server.ledger.of("committed")) == expected
        assert len(server.ledger.received()) == 1 + max(expected, 1)


@virtual_time
async def test_answers_swapped_between_two_connections_reach_nobody() -> None:
    """Two lists whose answers are exchanged: both are asked for again, each gets its own."""
    products = ("product-1", "product-2")
    stored = [make_review(n, paymentLinkId=products[n % 2]) for n in range(1, 41)]

    def page_of(product: str) -> dict[str, Any]:
        rows = [one for one in stored if one["paymentLinkId"] == product][:10]
        return envelope(rows) | {"hasMore": True, "nextStartingAfter": "c10"}

    async with FaultServer(stored, latency=(0.01, 0.01)) as server, client_of(server) as client:
        server.script += [Respond(200, page_of("product-2")), Respond(200, page_of("product-1"))]
        pages = await asyncio.gather(*(client.list_product_reviews(one) for one in products))
        for product, page in zip(products, pages, strict=True):
            assert isinstance(page, ReviewPage)
            assert {review.payment_link_id for review in page.data} == {product}
        assert server.ledger.exchanges == 4


@virtual_time
async def test_the_connection_of_a_foreign_answer_is_not_used_again() -> None:
    """Whatever else is on it would be foreign too. That of a failure is kept."""
    script = (Behave(), Respond(503), Respond(200, OTHER_PAGE))
    async with FaultServer([make_review(1)], script=script) as server, client_of(server) as client:
        await client.list_product_reviews(PRODUCT)
        await client.list_product_reviews(PRODUCT)
        await asyncio.sleep(0.1)
        assert server.ledger.exchanges == 4
        assert server.connections == 2


@virtual_time
async def test_a_filter_that_is_ignored_lets_nothing_through() -> None:
    """Reviews with another rating or status than the one asked for are left out."""
    stored = [
        make_review(n, rating=1 + n % 5, status=("ACTIVE", "ARCHIVED")[n % 2]) for n in range(100)
    ]
    async with (
        FaultServer(stored, ignores=("rating", "status")) as server,
        client_of(server) as client,
    ):
        found: list[Review] = [
            one async for one in client.iter_reviews(rating=2, status="ARCHIVED")
        ]
        assert {(one.rating, one.status) for one in found} == {(2, "ARCHIVED")}
        assert len(found) == 10
        page = await client.list_product_reviews(PRODUCT, rating=3, limit=50)
        assert page.data
        assert {one.rating for one in page.data} == {3}
        assert len(page.raw) == len(page.data)
