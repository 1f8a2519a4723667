"""The tables: what is measured, how often, and over what."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from attrs import evolve, frozen
from measure import Row, Table, import_time, interleave, over, serving, work

_REVIEWS_A_PAGE = 50
_CLIENTS = {
    "aiohttp + orjson, dictionaries": "raw",
    "**mayar_reviews**": "mayar_reviews",
    "aiohttp + tenacity, dictionaries": "aiohttp_tenacity",
    "aiohttp + pydantic": "aiohttp_pydantic",
    "httpx + pydantic": "httpx_pydantic",
    "openai's (Stainless) async paginator, typed": "stainless",
    "stripe's auto_paging_iter": "stripe",
}
_FORMATS = ("jsonl", "csv", "csv-spreadsheet", "parquet")


@frozen
class Effort:
    """How much is measured."""

    runs: int
    patience: float
    """Seconds for the repetitions within one run, of which the quickest counts."""
    latency_pages: int
    memory_pages: int
    export_memory_pages: int
    window: float
    """Seconds of the rate limit's window."""


QUICK = Effort(3, 0.2, 20, memory_pages=2_000, export_memory_pages=200, window=2.0)
FULL = Effort(7, 1.0, 50, memory_pages=20_000, export_memory_pages=1_000, window=60.0)


def decode(effort: Effort) -> Table:
    decoders = {
        "orjson.loads": "with_orjson",
        "json.loads": "with_json",
        "**mayar_reviews**": "with_mayar_reviews",
        "pydantic, without the raw objects": "with_pydantic",
    }
    notes: list[str] = []
    figures = interleave(
        decoders, effort.runs, lambda name: work("decode", decoders[name], effort.patience), notes
    )
    rows = over(figures, "orjson.loads", lambda seconds: f"{seconds * 1e6:.0f} µs a page")
    return Table("Decoding a page of 50", "times orjson.loads", rows, notes)


def walk(effort: Effort) -> Table:
    notes: list[str] = []
    pages = 200
    with serving() as server:
        figures = interleave(
            _CLIENTS,
            effort.runs,
            lambda name: work("walk", _CLIENTS[name], server.origin, pages, effort.patience),
            notes,
        )
    rows = over(
        figures, next(iter(_CLIENTS)), lambda seconds: f"{seconds / pages * 1e6:.0f} µs a page"
    )
    return Table("10,000 reviews, end to end", "times aiohttp + orjson", rows, notes)


def backend(effort: Effort) -> Table:
    names = {
        name: client
        for name, client in _CLIENTS.items()
        if client in ("raw", "mayar_reviews", "aiohttp_pydantic", "httpx_pydantic")
    }
    notes: list[str] = []
    with serving() as server:

        def measure(figure: str, name: str) -> float:
            return work("backend", names[name], server.origin, figure)

        slowest = interleave(names, effort.runs, partial(measure, "p99"), [])
        figures = interleave(names, effort.runs, partial(measure, "mean"), notes)
    rows = over(figures, next(iter(names)), lambda seconds: f"{1 / seconds:,.0f} a second")
    rows = [
        evolve(row, remark=f"{row.remark}, p99 {statistics.median(slowest[row.name]) * 1e3:.0f} ms")
        for row in rows
    ]
    return Table("200 pages at a time through one client", "times aiohttp + orjson", rows, notes)


def latency(effort: Effort) -> Table:
    notes: list[str] = []
    pages, seconds = effort.latency_pages, 0.05
    names = dict(list(_CLIENTS.items())[:2])
    with serving("--latency", seconds, seconds) as server:
        figures = interleave(
            names,
            effort.runs,
            lambda name: work("walk", names[name], server.origin, pages, 0) / pages / seconds,
            notes,
        )
    rows = [Row(name, runs) for name, runs in figures.items()]
    return Table(f"{pages} pages at 50 ms of latency", "times pages by latency", rows, notes)


def memory(effort: Effort) -> Table:
    walks = {"aiohttp + orjson, dictionaries": "raw", "**mayar_reviews**": "mayar_reviews"}
    exports = {f"export to {kind}": kind for kind in ("jsonl", "csv", "parquet")}
    rows: list[Row] = []
    notes: list[str] = []
    # A review that comes again is not written again: no page may repeat itself.
    with serving("--distinct", effort.export_memory_pages) as server:
        for jobs, pages, runs in (
            (walks, effort.memory_pages, 3),
            (exports, effort.export_memory_pages, 1),
        ):
            measure = partial(_growth, jobs, server.origin, pages)
            figures = interleave(jobs, runs, measure, notes)
            remark = f"{pages * _REVIEWS_A_PAGE:,} reviews, {runs} run{'s' * (runs > 1)}"
            rows += [Row(name, grown, remark) for name, grown in figures.items()]
    return Table("Growth of the peak memory", "MB more than for 1,000 reviews", rows, notes)


def _growth(jobs: dict[str, str], origin: str, pages: int, name: str) -> float:
    return work("memory", jobs[name], origin, 1_000 // _REVIEWS_A_PAGE, pages) / 1e6


def imports(effort: Effort) -> Table:
    modules = [
        "aiohttp",
        "mayar_reviews",
        "mayar_reviews.client",
        "httpx",
        "pydantic",
        "stripe",
        "openai",
    ]
    notes: list[str] = []
    figures = interleave(modules, effort.runs, import_time, notes)
    rows = over(figures, "aiohttp", lambda seconds: f"{seconds * 1e3:.0f} ms")
    return Table("Importing in a fresh process", "times import aiohttp", rows, notes)


def rate_limited(effort: Effort) -> Table:
    pages, requests, per = 100, 20, effort.window
    least = (pages // requests - 1) * per
    jobs = {
        "**mayar_reviews**, page after page": "paced",
        "**mayar_reviews**, all at once": "paced_at_once",
        "aiohttp, waiting as long as a 429 says": "obedient",
    }
    # At the 60 s that Mayar documents, a request takes 20 to 240 ms.
    options = ("--requests", requests, "--per", per, "--latency", per / 3000, per / 250)

    def run(name: str) -> tuple[float, int]:
        with serving("--distinct", pages, *options) as server:
            seconds = work("rate_limited", jobs[name], server.origin, pages, requests, per)
        return seconds / least, server.refused

    # They do little but wait: all at the same time.
    with ThreadPoolExecutor(max_workers=len(jobs) * effort.runs) as pool:
        futures = {name: [pool.submit(run, name) for _ in range(effort.runs)] for name in jobs}
    rows = []
    for name, runs in futures.items():
        ratios, refused = zip(*(run.result() for run in runs), strict=True)
        rows.append(Row(name, list(ratios), f"429s: {max(refused)}"))
    title = f"{pages} requests where {requests} are allowed in {per:g} s"
    return Table(title, f"times {least:g} s, the least possible", rows)


def export(effort: Effort) -> Table:
    formats = {
        "aiohttp + orjson, lines of JSON": "raw",
        **{f"**mayar_reviews**, {kind}": kind for kind in _FORMATS},
    }
    pages = 200
    notes: list[str] = []

    with serving() as server:

        def measure(figure: str, name: str) -> float:
            return work(figure, formats[name], server.origin, pages)

        figures = interleave(formats, effort.runs, partial(measure, "export"), notes)
        ours = list(formats)[1:]
        blocked = interleave(ours, effort.runs, partial(measure, "blocked"), [])
    rows = over(
        figures,
        next(iter(formats)),
        lambda seconds: f"{pages * _REVIEWS_A_PAGE / seconds:,.0f} reviews a second",
    )
    rows = [
        evolve(
            row, remark=f"{row.remark}, blocks {statistics.median(blocked[row.name]) * 1e3:.0f} ms"
        )
        if row.name in blocked
        else row
        for row in rows
    ]
    return Table("Bulk export of 10,000 reviews", "times aiohttp + orjson", rows, notes)


ALL: list[Callable[[Effort], Table]] = [
    decode,
    walk,
    backend,
    latency,
    memory,
    imports,
    rate_limited,
    export,
]
