"""Creating a review exactly once over a network that may lose the answer.

A creation in doubt is never simply sent again: first the review is looked for. Mayar allows one
review per customer and product. So what is found was made by this call, or stands in its way.
"""

from __future__ import annotations

from .call import Call
from .delivery import Delivery, deliver
from .endpoints import CreateReview, GetCustomer, GetCustomerReview
from .errors import ConflictError, DeadlineExceededError, MayarError, NotFoundError
from .models import Review
from .retry import Next

# A server may commit after its answer was lost: look at once, and after 1 and 3 seconds.
_PAUSES = (0.0, 1.0, 2.0)


async def create(call: Call, new: CreateReview, customer_id: str | None) -> Review:
    """Create a review; look whether it is there when the answer leaves that in doubt.

    Args:
        call: the call.
        new: the creation.
        customer_id: the customer, if known; it saves a look-up.

    Raises:
        ConflictError: the customer has reviewed the product; `.existing` where that was seen.
        OutcomeUnknownError: the review was neither seen nor known to be absent, or the attempts
            are spent.
        MayarError: any other failure; nothing was created.
    """
    delivery = Delivery(call, new)
    while isinstance(outcome := await delivery.send(), MayarError):
        must_look = delivery.next is Next.LOOK
        if must_look:
            found: Review | MayarError | None
            try:
                customer_id = customer_id or await _find_customer(call, new.customer_email)
                found = await _find_review(call, new.payment_link_id, customer_id)
            except MayarError as error:
                found = error
            if isinstance(found, MayarError):
                raise delivery.outcome_unknown()
            if found is not None:
                return _judge(found, new, outcome, delivery.doubt)
        await delivery.wait(outcome, absent=must_look)
    return outcome


async def _find_customer(call: Call, email: str) -> str:
    customer_id = await deliver(call, GetCustomer(email))
    if customer_id is None:
        raise NotFoundError("the API knows no customer with this email", status_code=404)
    return customer_id


async def _find_review(call: Call, payment_link_id: str, customer_id: str) -> Review | None:
    look_up = GetCustomerReview(payment_link_id, customer_id)
    for pause in _PAUSES:
        if pause and not await call.sleep(look_up, pause, "look_up"):
            raise DeadlineExceededError("the deadline is sooner than the next look-up")
        found = await deliver(call, look_up)
        if found is not None:
            return found
    return None


def _judge(
    found: Review, new: CreateReview, failure: MayarError, doubt: MayarError | None
) -> Review:
    """Return the review that was found if it is ours.

    Raises:
        ConflictError: it is another one.
    """
    same_message = (found.message or "").strip() == (new.message or "").strip()
    if found.rating == new.rating and same_message:
        return found
    conflict = failure if isinstance(failure, ConflictError) else ConflictError(status_code=409)
    conflict.existing = found
    raise conflict from doubt
