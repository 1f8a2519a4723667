"""examples/import_from_csv.py."""

from __future__ import annotations

import asyncio
import csv
from pathlib import Path

import pytest

from examples.import_from_csv import main
from mayar_reviews import AuthenticationError
from mayar_reviews.testing import FakeMayar
from tests.support.clock import virtual_time

from .conftest import Run

HEADER = ["product", "email", "rating", "message"]


def write(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])


def rows_of(fake: FakeMayar, count: int) -> list[list[str]]:
    """Rows of customers who have bought the product."""
    emails = [f"pembeli.{number}@example.com" for number in range(count)]
    for email in emails:
        fake.add_purchase("kelas-web", email)
    return [["kelas-web", email, "4", f'Bagus, "{i}"\nsekali'] for i, email in enumerate(emails)]


def lead_to(fake: FakeMayar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAYAR_API_KEY", fake.api_key)
    monkeypatch.setenv("MAYAR_API_URL", fake.url)


@pytest.mark.slow
@virtual_time
async def test_five_hundred_are_created_once_through_stops_and_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stopped once; answers are lost; then all rows are done by one more run."""
    path = tmp_path / "old.csv"
    async with FakeMayar() as fake:
        lead_to(fake, monkeypatch)
        write(path, rows_of(fake, 500))
        fake.drop_next(5, processed=True, path="/reviews/create")
        task = asyncio.create_task(main(path))
        while len(fake.reviews) < 200:
            await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        assert await main(path) == 0
        assert len(fake.reviews) == 500
        created = [
            request.body["customerEmail"]
            for request in fake.requests
            if request.path.endswith("/create") and request.status == 200
        ]
        assert len(created) == len(set(created)) >= 495
        assert fake.reviews[next(iter(fake.reviews))]["message"].endswith("sekali")
        fake.requests.clear()
        assert await main(path) == 0
        assert not fake.requests


@virtual_time
async def test_eight_requests_run_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "old.csv"
    async with FakeMayar() as fake:
        lead_to(fake, monkeypatch)
        write(path, rows_of(fake, 20))
        fake.stall_next(20)
        task = asyncio.create_task(main(path))
        await asyncio.sleep(20)
        assert len(fake.requests) == 8
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.slow
def test_the_report_says_what_failed_and_a_corrected_file_finishes(
    fake: FakeMayar, run: Run, tmp_path: Path
) -> None:
    """Only the corrected rows are sent again."""
    good, wrong = rows_of(fake, 2)
    stranger = ["kelas-web", "orang.lain@example.com", "5", ""]
    write(tmp_path / "old.csv", [good, [*wrong[:2], "lima", ""], stranger, ["kelas-web"]])
    result = run("import_from_csv.py", "old.csv")
    assert (result.returncode, result.stderr) == (1, "3 rows failed, see the report\n")
    with (tmp_path / "old.report.csv").open(newline="", encoding="utf-8") as file:
        outcomes = {tuple(row): outcome for *row, outcome in csv.reader(file)}
    assert outcomes[tuple(good)] == "done"
    assert outcomes[tuple(stranger)].startswith("failed: ")
    assert "'lima'" in outcomes[(*wrong[:2], "lima", "")]

    write(tmp_path / "old.csv", [good, wrong])
    fake.requests.clear()
    assert run("import_from_csv.py", "old.csv").returncode == 0
    assert len(fake.requests) == 1
    assert len(fake.reviews) == 2


@pytest.mark.slow
def test_a_review_that_is_there_already_is_done(fake: FakeMayar, run: Run, tmp_path: Path) -> None:
    """A run was killed after it had created the review, and before it could say so."""
    [row] = rows_of(fake, 1)
    write(tmp_path / "old.csv", [row])
    assert run("import_from_csv.py", "old.csv").returncode == 0
    (tmp_path / "old.report.csv").unlink()
    result = run("import_from_csv.py", "old.csv")
    assert result.returncode == 0, result.stderr
    assert len(fake.reviews) == 1
    assert (tmp_path / "old.report.csv").read_text(encoding="utf-8").endswith(",done\n")


@virtual_time
async def test_a_wrong_key_stops_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report would only say the same for each row."""
    path = tmp_path / "old.csv"
    async with FakeMayar() as fake:
        lead_to(fake, monkeypatch)
        monkeypatch.setenv("MAYAR_API_KEY", "another-key")
        write(path, rows_of(fake, 100))
        with pytest.raises(AuthenticationError):
            await main(path)
        assert len(fake.requests) < 20
