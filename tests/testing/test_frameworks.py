"""A program that uses the client, tested against FakeMayar the way each framework has it."""

from __future__ import annotations

import unittest
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient

from mayar_reviews import MayarError, ReviewsClient
from mayar_reviews.testing import FakeMayar

pytest_plugins = ["mayar_reviews.testing.plugin"]


def shop(url: str, key: str) -> FastAPI:
    """A web application with one client for its life."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with ReviewsClient(key, base_url=url) as client:
            app.state.reviews = client
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/products/{product}/rating")
    async def rating(product: str) -> float | None:
        client: ReviewsClient = app.state.reviews
        try:
            stats = await client.get_product_stats(product)
        except MayarError as error:
            raise HTTPException(502) from error
        return None if stats is None else stats.average

    return app


def test_fastapi_by_its_test_client() -> None:
    """`TestClient` runs the application in a loop of its own: the fake needs a thread."""
    with FakeMayar() as fake, TestClient(shop(fake.url, fake.api_key)) as client:
        fake.add_review("kelas-web", rating=4)
        assert client.get("/products/kelas-web/rating").json() == 4
        fake.fail_next(404)
        assert client.get("/products/kelas-web/rating").status_code == 502
        assert client.get("/products/kelas-web/rating").json() == 4
    assert [request.status for request in fake.requests] == [200, 404, 200]


async def test_fastapi_by_an_async_client() -> None:
    """`ASGITransport` runs it in the test's own loop, where the fake can be as well."""
    async with FakeMayar() as fake:
        fake.add_review("kelas-web", rating=4)
        app = shop(fake.url, fake.api_key)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://shop") as client,
        ):
            assert (await client.get("/products/kelas-web/rating")).json() == 4


def test_fastapi_by_the_fixture(fake_mayar: FakeMayar) -> None:
    """The fixture serves a test that is no coroutine."""
    with TestClient(shop(fake_mayar.url, fake_mayar.api_key)) as client:
        assert client.get("/products/kelas-web/rating").json() is None


class _Case(unittest.TestCase):
    """Django's and Flask's tests are of this kind."""

    def setUp(self) -> None:
        self.fake = self.enterContext(FakeMayar())

    def test_rating(self) -> None:
        self.fake.add_review("kelas-web", rating=3)
        with TestClient(shop(self.fake.url, self.fake.api_key)) as client:
            assert client.get("/products/kelas-web/rating").json() == 3


class _AsyncCase(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.fake = await self.enterAsyncContext(FakeMayar())

    async def test_rating(self) -> None:
        self.fake.add_review("kelas-web", rating=3)
        async with ReviewsClient(self.fake.api_key, base_url=self.fake.url) as client:
            stats = await client.get_product_stats("kelas-web")
            assert stats is not None
            assert stats.average == 3


@pytest.mark.parametrize("case", [_Case, _AsyncCase])
def test_unittest(case: type[unittest.TestCase]) -> None:
    """Both kinds of its test cases can open a FakeMayar for each test."""
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    assert result.testsRun == 1
    assert not result.errors + result.failures
