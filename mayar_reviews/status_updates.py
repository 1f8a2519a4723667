"""Setting the status of any number of reviews, fifty to a request."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import Factory, define

from .arguments import StatusUpdate
from .call import Call
from .checks import MAX_STATUS_UPDATES
from .delivery import Delivery
from .endpoints import UpdateReviewStatuses
from .errors import (
    BadRequestError,
    InvalidArgumentError,
    MayarError,
    OutcomeUnknownError,
    StatusUpdateError,
    ValidationError,
)


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


@define
class _Progress:
    """What became of the reviews so far."""

    applied: list[str] = Factory(list)
    refused: list[str] = Factory(list)
    doubtful: set[str] = Factory(set)
    """The reviews of requests that may have been applied."""

    def error(self, text: str, not_sent: tuple[str, ...]) -> StatusUpdateError:
        """Return the error. Of the reviews that were not applied, the doubtful ones are unknown."""
        return StatusUpdateError(
            text,
            applied=tuple(self.applied),
            refused=tuple(one for one in self.refused if one not in self.doubtful),
            unknown=tuple(one for one in (*self.refused, *not_sent) if one in self.doubtful),
            not_sent=tuple(one for one in not_sent if one not in self.doubtful),
        )


async def update(call: Call, updates: tuple[StatusUpdate, ...]) -> None:
    """Send the updates, in their order. Each request has a deadline of its own.

    The API refuses a request as a whole when one of its reviews is wrong. Such a request is
    halved until the wrong review is alone, so that the others are applied.

    Raises:
        StatusUpdateError: the error says what became of every review.
    """
    starts = range(0, len(updates), MAX_STATUS_UPDATES)
    left = [updates[start : start + MAX_STATUS_UPDATES] for start in reversed(starts)]
    progress = _Progress()
    refused_in_a_row = 0
    refusal: MayarError | None = None
    while left and refused_in_a_row < MAX_STATUS_UPDATES:
        part = left.pop()
        with call:
            failure: MayarError | None = None
            stopped: StatusUpdateError | None = None
            try:
                failure = await _send(call, part, progress)
            except MayarError as error:
                stopped = _stopped(error.with_traceback(None), part, left, progress)
            if stopped is not None:
                raise stopped
            if failure is None:
                progress.applied += _ids(part)
                refused_in_a_row = 0
                continue
            refusal = failure
            if len(part) == 1:
                progress.refused += _ids(part)
                refused_in_a_row += 1
            else:
                middle = len(part) // 2
                left += [part[middle:], part[:middle]]
    if progress.refused:
        refused = len(progress.refused)
        with call:
            raise progress.error(
                f"{refused} of {len(updates)} status updates were refused: {refusal}",
                _ids(*reversed(left)),
            ) from refusal


async def _send(
    call: Call, part: tuple[StatusUpdate, ...], progress: _Progress
) -> MayarError | None:
    """Send one request. Return the refusal, if it is one that a single review can cause.

    The request sets values, so what is refused can be halved and sent again, even when an earlier
    attempt may have been applied.
    """
    delivery = Delivery(call, UpdateReviewStatuses(part))
    while isinstance(outcome := await delivery.send(), MayarError):
        if isinstance(outcome, BadRequestError | ValidationError):
            if delivery.doubt is not None:
                progress.doubtful.update(_ids(part))
            return outcome
        await delivery.wait(outcome)
    return None


def _stopped(
    failure: MayarError,
    part: tuple[StatusUpdate, ...],
    left: list[tuple[StatusUpdate, ...]],
    progress: _Progress,
) -> StatusUpdateError:
    in_doubt = isinstance(failure, OutcomeUnknownError)
    if in_doubt:
        progress.doubtful.update(_ids(part))
    error = progress.error(
        f"the update stopped after {len(progress.applied)} applied status updates: {failure}",
        _ids(part, *reversed(left)),
    )
    error.__cause__ = failure.__cause__ if in_doubt else failure
    return error


def _ids(*parts: tuple[StatusUpdate, ...]) -> tuple[str, ...]:
    return tuple(update.id for part in parts for update in part)
