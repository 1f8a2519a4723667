"""What the tests of the core share: answers without a network, and the documented examples."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp import ClientResponse
from aioresponses import CallbackResult, aioresponses
from yarl import URL

from mayar_reviews import RetryPolicy, ReviewsClient

ORIGIN = "https://api.mayar.id/hl/v2"
REVIEW = "11f4d767-4d88-41ff-8777-06564d906fe7"
PRODUCT = "e2b3f5d5-0c62-47ba-8a01-6c1c209e0f77"
CUSTOMER = "22eb6224-c20a-4bc2-9b99-13b21e7048c6"
EMAIL = "budi.santoso@example.com"

CREATE = ("POST", f"{ORIGIN}/reviews/create")
UPDATE = ("POST", f"{ORIGIN}/reviews/{REVIEW}/update")
GET = ("GET", f"{ORIGIN}/products/{PRODUCT}/reviews/customer?customerId={CUSTOMER}")
LIST = ("GET", f"{ORIGIN}/products/{PRODUCT}/reviews")


class _Response(ClientResponse):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", Mock(output_size=0))
        super().__init__(*args, **kwargs)


class Answers(aioresponses):
    """aioresponses, for the argument that aiohttp 3.14 added to its responses."""

    callback_result = staticmethod(partial(CallbackResult, response_class=_Response))

    def add(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("response_class", _Response)
        super().add(*args, **kwargs)


@pytest.fixture
def answers() -> Iterator[Answers]:
    """Answers to requests that never leave the process."""
    mocked = Answers()
    with mocked:
        yield mocked


@pytest.fixture
async def client() -> AsyncIterator[ReviewsClient]:
    """A client that does not wait before it tries again."""
    async with ReviewsClient("a-key", retry=RetryPolicy(backoff_initial=0)) as client:
        yield client


def sent(answers: Answers) -> tuple[str, URL, dict[str, Any]]:
    """The method, the URL and the arguments of the first request."""
    ((method, url), (call, *_)), *_ = answers.requests.items()
    return method, url, call.kwargs


def example(name: str) -> Any:
    """A documented answer."""
    path = Path(__file__).parents[1] / "examples" / f"{name}.json"
    return json.loads(path.read_text())
