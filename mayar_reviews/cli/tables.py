"""Drawing reviews and statistics as tables and histograms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Group
from rich.table import Table
from rich.text import Text

from mayar_reviews import Customer, PaymentLink, Review, ReviewFile, ReviewStats

from .show import count, one_line, plain


def reviews_table(reviews: Iterable[Review], *, of_one_product: bool) -> Table:
    """Return two lines for each review: what it says, and the ids needed to act on it."""
    table = Table(box=None, expand=True, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("Date", no_wrap=True)
    table.add_column("Rating", no_wrap=True)
    table.add_column("Customer", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("Review", ratio=3, overflow="fold")
    for review in reviews:
        customer = review.customer or Customer()
        product = review.payment_link or PaymentLink()
        table.add_row(
            _two_lines(f"{review.created_at:%Y-%m-%d}", review.status),
            Text(_stars(review.rating), "yellow"),
            _two_lines(
                customer.name or review.customer_id,
                "" if of_one_product else product.name or review.payment_link_id,
            ),
            _two_lines(_shorten(one_line(review.message or "")), review.id),
        )
    return table


def review_line(review: Review) -> Text:
    """Return a review as one line: when, how many stars, who, which product, what, and its id."""
    customer, product = review.customer or Customer(), review.payment_link or PaymentLink()
    return Text.assemble(
        f"{review.updated_at:%Y-%m-%d %H:%M}  ",
        (f"{_stars(review.rating):5}  ", "yellow"),
        f"{one_line(customer.name or review.customer_id)}, ",
        f"{one_line(product.name or review.payment_link_id)}: ",
        _shorten(one_line(review.message or "")) or "-",
        (f"  {review.status} {one_line(review.id)}", "dim"),
    )


def _two_lines(text: str, dim: str) -> Text:
    """Return one text above the other, without a line for an empty one."""
    lines = Text(one_line(text), end="")
    if text and dim:
        lines.append("\n")
    return lines.append(one_line(dim), "dim")


def _shorten(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:199]}…"


def _stars(rating: int) -> str:
    return "★" * rating if 1 <= rating <= 5 else str(rating)


def review_details(review: Review) -> Table:
    """Return everything about one review, one line for each field."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")

    def row(name: str, *values: str | None) -> None:
        known = [plain(value) for value in values if value]
        if known:
            table.add_row(name, Text("  ".join(known)))

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
    """Return a bar for each rating, from five stars down to one."""
    total, most = sum(counts.values()), max(counts.values(), default=0)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="yellow")
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(justify="right")
    table.add_column(justify="right", style="dim")
    for rating in sorted({5, 4, 3, 2, 1} | counts.keys(), reverse=True):
        number = counts.get(rating, 0)
        share = number / total if total else 0
        table.add_row(f"{rating} ★", _bar(number, most), f"{number:,}", f"{share:.0%}")
    return table


def _bar(number: int, most: int) -> str:
    """Return a bar of at most 32 characters, in steps of an eighth; empty only for 0."""
    eighths = max(round(32 * 8 * number / most), 1) if number else 0
    whole, rest = divmod(eighths, 8)
    return "█" * whole + " ▏▎▍▌▋▊▉"[rest].strip()


def stats_summary(stats: ReviewStats) -> Group:
    """Return the average above the histogram."""
    average = f"{stats.average:.1f} ★ on average, {count(stats.total, 'active review')}"
    return Group(average, "", histogram({one.rating: one.total_rating for one in stats.stats}))


def outcomes_table(ids: Mapping[str, Iterable[str]]) -> Table:
    """Return one line for each id, with what happened to it."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for outcome, its_ids in ids.items():
        for one in its_ids:
            table.add_row(outcome, one)
    return table
