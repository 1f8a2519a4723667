"""`ReviewsClient`: one short coroutine or generator for each endpoint."""

from __future__ import annotations

import inspect
import os
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NoReturn, Self, TypeVar

from aiohttp import ClientSession
from attrs import NOTHING, NothingType, evolve

from . import creation, pagination, status_updates
from .arguments import Attachment, StatusUpdate
from .call import Call, Settings
from .checks import (
    DEFAULT_PAGE_SIZE,
    check_email,
    check_id,
    check_integer,
    check_seconds,
    check_time,
    check_type,
)
from .credentials import PRODUCTION_URL, Secret, check_api_key, check_origin
from .delivery import deliver
from .endpoints import (
    CreateReview,
    Endpoint,
    GetCustomerReview,
    GetMerchantStats,
    GetProductStats,
    ListProductReviews,
    ListReviews,
    UpdateReview,
)
from .errors import InvalidArgumentError
from .events import RequestEvent
from .models import Review, ReviewPage, ReviewStats, ReviewStatus, StatusName
from .rate_limit import RateLimit, RateLimiter, check_rate_limiter, unpaced
from .retry import RetryPolicy
from .tracebacks import without_locals
from .transport import Transport
from .walk import server_cursor

T = TypeVar("T")


class ReviewsClient:
    """A client of Mayar's reviews API.

    Use it as `async with ReviewsClient() as client:`, or close it with `aclose()`. It can be
    built outside an event loop and opens its session on first use. The tasks of one event loop
    can share it. It belongs to that loop.

    Args:
        api_key: Mayar's API key; by default the environment variable `MAYAR_API_KEY`. A Read
            Only key is enough for all methods but those that create or update.
        base_url: the API's origin; by default the environment variable `MAYAR_API_URL`, else
            `PRODUCTION_URL`. It must be https, or http on loopback, because the key is sent
            there.
        allow_http: allow plain http to another machine, such as a `FakeMayar` in a container
            beside this one. Never with a real key: whoever is on the way can read it.
        session: an `aiohttp.ClientSession` to use as it is, with its proxies and middlewares.
            The client never closes it. By default the client opens its own.
        timeout: seconds for one attempt, more than 0. Connecting may take 10 of them at most.
        deadline: seconds for one call with all its waiting, more than 0; `None`: no limit. For a
            generator it holds for one page, for `update_review_statuses` for one request.
        retry: when a failed request is sent again.
        rate_limit: the budget of requests, by default 20 in any 60 seconds for this client
            alone. Give one `RateLimit` to all clients that share an address or a key, or a
            `redis.RedisRateLimit` if they are in several processes. `None` turns pacing off. A
            429 makes the client wait in any case.
        on_event: called with a `RequestEvent` after each attempt and before each wait.

    Raises:
        InvalidArgumentError: an argument is outside its limits, or there is no key.
        RuntimeError: by its methods, once it is closed, or in another event loop.

    https://docs.mayar.id/api-reference-v2
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        allow_http: bool = False,
        session: ClientSession | None = None,
        timeout: float = 30.0,
        deadline: float | None = 120.0,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008  a frozen value
        rate_limit: RateLimiter | NothingType | None = NOTHING,
        on_event: Callable[[RequestEvent], object] | None = None,
    ) -> None:
        key = Secret(os.environ.get("MAYAR_API_KEY", "") if api_key is None else api_key)
        del api_key  # a traceback that shows local variables must not show it
        check_api_key(key)
        if base_url is None:
            base_url = os.environ.get("MAYAR_API_URL") or PRODUCTION_URL
        if rate_limit is NOTHING:
            rate_limit = RateLimit(20, per=60.0)
        self._settings = Settings(
            Transport(key, check_origin(base_url, allow_http=allow_http is True), session),
            unpaced() if rate_limit is None else rate_limit,
            retry,
            timeout,
            deadline,
            () if on_event is None else (on_event,),
        )
        _check(self._settings)

    def with_options(
        self,
        *,
        timeout: float | NothingType = NOTHING,
        deadline: float | NothingType | None = NOTHING,
        retry: RetryPolicy | NothingType = NOTHING,
        rate_limit: RateLimiter | NothingType | None = NOTHING,
        on_event: Callable[[RequestEvent], object] | None = None,
    ) -> ReviewsClient:
        """Return the same client with other options. What is not given stays as it is.

        Both share the session and the key. Closing one closes both.

        Args:
            timeout: seconds for one attempt, more than 0.
            deadline: seconds for one call with all its waiting, more than 0; `None`: no limit.
            retry: when a failed request is sent again.
            rate_limit: the budget of requests; `None` turns pacing off.
            on_event: called with each `RequestEvent` of the new client, after the function that
                this client was given.

        Returns:
            The new client.

        Raises:
            InvalidArgumentError: an argument is outside its limits.
        """
        given: dict[str, Any] = {
            "timeout": timeout,
            "deadline": deadline,
            "retry": retry,
            "rate_limit": unpaced() if rate_limit is None else rate_limit,
        }
        settings = evolve(
            self._settings,
            **{name: value for name, value in given.items() if value is not NOTHING},
        )
        if on_event is not None:
            settings = evolve(settings, observers=(*settings.observers, on_event))
        _check(settings)
        client = object.__new__(ReviewsClient)
        client._settings = settings
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the client, and its session unless that was lent.

        Requests under way end with an exception. Calls that wait end with one when their wait is
        over. Later calls raise `RuntimeError`.
        """
        await self._settings.transport.aclose()

    def __repr__(self) -> str:
        # `__init__` may have failed before this was set, and a traceback can still show the client.
        settings = getattr(self, "_settings", None)
        return f"<ReviewsClient {settings.transport.origin}>" if settings else "<ReviewsClient>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a ReviewsClient cannot be pickled or copied, as it holds an API key and open "
            "connections: build a new one, or use with_options()"
        )

    @without_locals
    async def _call(self, endpoint: Endpoint[T]) -> T:
        with Call(self._settings, endpoint.name) as call:
            return await deliver(call, endpoint)

    @without_locals
    async def _list(self, endpoint: ListProductReviews | ListReviews) -> ReviewPage:
        with Call(self._settings, endpoint.name) as call:
            listing = await deliver(call, endpoint)
            return endpoint.select(listing).to_page(keep_invalid=False)

    @without_locals
    async def create_review(
        self,
        *,
        payment_link_id: str,
        customer_email: str,
        rating: int,
        message: str | None = None,
        content_review: Sequence[Attachment] = (),
        customer_id: str | None = None,
    ) -> Review:
        """Leave a review on behalf of a customer who has bought the product, exactly once.

        After a lost or unreadable answer or a 5xx, the client looks for the customer's review
        before it sends anything again. This rests on Mayar's rule of one review per customer and
        product.

        Args:
            payment_link_id: the product, 3-100 characters.
            customer_email: the customer's email, 5-100 characters.
            rating: 1 to 5.
            message: 1-2000 characters; `None`: no message.
            content_review: uploaded media to attach, at most 10.
            customer_id: the customer's id, 3-100 characters. It is not sent: it saves a look-up
                when the outcome must be found out.

        Returns:
            The review. The API does not tell its media.

        Raises:
            InvalidArgumentError: an argument is outside its limits.
            ValidationError: the API found the request invalid.
            PermissionDeniedError: the customer has never bought the product.
            NotFoundError: there is no such product of this merchant.
            ConflictError: the customer has already reviewed it; `.existing` when it was seen.
            OutcomeUnknownError: it may or may not have been created, after every check.
            MayarError: any other failure; nothing was created.

        https://docs.mayar.id/api-reference-v2/reviews/create
        """
        new = CreateReview(payment_link_id, customer_email, rating, message, content_review)
        if customer_id is not None:
            check_id("customer_id", customer_id)
        with Call(self._settings, new.name) as call:
            return await creation.create(call, new, customer_id)

    @without_locals
    async def update_review(
        self,
        review_id: str,
        *,
        payment_link_id: str | None = None,
        customer_email: str | None = None,
        customer_id: str | None = None,
        rating: int | None = None,
        message: str | None = None,
        content_review: Sequence[Attachment] = (),
        delete_content_review: Sequence[Attachment] = (),
    ) -> Review:
        """Change a review. What is `None` stays as it is; the API cannot clear a message.

        An update without media is retried, because repeating it changes nothing. One with media
        is not: they could be added twice.

        Args:
            review_id: the review, 3-100 characters.
            payment_link_id: its product, 3-100 characters. Like the next two, it is only used to
                find the review.
            customer_email: its customer's email, 5-100 characters.
            customer_id: its customer's id, 3-100 characters.
            rating: 1 to 5.
            message: 1-2000 characters.
            content_review: uploaded media to add, at most 10.
            delete_content_review: media to remove, at most 10.

        Returns:
            The review as it is now. The API does not tell its media.

        Raises:
            InvalidArgumentError: an argument is outside its limits, or nothing is to be updated.
            ValidationError: the API found the request invalid.
            NotFoundError: no such review, or no paid transaction of that customer and product.
            OutcomeUnknownError: it may or may not have been changed.
            MayarError: any other failure; nothing was changed.

        https://docs.mayar.id/api-reference-v2/reviews/update
        """
        changes = UpdateReview(
            review_id,
            payment_link_id,
            customer_email,
            customer_id,
            rating,
            message,
            content_review,
            delete_content_review,
        )
        return await self._call(changes)

    @without_locals
    async def get_customer_review(
        self,
        payment_link_id: str,
        *,
        customer_id: str | None = None,
        customer_email: str | None = None,
    ) -> Review | None:
        """Return the review that a customer left for a product.

        Give exactly one of `customer_id` and `customer_email`. An email costs one more request:
        the customer is looked up first.

        Args:
            payment_link_id: the product, 3-100 characters.
            customer_id: the customer, 3-100 characters.
            customer_email: the customer's email, 5-100 characters.

        Returns:
            The review; `None` if the customer has not reviewed the product, or if nobody has
            that email.

        Raises:
            InvalidArgumentError: an argument is outside its limits, or both or none are given.
            MayarError: the API refused, or could not be reached or understood.

        https://docs.mayar.id/api-reference-v2/reviews/productreviewcustomer
        """
        if (customer_id is None) == (customer_email is None):
            raise InvalidArgumentError(
                "give exactly one of customer_id and customer_email", field=None
            )
        check_id("payment_link_id", payment_link_id)
        with Call(self._settings, GetCustomerReview.name) as call:
            if customer_email is not None:
                check_email("customer_email", customer_email)
                customer_id = await creation.find_customer(call, customer_email)
            if customer_id is None:
                return None
            return await deliver(call, GetCustomerReview(payment_link_id, customer_id))

    async def list_product_reviews(
        self,
        payment_link_id: str,
        *,
        limit: int | None = None,
        starting_after: str | None = None,
        rating: int | None = None,
        prioritize_message: bool | None = None,
    ) -> ReviewPage:
        """Return one page of a product's active reviews, as the API sent it.

        Args:
            payment_link_id: the product, 3-100 characters.
            limit: how many reviews to ask for, at least 1; by default the API gives 10. It is
                known to give at most 50.
            starting_after: the `next_starting_after` of the page before; `None`: the first.
            rating: only reviews with this rating, 1 to 5.
            prioritize_message: reviews with a message first. Where the cursor is a time, pages
                in this order can miss reviews.

        Returns:
            The page.

        Raises:
            InvalidArgumentError: an argument is outside its limits.
            PaginationError: the page says that there are more reviews, but not where.
            ResponseError: a review is not as documented; the text names its id and the field.
            MayarError: the API refused, or could not be reached or understood.

        https://docs.mayar.id/api-reference-v2/reviews/productreviews
        """
        endpoint = ListProductReviews(
            payment_link_id, limit, server_cursor(starting_after), rating, prioritize_message
        )
        return await self._list(endpoint)

    def iter_product_reviews(
        self,
        payment_link_id: str,
        *,
        page_size: int = DEFAULT_PAGE_SIZE,
        starting_after: str | None = None,
        rating: int | None = None,
        prioritize_message: bool | None = None,
    ) -> AsyncGenerator[Review, None]:
        """Yield every active review of a product.

        Each review comes once, and a second time only if it is edited meanwhile, in its newer
        form. If you leave the loop early, close the generator with `contextlib.aclosing`. Do not
        put a time limit around one step, such as `asyncio.wait_for(anext(reviews), 5)`: when it
        passes, the generator ends. Give the client a `deadline`, which holds for each page.

        Args:
            payment_link_id: the product, 3-100 characters.
            page_size: how many reviews to ask for in a request, at least 1. The API is known to
                give at most 50.
            starting_after: where to resume: the `next_starting_after` of a page that this kind
                of method has yielded, or the `.starting_after` of an error; `None`: the first.
            rating: only reviews with this rating, 1 to 5.
            prioritize_message: reviews with a message first. Where the cursor is a time, pages
                in this order can miss reviews.

        Returns:
            An async generator of reviews.

        Raises:
            InvalidArgumentError: an argument is outside its limits; raised at the call.
            IncompleteListError: after the last review; the API cannot show all, see `.gaps`.
            PaginationError: the cursors lead nowhere.
            ResponseError: a review is not as documented; the text names its id and the field.
            MayarError: the API refused, or could not be reached or understood;
                `.starting_after` says where to go on.

        https://docs.mayar.id/api-reference-v2/reviews/productreviews
        """
        return pagination.reviews(
            self.iter_product_review_pages(
                payment_link_id,
                page_size=page_size,
                starting_after=starting_after,
                rating=rating,
                prioritize_message=prioritize_message,
            )
        )

    def iter_product_review_pages(
        self,
        payment_link_id: str,
        *,
        page_size: int = DEFAULT_PAGE_SIZE,
        starting_after: str | None = None,
        rating: int | None = None,
        prioritize_message: bool | None = None,
        keep_invalid: bool = False,
    ) -> AsyncGenerator[ReviewPage, None]:
        """Yield the pages of a product's active reviews, without the reviews that come again.

        `page.next_starting_after` is where to resume after that page. As for
        `iter_product_reviews`, a time limit around one step would end the generator.

        Args:
            payment_link_id: the product, 3-100 characters.
            page_size: how many reviews to ask for in a request, at least 1. The API is known to
                give at most 50.
            starting_after: where to resume: the `next_starting_after` of a page that this kind
                of method has yielded, or the `.starting_after` of an error; `None`: the first.
            rating: only reviews with this rating, 1 to 5.
            prioritize_message: reviews with a message first. Where the cursor is a time, pages
                in this order can miss reviews.
            keep_invalid: go on when a review is not as the API documents it. It is then in
                `page.invalid`; by default it ends the generator with a `ResponseError`.

        Returns:
            An async generator of pages.

        Raises:
            InvalidArgumentError: an argument is outside its limits; raised at the call.
            IncompleteListError: after the last review; the API cannot show all, see `.gaps`.
            PaginationError: the cursors lead nowhere.
            ResponseError: a review is not as documented; the text names its id and the field.
            MayarError: the API refused, or could not be reached or understood;
                `.starting_after` says where to go on.

        https://docs.mayar.id/api-reference-v2/reviews/productreviews
        """
        check_integer("page_size", page_size, 1)
        first = ListProductReviews(
            payment_link_id, page_size, server_cursor(starting_after), rating, prioritize_message
        )
        call = Call(self._settings, first.name)
        return pagination.pages(call, first, page_size, starting_after, keep_invalid=keep_invalid)

    async def list_reviews(
        self,
        *,
        limit: int | None = None,
        starting_after: str | None = None,
        status: ReviewStatus | StatusName | None = None,
        payment_link_id: str | None = None,
        rating: int | None = None,
    ) -> ReviewPage:
        """Return one page of the reviews of the whole store, of every status, as the API sent it.

        Args:
            limit: how many reviews to ask for, at least 1; by default the API gives 10. It is
                known to give at most 50.
            starting_after: the `next_starting_after` of the page before; `None`: the first.
            status: only reviews with this status.
            payment_link_id: only reviews of this product, 3-100 characters.
            rating: only reviews with this rating, 1 to 5.

        Returns:
            The page.

        Raises:
            InvalidArgumentError: an argument is outside its limits.
            PaginationError: the page says that there are more reviews, but not where.
            ResponseError: a review is not as documented; the text names its id and the field.
            MayarError: the API refused, or could not be reached or understood.

        https://docs.mayar.id/api-reference-v2/reviews/getallreviews
        """
        endpoint = ListReviews(
            limit, server_cursor(starting_after), status, payment_link_id, rating
        )
        return await self._list(endpoint)

    def iter_reviews(
        self,
        *,
        page_size: int = DEFAULT_PAGE_SIZE,
        starting_after: str | None = None,
        status: ReviewStatus | StatusName | None = None,
        payment_link_id: str | None = None,
        rating: int | None = None,
    ) -> AsyncGenerator[Review, None]:
        """Yield every review of the whole store.

        Each review comes once, and a second time only if it is edited meanwhile, in its newer
        form. If you leave the loop early, close the generator with `contextlib.aclosing`. Do not
        put a time limit around one step, such as `asyncio.wait_for(anext(reviews), 5)`: when it
        passes, the generator ends. Give the client a `deadline`, which holds for each page.

        Args:
            page_size: how many reviews to ask for in a request, at least 1. The API is known to
                give at most 50.
            starting_after: where to resume: the `next_starting_after` of a page that this kind
                of method has yielded, or the `.starting_after` of an error; `None`: the first.
            status: only reviews with this status.
            payment_link_id: only reviews of this product, 3-100 characters.
            rating: only reviews with this rating, 1 to 5.

        Returns:
            An async generator of reviews.

        Raises:
            InvalidArgumentError: an argument is outside its limits; raised at the call.
            IncompleteListError: after the last review; the API cannot show all, see `.gaps`.
            PaginationError: the cursors lead nowhere.
            ResponseError: a review is not as documented; the text names its id and the field.
            MayarError: the API refused, or could not be reached or understood;
                `.starting_after` says where to go on.

        https://docs.mayar.id/api-reference-v2/reviews/getallreviews
        """
        return pagination.reviews(
            self.iter_review_pages(
                page_size=page_size,
                starting_after=starting_after,
                status=status,
                payment_link_id=payment_link_id,
                rating=rating,
            )
        )

    def iter_review_pages(
        self,
        *,
        page_size: int = DEFAULT_PAGE_SIZE,
        starting_after: str | None = None,
        status: ReviewStatus | StatusName | None = None,
        payment_link_id: str | None = None,
        rating: int | None = None,
        keep_invalid: bool = False,
    ) -> AsyncGenerator[ReviewPage, None]:
        """Yield the pages of the reviews of the whole store, without those that come again.

        `page.next_starting_after` is where to resume after that page. As for `iter_reviews`, a
        time limit around one step would end the generator.

        Args:
            page_size: how many reviews to ask for in a request, at least 1. The API is known to
                give at most 50.
            starting_after: where to resume: the `next_starting_after` of a page that this kind
                of method has yielded, or the `.starting_after` of an error; `None`: the first.
            status: only reviews with this status.
            payment_link_id: only reviews of this product, 3-100 characters.
            rating: only reviews with this rating, 1 to 5.
            keep_invalid: go on when a review is not as the API documents it. It is then in
                `page.invalid`; by default it ends the generator with a `ResponseError`.

        Returns:
            An async generator of pages.

        Raises:
            InvalidArgumentError: an argument is outside its limits; raised at the call.
            IncompleteListError: after the last review; the API cannot show all, see `.gaps`.
            PaginationError: the cursors lead nowhere.
            ResponseError: a review is not as documented; the text names its id and the field.
            MayarError: the API refused, or could not be reached or understood;
                `.starting_after` says where to go on.

        https://docs.mayar.id/api-reference-v2/reviews/getallreviews
        """
        check_integer("page_size", page_size, 1)
        first = ListReviews(
            page_size, server_cursor(starting_after), status, payment_link_id, rating
        )
        call = Call(self._settings, first.name)
        return pagination.pages(call, first, page_size, starting_after, keep_invalid=keep_invalid)

    def watch_reviews(
        self,
        payment_link_id: str | None = None,
        *,
        every: float = 60.0,
        since: datetime | None = None,
    ) -> AsyncGenerator[Review, None]:
        """Yield each review that is new or changed, the oldest change first, for ever.

        Outages are waited out. A round in which nothing changed costs one request. Where the API
        sorts a list by `createdAt`, only new reviews can be seen. When more than forty reviews
        change between two rounds, the API may not be able to show all of them; that is logged as
        a warning.

        Args:
            payment_link_id: the product, 3-100 characters: its active reviews; `None`: the
                reviews of the whole store, of every status.
            every: seconds between two rounds, more than 0.
            since: what was updated after this time is new; an aware `datetime`. To go on later,
                give the `updated_at` of the last review. `None`: from now on.

        Returns:
            An async generator of reviews. Each change comes once.

        Raises:
            InvalidArgumentError: an argument is outside its limits; raised at the call.
            MayarError: a failure that will not pass, such as a refused key.

        https://docs.mayar.id/api-reference-v2/reviews/getallreviews
        """
        check_seconds("every", every)
        if since is not None:
            check_time("since", since)
        endpoint: ListProductReviews | ListReviews
        endpoint = ListReviews() if payment_link_id is None else ListProductReviews(payment_link_id)
        call = Call(self._settings, endpoint.name)
        return pagination.changes(call, endpoint, every, since)

    async def get_product_stats(self, payment_link_id: str) -> ReviewStats | None:
        """Return the figures over a product's active reviews.

        Args:
            payment_link_id: the product, 3-100 characters.

        Returns:
            The figures, or `None` when there are no active reviews.

        Raises:
            InvalidArgumentError: the argument is outside its limits.
            MayarError: the API refused, or could not be reached or understood.

        https://docs.mayar.id/api-reference-v2/reviews/productreviewstats
        """
        return await self._call(GetProductStats(payment_link_id))

    async def get_merchant_stats(self) -> ReviewStats | None:
        """Return the figures over the active reviews of the whole store.

        Returns:
            The figures, or `None` when there are no active reviews.

        Raises:
            MayarError: the API refused, or could not be reached or understood.

        https://docs.mayar.id/api-reference-v2/reviews/merchantreviewstats
        """
        return await self._call(GetMerchantStats())

    async def update_review_statuses(self, updates: Iterable[StatusUpdate]) -> None:
        """Set the status of any number of reviews, fifty to a request, in their order.

        A review that the API refuses does not stop the others. The same call can be made again
        safely, whatever became of it.

        Args:
            updates: the statuses; a review may come twice only with the same one.

        Raises:
            InvalidArgumentError: not status updates, or one review with two statuses.
            StatusUpdateError: some were not updated: `.applied`, `.refused`, `.unknown` and
                `.not_sent` name every review, `__cause__` is the failure.

        https://docs.mayar.id/api-reference-v2/reviews/bulkstatusupdate
        """
        checked = status_updates.check_updates(updates)
        await status_updates.update(Call(self._settings, "update_review_statuses"), checked)


def _check(settings: Settings) -> None:
    check_seconds("timeout", settings.timeout)
    if settings.deadline is not None:
        check_seconds("deadline", settings.deadline)
    check_type("retry", settings.retry, RetryPolicy)
    check_rate_limiter("rate_limit", settings.rate_limit)
    if isinstance(settings.rate_limit, type):
        raise InvalidArgumentError(
            f"is the class {settings.rate_limit.__name__}: it must be an object of it",
            field="rate_limit",
        )
    for on_event in settings.observers:
        if not callable(on_event) or inspect.iscoroutinefunction(on_event):
            raise InvalidArgumentError(
                "cannot be called: it must be a plain function, not a coroutine function",
                field="on_event",
            )
