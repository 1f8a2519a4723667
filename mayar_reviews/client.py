"""`ReviewsClient`: one short coroutine or generator per endpoint, over parts built here.

What is done is done elsewhere: arguments are checked by `arguments`, requests made and
answers understood by `wire`, calls run by `call`, cursors followed by `pagination`.
"""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

from attrs import NOTHING, NothingType, evolve

from . import creation, pagination, statuses, wire
from .arguments import (
    Attachment,
    CustomerReview,
    NewReview,
    Product,
    ProductReviews,
    ReviewChanges,
    StatusUpdate,
    StoreReviews,
    check_is,
    check_seconds,
    check_whole,
)
from .call import Call, Caller
from .events import RequestEvent
from .models import Review, ReviewPage, ReviewStats, ReviewStatus
from .rate_limit import Budget, RateLimit
from .retry import RetryPolicy
from .transport import Secret, Transport, check_origin

if TYPE_CHECKING:
    from typing import Self

    from aiohttp import ClientSession

PRODUCTION_URL = "https://api.mayar.id"
"""The origin of the real API."""
SANDBOX_URL = "https://api.mayar.club"
"""The origin for trying things out, with accounts and keys of its own."""

P = ParamSpec("P")
T = TypeVar("T")


def _forgetful(
    method: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[P, Coroutine[Any, Any, T]]:
    """Empty the frames that an exception leaves behind.

    An error report that shows local variables must not show a customer's email or words.
    """

    @functools.wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            coroutine = method(*args, **kwargs)
        finally:
            del args, kwargs
        try:
            return await coroutine
        except BaseException as error:
            traceback.clear_frames(error.__traceback__)
            raise

    return call


class ReviewsClient:
    """A client of Mayar's reviews API.

    Use it as `async with ReviewsClient() as client:`, or close it with `aclose()`. It can be
    built outside an event loop, opens its session on first use, is safe to share between the
    tasks of one event loop, and belongs to that loop.

    Args:
        api_key: Mayar's API key; by default the environment's `MAYAR_API_KEY`. A Read Only key
            suffices for everything but the creating and updating methods.
        base_url: the API's origin; by default the environment's `MAYAR_API_URL`, else
            `PRODUCTION_URL`. It must be https, or http on loopback: the key goes there.
        session: an `aiohttp.ClientSession` to use as it is, with its proxies and middlewares,
            and never to close; by default the client has its own.
        timeout: seconds for one attempt, more than 0; connecting gets at most 10 of them.
        deadline: seconds for one call with all its waiting (for a generator: for one page; for
            `update_review_statuses`: for one request of fifty), more than 0; `None`: no end.
        retry: when a failed request is tried again.
        rate_limit: the budget of requests, by default 20 in any 60 seconds, for this client
            alone; give one `RateLimit` to several clients that share an address or a key
            (`redis.RedisRateLimit` where they are in several processes), and `None` for no
            pacing. A 429 makes the client wait in either case.
        on_event: called with a `RequestEvent` after each attempt and before each wait.

    Raises:
        InvalidArgumentError: an argument is outside its limits, or there is no key.

    https://docs.mayar.id/api-reference-v2
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        session: ClientSession | None = None,
        timeout: float = 30.0,
        deadline: float | None = 120.0,
        retry: RetryPolicy = RetryPolicy(),  # noqa: B008  a frozen value
        rate_limit: Budget | NothingType | None = NOTHING,
        on_event: Callable[[RequestEvent], object] | None = None,
    ) -> None:
        key = Secret(os.environ.get("MAYAR_API_KEY", "") if api_key is None else api_key)
        del api_key  # else a traceback that shows local variables would show it
        key.check()
        if base_url is None:
            base_url = os.environ.get("MAYAR_API_URL") or PRODUCTION_URL
        _check_patience(timeout, deadline, retry)
        if rate_limit is NOTHING:
            rate_limit = RateLimit(20, per=60.0)
        elif rate_limit is None:
            # A budget that nobody can spend: it never paces, and still pauses after a 429.
            rate_limit = RateLimit(sys.maxsize, per=1e-6)
        check_is("rate_limit", rate_limit, Budget)
        self._caller = Caller(
            Transport(key, check_origin(base_url), session),
            rate_limit,
            retry,
            timeout,
            deadline,
            () if on_event is None else (on_event,),
        )

    def with_options(
        self,
        *,
        timeout: float | NothingType = NOTHING,
        deadline: float | NothingType | None = NOTHING,
        retry: RetryPolicy | NothingType = NOTHING,
        on_event: Callable[[RequestEvent], object] | None = None,
    ) -> ReviewsClient:
        """The same client with other patience: it shares the session, the key and the budget.

        Closing either closes both.

        Args:
            timeout: seconds for one attempt, more than 0.
            deadline: seconds for one call with all its waiting, more than 0; `None`: no end.
            retry: when a failed request is tried again.
            on_event: called with each `RequestEvent` of this client, after those of the client
                that it is made from.

        Returns:
            A client in which what was not given stays as it is.

        Raises:
            InvalidArgumentError: an argument is outside its limits.
        """
        caller = self._caller
        timeout = caller.timeout if timeout is NOTHING else timeout
        deadline = caller.deadline if deadline is NOTHING else deadline
        retry = caller.retry if retry is NOTHING else retry
        _check_patience(timeout, deadline, retry)
        client = object.__new__(ReviewsClient)
        client._caller = evolve(
            caller,
            timeout=timeout,
            deadline=deadline,
            retry=retry,
            observers=caller.observers if on_event is None else (*caller.observers, on_event),
        )
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the client and, unless it was lent, its session.

        Requests under way end with an exception, and calls that wait do so when their wait is
        over; later calls raise `RuntimeError`.
        """
        await self._caller.transport.aclose()

    def __repr__(self) -> str:
        # Also of a client whose making was refused: an error report may show that one.
        caller = getattr(self, "_caller", None)
        return f"<ReviewsClient {caller.transport.origin}>" if caller else "<ReviewsClient>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a ReviewsClient cannot be pickled or copied: it holds an API key and open "
            "connections; build one where it is needed, or use with_options()"
        )

    @_forgetful
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

        When the answer is lost, unreadable or a 5xx, the customer's review is looked for before
        anything is sent again. That rests on Mayar's rule of one review per customer and
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
            The review; its media are not told.

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
        new = NewReview(
            payment_link_id, customer_email, rating, message, content_review, customer_id
        )
        call = Call(self._caller)
        call.start()
        return await creation.create(call, new)

    @_forgetful
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
        """Change a review; what is `None` stays as it is (the API cannot clear a message).

        Without media it is tried again safely, as it sets values. With media it is not: they
        could be added twice.

        Args:
            review_id: the review, 3-100 characters.
            payment_link_id: its product, 3-100 characters; locates the review, as do the next
                two, and does not change it.
            customer_email: its customer's email, 5-100 characters.
            customer_id: its customer's id, 3-100 characters.
            rating: 1 to 5.
            message: 1-2000 characters.
            content_review: uploaded media to add, at most 10.
            delete_content_review: media to remove, at most 10.

        Returns:
            The review as it is now; its media are not told.

        Raises:
            InvalidArgumentError: an argument is outside its limits, or nothing is to be updated.
            ValidationError: the API found the request invalid.
            NotFoundError: no such review, or no paid transaction of that customer and product.
            OutcomeUnknownError: it may or may not have been changed.
            MayarError: any other failure; nothing was changed.

        https://docs.mayar.id/api-reference-v2/reviews/update
        """
        changes = ReviewChanges(
            review_id,
            payment_link_id,
            customer_email,
            customer_id,
            rating,
            message,
            content_review,
            delete_content_review,
        )
        return await self._caller.run(wire.update_review(changes))

    async def get_customer_review(self, payment_link_id: str, *, customer_id: str) -> Review | None:
        """The review that a customer left for a product.

        Args:
            payment_link_id: the product, 3-100 characters.
            customer_id: the customer, 3-100 characters.

        Returns:
            The review, or `None` when that customer has not reviewed that product.

        Raises:
            InvalidArgumentError: an argument is outside its limits.
            MayarError: the API refused, or could not be reached or understood.

        https://docs.mayar.id/api-reference-v2/reviews/productreviewcustomer
        """
        asked = CustomerReview(payment_link_id, customer_id)
        return await self._caller.run(wire.get_customer_review(asked))

    async def list_product_reviews(
        self,
        payment_link_id: str,
        *,
        limit: int | None = None,
        starting_after: str | None = None,
        rating: int | None = None,
        prioritize_message: bool | None = None,
    ) -> ReviewPage:
        """One page of a product's active reviews.

        Args:
            payment_link_id: the product, 3-100 characters.
            limit: the most reviews on the page, at least 1; by default the API's own 10. The
                API is known to give at most 50.
            starting_after: the `next_starting_after` of the page before; `None`: the first.
            rating: only reviews with this rating, 1 to 5.
            prioritize_message: reviews with a message first. The cursor seems to be a time
                stamp, so that a long walk in this order can miss reviews.

        Returns:
            The page.

        Raises:
            InvalidArgumentError: an argument is outside its limits.
            PaginationError: the page says that there are more reviews, but not where.
            MayarError: the API refused, or could not be reached or understood.

        https://docs.mayar.id/api-reference-v2/reviews/productreviews
        """
        asked = ProductReviews(payment_link_id, limit, starting_after, rating, prioritize_message)
        return await self._caller.run(wire.list_product_reviews(asked))

    def iter_product_reviews(
        self,
        payment_link_id: str,
        *,
        page_size: int = 50,
        starting_after: str | None = None,
        rating: int | None = None,
        prioritize_message: bool | None = None,
    ) -> AsyncGenerator[Review, None]:
        """Every active review of a product, page after page.

        A review that stood on the page before is skipped. Use it in `async for`; where you
        leave the loop early, close it with `contextlib.aclosing`.

        Args:
            payment_link_id: the product, 3-100 characters.
            page_size: the most reviews to a request, at least 1. The API is known to give at
                most 50.
            starting_after: a page's `next_starting_after`, or the `.starting_after` of an
                exception, to go on from; `None`: from the first.
            rating: only reviews with this rating, 1 to 5.
            prioritize_message: reviews with a message first. The cursor seems to be a time
                stamp, so that a long walk in this order can miss reviews.

        Returns:
            An async generator of reviews.

        Raises:
            InvalidArgumentError: an argument is outside its limits; raised at the call.
            PaginationError: the cursors lead nowhere.
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
        page_size: int = 50,
        starting_after: str | None = None,
        rating: int | None = None,
        prioritize_message: bool | None = None,
    ) -> AsyncGenerator[ReviewPage, None]:
        """Every page of a product's active reviews, as sent.

        `page.next_starting_after` is where to resume after that page.

        Args:
            payment_link_id: the product, 3-100 characters.
            page_size: the most reviews to a request, at least 1. The API is known to give at
                most 50.
            starting_after: where to go on from; `None`: from the first page.
            rating: only reviews with this rating, 1 to 5.
            prioritize_message: reviews with a message first. The cursor seems to be a time
                stamp, so that a long walk in this order can miss reviews.

        Returns:
            An async generator of pages.

        Raises:
            InvalidArgumentError: an argument is outside its limits; raised at the call.
            PaginationError: the cursors lead nowhere.
            MayarError: the API refused, or could not be reached or understood;
                `.starting_after` says where to go on.

        https://docs.mayar.id/api-reference-v2/reviews/productreviews
        """
        check_whole("page_size", page_size, 1)
        asked = ProductReviews(
            payment_link_id, page_size, starting_after, rating, prioritize_message
        )
        return pagination.pages(
            Call(self._caller),
            lambda cursor: wire.list_product_reviews(evolve(asked, starting_after=cursor)),
            starting_after,
        )

    async def list_reviews(
        self,
        *,
        limit: int | None = None,
        starting_after: str | None = None,
        status: ReviewStatus | str | None = None,
        payment_link_id: str | None = None,
        rating: int | None = None,
    ) -> ReviewPage:
        """One page of the reviews of the whole store, of every status.

        Args:
            limit: the most reviews on the page, at least 1; by default the API's own 10. The
                API is known to give at most 50.
            starting_after: the `next_starting_after` of the page before; `None`: the first.
            status: only reviews with this status.
            payment_link_id: only reviews of this product, 3-100 characters.
            rating: only reviews with this rating, 1 to 5.

        Returns:
            The page.

        Raises:
            InvalidArgumentError: an argument is outside its limits.
            PaginationError: the page says that there are more reviews, but not where.
            MayarError: the API refused, or could not be reached or understood.

        https://docs.mayar.id/api-reference-v2/reviews/getallreviews
        """
        asked = StoreReviews(limit, starting_after, status, payment_link_id, rating)
        return await self._caller.run(wire.list_reviews(asked))

    def iter_reviews(
        self,
        *,
        page_size: int = 50,
        starting_after: str | None = None,
        status: ReviewStatus | str | None = None,
        payment_link_id: str | None = None,
        rating: int | None = None,
    ) -> AsyncGenerator[Review, None]:
        """Every review of the whole store, page after page.

        A review that stood on the page before is skipped. Use it in `async for`; where you
        leave the loop early, close it with `contextlib.aclosing`.

        Args:
            page_size: the most reviews to a request, at least 1. The API is known to give at
                most 50.
            starting_after: a page's `next_starting_after`, or the `.starting_after` of an
                exception, to go on from; `None`: from the first.
            status: only reviews with this status.
            payment_link_id: only reviews of this product, 3-100 characters.
            rating: only reviews with this rating, 1 to 5.

        Returns:
            An async generator of reviews.

        Raises:
            InvalidArgumentError: an argument is outside its limits; raised at the call.
            PaginationError: the cursors lead nowhere.
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
        page_size: int = 50,
        starting_after: str | None = None,
        status: ReviewStatus | str | None = None,
        payment_link_id: str | None = None,
        rating: int | None = None,
    ) -> AsyncGenerator[ReviewPage, None]:
        """Every page of the reviews of the whole store, as sent.

        `page.next_starting_after` is where to resume after that page.

        Args:
            page_size: the most reviews to a request, at least 1. The API is known to give at
                most 50.
            starting_after: where to go on from; `None`: from the first page.
            status: only reviews with this status.
            payment_link_id: only reviews of this product, 3-100 characters.
            rating: only reviews with this rating, 1 to 5.

        Returns:
            An async generator of pages.

        Raises:
            InvalidArgumentError: an argument is outside its limits; raised at the call.
            PaginationError: the cursors lead nowhere.
            MayarError: the API refused, or could not be reached or understood;
                `.starting_after` says where to go on.

        https://docs.mayar.id/api-reference-v2/reviews/getallreviews
        """
        check_whole("page_size", page_size, 1)
        asked = StoreReviews(page_size, starting_after, status, payment_link_id, rating)
        return pagination.pages(
            Call(self._caller),
            lambda cursor: wire.list_reviews(evolve(asked, starting_after=cursor)),
            starting_after,
        )

    async def get_product_stats(self, payment_link_id: str) -> ReviewStats | None:
        """Figures over a product's active reviews.

        Args:
            payment_link_id: the product, 3-100 characters.

        Returns:
            The figures, or `None` when there are no active reviews.

        Raises:
            InvalidArgumentError: the argument is outside its limits.
            MayarError: the API refused, or could not be reached or understood.

        https://docs.mayar.id/api-reference-v2/reviews/productreviewstats
        """
        return await self._caller.run(wire.get_product_stats(Product(payment_link_id)))

    async def get_merchant_stats(self) -> ReviewStats | None:
        """Figures over the active reviews of the whole store.

        Returns:
            The figures, or `None` when there are no active reviews.

        Raises:
            MayarError: the API refused, or could not be reached or understood.

        https://docs.mayar.id/api-reference-v2/reviews/merchantreviewstats
        """
        return await self._caller.run(wire.get_merchant_stats())

    async def update_review_statuses(self, updates: Iterable[StatusUpdate]) -> None:
        """Set the status of any number of reviews, fifty to a request, in their order.

        The same call can be made again safely, whatever became of it.

        Args:
            updates: the statuses; a review may come twice only with the same one.

        Raises:
            InvalidArgumentError: not status updates, or one review with two statuses.
            StatusUpdateError: a request failed: `.applied`, `.unknown` and `.not_sent` name
                every review, `__cause__` is the failure.

        https://docs.mayar.id/api-reference-v2/reviews/bulkstatusupdate
        """
        await statuses.update(self._caller, updates)


def _check_patience(timeout: float, deadline: float | None, retry: RetryPolicy) -> None:
    check_seconds("timeout", timeout)
    if deadline is not None:
        check_seconds("deadline", deadline)
    check_is("retry", retry, RetryPolicy)
