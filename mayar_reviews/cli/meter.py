"""The progress of an export: a bar on a terminal, elsewhere a line from time to time."""

from __future__ import annotations

import math
import time
from datetime import timedelta
from typing import Self

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mayar_reviews.checks import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from mayar_reviews.export import ExportProgress

from . import show

_SECONDS_BETWEEN_LINES = 10.0


class Meter:
    """Shows progress on standard error, in a `with` block.

    Args:
        products: how many products there are; the whole store counts as one.
        silent: show nothing.
        budget: how many requests may be sent in how many seconds; `None`: any number.
        page_size: how many reviews a request brings.
    """

    def __init__(
        self,
        products: int,
        *,
        silent: bool = False,
        budget: tuple[int, float] | None = None,
        page_size: int = DEFAULT_PAGE_SIZE,
    ) -> None:
        self._products = products
        self._silent = silent
        self._budget = budget
        self._page_size = min(page_size, MAX_PAGE_SIZE)
        self._started = time.monotonic()
        self._waits = 0.0  # seconds, with what is left of the present one
        self._unplanned = 0.0  # those that do not come from the budget
        self._live: Live | None = None
        self._latest: dict[str | None, ExportProgress] = {}
        self._first_page: tuple[float, int] | None = None  # its time, and the reviews by then
        self._waits_until = 0.0
        self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES

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
        """How many reviews are safe."""
        return sum(progress.written for progress in self._latest.values())

    def update(self, progress: ExportProgress) -> None:
        """Take in what the export reports."""
        now = time.monotonic()
        # A new dict each time: another thread draws the bar.
        self._latest = {**self._latest, progress.payment_link_id: progress}
        if self._first_page is None and progress.waiting is None:
            self._first_page = now, self.written
        # Several products that wait for the same slot of the rate limit need one line only.
        new_wait = progress.seconds >= 1 and now + progress.seconds > self._waits_until + 1
        wait = max(0.0, now + progress.seconds - max(now, self._waits_until))
        self._waits += wait
        if progress.waiting != "rate limit" or self._budget is None:
            self._unplanned += wait
        self._waits_until = now + progress.seconds
        if self._live is None and not self._silent and (new_wait or now >= self._next_line):
            self._next_line = now + _SECONDS_BETWEEN_LINES
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
        waits = next((p for p in reversed(self._latest.values()) if p.waiting), None)
        if waits and self._waits_until > now:
            failure = f" ({waits.failure})" if waits.failure else ""
            parts.append(f"{waits.waiting}: {math.ceil(self._waits_until - now)} s{failure}")
        elif speed:
            parts.append(f"{speed:,.0f}/s")
        if (left := self._left(now, written, pages)) is not None:
            parts.append(f"{timedelta(seconds=round(left))} left")
        return " · ".join(parts)

    def _left(self, now: float, written: int, pages: int) -> float | None:
        """Return how many seconds are left; `None`: nobody can tell.

        Requests come in bursts: a whole budget at once, then a wait. So the speed of a moment
        says little, and the budget says when the last request may be sent.
        """
        total = self._total
        if total is None or pages < 2 or total <= written:
            return None
        # One more looks at the head of the list again.
        to_send = math.ceil((total - written) / self._page_size) + 1
        elapsed = now - self._started
        latency = (elapsed - self._waits + max(self._waits_until - now, 0.0)) / pages
        requests, per = self._budget or (1, 0.0)
        # A slot comes back so many seconds after its answer.
        window = max(per + latency, requests * latency)
        windows, rest = divmod(pages + to_send - 1, requests)
        planned = windows * window + (rest + 1) * latency
        return max(planned - elapsed + self._unplanned, 0.0)

    @property
    def _total(self) -> int | None:
        """How many reviews there will be; `None` until the total of every product is known."""
        totals = [progress.total for progress in self._latest.values()]
        if len(totals) < self._products or None in totals:
            return None
        return max(sum(total or 0 for total in totals), self.written)

    def _speed(self, now: float) -> float | None:
        """Return reviews per second; `None` in the first second after the first page."""
        if self._first_page is None or now < self._first_page[0] + 1:
            return None
        then, written_then = self._first_page
        return (self.written - written_then) / (now - then)
