"""An async client of Mayar's reviews API: models, cursors, retries, and nothing done twice.

The fake server for tests is `mayar_reviews.testing`, bulk jobs are in `mayar_reviews.export`.
"""

from .arguments import Attachment, StatusUpdate
from .client import PRODUCTION_URL, SANDBOX_URL, ReviewsClient
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
