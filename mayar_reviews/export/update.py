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
from typing import Any

from mayar_reviews import IncompleteListError, ReviewPage
from mayar_reviews.walk import Row, has_times

from .journal import Journal
from .merge import LATE
from .rows import json_lines, keyed_rows
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
        self._known: dict[str, int | bytes] = dict(journal.state.edge)
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
                    shown = keyed_rows(page)
                    keys = [key for key, raw in shown if has_times(raw)]
                    if count == 1 and keys:
                        updated = max(key.updated for key in keys)
                        created = max(key.created for key in keys)
                    self._take(shown, has_invalid=bool(page.invalid))
                    self._on_page()
                    if any(
                        key.updated < self._updated and key.created < self._created for key in keys
                    ):
                        self._add(Selection.gaps_before(page))
                        break
        except IncompleteListError as error:
            self._add(gaps_in_milliseconds(error.gaps))
        self._updated, self._created = updated, created
        return count > 1 and self._has_news

    def _take(self, shown: list[tuple[Row, Any]], *, has_invalid: bool) -> None:
        new = {
            key: raw
            for key, raw in shown
            if (key.updated >= self._updated or key.created >= self._created)
            and self._known.get(key.id) != _version(key, raw)
        }
        if not new:
            return
        self._has_news = True
        if not self.changed:
            self._journal.begin_update()
        self._journal.append_update(list(new.values()), has_invalid=has_invalid)
        self.changed.update(key.id for key in new)
        self._known |= {key.id: _version(key, raw) for key, raw in new.items()}

    def _add(self, gaps: Gaps) -> None:
        self.gaps = tuple(dict.fromkeys((*self.gaps, *gaps)))


def _version(key: Row, raw: Any) -> int | bytes:
    """Return what changes when a review does."""
    return key.updated if has_times(raw) else json_lines([raw])
