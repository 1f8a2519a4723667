"""What the client's methods do beyond one request."""

from __future__ import annotations

import typing
from typing import Any

import pytest

from mayar_reviews import (
    ConflictError,
    InvalidArgumentError,
    NotFoundError,
    RateLimit,
    RequestEvent,
    ReviewsClient,
)
from mayar_reviews.testing import FakeMayar
from tests.support.calls import ARGUMENTS
from tests.support.clock import virtual_time
from tests.support.fault_server import FaultServer, make_review
from tests.support.harness import client_of
from tests.support.steps import Respond

KNOWN = "budi@example.com"


async def test_already_reviewed_edit_it() -> None:
    """A shop that knows only the email finds the review that stands in the way, and edits it."""
    async with FakeMayar() as fake:
        fake.add_purchase("kelas-web", KNOWN)
        async with ReviewsClient(fake.api_key, base_url=fake.url) as client:
            review: dict[str, Any] = {"payment_link_id": "kelas-web", "customer_email": KNOWN}
            await client.create_review(**review, rating=2)
            with pytest.raises(ConflictError, match=r"get_customer_review.*update_review"):
                await client.create_review(**review, rating=5)
            there = await client.get_customer_review("kelas-web", customer_email=KNOWN)
            assert there is not None
            assert (await client.update_review(there.id, rating=5)).rating == 5


async def test_nobody_has_that_email() -> None:
    """An unknown customer has no review."""
    async with FakeMayar() as fake:
        fake.add_product("kelas-web")
        async with ReviewsClient(fake.api_key, base_url=fake.url) as client:
            assert await client.get_customer_review("kelas-web", customer_email=KNOWN) is None
        assert [request.status for request in fake.requests] == [404]


async def test_a_key_whose_account_is_gone_is_not_an_unknown_customer() -> None:
    """Both are 404."""
    async with (
        FakeMayar(account_gone_key="gone") as fake,
        ReviewsClient("gone", base_url=fake.url) as client,
    ):
        with pytest.raises(NotFoundError, match="JWT"):
            await client.get_customer_review("kelas-web", customer_email=KNOWN)


@pytest.mark.parametrize("both", [{}, {"customer_id": "customer-1", "customer_email": KNOWN}])
async def test_a_customer_is_named_in_exactly_one_way(both: dict[str, str]) -> None:
    """Neither or both is refused before anything is sent."""
    async with ReviewsClient("key") as client:
        with pytest.raises(InvalidArgumentError, match="exactly one of"):
            await client.get_customer_review("kelas-web", **both)


async def _coroutine(_: RequestEvent) -> None:
    """It would never be awaited."""


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"on_event": 5}, "on_event"),
        ({"on_event": _coroutine}, "on_event"),
        ({"rate_limit": RateLimit}, "rate_limit"),
        ({"rate_limit": 20}, "rate_limit"),
        ({"retry": 3}, "retry"),
        ({"timeout": 0}, "timeout"),
        ({"deadline": "1"}, "deadline"),
    ],
)
def test_a_client_is_not_built_of_what_it_cannot_use(options: dict[str, Any], field: str) -> None:
    """Neither by its constructor nor by `with_options`."""
    with pytest.raises(InvalidArgumentError) as caught:
        ReviewsClient("key", **options)
    assert caught.value.field == field
    with pytest.raises(InvalidArgumentError):
        ReviewsClient("key").with_options(**options)


@pytest.mark.parametrize("method", [*ARGUMENTS, "__init__", "with_options"])
def test_annotations_can_be_resolved(method: str) -> None:
    """Tools that read them at run time, such as dependency injection, can."""
    assert typing.get_type_hints(getattr(ReviewsClient, method))


@virtual_time
async def test_a_404_of_a_gateway_is_not_an_unknown_customer() -> None:
    """Only the API can say that nobody has an email."""
    html = Respond(404, b"<html>no route</html>", on="customer")
    async with FaultServer([make_review(1)], script=(html,)) as server, client_of(server) as client:
        with pytest.raises(NotFoundError):
            await client.get_customer_review("product-1", customer_email=KNOWN)
