"""What Mayar's own Node tool asks of a server, subcommand by subcommand, and what it reads.

The requests are those of `mayar review …`; the shapes are what it prints of the answers. With
`MAYAR_API_URL` pointing at a `FakeMayar`, the tool itself works on it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from mayar_reviews.testing import FakeMayar

PRODUCT = "e2b3f5d5-0c62-47ba-8a01-6c1c209e0f77"
WRITTEN = {
    "id", "rating", "message", "paymentLinkId", "customerId", "userId", "status", "createdAt",
    "updatedAt",
}  # fmt: skip
LISTED = WRITTEN | {"multipleImage", "content", "customer", "paymentLink"}


@pytest.fixture
async def fake() -> AsyncIterator[FakeMayar]:
    async with FakeMayar() as fake:
        fake.seed(PRODUCT, 12)
        fake.add_review(PRODUCT, id="review-1", customerId="customer-1", message="Bagus")
        fake.add_purchase(PRODUCT, "budi@example.com")
        yield fake


async def _ask(fake: FakeMayar, method: str, path: str, **request: Any) -> Any:
    headers = {"Authorization": f"Bearer {fake.api_key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, f"{fake.url}/hl/v2{path}", **request) as response,
    ):
        assert response.status == 200
        body = await response.json()
        assert (body["statusCode"], body["messages"]) == (200, "success")
        return body


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/reviews", {}),
        ("/reviews", {"limit": "5", "status": "ACTIVE", "paymentLinkId": PRODUCT, "rating": "5"}),
        (f"/products/{PRODUCT}/reviews", {}),
        (f"/products/{PRODUCT}/reviews", {"limit": "5", "prioritizeMessage": "true"}),
    ],
)
async def test_list_and_product(path: str, query: dict[str, str], fake: FakeMayar) -> None:
    """`list` and `product`: rows with a customer's name, and a footer with the next cursor."""
    body = await _ask(fake, "GET", path, params=query)
    assert 1 <= len(body["data"]) <= int(query.get("limit", 10))
    for row in body["data"]:
        assert set(row) >= LISTED - {"message"}
        assert isinstance(row["customer"]["name"], str)
        assert isinstance(row["createdAt"], int)
    assert isinstance(body["hasMore"], bool)
    if body["hasMore"]:
        more = await _ask(
            fake, "GET", path, params=query | {"startingAfter": body["nextStartingAfter"]}
        )
        assert not {row["id"] for row in more["data"]} & {row["id"] for row in body["data"]}


@pytest.mark.parametrize("path", ["/merchants/reviews/stats", f"/products/{PRODUCT}/reviews/stats"])
async def test_stats(path: str, fake: FakeMayar) -> None:
    """`stats`: a total, an average, and a row for each rating from 5 down."""
    data = (await _ask(fake, "GET", path))["data"]
    assert data["total"] >= 10
    assert 1 <= data["average"] <= 5
    assert [row["rating"] for row in data["stats"]] == [5, 4, 3, 2, 1]
    for row in data["stats"]:
        assert isinstance(row["totalRating"], int)
        assert isinstance(row["percentage"], int)


async def test_create(fake: FakeMayar) -> None:
    """`create --data '{…}'`: the record as documented."""
    body = {"paymentLinkId": PRODUCT, "customerEmail": "budi@example.com", "rating": 5}
    data = (await _ask(fake, "POST", "/reviews/create", json=body))["data"]
    assert set(data) == WRITTEN


async def test_update(fake: FakeMayar) -> None:
    """`update ID --data '{…}'`: the tool puts the id into the body, too."""
    body = {"rating": 3, "id": "review-1"}
    data = (await _ask(fake, "POST", "/reviews/review-1/update", json=body))["data"]
    assert set(data) >= WRITTEN
    assert data["rating"] == 3


async def test_bulk_status(fake: FakeMayar) -> None:
    """`bulk-status --data '[…]'`: the tool wraps a list as `input`; the answer has no data."""
    body = {"input": [{"id": "review-1", "status": "ARCHIVED"}]}
    answer = await _ask(fake, "POST", "/reviews/bulk-status/update", json=body)
    assert set(answer) == {"statusCode", "messages"}
    assert fake.reviews["review-1"]["status"] == "ARCHIVED"


@pytest.mark.parametrize(("customer", "there"), [("customer-1", True), ("customer-9", False)])
async def test_product_customer(customer: str, there: bool, fake: FakeMayar) -> None:
    """`product-customer ID --customerId ID`: the review with its media, or null."""
    path = f"/products/{PRODUCT}/reviews/customer"
    data = (await _ask(fake, "GET", path, params={"customerId": customer}))["data"]
    if there:
        assert set(data) == LISTED - {"customer", "paymentLink"}
    else:
        assert data is None
