"""A program that kills exports. It has no threads, so it can fork.

`each`: for each call that matters to the disk, kill a new export right before and right after the
call, resume it, and compare the file with one that was never interrupted. `random`: kill one
export ten times, at random moments. The program prints how often it killed. It exits with 1 if
files differ.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mayar_reviews.export import export_reviews
from mayar_reviews.testing import FakeMayar

from .export_shop import FINISHED, KEY, STORE, WaitingBudget, left_of, shop

CALLS = ("fsync", "replace", "unlink")


# A state belongs to one origin, so all servers have one port.
with socket.create_server(("127.0.0.1", 0)) as free:
    PORT = free.getsockname()[1]


async def export(
    path: Path, format: Any, seed: int, page_size: int, *, sync_every: int = 1, **options: Any
) -> None:
    budget = WaitingBudget(sync_every)
    async with shop(seed, mayar=FakeMayar(KEY, port=PORT), rate_limit=budget) as (_, client):
        await export_reviews(
            client,
            "kelas-web",
            path,
            format=format,
            page_size=page_size,
            **({"resume": True} | options),
        )


def child(work: Callable[[], None]) -> int:
    """Fork, do the work there, and return the process's id."""
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return pid


def killed(pid: int) -> bool:
    return ended(pid)[0]


def ended(pid: int) -> tuple[bool, float]:
    """Wait for the end of a process: whether it was killed, and how much CPU time it took."""
    _, status, usage = os.wait4(pid, 0)
    took = usage.ru_utime + usage.ru_stime
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) in (signal.SIGKILL, signal.SIGPROF)
        return True, took
    if os.waitstatus_to_exitcode(status):
        sys.exit("an export failed")
    return False, took


def kill_at(n: int) -> None:
    """Make this process kill itself at its n-th moment, right before or right after a call.

    Before a sync, part of what was written is lost, as when the power fails.
    """
    moments = 0

    def wrap(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(target: Any, *args: Any) -> Any:
            if moment() and call is fsync:
                with suppress(OSError):  # a directory cannot be cut
                    os.ftruncate(target, os.fstat(target).st_size - 100)
            if moments == n:
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(target, *args)
            if moment():
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return wrapped

    def moment() -> bool:
        nonlocal moments
        moments += 1
        return moments == n

    fsync = os.fsync

    for name in CALLS:
        setattr(os, name, wrap(getattr(os, name)))


def each(directory: Path, format: Any) -> None:
    def run(path: Path, n: int = 0) -> bool:
        def work() -> None:
            if n:
                kill_at(n)
            asyncio.run(export(path, format, seed=6, page_size=4))

        return killed(child(work))

    whole = directory / "whole"
    run(whole)
    n = 1
    while True:
        path = directory / str(n) / "out"
        path.parent.mkdir()
        if not run(path, n):
            break
        run(path)
        compare(path, whole)
        shutil.rmtree(path.parent)
        n += 1
    sys.stdout.write(str(n - 1))


def update(directory: Path, format: Any) -> None:
    """Export six reviews, make three more, and kill the update that brings them."""

    (directory / "old").mkdir()

    def run(path: Path, *, seed: int = 9, n: int = 0) -> bool:
        def work() -> None:
            if n:
                kill_at(n)
            asyncio.run(export(path, format, seed=seed, page_size=4, update=True))

        return killed(child(work))

    run(directory / "whole")
    run(directory / "old" / "out", seed=6)
    old = (directory / "old" / "out").read_bytes()
    n = 1
    while True:
        path = directory / str(n) / "out"
        shutil.copytree(directory / "old", path.parent)
        was_killed = run(path, n=n)
        if path.read_bytes() not in (old, (directory / "whole").read_bytes()):
            sys.exit(f"{path} is neither last night's nor tonight's")
        if not was_killed:
            break
        run(path)
        compare(path, directory / "whole")
        shutil.rmtree(path.parent)
        n += 1
    sys.stdout.write(str(n - 1))


def at_random(directory: Path, format: Any) -> None:
    chance = random.Random(7)

    def run(path: Path, kill_after: float = 0.0) -> tuple[bool, float]:
        def work() -> None:
            # A timer of CPU time, so that a busy machine changes nothing. SIGPROF ends a process
            # as SIGKILL does. A timer of 0 is off.
            signal.setitimer(signal.ITIMER_PROF, kill_after)
            asyncio.run(export(path, format, seed=400, page_size=1, sync_every=5))

        return ended(child(work))

    _, takes = run(directory / "whole")
    path = directory / "killed" / "out"
    path.parent.mkdir()
    for kills in range(10):
        # Short enough for ten kills before the end, long enough for most runs to make progress.
        was_killed, _ = run(path, takes * chance.uniform(0.02, 0.12))
        if not was_killed:
            sys.exit(f"the export was finished after {kills} kills")
    run(path)
    compare(path, directory / "whole")
    sys.stdout.write("10")


def compare(path: Path, whole: Path) -> None:
    if path.read_bytes() != whole.read_bytes():
        sys.exit(f"{path} differs")
    if set(left_of(path)) - {*FINISHED, STORE}:
        sys.exit(f"{path} has left something behind")


if __name__ == "__main__":
    {"each": each, "random": at_random, "update": update}[sys.argv[1]](
        Path(sys.argv[2]), sys.argv[3]
    )
