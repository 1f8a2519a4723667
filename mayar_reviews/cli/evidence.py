"""What to ask a list, and what its answers show. Without I/O.

A list may be sorted by anything, but its order stays the same from one page to the next. So, for
each possible behaviour of the server, the first page predicts what another page shows. Behaviours
with a wrong prediction are discarded. If several remain, the behaviour is unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any, Literal

from attrs import define, frozen

from mayar_reviews import BadRequestError, MayarError, ReviewPage, ReviewStats
from mayar_reviews.checks import MAX_PAGE_SIZE, WHOLE_PAGE_SIZE

Order = Literal["updated", "created", "neither", "unknown"]
Cut = Literal["updated", "created", "opaque", "ignored", "unknown"]
Limit = Literal["agree", "cliff", "ignored", "unknown"]
Filter = Literal["obeyed", "ignored", "omits", "unknown"]
Figures = Literal["agree", "disagree", "uncounted"]

_Row = Mapping[str, Any]
_Way = tuple[Cut, int]
"""What a server does with a cursor, and how many reviews the head of a page of 50 lacks."""

_PASSES: dict[Cut, Callable[[_Row, int], bool]] = {
    "created": lambda row, time: row["createdAt"] < time,
    "updated": lambda row, time: row["updatedAt"] < time,
    "ignored": lambda *_: True,
}
_LACKING = (0, 2)
"""In the one list where a page of 50 was seen to be wrong, the newest two were missing."""


def ids(rows: Iterable[_Row]) -> list[str]:
    """Return the ids of the reviews."""
    return [row["id"] for row in rows]


def _predictions(rows: Iterable[_Row], time: int) -> dict[_Way, list[str]]:
    """Return which of these reviews a page from that time shows."""
    return {
        (cut, lacking): ids(row for row in rows if passes(row, time))[lacking:]
        for cut, passes in _PASSES.items()
        for lacking in _LACKING
    }


@define
class ListEvidence:
    """The pages of one list. A page that could not be had is the exception instead."""

    head: ReviewPage
    """The first page, of 40."""
    cursor: str | None = None
    probe: ReviewPage | MayarError | None = None
    """The page of 50 from `cursor`."""
    large: ReviewPage | MayarError | None = None
    """The first page, of 50; asked for if nothing else tells whether such pages are right."""

    @property
    def pages(self) -> list[ReviewPage]:
        """All pages."""
        return [
            page for page in (self.head, self.probe, self.large) if isinstance(page, ReviewPage)
        ]

    @property
    def seen(self) -> dict[str, _Row]:
        """All reviews by id."""
        return {row["id"]: row for page in self.pages for row in page.raw}

    @property
    def is_capped(self) -> bool:
        """Whether the server gave fewer reviews than asked for, although there are more."""
        return self.head.has_more and len(self.head.raw) < WHOLE_PAGE_SIZE

    @property
    def follows(self) -> bool:
        """Whether the server's cursor is not a time."""
        last = self.head.raw[-1] if self.head.raw else {}
        times = (str(last.get("createdAt")), str(last.get("updatedAt")))
        return self.head.has_more and self.head.next_starting_after not in times

    def choose_cursor(self) -> str | None:
        """Return the cursor that tells most: the server's own one, or a time."""
        if self.follows:
            return self.head.next_starting_after
        rows = self.head.raw
        times = {row[field] for row in rows for field in ("createdAt", "updatedAt")}

        def tells(time: int) -> tuple[int, int]:
            different = {tuple(shown) for shown in _predictions(rows, time).values()}
            return len(different), time  # the later the time, the fuller the page

        return str(max(times, key=tells)) if times else None

    def _ways(self) -> set[_Way]:
        """Return what the server may have done to show the probe as it is."""
        if not isinstance(self.probe, ReviewPage) or self.cursor is None:
            return set()
        known = ids(self.head.raw)
        shown = [one for one in ids(self.probe.raw) if one in known]
        predictions: dict[_Way, list[str]] = (
            {("ignored", 0): known, ("ignored", 2): known[2:], ("opaque", 0): []}
            if self.follows
            else _predictions(self.head.raw, int(self.cursor))
        )
        return {way for way, prediction in predictions.items() if shown == prediction}

    @property
    def order(self) -> Order:
        """What the list is sorted by, newest first."""

        def sorts(field: str) -> bool:
            return all(
                one[field] >= other[field]
                for page in self.pages
                for one, other in pairwise(page.raw)
            )

        match sorts("updatedAt"), sorts("createdAt"):
            case True, True:
                return "unknown"
            case True, _:
                return "updated"
            case _, True:
                return "created"
        return "neither"

    @property
    def cut(self) -> Cut:
        """What the server compares with a cursor."""
        if isinstance(self.probe, BadRequestError) and not self.follows:
            return "opaque"  # it refuses a time
        cuts: set[Cut] = {cut for cut, _ in self._ways()}
        return cuts.pop() if len(cuts) == 1 else "unknown"

    @property
    def limit(self) -> Limit:
        """Whether pages of 50 and of 40 show the same reviews."""
        if self.is_capped:
            return "ignored"
        if isinstance(self.large, ReviewPage):
            if set(ids(self.head.raw)) - set(ids(self.large.raw)):
                return "cliff"
            return "agree" if len(self.large.raw) == MAX_PAGE_SIZE else "unknown"
        lacking = {lacking for _, lacking in self._ways()}
        if len(lacking) != 1 or not isinstance(self.probe, ReviewPage):
            return "unknown"
        if lacking.pop():
            return "cliff"
        return "agree" if len(self.probe.raw) == MAX_PAGE_SIZE else "unknown"

    @property
    def needs_large(self) -> bool:
        """Whether another page can tell what `limit` does not yet."""
        return self.head.has_more and self.limit == "unknown"

    @property
    def is_whole(self) -> bool:
        """Whether every review of the list was seen."""
        if not self.head.has_more:
            return True
        # A page from a time may lack reviews; one from the server's own cursor goes on.
        last_pages = [self.large, self.probe if self.cut == "opaque" else None]
        return self.limit != "cliff" and any(
            isinstance(page, ReviewPage) and not page.has_more for page in last_pages
        )


# --- filters ---------------------------------------------------------------------------------


@frozen
class FilterQuestion:
    """A value to filter by, and what the page shows then."""

    value: Any
    limit: int
    _size: int
    """How many reviews the server puts on the page."""
    _wanted: list[str]
    """The first reviews on the page if the filter is obeyed."""
    _ignored: tuple[list[str], bool]
    """The reviews on the page and its `has_more` if it is not."""

    @property
    def is_telling(self) -> bool:
        """Whether the answer tells something."""
        return not self._is_obeyed(*self._ignored)

    def _is_obeyed(self, shown: list[str], has_more: bool) -> bool:
        starts_right = shown[: len(self._wanted)] == self._wanted
        return starts_right and (len(shown) == self._size or not has_more)

    def judge(self, page: ReviewPage) -> Filter:
        """Say whether the filter works."""
        shown = ids(page.raw)
        if self._is_obeyed(shown, page.has_more):
            return "obeyed"
        if (shown, page.has_more) == self._ignored:
            return "ignored"
        return "omits" if set(self._wanted) - set(shown) else "unknown"


def choose_filter(
    evidence: ListEvidence,
    values: Iterable[Any],
    matches: Callable[[_Row, Any], bool],
    *,
    drops_others: bool = True,
) -> FilterQuestion | None:
    """Return the question that tells most; `None`: no value tells anything.

    Args:
        evidence: the list without a filter.
        values: what can be filtered by.
        matches: whether a review is wanted.
        drops_others: whether the client drops a review that is not wanted.
    """
    rows = evidence.head.raw
    questions = []
    for value in values:
        wanted = [row for row in rows if matches(row, value)]
        limit = max(1, len(wanted))
        size = len(rows) if evidence.is_capped else limit
        top = [row for row in rows[:size] if matches(row, value) or not drops_others]
        more = evidence.head.has_more or len(rows) > size
        question = FilterQuestion(value, limit, size, ids(wanted), (ids(top), more))
        if question.is_telling:
            questions.append((len(wanted), question))
    return max(questions, key=lambda pair: pair[0], default=(0, None))[1]


# --- statistics ------------------------------------------------------------------------------


def compare_figures(stats: ReviewStats | None, evidence: ListEvidence) -> Figures:
    """Compare the statistics with the active reviews that were seen.

    A review of an unknown status may count as active or not.
    """
    rows = evidence.seen.values()
    least = Counter(row["rating"] for row in rows if row["status"] == "ACTIVE")
    most = Counter(row["rating"] for row in rows if row["status"] not in ("ARCHIVED", "INACTIVE"))
    told = Counter({one.rating: one.total_rating for one in stats.stats} if stats else {})
    total = stats.total if stats else 0
    pairs = [(told[rating], least[rating], most[rating]) for rating in told.keys() | most.keys()]
    pairs.append((total, least.total(), most.total()))
    if any(figure < low for figure, low, _ in pairs):
        return "disagree"
    if not evidence.is_whole:
        return "uncounted"
    return "agree" if all(figure <= high for figure, _, high in pairs) else "disagree"
