"""The shop's side of Mayar: one client for the application's life, with a cache before it.

Nothing here knows of HTTP pages: it serves under any web framework, as `fastapi_twin.py` shows.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Self

from attrs import field, frozen

from mayar_reviews import (
    Attachment,
    AuthenticationError,
    ConnectionFailedError,
    MayarError,
    NotFoundError,
    RateLimit,
    RateLimiter,
    RetryPolicy,
    Review,
    ReviewPage,
    ReviewsClient,
    ReviewStats,
    ReviewStatus,
    StatusUpdate,
)

from .cache import Cache, Snapshot, explain
from .changes import Changes

PAGE_SIZE = 20
_GAP = re.compile(r"(?:[^\S\n]*\n){3,}")


@frozen
class Settings:
    """What a shop decides.

    Args:
        products: payment link ids and the names to show; nothing else is ever asked for, as an
            invented id would cost a request.
        moderator_password: opens the moderation view; `None`: there is none.
        secret: signs form tokens and cursors; processes that share an address share it.
        media: what the address of a picture must begin with to be shown.
        pictures: the address of a product's picture, for those that have one.
        prices: in rupiah, for those whose price search engines should show.
        ttl: seconds for which a page of reviews is fresh.
        requests: how many a minute Mayar may be asked: 20, or this process's part of it.
        behind_proxy: whether to believe `X-Forwarded-For` and `X-Forwarded-Proto`.
        changes: a file in which the processes of one machine tell each other of changes.
        upload: stores a photo (its bytes and its type) with Mayar and returns the file's id;
            `None`: the form asks for none. Mayar documents no way for API keys.
    """

    products: Mapping[str, str]
    moderator_password: str | None = field(repr=False)
    secret: bytes = field(repr=False)
    media: tuple[str, ...] = ("https://media.mayar.id/",)
    pictures: Mapping[str, str] = {}
    prices: Mapping[str, int] = {}
    ttl: float = 60.0
    requests: int = 20
    behind_proxy: bool = False
    changes: Path | None = None
    upload: Callable[[bytes, str], Awaitable[str]] | None = None


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
    @lru_cache(maxsize=4096)
    def of(cls, review: Review, media: tuple[str, ...]) -> Self:
        """The public part of a review, with pictures from the addresses in `media` only."""
        name = review.customer.name if review.customer else None
        urls = (image.url for image in review.multiple_image)
        files = (content.file.filename for content in review.content if content.file)
        return cls(
            id=review.id,
            rating=review.rating,
            message=review.message and _GAP.sub("\n\n", review.message),
            name=None if name is None or "@" in name else name,
            created_at=review.created_at,
            images=tuple(url for url in urls if url and url.startswith(media)),
            videos=tuple(name for name in files if name),
        )


class Shop:
    """The reviews of the shop's products.

    Reading is answered from the cache where it can be, and a view waits three seconds at most.
    Writing may take longer: an interrupted creation wants to be looked for.

    Each has a share of one budget, so that no visitor, however fast, keeps buyers and moderators
    from theirs. Of 20 requests a minute pages of reviews take 12 at most (older pages 6 of these)
    and forms 6. So moderation has 2 whatever happens, and may take 12.

    Args:
        client: belongs to the shop; it is not closed here.
        settings: the products, and how often Mayar may be asked.
        budget: all requests that may be made; by default `settings.requests` a minute.
    """

    def __init__(
        self, client: ReviewsClient, settings: Settings, budget: RateLimiter | None = None
    ) -> None:
        def share(of_twenty: int, within: RateLimiter) -> RateLimit:
            return RateLimit(max(1, settings.requests * of_twenty // 20), 60, within=within)

        whole = budget or RateLimit(settings.requests, 60)
        reading, desk = share(12, whole), share(12, whole)
        hasty = RetryPolicy(backoff_initial=0.1, backoff_max=0.8)
        reader = client.with_options(timeout=4.0, deadline=8.0, retry=hasty)
        writer = client.with_options(timeout=6.0, deadline=15.0)
        self._front = reader.with_options(rate_limit=reading)
        self._older = reader.with_options(rate_limit=share(6, reading))
        self._forms = writer.with_options(rate_limit=share(6, whole))
        self._desk_reader = reader.with_options(rate_limit=desk)
        self._desk = writer.with_options(rate_limit=desk)
        self._settings = settings
        self._cache = Cache(settings.ttl)
        self._changes = Changes(settings.changes)

    async def page(
        self, product: str, cursor: str | None = None, patience: float | None = None
    ) -> Snapshot[ReviewPage]:
        """One page of a product's reviews."""
        client = self._front if cursor is None else self._older
        return await self._cache.get(
            ("reviews", product, cursor),
            lambda: client.list_product_reviews(product, limit=PAGE_SIZE, starting_after=cursor),
            self._changes.of(product),
            patience=patience,
        )

    def has_page(self, product: str, cursor: str | None) -> bool:
        """Whether somebody has asked for a page before, so that it hardly costs a request."""
        return ("reviews", product, cursor) in self._cache

    async def stats(
        self, product: str, patience: float | None = None
    ) -> Snapshot[ReviewStats | None]:
        """A product's figures."""
        return await self._cache.get(
            ("stats", product),
            lambda: self._front.get_product_stats(product),
            self._changes.of(product),
            patience=patience,
        )

    def public(self, listed: Snapshot[ReviewPage]) -> tuple[PublicReview, ...] | None:
        """What buyers may see of a page; `None`: there is no page."""
        if listed.value is None:
            return None
        self._changes.catch_up()
        removed = (ReviewStatus.ARCHIVED, ReviewStatus.INACTIVE)
        return tuple(
            PublicReview.of(review, self._settings.media)
            for review in listed.value.data
            if self.status(review, listed.as_of) not in removed
        )

    def status(self, review: Review, as_of: float) -> ReviewStatus | str:
        """A review's status, as a moderator may have set it since its page was read."""
        return self._changes.status(review, as_of)

    async def create(
        self, product: str, email: str, rating: int, message: str | None, photos: Sequence[str] = ()
    ) -> str:
        """Leave a review, with photos by their files' ids; return its id."""
        review = await self._forms.create_review(
            payment_link_id=product,
            customer_email=email,
            rating=rating,
            message=message,
            content_review=[Attachment(photo, "image") for photo in photos],
        )
        await self._show(product)
        return review.id

    async def find(self, product: str, email: str) -> Review | None:
        """The review that a customer has left."""
        return await self._forms.get_customer_review(product, customer_email=email)

    async def edit(
        self,
        product: str,
        review_id: str,
        rating: int,
        message: str | None,
        photos: Sequence[str] = (),
    ) -> None:
        """Change a review; photos are added."""
        await self._forms.update_review(
            review_id,
            payment_link_id=product,
            rating=rating,
            message=message,
            content_review=[Attachment(photo, "image") for photo in photos],
        )
        await self._show(product)

    async def _show(self, product: str) -> None:
        """Have who has just written see it, if Mayar shows it soon enough."""
        self._changes.tell([product])
        wait = Cache.FIRST
        await asyncio.gather(self.page(product, patience=wait), self.stats(product, wait))

    async def list_all(
        self, status: ReviewStatus | None, cursor: str | None
    ) -> Snapshot[ReviewPage]:
        """One page of the whole store's reviews: as they are now, unless that takes too long."""
        self._changes.catch_up()
        return await self._cache.get(
            ("the store's reviews", status, cursor),
            lambda: self._desk_reader.list_reviews(
                limit=PAGE_SIZE, status=status, starting_after=cursor
            ),
            asyncio.get_running_loop().time(),
        )

    async def set_statuses(self, reviews: Mapping[str, tuple[str, ReviewStatus]]) -> None:
        """Give reviews, by id, a status; each comes with its product."""
        await self._desk.update_review_statuses(
            StatusUpdate(review_id, status) for review_id, (_, status) in reviews.items()
        )
        self._changes.tell(
            (product for product, _ in reviews.values()),
            {review_id: status for review_id, (_, status) in reviews.items()},
        )

    def age(self, product: str) -> float:
        """Seconds since a product's first page was read; `inf`: it never was."""
        return asyncio.get_running_loop().time() - self._cache.as_of(("reviews", product, None))

    async def check(self) -> AsyncIterator[tuple[bool, str]]:
        """Ask for each product once; yield whether all is well and a sentence for the operator.

        It stays within the share of older pages, so that it takes a while where there are many
        products, but keeps nobody from theirs.
        """
        patient = self._older.with_options(deadline=120.0)
        for product in self._settings.products:
            try:
                page = await patient.list_product_reviews(product, limit=1)
            except AuthenticationError:
                yield False, "Mayar refuses the key: MAYAR_API_KEY must be a key of this shop"
                return
            except ConnectionFailedError as error:
                yield False, f"Mayar cannot be reached: {error}"
                return
            except NotFoundError:
                yield (
                    False,
                    f"Mayar does not know the product {product!r}: is it in PRODUCTS right?",
                )
            except MayarError as error:
                yield False, f"the product {product!r} cannot be read: {explain(error)}"
            else:
                yield (
                    True,
                    (
                        f"{product}: there are reviews"
                        if page.data
                        else f"{product}: no reviews; if it has some, its id in PRODUCTS is wrong"
                    ),
                )

    async def aclose(self) -> None:
        """Give up what is being read."""
        await self._cache.aclose()
