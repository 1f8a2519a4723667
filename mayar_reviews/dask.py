"""Exports of many products, spread over the workers of a Dask cluster: `export_products`.

One task is one product, whose journal and state lie in a directory that all workers share: a
task that Dask runs again, because its worker died or because the whole job is made again, goes
on after the last page that was written.

More workers are not faster as long as they share one address and one key: the limit is theirs
together. They are when they have addresses of their own, see `scope`.

Needs the extra `dask`, on workers as well, and workers on Linux or macOS.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import astuple, frozen
from distributed import Client, KilledWorker, get_worker

from mayar_reviews import (
    ExportError,
    InvalidArgumentError,
    MayarError,
    RateLimit,
    RateLimiter,
    ReviewsClient,
)

from .checks import check_id, check_integer
from .export import ExportProgress, ExportReport, FileReport, export_reviews
from .export.durable import Lock
from .export.formats import SUFFIXES, Format

_log = logging.getLogger("mayar_reviews")


@frozen
class _Job:
    """What the tasks have in common; it passes through the scheduler, so it holds no secret."""

    output: Path
    options: dict[str, Any]
    api_key_file: str | None
    base_url: str | None
    requests: int
    per: float
    redis_url: str | None
    scope: str | None
    topic: str


def export_products(
    cluster: Any,
    payment_link_ids: Sequence[str],
    output: str | os.PathLike[str],
    *,
    format: Format = "jsonl",
    rating: int | None = None,
    page_size: int = 50,
    verify: bool = False,
    api_key_file: str | None = None,
    base_url: str | None = None,
    requests: int = 20,
    per: float = 60.0,
    redis_url: str | None = None,
    scope: str | None = None,
    on_progress: Callable[[ExportProgress], object] | None = None,
) -> ExportReport:
    """Export the reviews of many products, each by a task of its own.

    As many are exported at a time as the workers have threads. What is finished is left as it
    is and what is not goes on: to make a job again, call it again. A call that is interrupted
    leaves the tasks that have begun to their end.

    Args:
        cluster: an existing Dask cluster, or its scheduler's address.
        payment_link_ids: the products, 3-100 characters each.
        output: the directory of the files, by the same path on every worker.
        format: as for `export_reviews`, like the next three.
        rating: only reviews with this rating, 1 to 5.
        page_size: the most reviews to a request, at least 1.
        verify: ask the statistics as well, and report what is missing.
        api_key_file: the path, on the workers, of a file that holds the API key; by default
            the key is in the workers' environment, as `MAYAR_API_KEY`.
        base_url: the API's origin; by default that of the workers' environment.
        requests: how many requests any window may hold, of all workers together.
        per: the window's length in seconds.
        redis_url: the Redis that keeps the budget, see `mayar_reviews.redis`; `$NAME` in it is
            replaced on the worker by its environment's, so that a password need not pass
            through the scheduler. `None`: each worker that is there at the start gets an equal
            part of `requests`, which is exact as long as none dies or joins.
        scope: what the budget in Redis is for; by default the API key. `$NAME` is replaced
            as in `redis_url`: workers with addresses of their own have a budget for each.
        on_progress: called with an `ExportProgress` after each page and before each wait, in
            a thread of Dask's; what it raises is logged.

    Returns:
        What became of each product, also of those that failed, see `.failed`.

    Raises:
        InvalidArgumentError: an argument is outside its limits, or there are fewer `requests`
            than workers to divide them.
    """
    products = list(dict.fromkeys(payment_link_ids))
    for product in products:
        check_id("payment_link_ids", product)
    check_integer("requests", requests, 1)
    run = uuid.uuid4().hex
    started = time.monotonic()
    with Client(cluster, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        if redis_url is None:
            threads: Any = client.nthreads()  # untyped
            workers = max(len(threads), 1)
            requests //= workers
            if not requests:
                raise InvalidArgumentError(
                    f"requests cannot be divided: it must be at least {workers}, one for each "
                    "worker, or redis_url be given",
                    field="requests",
                )
        job = _Job(
            Path(output),
            {"format": format, "rating": rating, "page_size": page_size, "verify": verify},
            api_key_file,
            base_url,
            requests,
            per,
            redis_url,
            scope,
            topic=f"mayar-reviews-{run}",
        )
        if on_progress is not None:
            client.subscribe_topic(job.topic, functools.partial(_hear, on_progress))
        tasks = [
            client.submit(_export, product, job, key=f"export-{product}-{run}")
            for product in products
        ]
        files = []
        for product, task in zip(products, tasks, strict=True):
            try:
                files.append(task.result())
            except KilledWorker:
                fault = "was given up: too many workers died of it, or with it"
                files.append(_failed(product, job, fault))
            except (MayarError, OSError) as error:
                about_files = getattr(error, "field", "output") in ("output", "resume")
                if not about_files:
                    raise  # what is wrong with another argument is wrong for all
                files.append(_failed(product, job, f"was not exported: {error}"))
    return ExportReport(tuple(files), time.monotonic() - started)


async def _export(product: str, job: _Job) -> FileReport:
    """The task: one product. Being a coroutine, it runs in the worker's event loop."""
    worker = get_worker()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_alone(job.output, product))
        client = ReviewsClient(
            _key(job), base_url=job.base_url, rate_limit=await _budget(job, stack)
        )
        await stack.enter_async_context(client)
        report = await export_reviews(
            client,
            [product],
            job.output,
            resume=True,
            on_progress=lambda progress: worker.log_event(job.topic, astuple(progress)),
            **job.options,
        )
    return report.files[0]


def _key(job: _Job) -> str:
    if job.api_key_file is None:
        return os.environ.get("MAYAR_API_KEY", "")
    return Path(job.api_key_file).read_text(encoding="utf-8", errors="replace").strip()


async def _budget(job: _Job, stack: AsyncExitStack) -> RateLimiter:
    if job.redis_url is None:
        return _part(job.requests, job.per)
    from .redis import RedisRateLimit, key_scope  # noqa: PLC0415  another extra

    budget = RedisRateLimit(
        os.path.expandvars(job.redis_url),
        job.requests,
        job.per,
        scope=key_scope(_key(job)) if job.scope is None else os.path.expandvars(job.scope),
    )
    return await stack.enter_async_context(budget)


@functools.cache
def _part(requests: int, per: float) -> RateLimit:
    """This worker's part of the budget: one, for all tasks that it will ever run."""
    return RateLimit(requests, per)


@asynccontextmanager
async def _alone(directory: Path, product: str) -> AsyncGenerator[None, None]:
    """Wait until no other task exports the product.

    A worker that Dask has given up, because it could not be reached, may still be writing.
    """
    directory.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  at once done
    lock = Lock(directory / f".{product}.lock")
    while not lock.take():  # noqa: ASYNC110  another process has it
        await asyncio.sleep(1)
    try:
        yield
    finally:
        lock.give_back()


def _hear(on_progress: Callable[[ExportProgress], object], event: tuple[Any, Any]) -> None:
    try:
        on_progress(ExportProgress(*event[1]))
    except Exception:
        _log.exception("on_progress raised")


def _failed(product: str, job: _Job, fault: str) -> FileReport:
    return FileReport(
        payment_link_id=product,
        path=job.output / f"{product}{SUFFIXES[job.options['format']]}",
        written=0,
        pages=0,
        requests=0,
        seconds=0.0,
        resumed_from=None,
        ratings={},
        error=ExportError(f"{product} {fault}"),
    )
