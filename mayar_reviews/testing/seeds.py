"""Made-up reviews that are always the same, with all that a client must survive."""

import uuid
from typing import Any

USER_ID = "348e083d-315a-4e5c-96b1-5a2a98c48413"

_START = 1_735_689_600_000  # 2025-01-01T00:00:00Z
_STEP = 7 * 60_001  # seven minutes, but at no round number of milliseconds
_GOLDEN = 0.618034  # its multiples, less their whole parts, are spread evenly from 0 to 1
_RATINGS = (5, 5, 4, 5, 5, 5, 3, 5, 5, 4, 5, 5, 2, 5, 5, 1, 5)
_NAMES = (
    "Budi Santoso",
    "Siti Aminah",
    "Ni Luh Ayu",
    "R. M. Çelik-O'Neil",
    "محمد الأمين",
    "😀",
)
_MESSAGES = (
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


def customer(number: int) -> dict[str, str]:
    """The customer of the review with this number in the store."""
    return {
        "email": f"pembeli.{number}@example.com",
        "customer_id": str(_uuid(f"customer {number}")),
        "name": _NAMES[number % len(_NAMES)],
    }


def review(number: int, place: int, end: int, edited: float) -> dict[str, Any]:
    """The fields of a review.

    `number` is its number in the store, `place` its number among those seeded together, and `end`
    the number after the last of these. The share `edited` of all was edited some time before `end`
    was created; the others were changed within two minutes, if at all, so that both times sort
    alike.
    """
    created_at = _START + number * _STEP
    updated_at = created_at + number % 3 * 60_000
    if number * _GOLDEN % 1 < edited:
        later = _chance(f"when {number}") * (end - number) * _STEP
        updated_at = created_at + 180_000 + int(later)
    return {
        "id": str(_uuid(f"review {number}")),
        "rating": _RATINGS[place % len(_RATINGS)],
        "message": _MESSAGES[place % len(_MESSAGES)],
        "status": "FLAGGED" if place % 100 == 9 else "ACTIVE",
        "createdAt": created_at,
        "updatedAt": updated_at,
        "helpfulCount": number if place % 100 == 11 else ...,
    }


def media(number: int, place: int) -> list[dict[str, str]]:
    """Its attachments, as a client would send them."""
    both = [{"id": str(_uuid(f"{kind} {number}")), "type": kind} for kind in ("image", "video")]
    return both[: (0, 1, 0, 2)[place % 4]]


def _uuid(name: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"https://mayar.id/{name}")


def _chance(name: str) -> float:
    """A number from 0 to 1 that is always the same for a name."""
    return _uuid(name).int / 2**128
