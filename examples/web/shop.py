"""The shop's side of Mayar: one client for the application's life, with a cache before it.

Nothing here knows of HTTP pages, so that it serves under any web framework.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Self

from attrs import field, frozen

from mayar_reviews import (
    RetryPolicy,
    Review,
    ReviewPage,
    ReviewsClient,
    ReviewStats,
    ReviewStatus,
    StatusUpdate,
)

from .cache import Cache, Snapshot

PAGE_SIZE = 20


@frozen
class Settings:
    """What a shop decides.

    Args:
        products: payment link ids and the names to show; nothing else is ever asked for, as an
            invented id would cost a request.
        moderator_password: opens the moderation view; `None`: there is none.
        secret: signs form tokens and cursors; processes that share an address share it.
        media: what the address of a picture must begin with to be shown.
        ttl: seconds for which a page of reviews is fresh.
    """

    products: Mapping[str, str]
    moderator_password: str | None = field(repr=False)
    secret: bytes = field(repr=False)
    media: tuple[str, ...] = ("https://media.mayar.id/",)
    ttl: float = 60.0


@frozen
class PublicReview:
    """What a stranger may see of a review: no ids of people, no email in place of a name."""

    id: str
    rating: int
    message: str | None
    name: str | None
    created_at: datetime
    images: tuple[str, ...]
    videos: tuple[str, ...]
    """File names: the API tells no address."""

    @classmethod
    def of(cls, review: Review, media: tuple[str, ...]) -> Self:
        """The public part of a review, with pictures from the addresses in `media` only."""
        name = review.customer.name if review.customer else None
        urls = (image.url for image in review.multiple_image)
        files = (content.file.filename for content in review.content if content.file)
        return cls(
            id=review.id,
            rating=review.rating,
            message=review.message,
            name=None if name is None or "@" in name else name,
            created_at=review.created_at,
            images=tuple(url for url in urls if url and url.startswith(media)),
            videos=tuple(name for name in files if name),
        )


class Shop:
    """The reviews of the shop's products.

    Reading waits three seconds at most and is answered from the cache where it can be. Writing
    may take longer: nobody minds, and an interrupted creation wants to be looked for.

    Args:
        client: belongs to the shop; it is not closed here.
        ttl: seconds for which what was read is fresh.
    """

    def __init__(self, client: ReviewsClient, ttl: float) -> None:
        hasty = RetryPolicy(backoff_initial=0.1, backoff_max=0.4)
        self._reader = client.with_options(timeout=1.5, deadline=3.0, retry=hasty)
        self._writer = client.with_options(timeout=6.0, deadline=15.0)
        self._cache = Cache(ttl)
        self._changed: dict[str, float] = {}
        self._statuses: dict[str, tuple[ReviewStatus, float]] = {}

    async def page(self, product: str, cursor: str | None) -> Snapshot[ReviewPage]:
        """One page of a product's reviews."""
        return await self._cache.get(
            ("page", product, cursor),
            lambda: self._reader.list_product_reviews(
                product, limit=PAGE_SIZE, starting_after=cursor
            ),
            self._changed.get(product, 0.0),
        )

    async def stats(self, product: str) -> Snapshot[ReviewStats | None]:
        """A product's figures."""
        return await self._cache.get(
            ("stats", product),
            lambda: self._reader.get_product_stats(product),
            self._changed.get(product, 0.0),
        )

    def status(self, review: Review, as_of: float) -> ReviewStatus | str:
        """A review's status, as a moderator may have set it since its page was read."""
        status, at = self._statuses.get(review.id, (review.status, as_of))
        return status if at >= as_of else review.status

    async def create(self, product: str, email: str, rating: int, message: str | None) -> None:
        """Leave a review; the next page read shows it."""
        await self._writer.create_review(
            payment_link_id=product, customer_email=email, rating=rating, message=message
        )
        self._changed[product] = asyncio.get_running_loop().time()

    async def list_all(
        self, status: ReviewStatus | None, cursor: str | None
    ) -> Snapshot[ReviewPage]:
        """One page of the whole store's reviews: as they are now, unless that fails."""
        return await self._cache.get(
            ("all", status, cursor),
            lambda: self._reader.list_reviews(
                limit=PAGE_SIZE, status=status, starting_after=cursor
            ),
            asyncio.get_running_loop().time(),
        )

    async def set_statuses(self, reviews: Mapping[str, str], status: ReviewStatus) -> None:
        """Archive or restore reviews, given with their products; the next page read shows it."""
        await self._writer.update_review_statuses(
            StatusUpdate(review_id, status) for review_id in reviews
        )
        now = asyncio.get_running_loop().time()
        self._statuses |= dict.fromkeys(reviews, (status, now))
        self._changed |= dict.fromkeys(reviews.values(), now)

    async def aclose(self) -> None:
        """Give up what is being read."""
        await self._cache.aclose()
