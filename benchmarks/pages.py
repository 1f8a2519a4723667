"""Reviews as Mayar sends them: the documented example with an id, words and times of its own.

A page that repeats itself would flatter whatever caches strings.
"""

from __future__ import annotations

import random
import uuid
from typing import Any

import orjson

REVIEWS_A_PAGE = 50
PRODUCT = "e2b3f5d5-0c62-47ba-8a01-6c1c209e0f77"

_WORDS = ["materinya", "jelas", "mudah", "dipahami", "terima", "kasih", "bagus", "videonya"]
_NAMES = ["Budi", "Siti", "Ayu", "Agus", "Dewi", "Rizky", "Putri", "Santoso", "Lestari"]
_PAYMENT_LINK = {
    "id": PRODUCT,
    "name": "Kelas Pemrograman Web Dasar",
    "type": "course",
    "link": "kelas-pemrograman-web-dasar",
    "subType": None,
}


def product_of(pages: int) -> str:
    """The id of a product that has so many pages. It looks like Mayar's: a UUID."""
    return f"{pages:08}-0000-4000-8000-000000000000"


def render(number: int) -> bytes:
    """The JSON array of the fifty reviews of a page; the same for the same number."""
    chance = random.Random(number)
    return orjson.dumps([_review(chance) for _ in range(REVIEWS_A_PAGE)])


def _review(chance: random.Random) -> dict[str, Any]:
    created = chance.randrange(1_735_689_600_000, 1_767_225_600_000)
    customer_id, file_id = _uuid(chance), _uuid(chance)
    return {
        "id": _uuid(chance),
        "createdAt": created,
        "customerId": customer_id,
        "message": " ".join(chance.choices(_WORDS, k=8)),
        "paymentLinkId": _PAYMENT_LINK["id"],
        "status": "ACTIVE",
        "rating": chance.randint(1, 5),
        "updatedAt": created + chance.randrange(10**9),
        "userId": "348e083d-315a-4e5c-96b1-5a2a98c48413",
        "multipleImage": [],
        "content": [
            {
                "id": _uuid(chance),
                "value": file_id,
                "file": {
                    "id": file_id,
                    "filename": f"ulasan-{chance.randrange(10**6)}.mp4",
                    "mimetype": "video/mp4",
                    "size": chance.randrange(10**8),
                },
            }
        ],
        "customer": {"id": customer_id, "name": " ".join(chance.choices(_NAMES, k=2))},
        "paymentLink": _PAYMENT_LINK,
    }


def _uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))
