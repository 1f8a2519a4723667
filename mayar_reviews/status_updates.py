"""Setting the status of any number of reviews, fifty to a request."""

from __future__ import annotations

from collections.abc import Iterable

from .arguments import StatusUpdate
from .call import Call
from .checks import MAX_STATUS_UPDATES
from .delivery import deliver
from .endpoints import UpdateReviewStatuses
from .errors import InvalidArgumentError, MayarError, OutcomeUnknownError, StatusUpdateError


def check_updates(updates: Iterable[StatusUpdate]) -> tuple[StatusUpdate, ...]:
    """Return the updates in their order, each once.

    Raises:
        InvalidArgumentError: not status updates, or one review with two statuses or products.
    """
    fault: str | None = None
    by_id: dict[str, StatusUpdate] = {}
    if not isinstance(updates, Iterable):
        fault = f"is of type {type(updates).__name__}"  # type: ignore[unreachable]
        updates = ()
    for update in updates:
        if not isinstance(update, StatusUpdate):
            fault = f"holds a {type(update).__name__}"  # type: ignore[unreachable]
        elif by_id.setdefault(update.id, update) != update:
            fault = f"gives the review {update.id} two statuses or two products"
        if fault is not None:
            break
    if fault is not None:
        raise InvalidArgumentError(
            f"{fault}: it must hold one StatusUpdate for each review", field="updates"
        )
    return tuple(by_id.values())


async def update(call: Call, updates: tuple[StatusUpdate, ...]) -> None:
    """Send the updates, in their order. Each request has a deadline of its own.

    Raises:
        StatusUpdateError: a request failed; the error says what became of every review.
    """
    ids = tuple(update.id for update in updates)
    for start in range(0, len(ids), MAX_STATUS_UPDATES):
        end = start + MAX_STATUS_UPDATES
        with call:
            try:
                await deliver(call, UpdateReviewStatuses(updates[start:end]))
            except MayarError as error:
                failure = error.with_traceback(None)
            else:
                continue
            in_doubt = isinstance(failure, OutcomeUnknownError)
            raise StatusUpdateError(
                f"the update stopped after {start} of {len(ids)} reviews: {failure}",
                applied=ids[:start],
                unknown=ids[start:end] if in_doubt else (),
                not_sent=ids[end if in_doubt else start :],
            ) from (failure.__cause__ if in_doubt else failure)
