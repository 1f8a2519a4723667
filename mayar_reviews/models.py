"""What the API says: frozen attrs classes. Their fields are the API's names in snake_case.

Times are aware UTC `datetime`s. Sequences are tuples. A review has its ids, rating, status and
times. Everything else, at any depth, may be missing or null: it is then `None` or `()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from attrs import field, frozen

from .api_json import LazyRows, to_api, to_rows


class ReviewStatus(StrEnum):
    """The documented statuses; one that the API adds later arrives as the string it is."""

    ACTIVE = "ACTIVE"
    ARCHIVED = "ARCHIVED"
    INACTIVE = "INACTIVE"


StatusName: TypeAlias = Literal["ACTIVE", "ARCHIVED", "INACTIVE"]
"""A `ReviewStatus` as its string."""


@frozen
class _Model:
    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, strings and numbers, as the API writes them.

        Names are the API's own (`paymentLinkId`), times are Unix milliseconds. What the API did
        not tell is left out.
        """
        plain: dict[str, Any] = to_api(self)
        return plain


@frozen
class ReviewImage(_Model):
    """An image attached to a review: an entry of `multipleImage`."""

    id: str | None = None
    file_type: str | None = None
    """Such as `png`."""
    description: str | None = None
    url: str | None = None


@frozen
class ReviewFile(_Model):
    """The file behind a `ReviewContent`."""

    id: str | None = None
    filename: str | None = None
    mimetype: str | None = None
    size: int | None = None
    """Bytes."""


@frozen
class ReviewContent(_Model):
    """More content of a review, such as an uploaded video: an entry of `content`."""

    id: str | None = None
    value: str | None = None
    file: ReviewFile | None = None


@frozen
class Customer(_Model):
    """Who left a review."""

    id: str | None = None
    name: str | None = None


@frozen
class PaymentLink(_Model):
    """The product that a review is about."""

    id: str | None = None
    name: str | None = None
    type: str | None = None
    """Such as `course`."""
    link: str | None = None
    """The last part of the product's URL."""
    sub_type: str | None = None


@frozen
class Review(_Model):
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
class InvalidReview:
    """A review of a list that is not as the API documents it."""

    raw: Any = field(repr=False, eq=False)
    """What the API sent."""
    fault: str
    """What is wrong and where: `$.data[3].rating: expected int, got str (review r-1)`."""
    place: int
    """Its place among all reviews of the page, from 0 on."""


@frozen
class ReviewPage(_Model):
    """One page of a list."""

    data: tuple[Review, ...] = field(repr=lambda data: f"<{len(data)} reviews>")
    has_more: bool
    next_starting_after: str | None
    """The cursor of the next page: give it as `starting_after` to go on from here."""
    _raw: LazyRows = field(converter=to_rows, repr=False, eq=False)
    invalid: tuple[InvalidReview, ...] = ()
    """Reviews that are not as documented: only where `keep_invalid` asked for them."""

    @property
    def raw(self) -> tuple[Mapping[str, Any], ...]:
        """The page's objects exactly as the API sent them, unknown fields and all.

        They are parsed when they are first asked for. A number that Python cannot hold is `None`.
        """
        return self._raw.get()

    def to_dict(self) -> dict[str, Any]:
        """Return the page as the API writes it."""
        return {
            "data": [review.to_dict() for review in self.data],
            "hasMore": self.has_more,
            "nextStartingAfter": self.next_starting_after,
        }


@frozen
class RatingCount(_Model):
    """How many reviews gave one rating."""

    rating: int
    percentage: float
    total_rating: int


@frozen
class ReviewStats(_Model):
    """Figures over the active reviews of a product or of the store."""

    total: int
    average: float
    """One decimal; the API sends an integer where it is whole."""
    stats: tuple[RatingCount, ...]
    """One entry for each rating, from 5 down to 1."""
