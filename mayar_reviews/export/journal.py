"""The journal of one output: the pages fetched so far, and a state that says what is safe.

Pages are written as they come, and made safe together: the journal is synced, then a new state,
which counts them, replaces the old one. So a kill or a power cut at any moment leaves a state that
is true. Bytes after the state's offset are of pages that were never reported; the next run cuts
them off.

An update starts a new journal and saves its state only at the end. After a kill, the old state is
valid and the new journal is ignored.

The calls block the event loop for three small syncs, at most once a second or so. Threads would
free the loop for those milliseconds, but then a cancellation could fall between a page and its
state.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from attrs import evolve

from mayar_reviews import ExportError, InvalidArgumentError, ReviewPage

from .durable import fingerprint, open_to_append, sync, sync_directory
from .rows import Rows, json_lines, rows_of, value_of
from .state import Gaps, State

# More accounts than have ever shared a store. The state must not grow with the list.
_MOST_OWNERS = 100


class Journal:
    """A file of JSON lines beside the output, with a state file.

    Args:
        output: the file to export into.
        state: the state of an export that has just begun.
    """

    def __init__(self, output: Path, state: State) -> None:
        self.path: Path = output.with_name(f"{output.name}.partial.jsonl")
        self.is_own_store: bool = state.format == "jsonl"
        self.store: Path = (
            output if self.is_own_store else output.with_name(f"{output.name}.reviews.jsonl.gz")
        )
        """The reviews of a finished output, as the API sent them: an update needs them."""
        self.state: State = state
        """What is safe."""
        self._output = output
        self._state_path = output.with_name(f"{output.name}.state.json")
        self._fetched: State | None = None
        """What will be safe after the next sync; `None`: everything is."""
        self._failure: OSError | None = None
        self._file: BinaryIO | None = None
        self._offset = 0
        self._checked_owner = False
        self.is_finished: bool = False
        """Whether the output is made, and is as it was made."""

    def load(self, *, resume: bool, force: bool) -> bool:
        """Look at what an earlier run left. Return whether there is something to continue.

        Raises:
            InvalidArgumentError: what is there must not be overwritten, cannot be continued,
                belongs to another export, or has been changed.
        """
        try:
            saved = State.load(self._state_path)
        except InvalidArgumentError as error:
            if not force or error.field != "resume":
                raise
            saved = self.state
        self._check_foreign(is_known=saved is not None)
        actual = fingerprint(self._output) if self._output.is_file() else None
        if resume and saved is not None:
            saved.check_asked(self.state, self._state_path)
            self._check_files(saved, actual)
            self.state = saved
            self._checked_owner = not saved.owners
            return True
        if not force and (actual is not None or self.path.exists()):
            fault = "exists, but has no state to resume from" if resume else "already exists"
            ways = "" if resume else "resume or update its export, "
            raise InvalidArgumentError(
                f"{self._output} {fault}: {ways}use another output, or overwrite it with force",
                field="output",
            )
        self.state = evolve(self.state, replaces=actual)
        return False

    def _check_foreign(self, *, is_known: bool) -> None:
        """Refuse to overwrite files of somebody else that have the names of ours."""
        for path in {self.path, self.store} - {self._output}:
            if path.is_symlink() or (path.exists() and not (is_known and path.is_file())):
                raise InvalidArgumentError(
                    f"cannot be used: {path} does not belong to an export of it; move that file "
                    "away, or use another output",
                    field="output",
                )

    def _check_files(self, saved: State, actual: str | None) -> None:
        """Refuse to continue when a file is not as the state says."""
        size = self.path.stat().st_size if self.path.exists() else None
        fault = None
        if saved.output is not None and actual == saved.output:
            self.is_finished = True
        elif saved.output is not None and size is None:
            fault = (
                f"{self._output} is gone; put it back, or start again with force"
                if actual is None
                else f"{self._output} has been changed since it was exported; put the exported "
                "file back, use another output, or start again with force"
            )
        elif actual != saved.replaces:
            fault = (
                f"{self._output} has been changed since the export began; move it away or put "
                "it back, or start again with force"
            )
        elif (size or 0) < saved.offset:
            fault = (
                f"{self.path} has {size or 0} bytes, but its state records {saved.offset}; "
                "put the file back, or start again with force"
            )
        if fault is not None:
            raise InvalidArgumentError(f"is not possible: {fault}", field="resume")

    def begin_update(self) -> None:
        """Begin a journal of what has changed since the output was made."""
        self.close()
        self.is_finished = False
        self._file, self._offset = self._open(0), 0

    def append(self, page: ReviewPage) -> None:
        """Write the rows of a page, for `sync` to make them safe.

        Opens the journal first, if it is closed. A run that gets no page changes nothing.

        Raises:
            ExportError: a review cannot be written, or is of another store.
            OSError: the disk failed, now or at the last `sync`.
        """
        if self._failure is not None:
            raise self._failure
        rows, before = rows_of(page), self._fetched or self.state
        owners = self._add_owners(rows)
        lines = json_lines(rows)
        if self._file is None:
            # Save the state first. If a kill comes in between, the state of a new export has
            # offset 0, and a resumed run cuts whatever an old journal held.
            self.state.save(self._state_path)
            self._file = self._open(self.state.offset)
        self._file.write(lines)
        self._fetched = evolve(
            before,
            owners=owners,
            cursor=page.next_starting_after or before.cursor,
            written=before.written + len(rows),
            offset=before.offset + len(lines),
            has_invalid=before.has_invalid or bool(page.invalid),
        )

    def sync(self) -> bool:
        """Make every page safe that was appended. Return whether there was one, and it is safe.

        A disk that fails is told by the next `append` or `finish_fetching`.
        """
        if self._fetched is None or self._failure is not None:
            return False
        try:
            self.save()
        except OSError as error:
            self._failure = error
            return False
        return True

    def finish_fetching(self, gaps: Gaps) -> None:
        """Record that every page is in the journal."""
        self.save(fetched=True, cursor=None, gaps=gaps)

    def append_update(self, rows: Rows, *, has_invalid: bool) -> None:
        """Write the rows of a page of an update."""
        self._add_owners(rows)
        self.state = evolve(self.state, has_invalid=self.state.has_invalid or has_invalid)
        lines = json_lines(rows)
        assert self._file is not None
        self._file.write(lines)
        self._offset += len(lines)

    def finish_update(self, gaps: Gaps) -> None:
        """Make what has changed safe, to be merged with the output."""
        assert self._file is not None
        sync(self._file)
        self.save(
            update=True,
            offset=self._offset,
            replaces=self.state.output,
            output=None,
            gaps=self._all_gaps(gaps),
        )

    def finish_quiet_update(self, gaps: Gaps, finished_at: str) -> None:
        """Record that nothing has changed."""
        self.save(gaps=self._all_gaps(gaps), finished_at=finished_at)

    def _all_gaps(self, gaps: Gaps) -> Gaps:
        return tuple(dict.fromkeys((*self.state.gaps, *gaps)))

    def save(self, **changes: Any) -> None:
        """Change fields of the state, and make the pages safe that were appended before."""
        if self._failure is not None:
            raise self._failure
        fetched, self._fetched = self._fetched, None
        if fetched is not None:
            assert self._file is not None
            sync(self._file)
        state = evolve(fetched or self.state, **changes)
        state.save(self._state_path)
        self.state = state

    def _add_owners(self, rows: Rows) -> tuple[str, ...]:
        """Return the owners with those of a page; check the first page of a later run."""
        owners = {value_of(raw, "userId", str): None for raw in rows}
        of_page = {
            hashlib.sha256(owner.encode(errors="surrogatepass")).hexdigest()[:16]: None
            for owner in owners
            if owner is not None
        }
        known = (self._fetched or self.state).owners
        if of_page and known and not self._checked_owner and not of_page.keys() & set(known):
            raise ExportError(
                f"{self._output} belongs to another store than this API key: use that store's "
                "key, use another output, or start again with force"
            )
        self._checked_owner |= bool(of_page)
        return tuple(dict.fromkeys((*known, *of_page)))[:_MOST_OWNERS]

    def prepare(self) -> int | None:
        """Make the journal ready to be read to its end.

        Returns:
            Where the reviews of the output begin that is updated; `None`: it is made anew.

        Raises:
            EOFError, zlib.error: the stored reviews are damaged.
        """
        self.close()
        with self._open(self.state.offset) as file:
            if not self.state.update:
                return None
            open_store = open if self.is_own_store else gzip.open
            with open_store(self.store, "rb") as store:
                shutil.copyfileobj(store, file)
        return self.state.offset

    def _open(self, size: int) -> BinaryIO:
        """Open the journal and cut it back to a size."""
        file = open_to_append(self.path)
        try:
            file.truncate(size)
            sync_directory(self.path.parent)
        except BaseException:
            file.close()
            raise
        return file

    def close(self) -> None:
        """Close the journal. A later page opens it again."""
        if self._file is not None:
            with suppress(OSError):  # what is not on the disk yet is not in the state either
                self._file.close()
            self._file = None

    def remove(self) -> None:
        """Remove the journal: its reviews are in the output."""
        if self.path.exists():
            self.path.unlink()
