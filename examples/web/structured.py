"""What search engines read of a product's page: schema.org's Product, as JSON-LD."""

from __future__ import annotations

import json
from functools import lru_cache

from mayar_reviews import ReviewStats

from .shop import PublicReview


@lru_cache(maxsize=256)
def product(
    name: str,
    picture: str | None,
    price: int | None,
    stats: ReviewStats,
    reviews: tuple[PublicReview, ...],
) -> str:
    """The text of a `<script type="application/ld+json">`.

    Args:
        name: the product's.
        picture: its address; without one there is no rich result.
        price: in rupiah; without one it is a product that has reviews, but is not for sale.
        stats: of all its reviews.
        reviews: those on the page: what is marked up must be seen.
    """
    content = {
        "@context": "https://schema.org",
        "@type": "Product",
        "name": name,
        **({"image": picture} if picture else {}),
        **({"offers": _offer(price)} if price is not None else {}),
        "aggregateRating": {
            "@type": "AggregateRating",
            "ratingValue": stats.average,
            "reviewCount": stats.total,
            "bestRating": 5,
            "worstRating": 1,
        },
        "review": [_review(review) for review in reviews if review.name],
    }
    # Nothing in it may end the element that holds it.
    return json.dumps(content).replace("<", "\\u003c")


def _offer(price: int) -> dict[str, object]:
    return {
        "@type": "Offer",
        "price": price,
        "priceCurrency": "IDR",
        "availability": "https://schema.org/InStock",
    }


def _review(review: PublicReview) -> dict[str, object]:
    assert review.name is not None
    body = {"reviewBody": review.message} if review.message else {}
    return {
        "@type": "Review",
        "author": {"@type": "Person", "name": review.name[:100]},
        "datePublished": review.created_at.date().isoformat(),
        "reviewRating": {
            "@type": "Rating",
            "ratingValue": review.rating,
            "bestRating": 5,
            "worstRating": 1,
        },
        **body,
    }
