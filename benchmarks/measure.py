"""Runs of workers and servers, and what a table makes of their figures."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from attrs import define, field, frozen

_HERE = Path(__file__).parent


class MissingPeerError(Exception):
    """A package that a row needs is not installed; its text is the package's name."""


def work(measurement: str, *arguments: object) -> float:
    """The figure of one measurement in a fresh process.

    Raises:
        MissingPeerError: a package is missing.
    """
    command = [sys.executable, str(_HERE / "worker.py"), measurement, *map(str, arguments)]
    answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    if isinstance(answer, str):
        raise MissingPeerError(answer)
    return float(answer)


def import_time(module: str) -> float:
    """Seconds to import a module in a fresh interpreter: the quickest of three.

    Raises:
        MissingPeerError: there is no such module.
    """
    if find_spec(module) is None:
        raise MissingPeerError(module)
    clock = (
        "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
    )
    command = [sys.executable, "-c", clock.format(module)]
    # Installed packages have their bytecode; let a checkout keep its own, too.
    compiled = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
    return min(float(subprocess.check_output(command, env=compiled)) for _ in range(3))


@define
class Server:
    """A running server; how many requests it refused is known once it has ended."""

    origin: str
    refused: int = 0


@contextmanager
def serving(*options: object) -> Iterator[Server]:
    """A server in another process; see `server.py` for its options."""
    command = [sys.executable, str(_HERE / "server.py"), *map(str, options)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        server = Server(process.stdout.readline().strip())
        try:
            yield server
        finally:
            server.refused = int(process.communicate()[0])


def interleave(
    names: Iterable[str], runs: int, measure: Callable[[str], float], skipped: list[str]
) -> dict[str, list[float]]:
    """The figures of each, measured by turns so that a noisy moment meets all alike."""
    figures: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(runs):
        for name in list(figures):
            try:
                figures[name].append(measure(name))
            except MissingPeerError as error:
                del figures[name]
                skipped.append(f"{name} is left out: {error} is not installed")
    return figures


@frozen
class Row:
    """One line of a table: a figure for each run, and what is to be said besides."""

    name: str
    figures: list[float]
    remark: str = ""

    @property
    def summary(self) -> tuple[float, float, float]:
        """Median, minimum and maximum."""
        return statistics.median(self.figures), min(self.figures), max(self.figures)


@frozen
class Table:
    """What is printed and written: rows of the same unit."""

    title: str
    unit: str
    rows: list[Row]
    notes: list[str] = field(factory=list)

    def markdown(self) -> str:
        lines = [
            f"### {self.title}",
            "",
            f"| {self.unit} | median | minimum | maximum | |",
            "| --- | ---: | ---: | ---: | --- |",
        ]
        for row in self.rows:
            figures = " | ".join(_readable(figure) for figure in row.summary)
            lines.append(f"| {row.name} | {figures} | {row.remark} |")
        return "\n".join([*lines, *("\n" + note for note in self.notes), ""])


def over(figures: dict[str, list[float]], base: str, remark: Callable[[float], str]) -> list[Row]:
    """Each run over the run of `base` in the same round; the remark is made of the median."""
    return [
        Row(
            name,
            [one / floor for one, floor in zip(runs, figures[base], strict=True)],
            remark(statistics.median(runs)),
        )
        for name, runs in figures.items()
    ]


def _readable(figure: float) -> str:
    return (
        f"{figure:,.0f}"
        if abs(figure) >= 1000
        else f"{figure:.3g}"
        if figure < 1
        else f"{figure:.2f}"
    )
