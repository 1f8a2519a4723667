"""Create reviews from a CSV file, eight at a time: `python examples/import_from_csv.py old.csv`.

The columns are product, email, rating and message. The customers must have bought the products.
`old.report.csv` says what became of each row. Run it again after a stop, or when you have
corrected the file: rows that are done are skipped, and no review is created twice.
"""

import asyncio
import csv
import logging
import sys
from pathlib import Path

from mayar_reviews import AuthenticationError, ConflictError, MayarError, ReviewsClient


def read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


async def create(client: ReviewsClient, row: list[str]) -> str:
    try:
        product, email, rating, text = row
        await client.create_review(
            payment_link_id=product, customer_email=email, rating=int(rating), message=text or None
        )
    except AuthenticationError:  # all rows would fail
        raise
    except ConflictError:  # created by an earlier run, or by the customer
        return "done"
    except (MayarError, ValueError) as error:
        return f"failed: {error}"
    return "done"


async def main(path: Path) -> int:
    """Return how many rows failed."""
    report = path.with_suffix(".report.csv")
    report.touch()
    done = [row for *row, outcome in read(report) if outcome == "done"]
    rows = iter([row for row in read(path)[1:] if row not in done])
    outcomes: list[str] = []

    async def work() -> None:
        for row in rows:  # all workers take from the same iterator
            outcomes.append(await create(client, row))
            with report.open("a", encoding="utf-8", newline="") as file:
                csv.writer(file).writerow([*row, outcomes[-1]])

    async with ReviewsClient(deadline=None) as client:  # wait as long as the limit asks
        await asyncio.gather(*(work() for _ in range(8)))
    return len(outcomes) - outcomes.count("done")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)  # says when the limit makes it wait
    failed = asyncio.run(main(Path(sys.argv[1])))
    sys.exit(f"{failed} rows failed, see the report" if failed else 0)
