"""What people and programs get to see: tables, a histogram, JSON lines, one-line faults.

Text that came from a server or a file is made harmless by `plain` before a terminal sees it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import attrs
import orjson
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from mayar_reviews import Customer, PaymentLink, Review, ReviewFile, ReviewStats


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise  # noqa: PLE0704  rich calls this where the error is handled, and would exit with 1


_PLAIN: dict[str, Any] = {"markup": False, "highlight": False, "emoji": False}
out = _Console(**_PLAIN)
err = _Console(stderr=True, **_PLAIN)

# Controls (escape sequences begin with one), what reverses the text around it, half surrogates.
_HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    """The text with everything replaced that a terminal would obey or could not print."""
    return _HARMFUL.sub("\ufffd", text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """The same without line breaks and runs of spaces."""
    return plain(" ".join(text.split()))


def say(text: str, style: str = "") -> None:
    """Tell people something on standard error, in one line."""
    err.print(one_line(text), style=style, soft_wrap=True)


def fault(text: str) -> None:
    """Say on standard error, in one line, what went wrong."""
    err.print(Text.assemble(("error: ", "bold red"), one_line(text)), soft_wrap=True)


def count(number: int, noun: str) -> str:
    """Such as `1 review` and `2,000 reviews`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def write_json(value: object) -> None:
    """Write one line of JSON to standard output."""
    sys.stdout.buffer.write(json_line(value))


def json_line(value: object) -> bytes:
    """A value as one line of JSON.

    `orjson` refuses half surrogates and integers beyond 64 bits; the standard library does not.
    """
    try:
        return orjson.dumps(value) + b"\n"
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def as_api(value: Any) -> Any:
    """A model as the API would send it; what the API did not tell is left out."""
    if attrs.has(type(value)):
        fields = attrs.asdict(value, recurse=False).items()
        return {_camel(name): as_api(field) for name, field in fields if field not in (None, ())}
    if isinstance(value, tuple):
        return [as_api(item) for item in value]
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    return value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def reviews_table(reviews: Iterable[Review], *, of_one_product: bool) -> Table:
    """Two lines a review: who thinks what, and what is needed to do something about it."""
    table = Table(box=None, expand=True, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("Date", no_wrap=True)
    table.add_column("Rating", no_wrap=True)
    table.add_column("Customer", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("Review", ratio=3, overflow="fold")
    for review in reviews:
        customer = review.customer or Customer()
        product = review.payment_link or PaymentLink()
        table.add_row(
            _lines(f"{review.created_at:%Y-%m-%d}", review.status),
            Text(_stars(review.rating), "yellow"),
            _lines(
                customer.name or review.customer_id,
                "" if of_one_product else product.name or review.payment_link_id,
            ),
            _lines(_shortened(one_line(review.message or "")), review.id),
        )
    return table


def _lines(text: str, dim: str) -> Text:
    """One above the other, without an empty line."""
    lines = Text(one_line(text), end="")
    if text and dim:
        lines.append("\n")
    return lines.append(one_line(dim), "dim")


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:199]}…"


def _stars(rating: int) -> str:
    return "★" * rating if 1 <= rating <= 5 else str(rating)


def review_details(review: Review) -> Table:
    """Everything about one review, a line for each thing."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")

    def row(name: str, *values: str | None) -> None:
        told = [plain(value) for value in values if value]
        if told:
            table.add_row(name, Text("  ".join(told)))

    product, customer = review.payment_link or PaymentLink(), review.customer or Customer()
    row("review", review.id)
    row("product", product.name, review.payment_link_id)
    row("customer", customer.name, review.customer_id)
    row("rating", _stars(review.rating))
    row("status", review.status)
    row("created", f"{review.created_at:%Y-%m-%d %H:%M} UTC")
    row("updated", f"{review.updated_at:%Y-%m-%d %H:%M} UTC")
    row("message", review.message)
    for image in review.multiple_image:
        row("image", image.id, image.url)
    for content in review.content:
        row("media", content.id, (content.file or ReviewFile()).filename)
    return table


def histogram(counts: Mapping[int, int]) -> Table:
    """A bar for each rating, from five stars down to one."""
    total, most = sum(counts.values()), max(counts.values(), default=0)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="yellow")
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(justify="right")
    table.add_column(justify="right", style="dim")
    for rating in sorted({5, 4, 3, 2, 1} | counts.keys(), reverse=True):
        having_it = counts.get(rating, 0)
        share = having_it / total if total else 0
        table.add_row(f"{rating} ★", _bar(having_it, most), f"{having_it:,}", f"{share:.0%}")
    return table


def _bar(number: int, most: int) -> str:
    """At most 32 wide, in steps of an eighth, and never empty but for 0."""
    eighths = max(round(32 * 8 * number / most), 1) if number else 0
    whole, rest = divmod(eighths, 8)
    return "█" * whole + " ▏▎▍▌▋▊▉"[rest].strip()


def fates(ids: Mapping[str, Iterable[str]]) -> Table:
    """What became of each id."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for fate, having_it in ids.items():
        for one in having_it:
            table.add_row(fate, one)
    return table


def stats(figures: ReviewStats) -> Group:
    """The average above the histogram."""
    average = f"{figures.average:.1f} ★ on average, {count(figures.total, 'active review')}"
    return Group(average, "", histogram({one.rating: one.total_rating for one in figures.stats}))
