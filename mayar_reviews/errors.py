"""Every exception of the package, and what each says about the request it ends.

```
MayarError                                   .attempts .starting_after
├── InvalidArgumentError (also ValueError)   refused before any request: .field
├── APIError                                 a refusal: .status_code .messages .data .request_id
│   ├── ValidationError                      HTTP 200 with messages "failed"
│   ├── BadRequestError                      400
│   ├── AuthenticationError                  401
│   ├── PermissionDeniedError                403
│   ├── NotFoundError                        404
│   ├── ConflictError                        409  .existing
│   ├── RateLimitError                       429  .retry_after
│   └── ServerError                          5xx  .retry_after
├── TransportError
│   ├── ConnectionFailedError                nothing reached the server
│   └── ConnectionLostError                  sent, but no whole answer came back
├── ResponseError                            an answer that is not the API's: .path
├── DeadlineExceededError (also TimeoutError)
├── OutcomeUnknownError                      a write that may or may not have happened
├── StatusUpdateError                        .applied .refused .unknown .not_sent
├── PaginationError                          .starting_after
│   └── IncompleteListError                  .gaps
└── ExportError                              .written .starting_after
```

Two facts of each exception drive the retries. `transient`: the same request may succeed later.
`in_doubt`: a write that failed this way may have happened all the same, so its outcome is unknown.
`retry` decides by them.

Each exception takes one positional message, and keyword arguments with defaults, so that it can
be pickled.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from .models import Review


class MayarError(Exception):
    """The root of every exception of this package."""

    transient: bool = False
    in_doubt: ClassVar[bool] = False

    attempts: int = 0
    """How many requests the failed call started, look-ups included."""

    starting_after: str | None = None
    """The cursor of the page that failed; `None` for the first page.

    An `iter_*` method that starts from there leaves no gap.
    """

    def __init__(self, message: str = "", *, transient: bool | None = None) -> None:
        super().__init__(message)
        if transient is not None:
            self.transient = transient

    def __reduce__(self) -> tuple[Any, ...]:
        state = dict(self.__dict__)
        if self.__cause__ is not None:
            state["__cause__"] = self.__cause__
        return type(self), self.args, state


class InvalidArgumentError(MayarError, ValueError):
    """An argument is outside its documented limits; nothing was sent.

    The text names the field, the fault and the limit. It never repeats the value.
    """

    def __init__(self, fault: str, *, field: str | None = None) -> None:
        super().__init__(fault)
        self.fault = fault
        """What is wrong, without the field's name."""
        self.field = field
        """The argument at fault; `None` where it is not a single one."""

    def __str__(self) -> str:
        return self.fault if self.field is None else f"{self.field} {self.fault}"


class APIError(MayarError):
    """The API refused; raised itself only for a status that is not documented.

    Only the documented refusals say that nothing was done, so an undocumented one leaves a
    write in doubt.
    """

    in_doubt = True
    meaning: ClassVar[str] = "the API answered with an undocumented status"

    def __init__(
        self,
        messages: str = "",
        *,
        status_code: int = 0,
        data: Any = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(messages)
        self.messages = messages
        """The API's own text, whole; empty where it sent none."""
        self.status_code = status_code
        """The HTTP status, or the body's `statusCode` where HTTP said 2xx."""
        self.data = data
        """The answer's `data`, or the whole body of an answer that is no envelope."""
        self.request_id = request_id
        """The `X-Request-Id` of the answer."""
        self.retry_after = retry_after
        """Seconds that a legal `Retry-After` asked for, else `None`."""

    def __str__(self) -> str:
        text = f"{self.meaning} (status {self.status_code})"
        if self.messages:
            text += f": {self.messages}"
        if self.request_id is not None:
            text += f" [request {self.request_id}]"
        # Printing half of a surrogate pair fails, and would hide the refusal.
        return "".join(char if char.isprintable() else "\ufffd" for char in text)


class ValidationError(APIError):
    """HTTP 200 with `messages` "failed": the body is invalid; `.data` holds the detail."""

    in_doubt = False
    meaning = "the API found the request invalid, see .data"


class BadRequestError(APIError):
    """400: the request is incomplete, or names a review that is not this merchant's."""

    in_doubt = False
    meaning = "the request is incomplete or wrong"


class AuthenticationError(APIError):
    """401: the API key is wrong, or belongs to the other environment."""

    in_doubt = False
    meaning = "the API key was not accepted"


class PermissionDeniedError(APIError):
    """403: the customer has never bought the product, or the key may only read."""

    in_doubt = False
    meaning = "not allowed: the customer has not bought the product, or the key may only read"


class NotFoundError(APIError):
    """404: no such product, review or paid transaction of this merchant."""

    in_doubt = False
    meaning = "no such product, review or transaction"


class ConflictError(APIError):
    """409: this customer has already reviewed this product.

    `get_customer_review(…, customer_email=…)` finds the review, `update_review` changes it.
    """

    in_doubt = False
    meaning = (
        "this customer has already reviewed this product; "
        "find the review with get_customer_review and change it with update_review"
    )

    existing: Review | None = None
    """The review that is there, when it was looked up."""


class RateLimitError(APIError):
    """429: the limit is reached; the request was refused before it was processed."""

    transient = True
    in_doubt = False
    meaning = "the rate limit is reached"


class ServerError(APIError):
    """5xx: the API or its gateway failed; a write may have happened all the same."""

    transient = True
    meaning = "the server failed"


class TransportError(MayarError):
    """No whole answer came back; raised as one of the two classes below."""

    transient = True


class ConnectionFailedError(TransportError):
    """Nothing reached the server: name look-up, refusal, TLS, or no connection in time.

    A certificate that does not fit is not tried again: it will not fit later either.
    """


class ConnectionLostError(TransportError):
    """Sent, but no whole answer came back: dropped, reset, cut short, or none in time."""

    in_doubt = True


class ResponseError(MayarError):
    """An answer that is not the API's: HTML, broken JSON, wrong types, too large, a redirect.

    `transient` unless asking again would bring the same: a wrong type, or a body too large.
    """

    transient = True
    in_doubt = True

    def __init__(
        self, message: str, *, path: str | None = None, transient: bool | None = None
    ) -> None:
        super().__init__(message, transient=transient)
        self.path = path
        """Where in the body the fault lies, such as `$.data[3].customer.name`."""


class DeadlineExceededError(MayarError, TimeoutError):
    """The deadline passed, or the next wait would exceed it, and no other error came first."""

    def __str__(self) -> str:
        return f"{self.args[0]} (a client with deadline=None waits)" if self.args else ""


class OutcomeUnknownError(MayarError):
    """A write that may or may not have happened, after every check that could be made.

    `__cause__` is the failure that left the doubt.
    """


class StatusUpdateError(MayarError):
    """Not every status was updated. Each review is named once; `__cause__` is the failure.

    The same call can be made again safely.
    """

    def __init__(
        self,
        message: str,
        *,
        applied: tuple[str, ...] = (),
        refused: tuple[str, ...] = (),
        unknown: tuple[str, ...] = (),
        not_sent: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.applied = applied
        """Ids of the reviews that have the status asked for."""
        self.refused = refused
        """Ids that the API refused, each in a request of its own."""
        self.unknown = unknown
        """Ids whose outcome is in doubt: a request with them had no clear answer."""
        self.not_sent = not_sent
        """Ids that were not sent, or only in a request that was refused as a whole."""


class PaginationError(MayarError):
    """A list whose cursors lead nowhere: `.starting_after` is where to resume."""

    def __init__(self, message: str, *, starting_after: str | None = None) -> None:
        super().__init__(message)
        self.starting_after = starting_after


class IncompleteListError(PaginationError):
    """The server cannot show some reviews of a list; raised after the last review.

    All reviews that it can show have come out. `.starting_after` is `None`: another walk would
    find the same.
    """

    def __init__(
        self,
        message: str,
        *,
        starting_after: str | None = None,
        gaps: tuple[tuple[datetime, datetime], ...] = (),
    ) -> None:
        super().__init__(message, starting_after=starting_after)
        self.gaps = gaps
        """Spans of `created_at`, from and until, in which reviews may be missing."""


class ExportError(MayarError):
    """An export stopped: `.written` reviews are safe, and it resumes at `.starting_after`."""

    def __init__(
        self, message: str, *, written: int = 0, starting_after: str | None = None
    ) -> None:
        super().__init__(message)
        self.written = written
        self.starting_after = starting_after
