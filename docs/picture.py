"""Draw what the README shows: `mayar-reviews demo` in a terminal of 80 columns, as an SVG.

Run it as `python docs/picture.py`. A test compares its picture with `docs/demo.svg`.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).with_name("demo.svg")


def draw() -> str:
    """Run the demo and return the picture."""
    with tempfile.TemporaryDirectory() as directory:
        shown = subprocess.run(
            [sys.executable, "-m", "mayar_reviews", "demo"],
            cwd=directory,
            env={**os.environ, "FORCE_COLOR": "1", "COLUMNS": "80", "TERM": "xterm-256color"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ mayar-reviews demo", "bold"))
    console.print(Text.from_ansi(shown))
    return console.export_svg(title="mayar-reviews", unique_id="demo")


if __name__ == "__main__":
    PICTURE.write_text(draw())
