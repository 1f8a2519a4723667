"""The fault matrix: what a call comes to when the network or the server misbehaves.

Adding a case is adding a row. After each row hold the invariants of `harness.observed`: as many
attempts are reported as the server saw, nothing stays open, no creation was sent blindly, no
secret is told.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from attrs import field, frozen

from mayar_reviews import (
    APIError,
    Attachment,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ConnectionLostError,
    DeadlineExceededError,
    MayarError,
    NotFoundError,
    OutcomeUnknownError,
    PaginationError,
    PermissionDeniedError,
    RateLimitError,
    RequestEvent,
    ResponseError,
    RetryPolicy,
    ReviewsClient,
    ServerError,
    StatusUpdate,
    StatusUpdateError,
    ValidationError,
)
from tests.faults.clock import virtual_time
from tests.faults.server import (
    Behave,
    Break,
    FaultServer,
    Raw,
    Respond,
    Step,
    bomb,
    make_review,
    redirect,
    too_many,
)
from tests.support.harness import EMAIL, MESSAGE, PRODUCT, client_of, observed

CUSTOMER = "customer-ibu"
EVER = math.inf


async def _walk(client: ReviewsClient) -> list[str]:
    return [review.id async for review in client.iter_product_reviews(PRODUCT)]


def _create(client: ReviewsClient, **others: Any) -> Awaitable[Any]:
    return client.create_review(
        payment_link_id=PRODUCT, customer_email=EMAIL, rating=5, message=MESSAGE, **others
    )


CALLS: dict[str, Callable[[ReviewsClient], Awaitable[Any]]] = {
    "create": _create,
    "create, id known": lambda client: _create(client, customer_id=CUSTOMER),
    "update": lambda client: client.update_review("review-1", rating=2, message=MESSAGE),
    "update media": lambda client: client.update_review(
        "review-1", content_review=[Attachment("file-1", "image")]
    ),
    "statuses": lambda client: client.update_review_statuses(
        [StatusUpdate(f"review-{number}", "ARCHIVED") for number in range(1, 121)]
    ),
    "list": lambda client: client.list_product_reviews(PRODUCT, limit=50),
    "walk": _walk,
    "get": lambda client: client.get_customer_review(PRODUCT, customer_id="customer-1"),
    "stats": lambda client: client.get_product_stats(PRODUCT),
    "store stats": lambda client: client.get_merchant_stats(),
    "store list": lambda client: client.list_reviews(),
}


@frozen
class Row:
    """One fault, and what must come of it."""

    id: str
    call: str
    script: tuple[Step, ...]
    raises: type[MayarError] | None = None
    cause: type[MayarError] | None = None
    exchanges: int | None = None
    """How many attempts the server sees, look-ups included."""
    creations: int | None = None
    """How many creations the server sees."""
    committed: int | None = None
    """How many writes took effect."""
    options: dict[str, Any] = field(factory=dict)
    seconds: tuple[float, float] = (0.0, 120.0)
    """How long it may take, in virtual time."""


FEW = RetryPolicy(attempts=2, backoff_initial=0.1)
ONE = RetryPolicy.none()
HTML = [("Content-Type", "text/html")]
GATEWAY = b"<html><h1>Bad gateway</h1></html>"


def _envelope(data: Any, **others: Any) -> dict[str, Any]:
    return {"statusCode": 200, "messages": "success", "data": data} | others


# Each of these leaves a read to be tried again: once it passes unseen, for ever it is `raises`.
PASSING: dict[str, tuple[Callable[..., Step], type[MayarError]]] = {
    "500": (lambda **step: Respond(500, **step), ServerError),
    "502 in HTML": (lambda **step: Respond(502, GATEWAY, headers=HTML, **step), ServerError),
    "503": (lambda **step: Respond(503, **step), ServerError),
    "504 without a body": (lambda **step: Respond(504, b"", **step), ServerError),
    "200 with statusCode 500": (
        lambda **step: Respond(200, {"statusCode": 500, "messages": "x"}, **step),
        ServerError,
    ),
    "500 with statusCode 200": (
        lambda **step: Respond(500, _envelope({"id": "x"}), **step),
        ServerError,
    ),
    "closed on accept": (lambda **step: Break("accept", "close", **step), ConnectionLostError),
    "closed after the headers": (
        lambda **step: Break("headers", "close", **step),
        ConnectionLostError,
    ),
    "closed after the request": (
        lambda **step: Break("request", "close", **step),
        ConnectionLostError,
    ),
    "reset after the request": (
        lambda **step: Break("request", "reset", **step),
        ConnectionLostError,
    ),
    "hangs before the head": (lambda **step: Break("request", "hang", **step), ConnectionLostError),
    "hangs after the head": (lambda **step: Break("head", "hang", **step), ConnectionLostError),
    "hangs in the body": (lambda **step: Break("body", "hang", **step), ConnectionLostError),
    "closed after the head": (lambda **step: Break("head", "close", **step), ConnectionLostError),
    "closed in the body": (lambda **step: Break("body", "close", **step), ConnectionLostError),
    "reset in the body": (lambda **step: Break("body", "reset", **step), ConnectionLostError),
    "cut in a chunk": (
        lambda **step: Break("body", "close", answer=Behave(framing="chunked"), **step),
        ConnectionLostError,
    ),
    "cut without a length": (
        lambda **step: Break("body", "close", answer=Behave(framing="eof"), **step),
        ResponseError,
    ),
    "drips for ever": (lambda **step: Behave(drip=(1, 2.0), **step), ConnectionLostError),
    "length too long": (lambda **step: Behave(length_error=5, **step), ConnectionLostError),
    "length too short": (lambda **step: Behave(length_error=-5, **step), ResponseError),
    "two lengths": (
        lambda **step: Behave(headers=[("Content-Length", "9")], **step),
        ResponseError,
    ),
    "invalid chunk size": (
        lambda **step: Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", **step),
        MayarError,
    ),
    "garbage instead of a status": (lambda **step: Raw(b"garbage\r\n\r\n", **step), ResponseError),
    "HTTP 0.9": (lambda **step: Raw(b'{"statusCode": 200}', **step), MayarError),
    "a header too large": (
        lambda **step: Behave(headers=[("X-Big", "a" * 9000)], **step),
        ResponseError,
    ),
    "too many headers": (
        lambda **step: Behave(headers=[(f"X-{n}", "x") for n in range(200)], **step),
        ResponseError,
    ),
    "HTML": (lambda **step: Respond(200, GATEWAY, headers=HTML, **step), ResponseError),
    "an empty body": (lambda **step: Respond(200, b"", **step), ResponseError),
    "204": (lambda **step: Respond(204, b"", **step), ResponseError),
    "JSON cut short": (lambda **step: Behave(cut=3, **step), ResponseError),
    "a list": (lambda **step: Respond(200, [1], **step), ResponseError),
    "null": (lambda **step: Respond(200, b"null", **step), ResponseError),
    "not UTF-8": (lambda **step: Respond(200, b"\xff", **step), ResponseError),
    "UTF-16": (
        lambda **step: Respond(200, json.dumps(_envelope(None)).encode("utf-16"), **step),
        ResponseError,
    ),
    "nested 100,000 deep": (lambda **step: Respond(200, b"[" * 100_000, **step), ResponseError),
    "gzip cut short": (lambda **step: Behave(gzip=1, cut=80, **step), MayarError),
    "gzip twice": (lambda **step: Behave(gzip=2, **step), ResponseError),
    "an unknown encoding": (
        lambda **step: Respond(200, b"\x0b\x02\x80", headers=[("Content-Encoding", "br")], **step),
        MayarError,
    ),
    "a redirect": (lambda **step: redirect("https://elsewhere.test/", 302, **step), ResponseError),
    "a permanent redirect": (
        lambda **step: redirect("https://elsewhere.test/", 308, **step),
        ResponseError,
    ),
    "a redirect to nonsense": (lambda **step: redirect("http://[", 302, **step), ResponseError),
    "a redirect to nowhere": (lambda **step: Respond(302, b"", **step), ResponseError),
}
# After these of them a write may be done or not, as the server likes.
LEAVING_DOUBT = {
    name: fault
    for name, fault in PASSING.items()
    if isinstance(fault[0](), Break | Respond | Raw)
    and name not in ("closed on accept", "closed after the headers")
}
# Each of these ends a read at once.
LASTING: dict[str, tuple[Step, type[MayarError]]] = {
    "400": (Respond(400), BadRequestError),
    "401": (Respond(401), AuthenticationError),
    "401 in HTML": (Respond(401, GATEWAY, headers=HTML), AuthenticationError),
    "403": (Respond(403), PermissionDeniedError),
    "404": (Respond(404), NotFoundError),
    "404 in the body": (Respond(200, {"statusCode": 404, "messages": "x"}), NotFoundError),
    "409": (Respond(409), ConflictError),
    "418": (Respond(418), APIError),
    "999": (Respond(999), APIError),
    "failed": (
        Respond(200, {"statusCode": 200, "messages": "failed", "data": ["x"]}),
        ValidationError,
    ),
    "an unknown word": (Respond(200, _envelope({}, messages="maybe")), ResponseError),
    "messages in a list": (Respond(200, _envelope({}, messages=["success"])), ResponseError),
    "statusCode in a string": (Respond(200, _envelope({}, statusCode="200")), ResponseError),
    "no statusCode": (Respond(200, {"messages": "success", "data": {}}), ResponseError),
    "data of a wrong type": (Respond(200, _envelope("data")), ResponseError),
    "a number for an id": (Respond(200, _envelope([{"id": 1}], hasMore=False)), ResponseError),
    "100 MB": (Respond(200, bytes(2**20), repeat=100), ResponseError),
    "9 MB in chunks": (Respond(200, b" " * 2**20, repeat=9, framing="chunked"), ResponseError),
    "a bomb of 100 MB": (bomb(100), ResponseError),
}

READS = ("list", "get", "stats", "store stats", "store list")

ROWS: list[Row] = [
    # --- reads --------------------------------------------------------------------------------
    *(
        Row(f"read, {name}, once", "list", (make(),), exchanges=2, seconds=(0, 31))
        for name, (make, _) in PASSING.items()
    ),
    *(
        Row(f"read, {name}, for ever", "list", (make(times=EVER),), raises, exchanges=4)
        for name, (make, raises) in PASSING.items()
    ),
    *(
        Row(f"read, {name}", "list", (step,), raises, exchanges=1)
        for name, (step, raises) in LASTING.items()
    ),
    *(
        Row(f"{read}, dropped, then 503, then whole", read, (Break("request"), Respond(503)))
        for read in READS
    ),
    Row("read, 200 early hints", "list", (Behave(hints=200),), exchanges=1),
    Row("read, gzip", "list", (Behave(gzip=1),), exchanges=1),
    Row("read, chunked", "list", (Behave(framing="chunked"),), exchanges=1),
    Row(
        "read, as text/plain", "list", (Behave(headers=[("Content-Type", "text/plain")]),),
        exchanges=1,
    ),
    Row("read, without a type", "list", (Behave(headers=[("Content-Type", None)]),), exchanges=1),
    Row("read, message for messages", "list", (Behave(envelope={"message": "success"}),)),
    Row("read, not tried again", "list", (Respond(503),), ServerError, exchanges=1,
        options={"retry": ONE}),
    Row("read, cut off by the deadline", "list", (Break("request", "hang"),),
        DeadlineExceededError, exchanges=1, options={"deadline": 5.0}, seconds=(4.9, 5.01)),
    Row("read, 503, then cut off by the deadline", "list",
        (Respond(503), Break("request", "hang")), ServerError, exchanges=2,
        options={"deadline": 5.0}, seconds=(4.9, 5.01)),
    Row("read, a backoff that would outlive the deadline", "list",
        (Respond(503, headers=[("Retry-After", "9")]),), ServerError, exchanges=1,
        options={"deadline": 5.0}, seconds=(0, 0.01)),
    Row("read, 503 with Retry-After", "list", (Respond(503, headers=[("Retry-After", "9")]),),
        exchanges=2, seconds=(9, 9.1)),
    # --- a creation ---------------------------------------------------------------------------
    Row("create", "create", (), exchanges=1, creations=1, committed=1),
    *(
        Row(f"create, done, {name}", "create", (make(on="create", commit=True),),
            creations=1, committed=1, exchanges=3, seconds=(0, 31))
        for name, (make, _) in LEAVING_DOUBT.items()
    ),
    *(
        Row(f"create, not done, {name}", "create", (make(on="create"),),
            creations=2, committed=1, exchanges=6, seconds=(3, 40))
        for name, (make, _) in LEAVING_DOUBT.items()
    ),
    *(
        Row(f"create, never done, {name}", "create", (make(on="create", times=EVER),),
            OutcomeUnknownError, raises, creations=2, committed=0, exchanges=2 + 4 + 3,  # the customer is looked up once
            options={"retry": FEW})
        for name, (make, raises) in LEAVING_DOUBT.items()
    ),
    Row("create, done, id known", "create, id known", (Break("request", on="create", commit=True),),
        creations=1, committed=1, exchanges=2),
    Row("create, done late, while looking", "create",
        (Break("request", on="create", commit_after=2.0),),
        creations=1, committed=1, exchanges=5, seconds=(3, 3.1)),
    Row("create, done after the client gave up on the answer", "create",
        (Break("request", "hang", on="create", commit_after=31.0),),
        creations=1, committed=1, seconds=(31, 34)),
    Row("create, the second one meets the first", "create",
        (Respond(500, headers=[("Retry-After", "2")], on="create", commit_after=4.0),),
        exchanges=7, creations=2, committed=1, seconds=(5, 5.1)),
    Row("create, 429 twice", "create", (too_many("7", on="create"), too_many("7", on="create")),
        exchanges=3, creations=3, committed=1, seconds=(14, 14.2)),
    Row("create, 409", "create", (Respond(409),), ConflictError, exchanges=1, creations=1),
    Row("create, 403", "create", (Respond(403),), PermissionDeniedError, exchanges=1),
    Row("create, 404", "create", (Respond(404),), NotFoundError, exchanges=1),
    Row("create, 401", "create", (Respond(401),), AuthenticationError, exchanges=1),
    Row("create, failed", "create", LASTING["failed"][:1], ValidationError, exchanges=1),
    Row("create, done, 418", "create", (Respond(418, commit=True),), creations=1, committed=1),
    Row("create, not done, 418", "create", (Respond(418),), OutcomeUnknownError, APIError,
        creations=1, committed=0),
    Row("create, done, wrong types", "create", (Respond(200, _envelope({"id": 1}), commit=True),),
        creations=1, committed=1, exchanges=3),
    Row("create, done, null data", "create", (Respond(200, _envelope(None), commit=True),),
        creations=1, committed=1, exchanges=3),
    Row("create, closed after the headers", "create", (Break("headers", on="create"),),
        creations=2, committed=1, exchanges=6),
    Row("create, 500, then closed after the headers", "create",
        (Respond(500, on="create"), Break("headers", on="create")), creations=3, committed=1),
    Row("create, closed on accept", "create", (Break("accept"),), creations=1, committed=1),
    Row("create, not done, wrong types", "create", (Respond(200, _envelope({"id": 1})),),
        creations=2, committed=1, exchanges=6),
    Row("create, not done, null data", "create", (Respond(200, _envelope(None)),),
        creations=2, committed=1, exchanges=6),
    Row("create, 500, then 409 of another's", "create",
        (Respond(500, on="create"), Respond(409, on="create")),
        OutcomeUnknownError, creations=2, committed=0),
    Row("create, 500, then 403", "create", (Respond(500, on="create"), Respond(403, on="create")),
        OutcomeUnknownError, ServerError, creations=2, committed=0),
    Row("create, done, the look-up fails once", "create",
        (Break("request", on="create", commit=True), Respond(503, on="customer"),
         Break("request", on="customer_review")),
        creations=1, committed=1, exchanges=5),
    Row("create, done, the look-up fails for ever", "create",
        (Break("request", on="create", commit=True), Respond(503, on="customer_review", times=EVER)),
        OutcomeUnknownError, ConnectionLostError, creations=1, committed=1),
    Row("create, done, the customer's look-up is refused", "create",
        (Break("request", on="create", commit=True), Respond(403, on="customer")),
        OutcomeUnknownError, ConnectionLostError, creations=1, exchanges=2),
    Row("create, the customer is unknown", "create",
        (Break("request", on="create"), Respond(404, on="customer")),
        OutcomeUnknownError, ConnectionLostError, creations=1, exchanges=2),
    Row("create, the customer is null", "create",
        (Break("request", on="create"), Respond(200, _envelope(None), on="customer")),
        OutcomeUnknownError, ConnectionLostError, creations=1, exchanges=2),
    Row("create, a hostile customer id", "create",
        (Break("request", on="create"), Respond(200, _envelope({"id": "../.."}), on="customer")),
        OutcomeUnknownError, ConnectionLostError, creations=1, exchanges=2),
    Row("create, done, a look-up meets a 429", "create",
        (Break("request", on="create", commit=True), too_many("5", on="customer_review")),
        creations=1, committed=1, exchanges=4, seconds=(5, 5.2)),
    Row("create, done, cut off by the deadline", "create",
        (Break("request", "hang", commit=True),), OutcomeUnknownError, ConnectionLostError,
        creations=1, committed=1, exchanges=1, options={"deadline": 5.0}, seconds=(4.9, 5.01)),
    Row("create, no time for a second look", "create", (Break("request", on="create"),),
        OutcomeUnknownError, ConnectionLostError, creations=1, exchanges=3,
        options={"deadline": 0.9}, seconds=(0, 0.1)),
    Row("create, done, not to be tried again", "create",
        (Break("request", on="create", commit=True),), creations=1, committed=1,
        options={"retry": ONE}),
    Row("create, not done, not to be tried again", "create", (Break("request", on="create"),),
        OutcomeUnknownError, ConnectionLostError, creations=1, options={"retry": ONE}),
    Row("create, a redirect", "create", (redirect("https://elsewhere.test/", on="create"),),
        creations=2, committed=1),
    # --- an update ----------------------------------------------------------------------------
    *(
        Row(f"update, {name}, once", "update", (make(on="update", commit=True),),
            exchanges=2, committed=2, seconds=(0, 31))
        for name, (make, _) in LEAVING_DOUBT.items()
    ),
    *(
        Row(f"update, {name}, for ever", "update", (make(on="update", times=EVER),),
            OutcomeUnknownError, raises, exchanges=4)
        for name, (make, raises) in LEAVING_DOUBT.items()
    ),
    *(
        Row(f"update media, {name}", "update media", (make(on="update", commit=True),),
            OutcomeUnknownError, raises, exchanges=1, committed=1)
        for name, (make, raises) in LEAVING_DOUBT.items()
    ),
    Row("update media, 429", "update media", (too_many("2"),), exchanges=2, committed=1),
    Row("update, 404", "update", (Respond(404),), NotFoundError, exchanges=1),
    Row("update, dropped, then 404", "update", (Break("request"), Respond(404)),
        OutcomeUnknownError, ConnectionLostError, exchanges=2),
    Row("update, dropped, then 429 beyond the deadline", "update",
        (Break("request", commit=True), too_many("500")),
        OutcomeUnknownError, ConnectionLostError, exchanges=2, committed=1),
    Row("update, 200 of wrong types", "update", (Respond(200, _envelope([]), commit=True),),
        OutcomeUnknownError, ResponseError, exchanges=1, committed=1),
    # --- many statuses ------------------------------------------------------------------------
    Row("statuses", "statuses", (), exchanges=3, committed=3),
    Row("statuses, each dropped once", "statuses", (Break("request", commit=True),
        Behave(), Break("request"), Behave(), Respond(500, commit=True)), exchanges=6),
    Row("statuses, dropped for ever", "statuses", (Break("request", times=EVER, commit=True),),
        StatusUpdateError, ConnectionLostError, exchanges=4),
    Row("statuses, the second refused", "statuses", (Behave(), Respond(400)),
        StatusUpdateError, BadRequestError, exchanges=2, committed=1),
    # --- 429 ----------------------------------------------------------------------------------
    Row("429, then whole", "list", (too_many("7"),), exchanges=2, seconds=(7, 7.1)),
    Row("429s do not count as attempts", "list", tuple(too_many("1") for _ in range(20)),
        exchanges=21, seconds=(20, 20.5)),
    Row("429 in HTML", "list", (Respond(429, GATEWAY, headers=HTML),), exchanges=2),
    Row("429 in the body", "list", (Respond(200, {"statusCode": 429, "messages": "x"}),),
        exchanges=2),
    Row("429 for ever", "list", (too_many("9", times=EVER),), RateLimitError,
        options={"deadline": 60.0}, seconds=(50, 60)),
    Row("429, not tried again", "list", (too_many("1"),), RateLimitError, exchanges=1,
        options={"retry": ONE}, seconds=(0, 0.01)),
    Row("429 beyond the deadline", "list", (too_many("121"),), RateLimitError, exchanges=1,
        seconds=(0, 0.01)),
    Row("429 for longer than an hour, and time for it", "list", (too_many("4000"),), exchanges=2,
        options={"deadline": 10_000.0}, seconds=(4000, 4001)),
    Row("429 without Retry-After, and no backoff", "list", tuple(too_many() for _ in range(20)),
        exchanges=21, options={"retry": RetryPolicy(backoff_initial=0)}, seconds=(2, 3)),
    Row("429 for a day", "list", (too_many("86400"),), RateLimitError, exchanges=1,
        options={"deadline": None}, seconds=(0, 0.01)),
    Row("429 for an hour, patiently", "list", (too_many("3600"),), exchanges=2,
        options={"deadline": None}, seconds=(3600, 3601)),
    # --- walks --------------------------------------------------------------------------------
    Row("walk", "walk", (), exchanges=3),
    Row("walk, the second page dropped", "walk", (Behave(), Break("body", "reset")), exchanges=4),
    Row("walk, the second page limited", "walk", (Behave(), too_many("30")), exchanges=4),
    Row("walk, no cursor", "walk", (Behave(), Behave(envelope={"nextStartingAfter": None})),
        PaginationError, exchanges=2),
    Row("walk, a blank cursor", "walk", (Behave(envelope={"nextStartingAfter": " "}),),
        PaginationError, exchanges=1),
    Row("walk, a cursor too long", "walk", (Behave(envelope={"nextStartingAfter": "c" * 1001}),),
        PaginationError, exchanges=1),
    Row("walk, half a surrogate pair for a cursor", "walk",
        (Behave(envelope={"nextStartingAfter": "\ud800"}),), PaginationError, exchanges=1),
    Row("walk, an object for a cursor", "walk", (Behave(envelope={"nextStartingAfter": {}}),),
        ResponseError, exchanges=1),
    Row("walk, true for a cursor", "walk", (Behave(envelope={"nextStartingAfter": True}),),
        ResponseError, exchanges=1),
    Row("walk, hasMore in a string", "walk", (Behave(envelope={"hasMore": "false"}),),
        ResponseError, exchanges=1),
    Row("walk, hasMore null", "walk", (Behave(envelope={"hasMore": None}),),
        ResponseError, exchanges=1),
    Row("walk, the same cursor again", "walk",
        (Behave(), Behave(envelope={"nextStartingAfter": "c50"})), PaginationError, exchanges=2),
    Row("walk, an end with a cursor", "walk",
        (Behave(), Behave(envelope={"hasMore": False, "nextStartingAfter": "c50"})), exchanges=2),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
@virtual_time
async def test_row(row: Row) -> None:
    """A fault comes to what its row says, and breaks no invariant."""
    async with FaultServer(
        [make_review(number, message=MESSAGE) for number in range(1, 121)],
        customers={EMAIL: CUSTOMER},
        script=row.script,
    ) as server:
        outcome = await observed(server, CALLS[row.call], **row.options)
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
            await asyncio.sleep(60)  # for those that land late
            assert len(server.ledger.of("committed")) == row.committed
        low, high = row.seconds
        assert low <= outcome.seconds <= high


@pytest.mark.parametrize("step", [Break("request", on="create"), Respond(500, on="create")])
@pytest.mark.parametrize(
    ("rating", "message", "same"),
    [
        (5, MESSAGE, True),
        (5, f"  {MESSAGE}\n", True),
        (4, MESSAGE, False),
        (5, "Another message", False),
        (5, None, False),
    ],
)
@virtual_time
async def test_a_creation_in_doubt_meets_what_is_there(
    step: Step, rating: int, message: str | None, same: bool
) -> None:
    """The review asked for is returned; another one is a conflict, and is shown."""
    there = make_review(
        7, paymentLinkId=PRODUCT, customerId=CUSTOMER, rating=rating, message=message
    )
    async with FaultServer([there], customers={EMAIL: CUSTOMER}, script=(step,)) as server:
        outcome = await observed(server, _create)
        assert len(server.ledger.creations) == 1
        if same:
            assert outcome.result.id == "review-7"
        else:
            assert isinstance(outcome.error, ConflictError)
            assert outcome.error.existing is not None
            assert outcome.error.existing.id == "review-7"
            assert outcome.error.existing.rating == rating


@virtual_time
async def test_a_stale_connection_costs_a_read_one_attempt() -> None:
    """A read that meets a closed connection is repeated: an attempt that no server can see."""
    reviews = [make_review(number) for number in range(1, 121)]
    async with FaultServer(reviews, script=(Break("answer", "close"),)) as server:
        events: list[RequestEvent] = []
        async with client_of(server, on_event=events.append) as client:
            assert len(await _walk(client)) == 120
        assert server.ledger.exchanges == 3
        reasons = [event.reason for event in events if event.kind == "attempt"]
        assert reasons.count(None) == 3
        assert reasons.count("ConnectionLostError") == len(reasons) - 3 <= 1


def test_rows_have_names_of_their_own() -> None:
    """No row hides behind another one's name."""
    names = [row.id for row in ROWS]
    assert len(set(names)) == len(names)
