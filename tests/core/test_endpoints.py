"""Each method of the client: what it sends, and what it makes of the documented answers."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

import mayar_reviews
from mayar_reviews import (
    APIError,
    Attachment,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    Customer,
    NotFoundError,
    OutcomeUnknownError,
    PaymentLink,
    PermissionDeniedError,
    RatingCount,
    Review,
    ReviewContent,
    ReviewFile,
    ReviewImage,
    ReviewsClient,
    ReviewStats,
    ReviewStatus,
    ServerError,
    ValidationError,
)

from .conftest import (
    CREATE,
    CUSTOMER,
    EMAIL,
    GET,
    LIST,
    ORIGIN,
    PRODUCT,
    REVIEW,
    UPDATE,
    Answers,
    example,
    sent,
)

ALREADY = (
    "Anda sudah memberikan ulasan untuk produk ini, jika ingin mengedit ulasan, "
    "silahkan gunakan fitur edit ulasan"
)
WRITTEN = Review(
    id=REVIEW,
    payment_link_id=PRODUCT,
    customer_id=CUSTOMER,
    user_id="348e083d-315a-4e5c-96b1-5a2a98c48413",
    rating=5,
    status=ReviewStatus.ACTIVE,
    created_at=datetime(2025, 12, 30, 3, 0, 10, 103_000, UTC),
    updated_at=datetime(2025, 12, 30, 3, 0, 10, 103_000, UTC),
    message="Materinya jelas dan mudah dipahami, terima kasih!",
)
VIDEO = ReviewContent(
    id="b2c3d4e5-f6a7-4890-b123-456789abcdef",
    value="c3d4e5f6-a7b8-4901-c234-56789abcdef0",
    file=ReviewFile(
        id="c3d4e5f6-a7b8-4901-c234-56789abcdef0",
        filename="ulasan-video.mp4",
        mimetype="video/mp4",
        size=5698168,
    ),
)


async def test_create_review(client: ReviewsClient, answers: Answers) -> None:
    """The documented request goes out, and the documented answer becomes a review."""
    answers.post(f"{ORIGIN}/reviews/create", payload=example("create_review"))
    review = await client.create_review(
        payment_link_id=PRODUCT,
        customer_email=EMAIL,
        rating=5,
        message="Materinya jelas dan mudah dipahami, terima kasih!",
        content_review=[Attachment("file-1", "image"), Attachment("file-2", "video", "record-2")],
        customer_id=CUSTOMER,
    )
    assert review == WRITTEN
    _, _, request = sent(answers)
    assert json.loads(request["data"]) == {
        "paymentLinkId": PRODUCT,
        "customerEmail": EMAIL,
        "rating": 5,
        "message": "Materinya jelas dan mudah dipahami, terima kasih!",
        "contentReview": [
            {"id": "file-1", "type": "image"},
            {"id": "file-2", "type": "video", "multipleFileId": "record-2"},
        ],
    }
    headers = request["headers"]
    assert headers["Authorization"] == "Bearer a-key"
    assert headers["Content-Type"] == "application/json"
    assert f"mayar-reviews/{mayar_reviews.__version__}" in headers["User-Agent"]


async def test_create_review_sends_only_what_is_given(
    client: ReviewsClient, answers: Answers
) -> None:
    """An argument that is not given is not sent as null."""
    answers.post(f"{ORIGIN}/reviews/create", payload=example("create_review"))
    await client.create_review(payment_link_id=PRODUCT, customer_email=EMAIL, rating=5)
    _, _, request = sent(answers)
    assert json.loads(request["data"]) == {
        "paymentLinkId": PRODUCT,
        "customerEmail": EMAIL,
        "rating": 5,
    }


async def test_update_review(client: ReviewsClient, answers: Answers) -> None:
    """The id goes into the URL and the body, from one argument."""
    answers.post(f"{ORIGIN}/reviews/{REVIEW}/update", payload=example("update_review"))
    review = await client.update_review(
        REVIEW,
        payment_link_id=PRODUCT,
        customer_email=EMAIL,
        customer_id=CUSTOMER,
        rating=4,
        message="Kontennya bagus, semoga ada materi lanjutan.",
        content_review=[Attachment("file-1", "image")],
        delete_content_review=[Attachment("file-2", "video")],
    )
    assert review.rating == 4
    assert review.message == "Kontennya bagus, semoga ada materi lanjutan."
    assert review.updated_at == datetime(2026, 1, 7, 5, 6, 18, 460_000, UTC)
    assert review.content == ()
    _, _, request = sent(answers)
    assert json.loads(request["data"]) == {
        "id": REVIEW,
        "paymentLinkId": PRODUCT,
        "customerEmail": EMAIL,
        "customerId": CUSTOMER,
        "rating": 4,
        "message": "Kontennya bagus, semoga ada materi lanjutan.",
        "contentReview": [{"id": "file-1", "type": "image"}],
        "deleteContentReview": [{"id": "file-2", "type": "video"}],
    }


async def test_get_customer_review(client: ReviewsClient, answers: Answers) -> None:
    """A customer's review comes with its media; the body of a GET is empty."""
    url = f"{ORIGIN}/products/{PRODUCT}/reviews/customer?customerId={CUSTOMER}"
    answers.get(url, payload=example("customer_review"))
    review = await client.get_customer_review(PRODUCT, customer_id=CUSTOMER)
    assert review is not None
    assert review.content == (VIDEO,)
    assert review.multiple_image == ()
    assert (review.customer, review.payment_link) == (None, None)
    _, _, request = sent(answers)
    assert request["data"] is None
    assert "Content-Type" not in request["headers"]


async def test_get_customer_review_that_is_not_there(
    client: ReviewsClient, answers: Answers
) -> None:
    """A customer who has not reviewed the product: `None`."""
    url = f"{ORIGIN}/products/{PRODUCT}/reviews/customer?customerId={CUSTOMER}"
    answers.get(url, payload=example("customer_review_null"))
    assert await client.get_customer_review(PRODUCT, customer_id=CUSTOMER) is None


async def test_list_product_reviews(client: ReviewsClient, answers: Answers) -> None:
    """One page, field by field, and as it was sent."""
    url = (
        f"{ORIGIN}/products/{PRODUCT}/reviews"
        "?limit=10&startingAfter=1767063610103&rating=5&prioritizeMessage=true"
    )
    answers.get(url, payload=example("product_reviews"))
    page = await client.list_product_reviews(
        PRODUCT, limit=10, starting_after="1767063610103", rating=5, prioritize_message=True
    )
    (review,) = page.data
    assert review.customer == Customer(id=CUSTOMER, name="Budi Santoso")
    assert review.payment_link == PaymentLink(
        id=PRODUCT,
        name="Kelas Pemrograman Web Dasar",
        type="course",
        link="kelas-pemrograman-web-dasar",
        sub_type=None,
    )
    assert review.content == (VIDEO,)
    assert (page.has_more, page.next_starting_after) == (False, None)
    assert list(page.raw) == example("product_reviews")["data"]


async def test_list_product_reviews_with_the_apis_defaults(
    client: ReviewsClient, answers: Answers
) -> None:
    """An argument that is not given is not sent."""
    answers.get(f"{ORIGIN}/products/{PRODUCT}/reviews", payload=example("product_reviews"))
    assert len((await client.list_product_reviews(PRODUCT)).data) == 1


async def test_list_reviews(client: ReviewsClient, answers: Answers) -> None:
    """The store-wide list, with all its filters."""
    url = (
        f"{ORIGIN}/reviews?limit=5&startingAfter=abc&status=ACTIVE&paymentLinkId={PRODUCT}&rating=5"
    )
    answers.get(url, payload=example("merchant_reviews"))
    page = await client.list_reviews(
        limit=5, starting_after="abc", status="ACTIVE", payment_link_id=PRODUCT, rating=5
    )
    assert page.data[0].multiple_image == (
        ReviewImage(
            id="d4e5f6a7-b8c9-4012-d345-6789abcdef01",
            file_type="png",
            description=None,
            url="https://media.mayar.id/images/d4e5f6a7-b8c9-4012-d345-6789abcdef01.png",
        ),
    )


async def test_get_product_stats(client: ReviewsClient, answers: Answers) -> None:
    """The statistics of a product, from five stars down."""
    answers.get(f"{ORIGIN}/products/{PRODUCT}/reviews/stats", payload=example("review_stats"))
    stats = await client.get_product_stats(PRODUCT)
    assert stats == ReviewStats(
        total=42,
        average=4.7,
        stats=tuple(
            RatingCount(rating, percentage, count)
            for rating, percentage, count in [
                (5, 76, 32),
                (4, 17, 7),
                (3, 5, 2),
                (2, 2, 1),
                (1, 0, 0),
            ]
        ),
    )


@pytest.mark.parametrize("average", [5, 4.75])
async def test_get_merchant_stats(average: float, client: ReviewsClient, answers: Answers) -> None:
    """The statistics of the store; the average may be an integer."""
    payload = example("review_stats")
    payload["data"]["average"] = average
    answers.get(f"{ORIGIN}/merchants/reviews/stats", payload=payload)
    stats = await client.get_merchant_stats()
    assert stats is not None
    assert stats.average == average


async def test_stats_without_active_reviews(client: ReviewsClient, answers: Answers) -> None:
    """An empty object means that there is nothing to count: `None`."""
    payload = example("review_stats_empty")
    answers.get(f"{ORIGIN}/merchants/reviews/stats", payload=payload)
    answers.get(f"{ORIGIN}/products/{PRODUCT}/reviews/stats", payload=payload)
    assert await client.get_merchant_stats() is None
    assert await client.get_product_stats(PRODUCT) is None


# --- documented errors --------------------------------------------------------------------------


def _create(client: ReviewsClient) -> Awaitable[Any]:
    return client.create_review(payment_link_id=PRODUCT, customer_email=EMAIL, rating=5)


def _update(client: ReviewsClient) -> Awaitable[Any]:
    return client.update_review(REVIEW, rating=4)


def _get(client: ReviewsClient) -> Awaitable[Any]:
    return client.get_customer_review(PRODUCT, customer_id=CUSTOMER)


def _list(client: ReviewsClient) -> Awaitable[Any]:
    return client.list_product_reviews(PRODUCT)


@pytest.mark.parametrize(
    ("call", "where", "status", "messages", "expected"),
    [
        (_create, CREATE, 200, "failed", ValidationError),
        (_create, CREATE, 404, "Produk tidak ditemukan", NotFoundError),
        (_create, CREATE, 403, "Anda belum pernah membeli produk ini", PermissionDeniedError),
        (_create, CREATE, 409, ALREADY, ConflictError),
        (_create, CREATE, 401, "Unauthorized", AuthenticationError),
        (_update, UPDATE, 200, "failed", ValidationError),
        (_update, UPDATE, 404, "Transaksi tidak ditemukan", NotFoundError),
        (_update, UPDATE, 404, "Review tidak ditemukan", NotFoundError),
        (_get, GET, 400, "customerId query parameter is required", BadRequestError),
        (_list, LIST, 401, "Unauthorized", AuthenticationError),
        (_list, LIST, 404, "Not Found", NotFoundError),
    ],
)
async def test_a_documented_refusal_has_its_class_and_its_text(
    call: Callable[[ReviewsClient], Awaitable[Any]],
    where: tuple[str, str],
    status: int,
    messages: str,
    expected: type[APIError],
    client: ReviewsClient,
    answers: Answers,
) -> None:
    """It is raised at once, with Mayar's whole text and an English sentence."""
    data = [{"field": "rating", "message": "must be a number"}]
    answers.add(
        where[1],
        method=where[0],
        status=status,
        payload={"statusCode": status, "messages": messages, "data": data},
        headers={"X-Request-Id": "req-1"},
    )
    with pytest.raises(APIError) as caught:
        await call(client)
    error = caught.value
    assert type(error) is expected
    assert (error.status_code, error.messages, error.data) == (status, messages, data)
    assert error.request_id == "req-1"
    assert error.attempts == 1
    assert str(error) == f"{expected.meaning} (status {status}): {messages} [request req-1]"


@pytest.mark.parametrize(
    ("call", "where", "messages"),
    [
        (_update, UPDATE, "a description of the error"),
        (_update, UPDATE, "Terjadi kesalahan"),
    ],
)
async def test_a_documented_server_error_of_an_update(
    call: Callable[[ReviewsClient], Awaitable[Any]],
    where: tuple[str, str],
    messages: str,
    client: ReviewsClient,
    answers: Answers,
) -> None:
    """It is tried again, as an update sets values; in the end the outcome is unknown."""
    payload = {"statusCode": 500, "messages": messages}
    answers.post(where[1], status=500, payload=payload, repeat=True)
    with pytest.raises(OutcomeUnknownError) as caught:
        await call(client)
    assert caught.value.attempts == 4
    assert isinstance(caught.value.__cause__, ServerError)
    assert caught.value.__cause__.messages == messages


@pytest.mark.parametrize(
    "messages", ["Gagal menambahkan ulasan", "Terjadi kesalahan saat menambahkan ulasan"]
)
async def test_a_documented_server_error_of_a_creation(
    messages: str, client: ReviewsClient, answers: Answers
) -> None:
    """The review is looked for first; as the customer is unknown, so is the outcome."""
    payload = {"statusCode": 500, "messages": messages}
    answers.post(CREATE[1], status=500, payload=payload, repeat=True)
    answers.get(
        f"{ORIGIN}/customers/detail?email={EMAIL.replace('@', '%40')}",
        payload={"statusCode": 200, "messages": "success", "data": None},
    )
    with pytest.raises(OutcomeUnknownError) as caught:
        await _create(client)
    assert caught.value.attempts == 2
    assert isinstance(caught.value.__cause__, ServerError)
    assert caught.value.__cause__.messages == messages
