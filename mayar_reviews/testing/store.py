"""The shop behind `FakeMayar`: products, customers, purchases and reviews, all in memory.

Records are plain dictionaries with the API's own field names, so that whatever a test puts into
one is what its client gets to see.
"""

import json
import time
import uuid
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from operator import itemgetter
from types import MappingProxyType
from typing import Any

JSON = dict[str, Any]

_USER_ID = "348e083d-315a-4e5c-96b1-5a2a98c48413"
_USER = {"id": _USER_ID, "name": "Toko Mayar Demo", "email": "merchant@example.com"}
_MEDIA = {"image": "multipleImage", "video": "content"}

_SEED_START = 1_735_689_600_000  # 2025-01-01T00:00:00Z
_SEED_STEP = 7 * 60_001  # seven minutes, but at no round number of milliseconds
_SEED_RATINGS = (5, 5, 4, 5, 5, 5, 3, 5, 5, 4, 5, 5, 2, 5, 5, 1, 5)
_SEED_NAMES = (
    "Budi Santoso",
    "Siti Aminah",
    "Ni Luh Ayu",
    "R. M. Çelik-O'Neil",
    "محمد الأمين",
    "😀",
)
_SEED_MESSAGES = (
    "Materinya jelas dan mudah dipahami, terima kasih!",
    None,
    "Bagus.\nSayang videonya pendek;\r\n\tsemoga ada lanjutannya.",
    "Mantap 👍🏽 keluarga 👨‍👩‍👧 suka 🇮🇩",
    ...,
    "دورة ممتازة، شكرا جزيلا",
    'Katanya "diskon 50%", ternyata, ya, benar',
    "=1+1 itu 2, -1 itu kurang, @toko tahu",
    "  spasi di tepi  ",
    "קורס נהדר (v2.0)",
    "Panjang sekali. " * 120,
)


class Store:
    """What the shop holds, and the ways for a test to put something into it.

    What a test adds is the shop's own doing: neither the API's limits nor its rule of one review
    for each customer and product apply.
    """

    def __init__(self) -> None:
        self._clock = 0
        self._products: dict[str, JSON] = {}
        self._customers: dict[str, JSON] = {}
        self._customers_by_email: dict[str, JSON] = {}
        # Who has paid for what, (payment link, customer), and the review that came of it, if any.
        self._purchases: dict[tuple[str, str], JSON | None] = {}
        self._reviews: dict[str, JSON] = {}
        # The reviews of each product, and under None those of the whole store, oldest first.
        self._timelines = defaultdict[str | None, list[tuple[int, JSON]]](list)

    @property
    def reviews(self) -> Mapping[str, JSON]:
        """The stored reviews by id, with all that lists show.

        The mapping is read-only, the reviews are not: what you change in one shows in the next
        answer. Only its place in the lists was settled once, by the `createdAt` it came with.
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
        payment_link_id = payment_link_id or str(uuid.uuid4())
        if payment_link_id in self._products:
            raise ValueError(f"there is a product {payment_link_id!r} already")
        link = "-".join(name.lower().split())
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
        customer_id = customer_id or str(uuid.uuid4())
        if email in self._customers_by_email or customer_id in self._customers:
            raise ValueError(f"there is a customer {email!r} or {customer_id!r} already")
        now = self._now()
        self._customers[customer_id] = self._customers_by_email[email] = {
            "id": customer_id,
            "createdAt": now,
            "email": email,
            "mobile": "081234567890",
            "name": name,
            "status": "active",
            "updatedAt": now,
            "userId": _USER_ID,
            "user": _USER,
        }
        return customer_id

    def add_purchase(self, payment_link_id: str, email: str) -> str:
        """Let a customer have paid for a product, so that a client may create their review.

        A product or a customer that is not there yet is added. Returns the customer's id.
        """
        if payment_link_id not in self._products:
            self.add_product(payment_link_id)
        if email not in self._customers_by_email:
            self.add_customer(email)
        customer_id: str = self._customers_by_email[email]["id"]
        self._purchases.setdefault((payment_link_id, customer_id))
        return customer_id

    def add_review(self, payment_link_id: str, **fields: Any) -> JSON:
        """Store a review of a product and the purchase behind it; return what is stored.

        By itself, it is a new customer's: five stars, an ordinary message, `createdAt` now, in Unix
        milliseconds that no other such review has. `fields` are fields of the API, by its names
        (`rating=2`, `createdAt=1767063610103`), of any value; unknown ones are kept as well. `None`
        is sent as `null`, and `...` leaves the field out altogether: `message=...`. `customerId`
        makes it the review of that customer, who is registered if unknown.

        The product is added if it is not there. A review id that is taken raises `ValueError`,
        and what JSON cannot express `TypeError`.
        """
        if payment_link_id not in self._products:
            self.add_product(payment_link_id)
        # Whatever stands in the fields, a review needs an id, an owner and a place in the lists.
        review_id, customer_id, at = map(fields.get, ("id", "customerId", "createdAt"))
        review_id = review_id if isinstance(review_id, str) else str(uuid.uuid4())
        customer_id = customer_id if isinstance(customer_id, str) else str(uuid.uuid4())
        at = at if isinstance(at, int) else self._now()
        if review_id in self._reviews:
            raise ValueError(f"there is a review {review_id!r} already")
        if customer_id not in self._customers:
            self.add_customer(f"{customer_id}@example.com", customer_id=customer_id)

        review: JSON = {
            "id": review_id,
            "createdAt": at,
            "customerId": customer_id,
            "message": "Materinya jelas dan mudah dipahami, terima kasih!",
            "paymentLinkId": payment_link_id,
            "status": "ACTIVE",
            "rating": 5,
            "updatedAt": at,
            "userId": _USER_ID,
            "multipleImage": [],
            "content": [],
            "customer": {"id": customer_id, "name": self._customers[customer_id]["name"]},
            "paymentLink": dict(self._products[payment_link_id]),
        } | fields
        review = {name: value for name, value in review.items() if value is not ...}
        json.dumps(review)  # what cannot be sent is refused here, where the mistake is
        for timeline in (self._timelines[None], self._timelines[payment_link_id]):
            insort(timeline, (at, review), key=itemgetter(0))
        self._reviews[review_id] = self._purchases[payment_link_id, customer_id] = review
        return review

    def seed(self, payment_link_id: str, count: int) -> None:
        """Store `count` reviews of a product, each by a customer of its own.

        The same calls on a new store always give the same reviews: mostly five stars, seven minutes
        apart from 2025 on, no two in the whole store with one id or one `createdAt`. From twelve on
        they show all that a client must survive: a message that is `null`, one that is missing, a
        long one, line breaks, emoji, right-to-left text, images, videos, an unknown status and an
        unknown field. Buyers see all of them. The product is added if it is not there.
        """
        for i in range(count):
            n = len(self._reviews)  # goes on through the whole store, so that nothing repeats
            created_at = _SEED_START + n * _SEED_STEP
            customer_id = self.add_customer(
                f"pembeli.{n}@example.com",
                customer_id=_seed_id(f"customer {n}"),
                name=_SEED_NAMES[n % len(_SEED_NAMES)],
            )
            review = self.add_review(
                payment_link_id,
                id=_seed_id(f"review {n}"),
                customerId=customer_id,
                rating=_SEED_RATINGS[i % len(_SEED_RATINGS)],
                message=_SEED_MESSAGES[i % len(_SEED_MESSAGES)],
                status="FLAGGED" if i % 100 == 9 else "ACTIVE",
                createdAt=created_at,
                updatedAt=created_at + n % 3 * 86_400_000,
                helpfulCount=n if i % 100 == 11 else ...,
            )
            media = [{"id": _seed_id(f"{kind} {n}"), "type": kind} for kind in _MEDIA]
            attach(review, media[: (0, 1, 0, 2)[i % 4]])

    def _now(self) -> int:
        """The time in Unix milliseconds, later than any it gave before."""
        self._clock = max(self._clock + 1, time.time_ns() // 1_000_000)
        return self._clock

    def _page(
        self,
        payment_link_id: str | None,
        keep: Callable[[JSON], bool],
        *,
        limit: int,
        before: int | None,
        message_first: bool,
    ) -> tuple[list[JSON], str | None]:
        """The newest `limit` reviews, and the cursor of the next page if there is one.

        The cursor is the last review's `createdAt`, and its page what is strictly older, as in the
        docs' sibling lists. So reviews of the same millisecond beyond a page's edge never show, nor
        do newer ones without a message that `message_first` put off.
        """
        timeline = self._timelines.get(payment_link_id, [])
        end = len(timeline) if before is None else bisect_left(timeline, before, key=itemgetter(0))
        found = (
            (at, review)
            for with_message in ((True, False) if message_first else (None,))
            for at, review in map(timeline.__getitem__, reversed(range(end)))
            if keep(review) and with_message in (None, bool(review.get("message")))
        )
        page = list(islice(found, limit + 1))  # one more, to see whether more remain
        cursor = str(page[limit - 1][0]) if len(page) > limit else None
        return [review for _, review in page[:limit]], cursor

    def _stats(self, payment_link_id: str | None) -> JSON:
        reviews = (review for _, review in self._timelines.get(payment_link_id, []))
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


def _seed_id(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://mayar.id/{name}"))
