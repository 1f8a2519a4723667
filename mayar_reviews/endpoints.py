"""The nine endpoints: one class each, with its route, its limits, and how its answer is read.

A field that the route names goes into the path. The others go into the query of a GET and into
the body of a POST, under the API's names, but for those that are `None` or `()`. Building one
checks every field against the documented limits and raises `InvalidArgumentError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Generic, TypeVar
from urllib.parse import quote, urlencode

from attrs import Attribute, field, frozen
from attrs.validators import optional

from .answers import (
    CustomerRecord,
    Envelope,
    Listing,
    check_ours,
    foreign,
    read_or_none,
    read_page,
    read_review,
    read_stats,
)
from .api_json import camel_case, dump, to_api
from .arguments import Attachment, StatusUpdate
from .checks import (
    MAX_ATTACHMENTS,
    check_id,
    is_cursor,
    is_email,
    is_flag,
    is_id,
    is_limit,
    is_message,
    is_rating,
    is_status,
    to_optional_status,
)
from .converter import malformed
from .errors import InvalidArgumentError
from .models import Review, ReviewStats, ReviewStatus
from .retry import Effect

T_co = TypeVar("T_co", covariant=True)


@frozen
class Endpoint(Generic[T_co]):
    """One request to the API. `T_co` is what its answer is read as."""

    name: ClassVar[str]
    method: ClassVar[str]
    route: ClassVar[str]
    """The path as documented: safe to log, as it holds no id."""
    hide_url: ClassVar[bool] = False
    """Whether the URL holds personal data, so that no tracing library may record it."""
    lists: ClassVar[type[Any] | None] = None
    """What the answer is a list of."""

    @property
    def effect(self) -> Effect:
        """What the request does."""
        return Effect.READ

    @property
    def target(self) -> str:
        """The path and query, percent-encoded."""
        named: dict[str, Any] = to_api(self)
        path = self.route.format_map(named)
        if self.method != "GET" or not (parameters := self.parameters(named)):
            return path
        query = {
            name: str(value).lower() if isinstance(value, bool) else value
            for name, value in parameters.items()
        }
        # `quote`, not `quote_plus`: only forms write a space as `+`.
        return f"{path}?{urlencode(query, quote_via=quote)}"

    @property
    def body(self) -> bytes | None:
        """The JSON to send."""
        return dump(self.parameters(to_api(self))) if self.method == "POST" else None

    def parameters(self, named: dict[str, Any]) -> dict[str, Any]:
        """Return what is sent outside the path; `named` has all fields under the API's names."""
        return {name: value for name, value in named.items() if f"{{{name}}}" not in self.route}

    def read(self, body: Envelope) -> T_co:
        """Return what a successful answer says.

        Raises:
            ResponseError: the answer is not of the documented shape.
        """
        raise NotImplementedError


def _to_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, Iterable) else value


def _is_attachments(_: object, attribute: Attribute[Any], value: object) -> None:
    limit = f"a sequence of at most {MAX_ATTACHMENTS} Attachment objects"
    fault = None
    if not isinstance(value, tuple):
        fault = f"is of type {type(value).__name__}"
    elif others := [item for item in value if not isinstance(item, Attachment)]:
        fault = f"holds a {type(others[0]).__name__}"
    elif len(value) > MAX_ATTACHMENTS:
        fault = f"has {len(value)} entries"
    if fault is not None:
        raise InvalidArgumentError(f"{fault}: it must be {limit}", field=attribute.name)


@frozen
class CreateReview(Endpoint[Review]):
    """https://docs.mayar.id/api-reference-v2/reviews/create."""

    name = "create_review"
    method = "POST"
    route = "/reviews/create"

    payment_link_id: str = field(validator=is_id)
    customer_email: str = field(validator=is_email, repr=False)
    rating: int = field(validator=is_rating)
    message: str | None = field(default=None, validator=optional(is_message), repr=False)
    content_review: tuple[Attachment, ...] = field(
        default=(), converter=_to_tuple, validator=_is_attachments
    )

    @property
    def effect(self) -> Effect:
        return Effect.CREATE

    def read(self, body: Envelope) -> Review:
        review = read_review(body)
        # Not the text: a server may tidy it.
        check_ours("paymentLinkId", review.payment_link_id, self.payment_link_id)
        check_ours("rating", review.rating, self.rating)
        return review


@frozen
class UpdateReview(Endpoint[Review]):
    """https://docs.mayar.id/api-reference-v2/reviews/update."""

    name = "update_review"
    method = "POST"
    route = "/reviews/{reviewId}/update"

    review_id: str = field(validator=is_id)
    payment_link_id: str | None = field(default=None, validator=optional(is_id))
    customer_email: str | None = field(default=None, validator=optional(is_email), repr=False)
    customer_id: str | None = field(default=None, validator=optional(is_id))
    rating: int | None = field(default=None, validator=optional(is_rating))
    message: str | None = field(default=None, validator=optional(is_message), repr=False)
    content_review: tuple[Attachment, ...] = field(
        default=(), converter=_to_tuple, validator=_is_attachments
    )
    delete_content_review: tuple[Attachment, ...] = field(
        default=(), converter=_to_tuple, validator=_is_attachments
    )

    def __attrs_post_init__(self) -> None:
        if self.rating is None and self.message is None and self.effect is Effect.SET:
            raise InvalidArgumentError(
                "there is nothing to update: give rating, message, content_review or "
                "delete_content_review"
            )

    @property
    def effect(self) -> Effect:
        media = self.content_review or self.delete_content_review
        return Effect.ADD if media else Effect.SET

    def parameters(self, named: dict[str, Any]) -> dict[str, Any]:
        # The API takes the review from the body and ignores the id in the path.
        return {"id": self.review_id} | super().parameters(named)

    def read(self, body: Envelope) -> Review:
        review = read_review(body)
        check_ours("id", review.id, self.review_id)
        return review


def _select(listing: Listing, asked: Mapping[str, object]) -> Listing:
    # The API was seen to ignore filters of other lists.
    filters = [(name, value) for name, value in asked.items() if value is not None]
    if not filters:
        return listing
    return listing.keep(
        [
            i
            for i in range(len(listing.reviews))
            # What cannot be compared stays: it may be what was asked for.
            if not any(_differs(listing, i, name, value) for name, value in filters)
        ]
    )


def _differs(listing: Listing, i: int, name: str, asked: object) -> bool:
    review = listing.reviews[i]
    if isinstance(review, Review):
        return bool(getattr(review, name) != asked)
    raw = listing.raw[i]
    found = raw.get(camel_case(name)) if isinstance(raw, dict) else None
    kind = str if isinstance(asked, str) else int
    return type(found) is kind and found != asked


@frozen
class GetCustomerReview(Endpoint[Review | None]):
    """https://docs.mayar.id/api-reference-v2/reviews/productreviewcustomer."""

    name = "get_customer_review"
    method = "GET"
    route = "/products/{paymentLinkId}/reviews/customer"

    payment_link_id: str = field(validator=is_id)
    customer_id: str = field(validator=is_id)

    def read(self, body: Envelope) -> Review | None:
        review = read_or_none(body, Review)
        if review is not None:
            check_ours("paymentLinkId", review.payment_link_id, self.payment_link_id)
            check_ours("customerId", review.customer_id, self.customer_id)
        return review


@frozen
class ListProductReviews(Endpoint[Listing]):
    """https://docs.mayar.id/api-reference-v2/reviews/productreviews."""

    name = "list_product_reviews"
    lists: ClassVar[type[Any] | None] = Review
    method = "GET"
    route = "/products/{paymentLinkId}/reviews"

    payment_link_id: str = field(validator=is_id)
    limit: int | None = field(default=None, validator=optional(is_limit))
    starting_after: str | None = field(default=None, validator=optional(is_cursor))
    rating: int | None = field(default=None, validator=optional(is_rating))
    prioritize_message: bool | None = field(default=None, validator=optional(is_flag))

    def read(self, body: Envelope) -> Listing:
        listing = read_page(body, self.starting_after)
        for i, review in enumerate(listing.reviews):
            if isinstance(review, Review) and review.payment_link_id == self.payment_link_id:
                continue
            if _differs(listing, i, "payment_link_id", self.payment_link_id):
                raise foreign(f"[{i}].paymentLinkId")
        return listing

    @property
    def by_time(self) -> bool:
        """Whether the list may be sorted by a time."""
        return not self.prioritize_message

    def select(self, listing: Listing) -> Listing:
        """Return the listing without the reviews that were not asked for."""
        return _select(listing, {"rating": self.rating})


@frozen
class ListReviews(Endpoint[Listing]):
    """https://docs.mayar.id/api-reference-v2/reviews/getallreviews."""

    name = "list_reviews"
    lists: ClassVar[type[Any] | None] = Review
    method = "GET"
    route = "/reviews"

    limit: int | None = field(default=None, validator=optional(is_limit))
    starting_after: str | None = field(default=None, validator=optional(is_cursor))
    status: ReviewStatus | None = field(
        default=None, converter=to_optional_status, validator=optional(is_status)
    )
    payment_link_id: str | None = field(default=None, validator=optional(is_id))
    rating: int | None = field(default=None, validator=optional(is_rating))

    def read(self, body: Envelope) -> Listing:
        return read_page(body, self.starting_after)

    @property
    def by_time(self) -> bool:
        """Whether the list may be sorted by a time."""
        return True

    def select(self, listing: Listing) -> Listing:
        """Return the listing without the reviews that were not asked for."""
        asked = {"status": self.status, "payment_link_id": self.payment_link_id}
        return _select(listing, asked | {"rating": self.rating})


@frozen
class GetProductStats(Endpoint[ReviewStats | None]):
    """https://docs.mayar.id/api-reference-v2/reviews/productreviewstats."""

    name = "get_product_stats"
    method = "GET"
    route = "/products/{paymentLinkId}/reviews/stats"

    payment_link_id: str = field(validator=is_id)

    def read(self, body: Envelope) -> ReviewStats | None:
        return read_stats(body)


@frozen
class GetMerchantStats(Endpoint[ReviewStats | None]):
    """https://docs.mayar.id/api-reference-v2/reviews/merchantreviewstats."""

    name = "get_merchant_stats"
    method = "GET"
    route = "/merchants/reviews/stats"

    def read(self, body: Envelope) -> ReviewStats | None:
        return read_stats(body)


@frozen
class UpdateReviewStatuses(Endpoint[None]):
    """https://docs.mayar.id/api-reference-v2/reviews/bulkstatusupdate."""

    name = "update_review_statuses"
    method = "POST"
    route = "/reviews/bulk-status/update"

    input: tuple[StatusUpdate, ...]
    """At most `MAX_STATUS_UPDATES`."""

    @property
    def effect(self) -> Effect:
        return Effect.SET

    def read(self, body: Envelope) -> None:
        """Return nothing: a success has no `data`."""


@frozen
class GetCustomer(Endpoint[str | None]):
    """The id of the customer with that email, from the neighbouring customers API.

    https://docs.mayar.id/api-reference-v2/customer/searchcustomerbyemail
    """

    name = "get_customer"
    method = "GET"
    route = "/customers/detail"
    hide_url = True

    email: str = field(validator=is_email, repr=False)

    def read(self, body: Envelope) -> str | None:
        customer = read_or_none(body, CustomerRecord)
        if customer is None:
            return None
        check_ours("email", customer.email.casefold(), self.email.casefold())
        try:
            check_id("customer_id", customer.id)
        except InvalidArgumentError as error:
            fault = error.fault
        else:
            return customer.id
        raise malformed("$.data.id", fault)
