"""Locks, and files that appear whole."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from mayar_reviews.export import export_reviews
from mayar_reviews.export.durable import Lock, replacing
from tests.support.export_shop import FINISHED, ids, left_of, shop

pytest.importorskip("fcntl", reason="Windows has no such locks")


def test_one_lock_at_a_time_is_acquired(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    assert first.acquire()
    assert first.acquire()  # it has it already
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()


def test_a_released_lock_leaves_no_file(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock")
    assert lock.acquire()
    lock.release()
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_a_dead_process_left_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / ".lock.mayar-reviews-lock").touch()
    lock = Lock(tmp_path / "lock")
    assert lock.acquire()
    lock.release()


def test_a_file_is_replaced_at_the_end_only(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_fails_keeps_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"new")
            raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("link", ["tmp", "lock"])
def test_no_link_is_followed(tmp_path: Path, link: str) -> None:
    """Somebody who may write to the directory must not choose what is overwritten."""
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / f".file.mayar-reviews-{link}").symlink_to(tmp_path / "precious")
    if link == "lock":
        with pytest.raises(OSError, match="symbolic"):
            Lock(tmp_path / "file").acquire()
    else:
        with replacing(tmp_path / "file") as file:
            file.write(b"new")
    assert (tmp_path / "precious").read_bytes() == b"precious"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL])
async def test_a_file_system_that_cannot_lock_or_sync_directories_is_used_all_the_same(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
) -> None:
    """As some network mounts. The log says what is lost."""
    fsync = os.fsync

    def no_lock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    def no_directory(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr("fcntl.flock", no_lock)
    monkeypatch.setattr(os, "fsync", no_directory)
    async with shop(3) as (_, client):
        await export_reviews(client, "kelas-web", tmp_path / "out")
    assert len(ids(tmp_path / "out")) == 3
    assert left_of(tmp_path / "out") == FINISHED
    assert "has no locks" in caplog.text
    assert "cannot sync a directory" in caplog.text


def test_another_failure_of_a_lock_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr("fcntl.flock", fail)
    with pytest.raises(OSError, match="broken"):
        Lock(tmp_path / "lock").acquire()
