"""Following `nextStartingAfter`: a list comes out whole, or says where it stopped.

A page is fetched, and tried again, by `call`: a retry wraps one fetch, never the generator.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from .call import Call
from .errors import MayarError, PaginationError
from .models import Review, ReviewPage
from .wire import Endpoint

_MOST_EMPTY_PAGES = 100


async def pages(
    call: Call, list_from: Callable[[str | None], Endpoint[ReviewPage]], starting_after: str | None
) -> AsyncGenerator[ReviewPage, None]:
    """Each page from the cursor on, as sent.

    A page's cursor is judged before the page is handed out, so that whoever resumes at
    `.starting_after` gets no review twice.

    Raises:
        PaginationError: a cursor that came before, or a hundred empty pages in a row.
        MayarError: whatever ended the fetching of a page, `.starting_after` filled in.
    """
    seen = {starting_after: None}
    empty = 0
    call.start()
    while True:
        try:
            call.go_on()
            page = await call.run(list_from(starting_after))
        except MayarError as error:
            error.starting_after = starting_after
            error.attempts = call.attempts
            raise
        has_more, following = page.has_more, page.next_starting_after
        empty = 0 if page.data else empty + 1
        fault = None
        if has_more and following in seen:
            fault = "a page's cursor leads back to an earlier page"
        elif has_more and empty == _MOST_EMPTY_PAGES:
            fault = f"{_MOST_EMPTY_PAGES} pages in a row hold no review"
        if fault is None:
            yield page
        # An error report that shows local variables must not show other people's words.
        del page
        if fault is not None:
            stuck = PaginationError(fault, starting_after=starting_after)
            stuck.attempts = call.attempts
            raise stuck
        if not has_more:
            return
        seen[following] = None
        starting_after = following


async def reviews(pages: AsyncGenerator[ReviewPage, None]) -> AsyncGenerator[Review, None]:
    """Each review of the pages, but for those that stood on the page before.

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
