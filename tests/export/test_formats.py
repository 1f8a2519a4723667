"""Each format is read by other libraries, and compared with what the client reads."""

from __future__ import annotations

import codecs
import csv
import io
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from attrs import asdict
from pyarrow import parquet

from mayar_reviews import InvalidArgumentError, Review
from mayar_reviews.api_json import dump
from mayar_reviews.export import export_reviews
from mayar_reviews.export.formats import Layout, write
from tests.support.export_shop import refusal, shop

Raws = list[tuple[Review, Mapping[str, Any]]]


async def exported(path: Path, format: Any, **odd: Any) -> Raws:
    """Export a product with odd reviews. Return them as the client reads them, and as sent."""
    async with shop(130) as (fake, client):
        fake.add_review("kelas-web", **{"message": '"a",\r\nb\rc\n;\t'} | odd)
        fake.add_review(
            "kelas-web",
            message=...,
            multipleImage=None,
            content=[None, {"id": None, "value": None, "file": None}],
            customer=...,
            paymentLink=None,
        )
        await export_reviews(client, "kelas-web", path, format=format)
        return [
            row
            async for page in client.iter_product_review_pages("kelas-web")
            for row in zip(page.data, page.raw, strict=True)
        ]


def cells(review: Review, raw: Mapping[str, Any]) -> dict[str, str]:
    """A review as a row of the CSV, by the documentation."""

    def text(value: object) -> str:
        return "" if value is None else str(value)

    customer, link = review.customer, review.payment_link
    return {
        "id": review.id,
        "payment_link_id": review.payment_link_id,
        "payment_link_name": text(link and link.name),
        "payment_link_type": text(link and link.type),
        "customer_id": review.customer_id,
        "customer_name": text(customer and customer.name),
        "user_id": review.user_id,
        "rating": str(review.rating),
        "status": str(review.status),
        "message": text(review.message),
        "created_at": iso(review.created_at),
        "updated_at": iso(review.updated_at),
        "image_urls": "\n".join(text(one.url) for one in review.multiple_image),
        "content_ids": "\n".join(text(one.id) for one in review.content),
        "content_filenames": "\n".join(
            text(one.file and one.file.filename) for one in review.content
        ),
        "raw": unknown(raw),
    }


def unknown(raw: Mapping[str, Any]) -> str:
    """The only field of the seeds that no documentation names."""
    count = raw.get("helpfulCount")
    return "" if count is None else f'{{"helpfulCount":{count}}}'


def iso(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03}Z"


async def test_csv_is_exact(tmp_path: Path) -> None:
    """Line breaks, quotes, emoji and missing fields come back as they were."""
    reviews = await exported(tmp_path / "out.csv", "csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert rows == [cells(*row) for row in reviews]
    data = (tmp_path / "out.csv").read_bytes()
    assert data.startswith(b"id,")
    assert data.endswith(b"\r\n")


@pytest.mark.slow
async def test_duckdb_reads_csv(tmp_path: Path) -> None:
    """It finds the same rows and understands the times."""
    reviews = await exported(tmp_path / "out.csv", "csv")
    rows = duckdb.execute(
        f"SELECT id, epoch_ms(created_at::TIMESTAMPTZ), rating FROM read_csv('{tmp_path}/out.csv')"
    ).fetchall()
    assert rows == [
        (one.id, round(one.created_at.timestamp() * 1000), one.rating) for one, _ in reviews
    ]


@pytest.mark.parametrize("format", ["csv", "csv-spreadsheet"])
async def test_csv_without_reviews_has_a_header(tmp_path: Path, format: Any) -> None:
    async with shop(0) as (_, client):
        await export_reviews(client, "kelas-web", tmp_path / "out.csv", format=format)
    assert (tmp_path / "out.csv").read_text(encoding="utf-8-sig").count("\n") == 1


async def test_csv_spreadsheet_is_safe_to_double_click(tmp_path: Path) -> None:
    """It opens as UTF-8, and no cell is a formula."""
    formula = '=HYPERLINK("http://example.com")'
    reviews = await exported(tmp_path / "out.csv", "csv-spreadsheet", message=formula)
    data = (tmp_path / "out.csv").read_bytes()
    assert data.startswith(codecs.BOM_UTF8 + b"id,")
    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    expected = [cells(*row) for row in reviews]
    assert rows[1]["message"] == f"'{formula}"
    assert "'=1+1 itu 2, '-1 itu kurang, '@toko tahu" in [row["message"] for row in rows]
    for row in (*rows, *expected):
        row |= {name: text.replace("'", "") for name, text in row.items()}
    assert rows == expected


SIGNS = ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("sign", SIGNS)
def test_no_cell_is_a_formula_whatever_the_spreadsheet_takes_for_the_separator(
    tmp_path: Path, separator: str, sign: str
) -> None:
    """An Indonesian Windows takes a semicolon. Quotes inside a line do not keep a cell together."""
    betweens = (";", ",", "\t", "\n", "\r\n")
    quotes = ("", '"', " ", '" "', "'", "''")
    parts = [f"x{between}{quote}{sign}1+1" for between in betweens for quote in quotes]
    write_journal(tmp_path, message="".join(parts), customer={"name": parts[0]})
    convert(tmp_path / "journal", tmp_path / "out", "csv-spreadsheet", separator)
    text = (tmp_path / "out").read_bytes().decode("utf-8-sig")
    for taken_for in (",", ";", "\t"):
        cells = [cell for line in text.splitlines() for cell in line.split(taken_for)]
        assert not [cell for cell in cells if cell.strip('" ').startswith(tuple(SIGNS))]
    (row,) = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    assert row["message"].replace("'", "") == "".join(parts).replace("'", "")


@pytest.mark.parametrize(
    ("format", "separator"), [("csv", ";"), ("csv-spreadsheet", "|"), ("jsonl", "\t")]
)
async def test_a_wrong_separator_is_refused(tmp_path: Path, format: Any, separator: str) -> None:
    async with shop(3) as (fake, client):
        message = await refusal(
            client, fake, "kelas-web", tmp_path / "out", format=format, separator=separator
        )
    assert message.startswith("separator ")


@pytest.mark.parametrize(
    "start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"]
)
def test_every_start_of_a_formula_is_disarmed(tmp_path: Path, start: str) -> None:
    """In every column of text. Other cells stay as they are."""
    write_journal(tmp_path, message=f"{start}1", status=f"{start}2", customer={"name": f"{start}3"})
    convert(tmp_path / "journal", tmp_path / "out", "csv-spreadsheet")
    with (tmp_path / "out").open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["message"] == f"'{start}1"
    assert row["status"] == f"'{start}2"
    assert row["customer_name"] == f"'{start}3"
    assert row["rating"] == "5"


def convert(journal: Path, output: Path, format: Any, separator: str = ",") -> int:
    """Make an output. Return in how many steps."""
    with journal.open("rb") as lines:
        return len(
            list(write(lines, output, Layout(format, separator), lambda _: None, has_invalid=False))
        )


def write_journal(directory: Path, **fields: Any) -> None:
    raw = {
        "id": "r-1",
        "paymentLinkId": "kelas-web",
        "customerId": "c-1",
        "userId": "u-1",
        "rating": 5,
        "status": "ACTIVE",
        "createdAt": -1,
        "updatedAt": 253_402_300_799_999,
    }
    (directory / "journal").write_bytes(dump(raw | fields) + b"\n")


@pytest.mark.parametrize("format", ["csv", "csv-spreadsheet", "parquet"])
def test_half_an_emoji_becomes_a_replacement_character(tmp_path: Path, format: Any) -> None:
    """The whole emoji beside it stays."""
    write_journal(tmp_path, message="\ud83d \U0001f600", content=[{"id": "\udc00"}])
    convert(tmp_path / "journal", tmp_path / "out", format)
    if format == "parquet":
        (row,) = parquet.read_table(tmp_path / "out").to_pylist()
        assert row["content"] == [{"id": "\ufffd", "value": None, "file": None}]
    else:
        with (tmp_path / "out").open(encoding="utf-8-sig", newline="") as file:
            (row,) = csv.DictReader(file)
        assert row["content_ids"] == "\ufffd"
    assert row["message"] == "\ufffd \U0001f600"


def test_times_of_csv_are_exact(tmp_path: Path) -> None:
    """Before 1970 and in the year 9999, too."""
    write_journal(tmp_path)
    convert(tmp_path / "journal", tmp_path / "out", "csv")
    with (tmp_path / "out").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["created_at"] == "1969-12-31T23:59:59.999Z"
    assert row["updated_at"] == "9999-12-31T23:59:59.999Z"


async def test_parquet_has_every_field_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of rows are joined to row groups."""
    monkeypatch.setattr("mayar_reviews.export.formats._BATCH", 25)
    monkeypatch.setattr("mayar_reviews.export.formats._BATCHES_IN_ROW_GROUP", 2)
    reviews = await exported(tmp_path / "out.parquet", "parquet")
    table = parquet.read_table(tmp_path / "out.parquet")
    expected = [asdict(review) | {"raw": unknown(raw) or None} for review, raw in reviews]
    assert any(row["raw"] for row in expected)
    for row in expected:
        row["multiple_image"], row["content"] = list(row["multiple_image"]), list(row["content"])
    assert table.to_pylist() == expected
    file = parquet.ParquetFile(tmp_path / "out.parquet")
    groups = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    assert groups == [50, 50, 32]


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_a_conversion_is_made_in_one_step_for_each_review(tmp_path: Path, format: Any) -> None:
    """So that other tasks can run."""
    write_journal(tmp_path)
    line = (tmp_path / "journal").read_bytes()
    (tmp_path / "journal").write_bytes(line * 5100)
    assert convert(tmp_path / "journal", tmp_path / "out", format) == 5100
    if format == "parquet":
        assert parquet.ParquetFile(tmp_path / "out").num_row_groups == 3


def test_parquet_leaves_out_nulls_in_lists_and_keeps_unknown_fields_in_raw(tmp_path: Path) -> None:
    write_journal(
        tmp_path,
        multipleImage=[None, {"id": "foto-1", "new": 1}],
        content=None,
        customer={"id": None, "name": "Budi", "new": {"x": 1}},
        new="field",
    )
    convert(tmp_path / "journal", tmp_path / "out", "parquet")
    (row,) = parquet.read_table(tmp_path / "out").to_pylist()
    image = {"id": "foto-1", "file_type": None, "description": None, "url": None}
    assert row["multiple_image"] == [image]
    assert (row["content"], row["payment_link"]) == ([], None)
    assert row["customer"] == {"id": None, "name": "Budi"}
    assert "new" not in row
    assert row["raw"] == '{"new":"field"}'


async def test_the_schema_of_parquet_does_not_depend_on_the_data(tmp_path: Path) -> None:
    """Here there are no reviews."""
    async with shop(0) as (_, client):
        await export_reviews(client, "kelas-web", tmp_path / "out", format="parquet")
    schema = parquet.read_schema(tmp_path / "out")
    assert schema.field("created_at").type == pa.timestamp("ms", tz="UTC")
    assert schema.field("rating").type == pa.int64()
    assert str(schema.field("content").type) == (
        "list<element: struct<id: string, value: string, "
        "file: struct<id: string, filename: string, mimetype: string, size: int64>>>"
    )


async def test_duckdb_reads_parquet(tmp_path: Path) -> None:
    """Its times, lists and structs."""
    reviews = await exported(tmp_path / "out.parquet", "parquet")
    rows = duckdb.execute(
        "SELECT id, epoch_ms(created_at), customer.name, list_transform(multiple_image, lambda x: x.url),"
        f" content[1].file.size FROM read_parquet('{tmp_path}/out.parquet')"
    ).fetchall()
    assert rows == [
        (
            one.id,
            round(one.created_at.timestamp() * 1000),
            one.customer and one.customer.name,
            [image.url for image in one.multiple_image],
            one.content[0].file.size if one.content and one.content[0].file else None,
        )
        for one, _ in reviews
    ]


async def test_without_pyarrow_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is asked or made."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    async with shop() as (fake, client):
        with pytest.raises(InvalidArgumentError, match=r"pip install 'mayar-reviews\[parquet\]'"):
            await export_reviews(client, "kelas-web", tmp_path / "out", format="parquet")
        assert fake.requests == []
    assert list(tmp_path.iterdir()) == []
