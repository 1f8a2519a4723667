"""Updates: sent again where that does no harm, else in doubt."""

from __future__ import annotations

from mayar_reviews import ConnectionLostError, NotFoundError, OutcomeUnknownError, ResponseError
from tests.support.clock import virtual_time
from tests.support.steps import Break, Respond, too_many

from .causes import EVER, LEAVING_DOUBT, envelope
from .matrix import Row, every, hold

ROWS = [
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
    Row("update, 200 of wrong types", "update", (Respond(200, envelope([]), commit=True),),
        OutcomeUnknownError, ResponseError, exchanges=1, committed=1),
]  # fmt: skip


@every(ROWS)
@virtual_time
async def test_an_update_ends_as_its_row_says(row: Row) -> None:
    """An update without media is sent again; one with media ends in doubt at once."""
    await hold(row)
