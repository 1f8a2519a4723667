"""The documented limits, and the checks that hold arguments to them.

A `check_*` function takes a name and a value. An `is_*` function is an attrs validator. Each
raises `InvalidArgumentError` with the field's name, the fault and the limit. The value may be
personal, so no message repeats it.
"""

from __future__ import annotations

import re
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from .errors import InvalidArgumentError
from .models import ReviewStatus, StatusName

if TYPE_CHECKING:
    from attrs import Attribute

    _Attribute: TypeAlias = Attribute[Any]

ID_LENGTH = (3, 100)
EMAIL_LENGTH = (5, 100)
MESSAGE_LENGTH = (1, 2000)
RATINGS = (1, 5)
MAX_ATTACHMENTS = 10
MAX_STATUS_UPDATES = 50
"""How many status updates one request may hold."""
MAX_PAGE_SIZE = 50
"""The largest page that the API is known to give."""
WHOLE_PAGE_SIZE = 40
"""The largest page that was seen to be whole: one of 50 was cut short."""
DEFAULT_PAGE_SIZE = 50
"""How many reviews the iterating methods ask for in one request."""
MAX_CURSOR_LENGTH = 1000

_ID = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_SPACE_OR_CONTROL = re.compile(r"[\s\x00-\x1f\x7f-\x9f]")


def _fault(name: str, fault: str, limit: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{fault}: it must be {limit}", field=name)


def _wrong_type(name: str, value: object, limit: str) -> InvalidArgumentError:
    return _fault(name, f"is of type {type(value).__name__}", limit)


def _check_text(name: str, value: object, limit: str) -> str:
    # By exact type: an enum of strings can print differently in a message and in a path.
    if type(value) is not str:
        raise _wrong_type(name, value, limit)
    try:
        value.encode()
    except UnicodeEncodeError:
        problem = _fault(name, "holds half of a surrogate pair, which cannot be sent", limit)
    else:
        return value
    raise problem


def _check_length(name: str, value: object, low: int, high: int, limit: str) -> str:
    text = _check_text(name, value, limit)
    if not low <= len(text) <= high:
        raise _fault(name, f"has {len(text)} characters", limit)
    return text


def check_id(name: str, value: object) -> None:
    """Refuse an id that is not 3-100 letters, digits, `_` or `-`.

    Mayar documents the length. The alphabet is ours: an id goes into a path, where `..` would
    turn a product's list into the store's.
    """
    low, high = ID_LENGTH
    limit = f"{low}-{high} letters, digits, '_' or '-'"
    if not _ID.fullmatch(_check_length(name, value, low, high, limit)):
        raise _fault(name, "has a character that is not allowed", limit)


def check_integer(name: str, value: object, low: int, high: int | None = None) -> None:
    """Refuse what is not an integer (`True` and `5.0` are not) or is outside the limits."""
    limit = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"
    if type(value) is not int:
        raise _wrong_type(name, value, limit)
    if value < low or (high is not None and value > high):
        raise _fault(name, "is out of range", limit)


def check_type(name: str, value: object, kind: type) -> None:
    """Refuse what is not an instance of `kind`."""
    if not isinstance(value, kind):
        raise _wrong_type(name, value, f"a {kind.__name__}")


def check_seconds(name: str, value: object, *, or_zero: bool = False) -> None:
    """Refuse what is not a finite, positive number of seconds; 0 only with `or_zero`."""
    limit = f"a finite number of seconds, {'0 or more' if or_zero else 'more than 0'}"
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong_type(name, value, limit)
    if not 0 <= value <= sys.float_info.max or (value == 0 and not or_zero):
        raise _fault(name, "is out of range", limit)


def check_email(name: str, value: object) -> None:
    """Refuse what is not an email of 5-100 characters. Whether it exists, only the API can tell."""
    low, high = EMAIL_LENGTH
    limit = f"{low}-{high} characters with one '@' and no spaces, such as name@example.com"
    email = _check_length(name, value, low, high, limit)
    if _SPACE_OR_CONTROL.search(email):
        raise _fault(name, "has a space or a control character", limit)
    local, at, domain = email.partition("@")
    if not (local and at and domain) or "@" in domain:
        raise _fault(name, "is not an email address", limit)


def check_time(name: str, value: object) -> None:
    """Refuse what is not an aware `datetime`."""
    limit = "a datetime with a time zone"
    if not isinstance(value, datetime):
        raise _wrong_type(name, value, limit)
    if value.utcoffset() is None:
        raise _fault(name, "has no time zone", limit)


def is_id(_: object, attribute: _Attribute, value: object) -> None:
    """Accept an id."""
    check_id(attribute.name, value)


def is_email(_: object, attribute: _Attribute, value: object) -> None:
    """Accept an email."""
    check_email(attribute.name, value)


def is_rating(_: object, attribute: _Attribute, value: object) -> None:
    """Accept 1 to 5."""
    check_integer(attribute.name, value, *RATINGS)


def is_limit(_: object, attribute: _Attribute, value: object) -> None:
    """Accept a page size. The API's largest is not documented, so only 0 and less are refused."""
    check_integer(attribute.name, value, 1)


def is_message(_: object, attribute: _Attribute, value: object) -> None:
    """Accept 1-2000 characters."""
    low, high = MESSAGE_LENGTH
    _check_length(attribute.name, value, low, high, f"{low}-{high} characters")


def is_cursor(_: object, attribute: _Attribute, value: object) -> None:
    """Accept a cursor. An empty one would silently start again from the first page."""
    limit = f"a cursor of 1-{MAX_CURSOR_LENGTH} characters from the API"
    _check_length(attribute.name, value, 1, MAX_CURSOR_LENGTH, limit)


def is_filled(_: object, attribute: _Attribute, value: object) -> None:
    """Accept any string but the empty one."""
    if not _check_text(attribute.name, value, "a string"):
        raise _fault(attribute.name, "is empty", "a string of at least 1 character")


def is_flag(_: object, attribute: _Attribute, value: object) -> None:
    """Accept `True` or `False`."""
    if not isinstance(value, bool):
        raise _wrong_type(attribute.name, value, "True or False")


def is_media_type(_: object, attribute: _Attribute, value: object) -> None:
    """Accept `"image"` or `"video"`."""
    if value not in ("image", "video"):
        raise _fault(attribute.name, "is not a media type", "'image' or 'video'")


def is_status(_: object, attribute: _Attribute, value: object) -> None:
    """Accept a `ReviewStatus`."""
    if not isinstance(value, ReviewStatus):
        limit = "ACTIVE, ARCHIVED or INACTIVE"
        raise _fault(attribute.name, "is not a documented status", limit)


def to_status(value: ReviewStatus | StatusName) -> ReviewStatus:
    """Convert a documented status given as a string; `is_status` refuses all else."""
    if isinstance(value, str) and value in ReviewStatus.__members__:
        return ReviewStatus[value]
    return value  # type: ignore[return-value]  # refused by `is_status`


def to_optional_status(value: ReviewStatus | StatusName | None) -> ReviewStatus | None:
    """Do the same, but for `None`."""
    return None if value is None else to_status(value)
