"""Law 2: a list comes out whole, or says where it stopped, and resumes there."""

from __future__ import annotations

import inspect
import json
import sys
from typing import Any

import aiohttp
import pytest

from mayar_reviews import (
    MayarError,
    PaginationError,
    ResponseError,
    RetryPolicy,
    ReviewsClient,
    ReviewStatus,
)
from tests.support.clock import virtual_time
from tests.support.fault_server import FaultServer, make_review
from tests.support.harness import PRODUCT, client_of
from tests.support.steps import Behave, Break, Respond, Step

from .conftest import ORIGIN, REVIEW, Answers, example
from .conftest import PRODUCT as SHOWN

WHOLE = [f"review-{number}" for number in range(1, 131)]


def _server(*script: Step, **options: Any) -> FaultServer:
    reviews = [make_review(number) for number in range(1, 131)]
    return FaultServer(reviews, script=script, **options)


INTERRUPTIONS: dict[str, Step] = {
    "dropped": Break("request", times=2),
    "refused": Respond(401),
    "HTML": Respond(200, b"<html>", times=2),
    "cut": Break("body", "reset", times=2),
    "no cursor": Behave(envelope={"nextStartingAfter": None}),
    "the same cursor": Behave(envelope={"nextStartingAfter": "c20"}),
    "hasMore missing": Behave(envelope={"hasMore": 1}),
    "a wrong type": Respond(
        200,
        {"statusCode": 200, "messages": "success", "data": [{"id": 5}], "hasMore": False},
    ),
}


@pytest.mark.parametrize(
    ("name", "pages_before"),
    [
        (name, pages)
        for name in INTERRUPTIONS
        for pages in (0, 1, 2, 5)
        if (name, pages) != ("the same cursor", 0)  # there it is a cursor like any other
    ],
)
@virtual_time
async def test_a_list_is_whole_or_says_where_it_stopped_and_resumes_there(
    name: str, pages_before: int
) -> None:
    """The reviews before the failure and those after resuming are the list, each once."""
    script = (*(Behave() for _ in range(pages_before)), INTERRUPTIONS[name])
    async with (
        _server(*script) as server,
        client_of(server, retry=RetryPolicy(attempts=2)) as client,
    ):
        got = []
        with pytest.raises(MayarError) as caught:
            async for review in client.iter_product_reviews(PRODUCT, page_size=20):
                got.append(review.id)
        assert len(got) == 20 * pages_before
        assert caught.value.attempts == server.ledger.exchanges
        resumed = client.iter_product_reviews(
            PRODUCT, page_size=20, starting_after=caught.value.starting_after
        )
        got += [review.id async for review in resumed]
        assert got == WHOLE


@virtual_time
async def test_a_page_says_where_to_resume_after_it() -> None:
    """Another process can go on from `page.next_starting_after`."""
    async with _server() as server:
        async with client_of(server) as client:
            pages = client.iter_product_review_pages(PRODUCT, page_size=30)
            first = await anext(pages)
            second = await anext(pages)
            await pages.aclose()
            rest = client.iter_product_reviews(PRODUCT, starting_after=second.next_starting_after)
            got = [r.id for r in (*first.data, *second.data)] + [r.id async for r in rest]
        assert got == WHOLE


@virtual_time
async def test_a_cycle_of_cursors_ends() -> None:
    """A, B, A: the walk ends at the third page, before any review comes twice."""
    cursors = iter(["A", "B", "A", "B", "A", "B"])

    def cycle(reviews: list[Any], cursor: str | None, limit: int) -> tuple[list[Any], str]:
        start = {"A": 10, "B": 20}.get(cursor or "", 0)
        return reviews[start : start + 10], next(cursors)

    async with _server(paginate=cycle) as server, client_of(server) as client:
        got = []
        with pytest.raises(PaginationError) as caught:
            async for review in client.iter_product_reviews(PRODUCT):
                got.append(review.id)
        assert got == WHOLE[:20]
        assert caught.value.starting_after == "B"
        assert caught.value.attempts == 3


@virtual_time
async def test_a_cycle_that_leads_back_to_where_a_walk_was_resumed_ends() -> None:
    """Resumed at A, then B, then A again: the walk ends before any review comes twice."""

    def cycle(reviews: list[Any], cursor: str | None, limit: int) -> tuple[list[Any], str]:
        start, following = {"A": (10, "B"), "B": (20, "A")}[str(cursor)]
        return reviews[start : start + 10], following

    async with _server(paginate=cycle) as server, client_of(server) as client:
        got = []
        with pytest.raises(PaginationError) as caught:
            async for review in client.iter_product_reviews(PRODUCT, starting_after="A"):
                got.append(review.id)
        assert got == WHOLE[10:20]
        assert caught.value.starting_after == "B"
        assert server.ledger.exchanges == 2


@virtual_time
async def test_an_empty_page_in_the_middle_is_not_the_end() -> None:
    """Ninety-nine empty pages with `hasMore` are walked over."""

    def sparse(reviews: list[Any], cursor: str | None, limit: int) -> tuple[list[Any], str | None]:
        page = int(cursor or 0)
        data = reviews[:10] if page == 0 else reviews[10:20] if page == 100 else []
        return data, str(page + 1) if page < 100 else None

    async with _server(paginate=sparse) as server, client_of(server) as client:
        pages = [page async for page in client.iter_product_review_pages(PRODUCT)]
        assert len(pages) == 101
        assert [review.id for page in pages for review in page.data] == WHOLE[:20]


@virtual_time
async def test_a_hundred_empty_pages_in_a_row_end_the_walk() -> None:
    """The server would say `hasMore` for ever."""

    def endless(reviews: list[Any], cursor: str | None, limit: int) -> tuple[list[Any], str]:
        page = int(cursor or 0)
        return reviews[:10] if page == 0 else [], str(page + 1)

    async with _server(paginate=endless) as server, client_of(server) as client:
        with pytest.raises(PaginationError) as caught:
            [review async for review in client.iter_product_reviews(PRODUCT)]
        assert server.ledger.exchanges == 101
        assert caught.value.starting_after == "100"


@pytest.mark.parametrize("empty_pages", [99, 100])
@virtual_time
async def test_the_empty_pages_are_counted_from_the_first_page(empty_pages: int) -> None:
    """Ninety-nine empty pages at the start are walked over, the hundredth ends the walk."""

    def late(reviews: list[Any], cursor: str | None, limit: int) -> tuple[list[Any], str | None]:
        page = int(cursor or 0)
        return (reviews[:10], None) if page == empty_pages else ([], str(page + 1))

    async with _server(paginate=late) as server, client_of(server) as client:
        walk = client.iter_product_reviews(PRODUCT)
        if empty_pages == 99:
            assert [review.id async for review in walk] == WHOLE[:10]
        else:
            with pytest.raises(PaginationError, match="100 pages in a row"):
                await anext(walk)
        assert server.ledger.exchanges == 100


@virtual_time
async def test_a_review_pushed_onto_the_next_page_comes_once() -> None:
    """Reviews created during the walk shift others onto the next page: those come once."""

    def growing(reviews: list[Any], cursor: str | None, limit: int) -> tuple[list[Any], str | None]:
        start = int(cursor or 0)
        shifted = max(0, start - 3)  # three have come in since the page before
        end = start + 20
        return reviews[shifted:end], str(end) if end < len(reviews) else None

    async with _server(paginate=growing) as server, client_of(server) as client:
        assert [review.id async for review in client.iter_product_reviews(PRODUCT)] == WHOLE
        pages = [page async for page in client.iter_product_review_pages(PRODUCT)]
        assert [len(page.data) for page in pages] == [20] * 6 + [10]


@virtual_time
async def test_an_integer_cursor_is_sent_as_its_digits() -> None:
    """Some APIs send the time stamp as a number: it goes back as its digits."""

    def numbered(reviews: list[Any], cursor: str | None, limit: int) -> tuple[list[Any], Any]:
        start = int(cursor or 0)
        return reviews[start : start + 50], start + 50 if start < 100 else None

    async with _server(paginate=numbered) as server, client_of(server) as client:
        assert [review.id async for review in client.iter_product_reviews(PRODUCT)] == WHOLE
        sent = [entry.query.get("startingAfter") for entry in server.ledger.received()]
        assert sent == [None, "50", "100"]


@pytest.mark.parametrize(
    "cursor", ["http://evil.test/", "1&customerId=2#", "a b+c", "%2e%2e", "ü🎉", "../..", "a=b;c"]
)
@virtual_time
async def test_a_cursor_is_sent_as_it_came_whatever_it_holds(cursor: str) -> None:
    """A cursor is one encoded query value: it adds no parameter and changes no path."""

    def odd(reviews: list[Any], given: str | None, limit: int) -> tuple[list[Any], str | None]:
        return (reviews[:10], cursor) if given is None else (reviews[10:20], None)

    async with _server(paginate=odd) as server, client_of(server) as client:
        assert len([r async for r in client.iter_product_reviews(PRODUCT)]) == 20
        second = server.ledger.received()[1]
        assert second.query == {"limit": "50", "startingAfter": cursor}
        assert second.path == f"/hl/v2/products/{PRODUCT}/reviews"


@pytest.mark.slow
@virtual_time
async def test_more_pages_than_python_can_recurse_into_are_walked() -> None:
    """A list of very many pages, most of them empty, is walked by a loop."""
    last = sys.getrecursionlimit() + 80

    def long(reviews: list[Any], cursor: str | None, limit: int) -> tuple[list[Any], str | None]:
        page = int(cursor or 0)
        return (
            [make_review(page)] if page % 90 == 0 else [],
            str(page + 1) if page < last else None,
        )

    async with _server(paginate=long) as server, client_of(server) as client:
        walked = [r async for r in client.iter_product_reviews(PRODUCT)]
        assert len(walked) == last // 90 + 1


@virtual_time
async def test_half_an_emoji_does_not_block_a_list() -> None:
    """A lone surrogate in a message comes out as it was sent, and the walk goes on."""
    async with _server() as server, client_of(server) as client:
        server.reviews[60]["message"] = "cut \ud83d"
        got = {r.id: r.message async for r in client.iter_product_reviews(PRODUCT)}
        assert len(got) == 130
        assert got["review-61"] == "cut \ud83d"
        repr(got)


@virtual_time
async def test_an_unknown_status_and_unknown_fields_are_kept() -> None:
    """The status as a string, the fields in `raw`."""
    async with _server() as server, client_of(server) as client:
        server.reviews[0] |= {"status": "ACTIVE", "helpful": {"up": 3}}
        server.reviews[1]["status"] = "PENDING"
        page = await client.list_reviews(limit=3)
        assert [review.status for review in page.data] == [
            ReviewStatus.ACTIVE,
            "PENDING",
            ReviewStatus.ACTIVE,
        ]
        assert list(page.raw) == json.loads(json.dumps(server.reviews[:3]))


@virtual_time
async def test_a_malformed_review_is_named_by_its_place() -> None:
    """It ends the walk; the error tells the place and the types, not the value."""
    async with _server() as server, client_of(server) as client:
        server.reviews[70]["customer"]["name"] = ["Ibu Rahasia"]
        with pytest.raises(ResponseError) as caught:
            [review async for review in client.iter_product_reviews(PRODUCT)]
        assert caught.value.path == "$.data[20].customer.name"
        assert (
            str(caught.value)
            == "$.data[20].customer.name: expected str, got list (review review-71)"
        )
        assert caught.value.starting_after == "c50"


@virtual_time
async def test_a_walk_holds_no_connection_between_pages() -> None:
    """Between two pages another call can use the only connection."""
    connector = aiohttp.TCPConnector(limit=1)
    async with (
        _server() as server,
        aiohttp.ClientSession(connector=connector) as session,
        ReviewsClient("key", base_url=server.url, session=session, deadline=5.0) as client,
    ):
        async for _ in client.iter_product_review_pages(PRODUCT):
            assert (await client.list_product_reviews(PRODUCT)).has_more
        assert server.ledger.exchanges == 6
        assert server.open_connections == 1


@pytest.mark.parametrize("store", [False, True])
async def test_iterating_follows_the_cursor(
    store: bool, client: ReviewsClient, answers: Answers
) -> None:
    """Reviews and pages come from real async generators that ask for 50 at a time."""
    base = f"{ORIGIN}/reviews" if store else f"{ORIGIN}/products/{SHOWN}/reviews"
    one, two = example("product_reviews"), example("product_reviews")
    one |= {"hasMore": True, "nextStartingAfter": "after-one"}
    two["data"][0]["id"] = "another-review"
    for _ in range(2):
        answers.get(f"{base}?limit=50", payload=one, repeat=True)
        answers.get(f"{base}?limit=50&startingAfter=after-one", payload=two)
    reviews = client.iter_product_reviews(SHOWN)
    pages = client.iter_product_review_pages(SHOWN)
    if store:
        reviews, pages = client.iter_reviews(), client.iter_review_pages()
    assert all(map(inspect.isasyncgen, (reviews, pages)))
    assert [review.id async for review in reviews] == [REVIEW, "another-review"]
    first, second = [page async for page in pages]
    assert (first.next_starting_after or "").startswith("after-one")
    assert list(first.raw) + list(second.raw) == one["data"] + two["data"]
