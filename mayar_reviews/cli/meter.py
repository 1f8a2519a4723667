"""How far an export is: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import math
import time
from datetime import timedelta
from typing import Self

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mayar_reviews.export import ExportProgress

from . import show

_LINE_EVERY = 10.0  # seconds, where there is no bar


class Meter:
    """Shows on standard error how far an export is, while it is entered.

    Args:
        products: how many there are in all; the whole store is one.
        silent: show nothing.
    """

    def __init__(self, products: int, *, silent: bool = False) -> None:
        self._products = products
        self._silent = silent
        self._live: Live | None = None
        self._latest: dict[str | None, ExportProgress] = {}
        self._first: tuple[float, int] | None = None  # when the first page was there, and with what
        self._waits_until = 0.0
        self._next_line = time.monotonic() + _LINE_EVERY

    def __enter__(self) -> Self:
        if show.err.is_interactive and not self._silent:
            self._live = Live(
                get_renderable=self._bar,
                console=show.err,
                refresh_per_second=5,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def written(self) -> int:
        """Reviews that are safe, as far as has been told."""
        return sum(progress.written for progress in self._latest.values())

    def update(self, progress: ExportProgress) -> None:
        """Take note of what the export tells."""
        now = time.monotonic()
        # Replaced, not changed: the bar is drawn by another thread.
        self._latest = {**self._latest, progress.payment_link_id: progress}
        if self._first is None and progress.waiting is None:
            self._first = now, self.written
        # Products that wait for the same slot of the rate limit are one piece of news.
        news = progress.seconds >= 1 and now + progress.seconds > self._waits_until + 1
        self._waits_until = now + progress.seconds
        if self._live is None and not self._silent and (news or now >= self._next_line):
            self._next_line = now + _LINE_EVERY
            show.say(self._text())

    def _bar(self) -> Table:
        bar = ProgressBar(self._total, self.written, width=max(10, (show.err.width - 60) // 2))
        line = Table.grid(padding=(0, 2, 0, 0))
        line.add_row(bar, Text(self._text(), no_wrap=True, overflow="ellipsis"))
        return line

    def _text(self) -> str:
        now, written, total = time.monotonic(), self.written, self._total
        pages = sum(progress.pages for progress in self._latest.values())
        parts = [
            show.count(written, "review")
            if total is None
            else f"{written:,} of {show.count(total, 'review')}",
            show.count(pages, "page"),
        ]
        if self._products > 1:
            parts.append(f"product {len(self._latest)} of {self._products}")
        speed = self._speed(now)
        waiting = next((p.waiting for p in reversed(self._latest.values()) if p.waiting), None)
        if waiting and self._waits_until > now:
            parts.append(f"{waiting}: {math.ceil(self._waits_until - now)} s")
        elif speed:
            parts.append(f"{speed:,.0f}/s")
        if speed and total is not None and total > written:
            parts.append(f"{timedelta(seconds=round((total - written) / speed))} left")
        return " · ".join(parts)

    @property
    def _total(self) -> int | None:
        """How many there will be, once every product has told."""
        totals = [progress.total for progress in self._latest.values()]
        if len(totals) < self._products or None in totals:
            return None
        return max(sum(total or 0 for total in totals), self.written)

    def _speed(self, now: float) -> float | None:
        if self._first is None or now < self._first[0] + 1:
            return None
        then, there = self._first
        return (self.written - there) / (now - then)
