"""The API's wire format, without I/O.

Arguments become an `Endpoint`, an `Answer` becomes a model or an exception.

How fields become attributes is the business of `converter`; nothing here sends, waits or
tries again.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Generic, NoReturn, TypeVar
from urllib.parse import quote, urlencode

import orjson
from attrs import field, frozen

from . import errors
from .arguments import (
    CustomerReview,
    NewReview,
    Product,
    ProductReviews,
    ReviewChanges,
    StatusUpdate,
    StoreReviews,
)
from .converter import mistyped, structure, structure_all, to_json, unfit
from .errors import APIError, PaginationError, ResponseError, ValidationError
from .models import Review, ReviewPage, ReviewStats

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
_Envelope = dict[str, Any]

_ERRORS: dict[int, type[APIError]] = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    429: errors.RateLimitError,
}
_MAX_CURSOR = 1000
_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
_LONG = b"0" * 20
_UNREAD = object()
_SURROGATE = re.compile("[\ud800-\udfff]")


@frozen
class Answer:
    """What came back: the body as received, the headers' names in lower case."""

    status: int
    headers: Mapping[str, tuple[str, ...]]
    body: bytes = field(repr=False)


@frozen
class Endpoint(Generic[T_co]):
    """One request of the API, and how to read its answer."""

    name: str
    method: str
    route: str
    """The path as documented, such as `/products/{payment_link_id}/reviews`: safe to log."""
    read: Callable[[_Envelope], T_co] = field(repr=False)
    ids: Mapping[str, str] = field(factory=dict, repr=False)
    query: Mapping[str, Any] = field(factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    replayable: bool = True
    """Whether doing it twice is the same as doing it once."""
    personal: bool = False
    """Whether the query tells who somebody is, so that nobody may write the URL down."""

    @property
    def target(self) -> str:
        """The path and query, percent-encoded."""
        path = self.route.format_map(self.ids)
        # `quote` rather than `quote_plus`: only forms take a `+` for a space.
        return f"{path}?{urlencode(self.query, quote_via=quote)}" if self.query else path


# --- the endpoints -------------------------------------------------------------------------


def create_review(new: NewReview) -> Endpoint[Review]:
    body = orjson.dumps(to_json(new))
    return Endpoint(
        "create_review", "POST", "/reviews/create", _review, body=body, replayable=False
    )


def update_review(changes: ReviewChanges) -> Endpoint[Review]:
    return Endpoint(
        "update_review",
        "POST",
        "/reviews/{review_id}/update",
        _review,
        {"review_id": changes.review_id},
        body=orjson.dumps(to_json(changes)),
        replayable=not changes.touches_media,
    )


def get_customer_review(asked: CustomerReview) -> Endpoint[Review | None]:
    return Endpoint(
        "get_customer_review",
        "GET",
        "/products/{payment_link_id}/reviews/customer",
        _review_or_none,
        {"payment_link_id": asked.payment_link_id},
        {"customerId": asked.customer_id},
    )


def list_product_reviews(asked: ProductReviews) -> Endpoint[ReviewPage]:
    return Endpoint(
        "list_product_reviews",
        "GET",
        "/products/{payment_link_id}/reviews",
        functools.partial(_page, starting_after=asked.starting_after),
        {"payment_link_id": asked.payment_link_id},
        _query(asked),
    )


def list_reviews(asked: StoreReviews) -> Endpoint[ReviewPage]:
    read = functools.partial(_page, starting_after=asked.starting_after)
    return Endpoint("list_reviews", "GET", "/reviews", read, query=_query(asked))


def get_product_stats(asked: Product) -> Endpoint[ReviewStats | None]:
    route = "/products/{payment_link_id}/reviews/stats"
    ids = {"payment_link_id": asked.payment_link_id}
    return Endpoint("get_product_stats", "GET", route, _stats, ids)


def get_merchant_stats() -> Endpoint[ReviewStats | None]:
    return Endpoint("get_merchant_stats", "GET", "/merchants/reviews/stats", _stats)


def update_review_statuses(updates: tuple[StatusUpdate, ...]) -> Endpoint[None]:
    return Endpoint(
        "update_review_statuses",
        "POST",
        "/reviews/bulk-status/update",
        lambda _: None,
        body=orjson.dumps({"input": to_json(updates)}),
    )


def get_customer_id(email: str) -> Endpoint[str | None]:
    """The id of the customer with that email; the one endpoint of the customers API we need."""
    return Endpoint(
        "get_customer_id",
        "GET",
        "/customers/detail",
        _customer_id,
        query={"email": email},
        personal=True,
    )


def _query(asked: ProductReviews | StoreReviews) -> dict[str, Any]:
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in to_json(asked).items()
    }


# --- the envelope --------------------------------------------------------------------------


def decode(endpoint: Endpoint[T], answer: Answer) -> T:
    """What the answer says, or the exception that it means.

    Raises:
        APIError: a refusal, by HTTP status or by the body's `statusCode` or `messages`.
        ResponseError: the answer is not the API's.
        PaginationError: a page whose cursor leads nowhere.
    """
    if 300 <= answer.status < 400:
        raise ResponseError(f"a redirect (status {answer.status}), not followed")
    body, fault = _parse(answer.body)
    status = answer.status
    if 200 <= status < 300:
        if fault is not None:
            raise ResponseError(f"an answer with status {status} that is {fault}")
        status = _status_code(body)
    if status < 400 and status != 200:
        raise ResponseError(f"status {status} is none that the API answers with")
    if status != 200:
        kind = _ERRORS.get(status, errors.ServerError if 500 <= status < 600 else APIError)
        raise _build(kind, status, answer, body if fault is None else {"data": body})
    messages = _messages(body)
    if not isinstance(messages, str):
        raise mistyped("$.messages", str, messages)
    word = messages.casefold()
    if word == "failed":
        raise _build(ValidationError, 200, answer, body)
    if word not in ("success", "sukses"):
        raise unfit("$.messages", 'neither "success" nor "failed"')
    return endpoint.read(body)


def _parse(body: bytes) -> tuple[Any, str | None]:
    """The parsed body, or what is wrong with it."""
    parsed: Any = _UNREAD
    # Of an integer of more than 64 bits, which has 20 digits, orjson makes a float.
    if _LONG not in body.translate(_DIGITS):
        with suppress(orjson.JSONDecodeError):
            parsed = orjson.loads(body)
    if parsed is _UNREAD:
        try:
            # orjson also refuses what half of the world emits: an emoji cut through its middle,
            # a lone surrogate. One such message must not block a list for ever.
            text = body.decode(errors="surrogatepass")
            parsed = json.loads(text, parse_constant=_refuse, parse_float=_finite)
        except (ValueError, RecursionError):
            return body.decode(errors="replace"), "not JSON"
    if not isinstance(parsed, dict):
        return parsed, "not a JSON object"
    return parsed, None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _status_code(body: _Envelope) -> int:
    status = body.get("statusCode")
    if not isinstance(status, int) or isinstance(status, bool):
        raise mistyped("$.statusCode", int, status)
    return status


def _messages(body: _Envelope) -> object:
    # Some endpoints of the same API spell it in the singular.
    messages = body.get("messages")
    return body.get("message") if messages is None else messages


def _build(kind: type[APIError], status: int, answer: Answer, body: _Envelope) -> APIError:
    messages = _messages(body)
    enveloped = isinstance(messages, str) or "data" in body
    return kind(
        messages if isinstance(messages, str) else "",
        status_code=status,
        data=body.get("data") if enveloped else body,
        request_id=_header(answer, "x-request-id"),
        retry_after=_retry_after(answer),
    )


def _header(answer: Answer, name: str) -> str | None:
    values = answer.headers.get(name)
    return values[0] if values else None


_DAYS = "(Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MONTHS = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_TIME = r"\d\d:\d\d:\d\d"
# The three forms of RFC 9110, section 5.6.7; the parser behind accepts far more.
_HTTP_DATE = re.compile(
    rf"{_DAYS}, \d\d {_MONTHS} \d{{4}} {_TIME} GMT"
    rf"|{_DAYS}[a-z]{{3,6}}, \d\d-{_MONTHS}-\d\d {_TIME} GMT"
    rf"|{_DAYS} {_MONTHS} [ \d]\d {_TIME} \d{{4}}",
    re.ASCII,
)


def _http_date(value: str | None) -> datetime | None:
    if value is None or not _HTTP_DATE.fullmatch(value):
        return None
    try:
        return parsedate_to_datetime(value).replace(tzinfo=UTC)
    except ValueError:
        return None


def _retry_after(answer: Answer) -> float | None:
    """The seconds that a legal `Retry-After` asks for; the longest, should there be several."""
    legal = []
    for value in answer.headers.get("retry-after", ()):
        if value.isascii() and value.isdigit():
            legal.append(float(value))
        elif date := _http_date(value):
            # Against the server's own clock: ours may be minutes off.
            now = _http_date(_header(answer, "date")) or datetime.now(UTC)
            legal.append((date - now).total_seconds())
    longest = max(legal, default=-1.0)
    return longest if longest >= 0 else None


# --- the data ------------------------------------------------------------------------------


def _review(body: _Envelope) -> Review:
    return structure(body.get("data"), Review, "$.data")


def _review_or_none(body: _Envelope) -> Review | None:
    return None if body.get("data", ...) is None else _review(body)


def _stats(body: _Envelope) -> ReviewStats | None:
    data = body.get("data", ...)
    return None if data is None or data == {} else structure(data, ReviewStats, "$.data")


def _customer_id(body: _Envelope) -> str | None:
    data = body.get("data", ...)
    if data is None:
        return None
    customer_id = data.get("id") if isinstance(data, dict) else None
    if not isinstance(customer_id, str):
        raise mistyped("$.data.id", str, customer_id)
    return customer_id


def _page(body: _Envelope, starting_after: str | None) -> ReviewPage:
    raw = body.get("data")
    if not isinstance(raw, list):
        raise mistyped("$.data", list, raw)
    has_more, cursor = _judge_cursor(body, starting_after)
    return ReviewPage(structure_all(raw, Review, "$.data"), has_more, cursor, tuple(raw))


def _judge_cursor(body: _Envelope, starting_after: str | None) -> tuple[bool, str | None]:
    if "hasMore" not in body:
        raise PaginationError("the page has no hasMore", starting_after=starting_after)
    has_more, cursor = body["hasMore"], body.get("nextStartingAfter")
    if not isinstance(has_more, bool):
        raise mistyped("$.hasMore", bool, has_more)
    if isinstance(cursor, int) and not isinstance(cursor, bool):
        cursor = str(cursor)
    if not has_more:
        return False, cursor if isinstance(cursor, str) else None
    if cursor is not None and not isinstance(cursor, str):
        raise mistyped("$.nextStartingAfter", str, cursor)
    fault = None
    if cursor is None or not cursor.strip():
        fault = "says that there are more reviews, but not where"
    elif len(cursor) > _MAX_CURSOR:
        fault = f"has a cursor of {len(cursor)} characters, more than {_MAX_CURSOR}"
    elif _SURROGATE.search(cursor):
        fault = "has a cursor that no request can carry"
    if fault is not None:
        raise PaginationError(f"the page {fault}", starting_after=starting_after)
    return True, cursor
