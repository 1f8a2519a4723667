"""One file: pages into the journal, a state after every page, the journal into the output.

Files are written by plain blocking calls in the event loop: a few small syncs for a page, of
which the rate limit lets one pass every second or so. Threads would free the loop for those
milliseconds, and let a cancellation fall between a page and its state.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack, aclosing, closing
from pathlib import Path
from typing import BinaryIO, TypeVar

from attrs import define, evolve

from mayar_reviews import (
    APIError,
    AuthenticationError,
    ConnectionFailedError,
    ExportError,
    InvalidArgumentError,
    MayarError,
    RequestEvent,
    ReviewPage,
    ReviewsClient,
    ReviewStatus,
)

from .durable import Lock, sync, sync_directory
from .formats import Format, convert, to_line
from .report import ExportProgress, FileReport
from .state import State

T = TypeVar("T")

_log = logging.getLogger("mayar_reviews")
# Once the client's own attempts are spent, a page is asked for again after as long as the
# outage has lasted, within these bounds, in seconds.
_SHORTEST_WAIT = 5.0
_LONGEST_WAIT = 300.0
# Longer than a deployment or a reboot takes; what lasts longer wants a person, who should find
# an error and not a job that hangs.
_LONGEST_OUTAGE = 3600.0
# Of these the statistics know nothing.
_NOT_COUNTED = (ReviewStatus.ARCHIVED, ReviewStatus.INACTIVE)


@define(eq=False)
class Job:
    """What the files of one export have in common."""

    client: ReviewsClient
    format: Format
    rating: int | None
    status: ReviewStatus | str | None
    page_size: int
    verify: bool
    on_progress: Callable[[ExportProgress], object] | None
    failing_since: float | None = None
    """When the API first failed after it last answered, whichever file asked."""
    refusal: AuthenticationError | None = None
    """What one file has heard of the key, all others need not ask again."""
    reached: bool = False
    """Whether there was any answer yet: if not, it is no outage, but perhaps a wrong address."""


class FileExport:
    """The export of one product, or of the store, into one file."""

    def __init__(self, job: Job, payment_link_id: str | None, path: Path) -> None:
        self._job = job
        self._payment_link_id = payment_link_id
        self._path = path
        self._journal = (
            path if job.format == "jsonl" else path.with_name(f"{path.name}.partial.jsonl")
        )
        self._state_path = path.with_name(f"{path.name}.state.json")
        self._state = State(
            payment_link_id=payment_link_id,
            format=job.format,
            rating=job.rating,
            status=None if job.status is None else str(job.status),
        )
        self._lock = Lock(path.with_name(f"{path.name}.lock"))
        self._client = job.client.with_options(deadline=None, on_event=self._on_event)
        self._resumed_from: int | None = None
        self._pages = 0
        self._requests = 0
        self._failing_since: float | None = None

    def check_arguments(self) -> None:
        """Refuse what is outside its limits: above all an id, as it names a file.

        Raises:
            InvalidArgumentError: says which.
        """
        status = self._job.status
        if status is not None and self._payment_link_id is not None:
            raise InvalidArgumentError(
                "status cannot be asked for a product, whose list shows active reviews: "
                "it must be None, or the export of the whole store",
                field="status",
            )
        if self._job.verify and status not in (None, ReviewStatus.ACTIVE):
            raise InvalidArgumentError(
                "verify cannot be asked for with this status: "
                "it must be ACTIVE or None, as the statistics count active reviews",
                field="verify",
            )
        self._list_from(None)

    def look_around(self, *, resume: bool, force: bool) -> None:
        """Find out where to begin, without changing anything.

        Raises:
            InvalidArgumentError: what is there must not be overwritten, or cannot be resumed.
        """
        if self._path.exists() and not self._path.is_file():
            kind = "a directory" if self._path.is_dir() else "not a regular file"
            raise InvalidArgumentError(
                f"{self._path} is {kind}: output must be a file", field="output"
            )
        if not self._lock.take():
            raise InvalidArgumentError(
                f"{self._path} is being written by another export: wait for its end, or use "
                "another output",
                field="output",
            )
        saved = State.load(self._state_path) if resume else None
        if saved is not None:
            saved.check_asked(self._state, self._state_path)
            self._check_journal(saved)
            self._state = saved
            self._resumed_from = saved.written
        elif not force and (self._path.exists() or self._journal.exists()):
            fault = "has no state to resume from" if resume else "is there already"
            ways = "" if resume else "resume its export, "
            raise InvalidArgumentError(
                f"{self._path} {fault}: {ways}use another output, or force to overwrite it",
                field="output",
            )

    def _check_journal(self, saved: State) -> None:
        held = self._journal.stat().st_size if self._journal.exists() else None
        if held is None and saved.finished and self._path.exists():
            return  # it has become the output
        changed = saved.finished and held != saved.offset
        if changed or (held or 0) < saved.offset:
            raise InvalidArgumentError(
                f"{self._journal} has {held or 0} bytes of the {saved.offset} that its state "
                "records: put it back, or start again with force",
                field="resume",
            )

    def give_back(self) -> None:
        """Let others write the output."""
        self._lock.give_back()

    async def run(self) -> FileReport:
        """Export what is not exported yet; a failure is in the report."""
        started = asyncio.get_running_loop().time()
        expected, missing = None, dict[int, int]()
        failure: MayarError | OSError | None = None
        if self._resumed_from is not None:
            self._tell()  # what is there already
        try:
            if self._job.refusal is not None:
                raise self._job.refusal
            if not self._state.finished:
                await self._fetch()
            if self._journal != self._path and self._journal.exists():
                await self._convert()
            if self._job.verify:
                expected, missing = await self._verify()
        except (MayarError, OSError) as error:
            failure = error
            if isinstance(error, AuthenticationError):
                self._job.refusal = error
        finally:
            self._lock.give_back()
        return FileReport(
            payment_link_id=self._payment_link_id,
            path=self._path,
            written=self._state.written,
            pages=self._pages,
            requests=self._requests,
            seconds=asyncio.get_running_loop().time() - started,
            resumed_from=self._resumed_from,
            ratings=self._state.ratings,
            expected=expected,
            missing=missing,
            error=None if failure is None else self._stopped(failure),
        )

    async def _fetch(self) -> None:
        """Bring the rest of the list into the journal."""
        if self._job.verify and self._state.expected is None:
            expected = await self._patiently(self._count)
            self._state = evolve(self._state, expected=expected)
        await self._patiently(self._walk)

    async def _walk(self) -> None:
        # Nothing that is there is touched before there is something to put in its place.
        with ExitStack() as stack:
            journal: BinaryIO | None = None
            async with aclosing(self._list_from(self._state.cursor)) as pages:
                async for page in pages:
                    self._answered()
                    journal = journal or self._open_journal(stack)
                    self._store(journal, page)
                    self._tell()

    def _open_journal(self, stack: ExitStack) -> BinaryIO:
        """The journal, cut back to what the state says of it."""
        # The state comes first: a kill in between leaves one that is true of no journal at all.
        self._state.save(self._state_path)
        journal = stack.enter_context(self._journal.open("ab"))
        journal.truncate(self._state.offset)
        sync_directory(self._journal.parent)
        return journal

    def _store(self, journal: BinaryIO, page: ReviewPage) -> None:
        """Make a page safe: first the reviews, then the state that counts them."""
        state = self._state
        new = [
            (review, raw)
            for review, raw in zip(page.data, page.raw, strict=True)
            if review.id not in state.last_ids
        ]
        lines = b"".join(to_line(raw) for _, raw in new)
        journal.write(lines)
        sync(journal)
        state = evolve(
            state,
            cursor=page.next_starting_after,
            written=state.written + len(new),
            offset=state.offset + len(lines),
            last_ids=[review.id for review in page.data],
            ratings=Counter(state.ratings) + Counter(review.rating for review, _ in new),
            active=Counter(state.active)
            + Counter(review.rating for review, _ in new if review.status not in _NOT_COUNTED),
            finished=not page.has_more,
        )
        state.save(self._state_path)
        self._state = state
        self._pages += 1

    async def _convert(self) -> None:
        """Make the output of the journal. It can be done again, until the journal is gone."""
        try:
            with closing(convert(self._journal, self._path, self._job.format)) as batches:
                for _ in batches:
                    await asyncio.sleep(0)  # others, and a cancellation, have their turn
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            damaged = True  # its frames hold reviews
        else:
            damaged = False
        if damaged:
            raise ExportError(f"{self._journal} is damaged: start again with force")
        self._journal.unlink()

    async def _verify(self) -> tuple[int, dict[int, int]]:
        """How many active reviews there should be, and how many of each rating are missing."""
        now = await self._patiently(self._count)
        then = now if self._state.expected is None else self._state.expected
        # The lesser: what came after the first page is not due, nor what has left since.
        due = {rating: min(count, now.get(rating, 0)) for rating, count in then.items()}
        missing = {
            rating: count - self._state.active.get(rating, 0)
            for rating, count in due.items()
            if count > self._state.active.get(rating, 0)
        }
        return sum(due.values()), missing

    async def _count(self) -> dict[int, int]:
        """How many reviews of each rating asked for the statistics know."""
        if self._payment_link_id is None:
            stats = await self._client.get_merchant_stats()
        else:
            stats = await self._client.get_product_stats(self._payment_link_id)
        return {
            one.rating: one.total_rating
            for one in (() if stats is None else stats.stats)
            if self._job.rating in (None, one.rating)
        }

    def _list_from(self, cursor: str | None) -> AsyncGenerator[ReviewPage, None]:
        job = self._job
        if self._payment_link_id is None:
            return self._client.iter_review_pages(
                page_size=job.page_size,
                starting_after=cursor,
                status=job.status,
                rating=job.rating,
            )
        return self._client.iter_product_review_pages(
            self._payment_link_id,
            page_size=job.page_size,
            starting_after=cursor,
            rating=job.rating,
        )

    async def _patiently(self, step: Callable[[], Awaitable[T]]) -> T:
        """Do a step, and do it again until an outage is over.

        Raises:
            MayarError: a refusal, or the last failure of an outage that lasts too long.
        """
        while True:
            try:
                done = await step()
            except MayarError as error:
                failure = error
            else:
                self._answered()
                return done
            wait = self._wait_after(failure)
            if wait is None:
                raise failure
            self._tell("outage", wait)
            await asyncio.sleep(wait)

    def _wait_after(self, failure: MayarError) -> float | None:
        """How long to wait before asking again, in seconds; `None`: do not."""
        unreachable = isinstance(failure, ConnectionFailedError) and not self._job.reached
        if not failure.transient or unreachable:
            return None
        now = asyncio.get_running_loop().time()
        # Both are needed: a product of which the API makes nothing but errors must not be waited
        # for as long as others answer, nor must each of a hundred wait out the same outage.
        self._failing_since = self._failing_since or now
        self._job.failing_since = self._job.failing_since or now
        lasted = now - min(self._failing_since, self._job.failing_since)
        wait = min(max(lasted, _SHORTEST_WAIT), _LONGEST_WAIT)
        if isinstance(failure, APIError) and failure.retry_after is not None:
            wait = max(wait, failure.retry_after)
        return wait if lasted + wait <= _LONGEST_OUTAGE else None

    def _answered(self) -> None:
        self._failing_since = self._job.failing_since = None

    def _on_event(self, event: RequestEvent) -> None:
        if event.kind == "attempt":
            self._requests += 1
            self._job.reached |= event.status_code is not None
        else:
            self._tell((event.reason or "").replace("_", " "), event.seconds)

    def _tell(self, waiting: str | None = None, seconds: float = 0.0) -> None:
        if self._job.on_progress is None:
            return
        state = self._state
        # The store's list shows more than the statistics count, unless it is asked not to.
        comparable = self._payment_link_id is not None or self._job.status is not None
        total = None
        if state.expected is not None and comparable:
            total = sum(state.expected.values())
        progress = ExportProgress(
            self._payment_link_id, state.written, self._pages, total, waiting, seconds
        )
        try:
            self._job.on_progress(progress)
        except Exception:
            # Hours of work must not end because a progress bar could not be drawn.
            _log.exception("on_progress raised")

    def _stopped(self, failure: MayarError | OSError) -> ExportError:
        state = self._state
        error = ExportError(
            f"the export to {self._path} stopped after {state.written} reviews: {failure}",
            written=state.written,
            starting_after=state.cursor,
        )
        error.attempts = self._requests
        error.__cause__ = failure
        return error
