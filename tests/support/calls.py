"""One valid call of every public method of the client.

`test_public_surface` holds the names against the class: a new method that is forgotten here
fails there, and every test that goes through all methods gets it from here.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from typing import Any

from mayar_reviews import ReviewsClient, StatusUpdate

_PRODUCT: dict[str, Any] = {"payment_link_id": "product-1"}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "create_review": _PRODUCT | {"customer_email": "budi@example.com", "rating": 5},
    "update_review": {"review_id": "review-1", "rating": 4},
    "get_customer_review": _PRODUCT | {"customer_id": "customer-1"},
    "list_product_reviews": _PRODUCT,
    "iter_product_reviews": _PRODUCT,
    "iter_product_review_pages": _PRODUCT,
    "list_reviews": {},
    "iter_reviews": {},
    "iter_review_pages": {},
    "get_product_stats": _PRODUCT,
    "get_merchant_stats": {},
    "update_review_statuses": {"updates": [StatusUpdate("review-1", "ARCHIVED")]},
}
NOT_CALLS = {"aclose", "with_options", "watch_reviews"}
"""The public methods that send nothing, and the one that waits out every outage."""


def call(client: ReviewsClient, method: str, **others: Any) -> Awaitable[Any]:
    """Make the call, with other arguments in place of some; of a generator, its first step."""
    called = getattr(client, method)(**ARGUMENTS[method] | others)
    return anext(called) if inspect.isasyncgen(called) else called


def parameters(method: str) -> dict[str, inspect.Parameter]:
    """The parameters of a method, by name."""
    found = dict(inspect.signature(getattr(ReviewsClient, method)).parameters)
    del found["self"]
    return found
