"""An export to standard output: it cannot be resumed, so it needs neither journal nor state."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

from mayar_reviews import RequestEvent, ReviewsClient, ReviewStatus
from mayar_reviews.export import ExportProgress, ExportReport, FileReport

from . import show

STDOUT = Path("-")
"""The path that a report of such an export has."""


async def stream_reviews(
    client: ReviewsClient,
    payment_link_id: str | None,
    *,
    rating: int | None,
    status: ReviewStatus | None,
    page_size: int,
    on_progress: Callable[[ExportProgress], object],
) -> ExportReport:
    """Write each review of a product, or of the store, to standard output as it comes.

    The arguments are those of `export_reviews`, and so is the report.
    """
    started = time.monotonic()
    pages = requests = 0
    ratings: Counter[int] = Counter()
    before: frozenset[str] = frozenset()

    def tell(waiting: str | None = None, seconds: float = 0.0) -> None:
        on_progress(ExportProgress(payment_link_id, ratings.total(), pages, None, waiting, seconds))

    def note(event: RequestEvent) -> None:
        nonlocal requests
        if event.kind == "attempt":
            requests += 1
        else:
            tell((event.reason or "").replace("_", " "), event.seconds)

    client = client.with_options(deadline=None, on_event=note)
    walk = (
        client.iter_review_pages(page_size=page_size, status=status, rating=rating)
        if payment_link_id is None
        else client.iter_product_review_pages(payment_link_id, page_size=page_size, rating=rating)
    )
    async with aclosing(walk):
        async for page in walk:
            for review, raw in zip(page.data, page.raw, strict=True):
                if review.id not in before:
                    show.write_json(raw)
                    ratings[review.rating] += 1
            sys.stdout.flush()
            before = frozenset(review.id for review in page.data)
            pages += 1
            tell()
    seconds = time.monotonic() - started
    file = FileReport(
        payment_link_id, STDOUT, ratings.total(), pages, requests, seconds, None, ratings
    )
    return ExportReport((file,), seconds)
