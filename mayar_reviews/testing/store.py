"""The shop behind `FakeMayar`: products, customers, purchases and reviews, all in memory.

Records are plain dictionaries with the API's own field names, so that whatever a test puts into
one is what its client gets to see.
"""

import json
import random
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import Any

from attrs import define

from . import seeds
from .personality import Order

JSON = dict[str, Any]

_USER = {"id": seeds.USER_ID, "name": "Toko Mayar Demo", "email": "merchant@example.com"}
_MEDIA = {"image": "multipleImage", "video": "content"}


@define(eq=False)
class Row:
    """A review and its place in the lists."""

    review: JSON
    created: int
    updated: int
    number: int  # reviews of the same time are listed in a fixed order: the last added first


_SORT_KEYS: dict[Order, Callable[[Row], tuple[int, int]]] = {
    "created": lambda row: (row.created, row.number),
    "updated": lambda row: (row.updated, row.number),
}


class Store:
    """What the shop holds, and the methods by which a test changes it.

    These methods do not apply the API's limits, nor its rule of one review for each customer and
    product. `clock` returns the time in Unix milliseconds; with a `seed` the generated ids are
    always the same.
    """

    # A server in another thread puts a lock here.
    _lock: AbstractContextManager[Any] = nullcontext()

    def __init__(self, clock: Callable[[], int] | None = None, *, seed: int | None = None) -> None:
        self.clock: Callable[[], int] = clock or _unix_milliseconds
        self._random = random.Random(seed)  # noqa: S311  ids of reviews are no secrets
        self._latest = 0
        self._products: dict[str, JSON] = {}
        self._customers: dict[str, JSON] = {}
        self._customers_by_email: dict[str, JSON] = {}
        # Who has paid for what, (payment link, customer), and the review that came of it, if any.
        self._purchases: dict[tuple[str, str], JSON | None] = {}
        self._reviews: dict[str, JSON] = {}
        self._rows: dict[str, Row] = {}
        # The rows of each product, and under None those of the whole store, as they were added.
        self._added = defaultdict[str | None, list[Row]](list)
        # The same rows sorted, until something changes.
        self._sorted: dict[tuple[str | None, Order], list[Row]] = {}

    @property
    def reviews(self) -> Mapping[str, JSON]:
        """The stored reviews by id, with all that lists show, in the order they were added.

        The mapping is read-only, but the reviews are not: the next answer shows what you change in
        one. Only `edit_review` also moves a review in the lists.
        """
        return MappingProxyType(self._reviews)

    def add_product(
        self,
        payment_link_id: str | None = None,
        *,
        name: str = "Kelas Pemrograman Web Dasar",
        type: str = "course",
    ) -> str:
        """Put a product (a payment link) on sale and return its id, a random UUID unless given.

        Lists show its `name` and `type`. An id that is taken raises `ValueError`.
        """
        payment_link_id = payment_link_id or self._new_id()
        link = "-".join(name.lower().split())
        with self._lock:
            if payment_link_id in self._products:
                raise ValueError(f"there is a product {payment_link_id!r} already")
            self._products[payment_link_id] = {
                "id": payment_link_id,
                "name": name,
                "type": type,
                "link": link,
                "subType": None,
            }
        return payment_link_id

    def add_customer(
        self, email: str, *, customer_id: str | None = None, name: str = "Budi Santoso"
    ) -> str:
        """Register a customer and return their id, a random UUID unless given.

        They have bought nothing yet. Clients find them by `email`, letter for letter; lists show
        their `name`. An email or an id that is taken raises `ValueError`.
        """
        customer_id = customer_id or self._new_id()
        with self._lock:
            if email in self._customers_by_email or customer_id in self._customers:
                raise ValueError(f"there is a customer {email!r} or {customer_id!r} already")
            now = self.now()
            self._customers[customer_id] = self._customers_by_email[email] = {
                "id": customer_id,
                "createdAt": now,
                "email": email,
                "mobile": "081234567890",
                "name": name,
                "status": "active",
                "updatedAt": now,
                "userId": seeds.USER_ID,
                "user": _USER,
            }
        return customer_id

    def add_purchase(self, payment_link_id: str, email: str) -> str:
        """Let a customer have paid for a product, so that a client may create their review.

        A product or a customer that is not there yet is added. Returns the customer's id.
        """
        with self._lock:
            if payment_link_id not in self._products:
                self.add_product(payment_link_id)
            if email not in self._customers_by_email:
                self.add_customer(email)
            customer_id: str = self._customers_by_email[email]["id"]
            self._purchases.setdefault((payment_link_id, customer_id))
        return customer_id

    def add_review(self, payment_link_id: str, **fields: Any) -> JSON:
        """Store a review of a product and the purchase behind it; return what is stored.

        By default a new customer wrote it now, with five stars and an ordinary message; no other
        such review has the same `createdAt`. `fields` replace the fields of the API, by its names
        (`rating=2`, `createdAt=1767063610103`); any value and unknown fields are kept. `None` is
        sent as `null`, and `...` leaves the field out: `message=...`. `customerId` makes it the
        review of that customer, who is registered if unknown.

        The product is added if it is not there. A review id that is taken raises `ValueError`,
        and what JSON cannot express `TypeError`.
        """
        with self._lock:
            if payment_link_id not in self._products:
                self.add_product(payment_link_id)
            # Whatever stands in the fields, a review needs an owner and a time.
            customer_id = fields.get("customerId")
            if not isinstance(customer_id, str):
                customer_id = self._new_id()
            if customer_id not in self._customers:
                self.add_customer(f"{customer_id}@example.com", customer_id=customer_id)
            created = _time(fields.get("createdAt"), self.now)
            review: JSON = {
                "id": self._new_id(),
                "createdAt": created,
                "customerId": customer_id,
                "message": "Materinya jelas dan mudah dipahami, terima kasih!",
                "paymentLinkId": payment_link_id,
                "status": "ACTIVE",
                "rating": 5,
                "updatedAt": created,
                "userId": seeds.USER_ID,
                "multipleImage": [],
                "content": [],
                "customer": {"id": customer_id, "name": self._customers[customer_id]["name"]},
                "paymentLink": dict(self._products[payment_link_id]),
            } | fields
            review = {name: value for name, value in review.items() if value is not ...}
            json.dumps(review)  # what cannot be sent is refused here, where the mistake is
            return self._keep(review, payment_link_id, customer_id, created)

    def put_review(self, review: JSON) -> None:
        """Store a review exactly as it is, however malformed, and the purchase behind it."""
        payment_link_id, customer_id = review.get("paymentLinkId"), review.get("customerId")
        with self._lock:
            if isinstance(customer_id, str) and customer_id not in self._customers:
                self.add_customer(f"{customer_id}@example.com", customer_id=customer_id)
            created = _time(review.get("createdAt"), self.now)
            self._keep(review, payment_link_id, customer_id, created)

    def _keep(self, review: JSON, payment_link_id: Any, customer_id: Any, created: int) -> JSON:
        review_id = review.get("id")
        if not isinstance(review_id, str):
            review_id = self._new_id()
        if not isinstance(customer_id, str):
            customer_id = self._new_id()
        if review_id in self._reviews:
            raise ValueError(f"there is a review {review_id!r} already")
        updated = _time(review.get("updatedAt"), lambda: created)
        row = Row(review, created, updated, len(self._rows))
        self._added[None].append(row)
        if isinstance(payment_link_id, str):
            self._added[payment_link_id].append(row)
            self._purchases[payment_link_id, customer_id] = review
        self._sorted.clear()
        self._rows[review_id] = row
        self._reviews[review_id] = review
        return review

    def edit_review(self, review_id: str, **fields: Any) -> JSON:
        """Change fields of a review and return it.

        `updatedAt` becomes now, unless it is given, and the review moves to its new place in the
        lists. `fields` are as for `add_review`; `id`, `paymentLinkId` and `customerId` change only
        what is shown. An unknown id raises `KeyError`.
        """
        with self._lock:
            row = self._rows[review_id]
            fields = {"updatedAt": self.now()} | fields
            given = {name: value for name, value in fields.items() if value is not ...}
            json.dumps(given)
            row.review |= given
            for name in fields.keys() - given:
                row.review.pop(name, None)
            row.created = _time(given.get("createdAt"), lambda: row.created)
            row.updated = _time(given.get("updatedAt"), lambda: row.updated)
            self._sorted.clear()
            return row.review

    def seed(self, payment_link_id: str, count: int, *, edited: float = 0.0) -> None:
        """Store `count` reviews of a product, each by a customer of its own.

        The same calls on a new store always give the same reviews: mostly five stars, seven minutes
        apart from 2025 on, no two in the whole store with one id or one `createdAt`. From twelve on
        they show all that a client must survive: a message that is `null`, one that is missing, a
        long one, line breaks, emoji, right-to-left text, images, videos, an unknown status and an
        unknown field. Buyers see all of them. The product is added if it is not there.

        `edited` is the share of reviews that were edited later: 0.1 is one in ten. Without it,
        reviews sort alike by `createdAt` and by `updatedAt`.
        """
        with self._lock:
            first = len(self._rows)  # goes on through the whole store, so that nothing repeats
            for place in range(count):
                number = first + place
                review = self.add_review(
                    payment_link_id,
                    customerId=self.add_customer(**seeds.customer(number)),
                    **seeds.review(number, place, first + count, edited),
                )
                attach(review, seeds.media(number, place))

    def now(self) -> int:
        """The time in Unix milliseconds, later than any it gave before."""
        self._latest = max(self._latest + 1, self.clock())
        return self._latest

    @property
    def products(self) -> list[str | None]:
        """The ids of all products with reviews; None stands for the whole store."""
        return list(self._added)

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def sells(self, payment_link_id: str) -> bool:
        """Whether there is such a product."""
        return payment_link_id in self._products

    def customer(self, email: str) -> JSON | None:
        """The customer with this email."""
        return self._customers_by_email.get(email)

    def has_paid(self, payment_link_id: Any, customer_id: Any) -> bool:
        """Whether a customer has paid for a product."""
        return (payment_link_id, customer_id) in self._purchases

    def review_of(self, payment_link_id: str, customer_id: str) -> JSON | None:
        """A customer's review of a product."""
        return self._purchases.get((payment_link_id, customer_id))

    def rows(self, payment_link_id: str | None, order: Order) -> Sequence[Row]:
        """The rows of a product, or of the whole store: newest first, or as they were added."""
        rows = self._added.get(payment_link_id, [])
        if order == "added":
            return rows
        key = payment_link_id, order
        if key not in self._sorted:
            self._sorted[key] = sorted(rows, key=_SORT_KEYS[order], reverse=True)
        return self._sorted[key]

    def stats(self, payment_link_id: str | None) -> JSON:
        """The figures of a product, or of the whole store, as they are now."""
        reviews = (row.review for row in self._added.get(payment_link_id, []))
        ratings = [review.get("rating") for review in reviews if is_visible(review)]
        counts = {rating: ratings.count(rating) for rating in (5, 4, 3, 2, 1)}
        total = sum(counts.values())
        if total == 0:
            return {}
        average = round(sum(rating * count for rating, count in counts.items()) / total, 1)
        return {
            "total": total,
            # JavaScript, which writes the API's answers, knows no 5.0.
            "average": int(average) if average.is_integer() else average,
            "stats": [
                {"rating": rating, "percentage": round(100 * count / total), "totalRating": count}
                for rating, count in counts.items()
            ],
        }


def is_visible(review: JSON) -> bool:
    """Whether buyers see a review. An unknown status must reach clients, so it counts as seen."""
    return review.get("status") not in ("ARCHIVED", "INACTIVE")


def attach(review: JSON, attachments: Iterable[JSON]) -> None:
    """Add media to a review; what is added twice is there twice, so that a doubled write shows."""
    for attachment in attachments:
        field = _MEDIA[attachment["type"]]
        review[field] = [*(review.get(field) or ()), _medium(attachment)]


def detach(review: JSON, attachments: Iterable[JSON]) -> None:
    """Remove media from a review; what is not there is no mistake."""
    for attachment in attachments:
        field, media_id = _MEDIA[attachment["type"]], attachment["id"]
        review[field] = [
            medium for medium in review.get(field) or () if medium.get("id") != media_id
        ]


def _medium(attachment: JSON) -> JSON:
    media_id = attachment["id"]
    if attachment["type"] == "image":
        url = f"https://media.mayar.id/images/{media_id}.png"
        return {"id": media_id, "fileType": "png", "description": None, "url": url}
    file_id = attachment.get("multipleFileId", media_id)
    file = {"filename": "ulasan-video.mp4", "mimetype": "video/mp4", "size": 5_698_168}
    return {"id": media_id, "value": file_id, "file": {"id": file_id, **file}}


def _time(value: object, otherwise: Callable[[], int]) -> int:
    """A time that sorts a review: what its field says, unless that is no time."""
    return value if type(value) is int else otherwise()


def _unix_milliseconds() -> int:
    return time.time_ns() // 1_000_000
