"""Exports of many products, spread over the workers of a Dask cluster: `export_products`.

One task exports one product. Its files lie in a directory that all workers share. When Dask runs
a task again, because a worker died or the whole export is repeated, the task continues after the
last page that was written.

Workers that share one address and one key share one rate limit, so more of them are not faster.
Workers with addresses of their own are; see `scope`.

Needs the extra `dask`, on the workers as well. The workers must run on Linux or macOS.
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

try:
    from distributed import Client, KilledWorker, get_worker
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        "mayar_reviews.dask is an extra: pip install 'mayar-reviews[dask]'", name=_missing.name
    ) from _missing

from mayar_reviews import (
    ExportError,
    InvalidArgumentError,
    MayarError,
    RateLimit,
    RateLimiter,
    ReviewsClient,
)

from .checks import DEFAULT_PAGE_SIZE, check_id, check_integer
from .export import ExportProgress, ExportReport, FileReport, export_reviews
from .export.durable import Lock
from .export.formats import SUFFIXES, Format
from .export.key_file import read_key_file

_log = logging.getLogger("mayar_reviews")


@frozen
class _Settings:
    """What all tasks need. It passes through the scheduler, so it holds no secret."""

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
    page_size: int = DEFAULT_PAGE_SIZE,
    update: bool = False,
    verify: bool = False,
    api_key_file: str | None = None,
    base_url: str | None = None,
    requests: int = 20,
    per: float = 60.0,
    redis_url: str | None = None,
    scope: str | None = None,
    on_progress: Callable[[ExportProgress], object] | None = None,
) -> ExportReport:
    """Export the reviews of many products, one task for each.

    The workers export as many products at a time as they have threads. To repeat an export, call
    this again: finished files are left as they are (or updated), the others continue. If a call is
    interrupted, the tasks that have begun run to their end.

    Args:
        cluster: an existing Dask cluster, or its scheduler's address.
        payment_link_ids: the products, 3-100 characters each.
        output: the directory of the files; the same path on every worker.
        format: as in `export_reviews`.
        rating: only reviews with this rating, 1 to 5.
        page_size: the most reviews in one request, at least 1.
        update: bring finished files up to date with what is new or changed since.
        verify: compare with the statistics, and report how many reviews are missing.
        api_key_file: the path, on the workers, of a file that holds the API key. By default the
            workers read the key from their environment variable `MAYAR_API_KEY`.
        base_url: the API's origin; by default that of the workers' environment.
        requests: how many requests all workers together may send in any window.
        per: the window's length in seconds.
        redis_url: the Redis that keeps the rate limit, see `mayar_reviews.redis`. `$NAME` in it
            is replaced by the worker's environment variable, so that a password need not pass
            through the scheduler. `None`: each worker that is there at the start gets an equal
            share of `requests`, which is exact as long as none dies or joins.
        scope: what the limit in Redis applies to; by default the API key. `$NAME` is replaced
            as in `redis_url`, so that workers with their own addresses can have their own limits.
        on_progress: called with an `ExportProgress` after each page and before each wait, in
            one of Dask's threads. What it raises is logged.

    Returns:
        The result for each product, including those that failed: see `.failed`.

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
            requests = _divide(requests, len(threads))
        settings = _Settings(
            Path(output),
            {
                "format": format,
                "rating": rating,
                "page_size": page_size,
                "update": update,
                "verify": verify,
            },
            api_key_file,
            base_url,
            requests,
            per,
            redis_url,
            scope,
            topic=f"mayar-reviews-{run}",
        )
        if on_progress is not None:
            handler = functools.partial(_forward_progress, on_progress)
            client.subscribe_topic(settings.topic, handler)
        tasks = [
            client.submit(_export, product, settings, key=f"export-{product}-{run}")
            for product in products
        ]
        files = []
        for product, task in zip(products, tasks, strict=True):
            try:
                files.append(task.result())
            except KilledWorker:
                fault = "was given up: too many workers died while they exported it"
                files.append(_failed(product, settings, fault))
            except (MayarError, OSError) as error:
                if not _is_about_one_file(error):
                    raise
                files.append(_failed(product, settings, f"was not exported: {error}"))
    return ExportReport(tuple(files), time.monotonic() - started)


def _divide(requests: int, workers: int) -> int:
    """Return one worker's share of the requests.

    Raises:
        InvalidArgumentError: there are fewer requests than workers.
    """
    share = requests // max(workers, 1)
    if not share:
        raise InvalidArgumentError(
            f"is too small: it must be at least {workers}, one for each worker; "
            "or give redis_url, and the workers share one limit",
            field="requests",
        )
    return share


def _is_about_one_file(error: MayarError | OSError) -> bool:
    """Whether an error concerns one product's files. Other arguments are wrong for all."""
    return getattr(error, "field", "output") in ("output", "resume")


async def _export(product: str, settings: _Settings) -> FileReport:
    """Export one product. This is the task; as a coroutine it runs in the worker's event loop."""
    worker = get_worker()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_exclusive(settings.output, product))
        client = ReviewsClient(
            _key(settings), base_url=settings.base_url, rate_limit=await _budget(settings, stack)
        )
        await stack.enter_async_context(client)
        report = await export_reviews(
            client,
            [product],
            settings.output,
            resume=True,
            on_progress=lambda progress: worker.log_event(settings.topic, astuple(progress)),
            **settings.options,
        )
    return report.files[0]


def _key(settings: _Settings) -> str:
    if settings.api_key_file is None:
        return os.environ.get("MAYAR_API_KEY", "")
    return read_key_file(settings.api_key_file)


async def _budget(settings: _Settings, stack: AsyncExitStack) -> RateLimiter:
    if settings.redis_url is None:
        return _share(settings.requests, settings.per)
    from .redis import RedisRateLimit, key_scope  # noqa: PLC0415  another extra

    scope = settings.scope
    budget = RedisRateLimit(
        os.path.expandvars(settings.redis_url),
        settings.requests,
        settings.per,
        scope=key_scope(_key(settings)) if scope is None else os.path.expandvars(scope),
    )
    return await stack.enter_async_context(budget)


@functools.cache
def _share(requests: int, per: float) -> RateLimit:
    """Return this worker's share of the rate limit: one object for all tasks it ever runs."""
    return RateLimit(requests, per)


@asynccontextmanager
async def _exclusive(directory: Path, product: str) -> AsyncGenerator[None, None]:
    """Wait until no other task exports the product.

    A worker that Dask has given up, because it could not be reached, may still be writing.
    """
    directory.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  takes no time
    lock = Lock(directory / product)
    while not lock.acquire():  # noqa: ASYNC110  another process has it
        await asyncio.sleep(1)
    try:
        yield
    finally:
        lock.release()


def _forward_progress(
    on_progress: Callable[[ExportProgress], object], event: tuple[Any, Any]
) -> None:
    try:
        on_progress(ExportProgress(*event[1]))
    except Exception:
        _log.exception("on_progress raised")


def _failed(product: str, settings: _Settings, fault: str) -> FileReport:
    return FileReport(
        product,
        settings.output / f"{product}{SUFFIXES[settings.options['format']]}",
        error=ExportError(f"{product} {fault}"),
    )
