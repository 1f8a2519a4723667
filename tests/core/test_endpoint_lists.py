"""Every list of "all endpoints" is held against the endpoint classes."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from mayar_reviews import ReviewsClient, endpoints
from mayar_reviews.endpoints import Endpoint, GetCustomer
from mayar_reviews.testing import FakeMayar
from mayar_reviews.testing.api import route_of
from tests.support.calls import ARGUMENTS, call

from . import test_laws

README = Path(__file__).parents[2] / "README.md"
ENDPOINTS = [
    one
    for one in vars(endpoints).values()
    if inspect.isclass(one) and issubclass(one, Endpoint) and one is not Endpoint
]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_endpoint_has_its_place_everywhere(endpoint: type[Endpoint[object]]) -> None:
    """A documentation page, a method, a route of the fake server, a line of the README."""
    assert "https://docs.mayar.id/api-reference-v2/" in (endpoint.__doc__ or "")
    path = re.sub(r"\{\w+\}", "some-id", endpoint.route)
    assert route_of(endpoint.method, f"/hl/v2{path}")[0] is not None
    if endpoint is not GetCustomer:  # only looked up on the way
        assert hasattr(ReviewsClient, endpoint.name)
        assert (
            f"`{endpoint.name}" in README.read_text() or f".{endpoint.name}(" in README.read_text()
        )


def test_hostile_answers_are_tried_on_every_endpoint_that_reads_data() -> None:
    """`ANSWERS` has the documented answer of each."""
    tried = {type(endpoint) for endpoint, _ in test_laws.ANSWERS}
    reading = {one for one in ENDPOINTS if one.__name__ != "UpdateReviewStatuses"}
    assert tried == reading


def test_no_two_endpoints_have_one_name() -> None:
    """Events and logs tell them apart by it."""
    assert len({one.name for one in ENDPOINTS}) == len(ENDPOINTS)


@pytest.mark.parametrize("method", ARGUMENTS)
async def test_the_fake_server_answers_every_call(method: str) -> None:
    """With what the call's documentation says."""
    async with FakeMayar() as fake:
        fake.add_purchase("product-1", "budi@example.com")
        fake.add_review("product-1", id="review-1", customerId="customer-1")
        async with ReviewsClient(fake.api_key, base_url=fake.url) as client:
            await call(client, method)
        assert {request.status for request in fake.requests} == {200}
