"""An async client of Mayar's reviews API: models, cursors, retries, and nothing done twice.

The fake server for tests is `mayar_reviews.testing`, bulk jobs are in `mayar_reviews.export`.

`import mayar_reviews` does not load aiohttp, which takes longer than everything else together. It
is loaded when `ReviewsClient` is first named: `from mayar_reviews import ReviewsClient` at the top
of a program pays for it at the start.
"""

from typing import TYPE_CHECKING

from .arguments import Attachment, StatusUpdate
from .credentials import PRODUCTION_URL, SANDBOX_URL
from .errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ConnectionFailedError,
    ConnectionLostError,
    DeadlineExceededError,
    ExportError,
    IncompleteListError,
    InvalidArgumentError,
    MayarError,
    NotFoundError,
    OutcomeUnknownError,
    PaginationError,
    PermissionDeniedError,
    RateLimitError,
    ResponseError,
    ServerError,
    StatusUpdateError,
    TransportError,
    ValidationError,
)
from .events import RequestEvent
from .models import (
    Customer,
    PaymentLink,
    RatingCount,
    Review,
    ReviewContent,
    ReviewFile,
    ReviewImage,
    ReviewPage,
    ReviewStats,
    ReviewStatus,
)
from .rate_limit import RateLimit, RateLimiter
from .retry import RetryPolicy
from .version import __version__

if TYPE_CHECKING:
    from .client import ReviewsClient
else:

    def __getattr__(name):
        if name != "ReviewsClient":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from .client import ReviewsClient  # noqa: PLC0415

        globals()[name] = ReviewsClient
        return ReviewsClient

    def __dir__():
        return [*globals(), "ReviewsClient"]


__all__ = [
    "PRODUCTION_URL",
    "SANDBOX_URL",
    "APIError",
    "Attachment",
    "AuthenticationError",
    "BadRequestError",
    "ConflictError",
    "ConnectionFailedError",
    "ConnectionLostError",
    "Customer",
    "DeadlineExceededError",
    "ExportError",
    "IncompleteListError",
    "InvalidArgumentError",
    "MayarError",
    "NotFoundError",
    "OutcomeUnknownError",
    "PaginationError",
    "PaymentLink",
    "PermissionDeniedError",
    "RateLimit",
    "RateLimitError",
    "RateLimiter",
    "RatingCount",
    "RequestEvent",
    "ResponseError",
    "RetryPolicy",
    "Review",
    "ReviewContent",
    "ReviewFile",
    "ReviewImage",
    "ReviewPage",
    "ReviewStats",
    "ReviewStatus",
    "ReviewsClient",
    "ServerError",
    "StatusUpdate",
    "StatusUpdateError",
    "TransportError",
    "ValidationError",
    "__version__",
]
