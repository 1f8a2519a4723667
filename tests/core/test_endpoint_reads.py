"""What an endpoint makes of an answer that is not what it asked for."""

from __future__ import annotations

from typing import Any

import pytest

from mayar_reviews import PaginationError, ResponseError
from mayar_reviews.answers import Envelope
from mayar_reviews.endpoints import (
    CreateReview,
    Endpoint,
    GetCustomer,
    GetCustomerReview,
    ListProductReviews,
    ListReviews,
    UpdateReview,
)
from tests.support.fault_server import make_review

PRODUCT, CUSTOMER = "product-1", "customer-1"
CREATE = CreateReview(PRODUCT, "budi@example.com", 5)
UPDATE = UpdateReview("review-1", rating=5)
GET = GetCustomerReview(PRODUCT, CUSTOMER)
LIST = ListProductReviews(PRODUCT, starting_after="here")


def _body(data: Any, **others: Any) -> Envelope:
    return Envelope(statusCode=200, messages="success", data=data, **others)


def _page(*rows: Any) -> Envelope:
    return _body(list(rows), hasMore=False)


@pytest.mark.parametrize(
    ("endpoint", "body", "path"),
    [
        (CREATE, _body(make_review(1, paymentLinkId="product-2")), "$.data.paymentLinkId"),
        (CREATE, _body(make_review(1, rating=4)), "$.data.rating"),
        (UPDATE, _body(make_review(2)), "$.data.id"),
        (GET, _body(make_review(1, paymentLinkId="product-2")), "$.data.paymentLinkId"),
        (GET, _body(make_review(1, customerId="customer-2")), "$.data.customerId"),
        (
            LIST,
            _page(make_review(1), make_review(2, paymentLinkId="product-2")),
            "$.data[1].paymentLinkId",
        ),
        (
            LIST,
            _page({"id": "review-1", "paymentLinkId": "product-2"}, *map(make_review, range(9))),
            "$.data[0].paymentLinkId",
        ),
        (
            GetCustomer("budi@example.com"),
            _body({"id": CUSTOMER, "email": "ani@example.com"}),
            "$.data.email",
        ),
    ],
)
def test_an_answer_to_another_request_is_refused_by_what_it_names(
    endpoint: Endpoint[Any], body: Envelope, path: str
) -> None:
    """The error says which field it was, and that asking again may help."""
    with pytest.raises(ResponseError) as caught:
        endpoint.read(body)
    assert caught.value.path == path
    assert str(caught.value) == f"{path}: the answer belongs to another request"
    assert caught.value.transient


@pytest.mark.parametrize("endpoint", [LIST, ListReviews(starting_after="here")])
def test_a_page_that_leads_nowhere_names_its_own_cursor(endpoint: Endpoint[Any]) -> None:
    """From there it can be asked for again."""
    with pytest.raises(PaginationError) as caught:
        endpoint.read(_body([], hasMore=True, nextStartingAfter=None))
    assert caught.value.starting_after == "here"


def test_a_review_of_a_page_that_does_not_name_its_product_is_kept() -> None:
    """It does not say that it is another's."""
    odd = {"id": "review-x", "paymentLinkId": 5}
    listing = LIST.read(_page(odd, "text", *map(make_review, range(9))))
    assert list(listing.raw[:2]) == [odd, "text"]


@pytest.mark.parametrize(
    ("endpoint", "field", "asked", "other"),
    [
        (ListProductReviews(PRODUCT, rating=5), "rating", 5, 4),
        (ListReviews(rating=5), "rating", 5, 4),
        (ListReviews(status="ACTIVE"), "status", "ACTIVE", "ARCHIVED"),
        (ListReviews(payment_link_id=PRODUCT), "paymentLinkId", PRODUCT, "product-2"),
    ],
)
def test_a_list_keeps_what_was_asked_for(
    endpoint: ListProductReviews | ListReviews, field: str, asked: object, other: object
) -> None:
    """And what cannot be compared; a server was seen to ignore filters."""
    rows = [make_review(n, **{field: value}) for n, value in enumerate((asked, other, asked))]
    odd = [{"id": "x", field: None}, {"id": "y", field: [other]}, "text"]
    page = _page(*rows, {"id": "z", field: other}, *odd, *(make_review(n) for n in range(10, 20)))
    raws = list(endpoint.select(endpoint.read(page)).raw)
    assert raws[:5] == [rows[0], rows[2], *odd]


def test_a_customer_is_known_by_the_email_in_any_case() -> None:
    """The id is returned; null means that there is none."""
    endpoint = GetCustomer("Budi@Example.com")
    assert endpoint.read(_body({"id": CUSTOMER, "email": "bUDI@example.com"})) == CUSTOMER
    assert endpoint.read(_body(None)) is None


def test_an_id_of_a_customer_that_no_path_can_hold_is_refused() -> None:
    """It would lead to another resource."""
    with pytest.raises(ResponseError) as caught:
        GetCustomer("budi@example.com").read(_body({"id": "../..", "email": "budi@example.com"}))
    assert (caught.value.path, caught.value.transient) == ("$.data.id", False)
    assert str(caught.value).startswith("$.data.id: ")
    assert "None" not in str(caught.value)
    assert "../.." not in str(caught.value)
