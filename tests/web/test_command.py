"""How the example is started, and what it says when it cannot be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from examples.web import __main__ as command
from examples.web.demo import PRODUCTS

from .conftest import read


async def test_the_demonstration_needs_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has its own products, reviews and pictures."""
    monkeypatch.delenv("MAYAR_API_KEY", raising=False)
    async with TestClient(TestServer(await command.demonstration(60))) as visitor:
        html = await read(visitor, "/")
        for product_id in PRODUCTS:
            assert f"/products/{product_id}" in html
            assert "Ulasan" in await read(visitor, f"/products/{product_id}")
        assert "<svg" in await read(visitor, "/static/demo/toko.svg")


def test_the_environment_names_the_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids and names stand in `PRODUCTS`; without a password there is no moderation."""
    monkeypatch.setenv("PRODUCTS", "kelas-web = Kelas Web; buku=Buku = Bagus;")
    monkeypatch.setenv("MODERATOR_PASSWORD", "")
    monkeypatch.delenv("WEB_SECRET", raising=False)
    settings = command.settings(60)
    assert settings.products == {"kelas-web": "Kelas Web", "buku": "Buku = Bagus"}
    assert settings.moderator_password is None
    assert settings.secret != command.settings(60).secret


def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without products or a key the program does not start."""
    monkeypatch.setattr(sys, "argv", ["web", "--port", "0"])
    monkeypatch.delenv("PRODUCTS", raising=False)
    monkeypatch.delenv("MAYAR_API_KEY", raising=False)
    with pytest.raises(SystemExit, match="PRODUCTS is missing"):
        command.main()
    monkeypatch.setenv("PRODUCTS", "kelas-web=Kelas Web")
    with pytest.raises(SystemExit, match="MAYAR_API_KEY is not set"):
        command.main()


@pytest.mark.slow
def test_no_visitor_sees_an_error_under_load() -> None:
    """Many visitors, 20 requests a minute and every tenth dropped: no answer is a 5xx."""
    subprocess.run(
        [sys.executable, "-m", "tests.web.load", "--visitors", "100", "--seconds", "5"],
        cwd=Path(__file__).parents[2],
        check=True,
        timeout=60,
    )
