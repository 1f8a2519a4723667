"""Files that survive a crash: what was synced is there, whole, when the power is back.

New files can be read by their owner only, as reviews name customers. No link is followed.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter, RawIOBase
from pathlib import Path
from typing import Any, BinaryIO

_log = logging.getLogger("mayar_reviews")

_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
# What file systems answer, such as some network mounts, that cannot lock or sync.
_UNABLE = {
    getattr(errno, name)
    for name in ("EINVAL", "ENOLCK", "ENOSYS", "ENOTSUP", "EOPNOTSUPP")
    if hasattr(errno, name)
}


class Lock:
    """Lets one process at a time write one output. The system releases it when a process dies.

    Args:
        path: the output. The lock is a hidden file beside it, so that it meets no other file.
    """

    def __init__(self, path: Path) -> None:
        self._path = _hidden(path, "lock")
        self._file: BinaryIO | None = None

    def acquire(self) -> bool:
        """Acquire the lock if it is free. Return whether this object has it now."""
        try:
            import fcntl  # noqa: PLC0415
        except ImportError:
            return True  # Windows has no such locks
        while self._file is None:
            file = _open(self._path, os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(file.fileno()), self._path.stat()):
                    self._file = file
            except BlockingIOError:
                file.close()
                return False
            except FileNotFoundError:
                pass  # its last owner has just removed the file: open a new one
            except OSError as error:
                if error.errno not in _UNABLE:
                    file.close()
                    raise
                _log.warning(
                    "the file system of %s has no locks: run only one export there at a time",
                    self._path.parent,
                )
                self._file = file
            if self._file is None:
                file.close()
        return True

    def release(self) -> None:
        """Release the lock, if this object has it."""
        if self._file is not None:
            with suppress(OSError):
                self._path.unlink()
            self._file.close()
            self._file = None


@contextmanager
def replacing(path: Path, before: Callable[[], object] = lambda: None) -> Iterator[BinaryIO]:
    """Write a file that appears under its name whole and synced, or not at all.

    Args:
        path: the file. If it is there, its permissions are kept.
        before: called when the new file is synced and does not have its name yet.
    """
    # The name is always the same, so what a kill leaves behind is overwritten by the next run.
    temporary = _hidden(path, "tmp")
    try:
        with _create(temporary) as file:
            if path.exists() and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
            yield file
            sync(file)
        before()
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_directory(path.parent)


def open_to_append(path: Path) -> BinaryIO:
    """Open a file at its end. It is made if it is not there."""
    return _open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)


class Hashed(RawIOBase):
    """Writes to a file and hashes on the way: hashing a large one later would block the loop."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._digest = hashlib.sha256()
        self._size = 0

    def writable(self) -> bool:
        """Return that bytes can be written: pyarrow asks."""
        return True

    def write(self, data: Any) -> int:
        """Write bytes."""
        self._digest.update(data)
        written = self._file.write(data)
        self._size += written
        return written

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._size

    def fingerprint(self) -> str:
        """Return size and hash of what was written."""
        return _fingerprint(self._size, self._digest.hexdigest())


def fingerprint(path: Path) -> str | None:
    """Return size and hash of a file; `None` if it is not there."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return _fingerprint(file.tell(), digest)
    except FileNotFoundError:
        return None


def _fingerprint(size: int, digest: str) -> str:
    return f"{size} bytes, sha256 {digest}"


def sync(file: BinaryIO) -> None:
    """Bring what was written to the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Bring the names in a directory to the disk, if the file system can do that."""
    if os.name == "nt":
        return  # Windows cannot open a directory
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNABLE:
            raise
        _log.warning(
            "the file system of %s cannot sync a directory: files may be missing after a power cut",
            path,
        )
    finally:
        os.close(descriptor)


def _hidden(path: Path, kind: str) -> Path:
    return path.with_name(f".{path.name}.mayar-reviews-{kind}")


def _create(path: Path) -> BufferedWriter:
    try:
        return _open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        path.unlink()
        return _open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)


def _open(path: Path, flags: int) -> BufferedWriter:
    descriptor = os.open(path, flags | _NO_LINK, 0o600)
    return open(descriptor, "ab" if flags & os.O_APPEND else "wb")  # noqa: PTH123
