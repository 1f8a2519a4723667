"""Setting the status of any number of reviews, fifty to a request.

Each request has a deadline of its own; it is run, and tried again, by `call`.
"""

from __future__ import annotations

from collections.abc import Iterable

from . import wire
from .arguments import StatusUpdate
from .call import Call, Caller
from .errors import InvalidArgumentError, MayarError, OutcomeUnknownError, StatusUpdateError

_PER_REQUEST = 50


async def update(caller: Caller, updates: Iterable[StatusUpdate]) -> None:
    """Send the updates, in their order.

    Raises:
        InvalidArgumentError: not status updates, or one review with two statuses.
        StatusUpdateError: a request failed; it says what became of every review.
    """
    asked = _checked(updates)
    call = Call(caller)
    call.start()
    for start in range(0, len(asked), _PER_REQUEST):
        chunk = asked[start : start + _PER_REQUEST]
        failure: MayarError
        try:
            call.go_on()
            await call.run(wire.update_review_statuses(chunk))
        except MayarError as error:
            failure = error
        else:
            continue
        ids = [update.id for update in asked]
        end = start + len(chunk)
        in_doubt = isinstance(failure, OutcomeUnknownError)
        stopped = StatusUpdateError(
            f"the update stopped after {start} of {len(ids)} reviews: {failure}",
            applied=tuple(ids[:start]),
            unknown=tuple(ids[start:end]) if in_doubt else (),
            not_sent=tuple(ids[end if in_doubt else start :]),
        )
        stopped.attempts = call.attempts
        raise stopped from (failure.__cause__ if in_doubt else failure)


def _checked(updates: Iterable[StatusUpdate]) -> tuple[StatusUpdate, ...]:
    if not isinstance(updates, Iterable):
        raise InvalidArgumentError(
            f"updates is of type {type(updates).__name__}: it must be StatusUpdate objects",
            field="updates",
        )
    by_id: dict[str, StatusUpdate] = {}
    for update in updates:
        if not isinstance(update, StatusUpdate):
            raise InvalidArgumentError(
                f"updates holds a {type(update).__name__}: it must hold StatusUpdate objects",
                field="updates",
            )
        if by_id.setdefault(update.id, update) != update:
            raise InvalidArgumentError(
                f"updates gives the review {update.id} two statuses or products: it can have "
                "only one",
                field="updates",
            )
    return tuple(by_id.values())
