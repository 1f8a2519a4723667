"""Exports that are killed: a program without threads, so that it can fork.

`each`: for each call that matters to the disk, kills a new export right before it and right
after it, resumes it, and compares the file with the undisturbed one. `random`: kills one export
ten times, at random moments. It writes how often it killed, and exits with 1 where files differ.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mayar_reviews.export import export_reviews

from .shop import shop

CALLS = ("fsync", "replace", "unlink")


async def export(path: Path, format: Any, seed: int, page_size: int) -> None:
    async with shop(seed) as (_, client):
        await export_reviews(
            client, "kelas-web", path, format=format, page_size=page_size, resume=True
        )


def child(work: Callable[[], None]) -> int:
    """Fork, do the work there, and return the process's id."""
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return pid


def killed(pid: int) -> bool:
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return os.WTERMSIG(status) == signal.SIGKILL
    if os.waitstatus_to_exitcode(status):
        sys.exit("an export failed")
    return False


def kill_at(n: int) -> None:
    """Let this process kill itself at its n-th moment: there is one before and one after a call.

    Before a sync, a part of what was written is lost, as it is when the power fails.
    """
    moments = 0

    def wrap(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(target: Any, *args: Any) -> Any:
            if moment() and call is fsync:
                with suppress(OSError):  # a directory is not torn
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


def at_random(directory: Path, format: Any) -> None:
    chance = random.Random(7)

    def work(path: Path) -> Callable[[], None]:
        return lambda: asyncio.run(export(path, format, seed=400, page_size=1))

    start = time.monotonic()
    killed(child(work(directory / "whole")))
    takes = time.monotonic() - start
    path = directory / "out"
    kills = 0
    while kills < 10:
        pid = child(work(path))
        # So that ten of them end before the export does, and most get on with it.
        time.sleep(takes * chance.uniform(0.02, 0.12))
        os.kill(pid, signal.SIGKILL)
        if not killed(pid):
            sys.exit(f"the export was done after {kills} kills")
        kills += 1
    killed(child(work(path)))
    compare(path, directory / "whole")
    sys.stdout.write(str(kills))


def compare(path: Path, whole: Path) -> None:
    if path.read_bytes() != whole.read_bytes():
        sys.exit(f"{path} differs")
    if sorted(one.name for one in path.parent.glob("out*")) != ["out", "out.state.json"]:
        sys.exit(f"{path} has left something behind")


if __name__ == "__main__":
    {"each": each, "random": at_random}[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
