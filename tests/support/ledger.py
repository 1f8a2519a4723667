"""The ledger of a fault server: what happened, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

from attrs import Factory, define, field, frozen

from mayar_reviews.testing.api import PREFIX, Route

JSON: TypeAlias = Any

Kind: TypeAlias = Literal["received", "committed", "answered", "dropped"]


@frozen
class Entry:
    """One thing that happened to one request.

    `answered` means that a whole, well-framed message was sent to a client that was still there;
    a request that does not come to that is `dropped`.
    """

    kind: Kind
    number: int
    at: float
    method: str = ""
    path: str = ""
    query: Mapping[str, str] = Factory(dict)
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    """The request's, by their names in lower case."""
    body: JSON = None
    """Parsed JSON, or None for anything else: of the answer if `answered`, else of the request."""
    status: int | None = None
    route: Route | None = None


@define
class Ledger:
    """Everything that happened, in order."""

    entries: list[Entry] = Factory(list)
    customer: Callable[[str], Mapping[str, JSON] | None] = lambda _: None
    """Finds a customer by email."""

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def of(
        self, kind: Kind, method: str | None = None, path_suffix: str | None = None
    ) -> list[Entry]:
        """Return the entries of a kind, of one method and of paths with one ending if given."""
        return [
            entry
            for entry in self.entries
            if entry.kind == kind
            and method in (None, entry.method)
            and entry.path.endswith(path_suffix or "")
        ]

    def received(self, method: str | None = None, path_suffix: str | None = None) -> list[Entry]:
        """Return the requests that arrived."""
        return self.of("received", method, path_suffix)

    @property
    def exchanges(self) -> int:
        """How many attempts reached the server, connections without a request included."""
        return len({entry.number for entry in self.entries})

    @property
    def creations(self) -> list[Entry]:
        """The creations that arrived."""
        return self.received("POST", "/reviews/create")

    def blind_creations(self) -> list[tuple[Entry, Entry]]:
        """Return the pairs of creations that break the law; a good client makes none.

        Between two creations of one review stands a look-up that was answered, and answered that
        the review is not there; unless the first was refused with 429. Two *calls* that create the
        same review look the same from here: do not ask in such a test.
        """
        creations = self.creations
        pairs = (
            (earlier[-1], second)
            for index, second in enumerate(creations)
            if (earlier := [first for first in creations[:index] if _same_review(first, second)])
        )
        return [(first, second) for first, second in pairs if self._is_blind(first, second)]

    def _is_blind(self, first: Entry, second: Entry) -> bool:
        # Entries are compared by identity: two of them may be equal.
        places = [id(entry) for entry in self.entries]
        between = self.entries[places.index(id(first)) + 1 : places.index(id(second))]
        answers = [entry for entry in between if entry.kind == "answered"]
        refused = any(a.number == first.number and a.status == 429 for a in answers)
        # Of a creation whose body was never read the one before tells what it asked for.
        asked = first if second.body is None else second
        return not refused and not any(self._says_absent(answer, asked) for answer in answers)

    def _says_absent(self, answer: Entry, creation: Entry) -> bool:
        """Whether `answer` is that of a look-up and says that what `creation` asks for is not."""
        asked = creation.body or {}
        customer = self.customer(asked.get("customerEmail", ""))
        return (
            answer.method == "GET"
            and answer.path == f"{PREFIX}/products/{asked.get('paymentLinkId')}/reviews/customer"
            and (customer is None or answer.query.get("customerId") == customer["id"])
            and answer.status == 200
            and isinstance(answer.body, dict)
            and answer.body.get("data", "missing") is None
        )


def _same_review(first: Entry, second: Entry) -> bool:
    def key(entry: Entry) -> tuple[JSON, JSON]:
        return entry.body.get("paymentLinkId"), entry.body.get("customerEmail")

    # A creation whose body was never read may be of any review.
    return first.body is None or second.body is None or key(first) == key(second)
