"""What `on_event` is called with: the one view into a call while it runs."""

from __future__ import annotations

from typing import Literal

from attrs import frozen


@frozen
class RequestEvent:
    """One attempt that has ended, or one wait that begins.

    It never holds a key, an id, an email or a message's text.
    """

    kind: Literal["attempt", "wait"]
    endpoint: str
    """The endpoint's name, such as `list_product_reviews`; look-ups have their own."""
    method: str
    route: str
    """The path as documented, such as `/products/{payment_link_id}/reviews`."""
    attempt: int
    """Which exchange of the call, or of its page, it is, from 1; of a wait, the one to come."""
    status_code: int | None
    """The HTTP status, `None` where no answer came and for a wait."""
    seconds: float
    """How long the attempt took, or how long the wait will take at least."""
    reason: str | None
    """An attempt's exception, by class name, `None` after success; a wait's cause: `rate_limit`,
    `retry`, `look_up`, or `pause`: the server has asked the whole client to wait for minutes."""
