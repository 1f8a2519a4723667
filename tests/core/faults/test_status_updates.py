"""Many statuses, fifty to a request."""

from __future__ import annotations

from mayar_reviews import BadRequestError, ConnectionLostError, StatusUpdateError
from tests.support.clock import virtual_time
from tests.support.steps import Behave, Break, Respond

from .causes import EVER
from .matrix import Row, every, hold

ROWS = [
    Row("statuses", "statuses", (), exchanges=3, committed=3),
    Row("statuses, each dropped once", "statuses", (Break("request", commit=True),
        Behave(), Break("request"), Behave(), Respond(500, commit=True)), exchanges=6),
    Row("statuses, dropped for ever", "statuses", (Break("request", times=EVER, commit=True),),
        StatusUpdateError, ConnectionLostError, exchanges=4),
    Row("statuses, the second refused once", "statuses", (Behave(), Respond(400)),
        exchanges=5, committed=4),
    Row("statuses, the second refused for ever", "statuses", (Behave(), Respond(400, times=EVER)),
        StatusUpdateError, BadRequestError, exchanges=1 + 99, committed=1),
]  # fmt: skip


@every(ROWS)
@virtual_time
async def test_status_updates_end_as_their_row_says(row: Row) -> None:
    """A request of fifty is sent again, and a refused one ends the job."""
    await hold(row)
