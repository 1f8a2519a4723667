"""A shop of the example's own kind, on a fake Mayar, for aiohttp's test client."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import encode_basic_auth
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from examples.web.app import create_app
from examples.web.cache import Cache
from examples.web.shop import Settings
from mayar_reviews import ReviewsClient
from mayar_reviews.testing import FakeMayar

Visitor = TestClient[Request, Application]

KEY = "the-secret-key"
PASSWORD = "rahasia"
MODERATOR = {"Authorization": encode_basic_auth("m", PASSWORD)}
PRODUCT = "kelas-web"
PAGE = f"/products/{PRODUCT}"
PRODUCTS = {PRODUCT: "Kelas <Web>", "buku": "Buku"}
SETTINGS = Settings(PRODUCTS, PASSWORD, b"secret", requests=200)


@pytest.fixture(autouse=True)
def _no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the shop's requests and views half a minute, as a busy machine may need it."""
    monkeypatch.setattr(Cache, "PATIENCE", 30.0)
    monkeypatch.setattr(Cache, "FIRST", 30.0)
    with_options = ReviewsClient.with_options

    def patient(client: ReviewsClient, **options: Any) -> ReviewsClient:
        return with_options(client, **options | {"timeout": 30.0, "deadline": 30.0})

    monkeypatch.setattr(ReviewsClient, "with_options", patient)


@pytest.fixture
async def fake() -> AsyncIterator[FakeMayar]:
    """A Mayar with two products, the first with three pages of reviews."""
    async with FakeMayar(KEY) as fake:
        fake.seed(PRODUCT, 45)
        fake.add_product("buku")
        yield fake


@pytest.fixture
async def visitor(fake: FakeMayar) -> AsyncIterator[Visitor]:
    """Somebody who visits the shop and reads English."""
    app = create_app(SETTINGS, api_key=KEY, base_url=fake.url)
    async with TestClient(TestServer(app), headers={"Accept-Language": "en"}) as visitor:
        yield visitor


async def read(visitor: Visitor, path: str) -> str:
    """A page that is there."""
    async with visitor.get(path) as answer:
        assert answer.status == 200
        return await answer.text()


async def token(visitor: Visitor, path: str, headers: dict[str, str] | None = None) -> str:
    """The token of a page's form; the visitor gets the cookie that goes with it."""
    async with visitor.get(path, headers=headers) as answer:
        return found_token(await answer.text())


def found_token(html: str) -> str:
    """The token of the first form on a page."""
    found = re.search('name="token" value="([^"]+)"', html)
    assert found
    return found[1]
