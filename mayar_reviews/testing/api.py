"""The reviews API of Mayar without I/O: a request in, a reply out.

It follows Mayar's documentation, and what was seen of the real API where that differs. A comment
marks what neither tells.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from operator import attrgetter
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote

from attrs import Factory, evolve, frozen

from .personality import JSON, Personality
from .store import Row, Store, attach, detach, is_visible
from .validation import STATUSES, faults

PREFIX = "/hl/v2"

Route: TypeAlias = Literal[
    "create",
    "update",
    "bulk_status",
    "customer_review",
    "product_reviews",
    "product_stats",
    "merchant_stats",
    "reviews",
    "customer",
]
_PATHS: list[tuple[Route, str, str]] = [
    ("create", "POST", "/reviews/create"),
    ("bulk_status", "POST", "/reviews/bulk-status/update"),
    ("update", "POST", "/reviews/[^/]+/update"),
    ("customer_review", "GET", "/products/([^/]+)/reviews/customer"),
    ("product_stats", "GET", "/products/([^/]+)/reviews/stats"),
    ("product_reviews", "GET", "/products/([^/]+)/reviews"),
    ("merchant_stats", "GET", "/merchants/reviews/stats"),
    ("reviews", "GET", "/reviews"),
    ("customer", "GET", "/customers/detail"),
]
_ROUTES: list[tuple[Route, str, re.Pattern[str]]] = [
    (route, method, re.compile(PREFIX + path)) for route, method, path in _PATHS
]


@frozen
class Request:
    """A request as a server has read it."""

    method: str
    path: str
    """As sent: percent-encoded, without the query."""
    query: Mapping[str, str] = Factory(dict)
    body: Any = None
    """Parsed; None if there was no body or it was not JSON."""
    authorization: str | None = None


@frozen
class Reply:
    """What a server answers."""

    status: int
    envelope: Any
    headers: Mapping[str, str] = Factory(dict)
    committed: bool = False
    """Whether a write was done."""


@frozen
class Keys:
    """The API keys that a server accepts or refuses in its own way."""

    full: str
    read_only: str | None = None
    account_gone: str | None = None
    """The key of an account that was deleted."""


def ok(data: Any, **rest: Any) -> Reply:
    """An answer with data."""
    return Reply(200, {"statusCode": 200, "messages": "success", "data": data, **rest})


def refusal(status: int, messages: str, **rest: Any) -> Reply:
    """An answer that refuses."""
    return Reply(status, {"statusCode": status, "messages": messages, **rest})


def route_of(method: str, path: str) -> tuple[Route | None, str]:
    """Which endpoint a request is for, and of which product; None and "" where there is none."""
    for route, verb, pattern in _ROUTES:
        if method == verb and (match := pattern.fullmatch(path)):
            return route, unquote("".join(match.groups()))
    return None, ""


class _RefusalError(Exception):
    """Ends a request with this reply."""

    def __init__(self, status: int, messages: str, **rest: Any) -> None:
        super().__init__(messages)
        self.reply = refusal(status, messages, **rest)


class ReviewsApi:
    """The nine endpoints over a store, with a personality. Without `keys` every key is right."""

    def __init__(
        self, store: Store, personality: Personality | None = None, keys: Keys | None = None
    ) -> None:
        self.store = store
        self.personality: Personality = personality or Personality()
        self._keys = keys
        self._lists = 0  # how many were asked for
        self._meanwhile = defaultdict[int, list[Callable[[], object]]](list)
        self._stale: dict[str | None, JSON] = {}

    def before_list(self, number: int, call: Callable[[], object]) -> None:
        """Call `call` when the `number`-th list request from now has arrived; 1 is the next one."""
        self._meanwhile[self._lists + number].append(call)

    def count_stats(self) -> None:
        """Count all statistics now; `stats="stale"` keeps showing these figures."""
        self._stale = {product: self.store.stats(product) for product in self.store.products}

    def handle(self, request: Request) -> Reply:
        """Do what a request asks. Its key is not looked at."""
        try:
            return self._answer(request)
        except _RefusalError as refused:
            return self.dress(refused.reply)

    def check_key(self, request: Request) -> Reply | None:
        """Return the refusal of a request whose key is wrong; None if the key is right."""
        if self._keys is None:
            return None
        scheme, _, key = (request.authorization or "").partition(" ")
        if scheme != "Bearer" or key not in (
            self._keys.full,
            self._keys.read_only,
            self._keys.account_gone,
        ):
            return self.dress(refusal(401, "Unauthorized"))
        if key == self._keys.account_gone:
            return self.dress(refusal(404, "User in JWT not found"))
        if key == self._keys.read_only and request.method != "GET":
            return self.dress(refusal(403, "API KEY Scope not allowed to write"))
        return None

    def dress(self, refused: Reply) -> Reply:
        """Return a refusal as a server of this personality sends it."""
        return evolve(refused, status=200) if self.personality.status_in_body else refused

    def _answer(self, request: Request) -> Reply:  # noqa: PLR0911  one for each endpoint
        route, product = route_of(request.method, request.path)
        match route:
            case "create":
                return self._create(
                    _valid(request.body, "paymentLinkId", "customerEmail", "rating")
                )
            case "update":
                return self._update(_valid(request.body, "id"))
            case "bulk_status":
                return self._bulk_status(_valid(request.body, "input")["input"])
            case "customer_review":
                return self._customer_review(product, request.query)
            case "product_reviews":
                return self._product_reviews(product, self._query(request))
            case "product_stats":
                # Undocumented for a product that is not there; it has no reviews, at any rate.
                return self._stats(product)
            case "merchant_stats":
                return self._stats(None)
            case "reviews":
                return self._reviews(self._query(request))
            case "customer":
                return self._customer(request.query)
            case None:
                raise _RefusalError(404, "Not Found")

    def _create(self, body: JSON) -> Reply:
        store, product, email = self.store, body["paymentLinkId"], body["customerEmail"]
        if self.personality.open_shop:
            store.add_purchase(product, email)
        if not store.sells(product):
            raise _RefusalError(404, "Produk tidak ditemukan")
        customer = store.customer(email)
        if customer is None or not store.has_paid(product, customer["id"]):
            raise _RefusalError(403, "Anda belum pernah membeli produk ini")
        if self.personality.guard_conflicts and store.review_of(product, customer["id"]):
            raise _RefusalError(
                409,
                "Anda sudah memberikan ulasan untuk produk ini, jika ingin mengedit ulasan, "
                "silahkan gunakan fitur edit ulasan",
            )
        review = store.add_review(
            product, customerId=customer["id"], rating=body["rating"], message=body.get("message")
        )
        attach(review, body.get("contentReview", ()))
        return evolve(ok(_record(review)), committed=True)

    def _update(self, body: JSON) -> Reply:
        store = self.store
        review = store.reviews.get(body["id"])  # as documented, the id in the URL is ignored
        if review is None:
            raise _RefusalError(404, "Review tidak ditemukan")
        product = body.get("paymentLinkId", review.get("paymentLinkId"))
        customer_ids = [body["customerId"]] if "customerId" in body else []
        if "customerEmail" in body:
            customer_ids.append((store.customer(body["customerEmail"]) or {}).get("id"))
        for customer_id in customer_ids or [review.get("customerId")]:
            if not store.has_paid(product, customer_id):
                raise _RefusalError(404, "Transaksi tidak ditemukan")
        store.edit_review(body["id"], **{f: body[f] for f in ("rating", "message") if f in body})
        detach(review, body.get("deleteContentReview", ()))
        attach(review, body.get("contentReview", ()))
        return evolve(ok(_record(review)), committed=True)

    def _bulk_status(self, updates: list[JSON]) -> Reply:
        if any(update["id"] not in self.store.reviews for update in updates):
            raise _RefusalError(400, "Review is not valid! Please check your payload.")
        for update in updates:
            self.store.edit_review(update["id"], status=update["status"])
        return Reply(200, {"statusCode": 200, "messages": "success"}, committed=True)

    def _customer_review(self, product: str, query: Mapping[str, str]) -> Reply:
        customer_id = query.get("customerId")
        if not customer_id:
            raise _RefusalError(400, "customerId query parameter is required")
        review = self.store.review_of(product, customer_id)
        return ok(review and _without(review, "customer", "paymentLink"))

    def _customer(self, query: Mapping[str, str]) -> Reply:
        email = query.get("email")
        if not email:
            raise _RefusalError(400, "email query parameter is required")  # undocumented
        customer = self.store.customer(email)
        if customer is None:
            raise _RefusalError(404, "Customer not found")
        return ok(customer)

    def _stats(self, product: str | None) -> Reply:
        match self.personality.stats:
            case "right":
                return ok(self.store.stats(product))
            case "stale":
                if product not in self._stale:
                    self._stale[product] = self.store.stats(product)
                return ok(self._stale[product])
            case "broken":
                raise _RefusalError(500, "gtFetch(...).then is not a function")

    def _query(self, request: Request) -> JSON:
        """Return the query of a list without the parameters that the server ignores."""
        ignored = self.personality.ignores
        return {name: text for name, text in request.query.items() if name not in ignored}

    def _product_reviews(self, product: str, query: JSON) -> Reply:
        if not (self.personality.open_shop or self.store.sells(product)):
            raise _RefusalError(404, "Produk tidak ditemukan")  # documented for creation only
        message_first = _parameter(query, "prioritizeMessage", "true|false") == "true"
        return self._list(product, query, is_visible, message_first=message_first)

    def _reviews(self, query: JSON) -> Reply:
        status = _parameter(query, "status", "|".join(STATUSES))
        return self._list(
            query.get("paymentLinkId") or None,
            query,
            lambda review: status in (None, review.get("status")),
        )

    def _list(
        self,
        product: str | None,
        query: JSON,
        keep: Callable[[JSON], bool],
        *,
        message_first: bool = False,
    ) -> Reply:
        self._lists += 1
        for call in self._meanwhile.pop(self._lists, ()):
            call()
        rating = _parameter(query, "rating", "[1-5]")
        limit = min(int(_parameter(query, "limit", "0*[1-9][0-9]{0,9}") or "10"), 50)
        omits = self.personality.omits

        def matches(row: Row) -> bool:
            review = row.review
            return (
                keep(review)
                and rating in (None, str(review.get("rating")))
                and not (omits and omits(review, query))
            )

        rows = self.store.rows(product, self.personality.order)
        if message_first:
            rows = [row for first in (True, False) for row in rows if _has_message(row) is first]
        reviews, cursor = _page(rows, matches, self.personality, query, limit)
        if self.personality.cliff and len(reviews) == 50:
            reviews, cursor = reviews[2:45], None
        return ok(reviews, hasMore=cursor is not None, nextStartingAfter=cursor)


def _page(
    rows: Sequence[Row],
    matches: Callable[[Row], bool],
    personality: Personality,
    query: JSON,
    limit: int,
) -> tuple[list[JSON], Any]:
    """The next `limit` reviews, and the cursor of the page after them, None if there is none.

    Where the cursor is a time, a page has only what is strictly older, as in the API's other
    lists. So two kinds of reviews never show: those of the last row's millisecond that are not on
    its page, and those that are newer than the cursor but stand after it.
    """
    if personality.paginate is not None:
        reviews = [row.review for row in rows if matches(row)]
        return personality.paginate(reviews, query.get("startingAfter"), limit)
    if personality.cursor == "offset":
        after = _parameter(query, "startingAfter", "c[0-9]{1,18}")
        start = int(after[1:]) if after else 0
        page = list(islice(filter(matches, rows), start, start + limit + 1))
        cursor = f"c{start + limit}"
    else:
        time = attrgetter(personality.cursor)
        after = _parameter(query, "startingAfter", "-?[0-9]{1,18}")
        before = int(after or 0)
        older = rows if after is None else (row for row in rows if time(row) < before)
        page = list(islice(filter(matches, older), limit + 1))
        cursor = str(time(page[:limit][-1])) if page else ""
    more = len(page) > limit  # one more was read to see whether more remain
    return [row.review for row in page[:limit]], cursor if more else None


def _has_message(row: Row) -> bool:
    return bool(row.review.get("message"))


def _without(review: JSON, *names: str) -> JSON:
    return {name: value for name, value in review.items() if name not in names}


def _record(review: JSON) -> JSON:
    """A review as creation and update answer it."""
    return _without(review, "multipleImage", "content", "customer", "paymentLink")


def _parameter(query: Mapping[str, str], name: str, pattern: str) -> str | None:
    """A parameter of the query, if it is there; what a bad one gets is undocumented."""
    text = query.get(name)
    if text is not None and not re.fullmatch(pattern, text):
        raise _RefusalError(400, f"{name} query parameter is not valid")
    return text


def _valid(body: Any, *required: str) -> JSON:
    if found := faults(body, *required):
        raise _RefusalError(200, "failed", data=found)  # documented to come with HTTP 200
    valid: JSON = body
    return valid
