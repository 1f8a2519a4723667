"""What a creation in doubt comes to when a review is there already."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest

from mayar_reviews import ConflictError, ReviewsClient
from tests.faults.clock import virtual_time
from tests.faults.server import Break, FaultServer, Respond, Step, make_review
from tests.support.harness import EMAIL, MESSAGE, PRODUCT, observed

CUSTOMER = "customer-ibu"


def _create(client: ReviewsClient, **others: Any) -> Awaitable[Any]:
    return client.create_review(
        payment_link_id=PRODUCT, customer_email=EMAIL, rating=5, message=MESSAGE, **others
    )


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
