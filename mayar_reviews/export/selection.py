"""Which reviews an export asks for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from attrs import frozen

from mayar_reviews import (
    InvalidArgumentError,
    MayarError,
    RetryPolicy,
    ReviewPage,
    ReviewStatus,
)
from mayar_reviews.api_json import to_milliseconds
from mayar_reviews.checks import DEFAULT_PAGE_SIZE
from mayar_reviews.walk import Walk

from .patience import Patience
from .report import ProgressReporter
from .state import Gaps

if TYPE_CHECKING:
    from mayar_reviews import ReviewsClient

# For one page with all its waiting for slots and 429s: a little more than the longest outage, so
# that a 429 without end is one when this ends.
_PAGE_DEADLINE = 3660.0
# A second opinion is not worth more.
_STATISTICS_DEADLINE = 120.0
_QUICK_DEADLINE = 10.0


def gaps_in_milliseconds(gaps: Iterable[tuple[datetime, datetime]]) -> Gaps:
    """Return spans of time as the API would write them."""
    return tuple((to_milliseconds(start), to_milliseconds(until)) for start, until in gaps)


def patient_client(
    client: ReviewsClient, progress: ProgressReporter, patience: Patience
) -> ReviewsClient:
    """Return the client with time enough for a page, and its events told to both."""
    return client.with_options(deadline=_PAGE_DEADLINE, on_event=progress.on_event).with_options(
        on_event=patience.on_event
    )


@frozen
class Selection:
    """The reviews of one product or of the whole store, perhaps filtered."""

    payment_link_id: str | None
    """The product; `None`: the whole store."""
    rating: int | None = None
    status: ReviewStatus | str | None = None
    """For the whole store only."""
    page_size: int = DEFAULT_PAGE_SIZE

    def check(self, client: ReviewsClient) -> None:
        """Check every field. This matters most for an id, because files are named after it.

        Raises:
            InvalidArgumentError: a field is outside its limits.
        """
        if self.status is not None and self.payment_link_id is not None:
            raise InvalidArgumentError(
                "can only be used for the whole store: a product's list has active reviews only",
                field="status",
            )
        self.pages(client)  # the client checks the rest when it is called

    def pages(
        self, client: ReviewsClient, starting_after: str | None = None
    ) -> AsyncGenerator[ReviewPage, None]:
        """Return the pages from a cursor on."""
        if self.payment_link_id is None:
            return client.iter_review_pages(
                page_size=self.page_size,
                starting_after=starting_after,
                status=self.status,  # type: ignore[arg-type]  # the client checks it
                rating=self.rating,
                keep_invalid=True,
            )
        return client.iter_product_review_pages(
            self.payment_link_id,
            page_size=self.page_size,
            starting_after=starting_after,
            rating=self.rating,
            keep_invalid=True,
        )

    async def patient_pages(
        self, client: ReviewsClient, patience: Patience, starting_after: str | None = None
    ) -> AsyncGenerator[ReviewPage, None]:
        """Yield the pages from a cursor on. Each outage is waited out, and the walk goes on.

        Raises:
            IncompleteListError: after the last page; the server cannot show some reviews.
            MayarError: a page could not be fetched.
        """
        pages = self.pages(client, starting_after)

        async def next_page() -> ReviewPage | None:
            nonlocal pages
            try:
                return await anext(pages, None)
            except MayarError as error:
                # Not the cursor of the last page: the walk may have passed some in silence.
                pages = self.pages(client, error.starting_after)
                raise

        try:
            while (page := await patience.outlast(next_page)) is not None:
                yield page
        finally:
            await pages.aclose()

    @staticmethod
    def gaps_before(page: ReviewPage) -> Gaps:
        """Return what the server could not show up to this page."""
        walk = Walk.begin(page.next_starting_after, 1)
        return gaps_in_milliseconds(walk.gaps)

    async def count(self, client: ReviewsClient, *, patient: bool = True) -> dict[int, int]:
        """Ask the statistics how many active reviews there are, by rating.

        Raises:
            MayarError: they do not answer. Nothing waits for them as for a page.
        """
        client = (
            client.with_options(deadline=_STATISTICS_DEADLINE)
            if patient
            else client.with_options(deadline=_QUICK_DEADLINE, retry=RetryPolicy.none())
        )
        if self.payment_link_id is None:
            stats = await client.get_merchant_stats()
        else:
            stats = await client.get_product_stats(self.payment_link_id)
        return {
            one.rating: one.total_rating
            for one in (() if stats is None else stats.stats)
            if self.rating in (None, one.rating)
        }

    @property
    def is_active_only(self) -> bool:
        """Whether the list has active reviews only, as the statistics do."""
        return self.payment_link_id is not None or self.status == ReviewStatus.ACTIVE
