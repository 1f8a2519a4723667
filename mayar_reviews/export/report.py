"""What an export reports: progress while it runs, and the result at its end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from attrs import define, field, frozen

from mayar_reviews import ExportError, RequestEvent

_log = logging.getLogger("mayar_reviews")


@frozen
class ExportProgress:
    """The argument of `on_progress`, which is called when pages are safe and before each wait.

    Pages are made safe together: at most a second after they came, and before each wait.
    """

    payment_link_id: str | None
    """The product; `None`: the whole store."""
    written: int
    """Reviews that are safe in the file."""
    pages: int
    """Pages fetched by this run."""
    total: int | None
    """How many reviews there will be; `None`: unknown. The statistics are asked once, and only
    where there is more than one page."""
    waiting: str | None = None
    """Why the export waits: `rate limit`, `retry` (by the client) or `outage` (the client gave
    up on a page). `None`: it does not wait, pages were written."""
    seconds: float = 0.0
    """How long the wait will take at least."""
    failure: str | None = None
    """What failed, if `waiting` is `outage`."""


@define(eq=False)
class ProgressReporter:
    """Counts the work on one file and reports it to `on_progress`."""

    payment_link_id: str | None
    on_progress: Callable[[ExportProgress], object] | None
    before_wait: Callable[[], object] = lambda: None
    """Called before a wait is reported."""
    written: int = 0
    pages: int = 0
    requests: int = 0
    total: int | None = None

    def on_event(self, event: RequestEvent) -> None:
        """Count a request, or report a wait of the client."""
        if event.kind == "attempt":
            self.requests += 1
        else:
            self.report((event.reason or "").replace("_", " "), event.seconds)

    def report(
        self, waiting: str | None = None, seconds: float = 0.0, failure: str | None = None
    ) -> None:
        """Call `on_progress`; log what it raises."""
        if waiting is not None:
            self.before_wait()
        if self.on_progress is None:
            return
        progress = ExportProgress(
            self.payment_link_id, self.written, self.pages, self.total, waiting, seconds, failure
        )
        try:
            self.on_progress(progress)
        except Exception:
            # A progress bar that cannot be drawn must not end hours of work.
            _log.exception("on_progress raised")


@frozen
class FileReport:
    """The result for one file."""

    payment_link_id: str | None
    """The product; `None`: the whole store."""
    path: Path
    written: int = 0
    """Reviews in the file, or safe for a resumed run to continue from."""
    pages: int = 0
    """Pages fetched by this run."""
    requests: int = 0
    """Requests started by this run."""
    seconds: float = 0.0
    """How long this run took."""
    resumed_from: int | None = None
    """How many reviews an earlier run had written; `None`: this run started from the beginning."""
    changed: int | None = None
    """How many reviews an update found new or changed; `None`: this was not an update."""
    finished_at: datetime | None = None
    """When the file was last known to be up to date; `None`: it is not finished."""
    ratings: Mapping[int, int] = field(factory=dict)
    """How many reviews of each rating there are; empty until the file is finished."""
    gaps: tuple[tuple[datetime, datetime], ...] = ()
    """Spans of `created_at`, from and until, in which the server cannot show all reviews."""
    expected: int | None = None
    """How many active reviews there are by the statistics; `None`: not verified.

    The file may hold more: the store's list has reviews of every status.
    """
    missing: Mapping[int, int] = field(factory=dict)
    """How many more active reviews the statistics count, by rating; only where they count more."""
    not_verified: str | None = None
    """Why `verify` can say nothing: the statistics do not answer, or they disagree with a list
    that came whole. They may be old."""
    invalid: Mapping[str, str] = field(factory=dict)
    """What does not fit the API's documentation, by review, such as `rating: expected int, got
    str`; the first hundred. Such a review is written as it came (JSONL), or without what does not
    fit, which is then in the column `raw`. One without an id is named by a number."""
    invalid_count: int = 0
    """How many reviews are not as the API documents them."""
    notes: tuple[str, ...] = ()
    """What an update cannot see."""
    error: ExportError | None = None
    """Why the export stopped, with the failure as `__cause__`; `None`: the file is finished."""

    @property
    def complete(self) -> bool | None:
        """`True`: counted and whole; `False`: known to lack something; `None`: nobody can tell."""
        if self.error is not None or self.gaps:
            return False
        return None if self.expected is None or self.not_verified is not None else True


@frozen
class ExportReport:
    """The result of an export."""

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
        """The files that are not finished."""
        return tuple(file for file in self.files if file.error is not None)

    @property
    def gaps(self) -> tuple[tuple[datetime, datetime], ...]:
        """The gaps of all files."""
        return tuple(gap for file in self.files for gap in file.gaps)

    @property
    def complete(self) -> bool | None:
        """`True`: every file was counted and is whole; `False`: one is known to lack something.

        `None`: nobody can tell.
        """
        all_files = {file.complete for file in self.files}
        return False if False in all_files else None if None in all_files else True
