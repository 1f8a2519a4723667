"""One measurement in a process of its own: `worker.py MEASUREMENT ARGUMENT...` prints a figure.

Garbage is collected as in any program.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from importlib import import_module
from pathlib import Path
from typing import Any

import clients
import decoders
from pages import REVIEWS_A_PAGE, product_of, render

from mayar_reviews import ReviewsClient
from mayar_reviews.export import export_reviews

_AT_A_TIME = 200


def decode(decoder: str, patience: str) -> float:
    """Seconds for a page, from bytes to reviews: the quickest of several rounds of forty."""
    bodies = [decoders.envelope(render(number)) for number in range(40)]
    read = getattr(decoders, decoder)()

    def round_of_forty() -> None:
        for body in bodies:
            read(body)

    return _quickest(round_of_forty, float(patience)) / len(bodies)


def walk(client: str, origin: str, pages: str, patience: str) -> float:
    """Seconds to walk a product of so many pages: the quickest of several walks."""

    def run(pages: int) -> None:
        product = product_of(pages)
        count = asyncio.run(getattr(clients, client)(origin, product))
        assert count == pages * REVIEWS_A_PAGE, f"{client} saw {count} reviews on {pages} pages"

    run(2)
    return _quickest(lambda: run(int(pages)), float(patience))


def backend(client: str, origin: str, figure: str) -> float:
    """Seconds a request of 200 at a time through one client, or the 99th percentile of its time.

    Of several rounds, the quickest counts.
    """

    async def main() -> float:
        seconds: list[float] = []

        async def view(fetch: clients.Fetch, number: int) -> None:
            start = time.perf_counter()
            await fetch(product_of(1 + number % 4), {"limit": str(REVIEWS_A_PAGE)})
            seconds.append(time.perf_counter() - start)

        async with getattr(clients, f"{client}_pages")(origin) as fetch:
            figures: list[float] = []
            for _ in range(6):  # the first one opens the connections
                seconds.clear()
                start = time.perf_counter()
                await asyncio.gather(*(view(fetch, number) for number in range(_AT_A_TIME)))
                each = (time.perf_counter() - start) / _AT_A_TIME
                figures.append(each if figure == "mean" else sorted(seconds)[-_AT_A_TIME // 100])
        return min(figures[1:])

    return asyncio.run(main())


def export(format: str, origin: str, pages: str) -> float:
    """Seconds to export a product of so many pages."""
    _export(format, origin, 1)
    start = time.perf_counter()
    _export(format, origin, int(pages))
    return time.perf_counter() - start


def blocked(format: str, origin: str, pages: str) -> float:
    """Seconds of CPU time for which an export lets no other task run, at the longest."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, last = max(longest, now - last), now

    _export(format, origin, 1)
    gc.freeze()  # a collection of all that was imported takes 40 ms, and is not the export's
    _export(format, origin, int(pages), watch)
    return longest


def memory(job: str, origin: str, few: str, many: str) -> float:
    """Bytes that the peak of the resident set grows by, from few pages to many."""

    def run(pages: int) -> None:
        if job in ("raw", "mayar_reviews"):
            asyncio.run(getattr(clients, job)(origin, product_of(pages)))
        else:
            _export(job, origin, pages)

    run(int(few))
    before = _peak()
    run(int(many))
    return _peak() - before


def rate_limited(client: str, origin: str, pages: str, requests: str, per: str) -> float:
    """Seconds for a job that the server's rate limit holds back."""
    job = getattr(clients, client)(origin, product_of(int(pages)), int(requests), float(per))
    start = time.perf_counter()
    count = asyncio.run(job)
    assert count == int(pages) * REVIEWS_A_PAGE, f"{client} saw {count} reviews on {pages} pages"
    return time.perf_counter() - start


def _quickest(job: Callable[[], None], patience: float) -> float:
    seconds: list[float] = []
    end = time.perf_counter() + patience
    while not seconds or time.perf_counter() < end:
        start = time.perf_counter()
        job()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


async def _nothing() -> None:
    """Do nothing beside the export."""


def _export(
    format: Any, origin: str, pages: int, beside: Callable[[], Coroutine[Any, Any, None]] = _nothing
) -> None:
    if format == "parquet":
        import_module("pyarrow")  # without it, this row is left out

    async def main(output: Path) -> int:
        if format == "raw":
            return await clients.raw_export(origin, product_of(pages), output)
        task = asyncio.create_task(beside())
        async with ReviewsClient("benchmark", base_url=origin, rate_limit=None) as client:
            report = await export_reviews(client, product_of(pages), output, format=format)
        task.cancel()
        return report.written

    with tempfile.TemporaryDirectory() as directory:
        written = asyncio.run(main(Path(directory, "reviews")))
    assert written == pages * REVIEWS_A_PAGE, f"{written} reviews written of {pages} pages"


def _peak() -> int:
    import resource  # noqa: PLC0415  Windows has none

    # In kilobytes, on a Mac in bytes. A process starts with the peak of the one that starts it,
    # so that one must be smaller: it imports nothing big.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    try:
        print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
    except ModuleNotFoundError as error:
        print(json.dumps(error.name))
