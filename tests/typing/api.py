"""How the public names are meant to be used: read by type checkers, never run."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any, assert_type

from aiohttp import ClientSession

from mayar_reviews import (
    PRODUCTION_URL,
    SANDBOX_URL,
    APIError,
    Attachment,
    ConflictError,
    Customer,
    ExportError,
    IncompleteListError,
    InvalidArgumentError,
    MayarError,
    PaginationError,
    PaymentLink,
    RateLimit,
    RateLimiter,
    RatingCount,
    RequestEvent,
    ResponseError,
    RetryPolicy,
    Review,
    ReviewContent,
    ReviewFile,
    ReviewImage,
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


async def write(client: ReviewsClient) -> None:
    """The methods that change something, with every argument."""
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
    updated = await client.update_review(
        "review",
        payment_link_id="product",
        customer_email="a@b.id",
        customer_id="customer",
        rating=4,
        message="Bagus",
        content_review=(),
        delete_content_review=(photo,),
    )
    assert_type(updated, Review)
    done = client.update_review_statuses(
        StatusUpdate(review, ReviewStatus.ACTIVE, "product") for review in ("one", "two")
    )
    assert_type(await done, None)
    await client.update_review_statuses([StatusUpdate("one", "ARCHIVED")])


async def read(client: ReviewsClient) -> None:
    """The methods that fetch one thing, with every argument."""
    found = await client.get_customer_review("product", customer_id="customer")
    assert_type(found, Review | None)
    by_email = await client.get_customer_review("product", customer_email="a@b.id")
    assert_type(by_email, Review | None)
    page = await client.list_product_reviews(
        "product", limit=10, starting_after="c", rating=5, prioritize_message=True
    )
    assert_type(page, ReviewPage)
    assert_type(page.data, tuple[Review, ...])
    assert_type(page.next_starting_after, str | None)
    store = await client.list_reviews(
        limit=10, starting_after="c", status="ACTIVE", payment_link_id="product", rating=5
    )
    assert_type(store, ReviewPage)
    assert_type(await client.get_product_stats("product"), ReviewStats | None)
    stats = await client.get_merchant_stats()
    assert_type(stats, ReviewStats | None)
    if stats is not None:
        assert_type(stats.stats, tuple[RatingCount, ...])


async def walk(client: ReviewsClient) -> None:
    """The methods that go through a list, with every argument."""
    one = client.iter_product_reviews(
        "product", page_size=10, starting_after="c", rating=5, prioritize_message=True
    )
    assert_type(one, AsyncGenerator[Review, None])
    two = client.iter_product_review_pages(
        "product",
        page_size=10,
        starting_after="c",
        rating=5,
        prioritize_message=True,
        keep_invalid=True,
    )
    assert_type(two, AsyncGenerator[ReviewPage, None])
    three = client.iter_reviews(
        page_size=10,
        starting_after="c",
        status=ReviewStatus.ARCHIVED,
        payment_link_id="product",
        rating=5,
    )
    assert_type(three, AsyncGenerator[Review, None])
    four = client.iter_review_pages(
        page_size=10,
        starting_after="c",
        status="ACTIVE",
        payment_link_id="product",
        rating=5,
        keep_invalid=True,
    )
    assert_type(four, AsyncGenerator[ReviewPage, None])
    async for review in one:
        look(review)


def look(review: Review) -> None:
    """What a review holds."""
    assert_type(review.created_at, datetime)
    assert_type(review.message, str | None)
    assert_type(review.status, ReviewStatus | str)
    assert_type(review.customer, Customer | None)
    assert_type(review.payment_link, PaymentLink | None)
    assert_type(review.multiple_image, tuple[ReviewImage, ...])
    assert_type(review.content, tuple[ReviewContent, ...])
    for content in review.content:
        assert_type(content.file, ReviewFile | None)


def share(budget: RateLimiter) -> ReviewsClient:
    """A budget of one's own."""
    return ReviewsClient("key", rate_limit=budget)


async def use(session: ClientSession) -> None:
    """A client, with every argument."""
    async with ReviewsClient(
        "key",
        base_url=SANDBOX_URL or PRODUCTION_URL,
        session=session,
        timeout=5,
        deadline=None,
        retry=RetryPolicy(attempts=2, backoff_initial=1, backoff_max=2.5),
        rate_limit=RateLimit(20, per=60),
        on_event=observe,
    ) as client:
        patient = client.with_options(
            timeout=1.5,
            deadline=None,
            retry=RetryPolicy.none(),
            rate_limit=RateLimit(14, per=60),
            on_event=observe,
        )
        assert_type(patient, ReviewsClient)


async def watch(client: ReviewsClient) -> None:
    """A generator that never ends."""
    async for review in client.watch_reviews(
        payment_link_id="product", every=30, since=datetime.now(UTC)
    ):
        assert_type(review, Review)


def mistakes(client: ReviewsClient) -> None:
    """What a type checker must refuse: an ignore that is not needed is an error."""
    StatusUpdate("review", 42)  # type: ignore[arg-type]
    StatusUpdate("review", "ARCHIVD")  # type: ignore[arg-type]
    client.list_reviews(status="ARCHIVD")  # type: ignore[arg-type,unused-coroutine]


def handle(error: MayarError) -> object:
    """What the exceptions carry."""
    match error:
        case ConflictError():
            return assert_type(error.existing, Review | None)
        case APIError():
            assert_type(error.data, Any)
            return assert_type(error.status_code, int), assert_type(error.messages, str)
        case IncompleteListError():
            return assert_type(error.gaps, tuple[tuple[datetime, datetime], ...])
        case StatusUpdateError():
            return assert_type(error.unknown, tuple[str, ...])
        case InvalidArgumentError():
            return assert_type(error.field, str | None)
        case ResponseError():
            return assert_type(error.path, str | None)
        case ExportError():
            return assert_type(error.written, int)
        case PaginationError():
            return assert_type(error.starting_after, str | None)
    assert_type(error.starting_after, str | None)
    return assert_type(error.attempts, int)
