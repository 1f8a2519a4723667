"""The public call: check everything first, then export file by file."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import evolve

import mayar_reviews
from mayar_reviews import ExportError, InvalidArgumentError, ReviewStatus
from mayar_reviews.checks import DEFAULT_PAGE_SIZE, check_integer

from .combined import Combined
from .file_export import DAMAGE, FileExport, Settings, in_steps
from .formats import SUFFIXES, Format, Layout, check_layout
from .report import ExportProgress, ExportReport, FileReport
from .selection import Selection


async def export_reviews(
    client: mayar_reviews.ReviewsClient,
    payment_link_ids: str | Sequence[str] | None,
    output: str | os.PathLike[str],
    *,
    format: Format = "jsonl",
    separator: str = ",",
    rating: int | None = None,
    status: ReviewStatus | str | None = None,
    page_size: int = DEFAULT_PAGE_SIZE,
    resume: bool = False,
    update: bool = False,
    force: bool = False,
    merge: bool = False,
    verify: bool = False,
    concurrency: int = 4,
    on_progress: Callable[[ExportProgress], object] | None = None,
) -> ExportReport:
    """Export the reviews of one product, of many products or of the whole store.

    The export is patient. It waits for the rate limit. Once the API has answered, it waits out
    failures of up to an hour. If it ends early, even by a kill or a power cut, the same call with
    `resume=True` continues where it was: what came in the last second may be fetched again.

    Args:
        client: its session, key and rate limit are used; its deadline is not.
        payment_link_ids: one product (3-100 characters); or several, each of which gets a file
            of its own; or `None`: the whole store, with reviews of every status.
        output: the file; for several products the directory, which is made if it is not there.
            Its files are named `<payment_link_id>.jsonl`, `.csv` or `.parquet`.
        format: `jsonl`, `csv`, `csv-spreadsheet` or `parquet`; see
            `mayar_reviews.export.formats`.
        separator: for `csv-spreadsheet`: a comma, a semicolon or a tab.
        rating: only reviews with this rating, 1 to 5.
        status: only reviews with this status; for the whole store only.
        page_size: the most reviews in one request, at least 1. The API is known to give at most
            50.
        resume: continue an earlier export, or start if there is none. A finished file is left
            as it is: nothing is fetched.
        update: bring a finished file up to date with what is new or changed since, in few
            requests. An unfinished one is continued, and without one the export starts. A review
            that has left the list since (archived, deleted) is not looked for, nor is an edited
            one in a list that is not sorted by the last change: see `.notes` of the report.
        force: start from the beginning. What is there is replaced when the new file is whole.
        merge: for several products: write one file, `output`, with the reviews of the first
            product, then those of the second, and so on. It is made when all products are
            finished. The directory `<output>.products` keeps what a later run needs.
        verify: compare with the statistics when the file is finished. They can be old or out of
            order: then `complete` is `None`, and `.not_verified` says why.
        concurrency: how many products are exported at a time, at least 1.
        on_progress: called with an `ExportProgress` at most a second after each page, when it is
            safe on the disk, and before each wait. What it raises is logged.

    Returns:
        The result for each file. For several products this includes failed ones: see `.failed`.

    Raises:
        InvalidArgumentError: an argument is outside its limits; or the output already exists,
            belongs to another export, has lost bytes, or cannot be written. Raised before any
            request.
        ExportError: the export of the one product, or of the store, stopped. `.written` reviews
            are safe, `__cause__` is the failure: a refusal by the API, an outage of more than an
            hour, an answer that cannot be understood, or a disk error.
    """
    layout = Layout(format, separator)
    check_layout(layout)
    check_integer("concurrency", concurrency, 1)
    if force and (resume or update):
        raise InvalidArgumentError(
            f"cannot be used with {'resume' if resume else 'update'}: either start from the "
            "beginning, or continue",
            field="force",
        )
    is_one = payment_link_ids is None or isinstance(payment_link_ids, str)
    output = _path(output, is_file=merge or is_one)
    settings = Settings(client, layout, resume, force, update, verify, on_progress)
    if payment_link_ids is None or isinstance(payment_link_ids, str):
        if merge:
            raise InvalidArgumentError("needs a list of products", field="merge")
        selection = Selection(payment_link_ids, rating, status, page_size)
        return await _export_one(settings, selection, output)
    selections = [
        Selection(product, rating, status, page_size) for product in dict.fromkeys(payment_link_ids)
    ]
    if not all(isinstance(one.payment_link_id, str) for one in selections):
        raise InvalidArgumentError("must contain only strings", field="payment_link_ids")
    if not selections:
        raise InvalidArgumentError(
            "is empty: it must contain at least one product", field="payment_link_ids"
        )
    if merge:
        return await _export_merged(settings, selections, output, concurrency)
    return await _export_many(settings, selections, output, concurrency)


async def _export_one(settings: Settings, selection: Selection, output: Path) -> ExportReport:
    export = FileExport(settings, selection, output)
    _preflight([export], output.parent)
    file = await export.run()
    if file.error is not None:
        raise file.error
    return ExportReport((file,), file.seconds)


async def _export_many(
    settings: Settings, selections: Sequence[Selection], directory: Path, concurrency: int
) -> ExportReport:
    suffix = SUFFIXES[settings.layout.format]
    exports = [
        FileExport(settings, selection, directory / f"{selection.payment_link_id}{suffix}")
        for selection in selections
    ]
    _preflight(exports, directory, make_directory=True)
    slots = asyncio.Semaphore(concurrency)

    async def run(export: FileExport) -> FileReport:
        async with slots:
            return await export.run()

    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run(export)) for export in exports]
    return ExportReport(tuple(task.result() for task in tasks), loop.time() - started)


async def _export_merged(
    settings: Settings, selections: Sequence[Selection], output: Path, concurrency: int
) -> ExportReport:
    combined = Combined(output, settings.layout)
    with combined.locked(may_exist=settings.resume or settings.update, force=settings.force):
        of_parts = evolve(settings, layout=Layout("jsonl"))
        report = await _export_many(of_parts, selections, combined.directory, concurrency)
        if report.failed:
            return report
        parts = {file.path: file.written for file in report.files}
        has_invalid = any(file.invalid_count for file in report.files)
        error = None
        try:
            await in_steps(combined.make(parts, has_invalid=has_invalid))
        except OSError as failure:
            error = ExportError(f"{output} could not be written: {failure}")
            error.__cause__ = failure
        except DAMAGE:
            error = ExportError(
                f"{output} was not made: a file in {combined.directory} was changed meanwhile"
            )
    files = (evolve(file, path=output, error=error) for file in report.files)
    return evolve(report, files=tuple(files))


def _path(output: str | os.PathLike[str], *, is_file: bool) -> Path:
    """Return the path, and the target of a link, so that the link itself is not replaced.

    Raises:
        InvalidArgumentError: it cannot be a path.
    """
    try:
        text = os.fsdecode(output)
        if not text:
            raise InvalidArgumentError("is empty: it must be a file", field="output")
        if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://", text):
            raise InvalidArgumentError(
                "is a URL: it must be a file on this machine; write one there, and copy it",
                field="output",
            )
        os.fsencode(text)  # half of a surrogate pair cannot be in a name
        path = Path(text)
        if "\0" in text or (is_file and not path.name):
            raise InvalidArgumentError("does not name a file", field="output")
        return path.resolve(strict=False) if path.is_symlink() else path
    except RuntimeError:
        fault = "leads in a circle: it is a link to itself"
    except OSError as error:
        fault = f"cannot be used: {error.strerror}"
    except (ValueError, TypeError) as error:
        if isinstance(error, InvalidArgumentError):
            raise
        fault = "is not a path"
    raise InvalidArgumentError(fault, field="output")


def _preflight(
    exports: Sequence[FileExport], directory: Path, *, make_directory: bool = False
) -> None:
    """Find, before the first request, everything that would make the export fail.

    The locks of several exports are released again: there may be more of them than files that may
    be open.

    Raises:
        InvalidArgumentError: an argument is outside its limits, or the disk forbids the export.
    """
    for export in exports:
        export.check_arguments()
    fault: str | None
    try:
        if make_directory:
            directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass  # files can be made there
        for export in exports:
            export.preflight()
            if make_directory:
                export.release()
    except OSError as error:
        fault = error.strerror
    else:
        return
    raise InvalidArgumentError(f"cannot be written to {directory}: {fault}", field="output")
