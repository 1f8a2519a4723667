"""One file for several products, made of a file for each.

The files of the products are kept in the directory `<output>.products`: a later run continues or
updates them. The one file is made anew from them at the end of every run that has all of them.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
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
        fault = None
        if not self._lock.acquire():
            fault = "is being written by another export: wait until that has finished"
        elif self._output.exists() and not self._output.is_file():
            fault = "is not a file"
        elif not force and not may_exist and (self._output.exists() or self.directory.exists()):
            fault = "already exists: resume or update its export, or overwrite it with force"
        elif not force and self._output.exists() and not self._is_ours():
            fault = (
                "is not as this export left it: move it away, use another output, or overwrite it "
                "with force"
            )
        try:
            if fault is not None:
                raise InvalidArgumentError(f"{self._output} {fault}", field="output")
            yield
        finally:
            self._lock.release()

    def _is_ours(self) -> bool:
        try:
            known = json.loads(self._record.read_bytes())
            layout = known["format"], known["separator"]
            made = known["output"], known["replaced"]
        except (OSError, ValueError, TypeError, KeyError):
            return False
        expected = self._layout.format, self._layout.separator
        return layout == expected and fingerprint(self._output) in made

    def make(self, parts: Sequence[Path], *, has_invalid: bool) -> Generator[None, None, None]:
        """Write the file, some lines at a step. It appears at the end, whole.

        Args:
            parts: the files of the products, in the order in which they are to be written.
            has_invalid: whether a review may not be as documented.
        """

        def record(made: Path) -> None:
            # Both, as a kill may come before the file has its name.
            known = {
                "format": self._layout.format,
                "separator": self._layout.separator,
                "output": fingerprint(made),
                "replaced": fingerprint(self._output) if self._output.exists() else None,
            }
            with replacing(self._record) as file:
                file.write(json.dumps(known).encode())

        yield from write(_lines(parts), self._output, self._layout, record, has_invalid=has_invalid)


def _lines(parts: Sequence[Path]) -> Iterator[bytes]:
    for part in parts:
        with part.open("rb") as file:
            yield from file
