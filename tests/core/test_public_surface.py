"""The public surface: its names, their documentation, who imports whom, what an import costs."""

from __future__ import annotations

import importlib.metadata
import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import mayar_reviews
from mayar_reviews import RetryPolicy, ReviewsClient
from tests.support.calls import ARGUMENTS, NOT_CALLS

PACKAGE = Path(mayar_reviews.__file__).parent

NAMES = {
    "ReviewsClient", "PRODUCTION_URL", "SANDBOX_URL", "RetryPolicy", "RateLimit", "RateLimiter",
    "Review", "ReviewPage", "ReviewStatus", "ReviewImage", "ReviewContent", "ReviewFile",
    "Customer", "PaymentLink", "ReviewStats", "RatingCount", "Attachment", "StatusUpdate",
    "RequestEvent", "MayarError", "InvalidArgumentError", "APIError", "ValidationError",
    "BadRequestError", "AuthenticationError", "PermissionDeniedError", "NotFoundError",
    "ConflictError", "IncompleteListError", "RateLimitError", "ServerError", "TransportError",
    "ConnectionFailedError", "ConnectionLostError", "ResponseError", "DeadlineExceededError",
    "OutcomeUnknownError", "StatusUpdateError", "PaginationError", "ExportError", "__version__",
}  # fmt: skip

COROUTINES = {
    "create_review", "update_review", "get_customer_review", "list_product_reviews",
    "list_reviews", "get_product_stats", "get_merchant_stats", "update_review_statuses", "aclose",
}  # fmt: skip
GENERATORS = {
    "iter_product_reviews", "iter_product_review_pages", "iter_reviews", "iter_review_pages",
    "watch_reviews",
}  # fmt: skip


def test_the_exported_names() -> None:
    """Exactly these, and each of them is there."""
    assert set(mayar_reviews.__all__) == NAMES
    for name in NAMES:
        assert getattr(mayar_reviews, name)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """Although one name is loaded late; that one is listed."""
    assert not hasattr(mayar_reviews, "ReviewClient")
    assert "ReviewsClient" in dir(mayar_reviews)


def test_the_clients_methods() -> None:
    """Coroutines, async generators, `with_options`, and nothing else."""
    public = {name for name in vars(ReviewsClient) if not name.startswith("_")}
    assert public == COROUTINES | GENERATORS | {"with_options"}
    for name in COROUTINES:
        assert inspect.iscoroutinefunction(getattr(ReviewsClient, name))


def test_the_tests_of_all_methods_know_all_methods() -> None:
    """`tests.support.calls` has a call of each, with arguments that the method takes."""
    assert set(ARGUMENTS) == (COROUTINES | GENERATORS) - NOT_CALLS
    for name, arguments in ARGUMENTS.items():
        inspect.signature(getattr(ReviewsClient, name)).bind(None, **arguments)


def test_the_documented_defaults() -> None:
    """What the docstrings say of a client, a policy and a page."""

    def defaults(function: Callable[..., object]) -> dict[str, object]:
        parameters = inspect.signature(function).parameters.values()
        return {one.name: one.default for one in parameters if one.default is not one.empty}

    client = defaults(ReviewsClient)
    assert (client["timeout"], client["deadline"]) == (30.0, 120.0)
    assert client["retry"] == RetryPolicy(attempts=4, backoff_initial=0.5, backoff_max=8.0)
    assert defaults(RetryPolicy) == {"attempts": 4, "backoff_initial": 0.5, "backoff_max": 8.0}
    for name in GENERATORS - {"watch_reviews"}:
        assert defaults(getattr(ReviewsClient, name))["page_size"] == 50
    assert defaults(ReviewsClient.watch_reviews)["every"] == 60.0


def test_the_version_is_that_of_the_package() -> None:
    """It stands in one place."""
    assert mayar_reviews.__version__ == importlib.metadata.version("mayar-reviews")


def test_the_package_is_typed() -> None:
    """So that the type checkers of users read the annotations."""
    assert (PACKAGE / "py.typed").exists()


# --- documentation ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(NAMES - {"__version__", "PRODUCTION_URL", "SANDBOX_URL"}))
def test_every_public_class_is_documented(name: str) -> None:
    """In a docstring of its own: an inherited one is not enough."""
    assert vars(getattr(mayar_reviews, name))["__doc__"]


@pytest.mark.parametrize("name", sorted(COROUTINES | GENERATORS | {"__init__", "with_options"}))
def test_every_public_method_is_documented(name: str) -> None:
    """Each argument, the result, the errors, and Mayar's page about it."""
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
