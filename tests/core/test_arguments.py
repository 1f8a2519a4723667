"""Arguments: the documented limits, and no others, before anything is sent."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from mayar_reviews import (
    Attachment,
    AuthenticationError,
    InvalidArgumentError,
    RateLimit,
    RetryPolicy,
    ReviewsClient,
    ReviewStatus,
    StatusUpdate,
)

from .conftest import Answers, sent

NEW = {"payment_link_id": "product-1", "customer_email": "a@b.id", "rating": 5}
CHANGES = {"review_id": "review-1", "rating": 4}
LIST = {"payment_link_id": "product-1"}
STORE: dict[str, Any] = {}
PHOTO = Attachment("file-1", "image")


def _id(value: object) -> str:
    """Describe a value. mutmut does not find a test again whose id has a backslash."""
    return f"{value!a:.20}".replace("\\", "/")


def _call(client: ReviewsClient, name: str, arguments: dict[str, Any]) -> Any:
    method = getattr(client, name)
    if name == "get_customer_review":
        return method(arguments.pop("payment_link_id"), **arguments)
    return method(**arguments)


REFUSED: list[tuple[str, dict[str, Any], str, Any, str]] = [
    *(
        ("create_review", NEW, "payment_link_id", value, "3-100 letters, digits, '_' or '-'")
        for value in ("ab", "a" * 101, "", None, 5, b"abc", "a b c")
    ),
    *(
        ("create_review", NEW, "customer_id", value, "3-100 letters, digits, '_' or '-'")
        for value in ("ab", "a" * 101, "", 5)
    ),
    *(
        ("create_review", NEW, "customer_email", value, "5-100 characters with one '@'")
        for value in (
            "a@b",
            "a" * 95 + "@b.com",
            "no-at-sign.example",
            "two@@example.com",
            "a@b@c.com",
            "@toko.example",
            "someone@",
            "some one@example.com",
            "someone@exa\tmple.com",
            "someone@example.com\n",
            "someone\x00@example.com",
            "someone\u00a0@example.com",
            "someone\ud800@example.com",
            None,
            5,
        )
    ),
    *(
        ("create_review", NEW, "rating", value, "an integer from 1 to 5")
        for value in (0, 6, -1, True, 5.0, "5", None)
    ),
    *(
        ("create_review", NEW, "message", value, "1-2000 characters")
        for value in ("", "x" * 2001, 5, b"x", "half \ud83d")
    ),
    *(
        ("create_review", NEW, "content_review", value, "at most 10 Attachment objects")
        for value in ([PHOTO] * 11, ["file-1"], PHOTO, "file", [{"id": "x", "type": "image"}], None)
    ),
    *(
        ("update_review", CHANGES, "review_id", value, "3-100 letters")
        for value in ("ab", "..", "a/b/c", None)
    ),
    ("update_review", CHANGES, "payment_link_id", "ab", "3-100 letters"),
    ("update_review", CHANGES, "customer_id", "ab", "3-100 letters"),
    ("update_review", CHANGES, "customer_email", "a@b", "5-100 characters"),
    ("update_review", CHANGES, "rating", 0, "an integer from 1 to 5"),
    ("update_review", CHANGES, "message", "", "1-2000 characters"),
    ("update_review", CHANGES, "delete_content_review", [PHOTO] * 11, "at most 10"),
    ("get_customer_review", LIST, "customer_id", "ab", "3-100 letters"),
    *(
        ("list_product_reviews", LIST, "limit", value, "an integer of at least 1")
        for value in (0, -1, True, 1.0, "10")
    ),
    *(
        (name, LIST, "page_size", value, "an integer of at least 1")
        for name in ("iter_product_reviews", "iter_product_review_pages")
        for value in (0, True, "50", None)
    ),
    *(
        ("list_product_reviews", LIST, "starting_after", value, "1-1000 characters")
        for value in ("", "c" * 1001, 5, "\ud800")
    ),
    ("list_product_reviews", LIST, "rating", 6, "an integer from 1 to 5"),
    ("list_product_reviews", LIST, "prioritize_message", "true", "True or False"),
    ("list_product_reviews", LIST, "prioritize_message", 1, "True or False"),
    *(
        ("list_reviews", STORE, "status", value, "ACTIVE, ARCHIVED or INACTIVE")
        for value in ("active", "", "DELETED", 1)
    ),
    ("list_reviews", STORE, "payment_link_id", "..", "3-100 letters"),
    ("list_reviews", STORE, "limit", 0, "an integer of at least 1"),
    ("iter_reviews", STORE, "page_size", 0, "an integer of at least 1"),
    ("iter_review_pages", STORE, "rating", 9, "an integer from 1 to 5"),
]


@pytest.mark.parametrize(
    ("method", "arguments", "field", "value", "limit"),
    REFUSED,
    ids=[f"{row[0]}-{row[2]}-{_id(row[3])}" for row in REFUSED],
)
async def test_a_wrong_argument_is_refused(
    method: str,
    arguments: dict[str, Any],
    field: str,
    value: Any,
    limit: str,
    answers: Answers,
) -> None:
    """The error names the field and the limit, not the value. Nothing is sent."""
    async with ReviewsClient("a-key") as client:
        with pytest.raises(InvalidArgumentError) as caught:
            await _call(client, method, {**arguments, field: value})
    assert isinstance(caught.value, ValueError)
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field} ")
    assert limit in str(caught.value)
    assert not answers.requests
    if isinstance(value, str) and len(value) > 4:
        assert value not in str(caught.value)


ACCEPTED: list[tuple[dict[str, Any], str, Any]] = [
    *((NEW, "payment_link_id", value) for value in ("abc", "a" * 100, "A_b-9", "---")),
    *(
        (NEW, "customer_email", value)
        for value in (
            "a@b.i",
            "a" * 94 + "@b.com",
            "a+b@c.id",
            "üñ@exämple.id",
            "a@b@c"[:3] + ".id",
        )
    ),
    *((NEW, "rating", value) for value in (1, 2, 3, 4, 5)),
    *((NEW, "message", value) for value in (None, "x", " ", "x" * 2000, "🎉" * 2000, "\n", "\x00")),
    *((NEW, "content_review", value) for value in ((), [PHOTO] * 10, (PHOTO,), iter([PHOTO]))),
]


NAMES = {
    "payment_link_id": "paymentLinkId",
    "customer_email": "customerEmail",
    "rating": "rating",
    "message": "message",
    "content_review": "contentReview",
}


@pytest.mark.parametrize(("arguments", "field", "value"), ACCEPTED, ids=_id)
async def test_an_allowed_argument_is_sent(
    arguments: dict[str, Any], field: str, value: Any, answers: Answers
) -> None:
    """Also at the very limit, and as it was given."""
    answers.post("https://api.mayar.id/hl/v2/reviews/create", status=401)
    expected = value
    if field == "content_review":  # an iterator is read once, so it is counted in a copy
        count = len(list(copy.copy(value)))
        expected = [{"id": "file-1", "type": "image"}] * count or None
    async with ReviewsClient("a-key") as client:
        with pytest.raises(AuthenticationError):
            await client.create_review(**{**arguments, field: value})
    _, _, request = sent(answers)
    assert json.loads(request["data"]).get(NAMES[field]) == expected


async def test_an_update_that_changes_nothing_is_refused(answers: Answers) -> None:
    """Ids and emails only say which review is meant."""
    async with ReviewsClient("a-key") as client:
        with pytest.raises(InvalidArgumentError) as caught:
            await client.update_review("review-1", customer_id="customer-1")
    assert str(caught.value) == (
        "there is nothing to update: give rating, message, content_review or delete_content_review"
    )
    assert not answers.requests


async def test_two_statuses_for_one_review_are_refused(answers: Answers) -> None:
    """Before anything is sent."""
    updates = [StatusUpdate(f"review-{number}", "ACTIVE") for number in range(60)]
    async with ReviewsClient("a-key") as client:
        with pytest.raises(InvalidArgumentError, match="review-3 two statuses"):
            await client.update_review_statuses([*updates, StatusUpdate("review-3", "ARCHIVED")])
        with pytest.raises(InvalidArgumentError, match="holds a tuple"):
            await client.update_review_statuses([("review-3", "ARCHIVED")])  # type: ignore[list-item]
    assert not answers.requests


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Attachment("file", "audio"), "type"),  # type: ignore[arg-type]
        (lambda: Attachment("file", "Image"), "type"),  # type: ignore[arg-type]
        (lambda: Attachment("", "image"), "id"),
        (lambda: Attachment(5, "image"), "id"),  # type: ignore[arg-type]
        (lambda: Attachment("file", "image", ""), "multiple_file_id"),
        (lambda: StatusUpdate("ab", "ACTIVE"), "id"),
        (lambda: StatusUpdate("abc", "active"), "status"),  # type: ignore[arg-type]
        (lambda: StatusUpdate("abc", None), "status"),  # type: ignore[arg-type]
        (lambda: StatusUpdate("abc", "ACTIVE", "ab"), "payment_link_id"),
        (lambda: RetryPolicy(attempts=0), "attempts"),
        (lambda: RetryPolicy(attempts=True), "attempts"),
        (lambda: RetryPolicy(attempts=2.0), "attempts"),  # type: ignore[arg-type]
        (lambda: RetryPolicy(backoff_initial=-1), "backoff_initial"),
        (lambda: RetryPolicy(backoff_max=float("inf")), "backoff_max"),
        (lambda: RateLimit(0, per=60), "requests"),
        (lambda: RateLimit(1.5, per=60), "requests"),  # type: ignore[arg-type]
        (lambda: RateLimit(20, per=0), "per"),
        (lambda: RateLimit(20, per=float("nan")), "per"),
        (lambda: RateLimit(20, per=60, within=20), "within"),  # type: ignore[arg-type]
        (lambda: ReviewsClient("a-key", timeout=0), "timeout"),
        (lambda: ReviewsClient("a-key", timeout="5"), "timeout"),  # type: ignore[arg-type]
        (lambda: ReviewsClient("a-key", deadline=-1), "deadline"),
        (lambda: ReviewsClient("a-key", deadline=float("inf")), "deadline"),
        (lambda: ReviewsClient("a-key").with_options(deadline=0), "deadline"),
        (lambda: ReviewsClient("a-key").with_options(timeout=float("nan")), "timeout"),
    ],
)
def test_values_check_themselves(make: Any, field: str) -> None:
    """Each class refuses a wrong value when the object is made."""
    with pytest.raises(InvalidArgumentError) as caught:
        make()
    assert caught.value.field == field


def test_a_status_may_be_given_as_its_string() -> None:
    """`"ARCHIVED"` and `ReviewStatus.ARCHIVED` are the same."""
    assert StatusUpdate("abc", "ARCHIVED") == StatusUpdate("abc", ReviewStatus.ARCHIVED)


@pytest.mark.parametrize(
    ("value", "fault"),
    [(5, "is of type int"), ([PHOTO, "file"], "holds a str"), ([PHOTO] * 11, "has 11 entries")],
)
async def test_attachments_say_what_they_are_instead(
    client: ReviewsClient, value: Any, fault: str
) -> None:
    """With the limit."""
    limit = "it must be a sequence of at most 10 Attachment objects"
    with pytest.raises(InvalidArgumentError) as caught:
        await _call(client, "create_review", NEW | {"content_review": value})
    assert str(caught.value) == f"content_review {fault}: {limit}"
