"""What an export leaves on the disk when it is killed, and when the disk fails it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mayar_reviews import ExportError, InvalidArgumentError
from mayar_reviews.export import ExportProgress, export_reviews

from .shop import ids, newest_first, shop

posix = pytest.mark.skipif(os.name != "posix", reason="forks, and asks /proc for names")


# --- the order of things ---------------------------------------------------------------------


class Calls:
    """The calls that matter to the disk, in their order, each with the file's name and size."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[tuple[str, str, int]] = []
        fsync, replace, unlink = os.fsync, os.replace, os.unlink

        def record_fsync(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            self._record("fsync", path)
            fsync(descriptor)

        def record_replace(source: Path, target: Path) -> None:
            self._record("replace", Path(source))
            replace(source, target)

        def record_unlink(path: Path) -> None:
            self._record("unlink", Path(path))
            unlink(path)

        monkeypatch.setattr(os, "fsync", record_fsync)
        monkeypatch.setattr(os, "replace", record_replace)
        monkeypatch.setattr(os, "unlink", record_unlink)

    def _record(self, call: str, path: Path) -> None:
        if path.suffix == ".lock":
            return  # it guards the files, and is none of them
        size = 0 if path.is_dir() else path.stat().st_size
        self.made.append((call, "." if path.is_dir() else path.name, size))

    def take(self) -> list[tuple[str, str, int]]:
        made, self.made = self.made, []
        return made


SAVE = [("fsync", "out.state.json.tmp"), ("replace", "out.state.json.tmp"), ("fsync", ".")]


@posix
async def test_the_order_of_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is written and synced whole before the state that counts it replaces the old one."""
    calls = Calls(monkeypatch)
    pages: list[list[tuple[str, str, int]]] = []
    async with shop() as (_, client):
        await export_reviews(
            client,
            "kelas-web",
            tmp_path / "out",
            on_progress=lambda _: pages.append(calls.take()),
        )
    first, *rest = [[call[:2] for call in page] for page in pages]
    # Before the first page: a state, and the journal's name in its directory.
    assert first == [*SAVE, ("fsync", "."), ("fsync", "out"), *SAVE]
    assert rest == [[("fsync", "out"), *SAVE]] * 2
    assert calls.take() == []
    # At its fsync, the page is in the file and not in a buffer.
    sizes = [next(size for _, name, size in page if name == "out") for page in pages]
    lines = (tmp_path / "out").read_bytes().splitlines(keepends=True)
    assert sizes == [sum(map(len, lines[:n])) for n in (50, 100, 120)]


@posix
@pytest.mark.parametrize("format", ["csv", "parquet"])
async def test_the_order_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: Any
) -> None:
    """The journal goes when the output is there for good, and not before."""
    calls = Calls(monkeypatch)
    async with shop(3) as (_, client):
        await export_reviews(
            client,
            "kelas-web",
            tmp_path / "out",
            format=format,
            on_progress=lambda _: calls.made.clear(),
        )
    assert [call[:2] for call in calls.made] == [
        ("fsync", "out.tmp"),
        ("replace", "out.tmp"),
        ("fsync", "."),
        ("unlink", "out.partial.jsonl"),
    ]
    assert calls.made[0][2] == (tmp_path / "out").stat().st_size


# --- kills -----------------------------------------------------------------------------------


def kill(how: str, directory: Path, format: str) -> int:
    """How many times the program beside this one has killed an export that then came out whole."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.export.victim", how, directory, format],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@posix
def test_killed_at_each_call(tmp_path: Path) -> None:
    """Killed before and after each call that matters to the disk, a CSV comes out the same."""
    # Four calls to begin, four for each of two pages, four to end, and the lock's end; both
    # sides of each.
    assert kill("each", tmp_path, "csv") == 2 * 17


@posix
@pytest.mark.slow
@pytest.mark.parametrize(
    ("format", "calls"), [("jsonl", 13), ("csv-spreadsheet", 17), ("parquet", 17)]
)
def test_killed_at_each_call_of_other_formats(tmp_path: Path, format: str, calls: int) -> None:
    """The same for the other formats."""
    assert kill("each", tmp_path, format) == 2 * calls


@posix
@pytest.mark.slow
@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
def test_killed_ten_times(tmp_path: Path, format: str) -> None:
    """One export, killed ten times at random moments, ends with an undisturbed one's bytes."""
    assert kill("random", tmp_path, format) == 10


# --- the disk --------------------------------------------------------------------------------


def failing(call: Callable[..., Any], n: int, number: int) -> Callable[..., Any]:
    """The call, but for its n-th time, which fails."""
    count = 0

    def wrapped(*args: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        if count == n:
            raise OSError(number, os.strerror(number))
        return call(*args, **options)

    return wrapped


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
async def test_disk_full_at_every_sync(tmp_path: Path, format: Any) -> None:
    """Whichever sync fails, the error is clear, the state true, and a resume makes it whole."""
    async with shop() as (_, client):
        await export_reviews(client, "kelas-web", tmp_path / "whole", format=format)
        whole = (tmp_path / "whole").read_bytes()
        n = failures = 0
        while True:
            n += 1
            path = tmp_path / str(n) / "out"
            path.parent.mkdir()
            told: list[ExportProgress] = []
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(os, "fsync", failing(os.fsync, n, errno.ENOSPC))
                try:
                    await export_reviews(
                        client, "kelas-web", path, format=format, on_progress=told.append
                    )
                    break
                except ExportError as error:
                    failure = error
            failures += 1
            assert isinstance(failure.__cause__, OSError)
            assert "No space left on device" in str(failure)
            safe = told[-1].written if told else 0
            assert failure.written == safe
            if safe:
                state = json.loads((path.parent / "out.state.json").read_text())
                assert state["written"] >= safe
            await export_reviews(client, "kelas-web", path, format=format, resume=True)
            assert path.read_bytes() == whole
    # Three before the first page, three for each page, two at the end.
    assert failures == 3 + 9 + (0 if format == "jsonl" else 2)


async def test_disk_full_within_a_page(tmp_path: Path) -> None:
    """A page that fits only in part is a torn tail, which a resume cuts back."""
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    async with shop() as (_, client):
        await export_reviews(client, "kelas-web", tmp_path / "whole")
        size = (tmp_path / "whole").stat().st_size
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        # The kernel's own refusal, in the middle of the last page.
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1000, limits[1]))
        try:
            with pytest.raises(ExportError, match="File too large") as caught:
                await export_reviews(client, "kelas-web", tmp_path / "out")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, before)
        assert caught.value.written == 100
        state = json.loads((tmp_path / "out.state.json").read_text())
        assert state["written"] == 100
        assert (tmp_path / "out").stat().st_size > state["offset"]
        await export_reviews(client, "kelas-web", tmp_path / "out", resume=True)
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()


async def test_directory_removed(tmp_path: Path) -> None:
    """Without its directory the export stops at once, and begins anew when there is one."""
    directory = tmp_path / "gone"
    directory.mkdir()
    async with shop() as (fake, client):

        def on_progress(progress: ExportProgress) -> None:
            if progress.pages == 1:
                shutil.rmtree(directory)

        with pytest.raises(ExportError) as caught:
            await export_reviews(client, "kelas-web", directory / "out", on_progress=on_progress)
        assert isinstance(caught.value.__cause__, FileNotFoundError)
        assert caught.value.written == 50
        with pytest.raises(InvalidArgumentError, match="No such file or directory"):
            await export_reviews(client, "kelas-web", directory / "out", resume=True)
        directory.mkdir()
        await export_reviews(client, "kelas-web", directory / "out", resume=True)
        assert ids(directory / "out") == newest_first(fake)


async def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that nothing can be written to is refused before any request."""

    def denied(**_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", denied)
    async with shop() as (fake, client):
        for products in ("kelas-web", ["kelas-web"]):
            with pytest.raises(InvalidArgumentError, match="Permission denied"):
                await export_reviews(client, products, tmp_path / "out")
        assert fake.requests == []


async def test_output_of_the_wrong_kind(tmp_path: Path) -> None:
    """A directory for one product, or a file for many, is refused before any request."""
    (tmp_path / "file").write_text("precious")
    async with shop() as (fake, client):
        with pytest.raises(InvalidArgumentError, match="is a directory"):
            await export_reviews(client, "kelas-web", tmp_path, force=True)
        with pytest.raises(InvalidArgumentError, match="File exists"):
            await export_reviews(client, ["kelas-web"], tmp_path / "file", force=True)
        assert fake.requests == []
    assert (tmp_path / "file").read_text() == "precious"


async def test_a_disk_fault_of_one_of_many(tmp_path: Path) -> None:
    """One file that cannot be written does not stop the others."""
    async with shop() as (fake, client):
        fake.seed("kelas-dua", 3)
        (tmp_path / "kelas-web.jsonl.state.json.tmp").mkdir()
        report = await export_reviews(client, ["kelas-web", "kelas-dua"], tmp_path)
    assert [one.error is None for one in report.files] == [False, True]
    assert report.files[0].error is not None
    assert isinstance(report.files[0].error.__cause__, IsADirectoryError)
    assert len(ids(tmp_path / "kelas-dua.jsonl")) == 3
