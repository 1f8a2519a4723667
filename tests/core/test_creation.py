"""What a creation in doubt comes to when a review is there already."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial
from typing import Any, Literal

import pytest

from mayar_reviews import (
    Attachment,
    ConflictError,
    MayarError,
    OutcomeUnknownError,
    RetryPolicy,
    ReviewsClient,
    ServerError,
)
from tests.support.clock import virtual_time
from tests.support.fault_server import FaultServer, make_review, wall_clock
from tests.support.harness import EMAIL, MESSAGE, PRODUCT, client_of, observed
from tests.support.steps import Behave, Break, Respond, Step, too_many

CUSTOMER = "customer-ibu"


def _create(client: ReviewsClient, **others: Any) -> Awaitable[Any]:
    return client.create_review(
        payment_link_id=PRODUCT, customer_email=EMAIL, rating=5, message=MESSAGE, **others
    )


async def _create_and_tidy(client: ReviewsClient, server: FaultServer, **others: Any) -> Any:
    """Create a review whose text the server changes as soon as it is stored."""
    task = asyncio.ensure_future(_create(client, **others))
    while not server.reviews:
        await asyncio.sleep(0)
    server.reviews[0]["message"] = "Tidied"
    return await task


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
async def test_a_creation_in_doubt_finds_a_review(
    step: Step, rating: int, message: str | None, same: bool
) -> None:
    """The review that was asked for is returned. Another one is a conflict, with `.existing`."""
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


@pytest.mark.parametrize("clock_off", [0.0, -600.0, 600.0])
@pytest.mark.parametrize("attachments", [(), (Attachment("file-1", "image"),)])
@pytest.mark.parametrize("how", ["close", "hang"])
@virtual_time
async def test_a_review_made_since_we_sent_is_ours_whatever_became_of_its_text(
    how: Literal["close", "hang"], clock_off: float, attachments: tuple[Attachment, ...]
) -> None:
    """The server tidies the text, and its clock is minutes off: `createdAt` tells all the same."""
    async with FaultServer(
        customers={EMAIL: CUSTOMER},
        script=(Break("request", how, on="create", commit=True),),
        clock=lambda: wall_clock() + int(clock_off * 1000),
    ) as server:
        outcome = await observed(
            server,
            lambda client: _create_and_tidy(client, server, content_review=attachments),
        )
        assert outcome.result.message == "Tidied"
        assert len(server.ledger.creations) == 1


@pytest.mark.parametrize("clock_off", [0.0, -600.0, 600.0])
@pytest.mark.parametrize("age", [10.0, 86_400.0])
@virtual_time
async def test_no_photo_is_lost_to_an_older_review(clock_off: float, age: float) -> None:
    """With attachments an older review is never ours, though rating and message are the same."""
    created = wall_clock() + int((clock_off - age) * 1000)
    there = make_review(
        7,
        paymentLinkId=PRODUCT,
        customerId=CUSTOMER,
        rating=5,
        message=MESSAGE,
        createdAt=created,
        updatedAt=created,
    )
    async with FaultServer(
        [there],
        customers={EMAIL: CUSTOMER},
        script=(Respond(502, on="create"),),
        clock=lambda: wall_clock() + int(clock_off * 1000),
    ) as server:
        photo = Attachment("file-1", "image")
        outcome = await observed(server, lambda client: _create(client, content_review=[photo]))
        assert isinstance(outcome.error, ConflictError)
        assert outcome.error.existing is not None
        assert outcome.error.existing.id == "review-7"
        assert len(server.ledger.creations) == 1


@pytest.mark.parametrize("date", [None, "yesterday", "Mon, 31 Feb 2025 10:00:00 GMT"])
@virtual_time
async def test_without_the_servers_clock_attachments_stay_in_doubt(date: str | None) -> None:
    """No `Date` that can be read: nothing tells whether the review there has the photo."""
    there = make_review(7, paymentLinkId=PRODUCT, customerId=CUSTOMER, rating=5, message=MESSAGE)
    no_date = [("Date", date)]
    async with FaultServer(
        [there],
        customers={EMAIL: CUSTOMER},
        script=(
            Respond(502, on="create", headers=no_date),
            Behave(on="customer", headers=no_date),
            Behave(on="customer_review", headers=no_date),
        ),
    ) as server:
        photo = Attachment("file-1", "image")
        outcome = await observed(server, lambda client: _create(client, content_review=[photo]))
        assert isinstance(outcome.error, OutcomeUnknownError)


@pytest.mark.parametrize(
    "script",
    [
        (too_many("60", on="create"), Respond(502, on="create")),
        (Respond(502, on="create"), Behave(on="customer_review", drip=(40, 1.0))),
    ],
)
@pytest.mark.parametrize("attachments", [(), (Attachment("file-1", "image"),)])
@virtual_time
async def test_a_review_that_somebody_else_made_meanwhile_is_a_conflict(
    script: tuple[Step, ...], attachments: tuple[Attachment, ...]
) -> None:
    """Whether it was made during a pause before we sent, or with another rating."""
    async with FaultServer(customers={EMAIL: CUSTOMER}, script=script) as server:

        async def create(client: ReviewsClient) -> Any:
            task = asyncio.ensure_future(_create(client, content_review=attachments))
            server.store.add_review(PRODUCT, customerId=CUSTOMER, rating=1, message="Other")
            return await task

        outcome = await observed(server, create)
        assert isinstance(outcome.error, ConflictError)
        assert outcome.error.existing is not None
        assert outcome.error.existing.message == "Other"


@pytest.mark.parametrize(
    ("age", "error"),
    [
        (10.0, OutcomeUnknownError),
        (22.0, OutcomeUnknownError),
        (22.001, ConflictError),
        (86_400.0, ConflictError),
    ],
)
@virtual_time
async def test_a_slow_look_up_does_not_make_an_older_review_ours(
    age: float, error: type[MayarError]
) -> None:
    """Its `Date` is 20 s old when it is heard. So a review of those 20 s may be ours or not."""
    created = wall_clock() - int(age * 1000)
    there = make_review(
        7, paymentLinkId=PRODUCT, customerId=CUSTOMER, message="Other", createdAt=created
    )
    script = (Respond(502, on="create"), Behave(on="customer_review", delay=20.0))
    async with FaultServer([there], customers={EMAIL: CUSTOMER}, script=script) as server:
        outcome = await observed(server, lambda client: _create(client, customer_id=CUSTOMER))
        assert type(outcome.error) is error
        assert len(server.ledger.creations) == 1


@pytest.mark.parametrize("age", [2.0, 2.001])
@virtual_time
async def test_a_review_of_up_to_two_seconds_before_is_ours(age: float) -> None:
    """So far may `Date` and `createdAt` differ."""
    created = wall_clock() - int(age * 1000)
    there = make_review(
        7, paymentLinkId=PRODUCT, customerId=CUSTOMER, message="Other", createdAt=created
    )
    async with FaultServer([there], script=(Respond(502, on="create"),)) as server:
        outcome = await observed(server, lambda client: _create(client, customer_id=CUSTOMER))
        assert (outcome.result is not None) is (age == 2.0)
        assert age == 2.0 or isinstance(outcome.error, ConflictError)


@pytest.mark.parametrize("there", [None, "", " "])
@virtual_time
async def test_no_message_is_the_same_as_an_empty_one(there: str | None) -> None:
    """An older review without a message is as good as the one asked for."""
    older = make_review(7, paymentLinkId=PRODUCT, customerId=CUSTOMER, message=there)
    async with (
        FaultServer([older], script=(Respond(502, on="create"),)) as server,
        client_of(server) as client,
    ):
        review = await client.create_review(
            payment_link_id=PRODUCT, customer_email=EMAIL, rating=5, customer_id=CUSTOMER
        )
        assert review.id == "review-7"


@pytest.mark.parametrize("refused", [False, True])
@virtual_time
async def test_a_conflict_says_what_the_server_said(refused: bool) -> None:
    """If it said anything: else it is a 409 without a text."""
    conflict = Respond(409, {"statusCode": 409, "messages": "Sudah ada"}, on="create")
    script = (Respond(502, on="create"), *([conflict] if refused else []))
    async with FaultServer(script=script) as server:
        review_it = partial(server.store.add_review, PRODUCT, customerId=CUSTOMER, rating=1)
        # The creation is sent again after three seconds.
        asyncio.get_running_loop().call_later(3.1 if refused else 0.1, review_it)
        outcome = await observed(
            server,
            lambda client: _create(client, customer_id=CUSTOMER),
            retry=RetryPolicy(backoff_initial=0),
        )
        assert isinstance(outcome.error, ConflictError)
        assert outcome.error.existing is not None
        assert outcome.error.status_code == 409
        assert outcome.error.messages == ("Sudah ada" if refused else "")
        assert isinstance(outcome.error.__cause__, ServerError)


@pytest.mark.parametrize("date", [None, "0"])
@virtual_time
async def test_the_clock_that_was_heard_last_counts(date: str | None) -> None:
    """An answer without a `Date` that can be read does not undo what earlier answers told."""
    no_date = [("Date", date)]
    script = (
        Respond(502, on="create", commit=True),
        Behave(on="customer"),
        Behave(on="customer_review", headers=no_date),
    )
    async with FaultServer(customers={EMAIL: CUSTOMER}, script=script) as server:
        outcome = await observed(server, lambda client: _create_and_tidy(client, server))
        assert outcome.result.message == "Tidied"
