"""The commands that export, and how they end."""

from __future__ import annotations

import json as json_module
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

from attrs import asdict
from cyclopts import Parameter

from mayar_reviews import (
    ExportError,
    InvalidArgumentError,
    ReviewsClient,
    ReviewStatus,
)
from mayar_reviews.export import ExportReport, FileReport, export_reviews

from . import show
from .connection import Connection, Stopped, drive
from .meter import Meter
from .options import IDS, TEXT, Whole, read_ids
from .stream import STDOUT, stream_reviews

_DEMO = Path("demo-reviews.jsonl")
_WHY_MISSING = (
    "why: a time-stamp cursor can skip reviews made in the same millisecond; "
    "and the statistics count active reviews only, those made since the export among them"
)
_HERE = Connection()


def demo(*, output: Path = _DEMO, force: bool = False) -> None:
    """Export 2,000 made-up reviews, to see how it goes.

    They come from a server of its own: it needs no key and no network.

    Args:
        output: The file. The default one is overwritten, any other only with --force.
        force: Overwrite the file.
    """
    from mayar_reviews.testing import FakeMayar  # noqa: PLC0415  a server only for this

    async def job() -> ExportReport:
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
        (file,) = drive(job()).files
    show.out.print(show.histogram(file.ratings))
    show.out.print()
    show.out.print(f"{_summary(file)}; {_completeness(file)}", soft_wrap=True)


def export(
    payment_link_ids: Annotated[list[str] | None, IDS, Parameter(name="PRODUCT_ID")] = None,
    /,
    *,
    output: Annotated[str, TEXT],
    format: Literal["jsonl", "csv", "csv-spreadsheet", "parquet"] = "jsonl",
    all: bool = False,
    resume: bool = False,
    force: bool = False,
    verify: bool = False,
    rating: Whole | None = None,
    status: ReviewStatus | None = None,
    page_size: Whole = 50,
    concurrency: Whole = 4,
    quiet: bool = False,
    json: bool = False,
    connection: Connection = _HERE,
) -> int:
    """Export every review of products, or of the whole store.

    It waits for the rate limit and waits out outages. However it ends, the same command with
    --resume goes on where it stopped, and the file comes out as if nothing had happened.

    Args:
        payment_link_ids: The products; `-` reads their ids from standard input.
        output: The file; for several products the directory, with a file for each. `-` writes
            one product, or the store, to standard output as JSONL, which cannot be resumed.
        format: `jsonl` holds the API's own objects, one a line; `csv` is exact, `csv-spreadsheet`
            safe to double-click; `parquet` needs the extra `mayar-reviews[parquet]`.
        all: The whole store, with reviews of every status.
        resume: Go on where an earlier run stopped; begin where there was none.
        force: Begin from the start, whatever is there.
        verify: Find out by the statistics whether reviews are missing: exit code 3.
        rating: Only reviews with this many stars, 1 to 5.
        status: Only reviews with this status; with --all.
        page_size: Reviews to a request; the API gives 50 at most.
        concurrency: Products at a time, all under the one rate limit.
        quiet: Tell only what is wrong.
        json: The final report as JSON on standard output; on standard error where that is
            taken by the reviews.
        connection: The options that all share.
    """
    if bool(payment_link_ids) == all:
        raise InvalidArgumentError("either PRODUCT_ID or --all must be given")
    products = read_ids(payment_link_ids or ())
    to_stdout = output == "-"
    several = len(products) > 1 or "-" in (payment_link_ids or ())
    if to_stdout and (several or resume or verify or format != "jsonl"):
        raise InvalidArgumentError(
            "output to - is for one product or --all, as jsonl, without --resume and --verify",
            field="output",
        )
    if products and status is not None:
        raise InvalidArgumentError(
            "status is for --all: a product's list shows active reviews only", field="status"
        )
    one = products[0] if products else None
    into_directory = several or (one is not None and Path(output).is_dir())
    # A bar would run through the reviews that appear on the same terminal.
    meter = Meter(len(products) or 1, silent=quiet or (to_stdout and sys.stdout.isatty()))

    async def job(client: ReviewsClient) -> ExportReport:
        if to_stdout:
            return await stream_reviews(
                client,
                one,
                rating=rating,
                status=status,
                page_size=page_size,
                on_progress=meter.update,
            )
        return await export_reviews(
            client,
            products if into_directory else one,
            output,
            format=format,
            rating=rating,
            status=status,
            page_size=page_size,
            resume=resume,
            force=force,
            verify=verify,
            concurrency=concurrency,
            on_progress=meter.update,
        )

    how_to_go_on = "" if to_stdout else f"; go on with: {_resuming_command()}"
    try:
        with meter:
            report = connection.run(job, announce=False)
    except Stopped as stopped:
        so_far = f"stopped: {show.count(meter.written, 'review')} written{how_to_go_on}"
        raise Stopped(stopped.number, so_far) from None
    except ExportError as error:
        show.fault(f"{error}{how_to_go_on if error.written else ''}")
        if json:
            left = {"written": error.written, "requests": error.attempts, "error": str(error)}
            (sys.stderr if to_stdout else sys.stdout).write(json_module.dumps(left) + "\n")
        return 1
    _tell(report, how_to_go_on, quiet=quiet)
    if json:
        (sys.stderr if to_stdout else sys.stdout).write(_as_json(report))
    return 1 if report.failed else 3 if report.complete is False else 0


def _tell(report: ExportReport, how_to_go_on: str, *, quiet: bool) -> None:
    for file in report.files:
        if file.error is not None:
            show.fault(str(file.error))
        elif not quiet:
            show.say(_summary(file))
        if file.missing or (file.expected is not None and not quiet):
            show.say(_completeness(file), "yellow" if file.missing else "")
    if report.complete is False and not report.failed:
        show.say(_WHY_MISSING)
    if report.failed:
        products = show.count(len(report.files), "product")
        show.say(f"{len(report.failed)} of {products} failed{how_to_go_on}")


def _summary(file: FileReport) -> str:
    place = "on standard output" if file.path == STDOUT else f"in {file.path}"
    text = f"{show.count(file.written, 'review')} {place}"
    if not file.written:
        return f"{text}: there are none"
    if file.resumed_from is None:
        return text
    return f"{text}, {file.resumed_from:,} of them from before"


def _completeness(file: FileReport) -> str:
    assert file.expected is not None
    found = file.expected - sum(file.missing.values())
    if not file.missing:
        return f"complete: {found} of {file.expected}"
    by_star = ", ".join(f"{count} with {stars} ★" for stars, count in file.missing.items())
    return f"incomplete: {found} of {file.expected}; missing: {by_star}"


def _resuming_command() -> str:
    """The command that goes on where this one stopped."""
    export, *arguments = sys.argv[1:]
    kept = [argument for argument in arguments if argument not in ("--resume", "--force")]
    return shlex.join(["mayar-reviews", export, "--resume", *kept])


def _as_json(report: ExportReport) -> str:
    totals = {
        "written": report.written,
        "pages": report.pages,
        "requests": report.requests,
        "failed": len(report.failed),
        "complete": report.complete,
    }
    return json_module.dumps(totals | asdict(report), default=str) + "\n"
