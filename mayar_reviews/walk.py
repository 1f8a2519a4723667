"""Walking through a list: a page in; the next request, a gap, or the end out. Without I/O.

The real server was seen to sort reviews by `updatedAt` and to cut pages by `createdAt`. Following
its cursor then loses reviews: those created after a page's last row but edited before it. So a
walk that recognises the server's cursor as a time asks from a bound of its own.

Proof, for a list sorted by `updatedAt`, newest first, whose last row so far was updated at `u`:

1. A review that was not shown yet was updated at `u` or before.
2. No review is updated before it is created, so it was created at `u` or before.
3. So asking for what lies before `u + 1` skips none, whichever time the server compares.
4. A row that comes again is known by its `updatedAt` after `u`, or at `u` by its id.
5. A review that is edited meanwhile moves to the head, which is read once more at the end.

In a list sorted by `createdAt` the same holds for `createdAt`, and edits move nothing. The rows
tell which list it is. When a whole page comes again, the next request asks from the largest
`createdAt` on it; the server cannot show what was created in between: that is a gap.

One case cannot be detected: a list sorted by `createdAt` whose server compares `updatedAt` with the
cursor, and every page of which is also in the order of `updatedAt`. Its edited reviews are lost
silently. A cursor that is not a time is followed as it is.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Self, TypeGuard

import msgspec
from attrs import Factory, define, evolve

from .answers import Listing
from .api_json import LATEST, dump, to_milliseconds, to_time
from .checks import WHOLE_PAGE_SIZE
from .errors import PaginationError

MAX_EMPTY_PAGES = 100
_RECENT = 200
_NEVER = 2**62  # later than any time in milliseconds


_Order = Literal["unknown", "updated", "created", "none"]
_Cut = Literal["unknown", "updated", "created"]
_MAY_MOVE: tuple[_Order, ...] = ("unknown", "updated")
"""In these an edit moves a review to the head."""


class Row(msgspec.Struct, frozen=True, gc=False):
    """What tells one review of a list from another.

    A struct, as one is made for each review.
    """

    id: str
    updated: int
    created: int

    @classmethod
    def of(cls, raw: Any, before: Row | None) -> Self:
        """Return what a review that may not be as documented still tells.

        A time that it lacks is taken from the review before it. What has no id is told apart by
        its whole text.
        """
        told = raw if isinstance(raw, dict) else {}
        review_id, updated, created = map(told.get, ("id", "updatedAt", "createdAt"))
        if not _is_time(created):
            created = before.created if before else updated if _is_time(updated) else LATEST
        if not _is_time(updated):
            updated = before.updated if before else created
        if not isinstance(review_id, str):
            is_number = type(review_id) is int and review_id != 0
            review_id = f"number {review_id}" if is_number else _text(raw)
        return cls(review_id, updated, created)


def keys_of(raws: Sequence[Any]) -> list[Row]:
    """Return what tells each review of a page from the others."""
    before = next((Row.of(raw, None) for raw in raws if has_times(raw)), None)
    keys: list[Row] = []
    for raw in raws:
        before = Row.of(raw, before)
        keys.append(before)
    return keys


def has_times(raw: Any) -> bool:
    """Return whether a review has both of its times."""
    return (
        isinstance(raw, dict) and _is_time(raw.get("updatedAt")) and _is_time(raw.get("createdAt"))
    )


def _is_time(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= LATEST


def _looks_like_a_time(cursor: str | None) -> bool:
    return re.fullmatch(r"[0-9]{12,14}", str(cursor)) is not None


def _is_falling(times: list[int]) -> bool:
    return times == sorted(times, reverse=True)


def _text(value: Any) -> str:
    try:
        return dump(value).decode()
    except ValueError:
        return "nested too deeply"


@define
class _Mark:
    """How far back a walk has come on one of the two times."""

    time: int = _NEVER
    ids: set[str] = Factory(set)
    """The reviews seen at exactly that time."""

    def is_ahead(self, time: int, review_id: str) -> bool:
        """Return whether the walk has not come to that review yet."""
        return time < self.time or (time == self.time and review_id not in self.ids)

    def move(self, times: list[int], rows: list[Row]) -> None:
        oldest = min(times, default=_NEVER)
        if oldest < self.time:
            self.time, self.ids = oldest, set()
        if oldest == self.time:
            self.ids.update(row.id for time, row in zip(times, rows, strict=True) if time == oldest)


# The cursor of a walk: the server's cursor, and the saved state of the walk.
_TOKEN = re.compile(
    r"(?P<cursor>.*)~(?P<kind>[xucl])(?P<look>[12])(?P<updated>-?\d+)\.(?P<newest>-?\d+)"
    r"(\.(?P<gap_from>-?\d+)\.(?P<gap_until>-?\d+))?",
    re.ASCII | re.DOTALL,
)
_KINDS: dict[str, tuple[_Order, _Cut]] = {
    "x": ("unknown", "unknown"),
    "u": ("updated", "unknown"),
    "c": ("created", "created"),
    "l": ("created", "updated"),  # lossy
}


def server_cursor(starting_after: str | None) -> str | None:
    """Return the part of a walk's cursor that the server understands."""
    token = _TOKEN.fullmatch(starting_after) if isinstance(starting_after, str) else None
    return starting_after if token is None else token["cursor"] or None


@define
class Walk:
    """One walk: ask for `cursor` and `limit`, give the page to `take`, until it is `done`."""

    page_size: int
    cursor: str | None = None
    """What to ask for next; `None`: the head of the list."""
    done: bool = False
    _gaps: list[tuple[int, int]] = Factory(list)
    _order: _Order = "unknown"
    """What the list is sorted by; `none`: by neither time."""
    _cut: _Cut = "unknown"
    """Which time the server compares with a cursor."""
    _bound: int | None = None
    """`cursor` as a time, where the walk chose it."""
    _first_bound: int | None = None
    _wide: bool = False
    """Whether to ask for a larger page, as the usual one brought nothing new."""
    _updated: _Mark = Factory(_Mark)
    _created: _Mark = Factory(_Mark)
    _pages: int = 0
    _announced: bool = False
    """Whether the page before said that there are more reviews."""
    _empty_pages: int = 0
    _followed: array[int] = Factory(lambda: array("q"))
    """Sorted hashes of the server's own cursors: one that comes twice leads in a circle."""
    _recent: dict[str, int] = Factory(dict)
    """`updatedAt` by id of the last rows: new reviews push them onto the next page."""
    _sought: str | None = None
    """An edited review: if the next page shows it, the server compares `createdAt`."""
    _hides_until: int | None = None
    """Reviews created before this time may be missing."""
    _second_look: bool = False
    """Whether the head is being read once more."""
    _newest: int | None = None
    """The newest `updatedAt` at the start of this look; in a second look, of the one before."""
    _look_down_to: int = -_NEVER
    """Where a second look ends: what is older was seen and has not changed."""
    _known: dict[str, int] = Factory(dict)
    """`updatedAt` by id of reviews that a second look will show unchanged."""
    _landmarks: dict[str, int] = Factory(dict)
    """The same of the head before: what was changed since stands above each of them."""
    _untimed: dict[str, str] = Factory(dict)
    """The text by id of the last reviews that lack a time."""
    _head: list[Row] = Factory(list)
    """The first page of this look."""

    @classmethod
    def begin(cls, starting_after: str | None, page_size: int, *, by_time: bool = True) -> Self:
        """Begin at the head, at a cursor of another walk, or at one of the server's own.

        Args:
            starting_after: the cursor; `None`: the head.
            page_size: how many reviews to ask for.
            by_time: whether the list may be sorted by a time.
        """
        walk = cls(page_size, server_cursor(starting_after))
        walk._order = "unknown" if by_time else "none"
        walk._follow(walk.cursor)
        if by_time and starting_after and (token := _TOKEN.fullmatch(starting_after)):
            walk._order, walk._cut = _KINDS[token["kind"]]
            walk._second_look = token["look"] == "2"
            walk._updated.time = int(token["updated"])
            walk._newest = walk._look_down_to = int(token["newest"])
            # A second look from the head begins anew; anything else goes on.
            walk._announced = walk.cursor is not None
            walk._pages = int(walk._announced or not walk._second_look)
            if walk.cursor is not None and walk.cursor.lstrip("-").isdecimal():
                walk._bound = walk._created.time = int(walk.cursor)
                walk._first_bound = int(token["newest"]) + 1  # an upper limit
            if token["gap_from"] is not None:
                walk._gaps.append((int(token["gap_from"]), int(token["gap_until"])))
        return walk

    @classmethod
    def of_changes(cls, since: datetime | None, page_size: int = WHOLE_PAGE_SIZE) -> Self:
        """Look only at the head; with `since`, down to what was updated after it."""
        walk = cls(page_size)
        walk._follow(None)
        if since is not None:
            walk._second_look = True
            walk._look_down_to = to_milliseconds(since)
        return walk

    @property
    def gaps(self) -> tuple[tuple[datetime, datetime], ...]:
        """Spans of `created_at`, from and until, that the server cannot show."""
        return tuple((to_time(start), to_time(min(until, LATEST))) for start, until in self._gaps)

    @property
    def limit(self) -> int:
        """How many reviews to ask for: one more where one is known to come again.

        A walk in pages of 40 or less asks for no larger page than that.
        """
        if self._wide:
            return WHOLE_PAGE_SIZE
        overlap = self._bound is not None and self.page_size < WHOLE_PAGE_SIZE
        return self.page_size + overlap

    @property
    def starting_after(self) -> str | None:
        """Where another walk can go on."""
        if self._newest is None or self._order == "none":
            return self.cursor
        if self._order == "created":
            kind = "c" if self._cut == "created" else "l"
        else:
            kind = "u" if self._order == "updated" else "x"
        token = f"{kind}{1 + self._second_look}{self._updated.time}.{self._newest}"
        if self._gaps:
            token += f".{self._gaps[-1][0]}.{self._gaps[0][1]}"
        return f"{self.cursor or ''}~{token}"

    def take(self, page: Listing) -> Listing | None:
        """Take a page and decide what follows.

        Returns:
            The page without the reviews that came again; `None` if all of them did.

        Raises:
            PaginationError: the server's cursors lead nowhere.
        """
        if page.keys is not None:
            rows = [Row(*key) for key in page.keys]
            places: Sequence[int] = range(len(rows))
            others: list[int] = []
        else:
            # A review that lacks a time has no say in where the walk goes.
            keys = keys_of(page.raw)
            places = [i for i, raw in enumerate(page.raw) if has_times(raw)]
            rows = [keys[i] for i in places]
            others = self._find_new_untimed(page, keys)
        self._learn_cut(page, rows)
        self._learn_order(rows)
        new = self._find_new(rows)
        has_looked_enough = self._has_looked_enough(rows)
        self._remember(rows, [rows[i] for i in new])
        self._empty_pages = 0 if page.reviews else self._empty_pages + 1
        if page.has_more and not has_looked_enough:
            self._go_on(page, rows)
        else:
            self._end(rows, has_new=bool(new or others))
        self._announced = page.has_more
        if page.reviews and not (new or others):
            return None
        return evolve(
            page.keep(sorted([*(places[i] for i in new), *others])),
            has_more=not self.done,
            next_starting_after=None if self.done else self.starting_after,
        )

    # --- what a page tells ---------------------------------------------------------------

    def _learn_cut(self, page: Listing, rows: list[Row]) -> None:
        """Find out which time the server compares with a cursor."""
        if self._sought is not None:
            shown = any(row.id == self._sought for row in rows)
            self._cut, self._sought = "created" if shown else "updated", None
        elif self._bound is not None and any(row.updated >= self._bound for row in rows):
            self._cut = "created"  # otherwise the row would not be there
        elif rows and page.has_more and rows[-1].updated != rows[-1].created:
            if page.next_starting_after == str(rows[-1].created):
                self._cut = "created"
            elif page.next_starting_after == str(rows[-1].updated):
                self._cut = "updated"

    def _learn_order(self, rows: list[Row]) -> None:
        if not _is_falling([row.updated for row in rows]):
            self._order = "created" if self._order in ("unknown", "created") else "none"
        if not _is_falling([row.created for row in rows]):
            self._order = "updated" if self._order in ("unknown", "updated") else "none"

    def _find_new(self, rows: list[Row]) -> list[int]:
        new: dict[str, int] = {}
        for i, row in enumerate(rows):
            if row.id not in new and self._is_new(row):
                new[row.id] = i
        return list(new.values())

    def _is_new(self, row: Row) -> bool:
        if self._second_look:
            changed = row.updated > self._look_down_to and self._known.get(row.id) != row.updated
            return changed and self._updated.is_ahead(row.updated, row.id)
        if self._bound is None or self._order == "none":
            return self._recent.get(row.id) != row.updated
        by_updated = self._updated.is_ahead(row.updated, row.id)
        by_created = self._created.is_ahead(row.created, row.id)
        if self._order == "updated":
            return by_updated
        if self._order == "created":
            return by_created
        return by_updated or by_created

    def _find_new_untimed(self, page: Listing, keys: list[Row]) -> list[int]:
        new = []
        for i, raw in enumerate(page.raw):
            if not has_times(raw) and self._untimed.get(keys[i].id) != (text := _text(raw)):
                new.append(i)
                self._untimed[keys[i].id] = text
        for review_id in list(self._untimed)[:-_RECENT]:
            del self._untimed[review_id]
        return new

    def _has_looked_enough(self, rows: list[Row]) -> bool:
        # The last row decides: a known one further up may be dated in the future.
        if not self._second_look or not rows:
            return False
        last = rows[-1]
        return last.updated <= self._look_down_to or self._landmarks.get(last.id) == last.updated

    def _remember(self, rows: list[Row], new: list[Row]) -> None:
        if self._newest is not None and not self._second_look and self._order in _MAY_MOVE:
            # What was changed since the walk began will come once more in the second look.
            oldest_at_head = self._head[-1].updated if self._head else self._newest
            self._known |= {row.id: row.updated for row in new if row.updated > oldest_at_head}
        elif self._second_look and self.cursor is not None and not self._head:
            # It was resumed in the middle, and will end with a look at the head.
            self._known |= {row.id: row.updated for row in new}
        if self._pages == 0 and self.cursor is None and rows:
            self._head = rows
            self._newest = self._newest or max(row.updated for row in rows)
        self._pages += 1
        self._updated.move([row.updated for row in new], new)
        self._created.move([row.created for row in new], new)
        for row in rows:
            self._recent.pop(row.id, None)
            self._recent[row.id] = row.updated
        for review_id in list(self._recent)[:-_RECENT]:
            del self._recent[review_id]

    # --- what follows --------------------------------------------------------------------

    def _go_on(self, page: Listing, rows: list[Row]) -> None:
        cursor = page.next_starting_after
        if self._empty_pages == MAX_EMPTY_PAGES:
            raise PaginationError(f"{MAX_EMPTY_PAGES} pages in a row hold no review")
        if page.keys or (page.reviews and has_times(page.raw[-1])):
            is_time = cursor in (str(rows[-1].created), str(rows[-1].updated))
        else:
            is_time = bool(page.reviews) and _looks_like_a_time(cursor)
        if is_time and rows and self._order != "none":
            self._go_on_from_bound(rows)
            return
        if is_time:
            self._hides_until = LATEST
        if not self._follow(cursor):
            raise PaginationError("the page's cursor leads back to an earlier page")
        self._bound = None

    def _follow(self, cursor: str | None) -> bool:
        """Ask for a cursor next, unless it was asked for before. Return which it was."""
        mark = hash(cursor)
        place = bisect_left(self._followed, mark)
        if place < len(self._followed) and self._followed[place] == mark:
            return False
        self._followed.insert(place, mark)
        self.cursor = cursor
        return True

    def _go_on_from_bound(self, rows: list[Row]) -> None:
        if self._order == "created" and self._cut == "updated" and self._first_bound is not None:
            self._add_gap(0, self._first_bound)  # edited reviews are hidden
        asked = _NEVER if self._bound is None else self._bound
        bound = min(self._choose_bound(rows), asked)
        self._wide, was_wide = False, self._wide
        if bound == asked and not was_wide and self.page_size < WHOLE_PAGE_SIZE:
            self._wide = True
        elif bound == asked:
            # The same page would come again. Pass it, and name what is passed with it.
            bound, start = max(row.created for row in rows), None
            if self._cut == "updated":
                bound, start = self._updated.time, 0
            elif all(row.updated == self._updated.time for row in rows):
                bound, start = min(bound, self._updated.time), 0
            if bound >= asked:
                raise PaginationError("the same page comes again, whatever the cursor")
            self._add_gap(bound if start is None else start, asked)
        self._bound, self.cursor = bound, str(bound)
        self._first_bound = self._first_bound or bound

    def _choose_bound(self, rows: list[Row]) -> int:
        if self._order != "created":
            return self._updated.time + 1
        if self._cut == "unknown":
            edited = [row for row in rows if row.updated != row.created]
            if edited:
                self._sought = edited[-1].id
                return edited[-1].created + 1
        return self._created.time + 1

    def _add_gap(self, start: int, until: int) -> None:
        while self._gaps and self._gaps[-1][0] <= until:
            other_start, other_until = self._gaps.pop()
            start, until = min(start, other_start), max(until, other_until)
        self._gaps.append((start, until))

    def _end(self, rows: list[Row], *, has_new: bool) -> None:
        """End this look at the list, and look at the head once more if that may have changed."""
        if self._first_bound is not None and (self._order, self._cut) == ("created", "unknown"):
            bound = self._choose_bound(rows)
            if self._sought is not None:
                self._bound, self.cursor = bound, str(bound)
                return
        if self._second_look and has_new:
            self._hides_until = None  # what seemed to be missing was edited
        elif (
            self._announced
            and not (has_new or self._gaps)
            and self._order == self._cut == "unknown"
        ):
            self._hides_until = self._bound or self._hides_until
        if self._pages == 1 or self._order in ("created", "none") or self._newest is None:
            self.done = True
            if self._order == "created" and self._cut == "updated":
                self._hides_until = self._first_bound
            if self._hides_until is not None:
                self._add_gap(0, self._hides_until)
            return
        self.look_again()

    def look_again(self) -> None:
        """Go back to the head, to find what was changed since the last look at it."""
        if self._head:
            self._newest = max(row.updated for row in self._head)
            self._look_down_to = self._head[-1].updated
            head = {row.id: row.updated for row in self._head}
            # Of what was shown elsewhere, what is older stands below this head.
            self._known = head | {
                review_id: updated
                for review_id, updated in self._known.items()
                if updated > head.get(review_id, self._look_down_to)
            }
            self._landmarks = head
        self.done, self._second_look = False, True
        self._bound = None
        self._wide = False
        self._updated, self._created, self._pages = _Mark(), _Mark(), 0
        self._followed = array("q")
        self._follow(None)
