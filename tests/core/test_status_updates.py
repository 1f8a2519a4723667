"""Setting many statuses: fifty to a request, and every review accounted for."""

from __future__ import annotations

import json

import aiohttp
import pytest
from yarl import URL

from mayar_reviews import (
    BadRequestError,
    ConnectionLostError,
    ReviewsClient,
    ReviewStatus,
    StatusUpdate,
    StatusUpdateError,
)

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


async def test_no_status_to_update_is_no_request(client: ReviewsClient, answers: Answers) -> None:
    """Any number of reviews includes none, and the same update twice is one."""
    await client.update_review_statuses([])
    assert not answers.requests
    answers.post(f"{ORIGIN}/reviews/bulk-status/update", payload=example("bulk_status_update"))
    await client.update_review_statuses([StatusUpdate("review-1", "ACTIVE")] * 60)
    _, _, request = sent(answers)
    assert len(json.loads(request["data"])["input"]) == 1


async def test_a_failed_status_update_names_every_review(
    client: ReviewsClient, answers: Answers
) -> None:
    """Half-way a request is refused: every id is told once, and nothing is sent after it."""
    url = f"{ORIGIN}/reviews/bulk-status/update"
    refusal = {"statusCode": 400, "messages": "Review is not valid! Please check your payload."}
    answers.post(url, payload=example("bulk_status_update"))
    answers.post(url, status=400, payload=refusal)
    ids = [f"review-{number}" for number in range(120)]
    with pytest.raises(StatusUpdateError) as caught:
        await client.update_review_statuses(StatusUpdate(one, "ARCHIVED") for one in ids)
    error = caught.value
    assert error.applied == tuple(ids[:50])
    assert error.unknown == ()
    assert error.not_sent == tuple(ids[50:])
    assert isinstance(error.__cause__, BadRequestError)
    assert error.attempts == 2


async def test_a_status_update_in_doubt_names_every_review(
    client: ReviewsClient, answers: Answers
) -> None:
    """Half-way the answers stay away: the reviews of that request are in doubt."""
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
