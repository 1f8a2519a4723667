"""The formats of an export, and how they are made from its journal.

`jsonl` (the journal itself): one review a line, the object as the API sent it, unknown fields
and all.

`csv`: RFC 4180, UTF-8, CR LF, a header and one row a review. Its columns are `id`,
`payment_link_id`, `payment_link_name`, `payment_link_type`, `customer_id`, `customer_name`,
`user_id`, `rating`, `status`, `message`, `created_at`, `updated_at` (ISO 8601, UTC, with
milliseconds: `2025-12-30T02:20:10.103Z`), and for the media, one line in the cell for each,
`image_urls`, `content_ids` and `content_filenames`. What is missing, null or empty is an empty
cell.

`csv-spreadsheet`: the same for who opens it with a double click. It begins with a byte-order
mark, and a cell that a spreadsheet would run as a formula begins with an apostrophe.

`parquet` (needs the extra `parquet`): the fields of `Review`, typed: times are milliseconds in
UTC, `multiple_image` and `content` lists of structs, `customer` and `payment_link` structs.
What is missing is null; the lists are empty instead. An integer of more than 64 bits is null.

Half of a surrogate pair, such as a cut emoji leaves, is U+FFFD in all but JSONL.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal

import orjson

from mayar_reviews import ExportError, InvalidArgumentError

from .durable import replacing

Format = Literal["jsonl", "csv", "csv-spreadsheet", "parquet"]
_Raw = dict[str, Any]

SUFFIXES: Mapping[Format, str] = {
    "jsonl": ".jsonl",
    "csv": ".csv",
    "csv-spreadsheet": ".csv",
    "parquet": ".parquet",
}
"""How the name of a file of each format ends."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SURROGATE = re.compile("[\ud800-\udfff]")
_CSV_COLUMNS = (
    "id",
    "payment_link_id",
    "payment_link_name",
    "payment_link_type",
    "customer_id",
    "customer_name",
    "user_id",
    "rating",
    "status",
    "message",
    "created_at",
    "updated_at",
    "image_urls",
    "content_ids",
    "content_filenames",
)
_CSV_BATCH = 1000
# OWASP's list for "CSV injection", with the full-width forms that some locales take for these.
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
# What analysts' tools like to read at once, and a few megabytes at most while it is built.
_ROW_GROUP = 5000


def check_format(format: object) -> None:
    """Refuse a format that there is not, or that lacks its library.

    Raises:
        InvalidArgumentError: says which, and what to do.
    """
    if format not in SUFFIXES:
        raise InvalidArgumentError(
            f"format is none that there is: it must be one of {', '.join(SUFFIXES)}",
            field="format",
        )
    if format == "parquet":
        try:
            import pyarrow as pa  # type: ignore[import-untyped]  # noqa: F401, PLC0415
        except ImportError:
            raise InvalidArgumentError(
                "format parquet needs pyarrow: pip install 'mayar-reviews[parquet]'",
                field="format",
            ) from None


def to_line(raw: Mapping[str, Any]) -> bytes:
    """A review as a line of the journal."""
    try:
        return orjson.dumps(raw, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        pass
    try:
        # Half a surrogate pair, an integer of more than 64 bits, deep nesting: one odd review
        # must not block an export for ever.
        return json.dumps(raw, separators=(",", ":")).encode() + b"\n"
    except RecursionError:
        pass
    raise ExportError("a review is nested too deeply to be written")


def convert(journal: Path, output: Path, format: Format) -> Generator[None, None, None]:
    """Make `output` of the journal, a batch at a step; it appears at the end, whole."""
    with journal.open("rb") as lines, replacing(output) as file:
        rows = map(_from_line, lines)
        if format == "parquet":
            yield from _write_parquet(rows, file)
        else:
            yield from _write_csv(rows, file, spreadsheet=format == "csv-spreadsheet")


def _from_line(line: bytes) -> _Raw:
    review: _Raw
    try:
        review = orjson.loads(line)
    except orjson.JSONDecodeError:
        review = json.loads(line)
    return review


def _batches(rows: Iterable[_Raw], size: int) -> Iterator[list[_Raw]]:
    rows = iter(rows)
    while batch := list(islice(rows, size)):
        yield batch


def _whole(text: str) -> str:
    return _SURROGATE.sub("\ufffd", text)


# --- csv -----------------------------------------------------------------------------------


def _write_csv(rows: Iterable[_Raw], file: BinaryIO, *, spreadsheet: bool) -> Iterator[None]:
    if spreadsheet:
        file.write(codecs.BOM_UTF8)
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(_CSV_COLUMNS)
    for batch in _batches(rows, _CSV_BATCH):
        for raw in batch:
            cells = _cells(raw)
            writer.writerow(map(_harmless, cells) if spreadsheet else cells)
        file.write(_whole(buffer.getvalue()).encode())
        buffer.seek(0)
        buffer.truncate()
        yield
    file.write(buffer.getvalue().encode())  # the header, where there is no review


def _cells(raw: _Raw) -> tuple[Any, ...]:
    customer = raw.get("customer") or {}
    payment_link = raw.get("paymentLink") or {}
    images = [image for image in raw.get("multipleImage") or () if image is not None]
    contents = [content for content in raw.get("content") or () if content is not None]
    files = [content.get("file") or {} for content in contents]
    return (
        raw["id"],
        raw["paymentLinkId"],
        payment_link.get("name"),
        payment_link.get("type"),
        raw["customerId"],
        customer.get("name"),
        raw["userId"],
        raw["rating"],
        raw["status"],
        raw.get("message"),
        _iso(raw["createdAt"]),
        _iso(raw["updatedAt"]),
        "\n".join(image.get("url") or "" for image in images),
        "\n".join(content.get("id") or "" for content in contents),
        "\n".join(file.get("filename") or "" for file in files),
    )


def _iso(milliseconds: int) -> str:
    time = _EPOCH + timedelta(milliseconds=milliseconds)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _harmless(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


# --- parquet -------------------------------------------------------------------------------


def _write_parquet(rows: Iterable[_Raw], file: BinaryIO) -> Iterator[None]:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    text = pa.string()
    time = pa.timestamp("ms", tz="UTC")
    image = {"id": text, "file_type": text, "description": text, "url": text}
    content_file = {"id": text, "filename": text, "mimetype": text, "size": pa.int64()}
    content = {"id": text, "value": text, "file": pa.struct(content_file)}
    payment_link = {"id": text, "name": text, "type": text, "link": text, "sub_type": text}
    review = pa.struct(
        {
            "id": text,
            "payment_link_id": text,
            "customer_id": text,
            "user_id": text,
            "rating": pa.int64(),
            "status": text,
            "created_at": time,
            "updated_at": time,
            "message": text,
            "multiple_image": pa.list_(pa.struct(image)),
            "content": pa.list_(pa.struct(content)),
            "customer": pa.struct({"id": text, "name": text}),
            "payment_link": pa.struct(payment_link),
        }
    )
    schema = pa.schema(list(review))

    def shape(value: Any, kind: Any) -> Any:
        """The value as its Arrow type has it: without unknown fields, under our names."""
        if pa.types.is_list(kind):
            return [shape(one, kind.value_type) for one in value or () if one is not None]
        if isinstance(value, dict):
            return {one.name: shape(value.get(_camel(one.name)), one.type) for one in kind}
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            return None
        return _whole(value) if isinstance(value, str) else value

    with parquet.ParquetWriter(file, schema) as writer:
        for batch in _batches(rows, _ROW_GROUP):
            shaped = [shape(raw, review) for raw in batch]
            writer.write_batch(pa.RecordBatch.from_pylist(shaped, schema))
            yield


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
