"""The documented limits of the bodies that the API takes."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from attrs import frozen

JSON = dict[str, Any]

STATUSES = ("ACTIVE", "ARCHIVED", "INACTIVE")


def faults(body: Any, *required: str) -> list[JSON]:
    """What is wrong with a body, in the shape that was seen: `{type, message, field, actual?}`."""
    return list(_faults(body, required))


def _faults(body: Any, required: tuple[str, ...]) -> Iterator[JSON]:
    if not isinstance(body, dict):
        yield _fault("object", "must be a JSON object", "", body)
        return
    for name, rule in _RULES.items():
        if name in body and not rule.holds(body[name]):
            yield _fault(rule.type, f"must be {rule.text}", name, body[name])
        elif name in required and name not in body:
            yield _fault("required", "is required", name, None)


def _fault(type: str, message: str, field: str, actual: Any) -> JSON:
    fault = {"type": type, "message": message, "field": field}
    return fault if actual is None else fault | {"actual": actual}


@frozen
class _Rule:
    type: str
    text: str
    holds: Callable[[Any], bool]


def _is_text(value: Any, low: int, high: int) -> bool:
    return isinstance(value, str) and low <= len(value) <= high


def _is_email(value: Any) -> bool:
    return _is_text(value, 5, 100) and bool(re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value))


def _is_media(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= 10
        and all(
            isinstance(item, dict)
            and isinstance(item.get("id"), str)
            and item.get("type") in ("image", "video")
            and isinstance(item.get("multipleFileId", ""), str)
            for item in value
        )
    )


def _is_updates(value: Any) -> bool:
    return (
        isinstance(value, list)
        and 1 <= len(value) <= 50
        and not any(faults(item, "id", "status") for item in value)
    )


# A field has the same limits in whatever body it comes.
_ID = _Rule("string", "a string of 3-100 characters", lambda value: _is_text(value, 3, 100))
_ATTACHMENTS = _Rule(
    "array", "at most 10 of {id, type: image or video, multipleFileId?}", _is_media
)
_RULES = {
    "id": _ID,
    "paymentLinkId": _ID,
    "customerId": _ID,
    "customerEmail": _Rule("email", "a valid email of 5-100 characters", _is_email),
    "rating": _Rule(
        "number", "an integer of 1-5", lambda value: type(value) is int and 1 <= value <= 5
    ),
    "message": _Rule("string", "a string of 1-2000 characters", lambda v: _is_text(v, 1, 2000)),
    "status": _Rule("enum", "ACTIVE, ARCHIVED or INACTIVE", lambda value: value in STATUSES),
    "contentReview": _ATTACHMENTS,
    "deleteContentReview": _ATTACHMENTS,
    "input": _Rule("array", "1-50 of {id, status, paymentLinkId?}", _is_updates),
}
