"""One page of a list as the API sends it, with what a test wants to be different."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from mayar_reviews import ReviewPage
from mayar_reviews.answers import Answer, understand
from mayar_reviews.credentials import Secret
from mayar_reviews.endpoints import Endpoint, ListProductReviews

T = TypeVar("T")

LIST = ListProductReviews("product-1")
REVIEW = {
    "id": "review-1",
    "paymentLinkId": "product-1",
    "customerId": "customer-1",
    "userId": "user-1",
    "rating": 5,
    "status": "ACTIVE",
    "createdAt": 1767063610103,
    "updatedAt": 1767063610103,
}
PAGE = {"statusCode": 200, "messages": "success", "hasMore": False}


def answer(body: Any, status: int = 200, **headers: str | tuple[str, ...]) -> Answer:
    return Answer(
        status,
        {
            name.replace("_", "-"): (value,) if isinstance(value, str) else value
            for name, value in headers.items()
        },
        body if isinstance(body, bytes) else json.dumps(body).encode(),
    )


def decode(endpoint: Endpoint[T], answer: Answer) -> T:
    return understand(answer, endpoint.read, Secret("the-key"), lists=endpoint.lists)


def decode_page(answer: Answer) -> ReviewPage:
    """The page, which must hold nothing that does not fit."""
    return decode(LIST, answer).to_page(keep_invalid=False)


def page_of(**fields: Any) -> Answer:
    return answer(PAGE | {"data": [REVIEW | fields]})
