"""The report of `export --json`: one JSON object on one line, always of the same shape.

| name | value |
| --- | --- |
| `written`, `pages`, `requests` | numbers: the sums over all files |
| `failed` | number: how many files are not finished |
| `complete` | `true`: counted and whole; `false`: lacks something; `null`: nobody can tell |
| `seconds` | number: how long this run took |
| `files` | a list, one object for each file |

A file has `payment_link_id` (`null`: the whole store), `path`, `written`, `pages`, `requests`,
`seconds`, `complete`, `resumed_from`, `changed` (of an update), `finished_at` (ISO 8601), `ratings`
(how many reviews by rating), `gaps` (a list of pairs, from and until, ISO 8601), `expected`,
`missing` (by rating), `not_verified`, `invalid` (what does not fit, by review id; the first
hundred), `invalid_count`, `notes` (a list) and `error`. What does not apply is `null`.
`mayar_reviews.export.FileReport` says what each means.
"""

from __future__ import annotations

import json

from attrs import asdict

from mayar_reviews.export import ExportReport, FileReport


def report_json(report: ExportReport) -> str:
    """Return the report as one line of JSON."""
    named = {
        "written": report.written,
        "pages": report.pages,
        "requests": report.requests,
        "failed": len(report.failed),
        "complete": report.complete,
        "seconds": report.seconds,
        "files": [_file(file) for file in report.files],
    }
    return json.dumps(named, default=str) + "\n"


def _file(file: FileReport) -> dict[str, object]:
    finished_at = file.finished_at
    return asdict(file) | {
        "complete": file.complete,
        "finished_at": None if finished_at is None else finished_at.isoformat(),
        "gaps": [[start.isoformat(), until.isoformat()] for start, until in file.gaps],
    }
