"""Which lines of a journal make an output: each review once, in its newest form, in order.

A journal may hold a review twice: it was edited while the list was read, or it was the last one
before the export was resumed. The output is what an export without either would have written.
"""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from itertools import islice
from typing import BinaryIO

import msgspec
from attrs import Factory, define

from mayar_reviews import ReviewStatus
from mayar_reviews.api_json import load
from mayar_reviews.walk import Row, has_times

from .rows import MOST_NAMED, fault_of, name_of, value_of

# A server may show a review some seconds after the `updatedAt` that it carries.
LATE = 60_000
# More than a store gets in that time, but for an import. Then an update does work for nothing.
_LARGEST_EDGE = 1000
# The statistics do not count these.
_NOT_COUNTED = (ReviewStatus.ARCHIVED, ReviewStatus.INACTIVE)


_Kind = tuple[int | None, bool]
"""The rating of a review, and whether the statistics count it."""


def _numbers() -> array[int]:
    return array("q")


class _Line(msgspec.Struct, rename="camel", gc=False):
    """What is read of a review that is as documented: msgspec passes over the rest."""

    id: str
    rating: int
    status: str
    updated_at: int
    created_at: int


_decode = msgspec.json.Decoder(_Line).decode


@define
class _Order:
    """Whether a list may be sorted by one of its times, newest first."""

    last: int | None = None
    newest: int = 0
    broken: bool = False

    def see(self, time: int) -> None:
        # A time newer than all before it starts another read of the head of the list.
        if self.last is not None and self.last < time <= self.newest:
            self.broken = True
        self.last = time
        self.newest = max(self.newest, time)


@define
class Index:
    """What a journal holds. Each review has a place, in the order of their first lines."""

    checks: bool = False
    """Whether a review may not be as documented: each is then looked at, which takes longer."""
    offsets: array[int] = Factory(_numbers)
    """Where the newest line of each review begins."""
    updated: array[int] = Factory(_numbers)
    created: array[int] = Factory(_numbers)
    _kinds: list[_Kind] = Factory(list)
    _known_kinds: dict[_Kind, _Kind] = Factory(dict)
    _faults: dict[int, str] = Factory(dict)
    """What does not fit, by place."""
    _last: Row | None = None
    newest_updated: int = 0
    """The largest `updatedAt` of the reviews that have both times."""
    newest_created: int = 0
    """The same for `createdAt`."""
    _places: dict[str, int] = Factory(dict)
    """The place of each review, in the order of the places."""
    _by_updated: _Order = Factory(_Order)
    _by_created: _Order = Factory(_Order)

    def read(self, journal: BinaryIO, boundary: int | None = None) -> Generator[None, None, None]:
        """Read a journal, one line at a step.

        Args:
            journal: the file, at its beginning.
            boundary: where the reviews of an older export begin, if there are any.

        Raises:
            ValueError, LookupError, TypeError, AttributeError, msgspec.DecodeError: a line is not
                a review.
        """
        offset = 0
        for line in journal:
            if offset == boundary:
                self._by_updated.last = self._by_created.last = None
            self._take(line, offset, is_old=boundary is not None and offset >= boundary)
            offset += len(line)
            yield

    def _take(self, line: bytes, offset: int, *, is_old: bool) -> None:
        is_timed = True
        if self.checks:
            raw = load(line)
            key = self._last = Row.of(raw, self._last)
            kind = value_of(raw, "rating", int), value_of(raw, "status", str) not in _NOT_COUNTED
            fault, is_timed = fault_of(raw), has_times(raw)
        else:
            try:
                known = _decode(line)
            except msgspec.DecodeError:  # half of a surrogate pair
                known = msgspec.convert(load(line), _Line)
            key = Row(known.id, known.updated_at, known.created_at)
            kind, fault = (known.rating, known.status not in _NOT_COUNTED), None
        if is_timed:
            self._by_updated.see(key.updated)
            self._by_created.see(key.created)
            self.newest_updated = max(self.newest_updated, key.updated)
            self.newest_created = max(self.newest_created, key.created)
        kind = self._known_kinds.setdefault(kind, kind)
        place = self._places.setdefault(key.id, len(self.offsets))
        if place == len(self.offsets):
            self.offsets.append(offset)
            self.updated.append(key.updated)
            self.created.append(key.created)
            self._kinds.append(kind)
        elif key.updated > self.updated[place] if is_timed else not is_old:
            self.offsets[place], self._kinds[place] = offset, kind
            self.updated[place], self.created[place] = key.updated, key.created
            self._faults.pop(place, None)
        else:
            return
        if fault is not None:
            self._faults[place] = sys.intern(fault)

    @property
    def edge(self) -> dict[str, int]:
        """`updatedAt` by id of the reviews that the next update will see again."""
        start = self.newest_updated - LATE
        places = [place for place, time in enumerate(self.updated) if time >= start]
        if len(places) > _LARGEST_EDGE:
            return {}
        ids = list(self._places)
        return {ids[place]: self.updated[place] for place in places}

    @property
    def sorted_by(self) -> str | None:
        """`updated`, `created`, or `None`: neither. Where both are possible: `both`."""
        if self._by_updated.broken:
            return None if self._by_created.broken else "created"
        return "updated" if self._by_created.broken else "both"

    def lines(self, journal: BinaryIO) -> Iterator[bytes]:
        """Return the lines of the output, in its order."""
        places: list[int] | range = range(len(self.offsets))
        if not self._by_updated.broken:
            places = sorted(places, key=lambda place: -self.updated[place])
        elif not self._by_created.broken:
            places = sorted(places, key=lambda place: -self.created[place])
        position = -1
        for place in places:
            if position != self.offsets[place]:
                journal.seek(self.offsets[place])
            line = journal.readline()
            position = self.offsets[place] + len(line)
            yield line

    @property
    def ratings(self) -> Counter[int]:
        """How many reviews of each rating there are."""
        return self._count(lambda _: True)

    @property
    def active(self) -> Counter[int]:
        """The same for the reviews that the statistics count."""
        return self._count(lambda is_active: is_active)

    def _count(self, counts: Callable[[bool], bool]) -> Counter[int]:
        ratings: Counter[int] = Counter()
        for (rating, is_active), number in Counter(self._kinds).items():
            if rating is not None and counts(is_active):
                ratings[rating] += number
        return ratings

    @property
    def invalid_count(self) -> int:
        """How many reviews are not as documented."""
        return len(self._faults)

    @property
    def invalid(self) -> dict[str, str]:
        """What does not fit, by review; the first of them."""
        named = dict(islice(self._faults.items(), MOST_NAMED))
        ids = list(self._places)
        return {
            name_of(ids[place], number): fault
            for number, (place, fault) in enumerate(named.items(), 1)
        }
