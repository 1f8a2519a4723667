"""What tests of exports begin with: a fake Mayar with reviews, a client of it, and ways to fail."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mayar_reviews import (
    AuthenticationError,
    ExportError,
    InvalidArgumentError,
    ReviewsClient,
)
from mayar_reviews.export import export_reviews
from mayar_reviews.testing import FakeMayar

KEY = "a-key-that-must-stay-home"
PRODUCT = "kelas-web"


class WaitingBudget:
    """A budget that tells of a wait before each request: so each page is made safe at once.

    Args:
        every: tell of a wait before each so-many-th request only.
    """

    def __init__(self, every: int = 1) -> None:
        self._every = every
        self._requests = 0

    @asynccontextmanager
    async def slot(
        self, until: float | None = None, on_wait: Callable[[float], None] | None = None
    ) -> AsyncGenerator[None, None]:
        self._requests += 1
        if on_wait is not None and self._requests % self._every == 0:
            on_wait(0.0)
        yield

    async def pause(self, seconds: float) -> None:
        """Is not needed."""


@asynccontextmanager
async def shop(
    seed: int = 120, *, mayar: FakeMayar | None = None, **options: Any
) -> AsyncGenerator[tuple[FakeMayar, ReviewsClient], None]:
    """A fake Mayar with so many reviews of one product, and a client without pacing."""
    async with mayar or FakeMayar(KEY) as fake:
        fake.add_product(PRODUCT)
        if seed:
            fake.seed(PRODUCT, seed)
        options = {"rate_limit": None} | options
        async with ReviewsClient(fake.api_key, base_url=fake.url, **options) as client:
            yield fake, client


def reviews_in(path: str | Path) -> list[dict[str, Any]]:
    """The reviews in a JSONL file, in their order."""
    return [json.loads(line) for line in Path(path).read_bytes().splitlines()]


def ids(path: Path) -> list[str]:
    return [review["id"] for review in reviews_in(path)]


def newest_first(fake: FakeMayar, payment_link_id: str = PRODUCT) -> list[str]:
    """The ids of all reviews of a product, in the order of its list."""
    reviews = [one for one in fake.reviews.values() if one["paymentLinkId"] == payment_link_id]
    return [one["id"] for one in sorted(reviews, key=lambda one: -one["createdAt"])]


def state_of(output: Path) -> dict[str, Any]:
    """The content of the state file of an output."""
    state: dict[str, Any] = json.loads(Path(f"{output}.state.json").read_bytes())
    return state


def journal_of(output: Path) -> Path:
    """The file that holds the pages fetched so far."""
    return Path(f"{output}.partial.jsonl")


def left_of(output: Path) -> list[str]:
    """The names of all files that belong to an output, without its own name in them."""
    names = (path.name for path in output.parent.iterdir() if output.name in path.name)
    return sorted(name.replace(output.name, "*") for name in names)


FINISHED = ["*", "*.state.json"]
"""What is left of a finished export as JSONL."""
STORE = "*.reviews.jsonl.gz"
"""What is left beside, in other formats."""


async def interrupt(client: ReviewsClient, fake: FakeMayar, output: Path, **options: Any) -> None:
    """Export two pages of 20. The API refuses the third."""
    fake.before_list(2, lambda: fake.fail_next(401))
    with pytest.raises(ExportError) as caught:
        await export_reviews(client, PRODUCT, output, page_size=20, **options)
    assert isinstance(caught.value.__cause__, AuthenticationError)
    assert caught.value.written == 40


async def refusal(client: ReviewsClient, fake: FakeMayar, *args: Any, **options: Any) -> str:
    """The message of an export that is refused before any request."""
    asked = len(fake.requests)
    with pytest.raises(InvalidArgumentError) as caught:
        await export_reviews(client, *args, **options)
    assert len(fake.requests) == asked
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.field is not None
    assert message.startswith(f"{caught.value.field} ")
    return message
