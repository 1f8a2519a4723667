"""Tables on a terminal."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from mayar_reviews.testing import FakeMayar

from .conftest import end, start


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
async def test_what_an_encoding_lacks_is_replaced(fake: FakeMayar, encoding: str) -> None:
    """Such as stars and emojis."""
    fake.add_review("kelas-web", message="Bagus 👍")
    process = await start("list", "kelas-web", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    result = await end(process)
    assert (result.code, result.err) == (0, "")
    assert "Bagus ?" in result.out


@pytest.mark.slow
@pytest.mark.parametrize("width", [80, 120])
async def test_a_table_fits_the_terminal(fake: FakeMayar, width: int) -> None:
    """No line is wider, and ids are whole."""
    fake.seed("kelas-web", 20)
    process = await start("list", COLUMNS=str(width))
    result = await end(process)
    assert all(cell_len(line) <= width for line in result.out.splitlines())
    assert all(review_id in result.out for review_id in fake.reviews)
