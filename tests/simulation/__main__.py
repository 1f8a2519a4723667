"""Search for a broken law, seed by seed.

::

python -m tests.simulation --seeds 50000       # search
python -m tests.simulation --seed 2287 --trace # tell the story of one seed
python -m tests.simulation --plant all         # prove that it finds what is planted
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import TypeAlias

_AT_ONCE = 250
"""Seeds that a worker runs before it reports."""
_SECONDS = 60.0
"""How long a planted fault may stay hidden."""
_SHOWN = 3
"""Broken laws that are shrunk and shown."""
_NAMED = 20
"""Seeds that are named."""

Found: TypeAlias = list[tuple[int, list[str]]]


def main() -> int:
    """Do what the command line says and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000, help="how many to try")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, help="run this one only")
    parser.add_argument("--trace", action="store_true", help="with --seed: tell its story")
    parser.add_argument("--plant", help="a fault to plant and to find, or `all`")
    options = parser.parse_args()
    if options.plant == "all":
        return _find_all(options.workers)
    if options.plant is not None:
        with tempfile.TemporaryDirectory() as folder:
            return _find(options.plant, Path(folder), options.workers)
    if options.seed is not None:
        return _tell(options.seed, trace=options.trace)
    started = time.monotonic()
    broken: dict[str, tuple[int, str]] = {}
    failed: list[int] = []
    for found in _search(range(options.first, options.first + options.seeds), options.workers):
        for seed, laws in found:
            failed.append(seed)
            for law in laws:
                broken.setdefault(law.partition(":")[0], (seed, law))
    took = time.monotonic() - started
    print(f"{options.seeds:,} seeds in {took:.1f} s: {len(failed)} break a law")
    if failed:
        print("the first of them:", *failed[:_NAMED])
    for name, (seed, law) in list(broken.items())[:_SHOWN]:
        _show(seed, name, law)
    return 1 if failed else 0


def _prepare() -> None:
    from . import run  # noqa: F401, PLC0415  a planted package comes first

    gc.freeze()  # what was imported is never garbage
    gc.set_threshold(20_000, 5, 50)
    logging.getLogger("mayar_reviews").setLevel(logging.WARNING)  # as most seeds want it
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def _run(seeds: range) -> Found:
    from .plan import draw_plan  # noqa: PLC0415  as above
    from .run import simulate  # noqa: PLC0415

    return [(seed, laws) for seed in seeds if (laws := simulate(draw_plan(seed)))]


def _search(seeds: range, workers: int) -> Iterator[Found]:
    """Yield what is broken, part by part."""
    parts = [seeds[at : at + _AT_ONCE] for at in range(0, len(seeds), _AT_ONCE)]
    parts.reverse()
    with ProcessPoolExecutor(workers, initializer=_prepare) as pool:
        running: set[Future[Found]] = set()
        try:
            while parts or running:
                while parts and len(running) < 2 * workers:
                    running.add(pool.submit(_run, parts.pop()))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (part.result() for part in done)
        finally:
            pool.shutdown(cancel_futures=True)


def _tell(seed: int, *, trace: bool) -> int:
    from .plan import draw_plan  # noqa: PLC0415
    from .run import simulate  # noqa: PLC0415

    story: list[str] = []
    laws = simulate(draw_plan(seed), story)
    print(*(story if trace else ()), *laws, sep="\n")
    return 1 if laws else 0


def _show(seed: int, name: str, law: str) -> None:
    from .plan import draw_plan  # noqa: PLC0415
    from .shrink import as_row, shrink  # noqa: PLC0415

    print(f"\n{law}\n  again:    python -m tests.simulation --seed {seed} --trace")
    print(f"  smallest: {as_row(shrink(draw_plan(seed), name))}")


def _find(name: str, folder: Path, workers: int) -> int:
    """Plant a fault and search until it is found or the time is over."""
    from .plants import PLANTS, plant  # noqa: PLC0415

    plant(name, folder)
    sys.path.insert(0, str(folder))
    law, started, tried = PLANTS[name].law, time.monotonic(), 0
    for found in _search(range(10_000_000), workers):
        tried += _AT_ONCE
        took = time.monotonic() - started
        for seed, laws in found:
            if broken := next((one for one in laws if one.startswith(law)), None):
                print(f"{name}: found in {took:.1f} s by seed {seed}: {broken}")
                return 0
        if took > _SECONDS:
            break
    print(f"{name}: NOT FOUND in {tried} seeds and {_SECONDS:g} s")
    return 1


def _find_all(workers: int) -> int:
    from .plants import PLANTS  # noqa: PLC0415

    command = [sys.executable, "-m", "tests.simulation", "--workers", str(workers), "--plant"]
    return max(subprocess.run([*command, name], check=False).returncode for name in PLANTS)


if __name__ == "__main__":
    sys.exit(main())
