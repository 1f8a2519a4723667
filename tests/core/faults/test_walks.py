"""Walks over several pages: whole, or ended by an error."""

from __future__ import annotations

from mayar_reviews import PaginationError, ResponseError
from tests.support.clock import virtual_time
from tests.support.steps import Behave, Break, too_many

from .matrix import Row, every, hold, walked

ROWS = [
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
        (Behave(), Behave(envelope={"hasMore": False, "nextStartingAfter": "c50"})), exchanges=2,
        check=walked(100)),
]  # fmt: skip


@every(ROWS)
@virtual_time
async def test_a_walk_ends_as_its_row_says(row: Row) -> None:
    """A fault on one page costs no review and gives none twice."""
    await hold(row)
