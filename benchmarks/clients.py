"""The clients compared: each walks all pages of a product and returns how many reviews it saw.

What each needs is imported where it is used: a run in a fresh process pays for nothing else,
and what is not installed is left out. To type checkers the peers are `Any`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from pages import REVIEWS_A_PAGE
from peer_models import page_model, review_model

from mayar_reviews import RateLimit, ReviewsClient

Fetch = Callable[[str, dict[str, str]], Awaitable[Any]]
"""Fetches a page of a product."""
_KEY = {"Authorization": "Bearer benchmark"}


@asynccontextmanager
async def _aiohttp_pages(origin: str, parse: Callable[[bytes], Any]) -> AsyncIterator[Fetch]:
    async with aiohttp.ClientSession(headers=_KEY) as session:

        async def fetch(product: str, query: dict[str, str]) -> Any:
            async with session.get(_url(origin, product), params=query) as response:
                return parse(await response.read())

        yield fetch


def raw_pages(origin: str) -> AbstractAsyncContextManager[Fetch]:
    """The floor: what nobody who uses aiohttp can do without."""
    return _aiohttp_pages(origin, orjson.loads)


async def raw(origin: str, product: str) -> int:
    async with raw_pages(origin) as fetch:
        return await _count(_follow(partial(fetch, product)))


async def raw_export(origin: str, product: str, output: Path) -> int:
    """The floor of an export: a file of the same lines, synced once."""
    count = 0
    async with raw_pages(origin) as fetch:
        with output.open("wb") as file:
            async for review in _follow(partial(fetch, product)):
                file.write(orjson.dumps(review, option=orjson.OPT_APPEND_NEWLINE))
                count += 1
            file.flush()
            os.fsync(file.fileno())
    return count


@asynccontextmanager
async def mayar_reviews_pages(origin: str) -> AsyncIterator[Fetch]:
    async with ReviewsClient("benchmark", base_url=origin, rate_limit=None) as client:

        async def fetch(product: str, query: dict[str, str]) -> Any:
            return await client.list_product_reviews(product, limit=int(query["limit"]))

        yield fetch


async def mayar_reviews(origin: str, product: str) -> int:
    async with ReviewsClient("benchmark", base_url=origin, rate_limit=None) as client:
        return await _count(client.iter_product_reviews(product))


async def aiohttp_tenacity(origin: str, product: str) -> int:
    tenacity: Any = import_module("tenacity")
    async with aiohttp.ClientSession(headers=_KEY, raise_for_status=True) as session:

        @tenacity.retry(  # type: ignore[untyped-decorator]
            stop=tenacity.stop_after_attempt(4),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=8),
            retry=tenacity.retry_if_exception_type(aiohttp.ClientError),
        )
        async def fetch(query: dict[str, str]) -> Any:
            async with session.get(_url(origin, product), params=query) as response:
                return orjson.loads(await response.read())

        return await _count(_follow(fetch))


def aiohttp_pydantic_pages(origin: str) -> AbstractAsyncContextManager[Fetch]:
    page = page_model()
    return _aiohttp_pages(origin, lambda body: page.model_validate_json(body).__dict__)


async def aiohttp_pydantic(origin: str, product: str) -> int:
    async with aiohttp_pydantic_pages(origin) as fetch:
        return await _count(_follow(partial(fetch, product)))


@asynccontextmanager
async def httpx_pydantic_pages(origin: str) -> AsyncIterator[Fetch]:
    httpx: Any = import_module("httpx")
    page = page_model()
    limits = httpx.Limits(max_connections=None)  # as the others
    async with httpx.AsyncClient(headers=_KEY, limits=limits, timeout=60) as client:

        async def fetch(product: str, query: dict[str, str]) -> Any:
            response = await client.get(_url(origin, product), params=query)
            return page.model_validate_json(response.content).__dict__

        yield fetch


async def httpx_pydantic(origin: str, product: str) -> int:
    async with httpx_pydantic_pages(origin) as fetch:
        return await _count(_follow(partial(fetch, product)))


async def stainless(origin: str, product: str) -> int:
    """The paginator of the openai package, which Stainless generates, with typed reviews."""
    openai: Any = import_module("openai")
    review = review_model(openai.BaseModel)
    page = import_module("openai.pagination").AsyncCursorPage[review]
    async with openai.AsyncOpenAI(api_key="benchmark", base_url=f"{origin}/hl/v2") as client:
        path = _url("", product).removeprefix("/hl/v2")
        query = {"params": {"limit": str(REVIEWS_A_PAGE)}}
        return await _count(client.get_api_list(path, page=page, model=review, options=query))


async def stripe(origin: str, product: str) -> int:
    """Stripe's `auto_paging_iter`, with the objects that it makes of any answer."""
    package: Any = import_module("stripe")
    client = package.StripeClient("benchmark", base_addresses={"api": origin})
    url = _url("", product)
    first = await client.raw_request_async("get", url, limit=REVIEWS_A_PAGE)
    pages = client.deserialize(first, params={"limit": REVIEWS_A_PAGE}, api_mode="V1")
    return await _count(pages.auto_paging_iter())


async def paced(origin: str, product: str, requests: int, per: float) -> int:
    """Page after page, within a rate limit."""
    async with _paced(origin, requests, per) as client:
        return await _count(client.iter_product_reviews(product))


async def paced_at_once(origin: str, product: str, requests: int, per: float) -> int:
    """As many calls as the product has pages, all begun at the same time."""
    async with _paced(origin, requests, per) as client:
        pages = int(product.partition("-")[0])
        calls = (client.list_product_reviews(product, limit=50) for _ in range(pages))
        return sum(len(page.data) for page in await asyncio.gather(*calls))


def _paced(origin: str, requests: int, per: float) -> ReviewsClient:
    rate_limit = RateLimit(requests, per=per)
    return ReviewsClient("benchmark", base_url=origin, rate_limit=rate_limit, deadline=None)


async def obedient(origin: str, product: str, *_: object) -> int:
    """Page after page, as fast as may be; after a 429 it waits for as long as it is told."""
    async with aiohttp.ClientSession(headers=_KEY) as session:

        async def fetch(query: dict[str, str]) -> Any:
            while True:
                async with session.get(_url(origin, product), params=query) as response:
                    if response.status != 429:
                        return orjson.loads(await response.read())
                await asyncio.sleep(int(response.headers["Retry-After"]))

        return await _count(_follow(fetch))


async def _follow(fetch: Callable[[dict[str, str]], Awaitable[Any]]) -> AsyncIterator[Any]:
    query = {"limit": str(REVIEWS_A_PAGE)}
    while True:
        page = await fetch(query)
        for review in page["data"]:
            yield review
        if not page["hasMore"]:
            return
        query["startingAfter"] = page["nextStartingAfter"]


async def _count(reviews: AsyncIterable[object]) -> int:
    count = 0
    async for _ in reviews:
        count += 1
    return count


def _url(origin: str, product: str) -> str:
    return f"{origin}/hl/v2/products/{product}/reviews"
