"""Tell a chat of each new low rating: `python examples/alert_on_low_ratings.py WEBHOOK_URL`.

Let systemd or Docker start it again when it ends. It goes on where it was: a file keeps the time of
the last review. A webhook that fails ends it too, so the same review is told again.
"""

import asyncio
import sys
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from mayar_reviews import ReviewsClient, ReviewStatus

LOW = 2


async def alert(client: ReviewsClient, webhook: str, place: Path, every: float = 60.0) -> None:
    if not place.exists():
        place.write_text(datetime.now(UTC).isoformat())
    since = datetime.fromisoformat(place.read_text())
    async with (
        aiohttp.ClientSession() as chat,
        aclosing(client.watch_reviews(every=every, since=since)) as reviews,
    ):
        async for review in reviews:
            if review.rating <= LOW and review.status == ReviewStatus.ACTIVE:
                product = review.payment_link and review.payment_link.name
                text = f"{'★' * review.rating} {product}: {review.message or '(no message)'}"
                async with chat.post(webhook, json={"text": text}) as answer:
                    answer.raise_for_status()
            place.write_text(review.updated_at.isoformat())


async def main(webhook: str) -> None:
    async with ReviewsClient() as client:
        await alert(client, webhook, Path("last-review.txt"))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
