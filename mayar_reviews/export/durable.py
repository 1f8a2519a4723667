"""Files that survive a crash: what has been synced is there, whole, after the power is back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


class Lock:
    """The right to write one output, for one process at a time; a killed one gives it back."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def take(self) -> bool:
        """Take it, if nobody has it."""
        try:
            import fcntl  # noqa: PLC0415
        except ImportError:
            return True  # Windows has none
        while self._file is None:
            file = self._path.open("ab")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(file.fileno()), self._path.stat()):
                    self._file = file
            except BlockingIOError:
                file.close()
                return False
            except FileNotFoundError:
                pass  # whoever had it has just removed it: it is another file's name by now
            if self._file is None:
                file.close()
        return True

    def give_back(self) -> None:
        """Let others have it."""
        if self._file is not None:
            with suppress(OSError):
                self._path.unlink()
            self._file.close()
            self._file = None


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file that appears under its name whole and durable, or not at all."""
    # Always the same name: what a kill leaves behind is overwritten, and never piles up.
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            sync(file)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_directory(path.parent)


def sync(file: BinaryIO) -> None:
    """Bring what was written to the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Bring the names in a directory to the disk."""
    if os.name == "nt":
        return  # a directory cannot be opened there
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
