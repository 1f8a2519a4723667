"""Creating a review exactly once over a network that may lose the answer.

A creation in doubt is never simply sent again: first the review is looked for. Mayar allows one
review per customer and product. So what is found was made by this call, or stands in its way.

This call made it if the rating is the same and the server's clock dates it after the first attempt
in doubt. The text may differ: a server can tidy it. An older review with the same rating and
message is as good, unless media were to be attached.
"""

from __future__ import annotations

from datetime import timedelta

from .call import Call
from .delivery import Delivery, deliver
from .endpoints import CreateReview, GetCustomer, GetCustomerReview
from .errors import ConflictError, DeadlineExceededError, MayarError, NotFoundError
from .models import Review
from .retry import Next

# A server may commit after its answer was lost: look at once, and after 1 and 3 seconds.
_PAUSES = (0.0, 1.0, 2.0)
# `Date` has whole seconds, and one machine may write it and another one `createdAt`.
_CLOCKS_DIFFER = timedelta(seconds=2)


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
                customer_id = customer_id or await find_customer(call, new.customer_email)
                if customer_id is None:
                    raise NotFoundError  # seen by nobody: the call ends as below
                found = await _find_review(call, new.payment_link_id, customer_id)
            except MayarError as error:
                found = error
            if isinstance(found, MayarError):
                raise delivery.outcome_unknown()
            if found is not None:
                return _judge(found, new, outcome, delivery, call)
        await delivery.wait(outcome, absent=must_look)
    return outcome


async def find_customer(call: Call, email: str) -> str | None:
    """Return the id of the customer with that email, or `None` if there is no such customer."""
    try:
        return await deliver(call, GetCustomer(email))
    except NotFoundError as error:
        # Other 404s come from a gateway, or mean that the key's account is gone.
        if "customer" not in error.messages.casefold():
            raise
    return None


async def _find_review(call: Call, payment_link_id: str, customer_id: str) -> Review | None:
    look_up = GetCustomerReview(payment_link_id, customer_id)
    for pause in _PAUSES:
        if pause and not await call.sleep(look_up, pause, "look_up"):
            raise DeadlineExceededError  # seen by nobody: what it leaves in doubt is told
        found = await deliver(call, look_up)
        if found is not None:
            return found
    return None


def _judge(
    found: Review, new: CreateReview, failure: MayarError, delivery: Delivery[Review], call: Call
) -> Review:
    """Return the review that was found if it is the one to be created.

    Raises:
        ConflictError: it is another one.
        OutcomeUnknownError: the server sent no `Date`, or the look-up took so long that the two
            cases look the same.
    """
    assert delivery.doubtful_since is not None
    sent_at = call.server_time(delivery.doubtful_since)
    same_message = (found.message or "").strip() == (new.message or "").strip()
    if found.rating == new.rating:
        if same_message and not new.content_review:
            return found
        if sent_at is None:
            raise delivery.outcome_unknown()
        earliest, latest = sent_at
        if found.created_at >= latest - _CLOCKS_DIFFER:
            return found
        if found.created_at >= earliest - _CLOCKS_DIFFER:
            raise delivery.outcome_unknown()
    conflict = failure if isinstance(failure, ConflictError) else ConflictError(status_code=409)
    conflict.existing = found
    raise conflict from delivery.doubt
