"""Creating a review exactly once over a network that may lose the answer.

A creation is never simply repeated: first the review is looked for. Mayar allows one review
per customer and product, so what is found is what this call made, or what stood in its way.

The loop around it, its deadline and its waits are the business of `call`.
"""

from __future__ import annotations

from . import wire
from .arguments import CustomerReview, NewReview
from .call import Call
from .errors import ConflictError, MayarError
from .models import Review

# A server may commit after its answer was lost: look at 0, 1 and 3 seconds.
_PAUSES = (0.0, 1.0, 2.0)


async def create(call: Call, new: NewReview) -> Review:
    """Send a creation, and find out what became of it when the answer leaves it in doubt.

    Raises:
        ConflictError: the customer has reviewed the product; `.existing` where that was seen.
        OutcomeUnknownError: neither seen nor known to be absent, or the attempts are spent.
        MayarError: any failure that says that nothing was created.
    """
    endpoint = wire.create_review(new)
    customer_id = new.customer_id

    async def settle(failure: MayarError, doubt: MayarError) -> Review | None:
        nonlocal customer_id
        try:
            customer_id = customer_id or await call.run(wire.get_customer_id(new.customer_email))
            known, found = await _look(call, new.payment_link_id, customer_id)
        except MayarError:
            known, found = False, None
        if not known:
            raise call.in_doubt(endpoint, doubt)
        if found is None or _is_what_was_asked(found, new):
            return found
        conflict = failure if isinstance(failure, ConflictError) else ConflictError(status_code=409)
        conflict.existing = found
        conflict.attempts = call.attempts
        raise conflict from doubt

    return await call.run(endpoint, settle)


async def _look(
    call: Call, payment_link_id: str, customer_id: str | None
) -> tuple[bool, Review | None]:
    """Whether it can be told what is there, and the review when it is."""
    if customer_id is None:
        return False, None
    look_up = wire.get_customer_review(CustomerReview(payment_link_id, customer_id))
    for pause in _PAUSES:
        if pause and not await call.wait(look_up, pause, "look_up"):
            return False, None
        found = await call.run(look_up)
        if found is not None:
            return True, found
    return True, None


def _is_what_was_asked(found: Review, new: NewReview) -> bool:
    return (
        found.rating == new.rating and (found.message or "").strip() == (new.message or "").strip()
    )
