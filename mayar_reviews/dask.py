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
import contextlib
import functools
import logging
import os
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import astuple, define, evolve, field, frozen

try:
    from distributed import Client, KilledWorker, get_worker
    from distributed.comm.core import CommClosedError
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        "mayar_reviews.dask is an extra: pip install 'mayar-reviews[dask]'", name=_missing.name
    ) from _missing

from mayar_reviews import (
    AuthenticationError,
    ConnectionFailedError,
    ExportError,
    InvalidArgumentError,
    MayarError,
    RateLimit,
    RateLimiter,
    ReviewsClient,
)

from .checks import DEFAULT_PAGE_SIZE, check_id, check_integer
from .credentials import Secret
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
    workers: frozenset[str]
    """The addresses of the workers that the budget was divided among."""


# A task begins anew what `export_reviews` does for all products, so it waits by itself: for an
# outage, and for an address that never answered, which may be wrong. In seconds.
_OUTAGE = 3600.0
_UNREACHED = 120.0
_WAIT = 5.0
_NOT_SHARED = "is not shared by all workers: it must be the same directory on each"


@define
class _Health:
    """What the tasks of one export in this process know about the API."""

    reached: bool = False
    failing_since: float | None = None
    rejected: dict[str | None, ExportError] = field(factory=dict)
    """The key files whose key the API has refused: the other products need not try it."""

    def may_wait(self, error: ExportError | None, now: float) -> bool:
        """Whether a product failed only because the API cannot be reached for now."""
        if error is None or not isinstance(error.__cause__, ConnectionFailedError):
            self.reached, self.failing_since = True, None
            return False
        self.failing_since = self.failing_since or now
        return now - self.failing_since < (_OUTAGE if self.reached else _UNREACHED)


@functools.lru_cache(maxsize=16)
def _health(topic: str) -> _Health:
    """Return what this process knows in one export, which its topic names."""
    return _Health()


def export_products(
    cluster: Any,
    payment_link_ids: Sequence[str] | Mapping[str, Sequence[str]],
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
        payment_link_ids: the products, 3-100 characters each. For several merchants: the products
            for each `api_key_file`.
        output: the directory of the files: an absolute path of a directory that all workers
            share. It is refused, before the first request, if a worker does not see it.
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
            share of `requests`. One that replaces a dead one waits for a window first. When there
            are more workers than at the start, the export ends with an error.
        scope: what the limit in Redis applies to; by default the API key. `$NAME` is replaced
            as in `redis_url`, so that workers with their own addresses can have their own limits.
        on_progress: called with an `ExportProgress` after each page and before each wait, in
            one of Dask's threads. What it raises is logged.

    Returns:
        The result for each product, including those that failed: see `.failed`.

    Raises:
        InvalidArgumentError: an argument is outside its limits; there are fewer `requests` than
            workers to divide them, or more workers than at the start; there is no worker; or the
            workers do not share `output`.
        ExportError: the scheduler was lost. Call this again: it continues.
    """
    products = _products(payment_link_ids, api_key_file)
    if not Path(output).is_absolute():
        raise InvalidArgumentError(
            "is relative: each worker would write into a folder of its own; it must be an "
            "absolute path of a directory that all workers share",
            field="output",
        )
    check_integer("requests", requests, 1)
    run = uuid.uuid4().hex
    started = time.monotonic()
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
        workers=frozenset(),
    )
    try:
        with Client(cluster, set_as_default=False) as client:  # type: ignore[no-untyped-call]
            files = _run(client, products, settings, on_progress)
    except (CommClosedError, CancelledError, TimeoutError) as error:
        lost = f"the Dask scheduler was lost ({type(error).__name__}); call it again: it continues"
    else:
        return ExportReport(tuple(files), time.monotonic() - started)
    raise ExportError(lost)


def _products(
    payment_link_ids: Sequence[str] | Mapping[str, Sequence[str]], api_key_file: str | None
) -> dict[str, str | None]:
    """Return the key file of each product.

    Raises:
        InvalidArgumentError: an id is none, or a product has two keys.
    """
    products: dict[str, str | None] = {}
    if not isinstance(payment_link_ids, Mapping):
        products = dict.fromkeys(payment_link_ids, api_key_file)
    elif api_key_file is not None:
        raise InvalidArgumentError(
            "cannot be used with products for each key file", field="api_key_file"
        )
    else:
        for key_file, of_key in payment_link_ids.items():
            for product in of_key:
                if products.setdefault(product, key_file) != key_file:
                    raise InvalidArgumentError(
                        "has a product with two keys: each product has one file",
                        field="payment_link_ids",
                    )
    for product in products:
        check_id("payment_link_ids", product)
    return products


def _run(
    client: Any,
    products: Mapping[str, str | None],
    settings: _Settings,
    on_progress: Callable[[ExportProgress], object] | None,
) -> list[FileReport]:
    workers = list(client.nthreads())
    if not workers:
        raise InvalidArgumentError("has no worker: start at least one", field="cluster")
    if settings.redis_url is None:
        share = _divide(settings.requests, len(workers))
        settings = evolve(settings, requests=share, workers=frozenset(workers))
    marker = _marker(settings)
    client.run(_mark, marker, workers=workers[:1])
    try:
        if not all(client.run(os.path.exists, marker).values()):
            raise InvalidArgumentError(_NOT_SHARED, field="output")
        if on_progress is not None:
            handler = functools.partial(_forward_progress, on_progress)
            client.subscribe_topic(settings.topic, handler)
        tasks = [
            client.submit(
                _export,
                product,
                evolve(settings, api_key_file=key_file),
                key=f"export-{product}-{settings.topic}",
            )
            for product, key_file in products.items()
        ]
        return [
            _result(task, product, settings) for product, task in zip(products, tasks, strict=True)
        ]
    finally:
        # On a worker each, as they may have their own; a lost scheduler leaves an empty file.
        with contextlib.suppress(CommClosedError, CancelledError, TimeoutError):
            client.run(_unmark, marker)


def _result(task: Any, product: str, settings: _Settings) -> FileReport:
    try:
        result: FileReport = task.result()
    except KilledWorker:
        fault = "was given up: too many workers died while they exported it"
        return _failed(product, settings, fault)
    except (CommClosedError, TimeoutError):
        raise
    except (MayarError, OSError) as error:
        if not _is_about_one_file(error):
            raise
        return _failed(product, settings, f"was not exported: {error}")
    return result


def _marker(settings: _Settings) -> str:
    return str(settings.output / f".{settings.topic}")


def _mark(marker: str) -> None:
    Path(marker).parent.mkdir(parents=True, exist_ok=True)
    Path(marker).touch()


def _unmark(marker: str) -> None:
    Path(marker).unlink(missing_ok=True)


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
    if getattr(error, "fault", None) == _NOT_SHARED:
        return False
    return getattr(error, "field", "output") in ("output", "resume")


async def _export(product: str, settings: _Settings) -> FileReport:
    """Export one product. This is the task; as a coroutine it runs in the worker's event loop."""
    worker = get_worker()
    health = _health(settings.topic)
    if not os.path.exists(_marker(settings)):  # noqa: ASYNC240, PTH110
        raise InvalidArgumentError(_NOT_SHARED, field="output")  # to a worker that came later
    if settings.redis_url is None:
        cluster: Any = await worker.scheduler.identity()
        there = len(cluster["workers"])
        if there > len(settings.workers):
            raise InvalidArgumentError(
                f"is needed: there are {there} workers now, and the limit was divided among "
                f"{len(settings.workers)}. Give it, and their number may change",
                field="redis_url",
            )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_exclusive(settings.output, product))
        is_new = worker.address not in settings.workers
        budget = await _budget(settings, stack, is_new=is_new)
        client = ReviewsClient(_key(settings), base_url=settings.base_url, rate_limit=budget)
        await stack.enter_async_context(client)
        while True:
            if refused := health.rejected.get(settings.api_key_file):
                return _failed(product, settings, f"was not exported: {refused}")
            report = await export_reviews(
                client,
                [product],
                settings.output,
                resume=True,
                on_progress=lambda progress: worker.log_event(settings.topic, astuple(progress)),
                **settings.options,
            )
            file = report.files[0]
            if file.error is not None and isinstance(file.error.__cause__, AuthenticationError):
                health.rejected[settings.api_key_file] = file.error
            if not health.may_wait(file.error, time.monotonic()):
                return file
            waits = ExportProgress(product, file.written, 0, None, "outage", _WAIT, str(file.error))
            worker.log_event(settings.topic, astuple(waits))
            await asyncio.sleep(_WAIT)


def _key(settings: _Settings) -> str:
    if settings.api_key_file is None:
        return os.environ.get("MAYAR_API_KEY", "")
    return read_key_file(settings.api_key_file)


async def _budget(
    settings: _Settings, stack: AsyncExitStack, *, is_new: bool = False
) -> RateLimiter:
    if settings.redis_url is None:
        made = _share.cache_info().misses
        share = _share(settings.requests, settings.per)
        if is_new and _share.cache_info().misses > made:
            await share.pause(settings.per)  # the one that it replaces may just have used its share
        return share
    from .redis import key_scope  # noqa: PLC0415  another extra

    scope = settings.scope
    scope = key_scope(_key(settings)) if scope is None else os.path.expandvars(scope)
    url = Secret(os.path.expandvars(settings.redis_url))
    return await stack.enter_async_context(_shared(url, settings.requests, settings.per, scope))


_open: dict[object, tuple[Any, list[None]]] = {}


@asynccontextmanager
async def _shared(
    url: Secret, requests: int, per: float, scope: str
) -> AsyncGenerator[RateLimiter, None]:
    """Give all tasks that this worker runs at the same time the same budget in Redis."""
    from .redis import RedisRateLimit  # noqa: PLC0415  another extra

    name = (asyncio.get_running_loop(), hash(url.value), requests, per, scope)
    if name not in _open:
        _open[name] = RedisRateLimit(url.value, requests, per, scope=scope), []
    budget, users = _open[name]
    users.append(None)
    try:
        yield budget
    finally:
        users.pop()
        if not users:
            del _open[name]
            await budget.aclose()


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
