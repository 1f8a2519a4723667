"""Setting many statuses: fifty to a request, and every review accounted for."""

from __future__ import annotations

import json
import math
from typing import Any

import aiohttp
import pytest
from yarl import URL

from mayar_reviews import (
    BadRequestError,
    ConnectionLostError,
    InvalidArgumentError,
    PermissionDeniedError,
    ReviewsClient,
    ReviewStatus,
    StatusUpdate,
    StatusUpdateError,
)
from tests.support.clock import virtual_time
from tests.support.fault_server import FaultServer, make_review
from tests.support.harness import client_of
from tests.support.steps import Behave, Break, Respond

from .conftest import ORIGIN, PRODUCT, Answers, example, sent


async def test_update_review_statuses(client: ReviewsClient, answers: Answers) -> None:
    """120 updates go out in three requests of at most fifty, in their order."""
    url = f"{ORIGIN}/reviews/bulk-status/update"
    answers.post(url, payload=example("bulk_status_update"), repeat=3)
    updates = [StatusUpdate(f"review-{n}", "ARCHIVED", PRODUCT) for n in range(119)]
    await client.update_review_statuses([*updates, StatusUpdate("last", ReviewStatus.ACTIVE)])
    bodies = [
        json.loads(call.kwargs["data"])["input"] for call in answers.requests["POST", URL(url)]
    ]
    assert [len(body) for body in bodies] == [50, 50, 20]
    assert bodies[0][0] == {"id": "review-0", "status": "ARCHIVED", "paymentLinkId": PRODUCT}
    assert bodies[2][-1] == {"id": "last", "status": "ACTIVE"}


async def test_no_updates_are_no_request(client: ReviewsClient, answers: Answers) -> None:
    """And the same update given twice is sent once."""
    await client.update_review_statuses([])
    assert not answers.requests
    answers.post(f"{ORIGIN}/reviews/bulk-status/update", payload=example("bulk_status_update"))
    await client.update_review_statuses([StatusUpdate("review-1", "ACTIVE")] * 60)
    _, _, request = sent(answers)
    assert len(json.loads(request["data"])["input"]) == 1


@pytest.mark.parametrize("stale", [[0], [49], [50, 51], [3, 60, 119], list(range(0, 120, 17))])
@virtual_time
async def test_one_stale_id_does_not_stop_the_others(stale: list[int]) -> None:
    """A refused request is halved until the refused reviews are known; the others are applied."""
    ids = [f"review-{number}" for number in range(120)]
    there = [make_review(n) for n in range(120) if n not in stale]
    async with FaultServer(there) as server, client_of(server) as client:
        with pytest.raises(StatusUpdateError) as caught:
            await client.update_review_statuses(StatusUpdate(one, "ARCHIVED") for one in ids)
        error = caught.value
        assert error.refused == tuple(ids[number] for number in stale)
        assert set(error.applied) == {one["id"] for one in there}
        assert error.unknown == error.not_sent == ()
        assert isinstance(error.__cause__, BadRequestError)
        assert str(error) == (f"{len(stale)} of 120 status updates were refused: {error.__cause__}")
        assert {one["status"] for one in server.reviews} == {"ARCHIVED"}
        assert server.ledger.exchanges <= 3 + 2 * math.ceil(math.log2(50)) * len(stale)
        assert error.attempts == server.ledger.exchanges


@virtual_time
async def test_a_server_that_refuses_everything_is_not_asked_for_each_review() -> None:
    """After fifty refused reviews in a row the rest is not sent."""
    ids = [f"stale-{number}" for number in range(500)]
    async with FaultServer([make_review(1)]) as server, client_of(server) as client:
        with pytest.raises(StatusUpdateError) as caught:
            await client.update_review_statuses(StatusUpdate(one, "ARCHIVED") for one in ids)
        assert caught.value.refused == tuple(ids[:50])
        assert caught.value.not_sent == tuple(ids[50:])
        assert server.ledger.exchanges == 99


@virtual_time
async def test_a_failure_while_halving_names_every_review() -> None:
    """What was applied, refused, left in doubt and never sent."""
    ids = [f"review-{number}" for number in range(120)]
    there = [make_review(n) for n in range(120) if n != 10]
    async with FaultServer(there) as server, client_of(server) as client:
        server.script += [Behave(times=3), Break("request", times=4, commit=True)]
        with pytest.raises(StatusUpdateError) as caught:
            await client.update_review_statuses(StatusUpdate(one, "ARCHIVED") for one in ids)
        error = caught.value
        named = (*error.applied, *error.refused, *error.unknown, *error.not_sent)
        assert sorted(named) == sorted(ids)
        assert error.unknown
        assert isinstance(error.__cause__, ConnectionLostError)


@virtual_time
async def test_a_refusal_of_the_key_while_halving_names_every_review() -> None:
    """Nothing is in doubt: what was not applied was not sent."""
    ids = [f"review-{number}" for number in range(120)]
    there = [make_review(n) for n in range(1, 120)]
    async with FaultServer(there) as server, client_of(server) as client:
        # Until `review-0` is alone, and refused, and one of its neighbours is applied.
        server.script += [Behave(times=7), Respond(403, {"statusCode": 403, "messages": "tidak"})]
        with pytest.raises(StatusUpdateError) as caught:
            await client.update_review_statuses(StatusUpdate(one, "ARCHIVED") for one in ids)
    error = caught.value
    assert (error.refused, error.unknown) == (("review-0",), ())
    assert error.applied == tuple(ids[1 : 1 + len(error.applied)])
    assert error.not_sent == tuple(ids[1 + len(error.applied) :])
    assert 0 < len(error.applied) < 49
    assert isinstance(error.__cause__, PermissionDeniedError)
    assert str(error) == (
        f"the update stopped after {len(error.applied)} applied status updates: {error.__cause__}"
    )


@pytest.mark.parametrize(
    ("updates", "fault"),
    [
        (5, "is of type int"),
        (None, "is of type NoneType"),
        ([("review-1", "ACTIVE")], "holds a tuple"),
        (
            [StatusUpdate("review-1", "ACTIVE"), StatusUpdate("review-1", "ARCHIVED")],
            "gives the review review-1 two statuses or two products",
        ),
        (
            [StatusUpdate("review-1", "ACTIVE"), StatusUpdate("review-1", "ACTIVE", PRODUCT)],
            "gives the review review-1 two statuses or two products",
        ),
    ],
)
async def test_what_are_no_status_updates_is_refused(
    client: ReviewsClient, answers: Answers, updates: Any, fault: str
) -> None:
    """Before any request, and in words."""
    with pytest.raises(InvalidArgumentError) as caught:
        await client.update_review_statuses(updates)
    assert caught.value.field == "updates"
    assert caught.value.fault == f"{fault}: it must hold one StatusUpdate for each review"
    assert not answers.requests


async def test_a_status_update_in_doubt_names_every_review(
    client: ReviewsClient, answers: Answers
) -> None:
    """The second request gets no answer: its reviews are in doubt."""
    url = f"{ORIGIN}/reviews/bulk-status/update"
    answers.post(url, payload=example("bulk_status_update"))
    answers.post(url, exception=aiohttp.ServerDisconnectedError(), repeat=True)
    ids = [f"review-{number}" for number in range(120)]
    with pytest.raises(StatusUpdateError) as caught:
        await client.update_review_statuses([StatusUpdate(one, "ARCHIVED") for one in ids])
    error = caught.value
    assert error.applied == tuple(ids[:50])
    assert error.unknown == tuple(ids[50:100])
    assert error.not_sent == tuple(ids[100:])
    assert isinstance(error.__cause__, ConnectionLostError)
    assert error.attempts == 5


@virtual_time
async def test_a_refusal_after_a_lost_answer_is_halved_too() -> None:
    """The request sets values, so it can be sent again; the doubt stays with the refused one."""
    ids = [f"review-{n}" for n in range(49)] + ["stale-1"] + [f"review-{n}" for n in range(49, 99)]
    there = [make_review(n) for n in range(100)]
    async with FaultServer(there, script=(Respond(502, on="bulk_status"),)) as server:
        async with client_of(server) as client:
            with pytest.raises(StatusUpdateError) as caught:
                await client.update_review_statuses(StatusUpdate(one, "ARCHIVED") for one in ids)
        assert caught.value.unknown == ("stale-1",)
        assert len(caught.value.applied) == 99
        assert caught.value.refused == caught.value.not_sent == ()


@virtual_time
async def test_a_status_that_was_set_is_not_told_as_refused() -> None:
    """Its answer was lost; then the API refused the same request."""
    script = (Break("request", on="bulk_status", commit=True), Respond(400, on="bulk_status"))
    async with FaultServer([make_review(0)], script=script) as server:
        async with client_of(server) as client:
            with pytest.raises(StatusUpdateError) as caught:
                await client.update_review_statuses([StatusUpdate("review-0", "ARCHIVED")])
        assert server.review("review-0")["status"] == "ARCHIVED"
        assert caught.value.unknown == ("review-0",)
