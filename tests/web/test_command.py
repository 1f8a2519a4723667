"""How the example is started, and what it says when it cannot be."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from examples.web import __main__ as command
from examples.web.app import create_app
from examples.web.demo import PRODUCTS, Demonstration
from examples.web.factory import settings as read_settings
from examples.web.shop import Settings
from mayar_reviews.testing import FakeMayar

from .conftest import read


async def test_the_demonstration_needs_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has its own products, reviews and pictures."""
    monkeypatch.delenv("MAYAR_API_KEY", raising=False)
    async with TestClient(TestServer(await Demonstration().app(60))) as visitor:
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
    settings = read_settings()
    assert settings.products == {"kelas-web": "Kelas Web", "buku": "Buku = Bagus"}
    assert settings.moderator_password is None
    assert settings.secret != read_settings().secret


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


def test_a_wrong_number_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be a budget does not become one."""
    monkeypatch.setenv("PRODUCTS", "kelas-web=Kelas Web")
    monkeypatch.setenv("REQUESTS_PER_MINUTE", "many")
    with pytest.raises(SystemExit, match="REQUESTS_PER_MINUTE must hold whole numbers, not 'many'"):
        read_settings()


async def said_at_start(
    caplog: pytest.LogCaptureFixture, fake_url: str, key: str, products: dict[str, str]
) -> list[str]:
    """What the log holds once the products were checked."""
    caplog.set_level(logging.INFO)
    app = create_app(Settings(products, None, b"s"), api_key=key, base_url=fake_url, check=True)
    async with TestClient(TestServer(app)):
        for _ in range(500):
            said = [record for record in caplog.records if record.name == "examples.web"]
            if len(said) >= len(products) or any(record.levelno >= 40 for record in said):
                break
            await asyncio.sleep(0.01)
    return [f"{record.levelname}: {record.message}" for record in said]


async def test_a_wrong_key_is_said_at_start(caplog: pytest.LogCaptureFixture) -> None:
    """Once, however many products there are, and the key is not shown."""
    async with FakeMayar() as fake:
        said = await said_at_start(caplog, fake.url, "wrong-key", PRODUCTS)
        assert len(fake.requests) == 1
    assert said == ["ERROR: Mayar refuses the key: MAYAR_API_KEY must be a key of this shop"]
    assert "wrong-key" not in caplog.text


async def test_an_unknown_product_is_said_at_start(caplog: pytest.LogCaptureFixture) -> None:
    """A typo in `PRODUCTS` is named; a product without reviews might be one."""
    async with FakeMayar() as fake:
        fake.seed("kelas-web", 3)
        fake.add_product("buku")
        products = {"kelas-web": "Kelas", "buku": "Buku", "kelaz-web": "Kelas"}
        said = await said_at_start(caplog, fake.url, fake.api_key, products)
    assert said == [
        "INFO: kelas-web: there are reviews",
        "INFO: buku: no reviews; if it has some, its id in PRODUCTS is wrong",
        "ERROR: Mayar does not know the product 'kelaz-web': is it in PRODUCTS right?",
    ]


async def test_a_mayar_that_is_not_there_is_said_at_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With the address that was tried; the shop serves nevertheless."""
    async with FakeMayar() as fake:
        url = fake.url
    [said] = await said_at_start(caplog, url, "key", {"kelas-web": "Kelas"})
    assert said.startswith("ERROR: Mayar cannot be reached: ")
    assert url.removeprefix("http://") in said


@pytest.mark.slow
def test_a_half_sent_form_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """SIGTERM ends the shop within 20 seconds whatever is half-sent."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "examples.web", "--demo", "--port", str(port)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2]) as process:
        for _ in range(100):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            time.sleep(0.1)
        halves = [
            b"GET / HT",
            b"POST /products/kopi-gayo/review HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\na",
            b"POST /demo/mood HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
        ]
        with contextlib.ExitStack() as connections:
            for half in halves:
                connection = socket.create_connection(("127.0.0.1", port))
                connections.enter_context(connection)
                connection.sendall(half)
            time.sleep(0.5)
            process.terminate()
            assert process.wait(timeout=20) in (0, -signal.SIGTERM)


def test_the_readme_is_short() -> None:
    """At most 70 lines; its pictures are there, and small."""
    folder = Path(command.__file__).parent
    text = (folder / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 70
    pictures = set(re.findall(r"\]\((pictures/[^)]+)\)", text))
    assert pictures == {f"pictures/{file.name}" for file in (folder / "pictures").iterdir()}
    for picture in pictures:
        limit = 150_000 if picture.endswith(".png") else 500_000
        assert (folder / picture).stat().st_size < limit


def test_the_environment_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting that is read stands in `.env.example`, which can be read as it is."""
    folder = Path(command.__file__).parent
    explained = (folder / ".env.example").read_text("utf-8")
    for name in re.findall(r'"([A-Z]+(?:_[A-Z]+)*)"', (folder / "factory.py").read_text("utf-8")):
        assert re.search(rf"^#? ?{name}=", explained, re.MULTILINE), name
    for name, _, value in (line.partition("=") for line in explained.splitlines()):
        if name.isupper() and not name.startswith("#"):
            monkeypatch.setenv(name, value.strip("'"))
    settings = read_settings()
    assert settings.prices == {"9f1c2d3e-0000": 349_000}
    assert settings.media[1:] == ("https://cdn.example.com/kelas.jpg",)


@pytest.mark.slow
def test_gunicorn_starts_it(tmp_path: Path) -> None:
    """The factory, under aiohttp's worker: two processes serve, and end within 20 seconds."""
    pytest.importorskip("gunicorn", reason="gunicorn is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    with FakeMayar() as fake:
        fake.seed("kelas-web", 3)
        environment = {
            "MAYAR_API_KEY": fake.api_key,
            "MAYAR_API_URL": fake.url,
            "PRODUCTS": "kelas-web=Kelas Web",
            "WEB_SECRET": "secret",
            "REQUESTS_PER_MINUTE": "10",
            "CHANGES_FILE": str(tmp_path / "changes"),
        }
        command = [sys.executable, "-m", "gunicorn", "examples.web.factory:create", "-w", "2"]
        command += ["-k", "aiohttp.GunicornWebWorker", "-b", f"127.0.0.1:{port}"]
        command += ["--graceful-timeout", "18", "--no-control-socket"]
        root = Path(__file__).parents[2]
        with subprocess.Popen(command, cwd=root, env={**os.environ, **environment}) as process:
            try:
                for _ in range(100):
                    with contextlib.suppress(OSError):
                        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/products/kelas-web")
                        assert b"3 ulasan" in page.read()
                        page.close()
                        break
                    time.sleep(0.1)
                else:
                    pytest.fail("gunicorn does not serve")
            finally:
                process.terminate()
            assert process.wait(timeout=20) == 0


@pytest.mark.slow
def test_no_visitor_sees_an_error_under_load() -> None:
    """Many visitors, 20 requests a minute and every tenth dropped: no answer is a 5xx."""
    subprocess.run(
        [sys.executable, "-m", "tests.web.load", "--visitors", "100", "--seconds", "5"],
        cwd=Path(__file__).parents[2],
        check=True,
        timeout=60,
    )
