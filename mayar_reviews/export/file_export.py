"""The export into one file: fetch the pages into the journal, make the output, verify it."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from traceback import clear_frames
from typing import TYPE_CHECKING

import msgspec
from attrs import evolve, field, frozen

from mayar_reviews import (
    AuthenticationError,
    ExportError,
    IncompleteListError,
    InvalidArgumentError,
    MayarError,
    NotFoundError,
    ReviewPage,
    ReviewStatus,
)
from mayar_reviews.api_json import to_time

from .durable import Lock
from .formats import Layout, write, write_store
from .journal import Journal
from .merge import Index
from .patience import ApiHealth, Patience
from .report import ExportProgress, FileReport, ProgressReporter
from .selection import Selection, gaps_in_milliseconds, patient_client
from .state import Gaps, State
from .update import Update

if TYPE_CHECKING:
    from mayar_reviews import ReviewsClient

# What a kill makes an export fetch again. A sync takes as long as fetching a page from nearby.
_SYNC_EVERY = 1.0
# Other tasks run after so many lines, so these must take milliseconds only.
_LINES_AT_ONCE = 100
DAMAGE = (
    msgspec.DecodeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
    EOFError,
    OverflowError,
    zlib.error,
    gzip.BadGzipFile,
)


@frozen
class Settings:
    """What all files of one export share."""

    client: ReviewsClient
    layout: Layout
    resume: bool
    force: bool
    update: bool
    verify: bool
    on_progress: Callable[[ExportProgress], object] | None
    health: ApiHealth = field(factory=ApiHealth)


class FileExport:
    """The export of one product, or of the whole store, into one file."""

    def __init__(self, settings: Settings, selection: Selection, path: Path) -> None:
        self._settings = settings
        self._selection = selection
        self._path = path
        self._lock = Lock(path)
        self._is_checked = False
        status = selection.status
        layout = settings.layout
        self._journal = Journal(
            path,
            State(
                origin=settings.client._settings.transport.origin,  # noqa: SLF001
                payment_link_id=selection.payment_link_id,
                format=layout.format,
                rating=selection.rating,
                status=None if status is None else str(status),
                separator=None if layout.separator == "," else layout.separator,
            ),
        )
        self._progress = ProgressReporter(
            selection.payment_link_id, settings.on_progress, before_wait=self._sync
        )
        self._patience = Patience(settings.health, self._progress.report)
        self._client = patient_client(settings.client, self._progress, self._patience)
        self._resumed_from: int | None = None
        self._changed: int | None = None
        self._has_asked = False
        self._next_sync: asyncio.TimerHandle | None = None

    def check_arguments(self) -> None:
        """Check the arguments, without looking at the disk.

        Raises:
            InvalidArgumentError: an argument is outside its limits.
        """
        self._selection.check(self._client)
        if self._settings.verify and self._selection.status not in (None, ReviewStatus.ACTIVE):
            raise InvalidArgumentError(
                "cannot be used with this status: the statistics count active reviews only, so "
                "status must be ACTIVE or None",
                field="verify",
            )

    def preflight(self) -> None:
        """Lock the output and find out where to start. Nothing else on the disk changes.

        Raises:
            InvalidArgumentError: the output must not be overwritten, or cannot be continued.
        """
        if self._path.exists() and not self._path.is_file():
            kind = "a directory" if self._path.is_dir() else "not a regular file"
            raise InvalidArgumentError(f"{self._path} is {kind}: it must be a file", field="output")
        if not self._lock.acquire():
            raise InvalidArgumentError(
                f"{self._path} is being written by another export: wait until that has "
                "finished, or use another output",
                field="output",
            )
        settings = self._settings
        try:
            found = self._journal.load(
                resume=settings.resume or settings.update, force=settings.force
            )
        except BaseException:
            self.release()
            raise
        if found:
            self._resumed_from = self._progress.written = self._journal.state.written
            self._progress.total = self._journal.state.total
        self._is_checked = True

    def release(self) -> None:
        """Let others write the output. `run` looks at the disk again."""
        self._lock.release()
        self._is_checked = False

    async def run(self) -> FileReport:
        """Export what is not exported yet; a failure is in the report."""
        started = asyncio.get_running_loop().time()
        health, journal = self._settings.health, self._journal
        counted: dict[int, int] | None = None
        not_verified: str | None = None
        failure: MayarError | OSError | None = None
        try:
            if not self._is_checked:
                self.preflight()
            if self._resumed_from is not None:
                self._progress.report()
            if health.rejected_key is not None:
                raise health.rejected_key
            await self._make()
            if self._settings.verify:
                try:
                    counted = await self._selection.count(self._client)
                except MayarError as error:
                    not_verified = f"the statistics do not answer: {error}"
        except (MayarError, OSError) as error:
            clear_frames(error.__traceback__)  # they hold reviews
            failure = error
            if isinstance(error, AuthenticationError):
                health.rejected_key = error
        finally:
            self._sync()
            journal.close()
            self.release()
        state = journal.state
        missing = {
            rating: count - state.active.get(rating, 0)
            for rating, count in (counted or {}).items()
            if count > state.active.get(rating, 0)
        }
        if missing:
            not_verified = (
                f"the statistics count {sum(missing.values())} more active reviews than the list "
                "has; they may be old, or count reviews made meanwhile"
            )
        return FileReport(
            payment_link_id=self._selection.payment_link_id,
            path=self._path,
            written=state.written,
            pages=self._progress.pages,
            requests=self._progress.requests,
            seconds=asyncio.get_running_loop().time() - started,
            resumed_from=self._resumed_from,
            changed=self._changed,
            finished_at=_time(state.finished_at) if journal.is_finished else None,
            ratings=state.ratings,
            gaps=tuple((to_time(start), to_time(until)) for start, until in state.gaps),
            invalid=state.invalid,
            invalid_count=state.invalid_count,
            expected=None if counted is None else sum(counted.values()),
            missing=missing,
            not_verified=not_verified,
            notes=self._notes(),
            error=None if failure is None else self._stopped(failure),
        )

    async def _make(self) -> None:
        """Bring the output to where it was asked to be."""
        journal = self._journal
        if journal.is_finished:
            journal.remove()  # a kill may have left it
            if not self._settings.update:
                return
            self._changed = 0
            await self._fetch_update()
        elif not journal.state.fetched:
            await self._fetch()
        if not journal.is_finished:
            await self._convert()

    async def _fetch(self) -> None:
        """Bring the rest of the list into the journal."""
        journal, progress = self._journal, self._progress
        loop = asyncio.get_running_loop()
        gaps: Gaps = ()
        pages = self._selection.patient_pages(self._client, self._patience, journal.state.cursor)
        try:
            async with aclosing(pages):
                async for page in pages:
                    journal.append(page)
                    progress.pages += 1
                    # The last page is safe when the state says that it was the last.
                    if page.has_more:
                        self._next_sync = self._next_sync or loop.call_later(
                            _SYNC_EVERY, self._sync
                        )
                        await self._ask_for_total()
        except IncompleteListError as error:
            gaps = gaps_in_milliseconds(error.gaps)
        journal.finish_fetching(gaps)
        told, written = (progress.written, progress.total), journal.state.written
        progress.written = progress.total = written
        if told != (written, written):
            progress.report()

    def _sync(self) -> None:
        """Make safe what was fetched, and tell it: before each wait, and a second after a page."""
        if self._next_sync is not None:
            self._next_sync.cancel()
            self._next_sync = None
        if self._journal.sync():
            self._progress.written = self._journal.state.written
            self._progress.report()

    async def _ask_for_total(self) -> None:
        """Ask the statistics once how many reviews there will be, if anybody wants to know."""
        journal, selection = self._journal, self._selection
        if journal.state.total is not None or self._has_asked or not selection.is_active_only:
            return
        self._has_asked = True
        if self._settings.on_progress is None:
            return
        self._sync()
        with suppress(MayarError):
            counted = await selection.count(self._client, patient=False)
            journal.state = evolve(journal.state, total=sum(counted.values()))
            self._progress.total = journal.state.total

    async def _fetch_update(self) -> None:
        """Bring into the journal what has changed since the output was made."""

        def on_page() -> None:
            self._progress.pages += 1
            self._progress.report()

        def pages() -> AsyncGenerator[ReviewPage, None]:
            return self._selection.patient_pages(self._client, self._patience)

        update = Update(pages, self._journal, on_page)
        await update.fetch()
        self._changed = len(update.changed)
        if update.changed:
            self._journal.finish_update(update.gaps)
        else:
            self._journal.finish_quiet_update(update.gaps, _now())

    async def _convert(self) -> None:
        """Make the output from the journal. This can be repeated until the journal is removed."""
        journal, layout = self._journal, self._settings.layout
        has_invalid = journal.state.has_invalid
        index = Index(checks=has_invalid)

        def record(made: str) -> None:
            journal.save(
                output=made,
                written=len(index.offsets),
                ratings=index.ratings,
                active=index.active,
                newest_created=index.newest_created,
                newest_updated=index.newest_updated,
                edge=index.edge,
                has_invalid=index.invalid_count > 0,
                invalid=index.invalid,
                invalid_count=index.invalid_count,
                sorted_by=index.sorted_by,
                finished_at=_now(),
            )

        try:
            boundary = journal.prepare()
            with journal.path.open("rb") as file:
                await in_steps(index.read(file, boundary))
                if journal.state.update and len(index.offsets) < journal.state.written:
                    raise EOFError  # stored reviews are gone
                if not journal.is_own_store:
                    await in_steps(write_store(index.lines(file), journal.store))
                lines = index.lines(file)
                await in_steps(write(lines, self._path, layout, record, has_invalid=has_invalid))
        except DAMAGE:
            damaged = True  # raise outside: this exception's frames hold reviews
        else:
            damaged = False
        if damaged:
            source = journal.store if journal.state.update else journal.path
            raise ExportError(f"{source} is damaged: start again with force")
        journal.is_finished = True
        journal.remove()

    def _notes(self) -> tuple[str, ...]:
        if self._changed is None:
            return ()
        left = "reviews that have left the list since (archived, deleted) were not looked for"
        if self._journal.state.sorted_by in ("updated", "both"):
            return (left,)
        edited = "older reviews that were edited since were not looked for"
        return (f"the list is not sorted by the time of the last change: {edited}", left)

    def _stopped(self, failure: MayarError | OSError) -> ExportError:
        state, where = self._journal.state, ""
        if isinstance(failure, NotFoundError) and self._journal.path.exists():
            # It may never come back, so say how to get at what there is.
            where = f" (they are in {self._journal.path}, as JSON lines)"
        error = ExportError(
            f"the export to {self._path} stopped after {state.written} reviews{where}: {failure}",
            written=state.written,
            starting_after=state.cursor,
        )
        error.attempts = self._progress.requests
        error.__cause__ = failure
        return error


async def in_steps(steps: Generator[None, None, None]) -> None:
    """Take the steps, and let other tasks run, and a cancellation arrive, in between."""
    with closing(steps):
        for number, _ in enumerate(steps, 1):
            if number % _LINES_AT_ONCE == 0:
                await asyncio.sleep(0)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
