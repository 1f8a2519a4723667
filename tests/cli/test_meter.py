"""How progress looks, on a clock and a terminal of the test."""

from __future__ import annotations

import io
import math

import pytest
from rich.cells import cell_len
from rich.console import Console

from mayar_reviews.cli import show
from mayar_reviews.cli.meter import Meter
from mayar_reviews.export import ExportProgress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, as the only item of a list."""
    now = [1000.0]
    monkeypatch.setattr("mayar_reviews.cli.meter.time.monotonic", lambda: now[0])
    return now


def test_without_a_terminal_lines_are_written(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """For each long wait, and every ten seconds, with speed and time left."""
    # 50 reviews a second, and another look at the head of the list.
    with Meter(1) as shown:
        for second in range(25):
            clock[0] = 1000.0 + second
            shown.update(ExportProgress("kelas-web", 50 * second, second, 2000))
        shown.update(ExportProgress("kelas-web", 1200, 24, 2000, "outage", 41.0, "it failed"))
    assert capsys.readouterr().err.splitlines() == [
        "500 of 2,000 reviews · 10 pages · 50/s · 0:00:31 left",
        "1,000 of 2,000 reviews · 20 pages · 50/s · 0:00:21 left",
        "1,200 of 2,000 reviews · 24 pages · outage: 41 s (it failed) · 0:00:58 left",
    ]


def test_products_that_wait_together_get_one_line(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """A short wait gets none."""
    with Meter(9) as shown:
        for product, seconds in (("web", 41.0), ("data", 41.4), ("kopi", 0.3), ("teh", 60.0)):
            shown.update(ExportProgress(product, 1, 1, 9, "rate limit", seconds))
    assert capsys.readouterr().err.splitlines() == [
        "1 review · 1 page · product 1 of 9 · rate limit: 41 s",
        "4 reviews · 4 pages · product 4 of 9 · rate limit: 60 s",
    ]


def test_a_silent_meter_only_counts(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Meter(1, silent=True) as shown:
        shown.update(ExportProgress(None, 7, 1, None, "outage", 300.0))
    assert capsys.readouterr() == ("", "")
    assert shown.written == 7


@pytest.mark.parametrize(("requests", "per"), [(20, 60.0), (14, 60.0), (1, 5.0), (50, 60.0)])
@pytest.mark.parametrize("latency", [0.05, 0.5, 4.0])
@pytest.mark.parametrize("reviews", [101, 1000, 10_000])
def test_the_time_left_is_right_from_the_second_page_on(
    clock: list[float], requests: int, per: float, latency: float, reviews: int
) -> None:
    """Within a fifth, though requests come in bursts: a whole budget at once, then a wait."""
    pages = math.ceil(reviews / 50)
    ended: list[float] = []
    told: list[tuple[float, float | None]] = []
    clock[0] = 0.0
    with Meter(1, silent=True, budget=(requests, per)) as shown:
        for page in range(1, pages + 2):  # one more looks at the head of the list again
            if page > requests and (wait := ended[page - 1 - requests] + per - clock[0]) > 0:
                shown.update(
                    ExportProgress("a", 50 * (page - 1), page - 1, reviews, "rate limit", wait)
                )
                clock[0] += wait
            clock[0] += latency
            ended.append(clock[0])
            if page < pages:
                shown.update(ExportProgress("a", 50 * page, page, reviews if page > 1 else None))
            if 2 <= page < pages:
                told.append((clock[0], shown._left(clock[0], 50 * page, page)))
    for now, left in told:
        assert left == pytest.approx(clock[0] - now, rel=0.2, abs=2 * latency)


@pytest.mark.parametrize("width", [80, 120])
def test_a_terminal_gets_a_bar(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """Bar and text fit into one line. The seconds of a wait count down."""
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=width, color_system=None)
    monkeypatch.setattr(show, "err", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with Meter(1) as shown:
        shown.update(ExportProgress("kelas-web", 0, 0, 2000))
        clock[0] += 5
        shown.update(ExportProgress("kelas-web", 1250, 25, 2000, "rate limit", 41.0))
        clock[0] += 1.5
        paper = Console(file=io.StringIO(), width=width)
        with paper.capture() as drawn:
            paper.print(shown._bar())
    line = drawn.get().rstrip("\n")
    assert line.endswith("  1,250 of 2,000 reviews · 25 pages · rate limit: 40 s · 0:00:43 left")
    assert cell_len(line) <= width
    assert "reviews" in screen.getvalue()
