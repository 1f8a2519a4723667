"""Law 2: a list comes out whole, or says where it stopped, and resumes there."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest

from mayar_reviews import (
    MayarError,
    PaginationError,
    ResponseError,
    RetryPolicy,
    ReviewsClient,
    ReviewStatus,
)
from tests.faults.clock import virtual_time
from tests.faults.server import Behave, Break, FaultServer, Respond, Step, make_review
from tests.support.harness import PRODUCT, client_of

from .conftest import ORIGIN, REVIEW, Answers, example

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
async def test_resuming_where_it_stopped(name: str, pages_before: int) -> None:
    """What came before the failure and what comes after resuming is the whole list, once."""
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
    """`page.next_starting_after` goes on after the page, for a process that starts anew."""
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
async def test_a_hundred_empty_pages_in_a_row_are_enough() -> None:
    """A list that only promises ends after the hundredth empty page."""

    def endless(reviews: list[Any], cursor: str | None, limit: int) -> tuple[list[Any], str]:
        page = int(cursor or 0)
        return reviews[:10] if page == 0 else [], str(page + 1)

    async with _server(paginate=endless) as server, client_of(server) as client:
        with pytest.raises(PaginationError) as caught:
            [review async for review in client.iter_product_reviews(PRODUCT)]
        assert server.ledger.exchanges == 101
        assert caught.value.starting_after == "100"


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
        assert len(pages[1].data) == 23  # as sent


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


@virtual_time
async def test_a_thousand_empty_pages_with_reviews_between_need_no_recursion() -> None:
    """A list of thousands of pages is walked by a loop, not by recursion."""

    def long(reviews: list[Any], cursor: str | None, limit: int) -> tuple[list[Any], str | None]:
        page = int(cursor or 0)
        return (
            [make_review(page)] if page % 90 == 0 else [],
            str(page + 1) if page < 2000 else None,
        )

    async with _server(paginate=long) as server, client_of(server) as client:
        assert len([r async for r in client.iter_product_reviews(PRODUCT)]) == 23


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
async def test_an_unknown_status_and_unknown_fields_are_no_fault() -> None:
    """What the API adds later is kept: the status as a string, the fields in `raw`."""
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
async def test_one_bad_review_is_named_by_place_and_type() -> None:
    """A review of a wrong shape ends the walk, naming where and what, not the value."""
    async with _server() as server, client_of(server) as client:
        server.reviews[70]["customer"]["name"] = ["Ibu Rahasia"]
        with pytest.raises(ResponseError) as caught:
            [review async for review in client.iter_product_reviews(PRODUCT)]
        assert caught.value.path == "$.data[20].customer.name"
        assert str(caught.value) == "$.data[20].customer.name: expected str, got list"
        assert caught.value.starting_after == "c50"


@virtual_time
async def test_a_walk_holds_no_connection_between_pages() -> None:
    """Between two pages the consumer may take as long as it likes."""
    async with _server() as server:
        async with ReviewsClient("key", base_url=server.url) as client:
            async for _ in client.iter_product_review_pages(PRODUCT):
                assert (await client.list_product_reviews(PRODUCT)).has_more
        assert server.ledger.exchanges == 6


@pytest.mark.parametrize("store", [False, True])
async def test_iterating_follows_the_cursor(
    store: bool, client: ReviewsClient, answers: Answers
) -> None:
    """Reviews and pages come from real async generators that ask for 50 at a time."""
    base = f"{ORIGIN}/reviews" if store else f"{ORIGIN}/products/{PRODUCT}/reviews"
    one, two = example("product_reviews"), example("product_reviews")
    one |= {"hasMore": True, "nextStartingAfter": "1767063610103"}
    two["data"][0]["id"] = "another-review"
    for _ in range(2):
        answers.get(f"{base}?limit=50", payload=one)
        answers.get(f"{base}?limit=50&startingAfter=1767063610103", payload=two)
    reviews = client.iter_product_reviews(PRODUCT)
    pages = client.iter_product_review_pages(PRODUCT)
    if store:
        reviews, pages = client.iter_reviews(), client.iter_review_pages()
    assert all(map(inspect.isasyncgen, (reviews, pages)))
    assert [review.id async for review in reviews] == [REVIEW, "another-review"]
    assert [page.next_starting_after async for page in pages] == ["1767063610103", None]
