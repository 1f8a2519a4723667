"""Creations: after a lost or unreadable answer the review is looked for before it is sent again.

In the names of the rows a creation is "done" when the server has stored the review, whatever
the client was told.
"""

from __future__ import annotations

from mayar_reviews import (
    APIError,
    AuthenticationError,
    ConflictError,
    ConnectionLostError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ServerError,
    ValidationError,
)
from tests.support.clock import virtual_time
from tests.support.steps import Break, Respond, redirect, too_many

from .causes import EVER, FEW, LASTING, LEAVING_DOUBT, ONE, envelope
from .matrix import Row, every, hold

ROWS = [
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
    Row("create, done, wrong types", "create", (Respond(200, envelope({"id": 1}), commit=True),),
        creations=1, committed=1, exchanges=3),
    Row("create, done, null data", "create", (Respond(200, envelope(None), commit=True),),
        creations=1, committed=1, exchanges=3),
    Row("create, closed after the headers", "create", (Break("request head", on="create"),),
        creations=2, committed=1, exchanges=6),
    Row("create, 500, then closed after the headers", "create",
        (Respond(500, on="create"), Break("request head", on="create")), creations=3, committed=1),
    Row("create, closed on accept", "create", (Break("accept"),), creations=1, committed=1),
    Row("create, not done, wrong types", "create", (Respond(200, envelope({"id": 1})),),
        creations=2, committed=1, exchanges=6),
    Row("create, not done, null data", "create", (Respond(200, envelope(None)),),
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
        (Break("request", on="create"), Respond(200, envelope(None), on="customer")),
        OutcomeUnknownError, ConnectionLostError, creations=1, exchanges=2),
    Row("create, a hostile customer id", "create",
        (Break("request", on="create"), Respond(200, envelope({"id": "../.."}), on="customer")),
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
]  # fmt: skip


@every(ROWS)
@virtual_time
async def test_no_review_is_created_twice(row: Row) -> None:
    """Whatever becomes of the answer, the review is there once, or the error says what is known."""
    await hold(row)
