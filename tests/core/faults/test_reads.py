"""Reads: what can pass is tried again, what cannot ends at once."""

from __future__ import annotations

from mayar_reviews import DeadlineExceededError, ServerError
from tests.support.clock import virtual_time
from tests.support.steps import Behave, Break, Respond

from .causes import EVER, LASTING, ONE, PASSING
from .matrix import Row, every, hold

READS = ("list", "get", "stats", "store stats", "store list")

ROWS = [
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
]  # fmt: skip


@every(ROWS)
@virtual_time
async def test_a_read_ends_as_its_row_says(row: Row) -> None:
    """A read is tried again after a fault that can pass, and ends at once after any other."""
    await hold(row)
