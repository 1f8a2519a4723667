"""The ways in which the real server was seen to differ from its documentation."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, TypeAlias

from attrs import define, field, validators

JSON = dict[str, Any]

Order: TypeAlias = Literal["created", "updated", "added"]
Cursor: TypeAlias = Literal["created", "updated", "offset"]
Stats: TypeAlias = Literal["right", "stale", "broken"]
Paginate: TypeAlias = Callable[[list[JSON], str | None, int], tuple[list[JSON], Any]]
Omits: TypeAlias = Callable[[JSON, Mapping[str, str]], bool]

QUERY = ("limit", "startingAfter", "rating", "status", "paymentLinkId", "prioritizeMessage")


def _one_of(kind: Any) -> Any:
    return validators.in_(kind.__args__)


@define(kw_only=True)
class Personality:
    """How a server behaves. Every field can be changed while it runs."""

    order: Order = field(default="updated", validator=_one_of(Order))
    """How lists are sorted: newest first by one of the times, or as reviews were added."""

    cursor: Cursor = field(default="created", validator=_one_of(Cursor))
    """What a cursor is: one of the last row's times, and the next page has only older rows; or a
    number of rows to skip, written so that nobody takes it for a time (`c50`)."""

    stats: Stats = field(default="right", validator=_one_of(Stats))
    """`stale`: the figures stay those of the first request. `broken`: 500."""

    ignores: Collection[str] = field(
        default=(), validator=validators.deep_iterable(validators.in_(QUERY))
    )
    """Parameters of a list's query that have no effect, such as `rating`."""

    omits: Omits | None = None
    """Called with a review and a query; returns whether the list leaves the review out."""

    cliff: bool = False
    """A full page of 50 lacks its first two and last five rows, and says that it is the last."""

    status_in_body: bool = False
    """Refusals are HTTP 200; only `statusCode` in the body has their status."""

    paginate: Paginate | None = None
    """Cuts pages instead of `cursor`. Called with all reviews that match, in their order, the
    cursor as sent (or None) and the limit; returns a page and the next cursor (None at the end)."""

    open_shop: bool = False
    """Any product exists, and anyone has bought it."""

    guard_conflicts: bool = True
    """A second review of one customer and product is refused with 409."""
