"""Measures what this package costs, beside a bare loop and beside its peers.

python benchmarks [--quick] [--json FILE] [TABLE ...]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import tables
from attrs import asdict


def main() -> None:
    names = [table.__name__ for table in tables.ALL]
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="in less than two minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    arguments = parser.parse_args()
    for name in arguments.tables:
        if name not in names:
            parser.error(f"there is no table {name}: there are {', '.join(names)}")

    run = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "command": shlex.join(["python", *sys.argv]),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }
    print(", ".join(f"{name}: {value}" for name, value in run.items()), end="\n\n", flush=True)
    effort = tables.QUICK if arguments.quick else tables.FULL
    measured = []
    for table in tables.ALL:
        if not arguments.tables or table.__name__ in arguments.tables:
            measured.append(table(effort))
            print(measured[-1].markdown(), flush=True)
    if arguments.json:
        figures = {**run, "tables": [asdict(table) for table in measured]}
        arguments.json.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
