"""An update: what has changed since an output was made, from the head of the list on.

In a list sorted by `updatedAt`, every later change comes before the newest exported review. In one
sorted by `createdAt`, every new review does; an edited one is seen only if it does too. Either way
it is enough to read down to a review that is older than the newest exported one by both times.

A review that is edited meanwhile moves to the head. So the first page is read again until it shows
no new change.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from mayar_reviews import IncompleteListError, ReviewPage

from .journal import Journal
from .merge import LATE
from .rows import rows_of
from .selection import Selection, gaps_in_milliseconds
from .state import Gaps


class Update:
    """Brings what has changed into the journal.

    Args:
        pages: begins to read the list.
        journal: its state is that of the finished output.
        on_page: called after each page.
    """

    def __init__(
        self,
        pages: Callable[[], AsyncGenerator[ReviewPage, None]],
        journal: Journal,
        on_page: Callable[[], object],
    ) -> None:
        self._pages = pages
        self._journal = journal
        self._on_page = on_page
        self._updated = journal.state.newest_updated - LATE
        self._created = journal.state.newest_created - LATE
        self._known = dict(journal.state.edge)
        self._has_news = False
        self.changed: set[str] = set()
        """The ids of the reviews in the journal."""
        self.gaps: Gaps = ()
        """What the server could not show."""

    async def fetch(self) -> None:
        """Read the head of the list until nothing older can have changed.

        Raises:
            MayarError: a page could not be fetched.
        """
        while await self._look():
            pass

    async def _look(self) -> bool:
        """Read down to what is known. Return whether something may have been missed.

        While one page is read, nothing can move away from it.
        """
        self._has_news = False
        count, updated, created = 0, self._updated, self._created
        try:
            async with aclosing(self._pages()) as pages:
                async for page in pages:
                    count += 1
                    if count == 1 and page.raw:
                        updated = max(raw["updatedAt"] for raw in page.raw)
                        created = max(raw["createdAt"] for raw in page.raw)
                    self._take(page)
                    self._on_page()
                    if any(
                        raw["updatedAt"] < self._updated and raw["createdAt"] < self._created
                        for raw in page.raw
                    ):
                        self._add(Selection.gaps_before(page))
                        break
        except IncompleteListError as error:
            self._add(gaps_in_milliseconds(error.gaps))
        self._updated, self._created = updated, created
        return count > 1 and self._has_news

    def _take(self, page: ReviewPage) -> None:
        rows = [
            (review, raw)
            for review, raw in rows_of(page)
            if (raw["updatedAt"] >= self._updated or raw["createdAt"] >= self._created)
            and self._known.get(raw["id"]) != raw["updatedAt"]
        ]
        if not rows:
            return
        self._has_news = True
        if not self.changed:
            self._journal.begin_update()
        self._journal.append_update(rows)
        self.changed.update(review.id for review, _ in rows)
        self._known |= {raw["id"]: raw["updatedAt"] for _, raw in rows}

    def _add(self, gaps: Gaps) -> None:
        self.gaps = tuple(dict.fromkeys((*self.gaps, *gaps)))
