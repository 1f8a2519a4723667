"""Copy what is new or changed into SQLite, every night: `python examples/nightly_sync.py shop.db`.

The first run reads all reviews. Mayar lists the latest change first, so a later run stops at
reviews that are older than the newest stored. A run stores all or nothing, so it leaves no gap.
"""

import asyncio
import sys
from contextlib import aclosing

from sqlalchemy import JSON, BigInteger, Column, MetaData, String, Table, func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import create_async_engine

from mayar_reviews import IncompleteListError, ReviewsClient

metadata = MetaData()
table = Table(
    "reviews",
    metadata,
    Column("id", String, primary_key=True),
    Column("updated_at", BigInteger, index=True),  # Unix milliseconds, as the API writes it
    Column("review", JSON),  # all of it
)
new = insert(table)
upsert = new.on_conflict_do_update(
    index_elements=["id"],
    set_={"updated_at": new.excluded.updated_at, "review": new.excluded.review},
)


async def sync(client: ReviewsClient, path: str) -> int:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    async with engine.begin() as database:
        await database.run_sync(metadata.create_all)
        newest = await database.scalar(select(func.max(table.c.updated_at))) or 0
    rows = {}  # by id: a review that is edited while we read comes again, in its newer form
    try:
        async with aclosing(client.iter_reviews()) as reviews:
            async for review in (one.to_dict() async for one in reviews):
                if review["updatedAt"] < newest:
                    break
                row = {"id": review["id"], "updated_at": review["updatedAt"], "review": review}
                rows[review["id"]] = row
    except IncompleteListError as error:  # raised after the last review: keep what was read
        print("the API cannot show what was created in", error.gaps, file=sys.stderr)
    if rows:
        async with engine.begin() as database:
            await database.execute(upsert, list(rows.values()))
    await engine.dispose()
    return len(rows)


async def main(path: str) -> None:
    async with ReviewsClient(deadline=None) as client:  # wait as long as the limit asks
        print(await sync(client, path), "reviews stored")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
