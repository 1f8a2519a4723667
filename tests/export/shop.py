"""A fake Mayar with reviews in it, and a client of it: what every test here begins with."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from mayar_reviews import ReviewsClient
from mayar_reviews.testing import FakeMayar

KEY = "a-key-that-must-stay-home"


@asynccontextmanager
async def shop(
    seed: int = 120, *, mayar: FakeMayar | None = None, **options: Any
) -> AsyncGenerator[tuple[FakeMayar, ReviewsClient], None]:
    async with mayar or FakeMayar(KEY) as fake:
        if seed:
            fake.seed("kelas-web", seed)
        options = {"rate_limit": None} | options
        async with ReviewsClient(fake.api_key, base_url=fake.url, **options) as client:
            yield fake, client


def ids(path: Path) -> list[str]:
    """The ids of the reviews in a JSONL file, in their order."""
    return [orjson.loads(line)["id"] for line in path.read_bytes().splitlines()]


def newest_first(fake: FakeMayar, payment_link_id: str = "kelas-web") -> list[str]:
    """The ids that the whole list of a product has."""
    reviews = [one for one in fake.reviews.values() if one["paymentLinkId"] == payment_link_id]
    return [one["id"] for one in sorted(reviews, key=lambda one: -one["createdAt"])]
