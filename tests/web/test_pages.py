"""What visitors get to see of reviews, whatever Mayar does."""

from __future__ import annotations

import asyncio
import json
import re
from html import unescape

import pytest
from aiohttp.test_utils import TestClient, TestServer
from attrs import evolve

from examples.web.app import create_app
from examples.web.shop import PAGE_SIZE, Settings
from mayar_reviews.testing import FakeMayar

from .conftest import KEY, PAGE, PRODUCT, SETTINGS, Visitor, read


def ids(html: str) -> list[str]:
    """The reviews on a page."""
    return re.findall('<li id="review-([^"]+)"', html)


def following(html: str) -> str | None:
    """Where the button for older reviews leads."""
    found = re.search('id="more" rel="next nofollow" href="([^"]+)"', html)
    return found and PAGE + unescape(found[1])


async def test_a_page_shows_figures_and_reviews(visitor: Visitor) -> None:
    """The name, the average, the histogram and the newest reviews."""
    html = await read(visitor, PAGE)
    assert "Kelas &lt;Web&gt;" in html
    assert "<strong>4.4</strong>" in html
    assert "45 reviews" in html
    assert html.count("<progress") == 5
    assert len(ids(html)) == PAGE_SIZE
    assert "1 January 2025" in html


async def test_the_links_lead_through_all_reviews(visitor: Visitor, fake: FakeMayar) -> None:
    """Each review comes once, and the last page has no link."""
    seen = []
    path: str | None = PAGE
    while path:
        html = await read(visitor, path)
        seen += ids(html)
        path = following(html)
    assert len(seen) == 45
    assert set(seen) == set(fake.reviews)


async def test_an_invented_cursor_leads_to_the_first_page(
    visitor: Visitor, fake: FakeMayar
) -> None:
    """Without a request to Mayar."""
    for invented in ("1", "1.2", "", "1.ü"):
        async with visitor.get(PAGE, params={"after": invented}, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, PAGE)
    assert fake.requests == []


async def test_a_cursor_is_good_for_one_product_only(visitor: Visitor, fake: FakeMayar) -> None:
    """With another product it leads to the first page."""
    path = following(await read(visitor, PAGE))
    assert path
    fake.requests.clear()
    async with visitor.get(path.replace(PRODUCT, "buku"), allow_redirects=False) as answer:
        assert answer.status == 303
    assert fake.requests == []


async def test_an_unknown_product_is_a_404(visitor: Visitor, fake: FakeMayar) -> None:
    """Without a request to Mayar."""
    async with visitor.get("/products/gadget") as answer:
        assert answer.status == 404
        assert "This page does not exist." in await answer.text()
    async with visitor.get("/products/gadget/reviews.json") as answer:
        assert (answer.status, await answer.json()) == (404, {"error": "This page does not exist."})
    assert fake.requests == []


async def test_json_has_the_same_reviews_as_the_page(visitor: Visitor, fake: FakeMayar) -> None:
    """Without the ids of customers."""
    path: str | None = f"{PAGE}/reviews.json"
    seen = []
    while path:
        async with visitor.get(path) as answer:
            assert answer.status == 200
            content = await answer.json()
        seen += [review["id"] for review in content["reviews"]]
        path = content["next"]
    assert set(seen) == set(fake.reviews)
    assert content["stats"]["total"] == 45
    assert set(content["reviews"][0]) == {
        *("id", "rating", "message", "name", "created_at", "images", "videos")
    }


async def test_two_hundred_visitors_cause_two_requests(visitor: Visitor, fake: FakeMayar) -> None:
    """At the same time: one for the reviews, one for the statistics."""
    await asyncio.gather(*(read(visitor, PAGE) for _ in range(200)))
    assert len(fake.requests) == 2


async def test_a_dropped_connection_is_not_noticed(visitor: Visitor, fake: FakeMayar) -> None:
    """The client tries again before the page is sent."""
    fake.drop_next(2)
    assert len(ids(await read(visitor, PAGE))) == PAGE_SIZE


async def test_stale_reviews_are_shown_when_mayar_is_down(fake: FakeMayar) -> None:
    """The page is as it was, and says of when."""
    settings = Settings({PRODUCT: "Kelas"}, None, b"secret", ttl=0.001)
    app = create_app(settings, api_key=KEY, base_url=fake.url)
    async with TestClient(TestServer(app), headers={"Accept-Language": "en"}) as visitor:
        before = ids(await read(visitor, PAGE))
        await fake.close()
        await asyncio.sleep(0.02)
        html = await read(visitor, PAGE)
        assert ids(html) == before
        assert "These are the reviews as of" in html
        async with visitor.get(f"{PAGE}/reviews.json") as answer:
            assert answer.status == 200
            assert len((await answer.json())["reviews"]) == PAGE_SIZE


async def test_stale_reviews_are_shown_when_the_limit_is_reached() -> None:
    """A 429 costs the visitor nothing but the newest reviews."""
    settings = Settings({PRODUCT: "Kelas"}, None, b"secret", ttl=0.001)
    async with FakeMayar(KEY, rate_limit=(2, 60)) as fake:
        fake.seed(PRODUCT, 3)
        app = create_app(settings, api_key=KEY, base_url=fake.url)
        async with TestClient(TestServer(app)) as visitor:
            for _ in range(3):
                assert len(ids(await read(visitor, PAGE))) == 3
                await asyncio.sleep(0.02)
        assert 429 in [request.status for request in fake.requests]


async def test_without_reviews_to_show_the_page_says_so(visitor: Visitor, fake: FakeMayar) -> None:
    """Mayar was down from the start: the page is there, the JSON is a 502."""
    await fake.close()
    html = await read(visitor, PAGE)
    assert "The reviews cannot be shown at the moment." in html
    assert "Nobody has reviewed this yet" not in html
    async with visitor.get(f"{PAGE}/reviews.json") as answer:
        assert answer.status == 502
        assert "does not answer as it should" in (await answer.json())["error"]


async def test_no_reviews_is_not_a_failure(visitor: Visitor) -> None:
    """The page of a product without reviews invites the first one."""
    html = await read(visitor, "/products/buku")
    assert "Nobody has reviewed this yet" in html
    assert "cannot be shown" not in html


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("en-GB,en;q=0.9", "en"),
        ("id-ID,id;q=0.9,en;q=0.8", "id"),
        ("fr, en;q=0.5, id;q=0.7", "id"),
        ("ja", "id"),
        ("en;q=no, id", "id"),
        ("", "id"),
    ],
)
async def test_the_language_is_the_one_the_browser_likes_best(
    visitor: Visitor, asked: str, language: str
) -> None:
    """If the shop does not have it: Indonesian."""
    async with visitor.get(PAGE, headers={"Accept-Language": asked}) as answer:
        html = await answer.text()
        assert "Accept-Language" in answer.headers["Vary"]
    assert f'<html lang="{language}">' in html
    assert ("1 Januari 2025" in html) == (language == "id")


async def test_markup_in_a_review_stays_text(visitor: Visitor, fake: FakeMayar) -> None:
    """In a message, a name or the name of a file; half an emoji is shown as `?`."""
    attack = "<script>alert(1)</script>"
    fake.add_review(
        "buku",
        message=f"{attack}\ud83d",
        customer={"id": "abc", "name": f'"{attack}'},
        content=[{"id": "v", "value": "v", "file": {"filename": f"{attack}.mp4"}}],
    )
    html = await read(visitor, "/products/buku")
    assert attack not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 3


async def test_search_engines_are_told_of_the_rating(fake: FakeMayar) -> None:
    """As schema.org's Product, with what Google requires; no review can end its element."""
    fake.add_review(PRODUCT, message="</script><script>alert(1)", rating=4)
    fake.add_review(PRODUCT, customer={"id": "abc", "name": "siti@example.com"})
    settings = evolve(SETTINGS, pictures={PRODUCT: "/p.svg"}, prices={PRODUCT: 349_000})
    app = create_app(settings, api_key=KEY, base_url=fake.url)
    async with TestClient(TestServer(app)) as visitor:
        html = await read(visitor, PAGE)
        assert "application/ld+json" not in await read(visitor, "/products/buku")
        assert "349.000" in await read(visitor, "/")
    _, _, rest = html.partition('<script type="application/ld+json">')
    text, _, _ = rest.partition("</script>")
    markup = json.loads(text)
    assert "<" not in text
    assert (markup["@type"], markup["name"], markup["image"]) == (
        "Product",
        "Kelas <Web>",
        "/p.svg",
    )
    assert (markup["offers"]["price"], markup["offers"]["priceCurrency"]) == (349_000, "IDR")
    assert markup["aggregateRating"] == {
        "@type": "AggregateRating",
        "ratingValue": 4.4,
        "reviewCount": 47,
        "bestRating": 5,
        "worstRating": 1,
    }
    assert len(markup["review"]) == PAGE_SIZE - 1  # an author without a name is no author
    for review in markup["review"]:
        assert review["@type"] == "Review"
        assert review["author"]["@type"] == "Person"
        assert 0 < len(review["author"]["name"]) <= 100
        assert 1 <= review["reviewRating"]["ratingValue"] <= 5
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", review["datePublished"])
        assert "siti@example.com" not in str(review)
    assert markup["review"][0]["reviewBody"] == "</script><script>alert(1)"


async def test_the_index_shows_figures_or_says_what_is_the_matter(
    visitor: Visitor, fake: FakeMayar
) -> None:
    """Stars and counts; nothing to show; and nothing known, while Mayar is down."""
    await fake.close()
    assert (await read(visitor, "/")).count("Rating not available at the moment") == 2


async def test_the_index_has_cards(visitor: Visitor) -> None:
    """A product without a picture has its initial."""
    html = await read(visitor, "/")
    assert "45 reviews" in html
    assert "4.4 of 5 stars" in html
    assert "Not reviewed yet" in html
    assert 'class="picture none" aria-hidden="true">K</span>' in html


async def test_pictures_come_from_mayar_only(visitor: Visitor, fake: FakeMayar) -> None:
    """A picture from any other address is not shown."""
    urls = ["https://media.mayar.id/images/a.png", "https://evil.example/b.png", "javascript:c", ""]
    fake.add_review("buku", multipleImage=[{"id": url, "url": url} for url in urls])
    html = await read(visitor, "/products/buku")
    assert re.findall('<img src="([^"]+)"', html) == urls[:1]


async def test_no_page_holds_the_key_or_an_email(visitor: Visitor, fake: FakeMayar) -> None:
    """An email in place of a name is not shown, and no ids of people are."""
    review = fake.add_review("buku", customer={"id": "abc", "name": "siti@example.com"})
    html = await read(visitor, "/products/buku")
    assert "A customer" in html
    for secret in ("siti@example.com", KEY, review["customerId"], review["userId"]):
        assert secret not in html


@pytest.mark.parametrize("path", ["/", PAGE, f"{PAGE}/review", "/nowhere", "/static/style.css"])
async def test_every_answer_has_the_security_policy(visitor: Visitor, path: str) -> None:
    """No page has anything inline that it would forbid, errors included."""
    async with visitor.get(path) as answer:
        policy = answer.headers["Content-Security-Policy"]
        html = await answer.text()
    assert "default-src 'none'; script-src 'self'" in policy
    assert "img-src 'self' https://media.mayar.id/;" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script>", html)


async def test_a_defect_of_the_shop_is_a_sentence(
    visitor: Visitor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged with its traceback; visitors get none."""

    async def broken(*_: object) -> None:
        raise KeyError("defect")

    monkeypatch.setattr("examples.web.shop.Shop.stats", broken)
    async with visitor.get(PAGE) as answer:
        assert answer.status == 500
        html = await answer.text()
    assert "Something went wrong on our side." in html
    assert "defect" not in html
    assert "defect" in caplog.text


def test_the_settings_hide_their_secrets() -> None:
    """Their repr shows neither the password nor the signing secret."""
    assert "rahasia" not in repr(SETTINGS)
    assert "secret=" not in repr(SETTINGS)
