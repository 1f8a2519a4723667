"""The commands, and what becomes of their faults: one line and an exit code."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import sys
from pathlib import Path

from cyclopts import App, CycloptsError, Parameter

from mayar_reviews import InvalidArgumentError, MayarError, ValidationError, __version__

from . import jobs, reviews, show
from .connection import Stopped

_NOBODY_READS = 141  # what a shell reports for a program whose pipe was closed

_HELP = """Mayar's reviews on the command line.

The API key comes from the environment's MAYAR_API_KEY, or from a file: --api-key-file.
"""
_CODES = """Exit codes: 0 done; 1 failed; 2 wrong usage; 3 an export is incomplete (--verify);
130 and 143 stopped by Ctrl-C or SIGTERM; 141 nobody reads the output any more."""


def _app() -> App:
    app = App(
        name="mayar-reviews",
        help=_HELP,
        help_epilogue=_CODES,
        help_format="markdown",
        version=__version__,
        default_parameter=Parameter(negative=(), show_default=lambda default: default or None),
        console=show.out,
    )
    for name, command, *examples in (
        ("demo", jobs.demo, "demo"),
        (
            "export",
            jobs.export,
            "export kelas-web --output reviews.jsonl",
            "export kelas-web kelas-data --output reviews --resume",
        ),
        ("list", reviews.list_reviews, "list kelas-web --rating 1 --max 5"),
        ("get", reviews.get_review, "get kelas-web --customer-id pembeli-1"),
        (
            "create",
            reviews.create_review,
            "create kelas-web --customer-email budi@example.com --rating 5 --message Bagus",
        ),
        ("update", reviews.update_review, "update ulasan-1 --rating 4 --attach image:foto-1"),
        ("set-status", reviews.set_status, "set-status ARCHIVED ulasan-1 ulasan-2 --yes"),
        ("stats", reviews.show_stats, "stats kelas-web"),
    ):
        epilogue = "\n\n".join(f"Example: `mayar-reviews {example}`" for example in examples)
        app.command(command, name=name, help_epilogue=epilogue)
    return app


def run() -> int:
    """Run the command that `sys.argv` holds.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong usage, 3 an export that is known to be
        incomplete, 130 and 143 stopped by Ctrl-C and SIGTERM, 141 a reader that has gone.
    """
    if sys.stdout is None:  # closed by who started this
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  until the process ends
    if isinstance(sys.stdout, io.TextIOWrapper):
        # No star and no emoji ends a command where the encoding has none.
        sys.stdout.reconfigure(errors="replace")
    try:
        code = _run()
    except KeyboardInterrupt:  # while an answer or standard input was waited for
        show.err.print()
        code = 128 + signal.SIGINT
    except BrokenPipeError:
        code = _NOBODY_READS
    try:
        sys.stdout.flush()
    except OSError:
        # What cannot be written now must not fail again when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _run() -> int:
    try:
        command, bound, _ = _app().parse_args(sys.argv[1:], print_error=False, exit_on_error=False)
        code = command(*bound.args, **bound.kwargs)
        sys.stdout.flush()
    except CycloptsError as error:
        # Somebody may have tried to give the key as an option.
        said = re.sub(r"(--[\w-]+)[^\w\s\"'-][^\s\"']*", r"\1=…", str(error))
        said = re.sub(r"(?<![\w-])(-[a-zA-Z])[^\s\"'-][^\s\"']*", r"\1…", said)
        show.fault(f"{said.rstrip('.')}. See --help.")
        return 2
    except InvalidArgumentError as error:
        show.fault(_in_terms_of_options(error))
        return 1 if error.field == "api_key" else 2
    except Stopped as stopped:
        show.say(str(stopped))
        return 128 + stopped.number
    except BrokenPipeError:
        raise
    except (MayarError, RuntimeError, OSError) as error:
        show.fault(_described(error))
        return 1
    return code or 0


_NAMES = {
    "payment_link_id": "PRODUCT_ID",
    "payment_link_ids": "PRODUCT_ID",
    "review_id": "REVIEW_ID",
    "id": "REVIEW_ID",
    "content_review": "--attach",
    "delete_content_review": "--detach",
}


def _in_terms_of_options(error: InvalidArgumentError) -> str:
    field, text = error.field, str(error)
    if field is None or field == "api_key" or not text.startswith(field):
        return text
    return _NAMES.get(field, "--" + field.replace("_", "-")) + text.removeprefix(field)


def _described(error: Exception) -> str:
    if isinstance(error, ValidationError) and error.data:
        return f"{error}: {json.dumps(error.data, ensure_ascii=False)}"
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)
