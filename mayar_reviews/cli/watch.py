"""The command `watch`, and the file in which it remembers what it has shown."""

from __future__ import annotations

import json as json_module
import sys
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from attrs import define
from cyclopts import Parameter

from mayar_reviews import InvalidArgumentError, Review
from mayar_reviews.api_json import EPOCH, to_milliseconds, to_time
from mayar_reviews.export.durable import replacing

from . import show
from .connection import DEFAULT_CONNECTION, Connection
from .tables import review_line

if TYPE_CHECKING:
    from mayar_reviews import ReviewsClient


def watch(
    payment_link_id: Annotated[str | None, Parameter(name="PRODUCT_ID")] = None,
    /,
    *,
    every: float = 60.0,
    since: datetime | None = None,
    state: Path | None = None,
    json: bool = False,
    connection: Connection = DEFAULT_CONNECTION,
) -> None:
    """Show each new or changed review as it comes, until Ctrl-C.

    A quiet round is one request. Outages are waited out.

    Args:
        payment_link_id: The product: the reviews that buyers see. Without one: the whole store,
            with reviews of every status.
        every: Seconds between two rounds.
        since: Show what has changed since this time, such as 2026-01-31T12:00:00. It is UTC, if it
            names no other zone. By default from now on.
        state: Remember in this file what was shown, and go on from there. Each change is then
            shown once, also if the command is killed and started again.
        json: Write JSON, one review a line.
        connection: The options that every command shares.
    """
    shown = _Shown.load(state) if state is not None else None
    if shown is None and since is not None:
        shown = _Shown(since if since.tzinfo is not None else since.replace(tzinfo=UTC))

    async def main(client: ReviewsClient) -> None:
        nonlocal shown
        if shown is None and state is not None:
            # From the newest on, by the server's clock, also if nothing comes before a kill.
            shown = _Shown(await _newest(client, payment_link_id))
            shown.save(state)
        begin = None if shown is None else shown.until - timedelta(milliseconds=1)
        if shown is not None and shown.ids is None:
            begin, shown.ids = shown.until, set()
        changes = client.watch_reviews(payment_link_id, every=every, since=begin)
        async with aclosing(changes):
            async for review in changes:
                if shown is not None and shown.has(review):
                    continue
                if json:
                    show.write_json(review.to_dict())
                else:
                    show.out.print(review_line(review), soft_wrap=True)
                sys.stdout.flush()
                shown = shown or _Shown(review.updated_at)
                shown.add(review)
                if state is not None:
                    shown.save(state)

    connection.run(main)


async def _newest(client: ReviewsClient, payment_link_id: str | None) -> datetime:
    if payment_link_id is None:
        page = await client.list_reviews()
    else:
        page = await client.list_product_reviews(payment_link_id)
    return max((review.updated_at for review in page.data), default=EPOCH)


@define
class _Shown:
    """What was shown: all that changed until a time, and these reviews of that time."""

    until: datetime
    ids: set[str] | None = None
    """`None`: all of that time."""

    def has(self, review: Review) -> bool:
        return review.updated_at == self.until and review.id in (self.ids or ())

    def add(self, review: Review) -> None:
        if review.updated_at != self.until:
            self.until, self.ids = review.updated_at, set()
        self.ids = (self.ids or set()) | {review.id}

    def save(self, path: Path) -> None:
        until = to_milliseconds(self.until)
        ids = None if self.ids is None else sorted(self.ids)
        with replacing(path) as file:
            file.write(json_module.dumps({"watched_until": until, "ids": ids}).encode())

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Return what is in the file; `None` if there is no file.

        Raises:
            InvalidArgumentError: it is something else.
        """
        try:
            fields = json_module.loads(path.read_bytes())
            ids = fields["ids"]
            return cls(
                to_time(int(fields["watched_until"])),
                None if ids is None else {str(one) for one in ids},
            )
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
            pass
        raise InvalidArgumentError(
            f"{path} is not the state of a watch: move it away, or use another file", field="state"
        )
