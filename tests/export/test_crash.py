"""What an export leaves on the disk when it is killed, and when the disk fails."""

from __future__ import annotations

import errno
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
from tests.support.export_shop import WaitingBudget, ids, newest_first, shop, state_of

posix = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs fork and /proc")


# --- the order of syncs ------------------------------------------------------------------------


class Calls:
    """The calls that matter to the disk, in order, each with the name and size of the file."""

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
        if path.name.endswith("mayar-reviews-lock"):
            return  # a lock holds no data
        size = 0 if path.is_dir() else path.stat().st_size
        name = "." if path.is_dir() else path.name
        if name.endswith("mayar-reviews-tmp"):
            name = name.removeprefix(".").replace("mayar-reviews-tmp", "tmp")
        self.made.append((call, name, size))

    def take(self) -> list[tuple[str, str, int]]:
        made, self.made = self.made, []
        return made


JOURNAL = "out.partial.jsonl"
SAVE = [("fsync", "out.state.json.tmp"), ("replace", "out.state.json.tmp"), ("fsync", ".")]


@posix
async def test_a_page_is_synced_before_the_state_that_counts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls(monkeypatch)
    pages: list[list[tuple[str, str, int]]] = []

    def on_progress(progress: ExportProgress) -> None:
        if progress.waiting is None:
            pages.append(calls.take())

    async with shop(rate_limit=WaitingBudget()) as (_, client):
        await export_reviews(
            client,
            "kelas-web",
            tmp_path / "out",
            on_progress=on_progress,
        )
    first, *rest = [[call[:2] for call in page] for page in pages]
    # Before the first page: a state, and the name of the journal in its directory.
    assert first == [*SAVE, ("fsync", "."), ("fsync", JOURNAL), *SAVE]
    assert rest == [[("fsync", JOURNAL), *SAVE]] * 2
    # When it is synced, the page is in the file, not in a buffer.
    sizes = [next(size for _, name, size in page if name == JOURNAL) for page in pages]
    lines = (tmp_path / "out").read_bytes().splitlines(keepends=True)
    assert sizes == [sum(map(len, lines[:n])) for n in (50, 99, 120)]


@posix
@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
async def test_the_journal_is_removed_after_the_output_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: Any
) -> None:
    """What is stored for an update comes first, then the state that knows the new output."""
    calls = Calls(monkeypatch)
    async with shop(3) as (_, client):
        await export_reviews(
            client,
            "kelas-web",
            tmp_path / "out",
            format=format,
            on_progress=lambda _: calls.made.clear(),
        )
    store = "out.reviews.jsonl.gz.tmp"
    assert [call[:2] for call in calls.made] == [
        ("fsync", "."),
        *([("fsync", store), ("replace", store), ("fsync", ".")] if format != "jsonl" else ()),
        ("fsync", "out.tmp"),
        *SAVE,
        ("replace", "out.tmp"),
        ("fsync", "."),
        ("unlink", JOURNAL),
    ]
    synced = next(size for call, name, size in calls.made if name == "out.tmp")
    assert synced == (tmp_path / "out").stat().st_size


# --- power cuts --------------------------------------------------------------------------------


class Disk:
    """A directory that forgets, when the power fails, what was not synced.

    `moments` has one directory for each moment at which the power could have failed: right after
    each call that matters to the disk, and whenever progress was told.
    """

    def __init__(self, directory: Path, patch: pytest.MonkeyPatch, *, names_first: bool) -> None:
        self.directory = directory
        self.moments: list[tuple[int, Path]] = []
        """How many reviews were told to be safe, and what is left."""
        self._names_first = names_first
        self._told = 0
        self._data: dict[int, bytes] = {}
        self._names: dict[str, int] = {}
        self._open: list[int] = []  # so that no number of a file is used twice
        fsync = os.fsync

        def record_fsync(descriptor: int) -> None:
            fsync(descriptor)
            if directory.samefile(f"/proc/self/fd/{descriptor}"):
                self._names = self._current_names()
            else:
                self._open.append(os.dup(descriptor))
                number = os.fstat(descriptor).st_ino
                self._data[number] = Path(f"/proc/self/fd/{descriptor}").read_bytes()
            self._pass()

        def then(call: Callable[..., Any]) -> Callable[..., Any]:
            def wrapped(*args: Any) -> None:
                call(*args)
                self._pass()

            return wrapped

        patch.setattr(os, "fsync", record_fsync)
        patch.setattr(os, "replace", then(os.replace))
        patch.setattr(os, "unlink", then(os.unlink))

    def _current_names(self) -> dict[str, int]:
        return {one.name: one.inode() for one in os.scandir(self.directory)}

    def _pass(self) -> None:
        left = self.directory.with_name(f"cut-{len(self.moments)}")
        left.mkdir()
        names = self._current_names() if self._names_first else self._names
        for name, number in names.items():
            (left / name).write_bytes(self._data.get(number, b""))
        self.moments.append((self._told, left))

    def on_progress(self, progress: ExportProgress) -> None:
        self._told = progress.written
        self._pass()

    def close(self) -> None:
        for descriptor in self._open:
            os.close(descriptor)


@posix
@pytest.mark.parametrize("names_first", [False, True])
@pytest.mark.parametrize("budget", [None, WaitingBudget()])
@pytest.mark.parametrize("format", ["jsonl", pytest.param("csv", marks=pytest.mark.slow)])
async def test_a_power_cut_loses_nothing_that_was_told(
    tmp_path: Path, format: Any, budget: Any, names_first: bool
) -> None:
    """Some file systems write names before data. Either way a resume makes the file whole."""
    directory = tmp_path / "disk"
    directory.mkdir()
    async with shop(30, rate_limit=budget) as (_, client):
        options: dict[str, Any] = {"format": format, "page_size": 10}
        with pytest.MonkeyPatch.context() as patch:
            disk = Disk(directory, patch, names_first=names_first)
            await export_reviews(
                client, "kelas-web", directory / "out", on_progress=disk.on_progress, **options
            )
        disk.close()
        whole = (directory / "out").read_bytes()
        assert {told for told, _ in disk.moments} == ({0, 10, 20, 30} if budget else {0, 10, 30})
        for told, left in disk.moments:
            report = await export_reviews(client, "kelas-web", left / "out", resume=True, **options)
            assert (report.files[0].resumed_from or 0) >= told
            assert (left / "out").read_bytes() == whole


# --- kills -----------------------------------------------------------------------------------


def kill(how: str, directory: Path, format: str) -> int:
    """How many times `export_victim` killed an export. Each then came out whole."""
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-m",
            "tests.support.export_victim",
            how,
            directory,
            format,
        ],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.slow
@posix
def test_killed_at_each_call(tmp_path: Path) -> None:
    """A CSV comes out the same, if killed before or after any call that matters to the disk."""
    # Four calls at the start, four for each of two pages, three to say that these are all, one
    # for the journal's name, three for what an update needs, seven for the output, one for the
    # lock.
    assert kill("each", tmp_path, "csv") == 2 * 27


@pytest.mark.slow
@posix
@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_an_update_killed_at_each_call(tmp_path: Path, format: str) -> None:
    """It leaves last night's file or tonight's, and the next update makes tonight's."""
    # Two for the journal, three to say that all is there, one for the journal's name, seven for
    # the output, one for the lock; three for what the next update needs.
    assert kill("update", tmp_path, format) == 2 * (14 if format == "jsonl" else 17)


@posix
@pytest.mark.slow
@pytest.mark.parametrize(
    ("format", "calls"), [("jsonl", 24), ("csv-spreadsheet", 27), ("parquet", 27)]
)
def test_killed_at_each_call_of_other_formats(tmp_path: Path, format: str, calls: int) -> None:
    """The same in the other formats."""
    assert kill("each", tmp_path, format) == 2 * calls


@posix
@pytest.mark.slow
@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
def test_killed_ten_times(tmp_path: Path, format: str) -> None:
    """Killed ten times at random moments, an export has the bytes of one that was not killed."""
    assert kill("random", tmp_path, format) == 10


# --- the disk --------------------------------------------------------------------------------


def failing(call: Callable[..., Any], n: int, number: int) -> Callable[..., Any]:
    """The call, but the n-th one fails."""
    count = 0

    def wrapped(*args: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        if count == n:
            raise OSError(number, os.strerror(number))
        return call(*args, **options)

    return wrapped


@pytest.mark.parametrize(
    "format",
    ["jsonl", *(pytest.param(one, marks=pytest.mark.slow) for one in ("csv", "parquet"))],
)
async def test_a_disk_that_is_full_at_any_sync(tmp_path: Path, format: Any) -> None:
    """The error says so, the state is true, and a resume makes the file whole."""
    async with shop(rate_limit=WaitingBudget()) as (_, client):
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
            safe = told[-1].written
            assert failure.written == safe
            if safe:
                assert state_of(path)["written"] >= safe
            await export_reviews(client, "kelas-web", path, format=format, resume=True)
            assert path.read_bytes() == whole
    # Three before the first page, three for each page. Two to say that all are there, one for
    # the journal's name, four for the output. Two for what an update needs.
    assert failures == 3 + 9 + 2 + 1 + 4 + (0 if format == "jsonl" else 2)


async def test_a_disk_that_is_full_within_a_page(tmp_path: Path) -> None:
    """The part that was written is cut off by a resume."""
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    async with shop(rate_limit=WaitingBudget()) as (_, client):
        await export_reviews(client, "kelas-web", tmp_path / "whole")
        size = (tmp_path / "whole").stat().st_size
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        # The kernel itself refuses, in the middle of the last page.
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1000, limits[1]))
        try:
            with pytest.raises(ExportError, match="File too large") as caught:
                await export_reviews(client, "kelas-web", tmp_path / "out")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, before)
        assert caught.value.written == 99
        state = state_of(tmp_path / "out")
        assert state["written"] == 99
        assert (tmp_path / JOURNAL).stat().st_size > state["offset"]
        await export_reviews(client, "kelas-web", tmp_path / "out", resume=True)
    assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()


async def test_a_directory_that_is_removed_meanwhile(tmp_path: Path) -> None:
    """The export stops at once. When the directory is back, it starts again."""
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


async def test_a_directory_without_permission_is_refused_before_any_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def denied(**_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", denied)
    async with shop() as (fake, client):
        for products in ("kelas-web", ["kelas-web"]):
            with pytest.raises(InvalidArgumentError, match="Permission denied"):
                await export_reviews(client, products, tmp_path / "out")
        assert fake.requests == []


async def test_an_output_of_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    """A directory for one product, or a file for many, before any request."""
    (tmp_path / "file").write_text("precious")
    async with shop() as (fake, client):
        with pytest.raises(InvalidArgumentError, match="is a directory"):
            await export_reviews(client, "kelas-web", tmp_path, force=True)
        with pytest.raises(InvalidArgumentError, match="File exists"):
            await export_reviews(client, ["kelas-web"], tmp_path / "file", force=True)
        assert fake.requests == []
    assert (tmp_path / "file").read_text() == "precious"


async def test_a_file_that_cannot_be_written_does_not_stop_the_others(tmp_path: Path) -> None:
    async with shop() as (fake, client):
        fake.seed("kelas-dua", 3)
        (tmp_path / ".kelas-web.jsonl.state.json.mayar-reviews-tmp").mkdir()
        report = await export_reviews(client, ["kelas-web", "kelas-dua"], tmp_path)
    assert [one.error is None for one in report.files] == [False, True]
    assert report.files[0].error is not None
    assert isinstance(report.files[0].error.__cause__, IsADirectoryError)
    assert len(ids(tmp_path / "kelas-dua.jsonl")) == 3
