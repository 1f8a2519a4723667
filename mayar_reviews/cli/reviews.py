"""The commands that show and change reviews. Each reads its options, makes a call, shows it."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from mayar_reviews import (
    IncompleteListError,
    InvalidArgumentError,
    Review,
    ReviewPage,
    ReviewStatus,
    StatusUpdate,
    StatusUpdateError,
)
from mayar_reviews.checks import MAX_PAGE_SIZE

from . import show
from .connection import DEFAULT_CONNECTION, Connection
from .options import IDS, TEXT, Integer, read_attachments, read_ids, read_text
from .tables import outcomes_table, review_details, reviews_table, stats_summary

if TYPE_CHECKING:
    from mayar_reviews import ReviewsClient

ProductId = Annotated[str, Parameter(name="PRODUCT_ID")]


def list_reviews(
    payment_link_id: Annotated[str | None, Parameter(name="PRODUCT_ID")] = None,
    /,
    *,
    all: bool = False,
    status: ReviewStatus | None = None,
    rating: Integer | None = None,
    prioritize_message: bool = False,
    max: Annotated[Integer, Parameter(validator=Number(gte=1))] = 20,
    json: bool = False,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Show the newest reviews of a product, or of the whole store.

    A product's list has the reviews that buyers see. With --status, and for the store, it has
    reviews of every status.

    Args:
        payment_link_id: The product. Without one: the whole store.
        all: The whole store.
        status: Only reviews with this status.
        rating: Only reviews with this many stars, 1 to 5.
        prioritize_message: Reviews with a message first. A long list may then lack some.
        max: How many reviews at most.
        json: Write the API's own objects, one a line.
        connection: The options that every command shares.
    """
    if all and payment_link_id is not None:
        raise InvalidArgumentError("use either PRODUCT_ID or --all, not both")
    if prioritize_message and (payment_link_id is None or status is not None):
        raise InvalidArgumentError(
            "needs a product, and no --status",
            field="prioritize_message",
        )
    page_size = min(max, MAX_PAGE_SIZE)
    found: list[Review] = []

    def pages(client: ReviewsClient) -> AsyncGenerator[ReviewPage, None]:
        if payment_link_id is None or status is not None:
            return client.iter_review_pages(
                page_size=page_size, status=status, payment_link_id=payment_link_id, rating=rating
            )
        return client.iter_product_review_pages(
            payment_link_id,
            page_size=page_size,
            rating=rating,
            prioritize_message=prioritize_message or None,
        )

    async def find(client: ReviewsClient) -> bool:
        """Find the reviews. Return whether there are more."""
        async with aclosing(pages(client)) as walk:
            async for page in walk:
                for review, raw in zip(page.data, page.raw, strict=True):
                    if len(found) == max:
                        return True
                    found.append(review)
                    if json:
                        show.write_json(raw)
                if len(found) == max and max <= MAX_PAGE_SIZE:
                    # After one page it is the server that says so. Later it may be the walk,
                    # which looks at the head of the list once more.
                    return page.has_more
        return False

    more, incomplete = False, None
    try:
        more = connection.run(find)
    except IncompleteListError as error:
        incomplete = error
    if found and not json:
        show.out.print(reviews_table(found, of_one_product=payment_link_id is not None))
    if more and not json:
        show.say(f"these are the first {max}; --max N shows more", "dim")
    if not found:
        show.say("no reviews")
    if incomplete is not None:
        raise incomplete


def get_review(
    payment_link_id: ProductId,
    /,
    *,
    customer_id: str | None = None,
    customer_email: str | None = None,
    json: bool = False,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Show the review that a customer left for a product.

    Args:
        payment_link_id: The product.
        customer_id: The customer's id. Give it or the email.
        customer_email: The customer's email.
        json: Write JSON; `null` if there is none.
        connection: The options that every command shares.
    """
    if (customer_id is None) == (customer_email is None):
        raise InvalidArgumentError("give either --customer-id or --customer-email")
    review = connection.run(
        lambda client: client.get_customer_review(
            payment_link_id, customer_id=customer_id, customer_email=customer_email
        )
    )
    if review is None and not json:
        show.out.print("this customer has not reviewed this product")
    else:
        _show(review, json=json)


def create_review(
    payment_link_id: ProductId,
    /,
    *,
    customer_email: str,
    rating: Integer,
    message: Annotated[str | None, TEXT] = None,
    attach: list[str] | None = None,
    customer_id: str | None = None,
    json: bool = False,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Create a review for a customer who has bought the product.

    It is created once only: if the answer is lost, the command looks whether the review is there.

    Args:
        payment_link_id: The product.
        customer_email: The customer's email.
        rating: 1 to 5.
        message: 1 to 2000 characters. `-` reads them from standard input.
        attach: Uploaded media, as `image:FILE_ID` or `video:FILE_ID`. May be repeated.
        customer_id: The customer's id. It saves a look-up if the answer is lost.
        json: Write JSON.
        connection: The options that every command shares.
    """
    text, media = read_text(message), read_attachments("attach", attach or ())
    review = connection.run(
        lambda client: client.create_review(
            payment_link_id=payment_link_id,
            customer_email=customer_email,
            rating=rating,
            message=text,
            content_review=media,
            customer_id=customer_id,
        )
    )
    _show(review, json=json)


def update_review(
    review_id: Annotated[str, Parameter(name="REVIEW_ID")],
    /,
    *,
    rating: Integer | None = None,
    message: Annotated[str | None, TEXT] = None,
    attach: list[str] | None = None,
    detach: list[str] | None = None,
    payment_link_id: Annotated[str | None, Parameter(name="--product-id")] = None,
    customer_email: str | None = None,
    customer_id: str | None = None,
    json: bool = False,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Change a review. What is not given stays as it is.

    Args:
        review_id: The review.
        rating: 1 to 5.
        message: 1 to 2000 characters. `-` reads them from standard input.
        attach: Uploaded media to add, as `image:FILE_ID` or `video:FILE_ID`. May be repeated.
        detach: Media to remove, in the same form. May be repeated.
        payment_link_id: The review's product, if the API needs it to find the review.
        customer_email: The customer's email, if the API needs it to find the review.
        customer_id: The customer's id, if the API needs it to find the review.
        json: Write JSON.
        connection: The options that every command shares.
    """
    if rating is None and message is None and not attach and not detach:
        raise InvalidArgumentError(
            "nothing to update: give --rating, --message, --attach or --detach"
        )
    text = read_text(message)
    added = read_attachments("attach", attach or ())
    removed = read_attachments("detach", detach or ())
    review = connection.run(
        lambda client: client.update_review(
            review_id,
            payment_link_id=payment_link_id,
            customer_email=customer_email,
            customer_id=customer_id,
            rating=rating,
            message=text,
            content_review=added,
            delete_content_review=removed,
        )
    )
    _show(review, json=json)


def _show(review: Review | None, *, json: bool) -> None:
    if json:
        show.write_json(None if review is None else review.to_dict())
    elif review is not None:
        show.out.print(review_details(review))


def set_status(
    status: ReviewStatus,
    ids: Annotated[list[str], IDS, Parameter(name="REVIEW_ID")],
    /,
    *,
    yes: bool = False,
    json: bool = False,
    connection: Connection = DEFAULT_CONNECTION,
) -> int:
    """Set the status of any number of reviews.

    If it fails, it can safely be run again.

    Args:
        status: The new status.
        ids: The reviews. `-` reads their ids from standard input.
        yes: Do not ask for confirmation, which is needed for more than one review.
        json: Write JSON that says what happened to each review.
        connection: The options that every command shares.
    """
    updates = [StatusUpdate(id, status) for id in read_ids(ids)]  # noqa: A001
    if (
        len(updates) > 1
        and not yes
        and not _confirm(f"Set {show.count(len(updates), 'review')} to {status}?")
    ):
        show.say("nothing was changed")
        return 1
    stopped = None
    try:
        connection.run(lambda client: client.update_review_statuses(updates))
    except StatusUpdateError as error:
        stopped = error
    applied = [update.id for update in updates] if stopped is None else stopped.applied
    refused, unknown, not_sent = (
        (stopped.refused, stopped.unknown, stopped.not_sent) if stopped else ((), (), ())
    )
    if json:
        show.write_json(
            {"applied": applied, "refused": refused, "unknown": unknown, "not_sent": not_sent}
        )
    elif stopped is None:
        show.out.print(f"{show.count(len(updates), 'review')} set to {status}")
    else:
        show.out.print(
            outcomes_table(
                {
                    status.value: applied,
                    "refused": refused,
                    "unknown": unknown,
                    "unchanged": not_sent,
                }
            )
        )
    if stopped is not None:
        raise stopped
    return 0


def _confirm(question: str) -> bool:
    if not sys.stdin.isatty():
        raise InvalidArgumentError("not a terminal: confirm with --yes")
    show.err.print(f"{question} [y/N] ", end="")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def show_stats(
    payment_link_id: Annotated[str | None, Parameter(name="PRODUCT_ID")] = None,
    /,
    *,
    json: bool = False,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Show how many active reviews gave how many stars.

    Args:
        payment_link_id: The product. Without one: the whole store.
        json: Write JSON; `{}` if there are no active reviews.
        connection: The options that every command shares.
    """
    stats = connection.run(
        lambda client: (
            client.get_merchant_stats()
            if payment_link_id is None
            else client.get_product_stats(payment_link_id)
        )
    )
    if json:
        show.write_json({} if stats is None else stats.to_dict())
    elif stats is None:
        show.out.print("no active reviews")
    else:
        show.out.print(stats_summary(stats))
