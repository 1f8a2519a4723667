"""The formats of an export, and how they are made from its journal.

Each holds every review once, in its newest form, in the order of the list.

`jsonl`: one review a line, the object as the API sent it, with unknown fields.

`csv` follows RFC 4180: UTF-8, CR LF, a header, one row for each review. The columns are `id`,
`payment_link_id`, `payment_link_name`, `payment_link_type`, `customer_id`, `customer_name`,
`user_id`, `rating`, `status`, `message`, `created_at`, `updated_at`, `image_urls`, `content_ids`,
`content_filenames` and `raw`. Times are ISO 8601 in UTC with milliseconds:
`2025-12-30T02:20:10.103Z`. The three columns before `raw` hold one line for each image or content.
`raw` is a JSON object of the fields that the API sent and its documentation does not know, and of
those that are not as it documents them. What is missing, null or empty is an empty cell.

`csv-spreadsheet` is the same, but safe to open with a double click. It starts with a byte-order
mark, and what a spreadsheet would run as a formula has an apostrophe before it. That holds
whichever of comma, semicolon and tab the spreadsheet takes for the separator. Choose the
separator that yours expects: an Indonesian Windows expects a semicolon.

`parquet` needs the extra `parquet`. It has the typed fields of `Review`: times are milliseconds
in UTC, `multiple_image` and `content` are lists of structs, `customer` and `payment_link` are
structs, `raw` is text as in CSV. What is missing is null; a missing list is empty. An integer of
more than 64 bits is null.

In every format but JSONL, half of a surrogate pair (as a cut emoji leaves) becomes U+FFFD.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from itertools import islice, repeat
from pathlib import Path
from typing import Any, Literal, TypeVar

from attrs import fields, frozen

from mayar_reviews import InvalidArgumentError, Review
from mayar_reviews.api_json import EPOCH, MILLISECOND, camel_case, dump, load
from mayar_reviews.converter import misfits

from .durable import Hashed, replacing

Format = Literal["jsonl", "csv", "csv-spreadsheet", "parquet"]
T = TypeVar("T")
_Raw = Mapping[str, Any]
_Row = tuple[_Raw, str]
"""The fields of a review that fit, and the others as JSON; the text is empty without others."""

SUFFIXES: Mapping[Format, str] = {
    "jsonl": ".jsonl",
    "csv": ".csv",
    "csv-spreadsheet": ".csv",
    "parquet": ".parquet",
}
"""How the name of a file of each format ends."""

# Other tasks run after each batch, so a batch must take milliseconds only.
_BATCH = 250
# Row groups of 2,500: no smaller than analysis tools like, and written in some 10 ms.
_BATCHES_IN_ROW_GROUP = 10
_EPOCH = EPOCH.replace(tzinfo=None)  # a time without a zone is written in half the time
_SURROGATE = re.compile("[\ud800-\udfff]")
# OWASP's list for "CSV injection", with the full-width forms that some locales treat the same.
_SIGNS = "=+@\uff1d\uff0b\uff0d\uff20-"
_FORMULA = tuple(f"{_SIGNS}\t\r\n")
# What begins a cell for a spreadsheet that takes another separator. Quotes do not help there.
_HIDDEN_FORMULA = re.compile(f"""([,;\t\r\n]["'\\s]*)(?=[{_SIGNS}])""")
_RISKY = re.compile(f"""{_HIDDEN_FORMULA.pattern}|\n[\t\r\n]""")
"""Found in a row, its cells joined by line ends, if one may be taken for a formula."""


SEPARATORS = (",", ";", "\t")


@frozen
class Layout:
    """How reviews are written."""

    format: Format
    separator: str = ","
    """For `csv-spreadsheet`: one of `SEPARATORS`."""


def check_layout(layout: Layout) -> None:
    """Refuse an unknown format, one that lacks its library, or a wrong separator.

    Raises:
        InvalidArgumentError: says which, and what to do.
    """
    if not isinstance(layout.format, str) or layout.format not in SUFFIXES:
        raise InvalidArgumentError(
            f"is unknown: choose one of {', '.join(SUFFIXES)}", field="format"
        )
    if layout.separator not in SEPARATORS:
        raise InvalidArgumentError("must be a comma, a semicolon or a tab", field="separator")
    if layout.separator != "," and layout.format != "csv-spreadsheet":
        raise InvalidArgumentError(
            "needs the format csv-spreadsheet: in csv it is always a comma", field="separator"
        )
    if layout.format == "parquet":
        try:
            import pyarrow as pa  # type: ignore[import-untyped]  # noqa: F401, PLC0415
        except ImportError:
            raise InvalidArgumentError(
                "parquet needs an extra: pip install 'mayar-reviews[parquet]'",
                field="format",
            ) from None


def write(
    lines: Iterable[bytes],
    output: Path,
    layout: Layout,
    before: Callable[[str], object],
    *,
    has_invalid: bool,
) -> Generator[None, None, None]:
    """Write the reviews, some at a step. The file appears at the end, whole.

    Args:
        lines: the reviews as the API sent them.
        output: the file.
        layout: how they are written.
        before: called with size and hash of the whole file before it appears.
        has_invalid: whether a review may not be as documented.
    """
    with replacing(output, lambda: before(hashed.fingerprint())) as file:
        hashed = Hashed(file)
        if layout.format == "jsonl":
            for line in lines:
                hashed.write(line)
                yield
            return
        rows = map(_fitting if has_invalid else _documented, map(load, lines))
        if layout.format == "parquet":
            yield from _write_parquet(rows, hashed)
        else:
            yield from _write_csv(rows, hashed, layout)


def write_store(lines: Iterable[bytes], store: Path) -> Generator[None, None, None]:
    """Write the reviews as the API sent them, compressed, for a later update."""
    with replacing(store) as file, gzip.GzipFile("", "wb", 1, file, 0) as packed:
        for batch in _batches(lines):
            packed.write(b"".join(batch))
            yield from repeat(None, len(batch))


_KNOWN = frozenset(camel_case(one.name) for one in fields(Review))


def _documented(raw: _Raw) -> _Row:
    if raw.keys() <= _KNOWN:
        return raw, ""
    rest = {name: value for name, value in raw.items() if name not in _KNOWN}
    return raw, dump(rest).decode()


def _fitting(raw: Any) -> _Row:
    if not isinstance(raw, dict):
        return {}, dump(raw).decode()
    wrong = misfits(raw, Review)
    fitting = {name: value for name, value in raw.items() if name in _KNOWN - wrong}
    rest = {name: value for name, value in raw.items() if name not in fitting}
    return fitting, dump(rest).decode() if rest else ""


def _batches(rows: Iterable[T]) -> Iterator[list[T]]:
    rows = iter(rows)
    while batch := list(islice(rows, _BATCH)):
        yield batch


def _encode(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _replace_surrogates(text).encode()


def _replace_surrogates(text: str) -> str:
    return _SURROGATE.sub("\ufffd", text)


# --- csv -----------------------------------------------------------------------------------


def _write_csv(rows: Iterable[_Row], file: Hashed, layout: Layout) -> Iterator[None]:
    is_spreadsheet = layout.format == "csv-spreadsheet"
    if is_spreadsheet:
        file.write(codecs.BOM_UTF8)
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=layout.separator)
    writer.writerow(_COLUMNS)
    for batch in _batches(rows):
        for raw, rest in batch:
            cells = _cells(raw, rest)
            writer.writerow(_disarmed(cells) if is_spreadsheet else cells)
            yield
        file.write(_encode(buffer.getvalue()))
        buffer.seek(0)
        buffer.truncate()
    file.write(buffer.getvalue().encode())  # the header, if there is no review


_COLUMNS = (
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
    "raw",
)


def _cells(raw: _Raw, rest: str) -> tuple[Any, ...]:
    """Return the cells of a row, in the order of the columns."""
    get = raw.get
    payment_link, customer = get("paymentLink") or {}, get("customer") or {}
    images, content = _items(get("multipleImage")), _items(get("content"))
    return (
        get("id"),
        get("paymentLinkId"),
        payment_link.get("name"),
        payment_link.get("type"),
        get("customerId"),
        customer.get("name"),
        get("userId"),
        get("rating"),
        get("status"),
        get("message"),
        _time(get("createdAt")),
        _time(get("updatedAt")),
        "\n".join([one.get("url") or "" for one in images]),
        "\n".join([one.get("id") or "" for one in content]),
        "\n".join([(one.get("file") or {}).get("filename") or "" for one in content]),
        rest,
    )


def _items(items: list[Any] | None) -> list[Any]:
    return [one for one in items if one is not None] if items else []


def _time(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return f"{(_EPOCH + milliseconds * MILLISECOND).isoformat(timespec='milliseconds')}Z"


def _disarmed(cells: tuple[Any, ...]) -> Iterable[Any]:
    texts = [cell for cell in cells if cell and isinstance(cell, str)]
    # One look at the whole row, as hardly any has something to disarm.
    return map(_disarm, cells) if _RISKY.search("\n" + "\n".join(texts)) else cells


def _disarm(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    cell = _HIDDEN_FORMULA.sub(r"\1'", cell)
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


# --- parquet -------------------------------------------------------------------------------


def _write_parquet(rows: Iterable[_Row], file: Hashed) -> Iterator[None]:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    text = pa.string()
    time = pa.timestamp("ms", tz="UTC")
    image = {"id": text, "file_type": text, "description": text, "url": text}
    content_file = {"id": text, "filename": text, "mimetype": text, "size": pa.int64()}
    content = {"id": text, "value": text, "file": pa.struct(content_file)}
    payment_link = {"id": text, "name": text, "type": text, "link": text, "sub_type": text}
    review = {
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
        "raw": text,
    }
    # Arrow picks the fields out of the API's objects by the API's names. Then they get ours.
    named_by_api = _renamed(pa.struct(review))

    def array(batch: list[_Row]) -> Any:
        objects = [
            {
                **raw,
                "multipleImage": _items(raw.get("multipleImage")),
                "content": _items(raw.get("content")),
                "raw": rest or None,
            }
            for raw, rest in batch
        ]
        try:
            return pa.array(objects, named_by_api)
        except (UnicodeEncodeError, OverflowError):
            return pa.array(_tamed(objects), named_by_api)

    group: list[Any] = []
    with parquet.ParquetWriter(file, pa.schema(review)) as writer:
        for batch in _batches(rows):
            made = array(batch).view(pa.struct(review))
            group.append(pa.RecordBatch.from_struct_array(made))
            if len(group) == _BATCHES_IN_ROW_GROUP:
                writer.write_table(pa.Table.from_batches(group))
                group.clear()
            yield from repeat(None, len(batch))
        if group:
            writer.write_table(pa.Table.from_batches(group))


def _renamed(kind: Any) -> Any:
    """Return an Arrow type with the API's names for the fields."""
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_list(kind):
        return pa.list_(_renamed(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct({camel_case(one.name): _renamed(one.type) for one in kind})
    return kind


def _tamed(value: Any) -> Any:
    """Return a value without what Arrow cannot hold."""
    if isinstance(value, dict):
        return {name: _tamed(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_tamed(one) for one in value]
    if isinstance(value, str):
        return _replace_surrogates(value)
    return None if isinstance(value, int) and not -(2**63) <= value < 2**63 else value
