"""How the public names are meant to be used: read by type checkers, never run."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import assert_type

from aiohttp import ClientSession

from mayar_reviews import (
    SANDBOX_URL,
    APIError,
    Attachment,
    ConflictError,
    MayarError,
    RateLimit,
    RequestEvent,
    RetryPolicy,
    Review,
    ReviewPage,
    ReviewsClient,
    ReviewStats,
    ReviewStatus,
    StatusUpdate,
    StatusUpdateError,
)


def observe(event: RequestEvent) -> None:
    """An observer."""
    assert_type(event.seconds, float)
    assert_type(event.status_code, int | None)


async def use(session: ClientSession) -> None:
    """Every method, with every argument."""
    async with ReviewsClient(
        "key",
        base_url=SANDBOX_URL,
        session=session,
        timeout=5,
        deadline=None,
        retry=RetryPolicy(attempts=2, backoff_initial=1, backoff_max=2.5),
        rate_limit=RateLimit(20, per=60),
        on_event=observe,
    ) as client:
        patient = client.with_options(timeout=1.5, deadline=None, retry=RetryPolicy.none())
        assert_type(patient, ReviewsClient)
        photo = Attachment("file", "image", multiple_file_id=None)
        created = await client.create_review(
            payment_link_id="product",
            customer_email="a@b.id",
            rating=5,
            message=None,
            content_review=[photo],
            customer_id="customer",
        )
        assert_type(created, Review)
        assert_type(created.created_at, datetime)
        assert_type(created.message, str | None)
        updated = await client.update_review("review", rating=4, delete_content_review=(photo,))
        assert_type(updated, Review)
        found = await client.get_customer_review("product", customer_id="customer")
        assert_type(found, Review | None)
        page = await client.list_product_reviews("product", limit=10, prioritize_message=True)
        assert_type(page, ReviewPage)
        assert_type(page.data, tuple[Review, ...])
        assert_type(client.iter_product_reviews("product"), AsyncGenerator[Review, None])
        assert_type(client.iter_review_pages(page_size=10), AsyncGenerator[ReviewPage, None])
        async for review in client.iter_reviews(status=ReviewStatus.ARCHIVED):
            assert_type(review, Review)
        assert_type(await client.get_merchant_stats(), ReviewStats | None)
        await client.update_review_statuses(
            StatusUpdate(review.id, "ACTIVE") for review in page.data
        )


def handle(error: MayarError) -> object:
    """What the exceptions carry."""
    match error:
        case ConflictError():
            return assert_type(error.existing, Review | None)
        case APIError():
            return assert_type(error.status_code, int), assert_type(error.messages, str)
        case StatusUpdateError():
            return assert_type(error.unknown, tuple[str, ...])
    assert_type(error.starting_after, str | None)
    return assert_type(error.attempts, int)
