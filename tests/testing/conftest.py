"""A FakeMayar, and a plain HTTP client of it: never the SDK."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from mayar_reviews.testing import FakeMayar

EXAMPLES = Path(__file__).parent.parent / "examples"
PRODUCT = "e2b3f5d5-0c62-47ba-8a01-6c1c209e0f77"
CUSTOMER = "22eb6224-c20a-4bc2-9b99-13b21e7048c6"
EMAIL = "budi.santoso@example.com"
REVIEW = "11f4d767-4d88-41ff-8777-06564d906fe7"
IMAGE = "d4e5f6a7-b8c9-4012-d345-6789abcdef01"
ALREADY = (
    "Anda sudah memberikan ulasan untuk produk ini, jika ingin mengedit ulasan, "
    "silahkan gunakan fitur edit ulasan"
)
LIST = f"/products/{PRODUCT}/reviews"


def example(name: str) -> Any:
    return json.loads((EXAMPLES / f"{name}.json").read_text())


class Client:
    """A plain HTTP client of one server: status and body of each answer."""

    def __init__(self, fake: FakeMayar, session: ClientSession) -> None:
        self.fake, self.session = fake, session
        self.headers = {"Authorization": f"Bearer {fake.api_key}"}

    async def get(self, path: str, **query: str | int) -> tuple[int, Any]:
        url = f"{self.fake.url}/hl/v2{path}"
        async with self.session.get(url, params=query, headers=self.headers) as answer:
            return answer.status, await answer.json()

    async def post(self, path: str, body: object) -> tuple[int, Any]:
        url = f"{self.fake.url}/hl/v2{path}"
        data = body if isinstance(body, bytes) else json.dumps(body)
        async with self.session.post(url, data=data, headers=self.headers) as answer:
            return answer.status, await answer.json()

    async def walk(self, path: str, **query: str | int) -> list[Any]:
        """All reviews of a list, page after page."""
        reviews: list[Any] = []
        while True:
            status, page = await self.get(path, **query)
            assert status == HTTPStatus.OK
            reviews += page["data"]
            assert page["hasMore"] == (page["nextStartingAfter"] is not None)
            if not page["hasMore"]:
                return reviews
            query["startingAfter"] = page["nextStartingAfter"]


@pytest.fixture
async def fake() -> AsyncIterator[FakeMayar]:
    async with FakeMayar() as fake:
        yield fake


@pytest.fixture
async def client(fake: FakeMayar) -> AsyncIterator[Client]:
    async with ClientSession() as session:
        yield Client(fake, session)


def add_example(fake: FakeMayar, name: str) -> dict[str, Any]:
    """Store the review that an example of a list shows."""
    fake.add_product(PRODUCT)
    fake.add_customer(EMAIL, customer_id=CUSTOMER)
    [review] = example(name)["data"]
    return fake.add_review(PRODUCT, **review)


def creation(**changes: object) -> dict[str, object]:
    body = {"paymentLinkId": PRODUCT, "customerEmail": EMAIL, "rating": 5, "message": "Bagus"}
    return {name: value for name, value in (body | changes).items() if value is not ...}


def refusal(status: int, messages: str) -> tuple[int, dict[str, Any]]:
    return status, {"statusCode": status, "messages": messages}


async def eventually(condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never came to that")


def ids(reviews: Iterable[Any]) -> list[str]:
    return [review["id"] for review in reviews]
