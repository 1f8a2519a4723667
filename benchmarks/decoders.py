"""Ways to decode a page: each function returns one that takes the body of an answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson
from pages import PRODUCT
from peer_models import page_model

from mayar_reviews import Review
from mayar_reviews.answers import Answer, understand
from mayar_reviews.credentials import Secret
from mayar_reviews.endpoints import ListProductReviews

Decoder = Callable[[bytes], object]


def envelope(reviews: bytes) -> bytes:
    """The body of an answer with these reviews."""
    return (
        b'{"statusCode":200,"messages":"success","data":%b,"hasMore":true,'
        b'"nextStartingAfter":"1767063610103"}' % reviews
    )


def with_orjson() -> Decoder:
    """The floor: dictionaries."""
    return orjson.loads


def with_json() -> Decoder:
    return json.loads


def with_mayar_reviews() -> Decoder:
    """Checks, strict types, frozen reviews, aware times: all that happens to an answer."""
    read, key = ListProductReviews(PRODUCT).read, Secret("key")

    def decode(body: bytes) -> object:
        listing = understand(Answer(200, {}, body), read, key, lists=Review)
        return listing.to_page(keep_invalid=False)

    return decode


def with_pydantic() -> Decoder:
    read: Callable[[bytes], Any] = page_model().model_validate_json
    return read
