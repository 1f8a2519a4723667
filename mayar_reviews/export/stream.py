"""An export into a stream, such as standard output.

A stream cannot be resumed, so this needs neither a journal nor a state. A review that is edited
while the list is read comes a second time, in its newer form.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mayar_reviews import IncompleteListError, ReviewStatus
from mayar_reviews.checks import DEFAULT_PAGE_SIZE

from .patience import ApiHealth, Patience
from .report import ExportProgress, ExportReport, FileReport, ProgressReporter
from .rows import MOST_NAMED, fault_of, json_lines, keyed_rows, name_of, value_of
from .selection import Selection, patient_client

if TYPE_CHECKING:
    from mayar_reviews import ReviewsClient

STREAM = Path("-")
"""The path in the report of such an export."""


async def stream_reviews(
    client: ReviewsClient,
    payment_link_id: str | None,
    output: BinaryIO,
    *,
    rating: int | None = None,
    status: ReviewStatus | str | None = None,
    page_size: int = DEFAULT_PAGE_SIZE,
    on_progress: Callable[[ExportProgress], object] | None = None,
) -> ExportReport:
    """Write the reviews of one product, or of the whole store, as JSON lines.

    Each page is written and flushed as it arrives. Outages are waited out. The arguments are
    those of `export_reviews`.

    Raises:
        InvalidArgumentError: an argument is outside its limits.
        MayarError: the list ended early.
        OSError: the stream cannot be written to.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    progress = ProgressReporter(payment_link_id, on_progress)
    patience = Patience(ApiHealth(), progress.report)
    ratings: Counter[int] = Counter()
    gaps: tuple[tuple[datetime, datetime], ...] = ()
    selection = Selection(payment_link_id, rating, status, page_size)
    client = patient_client(client, progress, patience)
    selection.check(client)
    last: dict[str, int] = {}  # going on repeats at most the reviews of one millisecond
    invalid: dict[str, str] = {}
    invalid_count = 0
    try:
        async with aclosing(selection.patient_pages(client, patience)) as pages:
            async for page in pages:
                shown = keyed_rows(page)
                keyed = {key: raw for key, raw in shown if last.get(key.id) != key.updated}
                rows = list(keyed.values())
                output.write(json_lines(rows))
                output.flush()
                ratings.update(filter(None, (value_of(raw, "rating", int) for raw in rows)))
                for key, raw in keyed.items() if page.invalid else ():
                    if (fault := fault_of(raw)) is not None:
                        invalid_count += 1
                        if len(invalid) < MOST_NAMED:
                            invalid[name_of(key.id, invalid_count)] = fault
                last = {key.id: key.updated for key, _ in shown} or last
                progress.written += len(rows)
                progress.pages += 1
                progress.report()
    except IncompleteListError as error:
        gaps = error.gaps
    file = FileReport(
        payment_link_id,
        STREAM,
        written=progress.written,
        pages=progress.pages,
        requests=progress.requests,
        seconds=loop.time() - started,
        ratings=ratings,
        gaps=gaps,
        invalid=invalid,
        invalid_count=invalid_count,
    )
    return ExportReport((file,), file.seconds)
