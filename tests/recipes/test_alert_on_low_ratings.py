"""examples/alert_on_low_ratings.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from examples.alert_on_low_ratings import alert
from mayar_reviews import ReviewsClient
from mayar_reviews.testing import FakeMayar


class Chat:
    """A webhook that keeps the texts that it is sent."""

    def __init__(self) -> None:
        self.status = 200
        self.texts = asyncio.Queue[str]()
        self.url = ""

    async def _receive(self, request: web.Request) -> web.Response:
        self.texts.put_nowait((await request.json())["text"])
        return web.Response(status=self.status)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_post("/hook", self._receive)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        try:
            yield
        finally:
            await runner.cleanup()


@asynccontextmanager
async def watching(fake: FakeMayar, chat: Chat, place: Path) -> AsyncIterator[None]:
    async with ReviewsClient(fake.api_key, base_url=fake.url, rate_limit=None) as client:
        task = asyncio.create_task(alert(client, chat.url, place, every=0.01))
        try:
            async with asyncio.timeout(20):
                yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_each_new_low_rating_is_told_once(tmp_path: Path) -> None:
    """Good ones, archived ones and those from before are not; a restart goes on."""
    chat, place = Chat(), tmp_path / "last-review.txt"
    async with FakeMayar() as fake, chat.serve():
        fake.add_review("kelas-web", rating=1, createdAt=1_767_225_600_000)
        place.write_text(datetime.now(UTC).isoformat())
        async with watching(fake, chat, place):
            before = place.read_text()
            fake.add_review("kelas-web", rating=2, message="Lambat")
            assert await chat.texts.get() == "★★ Kelas Pemrograman Web Dasar: Lambat"
            while place.read_text() == before:
                await asyncio.sleep(0.01)
        fake.add_review("kelas-web", rating=5)
        fake.add_review("kelas-web", rating=1, status="ARCHIVED")
        fake.add_review("kelas-web", rating=1, message=None)
        async with watching(fake, chat, place):
            assert await chat.texts.get() == "★ Kelas Pemrograman Web Dasar: (no message)"
            requests = len(fake.requests)
            while len(fake.requests) < requests + 3:
                await asyncio.sleep(0.01)
        assert chat.texts.empty()


async def test_a_review_is_told_again_if_the_webhook_failed(tmp_path: Path) -> None:
    """The program ends, and is started again."""
    chat, place = Chat(), tmp_path / "last-review.txt"
    async with FakeMayar() as fake, chat.serve():
        place.write_text(datetime.now(UTC).isoformat())
        fake.add_review("kelas-web", rating=1)
        chat.status = 500
        async with ReviewsClient(fake.api_key, base_url=fake.url, rate_limit=None) as client:
            with pytest.raises(aiohttp.ClientResponseError):
                async with asyncio.timeout(20):
                    await alert(client, chat.url, place, every=0.01)
        text = await chat.texts.get()
        chat.status = 200
        async with watching(fake, chat, place):
            assert await chat.texts.get() == text


async def test_the_first_start_keeps_its_time(tmp_path: Path) -> None:
    """So a restart before the first review misses nothing."""
    chat, place = Chat(), tmp_path / "last-review.txt"
    async with FakeMayar() as fake, chat.serve():
        async with watching(fake, chat, place):
            while not fake.requests:
                await asyncio.sleep(0.01)
        fake.add_review("kelas-web", rating=1)
        async with watching(fake, chat, place):
            assert (await chat.texts.get()).startswith("★ ")
