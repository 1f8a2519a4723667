"""The JSON page again, in FastAPI, on the same `shop.py`: `uvicorn examples.web.fastapi_twin:app`.

It needs MAYAR_API_KEY and PRODUCTS ("id=Name; id=Name").
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from attrs import asdict
from fastapi import FastAPI, HTTPException

from mayar_reviews import ReviewsClient

from .shop import Settings, Shop


def create(settings: Settings, **options: Any) -> FastAPI:
    """The application; `options` are for `ReviewsClient`."""
    shops: list[Shop] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with ReviewsClient(**options) as client:
            shops.append(shop := Shop(client, settings))
            yield
            await shop.aclose()

    app = FastAPI(lifespan=lifespan)

    @app.get("/products/{product}/reviews.json")
    async def reviews(product: str) -> dict[str, Any]:
        if product not in settings.products:
            raise HTTPException(404, "This page does not exist.")
        listed, stats = await shops[0].page(product), await shops[0].stats(product)
        if (public := shops[0].public(listed)) is None:
            raise HTTPException(503, "The reviews cannot be shown at the moment.")
        return {
            "name": settings.products[product],
            "stats": stats.value and asdict(stats.value),
            "reviews": [asdict(review) for review in public],
        }

    return app


def __getattr__(name: str) -> FastAPI:  # so that importing this needs no environment
    if name != "app":
        raise AttributeError(name)
    pairs = (pair.partition("=") for pair in os.environ["PRODUCTS"].split(";"))
    products = {product.strip(): title.strip() for product, _, title in pairs}
    return create(Settings(products, None, b""))
