"""How progress looks, on a clock and a terminal of the test's own."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from mayar_reviews.cli import show
from mayar_reviews.cli.meter import Meter
from mayar_reviews.export import ExportProgress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in a cell."""
    now = [1000.0]
    monkeypatch.setattr("mayar_reviews.cli.meter.time.monotonic", lambda: now[0])
    return now


def test_lines_where_there_is_no_terminal(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """A line for each long wait and every ten seconds, with speed and time left."""
    with Meter(1) as shown:
        for second in range(25):
            clock[0] = 1000.0 + second
            shown.update(ExportProgress("kelas-web", 50 * second, second, 2000))
        shown.update(ExportProgress("kelas-web", 1200, 24, 2000, "rate limit", 41.0))
    assert capsys.readouterr().err.splitlines() == [
        "500 of 2,000 reviews · 10 pages · 50/s · 0:00:30 left",
        "1,000 of 2,000 reviews · 20 pages · 50/s · 0:00:20 left",
        "1,200 of 2,000 reviews · 24 pages · rate limit: 41 s · 0:00:16 left",
    ]


def test_one_line_for_a_wait_that_many_share(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """Products that wait for the same slot are told of once, short waits not at all."""
    with Meter(9) as shown:
        for product, seconds in (("web", 41.0), ("data", 41.4), ("kopi", 0.3), ("teh", 60.0)):
            shown.update(ExportProgress(product, 1, 1, 9, "rate limit", seconds))
    assert capsys.readouterr().err.splitlines() == [
        "1 review · 1 page · product 1 of 9 · rate limit: 41 s",
        "4 reviews · 4 pages · product 4 of 9 · rate limit: 60 s",
    ]


def test_silence(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    """Asked to be silent, it still counts."""
    with Meter(1, silent=True) as shown:
        shown.update(ExportProgress(None, 7, 1, None, "outage", 300.0))
    assert capsys.readouterr() == ("", "")
    assert shown.written == 7


@pytest.mark.parametrize("width", [80, 120])
def test_bar_on_a_terminal(clock: list[float], monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """The bar and its words fit into a line, whose waiting time counts down."""
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
    assert line.endswith("  1,250 of 2,000 reviews · 25 pages · rate limit: 40 s · 0:00:04 left")
    assert cell_len(line) <= width
    assert "reviews" in screen.getvalue()
