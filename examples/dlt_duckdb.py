"""Load all reviews into DuckDB with dlt, page by page: `python examples/dlt_duckdb.py`.

Run it again to load what is new or changed. dlt remembers the newest `updatedAt`. Mayar lists the
latest change first, and `row_order` tells dlt so: it stops at the first page with older reviews.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import dlt

from mayar_reviews import ReviewsClient

CHANGED = dlt.sources.incremental[int]("updatedAt", row_order="desc")


@dlt.resource(
    primary_key="id",
    write_disposition="merge",
    columns={"updatedAt": {"dedup_sort": "desc"}},  # of two forms of a review, keep the newer
)
async def reviews(
    changed: dlt.sources.incremental[int] = CHANGED,
) -> AsyncIterator[list[Mapping[str, Any]]]:
    async with ReviewsClient(deadline=None) as client:  # wait as long as the limit asks
        async for page in client.iter_review_pages():
            yield list(page.raw)


if __name__ == "__main__":
    pipeline = dlt.pipeline("mayar", destination="duckdb", dataset_name="shop")
    print(pipeline.run(reviews()))
