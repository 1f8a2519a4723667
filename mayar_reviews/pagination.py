"""Following `nextStartingAfter`: every page of a list, one after the other."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from attrs import evolve

from .call import Call, without_locals
from .delivery import deliver
from .endpoints import ListProductReviews, ListReviews
from .errors import MayarError, PaginationError
from .models import Review, ReviewPage

_MAX_EMPTY_PAGES = 100


@without_locals
async def _fetch(call: Call, endpoint: ListProductReviews | ListReviews) -> ReviewPage:
    return await deliver(call, endpoint)


async def pages(
    call: Call, endpoint: ListProductReviews | ListReviews
) -> AsyncGenerator[ReviewPage, None]:
    """Yield each page from the endpoint's cursor on, as sent.

    A page's cursor is judged before the page is handed out, so that resuming at an error's
    `.starting_after` repeats no review. A retry wraps one fetch, never the generator.

    Raises:
        PaginationError: a cursor came before, or a hundred empty pages came in a row.
        MayarError: a page could not be fetched; `.starting_after` is its cursor.
    """
    seen = {endpoint.starting_after}
    empty = 0
    while True:
        with call:
            try:
                page = await _fetch(call, endpoint)
            except MayarError as error:
                error.starting_after = endpoint.starting_after
                raise
            has_more, cursor = page.has_more, page.next_starting_after
            empty = 0 if page.data else empty + 1
            fault = None
            if has_more and cursor in seen:
                fault = "the page's cursor leads back to an earlier page"
            elif has_more and empty == _MAX_EMPTY_PAGES:
                fault = f"{_MAX_EMPTY_PAGES} pages in a row hold no review"
            if fault is not None:
                # An error report that shows local variables must not show the reviews.
                del page
                raise PaginationError(fault, starting_after=endpoint.starting_after)
        yield page
        del page  # for the same reason
        if not has_more:
            return
        seen.add(cursor)
        endpoint = evolve(endpoint, starting_after=cursor)


async def reviews(pages: AsyncGenerator[ReviewPage, None]) -> AsyncGenerator[Review, None]:
    """Yield each review of the pages, except those that the page before held too.

    A list that grows while it is read shifts its last reviews onto the next page.
    """
    before: frozenset[str] = frozenset()
    async with aclosing(pages):
        async for page in pages:
            new = [review for review in reversed(page.data) if review.id not in before]
            before = frozenset(review.id for review in page.data)
            del page  # as above
            while new:
                yield new.pop()
