"""The commands that show and change reviews. Each reads its options, makes a call, shows."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from mayar_reviews import (
    InvalidArgumentError,
    Review,
    ReviewPage,
    ReviewsClient,
    ReviewStatus,
    StatusUpdate,
    StatusUpdateError,
)

from . import show
from .connection import Connection
from .options import IDS, TEXT, Whole, read_attachments, read_ids, read_text

ProductId = Annotated[str, Parameter(name="PRODUCT_ID")]
_HERE = Connection()


def list_reviews(
    payment_link_id: Annotated[str | None, Parameter(name="PRODUCT_ID")] = None,
    /,
    *,
    all: bool = False,
    status: ReviewStatus | None = None,
    rating: Whole | None = None,
    prioritize_message: bool = False,
    max: Annotated[Whole, Parameter(validator=Number(gte=1))] = 20,
    json: bool = False,
    connection: Connection = _HERE,
) -> None:
    """Show the newest reviews of a product, or of the whole store.

    A product's list holds the reviews that buyers see; the store's, and one by status, hold all.

    Args:
        payment_link_id: The product; without one, the whole store.
        all: The whole store.
        status: Only reviews with this status.
        rating: Only reviews with this many stars, 1 to 5.
        prioritize_message: Reviews with a message first. Far down a long list, some may be missed.
        max: How many reviews at most.
        json: The API's own objects, one a line.
        connection: The options that all share.
    """
    if all and payment_link_id is not None:
        raise InvalidArgumentError("all and PRODUCT_ID exclude each other", field="all")
    if prioritize_message and (payment_link_id is None or status is not None):
        raise InvalidArgumentError(
            "prioritize_message is for a product's list without a status",
            field="prioritize_message",
        )
    page_size = min(max, 50)
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
        before: frozenset[str] = frozenset()
        async with aclosing(pages(client)) as walk:
            async for page in walk:
                for review, raw in zip(page.data, page.raw, strict=True):
                    if review.id in before:
                        continue
                    if len(found) == max:
                        return True
                    found.append(review)
                    if json:
                        show.write_json(raw)
                if len(found) == max:
                    return page.has_more
                before = frozenset(review.id for review in page.data)
        return False

    more = connection.run(find)
    if found and not json:
        show.out.print(show.reviews_table(found, of_one_product=payment_link_id is not None))
    if more and not json:
        show.say(f"these are the first {max}; --max N shows more", "dim")
    if not found:
        show.say("no reviews")


def get_review(
    payment_link_id: ProductId,
    /,
    *,
    customer_id: str,
    json: bool = False,
    connection: Connection = _HERE,
) -> None:
    """Show the review that a customer left for a product.

    Args:
        payment_link_id: The product.
        customer_id: The customer.
        json: As JSON, `null` when there is none.
        connection: The options that all share.
    """
    review = connection.run(
        lambda client: client.get_customer_review(payment_link_id, customer_id=customer_id)
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
    rating: Whole,
    message: Annotated[str | None, TEXT] = None,
    attach: list[str] | None = None,
    customer_id: str | None = None,
    json: bool = False,
    connection: Connection = _HERE,
) -> None:
    """Leave a review for a customer who has bought the product.

    It is left exactly once: when the answer is lost, the review is looked for.

    Args:
        payment_link_id: The product.
        customer_email: The customer's email.
        rating: 1 to 5.
        message: 1 to 2000 characters; `-` reads them from standard input.
        attach: Uploaded media, as `image:FILE_ID` or `video:FILE_ID`; may be repeated.
        customer_id: The customer's id; saves a look-up when the answer is lost on its way.
        json: As JSON.
        connection: The options that all share.
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
    rating: Whole | None = None,
    message: Annotated[str | None, TEXT] = None,
    attach: list[str] | None = None,
    detach: list[str] | None = None,
    payment_link_id: Annotated[str | None, Parameter(name="--product-id")] = None,
    customer_email: str | None = None,
    customer_id: str | None = None,
    json: bool = False,
    connection: Connection = _HERE,
) -> None:
    """Change a review; what is not given stays as it is.

    Args:
        review_id: The review.
        rating: 1 to 5.
        message: 1 to 2000 characters; `-` reads them from standard input.
        attach: Uploaded media to add, as `image:FILE_ID` or `video:FILE_ID`; may be repeated.
        detach: Media to remove, in the same form; may be repeated.
        payment_link_id: The review's product, should the API want it to find the review.
        customer_email: Its customer's email, likewise.
        customer_id: Its customer's id, likewise.
        json: As JSON.
        connection: The options that all share.
    """
    if rating is None and message is None and not attach and not detach:
        raise InvalidArgumentError(
            "there is nothing to update: give --rating, --message, --attach or --detach"
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
        show.write_json(show.as_api(review))
    elif review is not None:
        show.out.print(show.review_details(review))


def set_status(
    status: ReviewStatus,
    ids: Annotated[list[str], IDS, Parameter(name="REVIEW_ID")],
    /,
    *,
    yes: bool = False,
    json: bool = False,
    connection: Connection = _HERE,
) -> int:
    """Set the status of any number of reviews.

    It can be run again safely, whatever became of it.

    Args:
        status: What the reviews shall be.
        ids: The reviews; `-` reads their ids from standard input.
        yes: Do not ask, though it is more than one review.
        json: What became of each review, as JSON.
        connection: The options that all share.
    """
    updates = [StatusUpdate(id, status) for id in read_ids(ids)]  # noqa: A001
    if (
        len(updates) > 1
        and not yes
        and not _is_wanted(f"Set {show.count(len(updates), 'review')} to {status}?")
    ):
        show.say("nothing was changed")
        return 1
    stopped = None
    try:
        connection.run(lambda client: client.update_review_statuses(updates))
    except StatusUpdateError as error:
        stopped = error
    applied = [update.id for update in updates] if stopped is None else stopped.applied
    unknown, not_sent = (stopped.unknown, stopped.not_sent) if stopped else ((), ())
    if json:
        show.write_json({"applied": applied, "unknown": unknown, "not_sent": not_sent})
    elif stopped is None:
        show.out.print(f"{show.count(len(updates), 'review')} set to {status}")
    else:
        show.out.print(
            show.fates({status.value: applied, "unknown": unknown, "as it was": not_sent})
        )
    if stopped is not None:
        raise stopped
    return 0


def _is_wanted(question: str) -> bool:
    if not sys.stdin.isatty():
        raise InvalidArgumentError(
            "yes is missing: without a terminal nobody can be asked", field="yes"
        )
    show.err.print(f"{question} [y/N] ", end="")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def show_stats(
    payment_link_id: Annotated[str | None, Parameter(name="PRODUCT_ID")] = None,
    /,
    *,
    json: bool = False,
    connection: Connection = _HERE,
) -> None:
    """Show how many active reviews gave how many stars.

    Args:
        payment_link_id: The product; without one, the whole store.
        json: As JSON, `{}` when there are no active reviews.
        connection: The options that all share.
    """
    figures = connection.run(
        lambda client: (
            client.get_merchant_stats()
            if payment_link_id is None
            else client.get_product_stats(payment_link_id)
        )
    )
    if json:
        show.write_json({} if figures is None else show.as_api(figures))
    elif figures is None:
        show.out.print("no active reviews")
    else:
        show.out.print(show.stats(figures))
