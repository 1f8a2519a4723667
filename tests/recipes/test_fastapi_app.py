"""The tests of examples/fastapi_app.py, as its user would write them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from examples.fastapi_app import app
from mayar_reviews.testing import FakeMayar

REVIEWS = "/products/kelas-web/reviews"


@pytest.fixture
def fake() -> Iterator[FakeMayar]:
    with FakeMayar() as fake:  # in a thread of its own, as the application has its own loop
        fake.add_purchase("kelas-web", "budi@example.com")
        yield fake


@pytest.fixture
def shop(fake: FakeMayar, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("MAYAR_API_KEY", fake.api_key)
    monkeypatch.setenv("MAYAR_API_URL", fake.url)
    with TestClient(app) as shop:
        yield shop


def test_a_review_is_created_and_shown(shop: TestClient) -> None:
    """The answers hold what the response model names, and no more."""
    new = {"customer_email": "budi@example.com", "rating": 4, "message": "Bagus"}
    created = shop.post(REVIEWS, json=new)
    assert created.status_code == 201
    [shown] = shop.get(REVIEWS).json()
    assert shown == created.json()
    assert set(shown) == {"id", "rating", "message", "created_at"}
    assert (shown["rating"], shown["message"]) == (4, "Bagus")


@pytest.mark.parametrize(
    ("email", "rating", "status", "detail"),
    [
        ("budi@example.com", 6, 422, "an integer from 1 to 5"),
        ("siti@example.com", 5, 403, "the customer has not bought the product"),
    ],
)
def test_a_wrong_review_is_refused(
    shop: TestClient, fake: FakeMayar, email: str, rating: int, status: int, detail: str
) -> None:
    """The buyer is told why."""
    fake.add_customer("siti@example.com")
    answer = shop.post(REVIEWS, json={"customer_email": email, "rating": rating})
    assert answer.status_code == status
    assert detail in answer.json()["detail"]
    assert not fake.reviews


def test_a_second_review_is_a_conflict(shop: TestClient) -> None:
    """Mayar allows one review for each customer and product."""
    new = {"customer_email": "budi@example.com", "rating": 4}
    assert [shop.post(REVIEWS, json=new).status_code for _ in range(2)] == [201, 409]


def test_an_unknown_product_is_not_found(shop: TestClient) -> None:
    assert shop.get("/products/no-such-product/reviews").status_code == 404


def test_a_failure_of_mayar_is_a_503_that_tells_nothing(shop: TestClient, fake: FakeMayar) -> None:
    """A wrong key is the shop's fault, and the buyer cannot help it."""
    fake.fail_next(401, message="key of toko@example.com was revoked")
    answer = shop.get(REVIEWS)
    assert answer.status_code == 503
    assert answer.json() == {"detail": "reviews are not available right now"}
