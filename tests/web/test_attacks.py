"""What one visitor, a crawler or a stranger can do to the shop: not much."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import AsyncIterator
from html import unescape
from io import BytesIO

import pytest
from aiohttp.test_utils import TestClient, TestServer
from attrs import evolve

from examples.web.app import create_app
from examples.web.demo import BUYERS, Demonstration
from examples.web.visits import Visits
from mayar_reviews.testing import FakeMayar

from .conftest import KEY, PAGE, PRODUCT, SETTINGS, Visitor, found_token, read, token

FORM = "/products/buku/review"
FORM_TYPE = "application/x-www-form-urlencoded"


@pytest.fixture
async def demo() -> AsyncIterator[tuple[Demonstration, Visitor]]:
    """The demonstration with 1,500 reviews, and 20 requests a minute."""
    demo = Demonstration(1500)
    app = await demo.app(60)
    async with TestClient(TestServer(app), headers={"Accept-Language": "en"}) as visitor:
        yield demo, visitor


async def test_one_visitor_cannot_shut_the_shop(demo: tuple[Demonstration, Visitor]) -> None:
    """After all older pages were followed, a form still goes through and moderation works."""
    fake, visitor = demo[0].fake, demo[1]
    path, statuses = "/products/kelas-web-dasar", list[int]()
    while len(statuses) < 80:
        async with visitor.get(path) as answer:
            statuses.append(answer.status)
            html = await answer.text()
        more = re.search('rel="next nofollow" href="([^"]+)"', html)
        if more:
            path = "/products/kelas-web-dasar" + unescape(more[1])
    assert statuses.count(429) == 80 - 7
    form = "/products/resep-nusantara/review"
    fields = {"customer_email": BUYERS[0], "rating": "4", "token": await token(visitor, form)}
    async with visitor.post(form, data=fields) as answer:
        assert answer.status == 200
        assert "Thank you for your review." in await answer.text()
    moderator = {"Authorization": "Basic bTpkZW1v"}
    newest = list(fake.reviews)[-1]
    fields = {
        "token": await token(visitor, "/moderation", moderator),
        "status": "ARCHIVED",
        "review": f"resep-nusantara/{newest}/ACTIVE",
    }
    async with visitor.post("/moderation", data=fields, headers=moderator) as answer:
        assert "1 review is archived." in await answer.text()
    assert 429 not in {asked.status for asked in fake.requests}


async def test_many_visitors_cannot_shut_the_shop_either() -> None:
    """Whoever reads older pages from many addresses gets at most what these may cost."""
    async with FakeMayar(KEY, rate_limit=(20, 60)) as fake:
        fake.seed(PRODUCT, 400)
        fake.add_purchase("buku", "siti@example.com")
        settings = evolve(SETTINGS, requests=20, behind_proxy=True)
        app = create_app(settings, api_key=KEY, base_url=fake.url)
        async with TestClient(TestServer(app)) as visitor:
            path = PAGE
            for number in range(20):
                address = {"X-Forwarded-For": f"10.0.0.{number}"}
                async with visitor.get(path, headers=address) as answer:
                    assert answer.status == 200
                    html = await answer.text()
                if more := re.search('rel="next nofollow" href="([^"]+)"', html):
                    path = PAGE + unescape(more[1])
            assert len(fake.requests) <= 2 + 6 + 1
            fields = {
                "customer_email": "siti@example.com",
                "rating": "4",
                "token": await token(visitor, FORM),
            }
            async with visitor.post(FORM, data=fields) as answer:
                assert answer.status == 200
        assert 429 not in {asked.status for asked in fake.requests}


async def test_when_reading_is_spent_a_form_still_goes_through() -> None:
    """Whoever opens all products spends what reading may cost, but not what writing may."""
    products = [f"produk-{number}" for number in range(12)]
    async with FakeMayar(KEY, rate_limit=(20, 60)) as fake:
        for product in products:
            fake.add_product(product)
        fake.add_purchase(products[0], "siti@example.com")
        settings = evolve(SETTINGS, products=dict.fromkeys(products, "Produk"), requests=20)
        app = create_app(settings, api_key=KEY, base_url=fake.url)
        async with TestClient(TestServer(app)) as visitor:
            for product in products:
                await read(visitor, f"/products/{product}")
            assert len(fake.requests) == 12
            form = f"/products/{products[0]}/review"
            fields = {"customer_email": "siti@example.com", "rating": "4"}
            fields["token"] = await token(visitor, form)
            async with visitor.post(form, data=fields, allow_redirects=False) as answer:
                assert answer.status == 303
        assert len(fake.reviews) == 1


async def test_pages_that_are_there_have_no_limit(visitor: Visitor, fake: FakeMayar) -> None:
    """Only an older page that costs a request counts."""
    html = await read(visitor, PAGE)
    more = re.search('rel="next nofollow" href="([^"]+)"', html)
    assert more
    for _ in range(20):
        await read(visitor, PAGE + unescape(more[1]))
    assert len(fake.requests) == 3


async def test_crawlers_are_told_not_to_follow(visitor: Visitor) -> None:
    """By robots.txt, by each link, and by the older pages themselves."""
    rules = await read(visitor, "/robots.txt")
    for path in ("/*?after=", "/*/review$", "/moderation", "/*.json"):
        assert f"Disallow: {path}\n" in rules
    html = await read(visitor, PAGE)
    assert 'name="robots"' not in html
    for link in re.findall("<a [^>]+>", html):
        assert ("after=" in link or "/review" in link or "/language/" in link) == (
            "nofollow" in link
        )
    more = re.search('rel="next nofollow" href="([^"]+)"', html)
    assert more
    for path in (PAGE + unescape(more[1]), FORM):
        assert 'name="robots" content="noindex, nofollow"' in await read(visitor, path)


def test_a_network_is_one_visitor() -> None:
    """Who has a whole network of version 6 does not have more; nor does anybody fill memory."""
    visits = Visits(2, 60)
    visits.add("2001:db8::1")
    visits.add("2001:db8::2")
    assert visits.are_too_many("2001:db8::3")
    assert not visits.are_too_many("2001:db8:0:1::1")
    assert not visits.are_too_many("unix:")
    for number in range(10_000):
        visits.add(f"10.0.{number // 256}.{number % 256}")
    assert not visits.are_too_many("2001:db8::3")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"a=%ff", {"Content-Type": f"{FORM_TYPE}; charset=klingon"}),
        (b"a=\xff\xfe", {"Content-Type": f"{FORM_TYPE}; charset=utf-8"}),
        (b"no multipart", {"Content-Type": "multipart/form-data"}),
        (b"no multipart", {"Content-Type": "multipart/form-data; boundary=x"}),
        (b"--x\r\nbroken", {"Content-Type": "multipart/form-data; boundary=x"}),
        (b"--x\r\n\r\n\r\n--x--", {"Content-Type": "multipart/form-data; boundary=x"}),
        (
            b"--x\r\nContent-Disposition: form-data; name=a\r\nContent-Type: a/b; charset=q\r\n\r\nb",
            {"Content-Type": "multipart/form-data; boundary=x"},
        ),
        (b"garbage", {"Content-Type": FORM_TYPE, "Content-Encoding": "gzip"}),
        (
            gzip.compress(b"a=b", mtime=0)[:-9],
            {"Content-Type": FORM_TYPE, "Content-Encoding": "gzip"},
        ),
        (b"x" * (8 * 2**20 + 1), {"Content-Type": FORM_TYPE}),
        (b"{}", {"Content-Type": "application/json"}),
        (b"", {}),
    ],
)
async def test_a_malformed_body_is_a_4xx(
    visitor: Visitor, fake: FakeMayar, body: bytes, headers: dict[str, str]
) -> None:
    """With a page that says so; nothing is logged as a fault of ours."""
    async with visitor.post(FORM, data=BytesIO(body), headers=headers) as answer:
        assert 400 <= answer.status < 500
        assert "<h1>" in await answer.text() or answer.status == 400
    assert fake.requests == []


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {"Host": "a:99999999"}, 200),
        (FORM, {"Host": "a:99999999"}, 200),
        (f"{PAGE}?after=1", {"Host": "["}, 200),
        (f"/static/{'a' * 5000}", {}, 404),
        ("/static/../app.py", {}, 404),
        ("/static/%2e%2e/app.py", {}, 404),
        ("/static/", {}, 404),
        ("/", {"Cookie": "language=xx; notice=1.2.3; visitor="}, 200),
        ("/", {"If-None-Match": '"'}, 200),
        ("/language/xx", {}, 404),
    ],
)
async def test_strange_requests_are_no_faults(
    visitor: Visitor, path: str, headers: dict[str, str], status: int
) -> None:
    """Whatever a header or a path holds, the answer is a page."""
    async with visitor.get(path, headers=headers) as answer:
        assert answer.status == status
        assert "<!doctype html>" in await answer.text()


async def test_a_wrong_method_is_told_which_are_right(visitor: Visitor) -> None:
    """A 405 has `Allow`, and a sentence."""
    async with visitor.post(PAGE) as answer:
        assert answer.status == 405
        assert set(answer.headers["Allow"].split(",")) == {"GET", "HEAD"}
        assert "This page cannot be sent a form." in await answer.text()


async def test_a_body_that_does_not_arrive_is_a_408(
    fake: FakeMayar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form is not waited for longer than ten seconds."""
    monkeypatch.setattr("examples.web.guard.BODY_SECONDS", 0.05)
    app = create_app(SETTINGS, api_key=KEY, base_url=fake.url)
    async with TestServer(app) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(
            f"POST {FORM} HTTP/1.1\r\nHost: a\r\nContent-Type: {FORM_TYPE}\r\n"
            "Content-Length: 100\r\n\r\nrating=".encode()
        )
        answer = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"Connection: close" in answer


async def test_the_language_leads_nowhere_else(visitor: Visitor) -> None:
    """It is kept in a cookie; a link that would lead to another site leads to the first page."""
    for back, location in {
        PAGE: PAGE,
        "//evil.example": "/",
        "/\\evil.example": "/",
        "https://evil.example": "/",
        "/\nSet-Cookie: a=b": "/",
    }.items():
        async with visitor.get(
            "/language/id", params={"back": back}, allow_redirects=False
        ) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, location)
    assert '<html lang="id">' in await read(visitor, PAGE)


async def test_nobody_is_thanked_by_an_address(visitor: Visitor) -> None:
    """Only who has just written sees thanks, and once."""
    assert "Thank you" not in await read(visitor, f"{PAGE}?thanks")
    visitor.session.cookie_jar.update_cookies({"notice": "thanks"})
    assert "Thank you" not in await read(visitor, PAGE)


async def test_a_tall_review_is_folded(visitor: Visitor, fake: FakeMayar) -> None:
    """Empty lines are left out; of a message of many lines ten are shown at first."""
    fake.add_review("buku", message="a" + "\n" * 1998 + "b")
    assert ">a\n\nb</p>" in await read(visitor, "/products/buku")
    fake.add_review(PRODUCT, message="x\n" * 500)
    html = await read(visitor, PAGE)
    assert "Read on</summary>" in html
    assert html.count("x\n" * 10) > 1


async def test_the_form_is_not_compressed(visitor: Visitor) -> None:
    """The length of a compressed page could tell what its token is; reviews are compressed."""
    packed = {"Accept-Encoding": "gzip"}
    async with visitor.get(FORM, headers=packed) as answer:
        assert "Content-Encoding" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"
        assert found_token(await answer.text())
    async with visitor.get(PAGE, headers=packed) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        etag = answer.headers["ETag"]
    async with visitor.get(PAGE, headers={"If-None-Match": etag}) as answer:
        assert answer.status == 304
        assert await answer.read() == b""
