"""The table of speed in the README, made from the tables of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from measure import Row, Table

README = Path(__file__).parents[1] / "README.md"
_START, _END = "<!-- speed: python benchmarks --readme -->", "<!-- /speed -->"
_OURS = "**mayar_reviews**"
_LABELS = {
    "decode": "a page of 50, over `orjson.loads`",
    "walk": "10,000 reviews, over aiohttp + orjson",
    "backend": "200 pages at a time, over aiohttp + orjson",
    "latency": "pages at 50 ms, over the latency",
    "rate_limited": "a paced job, over the least time possible",
}


def write_readme(run: Mapping[str, object], measured: Mapping[str, Table]) -> None:
    """Replace the README's table. It has a line for each of these tables that was measured."""
    machine = f"{run['cores']} cores, Python {run['python']}"
    lines = [
        f"`{run['command']}`, {run['date']}, {machine}: ratios, median (minimum-maximum).",
        "",
        "| | mayar-reviews | peers |",
        "| --- | --- | --- |",
    ]
    for name, label in _LABELS.items():
        if name in measured:
            rows = measured[name].rows
            ours = next(row for row in rows if row.name.startswith(_OURS))
            peers = [
                row for row in rows if not (row.name.startswith(_OURS) or set(row.figures) == {1})
            ]
            lines.append(f"| {label} | {_figures(ours)} | {'; '.join(map(_peer, peers))} |")
    text = README.read_text()
    head, _, rest = text.partition(_START)
    _, _, tail = rest.partition(_END)
    README.write_text("\n".join([head + _START, *lines, _END + tail]))


def _figures(row: Row) -> str:
    median, low, high = row.summary
    remark = f", {row.remark}" if row.remark.startswith("429s") else ""
    return f"{median:.2f} ({low:.2f}-{high:.2f}){remark}"


def _peer(row: Row) -> str:
    remark = f", {row.remark}" if row.remark.startswith("429s") else ""
    return f"{row.name} {row.summary[0]:.2f}{remark}"
