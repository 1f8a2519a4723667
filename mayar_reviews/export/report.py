"""What an export tells: while it runs, and at its end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from mayar_reviews import ExportError


@frozen
class ExportProgress:
    """What `on_progress` is called with: after each page, and before each wait."""

    payment_link_id: str | None
    """The product; `None`: the whole store."""
    written: int
    """Reviews that are safe in the file."""
    pages: int
    """Pages fetched by this run."""
    total: int | None
    """How many reviews there will be, where the statistics were asked and tell."""
    waiting: str | None = None
    """What the export waits for: `rate limit`, `retry` (the client's own) or `outage` (after
    the client has given a page up); `None`: nothing, a page was written."""
    seconds: float = 0.0
    """How long the wait will take at least."""


@frozen
class FileReport:
    """What became of one file."""

    payment_link_id: str | None
    """The product; `None`: the whole store."""
    path: Path
    written: int
    """Reviews in the file, or safe for a resumed run to build on."""
    pages: int
    """Pages fetched by this run."""
    requests: int
    """Requests started by this run."""
    seconds: float
    """How long this run took."""
    resumed_from: int | None
    """How many reviews were there already; `None`: it began from the start."""
    ratings: Mapping[int, int]
    """How many reviews of each rating there are."""
    expected: int | None = None
    """How many active reviews there should be by the statistics, `None` where not verified.

    The file may rightly hold more: the store's list has reviews of every status.
    """
    missing: Mapping[int, int] = {}
    """How many active reviews are missing, for each rating of which some are.

    A time-stamp cursor can skip reviews made in the same millisecond.
    """
    error: ExportError | None = None
    """What stopped it, `__cause__` being the failure; `None`: the file is done."""


@frozen
class ExportReport:
    """What became of an export."""

    files: tuple[FileReport, ...]
    """One for each product, in the order asked for; one for the whole store."""
    seconds: float
    """How long this run took."""

    @property
    def written(self) -> int:
        """Reviews in all files."""
        return sum(file.written for file in self.files)

    @property
    def pages(self) -> int:
        """Pages fetched by this run."""
        return sum(file.pages for file in self.files)

    @property
    def requests(self) -> int:
        """Requests started by this run."""
        return sum(file.requests for file in self.files)

    @property
    def failed(self) -> tuple[FileReport, ...]:
        """The files that are not done."""
        return tuple(file for file in self.files if file.error is not None)

    @property
    def complete(self) -> bool | None:
        """Whether every file was verified and misses nothing; `None`: none was verified."""
        if all(file.expected is None for file in self.files):
            return None
        return all(file.expected is not None and not file.missing for file in self.files)
