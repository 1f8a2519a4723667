"""A shop to look at: a `FakeMayar` with three products, whose mood the panel on each page sets."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections import Counter
from collections.abc import AsyncIterator

from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, ClientSession, web

from mayar_reviews import RequestEvent
from mayar_reviews.testing import FakeMayar

from .app import create_app
from .shop import Settings
from .site import SITE

PRODUCTS = {
    "kelas-web-dasar": "Kelas Pemrograman Web Dasar",
    "kopi-gayo": "Kopi Gayo Sangrai Sedang, 250 g",
    "resep-nusantara": "Resep Nusantara: 40 Masakan Rumah",
}
PRICES = {"kelas-web-dasar": 349_000, "kopi-gayo": 92_000, "resep-nusantara": 129_000}
BUYERS = tuple(f"pembeli{number}@example.com" for number in range(1, 6))
PICTURES = "/static/demo/"
MOODS = ("fine", "slow", "dropping", "down", "limited")
_UPLOADS = "/demo/photos/"
_LIMIT = 20

_COURSE = (
    (5, "Ni Luh Ayu", "Penjelasannya runtut dan contohnya dekat dengan pekerjaan sehari-hari."),
    (5, "Bagas Pratama", "Akhirnya paham flexbox dan grid. Terima kasih, Kak!"),
    (4, "Siti Rahmawati", "Materinya bagus.\nSaya berharap bab terakhir sedikit lebih panjang."),
    (5, "Agus Wijaya", None),
    (5, "Maria Lestari", "Proyek akhirnya saya pakai untuk toko ibu saya. Sudah dapat pesanan 🎉"),
    (3, "Dewi Anggraini", "Isinya benar, tetapi suara di video kedua agak pelan."),
    (5, "Rizky Hidayat", "Belajar dua minggu setelah pulang kerja, sekarang bisa membuat situs."),
    (5, "Tom Becker", "Clear, calm and practical. I followed it with subtitles."),
    (4, "Putri Maharani", "Latihannya banyak dan ada kunci jawabannya."),
    (5, "محمد الأمين", "دورة ممتازة، شكرا جزيلا"),
    (2, "Yohanes Siregar", "Untuk saya terlalu pelan. Mungkin cocok untuk yang baru mulai."),
    (5, "Indah Permata", "Sabar sekali mengajarnya. Pertanyaan saya dijawab di hari yang sama."),
)
_COFFEE = (
    (5, "Fajar Nugroho", "Wangi sejak bungkusnya dibuka. Asamnya lembut."),
    (4, "Lina Marlina", "Enak untuk V60. Pengiriman dua hari."),
    (5, "Hendra Gunawan", None),
    (3, "Ratna Sari", "Rasanya baik, tetapi gilingannya terlalu halus untuk saya."),
    (5, "Yusuf Maulana", "Sudah pesan ketiga kali."),
)
_DAY = 86_400_000
_NEWEST = 1_795_000_000_000  # November 2026


class Demonstration:
    """A fake Mayar in a mood, and what may be counted while it has it.

    Args:
        reviews: how many the first product has.
    """

    def __init__(self, reviews: int = 68) -> None:
        self.fake = FakeMayar(rate_limit=(_LIMIT, 60))
        for product_id, name in PRODUCTS.items():
            self.fake.add_product(product_id, name=name)
            for email in BUYERS:
                self.fake.add_purchase(product_id, email)
        _fill(self.fake, "kelas-web-dasar", _COURSE, reviews)
        _fill(self.fake, "kopi-gayo", _COFFEE, 14)
        self.mood = "fine"
        self.retries = 0
        self._sent = 0
        self._photos: dict[str, tuple[bytes, str]] = {}

    async def app(self, ttl: float) -> web.Application:
        """The shop's application; the fake starts now and stops with it."""
        await self.fake.start()
        session = ClientSession(middlewares=[self._trouble])
        settings = Settings(
            PRODUCTS,
            "demo",
            secrets.token_bytes(32),
            media=(PICTURES, _UPLOADS),
            pictures={product: f"{PICTURES}{product}.svg" for product in PRODUCTS},
            prices=PRICES,
            ttl=ttl,
            upload=self._upload,
        )
        app = create_app(
            settings,
            api_key=self.fake.api_key,
            base_url=self.fake.url,
            session=session,
            on_event=self._count,
            demo=True,
        )

        async def stop(_: web.Application) -> AsyncIterator[None]:
            yield
            await session.close()
            await self.fake.close()

        app.cleanup_ctx.insert(0, stop)  # what begins first ends last
        app.add_routes(
            [
                web.get("/demo/state", self._state),
                web.post("/demo/mood", self._set_mood),
                web.get(_UPLOADS + "{photo}", self._photo),
            ]
        )
        return app

    def set_mood(self, mood: str) -> None:
        """Have Mayar behave otherwise from now on."""
        self.fake.clear_faults()
        self.mood = mood
        if mood == "down":
            self.fake.drop_next(math.inf)
        elif mood == "limited":
            self.fake.fail_next(429, math.inf, retry_after=10)

    async def _trouble(self, request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
        self._sent += 1
        if self.mood == "slow":
            await asyncio.sleep(2)
        if self.mood == "dropping" and self._sent % 3 == 0:
            self.fake.drop_next(processed=True)  # the worst kind: done, and nobody told
        try:
            return await send(request)
        finally:
            self._hang_photos()

    def _hang_photos(self) -> None:
        """Have the reviews point at the photos here; the fake invents addresses of Mayar's."""
        if self._photos:
            for review in self.fake.reviews.values():
                for image in review["multipleImage"]:
                    if image["id"] in self._photos:
                        image["url"] = _UPLOADS + image["id"]

    async def _upload(self, content: bytes, kind: str) -> str:
        photo = secrets.token_hex(8)
        self._photos[photo] = content, kind
        return photo

    async def _photo(self, request: web.Request) -> web.Response:
        content, kind = self._photos.get(request.match_info["photo"], (b"", ""))
        if not content:
            raise web.HTTPNotFound
        return web.Response(body=content, content_type=kind)

    def _count(self, event: RequestEvent) -> None:
        self.retries += event.kind == "attempt" and event.attempt > 1

    async def _state(self, request: web.Request) -> web.Response:
        site = request.app[SITE]
        since = asyncio.get_running_loop().time() - 60
        age = site.shop.age(request.query.get("product", ""))
        authors = Counter(
            (review["paymentLinkId"], review["customerId"]) for review in self.fake.reviews.values()
        )
        return web.json_response(
            {
                "mood": self.mood,
                "served": site.served,
                "spent": sum(asked.at > since for asked in self.fake.requests),
                "limit": _LIMIT,
                "age": None if math.isinf(age) else int(age),
                "retries": self.retries,
                "doubled": sum(count - 1 for count in authors.values()),
            },
            headers={"Cache-Control": "no-store"},
        )

    async def _set_mood(self, request: web.Request) -> web.Response:
        mood = (await request.post()).get("mood")
        if mood not in MOODS:
            raise web.HTTPBadRequest
        self.set_mood(str(mood))
        return web.Response(status=303, headers={"Location": "/"})


_Lines = tuple[tuple[int, str, str | None], ...]


def _fill(fake: FakeMayar, product_id: str, lines: _Lines, count: int) -> None:
    for number in range(count):
        rating, name, message = lines[number % len(lines)]
        email = f"pelanggan{number}.{product_id}@example.com"
        course = product_id == "kelas-web-dasar"
        fake.add_review(
            product_id,
            customerId=fake.add_customer(email, name=name),
            rating=rating,
            message=message,
            createdAt=_NEWEST - number * 5 * _DAY // 2,
            multipleImage=_pictures(number) if course else [],
            content=_videos(number) if course else [],
        )


def _pictures(number: int) -> list[dict[str, object]]:
    names = {4: ("toko.svg", "pesanan.svg"), 8: ("latihan.svg",)}.get(number % 12, ())
    return [
        {"id": name, "fileType": "svg", "description": None, "url": PICTURES + name}
        for name in names
    ]


def _videos(number: int) -> list[dict[str, object]]:
    if number % 12 != 6:
        return []
    file = {"id": "video", "filename": "situs-pertama.mp4", "mimetype": "video/mp4", "size": 5}
    return [{"id": "video", "value": "video", "file": file}]
