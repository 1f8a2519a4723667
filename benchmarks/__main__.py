"""Measures what this package costs, beside a bare loop and beside its peers.

python benchmarks [--quick] [--readme] [--json FILE] [TABLE ...]
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
from readme import write_readme


def main() -> None:
    names = [table.__name__ for table in tables.ALL]
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="in less than two minutes")
    parser.add_argument("--readme", action="store_true", help="write the README's table anew")
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
    measured = {}
    for table in tables.ALL:
        if not arguments.tables or table.__name__ in arguments.tables:
            measured[table.__name__] = table(effort)
            print(measured[table.__name__].markdown(), flush=True)
    missing = sorted({note for table in measured.values() for note in table.notes})
    if arguments.readme and not missing:
        write_readme(run, measured)
    if arguments.json:
        figures = {**run, "tables": [asdict(table) for table in measured.values()]}
        arguments.json.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
    if missing:
        sys.exit("\n".join([*missing, "install all of them: pip install --group bench"]))


if __name__ == "__main__":
    main()
