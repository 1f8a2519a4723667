"""One file for several products, made of a file for each.

The files of the products are kept in the directory `<output>.products`: a later run continues or
updates them. The one file is made anew from them at the end of every run that has all of them.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mayar_reviews import InvalidArgumentError

from .durable import Lock, fingerprint, replacing
from .formats import Layout, write


class Combined:
    """The one file.

    Args:
        output: the file.
        layout: how it is written.
    """

    def __init__(self, output: Path, layout: Layout) -> None:
        self.directory: Path = output.with_name(f"{output.name}.products")
        """Where the files of the products are."""
        self._output = output
        self._layout = layout
        self._record = self.directory / "combined.json"
        self._lock = Lock(output)

    @contextmanager
    def locked(self, *, may_exist: bool, force: bool) -> Iterator[None]:
        """Lock the file, after looking whether it may be written.

        Args:
            may_exist: whether the export is to be continued or updated.
            force: overwrite the file whatever it is.

        Raises:
            InvalidArgumentError: it is being written, or is not ours to overwrite.
        """
        try:
            fault = self._fault(may_exist=may_exist, force=force)
            if fault is not None:
                raise InvalidArgumentError(f"{self._output} {fault}", field="output")
            yield
        finally:
            self._lock.release()

    def _fault(self, *, may_exist: bool, force: bool) -> str | None:
        fault = None
        try:
            is_locked = self._lock.acquire()
            exists, has_parts = self._output.exists(), self.directory.exists()
            if not is_locked:
                fault = "is being written by another export: wait until that has finished"
            elif exists and not self._output.is_file():
                fault = "is not a file"
            elif (exists or has_parts) and not (may_exist or force):
                fault = "already exists: resume or update its export, or overwrite it with force"
            elif (exists or has_parts) and not (force or self._is_ours(exists=exists)):
                fault = (
                    "is not as this export left it: move it away, use another output, or "
                    "overwrite it with force"
                )
        except OSError as error:
            fault = f"cannot be written: {error.strerror}"
        return fault

    def _is_ours(self, *, exists: bool) -> bool:
        """Whether the record and the file are what an earlier run left."""
        try:
            known = json.loads(self._record.read_bytes())
            layout = known["format"], known["separator"]
            made = known["output"], known["replaced"]
        except FileNotFoundError:
            return not exists  # a run that was stopped before it had all products
        except (ValueError, TypeError, KeyError, RecursionError):
            return False
        expected = self._layout.format, self._layout.separator
        return layout == expected and (not exists or fingerprint(self._output) in made)

    def make(self, parts: Mapping[Path, int], *, has_invalid: bool) -> Generator[None, None, None]:
        """Write the file, some lines at a step. It appears at the end, whole.

        Args:
            parts: the files of the products in the order in which they are to be written, and how
                many reviews each has.
            has_invalid: whether a review may not be as documented.

        Raises:
            EOFError: a part lacks reviews.
        """

        def record(made: str) -> None:
            # Both, as a kill may come before the file has its name.
            known = {
                "format": self._layout.format,
                "separator": self._layout.separator,
                "output": made,
                "replaced": fingerprint(self._output) if self._output.exists() else None,
            }
            with replacing(self._record) as file:
                file.write(json.dumps(known).encode())

        yield from write(_lines(parts), self._output, self._layout, record, has_invalid=has_invalid)


def _lines(parts: Mapping[Path, int]) -> Iterator[bytes]:
    for part, count in parts.items():
        with part.open("rb") as file:
            for line in file:
                yield line
                count -= 1  # noqa: PLW2901
        if count:
            raise EOFError
