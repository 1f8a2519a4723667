"""Laws that hold for whatever hypothesis thinks of."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, cast

import pytest
from attrs import define
from hypothesis import given, settings
from hypothesis import strategies as st

from mayar_reviews import (
    ConnectionFailedError,
    ConnectionLostError,
    MayarError,
    PaginationError,
    RateLimit,
    RateLimitError,
    ResponseError,
    RetryPolicy,
    Review,
    ReviewsClient,
    ServerError,
)
from mayar_reviews.answers import Answer, Listing
from mayar_reviews.api_json import EARLIEST, LATEST
from mayar_reviews.call import Call
from mayar_reviews.converter import _explainer, load_list, structure_each
from mayar_reviews.endpoints import (
    CreateReview,
    Endpoint,
    GetCustomer,
    GetCustomerReview,
    GetMerchantStats,
    GetProductStats,
    ListProductReviews,
    ListReviews,
    UpdateReview,
)
from mayar_reviews.pagination import pages, reviews
from tests.support.clock import virtual_run
from tests.support.fault_server import FaultServer, make_review
from tests.support.pages import REVIEW, decode, decode_page
from tests.support.steps import Behave, Break, Respond, Step, too_many

QUICK = settings(max_examples=20)
MANY = settings(max_examples=400)


# --- cursors ------------------------------------------------------------------------------------


def _page(numbers: list[int], has_more: bool, cursor: str | None) -> Listing:
    raw = [REVIEW | {"id": str(number)} for number in numbers]
    return Listing(structure_each(raw, Review, "$"), tuple(raw), has_more, cursor)


@define
class Scripted:
    """What `pages` needs of a call, answered from a dict of pages by cursor."""

    by_cursor: dict[str | None, Listing]
    attempts: int = 0
    is_late: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    async def exchange(self, endpoint: ListProductReviews) -> Listing:
        return self.by_cursor[endpoint.starting_after]


def _walk(
    by_cursor: dict[str | None, Listing], start: str | None = None, into: list[str] | None = None
) -> list[str]:
    got = [] if into is None else into

    async def collect() -> None:
        call = cast(Call, Scripted(by_cursor))
        walk = pages(call, ListProductReviews("product-1"), 50, start, keep_invalid=False)
        async for review in reviews(walk):
            got.append(review.id)

    asyncio.run(collect())
    return got


@pytest.mark.slow
@MANY
@given(st.lists(st.integers(0, 7), max_size=20), st.data())
def test_any_partition_into_pages_is_the_same_list(sizes: list[int], data: st.DataObject) -> None:
    """However a list is cut into pages, some of them empty, it comes out whole and in order."""
    numbers = iter(range(10**6))
    chunks = [[next(numbers) for _ in range(size)] for size in [*sizes, 3]]
    names = data.draw(
        st.lists(
            st.text(min_size=1, max_size=3), unique=True, min_size=len(sizes), max_size=len(sizes)
        )
    )
    cursors: list[str | None] = [None, *names]
    by_cursor = {
        cursor: _page(chunk, index < len(sizes), (*names, None)[index])
        for index, (cursor, chunk) in enumerate(zip(cursors, chunks, strict=True))
    }
    whole = [str(number) for chunk in chunks for number in chunk]
    assert _walk(by_cursor) == whole
    start = data.draw(st.sampled_from(range(len(cursors))))
    rest = [str(number) for chunk in chunks[start:] for number in chunk]
    assert _walk(by_cursor, cursors[start]) == rest


@pytest.mark.slow
@MANY
@given(st.lists(st.integers(0, 6), min_size=7, max_size=7), st.integers(0, 6), st.integers(0, 6))
def test_any_graph_of_cursors_ends(edges: list[int], end: int, start: int) -> None:
    """Wherever the cursors lead, a walk from any of them ends and gives no review twice."""
    by_cursor: dict[str | None, Listing] = {
        (str(node) if node else None): _page([node], node != end, str(following))
        for node, following in enumerate(edges)
    }
    by_cursor["0"] = by_cursor[None]
    visited, node = [], start
    while node != end and node not in visited:
        visited.append(node)
        node = edges[node]
    got: list[str] = []
    try:
        _walk(by_cursor, str(start) if start else None, into=got)
    except PaginationError:
        assert node in visited
    else:
        assert got == [str(one) for one in (*visited, end)]
    assert len(set(got)) == len(got)


# --- passing faults ------------------------------------------------------------------------------

PASSING: list[Callable[[], Step]] = [
    lambda: Respond(500),
    lambda: Respond(503, b"<html>"),
    lambda: Break("request"),
    lambda: Break("request", "reset"),
    lambda: Break("request", "hang"),
    lambda: Break("body", "close"),
    lambda: Behave(cut=2),
    lambda: Respond(200, b"<html>"),
    lambda: Behave(length_error=7),
]


@QUICK
@given(
    st.lists(st.sampled_from(PASSING), max_size=3),
    st.lists(st.integers(0, 2), max_size=4),
    st.sampled_from(["walk", "update", "create"]),
)
def test_fewer_faults_than_attempts_are_not_noticed(
    faults: list[Callable[[], Step]], limited: list[int], what: str
) -> None:
    """The caller gets the right result, with any number of 429s as well."""

    async def scenario() -> None:
        script: list[Step] = [fault() for fault in faults]
        for place in limited:
            script.insert(place, too_many("3"))
        if what == "create":
            script = [step for step in script if not isinstance(step, Behave)]
        stored = [make_review(number) for number in range(1, 61)]
        async with FaultServer(stored, customers={"a@b.id": "customer-x"}, script=script) as server:
            async with ReviewsClient("key", base_url=server.url, rate_limit=None) as client:
                patient = client.with_options(deadline=None)
                match what:
                    case "walk":
                        got = [r.id async for r in patient.iter_product_reviews("product-1")]
                        assert got == [review["id"] for review in stored]
                    case "update":
                        assert (await patient.update_review("review-1", rating=2)).rating == 2
                        assert server.reviews[0]["rating"] == 2
                    case "create":
                        created = await patient.create_review(
                            payment_link_id="product-1", customer_email="a@b.id", rating=3
                        )
                        assert created.rating == 3
                        assert len(server.ledger.of("committed")) == 1
            assert server.ledger.blind_creations() == []

    virtual_run(scenario())


# --- backoff and pacing --------------------------------------------------------------------------


@MANY
@given(
    st.integers(1, 50),
    st.floats(0, 1e6),
    st.floats(0, 1e6),
    st.integers(1, 5000),
    st.floats(0, 1),
    st.sampled_from([ServerError, ConnectionLostError, ConnectionFailedError, RateLimitError]),
)
def test_the_backoff_is_the_drawn_share_of_its_bound(
    attempts: int,
    initial: float,
    largest: float,
    attempt: int,
    chance: float,
    kind: type[MayarError],
) -> None:
    """The bound doubles up to the largest; after the last attempt there is no wait."""
    policy = RetryPolicy(attempts=attempts, backoff_initial=initial, backoff_max=largest)
    wait = policy.delay(kind(""), attempt, lambda: chance)
    if attempts == 1 or (attempt >= attempts and kind is not RateLimitError):
        assert wait is None
    else:
        floor = 0.1 if kind is RateLimitError else 0.0
        bound = min(largest, initial * 2.0 ** min(attempt - 1, 64))
        assert wait == max(floor, chance * bound)


@QUICK
@given(
    st.integers(1, 4),
    st.lists(
        st.tuples(st.floats(0, 5), st.floats(0, 3), st.none() | st.floats(0, 8)),
        min_size=1,
        max_size=15,
    ),
)
def test_no_window_ever_holds_more_than_the_limit(
    requests: int, calls: list[tuple[float, float, float | None]]
) -> None:
    """Whenever calls begin, end or are cancelled, starts are never closer than allowed."""
    per = 2.0

    async def scenario() -> None:
        limit = RateLimit(requests, per=per)
        loop = asyncio.get_running_loop()
        starts: list[float] = []

        async def call(after: float, lasts: float) -> None:
            await asyncio.sleep(after)
            async with limit.slot():
                starts.append(loop.time())
                await asyncio.sleep(lasts)

        tasks = []
        for after, lasts, cancelled in calls:
            task = asyncio.create_task(call(after, lasts))
            tasks.append(task)
            if cancelled is not None:
                loop.call_later(cancelled, task.cancel)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {type(None), asyncio.CancelledError}
        for index, start in enumerate(starts[requests:]):
            assert start - starts[index] >= per
        # Nothing was lost on the way: after one window all slots are there again.
        await asyncio.sleep(per + 0.01)
        before = loop.time()
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(requests):
                await stack.enter_async_context(limit.slot())
        assert loop.time() == before

    virtual_run(scenario())


# --- hostile answers -----------------------------------------------------------------------------

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["\ud800", "ACTIVE", "success", "failed", 1767063610103]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def _example(name: str) -> Any:
    return json.loads((Path(__file__).parent.parent / "examples" / f"{name}.json").read_text())


_SHOWN = _example("customer_review")["data"]
_UPDATED = _example("update_review")["data"]
ANSWERS: list[tuple[Endpoint[Any], Any]] = [
    (ListReviews(), _example("merchant_reviews")),
    (
        ListProductReviews(_SHOWN["paymentLinkId"]),
        _example("merchant_reviews") | {"hasMore": True, "nextStartingAfter": "c50"},
    ),
    (
        GetCustomerReview(_SHOWN["paymentLinkId"], _SHOWN["customerId"]),
        _example("customer_review"),
    ),
    (CreateReview(_SHOWN["paymentLinkId"], "a@b.id", 5), _example("create_review")),
    (UpdateReview(_UPDATED["id"], rating=4), _example("update_review")),
    (GetProductStats("product-1"), _example("review_stats")),
    (GetMerchantStats(), _example("review_stats_empty")),
    (
        GetCustomer("a@b.id"),
        {
            "statusCode": 200,
            "messages": "success",
            "data": {"id": "customer-1", "email": "A@b.id"},
        },
    ),
]


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [path, *(place for key, item in inner for place in _places(item, (*path, key)))]


@pytest.mark.slow
@MANY
@given(st.sampled_from(ANSWERS), JSON, st.booleans(), st.data())
def test_any_value_in_any_field_gives_a_model_or_an_error(
    case: tuple[Endpoint[Any], Any], value: Any, ascii_only: bool, data: st.DataObject
) -> None:
    """No other exception comes out, and no error repeats the value."""
    endpoint, body = case
    body = copy.deepcopy(body)
    place = data.draw(st.sampled_from(_places(body)))
    if not place:
        body = value
    else:
        owner = body
        for key in place[:-1]:
            owner = owner[key]
        owner[place[-1]] = value
    text = json.dumps(body, ensure_ascii=ascii_only)
    try:
        decode(endpoint, Answer(200, {}, text.encode(errors="surrogatepass")))
    except ResponseError as error:
        secret = value if isinstance(value, str) and len(value) > 12 else "\x00never\x00"
        assert secret not in str(error)  # noqa: PT017  it need not be raised
    except MayarError:
        pass


@MANY
@given(st.binary(max_size=200), st.integers(100, 999))
def test_any_bytes_with_any_status_give_a_model_or_an_error(body: bytes, status: int) -> None:
    """No other exception comes out."""
    with contextlib.suppress(MayarError):
        decode_page(Answer(status, {}, body))


@pytest.mark.slow
@MANY
@given(JSON, st.data())
def test_msgspec_accepts_what_cattrs_accepts(value: Any, data: st.DataObject) -> None:
    """Both make the same reviews of a page, or both refuse it; also while it is parsed."""
    page = copy.deepcopy(_example("merchant_reviews")["data"] * 3)
    for review in page[data.draw(st.integers(0, 2)) :]:
        place = data.draw(st.sampled_from(_places(review)))
        if place:
            owner = review
            for key in place[:-1]:
                owner = owner[key]
            owner[place[-1]] = copy.deepcopy(value)
    quick = load_list(json.dumps({"data": page}).encode(), Review, ())
    made = structure_each(page, Review, "$")
    errors = [one for one in made if isinstance(one, ResponseError)]
    try:
        _explainer().structure(page, tuple[Review, ...])
    except Exception:
        assert errors
        assert quick is None
        assert all(re.search("expected|required", str(one)) and one.path for one in errors)
    else:
        assert not errors
        if quick is not None:  # half of a surrogate pair fits, but msgspec does not parse it
            assert structure_each(quick["data"], Review, "$") == made


TIMES = st.integers(0, 2**43) | st.integers(EARLIEST, LATEST)
REVIEWS = st.fixed_dictionaries(
    {
        "id": st.text(),
        "paymentLinkId": st.just("product-1"),
        "customerId": st.text(),
        "userId": st.text(),
        "rating": st.integers(1, 5),
        "status": st.sampled_from(["ACTIVE", "ARCHIVED", "INACTIVE"]) | st.text(),
        "createdAt": TIMES,
        "updatedAt": TIMES,
    },
    optional={
        "message": st.none() | st.text(),
        "customer": st.none() | st.fixed_dictionaries({"id": st.text()}),
        "content": st.none()
        | st.lists(st.fixed_dictionaries({}, optional={"value": st.text()}), max_size=3),
        "whatever": st.recursive(
            st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=6,
        ),
    },
)


@pytest.mark.slow
@MANY
@given(st.lists(REVIEWS, max_size=2))
def test_every_review_comes_out_as_it_was_sent(sent: list[dict[str, Any]]) -> None:
    """Every field, times to the millisecond, and unknown fields in `raw`."""
    body = {"statusCode": 200, "messages": "success", "data": sent, "hasMore": False}
    page = decode_page(Answer(200, {}, json.dumps(body).encode()))
    for review, raw in zip(page.data, sent, strict=True):
        known = {name: value for name, value in raw.items() if name != "whatever"}
        assert review.to_dict() == {
            name: value for name, value in known.items() if value is not None and value != []
        }
    assert list(page.raw) == sent
