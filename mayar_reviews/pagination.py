"""Fetching the pages that a walk asks for, one after the other."""

from __future__ import annotations

import logging
from asyncio import sleep
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime

from attrs import evolve

from .call import Call
from .delivery import deliver
from .endpoints import ListProductReviews, ListReviews
from .errors import DeadlineExceededError, IncompleteListError, MayarError
from .models import Review, ReviewPage
from .tracebacks import without_locals
from .walk import Walk

_log = logging.getLogger("mayar_reviews")


async def pages(
    call: Call,
    endpoint: ListProductReviews | ListReviews,
    page_size: int,
    starting_after: str | None,
    *,
    keep_invalid: bool,
) -> AsyncGenerator[ReviewPage, None]:
    """Yield the pages from a cursor on, each review once.

    A retry wraps the fetching of one page, never the generator.

    Raises:
        IncompleteListError: after the last page; the server cannot show some reviews.
        MayarError: a page could not be fetched, or its cursor leads nowhere;
            `.starting_after` is where to go on.
    """
    walk = Walk.begin(starting_after, page_size, by_time=endpoint.by_time)
    while not walk.done:
        starting_after = walk.starting_after
        with call:
            try:
                page = await _next_page(call, endpoint, walk, keep_invalid=keep_invalid)
            except MayarError as error:
                error.starting_after = starting_after
                raise
        if page is not None:
            yield page
        del page  # an error report that shows local variables must not show the reviews
    if walk.gaps:
        with call:
            raise IncompleteListError(
                f"the list is not complete: the server cannot show the reviews created in "
                f"{len(walk.gaps)} span{'s' if len(walk.gaps) > 1 else ''} of time, see .gaps",
                gaps=walk.gaps,
            )


async def changes(
    call: Call,
    endpoint: ListProductReviews | ListReviews,
    every: float,
    since: datetime | None,
) -> AsyncGenerator[Review, None]:
    """Yield each review that is new or changed, the oldest change first, for ever.

    Raises:
        MayarError: a failure that will not pass. Outages are waited out.
    """
    walk = Walk.of_changes(since)
    gaps = walk.gaps
    if since is None:
        await _outlast(call, endpoint, walk, every)  # what is there already is not new
        walk.look_again()
        await sleep(every)
    while True:
        found: list[Review] = []
        try:
            while not walk.done:
                found += await _outlast(call, endpoint, walk, every)
        except BaseException:
            found.clear()  # reviews must not stay in local variables
            raise
        found.sort(key=lambda review: review.updated_at, reverse=True)
        while found:
            yield found.pop()
        if walk.gaps != gaps:
            gaps = walk.gaps
            _log.warning("the server cannot show all of what has changed since the last look")
        walk.look_again()
        await sleep(every)


@without_locals
async def _outlast(
    call: Call, endpoint: ListProductReviews | ListReviews, walk: Walk, every: float
) -> tuple[Review, ...]:
    """Fetch a page, again and again until an outage is over."""
    while True:
        try:
            with call:
                page = await _next_page(call, endpoint, walk, keep_invalid=True)
        except MayarError as error:
            if not (error.transient or isinstance(error, DeadlineExceededError)):
                raise
        else:
            if page is None:
                return ()
            for one in page.invalid:  # one bad review must not end the watch
                _log.warning("a review is passed over: %s", one.fault)
            return page.data
        await sleep(every)


@without_locals
async def _next_page(
    call: Call, endpoint: ListProductReviews | ListReviews, walk: Walk, *, keep_invalid: bool
) -> ReviewPage | None:
    request = evolve(endpoint, starting_after=walk.cursor, limit=walk.limit)
    listing = walk.take(await deliver(call, request))
    if listing is None:
        return None
    return endpoint.select(listing).to_page(keep_invalid=keep_invalid)


async def reviews(pages: AsyncGenerator[ReviewPage, None]) -> AsyncGenerator[Review, None]:
    """Yield the reviews of the pages, one by one."""
    async with aclosing(pages):
        async for page in pages:
            left = list(reversed(page.data))
            del page  # reviews must not stay in local variables
            while left:
                yield left.pop()
