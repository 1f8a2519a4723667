"""The model of `create_review`: no path does harm, and the code goes the same paths."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from mayar_reviews import (
    Attachment,
    ConflictError,
    ConnectionLostError,
    OutcomeUnknownError,
    RetryPolicy,
    Review,
    ReviewsClient,
)
from mayar_reviews.answers import Answer
from mayar_reviews.endpoints import Endpoint
from mayar_reviews.transport import Transport
from tests.support.clock import virtual_time
from tests.support.fault_server import make_review

from .create_once import ATTEMPTS, Assumption, Found, Step, counterexample, in_words, search

PAGE = Path(__file__).parents[2] / "docs/explanation/what-create-once-rests-on.md"
ENDS = {"conflict": ConflictError, "unknown": OutcomeUnknownError}
REQUESTS = {"create": "create_review", "look": "get_customer_review"}
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


# --- replaying a path on the code -----------------------------------------------------------------


def _now() -> float:
    return asyncio.get_running_loop().time()


class Script:
    """What takes the place of `Transport.send`: it answers as a path of the model says."""

    def __init__(self, found: Found) -> None:
        self.steps = list(found.steps)
        self.clock = found.end.shop.clock if found.end.shop else 0.0
        self.due = _now()
        """When the next request is sent, but for its pause."""

    async def send(self, endpoint: Endpoint[Any], _: float) -> Answer:
        step = self.steps.pop(0)
        assert endpoint.name == REQUESTS[step.request]
        assert _now() == pytest.approx(self.due + step.pause)
        self.due += step.pause + step.before + step.after
        await asyncio.sleep(step.before)
        date = WHEN + timedelta(seconds=_now())
        status, body, headers = self._answer(step, date)
        if step.said.what != "429":  # there the wait is for the next creation
            await asyncio.sleep(step.after)
        if step.said.what == "lost":
            raise ConnectionLostError("lost")
        headers["date"] = (format_datetime(date, usegmt=True),)
        return Answer(status, headers, json.dumps(body).encode(), _now())

    def _answer(self, step: Step, date: datetime) -> tuple[int, Any, dict[str, tuple[str, ...]]]:
        match step.said.what:
            case "429":
                return 429, {"messages": "x"}, {"retry-after": (f"{step.after:g}",)}
            case "conflict":
                return 409, {"messages": "x"}, {}
        data = None
        if step.said.what == "created":
            data = make_review(1, customerId="customer-1", message="Bagus")
        elif review := step.said.review:
            created = date + timedelta(seconds=self.clock - review.age)
            data = make_review(
                1 if review.ours else 2,
                customerId="customer-1",
                rating=5 if review.same_rating else 4,
                message="Bagus" if review.same_message else "Lain",
                createdAt=int(created.timestamp() * 1000),
            )
        return 200, {"statusCode": 200, "messages": "success", "data": data}, {}


async def _replay(found: Found, patch: pytest.MonkeyPatch) -> None:
    """Let the code go the path, and check that it asks and ends as the model does."""
    script, end = Script(found), found.end
    patch.setattr(Transport, "send", lambda _, endpoint, limit: script.send(endpoint, limit))
    media = end.shop is not None and end.shop.media
    client = ReviewsClient(
        "key",
        base_url="http://127.0.0.1:9",
        rate_limit=None,
        retry=RetryPolicy(ATTEMPTS, backoff_initial=0),
        deadline=None,
    )
    outcome: Any
    try:
        outcome = await client.create_review(
            payment_link_id="product-1",
            customer_email="budi@example.com",
            rating=5,
            message="Bagus",
            content_review=[Attachment("file-1", "image")] if media else (),
            customer_id="customer-1",
        )
    except (ConflictError, OutcomeUnknownError) as error:
        outcome = error
    told = "\n".join([*in_words(found), repr(outcome)])
    assert not script.steps, told
    if end.end == "returned":
        assert isinstance(outcome, Review), told
        assert end.found is not None
        assert outcome.id == ("review-1" if end.found.ours else "review-2"), told
    else:
        assert type(outcome) is ENDS[str(end.end)], told


# --- the proofs -----------------------------------------------------------------------------------


def _harmless(ends: Iterator[Found]) -> list[Found]:
    checked = []
    for found in ends:
        assert found.harm is None, "\n".join(in_words(found))
        checked.append(found)
    return checked


@pytest.mark.slow
@virtual_time
async def test_no_path_of_six_requests_does_harm_and_the_code_goes_them() -> None:
    """Every end; one in twenty of them on the code."""
    checked = _harmless(search(steps=6))
    assert {found.end.end for found in checked} == {"returned", "conflict", "unknown"}
    with pytest.MonkeyPatch.context() as patch:
        for found in islice(checked, 0, None, 20):
            await _replay(found, patch)


@pytest.mark.slow
@virtual_time
async def test_no_path_of_twelve_requests_does_harm_and_the_code_goes_them() -> None:
    """Every end; one in a hundred of them on the code."""
    checked = _harmless(search())
    with pytest.MonkeyPatch.context() as patch:
        for found in islice(checked, 0, None, 100):
            await _replay(found, patch)


@pytest.mark.slow
@pytest.mark.parametrize("assumption", Assumption)
@virtual_time
async def test_without_an_assumption_something_goes_wrong(assumption: Assumption) -> None:
    """The page tells the shortest way, and the code goes it."""
    found = counterexample(assumption)
    with pytest.MonkeyPatch.context() as patch:
        await _replay(found, patch)
    page = PAGE.read_text()
    assert f"## {assumption.value.removesuffix('.')}\n" in page
    assert "\n".join(["```text", *in_words(found), "```"]) in page
