"""Archive all reviews of one and two stars, after a question: `python examples/moderate.py`."""

import asyncio
import sys
from collections.abc import Iterable

from mayar_reviews import Review, ReviewsClient, StatusUpdate, StatusUpdateError


async def find() -> list[Review]:
    async with ReviewsClient(deadline=None) as client:  # wait as long as the limit asks
        return [
            review
            for rating in (1, 2)
            async for review in client.iter_reviews(status="ACTIVE", rating=rating)
        ]


async def archive(reviews: Iterable[Review]) -> None:
    async with ReviewsClient(deadline=None) as client:
        updates = [StatusUpdate(review.id, "ARCHIVED") for review in reviews]
        await client.update_review_statuses(updates)


def main() -> None:
    reviews = asyncio.run(find())
    for review in reviews:
        print(review.id, "★" * review.rating, review.message or "(no message)")
    if not reviews or input(f"Archive these {len(reviews)} reviews? [y/N] ").lower() != "y":
        sys.exit("nothing was changed")
    try:
        asyncio.run(archive(reviews))
    except StatusUpdateError as error:  # every review is in one of four lists
        print(len(error.applied), "archived")
        print("refused by the API:", *error.refused)
        print("perhaps archived, run this again:", *error.unknown)
        print("not sent, run this again:", *error.not_sent)
        sys.exit(str(error))
    print("all archived")


if __name__ == "__main__":
    main()
