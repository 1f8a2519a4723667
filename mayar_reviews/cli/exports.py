"""The commands `export` and `demo`."""

from __future__ import annotations

import os
import shlex
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from mayar_reviews import (
    ExportError,
    InvalidArgumentError,
    MayarError,
    ReviewStatus,
)
from mayar_reviews.checks import DEFAULT_PAGE_SIZE
from mayar_reviews.export import ExportReport, FileReport, export_reviews
from mayar_reviews.export.stream import STREAM, stream_reviews

from . import show
from .connection import DEFAULT_CONNECTION, Connection
from .meter import Meter
from .options import IDS, TEXT, Integer, read_ids
from .report_json import report_json
from .signals import Stopped, run_until_stopped
from .tables import histogram

if TYPE_CHECKING:
    from mayar_reviews import ReviewsClient

Format = Literal["jsonl", "csv", "csv-spreadsheet", "parquet"]

_DEMO = Path("demo-reviews.jsonl")
_SUFFIXES: dict[str, tuple[Format, ...]] = {
    ".jsonl": ("jsonl",),
    ".ndjson": ("jsonl",),
    ".csv": ("csv", "csv-spreadsheet"),
    ".parquet": ("parquet",),
}
"""The formats of a file by the end of its name; the first one is the default."""
_MOST_SHOWN = 5
_SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t"}


def demo(*, output: Path = _DEMO, force: bool = False) -> None:
    """Export 2,000 made-up reviews, to see how it works.

    The reviews come from a local server, so this needs neither a key nor a network.

    Args:
        output: The file. The default one is overwritten, any other only with --force.
        force: Overwrite the file.
    """
    # A web server, and aiohttp: only needed here.
    from mayar_reviews import ReviewsClient  # noqa: PLC0415
    from mayar_reviews.testing import FakeMayar  # noqa: PLC0415

    async def main() -> ExportReport:
        async with FakeMayar() as fake:
            fake.seed("kelas-web", 2000)
            async with ReviewsClient(fake.api_key, base_url=fake.url, rate_limit=None) as client:
                return await export_reviews(
                    client,
                    "kelas-web",
                    output,
                    force=force or output == _DEMO,
                    verify=True,
                    on_progress=meter.update,
                )

    with Meter(1) as meter:
        (file,) = run_until_stopped(main()).files
    show.out.print(histogram(file.ratings))
    show.out.print()
    show.out.print("; ".join([_summary(file), *_completeness(file)]), soft_wrap=True)


def export(
    payment_link_ids: Annotated[list[str] | None, IDS, Parameter(name="PRODUCT_ID")] = None,
    /,
    *,
    output: Annotated[str, TEXT],
    format: Format | None = None,
    separator: Literal["comma", "semicolon", "tab"] = "comma",
    all: bool = False,
    resume: bool = False,
    update: bool = False,
    force: bool = False,
    merge: bool = False,
    verify: bool = False,
    rating: Integer | None = None,
    status: ReviewStatus | None = None,
    page_size: Integer = DEFAULT_PAGE_SIZE,
    concurrency: Integer = 4,
    quiet: bool = False,
    json: bool = False,
    connection: Connection = DEFAULT_CONNECTION,
) -> int:
    """Export every review of products, or of the whole store.

    It waits for the rate limit and waits out outages. If it ends early, the same command with
    --resume continues where it stopped, and the file is as if nothing had happened. For a job
    that runs every night, use --update.

    Args:
        payment_link_ids: The products. `-` reads their ids from standard input.
        output: The file. It appears when it is whole. For several products: the directory, with
            one file for each. `-` writes one product, or the store, to standard output as JSONL,
            which cannot be resumed.
        format: By default as the file's name ends, or else `jsonl`, which has the API's own
            objects, one a line. `csv` is exact, `csv-spreadsheet` is safe to double-click.
            `parquet` needs the extra `mayar-reviews[parquet]`.
        separator: What separates the cells of `csv-spreadsheet`. An Indonesian Windows expects a
            semicolon.
        all: The whole store, with reviews of every status.
        resume: Continue where an earlier run stopped. Start if there was none.
        update: Bring a finished file up to date with what is new or changed since, in a few
            requests. Continue an unfinished one. Start if there is none.
        force: Start from the beginning, and overwrite what is there when the new file is whole.
        merge: Write the reviews of several products into one file. What a later run needs is kept
            in the directory `<output>.products`.
        verify: Compare with the statistics, which may be old.
        rating: Only reviews with this many stars, 1 to 5.
        status: Only reviews with this status. Needs --all.
        page_size: Reviews in one request. The API gives at most 50.
        concurrency: How many products are exported at a time, under one rate limit.
        quiet: Show only problems.
        json: Write the final report as JSON to standard output, or to standard error when the
            reviews go to standard output.
        connection: The options that every command shares.
    """
    if bool(payment_link_ids) == all:
        raise InvalidArgumentError("give either PRODUCT_ID or --all")
    products = read_ids(payment_link_ids or ())
    to_stdout = output == "-"
    several = len(products) > 1 or "-" in (payment_link_ids or ())
    is_plain = not (several or resume or update or merge or verify)
    if to_stdout and not (is_plain and format in (None, "jsonl")):
        raise InvalidArgumentError(
            "- is for one product or --all, as jsonl, without --resume, --update, --merge and "
            "--verify",
            field="output",
        )
    if merge and all:
        raise InvalidArgumentError(
            "is for several products: --all is one file already", field="merge"
        )
    if to_stdout and show.out_is_closed:
        raise InvalidArgumentError("- cannot be used: standard output is closed", field="output")
    if products and status is not None:
        raise InvalidArgumentError(
            "needs --all: a product's list has active reviews only", field="status"
        )
    product = products[0] if products else None
    into_directory = not merge and (several or (product is not None and _is_directory(output)))
    chosen = _choose_format(format, "" if into_directory else output)
    # A bar would be drawn across reviews that appear on the same terminal.
    meter = Meter(
        len(products) or 1,
        silent=quiet or (to_stdout and sys.stdout.isatty()),
        budget=connection.budget(),
        page_size=page_size,
    )

    async def main(client: ReviewsClient) -> ExportReport:
        if to_stdout:
            return await stream_reviews(
                client,
                product,
                sys.stdout.buffer,
                rating=rating,
                status=status,
                page_size=page_size,
                on_progress=meter.update,
            )
        return await export_reviews(
            client,
            products if into_directory or merge else product,
            output,
            format=chosen,
            separator=_SEPARATORS[separator],
            rating=rating,
            status=status,
            page_size=page_size,
            resume=resume,
            update=update,
            force=force,
            merge=merge,
            verify=verify,
            concurrency=concurrency,
            on_progress=meter.update,
        )

    how_to_continue = "" if to_stdout else f"; continue with: {_continuing_command()}"
    try:
        with meter:
            report = connection.run(main, announce=False)
    except Stopped as stopped:
        so_far = f"stopped: {show.count(meter.written, 'review')} written{how_to_continue}"
        raise Stopped(stopped.number, so_far) from None
    except InvalidArgumentError:
        raise
    except MayarError as error:
        written = meter.written
        stopped_by = error if isinstance(error, ExportError) else ExportError(str(error))
        failed = FileReport(
            product, Path(output), written=written, requests=error.attempts, error=stopped_by
        )
        if json:
            _write_report(ExportReport((failed,), 0.0), to_stdout=to_stdout)
        show.error(f"{error}{how_to_continue if written else ''}")
        return 1
    _show_report(report, how_to_continue, quiet=quiet, may_update=resume)
    if merge and report.failed:
        show.say(f"{output} was not made: it needs every product")
    if json:
        _write_report(report, to_stdout=to_stdout)
    if report.failed:
        return 1
    return 3 if report.complete is False else 0


def _is_directory(output: str) -> bool:
    return output.endswith((os.sep, "/")) or Path(output).is_dir()


def _choose_format(given: Format | None, output: str) -> Format:
    """Return the format: as given, or by the end of the file's name.

    Raises:
        InvalidArgumentError: these contradict each other.
    """
    suffix = Path(output).suffix.lower()
    possible = _SUFFIXES.get(suffix)
    if possible is None:
        return given or "jsonl"
    if given is None:
        return possible[0]
    if given not in possible:
        raise InvalidArgumentError(
            f"{given} does not fit the name of a file that ends with {suffix}: leave out --format, "
            "or name the file otherwise",
            field="format",
        )
    return given


def _show_report(
    report: ExportReport, how_to_continue: str, *, quiet: bool, may_update: bool
) -> None:
    is_merged = len({file.path for file in report.files}) < len(report.files)
    for file in report.files:
        if file.error is not None:
            show.error(str(file.error))
            continue
        if not quiet:
            product = f"{file.payment_link_id}: " if is_merged else ""
            show.say(f"{product}{_summary(file)}")
        if may_update and file.finished_at is not None and not file.pages and file.resumed_from:
            show.say(
                f"finished on {file.finished_at:%Y-%m-%d %H:%M} UTC, nothing fetched: use --update "
                "to bring it up to date"
            )
        if file.complete is not True or file.invalid_count or not quiet:
            for line in _completeness(file):
                show.say(line, "yellow" if file.complete is False else "")
        if not quiet:
            for note in file.notes:
                show.say(f"note: {note}", "dim")
    if report.failed:
        products = show.count(len(report.files), "product")
        show.say(f"{len(report.failed)} of {products} failed{how_to_continue}")


def _summary(file: FileReport) -> str:
    place = "on standard output" if file.path == STREAM else f"in {file.path}"
    text = f"{show.count(file.written, 'review')} {place}"
    if file.changed is not None:
        return f"{text}, {file.changed:,} of them new or changed"
    if file.resumed_from is None or not file.written:
        return text
    return f"{text}, {file.resumed_from:,} of them from an earlier run"


def _completeness(file: FileReport) -> list[str]:
    """Return what is known about it; nothing if nobody asked."""
    lines = [
        f"incomplete: the server cannot show all reviews created from {start:%Y-%m-%d %H:%M:%S} "
        f"to {until:%Y-%m-%d %H:%M:%S} UTC"
        for start, until in file.gaps
    ]
    if file.not_verified is not None:
        lines.append(f"not verified: {file.not_verified}")
    elif file.expected is not None and not file.gaps:
        lines.append(f"complete: {file.expected} of {file.expected}")
    if file.missing:
        by_star = ", ".join(f"{count} with {stars} ★" for stars, count in file.missing.items())
        lines[-1] += f": {by_star}"
    if file.invalid_count:
        lines.append(_invalid(file))
    return lines


def _invalid(file: FileReport) -> str:
    how_many = show.count(file.invalid_count, "review")
    named = [f"{name} ({fault})" for name, fault in islice(file.invalid.items(), _MOST_SHOWN)]
    more = ["..."] if file.invalid_count > len(named) else []
    return f"{how_many} not as documented, but written: {', '.join([*named, *more])}"


def _continuing_command() -> str:
    """Return the command that continues where this one stopped."""
    export, *arguments = sys.argv[1:]
    kept = [argument for argument in arguments if argument not in ("--resume", "--force")]
    resume = [] if "--update" in kept else ["--resume"]
    return shlex.join(["mayar-reviews", export, *resume, *kept])


def _write_report(report: ExportReport, *, to_stdout: bool) -> None:
    """Write the report as JSON where the reviews are not."""
    (sys.stderr if to_stdout else sys.stdout).write(report_json(report))
