"""The public surface: its names, their documentation, who imports whom, what an import costs."""

from __future__ import annotations

import importlib.metadata
import inspect
import re
from pathlib import Path

import pytest

import mayar_reviews
from mayar_reviews import ReviewsClient

PACKAGE = Path(mayar_reviews.__file__).parent

NAMES = {
    "ReviewsClient", "PRODUCTION_URL", "SANDBOX_URL", "RetryPolicy", "RateLimit", "RateLimiter",
    "Review", "ReviewPage", "ReviewStatus", "ReviewImage", "ReviewContent", "ReviewFile",
    "Customer", "PaymentLink", "ReviewStats", "RatingCount", "Attachment", "StatusUpdate",
    "RequestEvent", "MayarError", "InvalidArgumentError", "APIError", "ValidationError",
    "BadRequestError", "AuthenticationError", "PermissionDeniedError", "NotFoundError",
    "ConflictError", "RateLimitError", "ServerError", "TransportError",
    "ConnectionFailedError", "ConnectionLostError", "ResponseError", "DeadlineExceededError",
    "OutcomeUnknownError", "StatusUpdateError", "PaginationError", "ExportError", "__version__",
}  # fmt: skip

COROUTINES = {
    "create_review", "update_review", "get_customer_review", "list_product_reviews",
    "list_reviews", "get_product_stats", "get_merchant_stats", "update_review_statuses", "aclose",
}  # fmt: skip
GENERATORS = {
    "iter_product_reviews", "iter_product_review_pages", "iter_reviews", "iter_review_pages",
}  # fmt: skip


def test_the_exported_names() -> None:
    """Exactly these, each of which is there."""
    assert set(mayar_reviews.__all__) == NAMES
    for name in NAMES:
        assert getattr(mayar_reviews, name)


def test_the_clients_methods() -> None:
    """Coroutines, async generators, `with_options`, and nothing else."""
    public = {name for name in vars(ReviewsClient) if not name.startswith("_")}
    assert public == COROUTINES | GENERATORS | {"with_options"}
    for name in COROUTINES:
        assert inspect.iscoroutinefunction(getattr(ReviewsClient, name))


def test_the_version_is_that_of_the_package() -> None:
    """One version, in one place."""
    assert mayar_reviews.__version__ == importlib.metadata.version("mayar-reviews")


def test_the_package_is_typed() -> None:
    """Type checkers of users read our annotations."""
    assert (PACKAGE / "py.typed").exists()


# --- documentation ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(NAMES - {"__version__", "PRODUCTION_URL", "SANDBOX_URL"}))
def test_every_public_class_is_documented(name: str) -> None:
    """A class says what it is."""
    assert inspect.getdoc(getattr(mayar_reviews, name))


@pytest.mark.parametrize("name", sorted(COROUTINES | GENERATORS | {"__init__", "with_options"}))
def test_every_public_method_is_documented(name: str) -> None:
    """Each argument, what is returned, which errors, and Mayar's page about it."""
    method = getattr(ReviewsClient, name)
    doc = inspect.getdoc(ReviewsClient if name == "__init__" else method)
    assert doc is not None
    arguments = list(inspect.signature(method).parameters)[1:]
    for argument in arguments:
        assert re.search(rf"^ +{argument}: ", doc, re.MULTILINE), argument
    if name in COROUTINES | GENERATORS and name != "aclose":
        assert "https://docs.mayar.id/api-reference-v2/reviews/" in doc
        assert "Raises:" in doc
        assert "Returns:" in doc or name == "update_review_statuses"
