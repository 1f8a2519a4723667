"""Draw a product's ratings by month: `python examples/pandas_report.py PRODUCT_ID ratings.png`."""

import asyncio
import sys
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from mayar_reviews import ReviewsClient


async def read(product: str) -> list[dict[str, Any]]:
    async with ReviewsClient(deadline=None) as client:  # wait as long as the limit asks
        return [review.to_dict() async for review in client.iter_product_reviews(product)]


def count(reviews: list[dict[str, Any]]) -> pd.DataFrame:
    """One row for each month, one column for each rating."""
    frame = pd.DataFrame(reviews, columns=["createdAt", "rating"])
    created = pd.to_datetime(frame["createdAt"], unit="ms", utc=True)
    month = created.dt.tz_convert("Asia/Jakarta").dt.strftime("%Y-%m")
    return pd.crosstab(month.rename("month"), frame["rating"])


def draw(months: pd.DataFrame, path: str) -> None:
    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots()
    months.plot.bar(ax=axes, stacked=True, colormap="RdYlGn", ylabel="reviews")
    figure.savefig(path)


def main(product: str, path: str) -> None:
    reviews = asyncio.run(read(product))
    if not reviews:
        sys.exit(f"{product} has no reviews")
    months = count(reviews)
    print(months)
    draw(months, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
