"""What an answer means: a model, or the exception that ends the attempt. Without I/O."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from operator import attrgetter
from typing import Any, TypeGuard, TypeVar

from attrs import evolve, field, frozen

from . import errors
from .api_json import LazyRows, load, to_rows
from .checks import MAX_CURSOR_LENGTH, check_id
from .converter import load_list, malformed, structure, structure_each, wrong_type
from .credentials import Secret
from .errors import APIError, InvalidArgumentError, PaginationError, ResponseError
from .models import InvalidReview, Review, ReviewPage, ReviewStats

T = TypeVar("T")

_ERRORS: dict[int, type[APIError]] = {
    200: errors.ValidationError,  # with the word "failed"
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    429: errors.RateLimitError,
}
_FIELDS = ("statusCode", "messages", "message", "hasMore", "nextStartingAfter")
_MAX_REFUSAL = 64 * 1024
"""Bytes of a refusal that are kept."""
_key = attrgetter("id", "updated_at", "created_at")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Envelope(dict[str, Any]):
    """The body of every answer: `statusCode`, `messages`, `data`, and a list's cursor."""

    parsed_from: bytes | None = None
    """The answer's body, if `data` does not hold what was sent, but the structs of `load_list`."""


@frozen
class Answer:
    """What came back: the body as received, the headers' names in lower case."""

    status: int
    headers: Mapping[str, tuple[str, ...]]
    body: bytes = field(repr=False)
    received_at: float = field(default=0.0, eq=False)
    """The loop time at which its headers had come."""
    connection: asyncio.BaseTransport | None = field(default=None, repr=False, eq=False)
    """What it came over, where that is known."""


def understand(
    answer: Answer, read: Callable[[Envelope], T], key: Secret, *, lists: type[Any] | None = None
) -> T:
    """Return what `read` makes of a success.

    Args:
        answer: the answer.
        read: makes a model of the envelope.
        key: the API key, which no exception may repeat.
        lists: what the answer is a list of. Such an answer is long, and is checked while it is
            parsed.

    Raises:
        APIError: a refusal, by the HTTP status or by the body's `statusCode` or `messages`.
        ResponseError: the answer is not the API's.
        PaginationError: a page whose cursor leads nowhere.
    """
    if answer.status >= 400:
        raise _refusal(answer.status, answer, key)
    if answer.status >= 300:
        raise ResponseError(
            f"the server redirects (status {answer.status}); redirects are not followed"
        )
    body = _success(answer, lists)
    status = _status_code(body)
    if status >= 400:
        raise _refusal(status, answer, key)
    if status != 200:
        raise ResponseError(f"the API never answers with status {status}")
    messages = _messages(body)
    if not isinstance(messages, str):
        raise wrong_type("$.messages", str, messages)
    word = messages.casefold()
    if word == "failed":
        raise _refusal(200, answer, key)
    if word not in ("success", "sukses"):
        raise malformed("$.messages", 'neither "success" nor "failed"')
    return read(body)


def _success(answer: Answer, lists: type[Any] | None) -> Envelope:
    if lists is not None and (fields := load_list(answer.body, lists, _FIELDS)) is not None:
        body = Envelope(fields)
        body.parsed_from = answer.body
        return body
    parsed, fault = _parse(answer.body)
    if fault is not None:
        raise ResponseError(f"the body of an answer with status {answer.status} is {fault}")
    return Envelope(parsed)


def _parse(body: bytes) -> tuple[Any, str | None]:
    """Return the parsed body, and what is wrong with it."""
    try:
        parsed = load(body)
    except ValueError:
        return body.decode(errors="replace"), "not JSON"
    return parsed, None if isinstance(parsed, dict) else "not a JSON object"


def _status_code(body: Envelope) -> int:
    status = body.get("statusCode")
    if not isinstance(status, int) or isinstance(status, bool):
        raise wrong_type("$.statusCode", int, status)
    return status


def _messages(body: Mapping[str, Any]) -> object:
    # Some endpoints of the same API write it in the singular.
    messages = body.get("messages")
    return body.get("message") if messages is None else messages


def _refusal(status: int, answer: Answer, key: Secret) -> APIError:
    if len(answer.body) > _MAX_REFUSAL:
        # Copying a tree of megabytes would cost a second and hundreds of megabytes.
        body: Any = {"data": answer.body[:_MAX_REFUSAL].decode(errors="replace")}
    else:
        body, fault = _parse(answer.body)
        if fault is not None:
            body = {"data": body}
    kind = _ERRORS.get(status, errors.ServerError if 500 <= status < 600 else APIError)
    messages = _messages(body)
    enveloped = isinstance(messages, str) or "data" in body
    try:
        data = key.hide(body.get("data") if enveloped else body)
    except RecursionError:
        data = None  # nested so deeply that nobody could use or pickle it
    return kind(
        key.hide(messages) if isinstance(messages, str) else "",
        status_code=status,
        data=data,
        request_id=key.hide(_header(answer, "x-request-id")),
        retry_after=_retry_after(answer),
    )


# --- headers ---------------------------------------------------------------------------------


def _header(answer: Answer, name: str) -> str | None:
    values = answer.headers.get(name)
    return values[0] if values else None


_DAYS = "(Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MONTHS = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_TIME = r"\d\d:\d\d:\d\d"
# The three forms of RFC 9110, section 5.6.7. `parsedate_to_datetime` accepts far more.
_HTTP_DATE = re.compile(
    rf"{_DAYS}, \d\d {_MONTHS} \d{{4}} {_TIME} GMT"
    rf"|{_DAYS}[a-z]{{3,6}}, \d\d-{_MONTHS}-\d\d {_TIME} GMT"
    rf"|{_DAYS} {_MONTHS} [ \d]\d {_TIME} \d{{4}}",
    re.ASCII,
)


def date_header(answer: Answer) -> str | None:
    """Return the `Date` of an answer, unless it is malformed."""
    value = _header(answer, "date")
    return value if value is not None and _HTTP_DATE.fullmatch(value) else None


def http_date(value: str | None) -> datetime | None:
    """Return the time that a header tells; `None` if it is missing or malformed."""
    if value is None or not _HTTP_DATE.fullmatch(value):
        return None
    try:
        return parsedate_to_datetime(value).replace(tzinfo=UTC)
    except ValueError:
        return None


def _retry_after(answer: Answer) -> float | None:
    """Return the seconds that a legal `Retry-After` asks for; the longest of several."""
    legal = []
    for value in answer.headers.get("retry-after", ()):
        if value.isascii() and value.isdigit():
            legal.append(float(value))
        elif date := http_date(value):
            # Compared with the server's own clock: ours may be minutes off.
            now = http_date(_header(answer, "date")) or datetime.now(UTC)
            legal.append((date - now).total_seconds())
    longest = max(legal, default=-1.0)
    return longest if longest >= 0 else None


# --- the data --------------------------------------------------------------------------------


def read_review(body: Envelope) -> Review:
    """Return the review that an answer holds."""
    return structure(body.get("data"), Review, "$.data")


def read_or_none(body: Envelope, cls: type[T]) -> T | None:
    """Return the object that an answer holds, or `None` where it holds null."""
    if body.get("data", ...) is None:
        return None
    return structure(body.get("data"), cls, "$.data")


def read_stats(body: Envelope) -> ReviewStats | None:
    """Return the figures, or `None` where there are no active reviews."""
    return None if body.get("data") == {} else read_or_none(body, ReviewStats)


@frozen
class CustomerRecord:
    """What of a customer's record is needed."""

    id: str
    email: str = field(repr=False)


def check_ours(name: str, found: object, asked: object) -> None:
    """Refuse an answer that belongs to another request, as after a mix-up on a connection.

    Raises:
        ResponseError: what was found is not what was asked for.
    """
    if found != asked:
        raise foreign(f".{name}")


def foreign(path: str) -> ResponseError:
    """Return the error for an answer whose `data`, at that path, belongs to another request."""
    path = f"$.data{path}"
    return ResponseError(f"{path}: the answer belongs to another request", path=path)


def all_fit(reviews: tuple[Review | ResponseError, ...]) -> TypeGuard[tuple[Review, ...]]:
    """Return whether none of them is an error."""
    return ResponseError not in map(type, reviews)


@frozen
class Listing:
    """A page of a list, as it was sent: a review that does not fit is an error in its place."""

    reviews: tuple[Review | ResponseError, ...]
    _raw: LazyRows = field(converter=to_rows)
    has_more: bool
    next_starting_after: str | None
    keys: Sequence[tuple[str, int, int]] | None = None
    """Each review's `id`, `updatedAt` and `createdAt` as sent, of a page whose reviews all fit."""

    @property
    def raw(self) -> tuple[Any, ...]:
        """The objects as they were sent."""
        return self._raw.get()

    def keep(self, places: Sequence[int]) -> Listing:
        """Return the listing with the reviews of these places only."""
        if len(places) == len(self.reviews):
            return self
        reviews = tuple(self.reviews[i] for i in places)
        return evolve(self, reviews=reviews, raw=self._raw.keep(places), keys=None)

    def to_page(self, *, keep_invalid: bool) -> ReviewPage:
        """Return the page.

        Raises:
            ResponseError: a review does not fit, and such reviews were not to be kept.
        """
        if all_fit(self.reviews):
            return ReviewPage(self.reviews, self.has_more, self.next_starting_after, self._raw)
        reviews, raws, invalid = [], [], []
        for place, (review, raw) in enumerate(zip(self.reviews, self.raw, strict=True)):
            if isinstance(review, Review):
                reviews.append(review)
                raws.append(raw)
            elif keep_invalid:
                invalid.append(InvalidReview(raw, str(review), place))
            else:
                raise review
        return ReviewPage(
            tuple(reviews), self.has_more, self.next_starting_after, tuple(raws), tuple(invalid)
        )


def read_page(body: Envelope, starting_after: str | None) -> Listing:
    """Return a page of reviews.

    Raises:
        ResponseError: it is not a list, or hardly any of its reviews fit.
        PaginationError: there is more, but the page does not say where. It carries
            `starting_after`, the cursor of this page.
    """
    rows = body.get("data")
    if not isinstance(rows, list):
        raise wrong_type("$.data", list, rows)
    has_more, cursor = _read_cursor(body, starting_after)
    reviews = structure_each(rows, Review, "$.data")
    if body.parsed_from is not None:
        keys = list(map(_key, rows))
        return Listing(reviews, LazyRows((), body.parsed_from), has_more, cursor, keys)
    if not all_fit(reviews):
        return Listing(tuple(map(_complete, reviews, rows)), rows, has_more, cursor)
    keys = [(raw["id"], raw["updatedAt"], raw["createdAt"]) for raw in rows]
    return Listing(reviews, rows, has_more, cursor, keys)


def _complete(review: Review | ResponseError, raw: Any) -> Review | ResponseError:
    """Tell an error which review it is about."""
    if isinstance(review, Review):
        return review
    try:
        check_id("id", raw["id"])
        text = f"{review} (review {raw['id']})"
    except (InvalidArgumentError, LookupError, TypeError):
        text = str(review)
    return ResponseError(text, path=review.path, transient=False)


def _read_cursor(body: Envelope, starting_after: str | None) -> tuple[bool, str | None]:
    if "hasMore" not in body:
        raise PaginationError("the page has no hasMore", starting_after=starting_after)
    has_more, cursor = body["hasMore"], body.get("nextStartingAfter")
    if not isinstance(has_more, bool):
        raise wrong_type("$.hasMore", bool, has_more)
    if isinstance(cursor, int) and not isinstance(cursor, bool):
        cursor = str(cursor)
    if not has_more:
        return False, cursor if isinstance(cursor, str) else None
    if cursor is not None and not isinstance(cursor, str):
        raise wrong_type("$.nextStartingAfter", str, cursor)
    fault = None
    if cursor is None or not cursor.strip():
        fault = "has more reviews after it but no cursor"
    elif len(cursor) > MAX_CURSOR_LENGTH:
        fault = f"has a cursor of {len(cursor)} characters, more than {MAX_CURSOR_LENGTH}"
    elif _SURROGATE.search(cursor):
        fault = "has a cursor that cannot be sent: it holds half of a surrogate pair"
    if fault is not None:
        raise PaginationError(f"the page {fault}", starting_after=starting_after)
    return True, cursor
