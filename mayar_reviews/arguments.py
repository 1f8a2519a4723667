"""What we ask: attrs classes whose validators are the documented limits, and no others.

Every fault raises `InvalidArgumentError` before anything is sent, naming the field, what is
wrong with its value and the limit; the value itself may be personal and is never repeated.

How these become requests is the business of `wire`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from typing import Any, Literal

from attrs import Attribute, field, frozen

from .errors import InvalidArgumentError
from .models import ReviewStatus

_ID = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")
_RATINGS = (1, 5)
_ATTACHMENTS = 10
_LONGEST = sys.float_info.max

_Validator = Callable[[Any, "Attribute[Any]", Any], None]


def _fault(name: str, fault: str, limit: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{name} {fault}: it must be {limit}", field=name)


def _text(name: str, value: object, limit: str) -> str:
    # By exact type: an enum of strings may say one thing here and another in a path.
    if type(value) is not str:
        raise _fault(name, f"is of type {type(value).__name__}", limit)
    try:
        value.encode()
    except UnicodeEncodeError:
        problem = _fault(name, "holds half of a surrogate pair, which no request can carry", limit)
    else:
        return value
    raise problem


def _length(name: str, value: object, low: int, high: int, limit: str) -> str:
    text = _text(name, value, limit)
    if not low <= len(text) <= high:
        raise _fault(name, f"has {len(text)} characters", limit)
    return text


def check_id(name: str, value: object) -> None:
    """Refuse an id that is not 3-100 letters, digits, `_` or `-`.

    The alphabet is ours: ids go into paths, where `..` would turn a product's list into the
    store's.
    """
    limit = "3-100 letters, digits, '_' or '-'"
    if not _ID.fullmatch(_length(name, value, 3, 100, limit)):
        raise _fault(name, "has characters that an id cannot have", limit)


def check_whole(name: str, value: object, low: int, high: int | None = None) -> None:
    """Refuse what is not an integer (`True` and `5.0` are not) or lies outside the limits."""
    limit = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"
    if type(value) is not int:
        raise _fault(name, f"is of type {type(value).__name__}", limit)
    if value < low or (high is not None and value > high):
        raise _fault(name, "is out of range", limit)


def check_is(name: str, value: object, kind: type) -> None:
    """Refuse what is not of a kind of ours."""
    if not isinstance(value, kind):
        fault = f"is of type {type(value).__name__}"
        raise _fault(name, fault, f"a {kind.__name__}")


def check_seconds(name: str, value: object, *, or_zero: bool = False) -> None:
    """Refuse what is not a finite number of seconds, more than 0 (or 0 where that has a sense)."""
    limit = f"a number of seconds, {'0 or more' if or_zero else 'more than 0'}, not infinite"
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _fault(name, f"is of type {type(value).__name__}", limit)
    if not 0 <= value <= _LONGEST or (value == 0 and not or_zero):
        raise _fault(name, "is out of range", limit)


def _optional(check: _Validator) -> _Validator:
    def validate(owner: object, attribute: Attribute[Any], value: object) -> None:
        if value is not None:
            check(owner, attribute, value)

    return validate


def _id(_: object, attribute: Attribute[Any], value: object) -> None:
    check_id(attribute.name, value)


def _email(_: object, attribute: Attribute[Any], value: object) -> None:
    limit = "5-100 characters with one '@' and no spaces, such as name@example.com"
    email = _length(attribute.name, value, 5, 100, limit)
    if _UNPRINTABLE.search(email):
        raise _fault(attribute.name, "has a space or a control character", limit)
    name, at, domain = email.partition("@")
    if not (name and at and domain) or "@" in domain:
        raise _fault(attribute.name, "is not of an email's shape", limit)


def _rating(_: object, attribute: Attribute[Any], value: object) -> None:
    check_whole(attribute.name, value, *_RATINGS)


def _limit(_: object, attribute: Attribute[Any], value: object) -> None:
    check_whole(attribute.name, value, 1)


def _message(_: object, attribute: Attribute[Any], value: object) -> None:
    _length(attribute.name, value, 1, 2000, "1-2000 characters")


def _cursor(_: object, attribute: Attribute[Any], value: object) -> None:
    # An empty one would silently start again from the first page.
    _length(attribute.name, value, 1, 1000, "a cursor of 1-1000 characters from the API")


def _filled(_: object, attribute: Attribute[Any], value: object) -> None:
    if not _text(attribute.name, value, "a string"):
        raise _fault(attribute.name, "is empty", "a string that is not")


def _flag(_: object, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, bool):
        raise _fault(attribute.name, f"is of type {type(value).__name__}", "True or False")


def _media_type(_: object, attribute: Attribute[Any], value: object) -> None:
    if value not in ("image", "video"):
        raise _fault(attribute.name, "is not a media type", "'image' or 'video'")


def _status(_: object, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, ReviewStatus):
        statuses = "ACTIVE, ARCHIVED or INACTIVE"
        raise _fault(attribute.name, "is not a documented status", statuses)


def _to_status(value: Any) -> Any:
    """A status given as its string; what is none is left for the validator to refuse."""
    return ReviewStatus.__members__.get(value, value) if isinstance(value, str) else value


def _attachments(_: object, attribute: Attribute[Any], value: object) -> None:
    limit = f"a sequence of at most {_ATTACHMENTS} Attachment objects"
    if not isinstance(value, tuple):
        raise _fault(attribute.name, f"is of type {type(value).__name__}", limit)
    for item in value:
        if not isinstance(item, Attachment):
            raise _fault(attribute.name, f"holds a {type(item).__name__}", limit)
    if len(value) > _ATTACHMENTS:
        raise _fault(attribute.name, f"has {len(value)} entries", limit)


def _to_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, Iterable) else value


@frozen
class Attachment:
    """An uploaded image or video, to add to a review or to remove from it.

    Args:
        id: the uploaded file's id.
        type: `"image"` or `"video"`.
        multiple_file_id: the id of the file record beneath, where there is one.

    Raises:
        InvalidArgumentError: a field is outside its limits.

    https://docs.mayar.id/api-reference-v2/reviews/create
    """

    id: str = field(validator=_filled)
    type: Literal["image", "video"] = field(validator=_media_type)
    multiple_file_id: str | None = field(default=None, validator=_optional(_filled))


@frozen
class StatusUpdate:
    """The status that a review shall have.

    Args:
        id: the review's, 3-100 characters.
        status: a `ReviewStatus`, or its string.
        payment_link_id: the review's product, 3-100 characters; may be left out.

    Raises:
        InvalidArgumentError: a field is outside its limits.

    https://docs.mayar.id/api-reference-v2/reviews/bulkstatusupdate
    """

    id: str = field(validator=_id)
    status: ReviewStatus = field(converter=_to_status, validator=_status)
    payment_link_id: str | None = field(default=None, validator=_optional(_id))


@frozen
class NewReview:
    """The arguments of `create_review`."""

    payment_link_id: str = field(validator=_id)
    customer_email: str = field(validator=_email, repr=False)
    rating: int = field(validator=_rating)
    message: str | None = field(default=None, validator=_optional(_message), repr=False)
    content_review: tuple[Attachment, ...] = field(
        default=(), converter=_to_tuple, validator=_attachments
    )
    customer_id: str | None = field(default=None, validator=_optional(_id))


@frozen
class ReviewChanges:
    """The arguments of `update_review`; `None` leaves a thing as it is."""

    review_id: str = field(validator=_id)
    payment_link_id: str | None = field(default=None, validator=_optional(_id))
    customer_email: str | None = field(default=None, validator=_optional(_email), repr=False)
    customer_id: str | None = field(default=None, validator=_optional(_id))
    rating: int | None = field(default=None, validator=_optional(_rating))
    message: str | None = field(default=None, validator=_optional(_message), repr=False)
    content_review: tuple[Attachment, ...] = field(
        default=(), converter=_to_tuple, validator=_attachments
    )
    delete_content_review: tuple[Attachment, ...] = field(
        default=(), converter=_to_tuple, validator=_attachments
    )

    def __attrs_post_init__(self) -> None:
        if self.rating is None and self.message is None and not self.touches_media:
            raise InvalidArgumentError(
                "there is nothing to update: at least one of rating, message, content_review "
                "and delete_content_review must be given"
            )

    @property
    def touches_media(self) -> bool:
        """Whether media are added or removed, which done twice is not the same as once."""
        return bool(self.content_review or self.delete_content_review)


@frozen
class ProductReviews:
    """The arguments of a product's list."""

    payment_link_id: str = field(validator=_id)
    limit: int | None = field(default=None, validator=_optional(_limit))
    starting_after: str | None = field(default=None, validator=_optional(_cursor))
    rating: int | None = field(default=None, validator=_optional(_rating))
    prioritize_message: bool | None = field(default=None, validator=_optional(_flag))


@frozen
class StoreReviews:
    """The arguments of the store-wide list."""

    limit: int | None = field(default=None, validator=_optional(_limit))
    starting_after: str | None = field(default=None, validator=_optional(_cursor))
    status: ReviewStatus | None = field(
        default=None, converter=_to_status, validator=_optional(_status)
    )
    payment_link_id: str | None = field(default=None, validator=_optional(_id))
    rating: int | None = field(default=None, validator=_optional(_rating))


@frozen
class CustomerReview:
    """The arguments of `get_customer_review`."""

    payment_link_id: str = field(validator=_id)
    customer_id: str = field(validator=_id)


@frozen
class Product:
    """The argument of `get_product_stats`."""

    payment_link_id: str = field(validator=_id)
