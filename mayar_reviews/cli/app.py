"""The commands by name, and their errors as one line and an exit code."""

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

from . import doctor, exports, reviews, show
from .signals import Stopped
from .watch import watch

_BROKEN_PIPE = 141  # what a shell reports for a program whose reader has gone

_HELP = """Mayar's reviews on the command line.

The API key is read from the environment variable MAYAR_API_KEY, or from a file: --api-key-file.
"""
_CODES = """Exit codes: 0 done; 1 failed; 2 wrong usage; 3 an export is known to be incomplete;
130 stopped by Ctrl-C; 143 stopped by SIGTERM; 141 the reader of the output has gone."""


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
        ("demo", exports.demo, "demo"),
        (
            "export",
            exports.export,
            "export kelas-web --output reviews.jsonl",
            "export kelas-web kelas-data --output reviews --update",
        ),
        ("watch", watch, "watch kelas-web --state seen.json --json"),
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
        ("doctor", doctor.doctor, "doctor kelas-web"),
    ):
        epilogue = "\n\n".join(f"Example: `mayar-reviews {example}`" for example in examples)
        app.command(command, name=name, help_epilogue=epilogue)
    app.register_install_completion_command()
    return app


def run() -> int:
    """Run the command in `sys.argv` and return its exit code."""
    if sys.stdout is None:  # it was closed before the program started
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  until the process ends
        show.out_is_closed = True
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Replace stars and emojis that the encoding does not have.
        sys.stdout.reconfigure(errors="replace")
    try:
        code = _run()
    except KeyboardInterrupt:  # while reading standard input
        show.err.print()
        code = 128 + signal.SIGINT
    except BrokenPipeError:
        code = _BROKEN_PIPE
    try:
        sys.stdout.flush()
    except OSError:
        # Python flushes again when it exits: that must not fail as well.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _run() -> int:
    try:
        command, bound, _ = _app().parse_args(sys.argv[1:], print_error=False, exit_on_error=False)
        code = command(*bound.args, **bound.kwargs)
        sys.stdout.flush()
    except CycloptsError as error:
        show.error(f"{_without_values(str(error)).rstrip('.')}. See --help.")
        return 2
    except InvalidArgumentError as error:
        show.error(_with_option_name(error))
        return 1 if error.field == "api_key" else 2
    except Stopped as stopped:
        show.say(str(stopped))
        return 128 + stopped.number
    except BrokenPipeError:
        raise
    except (MayarError, RuntimeError, OSError) as error:
        show.error(_described(error))
        return 1
    return code or 0


def _without_values(message: str) -> str:
    """Return the message without the values of unknown options: one may be the API key."""
    message = re.sub(r"(--[\w-]+)[^\w\s\"'-][^\s\"']*", r"\1=…", message)
    return re.sub(r"(?<![\w-])(-[a-zA-Z])[^\s\"'-][^\s\"']*", r"\1…", message)


_FIELDS = {
    "api_key": "the API key",
    "payment_link_id": "PRODUCT_ID",
    "payment_link_ids": "PRODUCT_ID",
    "review_id": "REVIEW_ID",
    "id": "REVIEW_ID",
    "content_review": "--attach",
    "delete_content_review": "--detach",
}
"""What the command line calls a field, if not `--` and its own name."""


def _with_option_name(error: InvalidArgumentError) -> str:
    if error.field is None:
        return error.fault
    name = _FIELDS.get(error.field, "--" + error.field.replace("_", "-"))
    return f"{name} {error.fault}"


def _described(error: Exception) -> str:
    if isinstance(error, ValidationError) and error.data:
        return f"{error}: {json.dumps(error.data, ensure_ascii=False)}"
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)
