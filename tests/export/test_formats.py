"""Each format is read back, by others' libraries, and compared with what the client reads."""

from __future__ import annotations

import codecs
import csv
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from attrs import asdict
from pyarrow import parquet

from mayar_reviews import InvalidArgumentError, Review
from mayar_reviews.export import export_reviews
from mayar_reviews.export.formats import convert, to_line

from .shop import shop


async def exported(path: Path, format: Any, **odd: Any) -> list[Review]:
    """Export a product that has everything a client must survive; return its reviews."""
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
        return [review async for review in client.iter_product_reviews("kelas-web")]


def cells(review: Review) -> dict[str, str]:
    """A review as a row of the CSV is documented to have it."""

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
    }


def iso(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03}Z"


async def test_csv(tmp_path: Path) -> None:
    """Line breaks, quotes, emoji and missing fields come back as they were, a row a review."""
    reviews = await exported(tmp_path / "out.csv", "csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert rows == [cells(review) for review in reviews]
    data = (tmp_path / "out.csv").read_bytes()
    assert data.startswith(b"id,")
    assert data.endswith(b"\r\n")


async def test_csv_with_duckdb(tmp_path: Path) -> None:
    """Another reader finds the same rows and understands the times."""
    reviews = await exported(tmp_path / "out.csv", "csv")
    rows = duckdb.execute(
        f"SELECT id, epoch_ms(created_at::TIMESTAMPTZ), rating FROM read_csv('{tmp_path}/out.csv')"
    ).fetchall()
    assert rows == [
        (one.id, round(one.created_at.timestamp() * 1000), one.rating) for one in reviews
    ]


@pytest.mark.parametrize("format", ["csv", "csv-spreadsheet"])
async def test_csv_of_nothing(tmp_path: Path, format: Any) -> None:
    """Without reviews there is still a header."""
    async with shop(0) as (fake, client):
        fake.add_product("kelas-web")
        await export_reviews(client, "kelas-web", tmp_path / "out.csv", format=format)
    assert (tmp_path / "out.csv").read_text(encoding="utf-8-sig").count("\n") == 1


async def test_spreadsheet(tmp_path: Path) -> None:
    """A double click opens it as UTF-8, and runs no cell."""
    formula = '=HYPERLINK("http://example.com")'
    reviews = await exported(tmp_path / "out.csv", "csv-spreadsheet", message=formula)
    data = (tmp_path / "out.csv").read_bytes()
    assert data.startswith(codecs.BOM_UTF8 + b"id,")
    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    expected = [cells(review) for review in reviews]
    for row in expected:
        if row["message"][:1] == "=":
            row["message"] = f"'{row['message']}"
    assert rows == expected
    assert rows[1]["message"] == f"'{formula}"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"])
def test_formulas(tmp_path: Path, start: str) -> None:
    """Every beginning that a spreadsheet may take for a formula is disarmed, in any column."""
    write_journal(tmp_path, message=f"{start}1", status=f"{start}2", customer={"name": f"{start}3"})
    list(convert(tmp_path / "journal", tmp_path / "out", "csv-spreadsheet"))
    with (tmp_path / "out").open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["message"] == f"'{start}1"
    assert row["status"] == f"'{start}2"
    assert row["customer_name"] == f"'{start}3"
    assert row["rating"] == "5"


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
    (directory / "journal").write_bytes(to_line(raw | fields))


@pytest.mark.parametrize("format", ["csv", "csv-spreadsheet", "parquet"])
def test_half_an_emoji(tmp_path: Path, format: Any) -> None:
    """What UTF-8 cannot hold is a replacement character, and the emoji beside it stays."""
    write_journal(tmp_path, message="\ud83d \U0001f600", content=[{"id": "\udc00"}])
    list(convert(tmp_path / "journal", tmp_path / "out", format))
    if format == "parquet":
        (row,) = parquet.read_table(tmp_path / "out").to_pylist()
        assert row["content"] == [{"id": "\ufffd", "value": None, "file": None}]
    else:
        with (tmp_path / "out").open(encoding="utf-8-sig", newline="") as file:
            (row,) = csv.DictReader(file)
        assert row["content_ids"] == "\ufffd"
    assert row["message"] == "\ufffd \U0001f600"


def test_times(tmp_path: Path) -> None:
    """Milliseconds are exact, before 1970 and in the year 9999 too."""
    write_journal(tmp_path)
    list(convert(tmp_path / "journal", tmp_path / "out", "csv"))
    with (tmp_path / "out").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["created_at"] == "1969-12-31T23:59:59.999Z"
    assert row["updated_at"] == "9999-12-31T23:59:59.999Z"


async def test_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every field of every review comes back as the model has it, in groups of rows."""
    monkeypatch.setattr("mayar_reviews.export.formats._ROW_GROUP", 50)
    reviews = await exported(tmp_path / "out.parquet", "parquet")
    table = parquet.read_table(tmp_path / "out.parquet")
    expected = [asdict(review) for review in reviews]
    for row in expected:
        row["multiple_image"], row["content"] = list(row["multiple_image"]), list(row["content"])
    assert table.to_pylist() == expected
    assert parquet.ParquetFile(tmp_path / "out.parquet").num_row_groups == 3


async def test_parquet_types(tmp_path: Path) -> None:
    """The schema is the same whatever the data: here there are none."""
    async with shop(0) as (fake, client):
        fake.add_product("kelas-web")
        await export_reviews(client, "kelas-web", tmp_path / "out", format="parquet")
    schema = parquet.read_schema(tmp_path / "out")
    assert schema.field("created_at").type == pa.timestamp("ms", tz="UTC")
    assert schema.field("rating").type == pa.int64()
    assert str(schema.field("content").type) == (
        "list<element: struct<id: string, value: string, "
        "file: struct<id: string, filename: string, mimetype: string, size: int64>>>"
    )


async def test_parquet_with_duckdb(tmp_path: Path) -> None:
    """DuckDB reads times, lists and structs."""
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
        for one in reviews
    ]


async def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says what to install, before anything is asked or made."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    async with shop() as (fake, client):
        with pytest.raises(InvalidArgumentError, match=r"pip install 'mayar-reviews\[parquet\]'"):
            await export_reviews(client, "kelas-web", tmp_path / "out", format="parquet")
        assert fake.requests == []
    assert list(tmp_path.iterdir()) == []
