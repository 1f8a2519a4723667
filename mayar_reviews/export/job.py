"""The job: which files there will be, whether they may be, and how many at a time."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from mayar_reviews import InvalidArgumentError, ReviewsClient, ReviewStatus

from .file_export import FileExport, Job
from .formats import SUFFIXES, Format, check_format
from .report import ExportProgress, ExportReport, FileReport


async def export_reviews(
    client: ReviewsClient,
    payment_link_ids: str | Sequence[str] | None,
    output: str | os.PathLike[str],
    *,
    format: Format = "jsonl",
    rating: int | None = None,
    status: ReviewStatus | str | None = None,
    page_size: int = 50,
    resume: bool = False,
    force: bool = False,
    verify: bool = False,
    concurrency: int = 4,
    on_progress: Callable[[ExportProgress], object] | None = None,
) -> ExportReport:
    """Export the reviews of one product, of many, or of the whole store.

    It is patient: it waits for the rate limit, and, once the API has answered at all, waits out
    failures of up to an hour.
    However it ends, even by a kill or a power cut, the same call with `resume=True` goes on
    after the last page that was written.

    Args:
        client: its session, key and budget are used; its deadline is not.
        payment_link_ids: a product (3-100 characters); or a sequence of products, each of which
            gets a file of its own; or `None`: the whole store, with reviews of every status.
        output: the file; for a sequence the directory, made if need be, of the files
            `<payment_link_id>.jsonl`, `.csv` or `.parquet`.
        format: `jsonl`, `csv`, `csv-spreadsheet` or `parquet`; see
            `mayar_reviews.export.formats`.
        rating: only reviews with this rating, 1 to 5.
        status: only reviews with this status; for the whole store only.
        page_size: the most reviews to a request, at least 1. The API is known to give at most
            50.
        resume: go on where an earlier call stopped, or begin where there was none; what is
            finished is left as it is.
        force: begin from the start, whatever is there.
        verify: ask the statistics before and after, and report what is missing by both.
        concurrency: how many products are exported at a time, at least 1.
        on_progress: called with an `ExportProgress` after each page and before each wait; what
            it raises is logged.

    Returns:
        What became of each file; for a sequence also of those that failed, see `.failed`.

    Raises:
        InvalidArgumentError: an argument is outside its limits; or the output is there already,
            is of another export, is shorter than it was, or cannot be written. Raised before
            any request.
        ExportError: the one product, or the store, was not exported to its end: `.written`
            reviews are safe, `__cause__` is the failure. That is the API's refusal, an outage
            of more than an hour, an answer that cannot be understood, or the disk's.
    """
    check_format(format)
    if not isinstance(concurrency, int) or concurrency < 1:
        raise InvalidArgumentError(
            "concurrency is out of range: it must be an integer of at least 1", field="concurrency"
        )
    if resume and force:
        raise InvalidArgumentError(
            "force cannot be used with resume: begin from the start, or go on", field="force"
        )
    output = Path(output)
    job = Job(client, format, rating, status, page_size, verify, on_progress)
    if payment_link_ids is None or isinstance(payment_link_ids, str):
        output = _followed(output)
        export = FileExport(job, payment_link_ids, output)
        _prepare([export], output.parent, resume=resume, force=force)
        file = await export.run()
        if file.error is not None:
            raise file.error
        return ExportReport((file,), file.seconds)

    if not all(isinstance(product, str) for product in payment_link_ids):
        raise InvalidArgumentError(
            "payment_link_ids holds something else: it must hold strings", field="payment_link_ids"
        )
    exports = [
        FileExport(job, product, output / f"{product}{SUFFIXES[format]}")
        for product in dict.fromkeys(payment_link_ids)
    ]
    if not exports:
        raise InvalidArgumentError(
            "payment_link_ids is empty: it must name at least one product",
            field="payment_link_ids",
        )
    _prepare(exports, output, resume=resume, force=force, make=True)
    turns = asyncio.Semaphore(concurrency)

    async def run(export: FileExport) -> FileReport:
        async with turns:
            return await export.run()

    started = _now()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run(export)) for export in exports]
    return ExportReport(tuple(task.result() for task in tasks), _now() - started)


def _followed(output: Path) -> Path:
    """Where a link leads, so that it is not replaced by what is meant for its target."""
    return output.resolve() if output.is_symlink() else output


def _now() -> float:
    return asyncio.get_running_loop().time()


def _prepare(
    exports: Sequence[FileExport],
    directory: Path,
    *,
    resume: bool,
    force: bool,
    make: bool = False,
) -> None:
    """Refuse, before the first request, all that can be refused.

    Raises:
        InvalidArgumentError: an argument, or what is on the disk, forbids the export.
    """
    for export in exports:
        export.check_arguments()
    fault: str | None
    try:
        if make:
            directory.mkdir(parents=True, exist_ok=True)
        for export in exports:
            export.look_around(resume=resume, force=force)
        with tempfile.TemporaryFile(dir=directory):
            pass  # so files can be made there
    except BaseException as error:
        for export in exports:
            export.give_back()
        if not isinstance(error, OSError):
            raise
        fault = error.strerror
    else:
        return
    raise InvalidArgumentError(f"output cannot be written to {directory}: {fault}", field="output")
