"""One page of a list as the API sends it, with what a test wants to be different."""

from __future__ import annotations

import json
from typing import Any

from mayar_reviews.arguments import ProductReviews
from mayar_reviews.wire import Answer, list_product_reviews

LIST = list_product_reviews(ProductReviews("product-1"))
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


def page_of(**fields: Any) -> Answer:
    return answer(PAGE | {"data": [REVIEW | fields]})
