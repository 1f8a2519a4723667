"""What the API says: frozen attrs classes, their fields the API's names in snake_case.

Times are aware UTC `datetime`s, sequences are tuples. A review needs its ids, rating, status
and times; everything else, at any depth, may be missing or null and is then `None` or `()`.

How these are made from JSON is the business of `wire`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from attrs import field, frozen


class ReviewStatus(StrEnum):
    """The documented statuses; one that the API adds later arrives as the string it is."""

    ACTIVE = "ACTIVE"
    ARCHIVED = "ARCHIVED"
    INACTIVE = "INACTIVE"


@frozen
class ReviewImage:
    """An image attached to a review: an entry of `multipleImage`."""

    id: str | None = None
    file_type: str | None = None
    """Such as `png`."""
    description: str | None = None
    url: str | None = None


@frozen
class ReviewFile:
    """The file behind a `ReviewContent`."""

    id: str | None = None
    filename: str | None = None
    mimetype: str | None = None
    size: int | None = None
    """Bytes."""


@frozen
class ReviewContent:
    """More content of a review, such as an uploaded video: an entry of `content`."""

    id: str | None = None
    value: str | None = None
    file: ReviewFile | None = None


@frozen
class Customer:
    """Who left a review."""

    id: str | None = None
    name: str | None = None


@frozen
class PaymentLink:
    """The product that a review is about."""

    id: str | None = None
    name: str | None = None
    type: str | None = None
    """Such as `course`."""
    link: str | None = None
    """The last part of the product's address."""
    sub_type: str | None = None


@frozen
class Review:
    """A review.

    Which fields an answer carries depends on the endpoint: those of `create_review` and
    `update_review` tell no media, only lists tell the customer and the payment link.
    """

    id: str
    payment_link_id: str
    customer_id: str
    user_id: str
    """The owner of the payment link."""
    rating: int
    """1 to 5."""
    status: ReviewStatus | str
    created_at: datetime
    updated_at: datetime
    message: str | None = None
    multiple_image: tuple[ReviewImage, ...] = ()
    content: tuple[ReviewContent, ...] = ()
    customer: Customer | None = None
    payment_link: PaymentLink | None = None


@frozen
class ReviewPage:
    """One page of a list."""

    data: tuple[Review, ...]
    has_more: bool
    next_starting_after: str | None
    """The cursor of the next page: give it as `starting_after` to go on from here."""
    raw: tuple[Mapping[str, Any], ...] = field(repr=False, eq=False)
    """The page's objects exactly as the API sent them, unknown fields and all."""


@frozen
class RatingCount:
    """How many reviews gave one rating."""

    rating: int
    percentage: float
    total_rating: int


@frozen
class ReviewStats:
    """Figures over the active reviews of a product or of the store."""

    total: int
    average: float
    """One decimal; the API sends an integer where it is whole."""
    stats: tuple[RatingCount, ...]
    """One entry for each rating, from 5 down to 1."""
