"""Writing text and JSON.

Text from a server or a file goes through `plain` before a terminal sees it.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from mayar_reviews.api_json import dump


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise  # noqa: PLE0704  rich calls this in its `except` block, and would exit with 1


_PLAIN: dict[str, Any] = {"markup": False, "highlight": False, "emoji": False}
out: _Console = _Console(**_PLAIN)
err: _Console = _Console(stderr=True, **_PLAIN)
out_is_closed = False
"""Whether the program was started without a standard output."""

# Controls (escape sequences start with one), marks that reverse text, half surrogates.
_HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    """Return the text with everything replaced that a terminal would obey or cannot print."""
    return _HARMFUL.sub("\ufffd", text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """Return the same without line breaks and runs of spaces."""
    return plain(" ".join(text.split()))


def say(text: str, style: str = "") -> None:
    """Write one line to standard error."""
    err.print(_flat(text), style=style, soft_wrap=True)


def _flat(text: str) -> str:
    # Runs of spaces stay: they may belong to a file's name in a command.
    return plain(" ".join(text.splitlines()).replace("\t", " "))


def error(text: str) -> None:
    """Write one line to standard error that says what went wrong."""
    err.print(Text.assemble(("error: ", "bold red"), _flat(text)), soft_wrap=True)


def write_json(value: Any) -> None:
    """Write one line of JSON to standard output."""
    sys.stdout.buffer.write(dump(value) + b"\n")


def count(number: int, noun: str) -> str:
    """Return a number with its noun, such as `1 review` and `2,000 reviews`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
