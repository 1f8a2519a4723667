"""What people send: reviews, and a moderator's decisions."""

from __future__ import annotations

import logging
import re
import tomllib
from io import BytesIO
from pathlib import Path

import pytest
from aiohttp import DummyCookieJar, FormData, encode_basic_auth
from aiohttp.test_utils import TestClient, TestServer
from attrs import evolve

import examples.web
import mayar_reviews
from examples.web.app import create_app
from examples.web.shop import Settings
from examples.web.speech import read_words, status_of
from mayar_reviews.testing import FakeMayar

from .conftest import (
    KEY,
    MODERATOR,
    PAGE,
    PRODUCT,
    SETTINGS,
    Visitor,
    found_token,
    read,
    token,
)

FORM = "/products/buku/review"
BUYER = "siti@example.com"
MODERATION = "/moderation"


async def send(visitor: Visitor, **fields: str) -> tuple[int, str]:
    """Fill in the form, send it and follow where it leads."""
    filled = {"customer_email": BUYER, "rating": "4", "message": "Bagus", **fields}
    sent = {"token": await token(visitor, FORM), **filled}
    async with visitor.post(FORM, data=sent) as answer:
        return answer.status, await answer.text()


async def test_a_review_is_created_once_and_shown(visitor: Visitor, fake: FakeMayar) -> None:
    """The customer sees the review at once, though the page was cached."""
    fake.add_purchase("buku", BUYER)
    assert "Nobody has reviewed" in await read(visitor, "/products/buku")
    status, html = await send(visitor, message=" Baris satu\r\nBaris dua ")
    assert status == 200
    assert "Thank you for your review." in html
    assert "Baris satu\nBaris dua</p>" in html
    [review] = [review for review in fake.reviews.values() if review["paymentLinkId"] == "buku"]
    assert (review["rating"], review["message"]) == (4, "Baris satu\nBaris dua")


async def test_a_review_needs_no_message(visitor: Visitor, fake: FakeMayar) -> None:
    """An empty message is not sent."""
    fake.add_purchase("buku", BUYER)
    assert (await send(visitor, message=" \r\n"))[0] == 200
    assert fake.requests[0].body == {
        "paymentLinkId": "buku",
        "customerEmail": BUYER,
        "rating": 4,
    }


@pytest.mark.parametrize(
    ("fields", "field", "sentence"),
    [
        ({"customer_email": "siti"}, "customer_email", "Please give the email"),
        ({"rating": ""}, "rating", "Please choose 1 to 5 stars."),
        ({"rating": "٣"}, "rating", "Please choose 1 to 5 stars."),
        ({"message": "x" * 2001}, "message", "Please write at most 2,000"),
    ],
)
async def test_a_wrong_field_has_a_sentence_beside_it(
    visitor: Visitor, fake: FakeMayar, fields: dict[str, str], field: str, sentence: str
) -> None:
    """The form comes back as it was filled in, and Mayar is not asked."""
    status, html = await send(visitor, **{"message": "Isinya", **fields})
    assert status == 422
    assert f'id="fault-{field}">{sentence}' in html
    assert html.count('id="fault-') == 1
    assert f'value="{fields.get("customer_email", BUYER)}"' in html
    assert fields.get("message", "Isinya") in html
    assert fake.requests == []


@pytest.mark.parametrize(
    ("answer", "status", "sentence"),
    [
        ((200, "failed"), 422, "Mayar does not accept this review."),
        ((403, "Anda belum pernah membeli produk ini"), 403, "Only those who bought this"),
        ((404, "Produk tidak ditemukan"), 404, "This is no longer on sale"),
        (
            (409, "Anda sudah memberikan ulasan"),
            409,
            "There is a review from this customer already.",
        ),
        ((401, "Unauthorized"), 502, "Mayar does not answer as it should"),
    ],
)
async def test_a_refusal_is_a_sentence(
    visitor: Visitor, fake: FakeMayar, answer: tuple[int, str], status: int, sentence: str
) -> None:
    """Each refusal has its status and its sentence, and nothing typed is lost."""
    fake.fail_next(answer[0], message=answer[1])
    got, html = await send(visitor)
    assert got == status
    assert sentence in html
    assert f'value="{BUYER}"' in html
    assert "Bagus</textarea>" in html
    assert 'value="4" required checked' in html


async def test_a_reached_limit_is_a_503(visitor: Visitor, fake: FakeMayar) -> None:
    """When Mayar asks for a longer wait than the shop allows."""
    fake.fail_next(429, retry_after=60)
    status, html = await send(visitor)
    assert status == 503
    assert "Very many people are here" in html


async def test_a_lost_answer_creates_one_review(visitor: Visitor, fake: FakeMayar) -> None:
    """When Mayar saves a review and breaks the connection, the visitor does not notice."""
    fake.add_purchase("buku", BUYER)
    fake.drop_next(processed=True)
    assert (await send(visitor))[0] == 200
    assert len([r for r in fake.reviews.values() if r["paymentLinkId"] == "buku"]) == 1


async def test_a_form_without_its_token_is_refused(visitor: Visitor, fake: FakeMayar) -> None:
    """Without the cookie, or with another's token, nothing is sent to Mayar."""
    fields = {"customer_email": BUYER, "rating": "4"}
    async with visitor.post(FORM, data=fields) as answer:
        assert answer.status == 403
    mine = await token(visitor, FORM)
    visitor.session.cookie_jar.clear()
    async with visitor.post(FORM, data={**fields, "token": mine}) as answer:
        assert answer.status == 403
        assert "This form has expired." in await answer.text()
    assert (await send(visitor, token="ü"))[0] == 403
    assert fake.requests == []


async def test_the_cookie_is_protected(visitor: Visitor) -> None:
    """From scripts and from other sites; a link in a mail still leads to a form that works."""
    async with visitor.get(FORM) as answer:
        cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("visitor=")
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Lax", "Path=/"))
    assert "Secure" not in cookie


async def test_behind_tls_the_cookie_is_bound_to_it(fake: FakeMayar) -> None:
    """A proxy that speaks https says so; then forms work, with a cookie of this host only."""
    app = create_app(evolve(SETTINGS, behind_proxy=True), api_key=KEY, base_url=fake.url)
    fake.add_purchase("buku", BUYER)
    https = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "9.9.9.9, 10.0.0.1"}
    async with TestClient(TestServer(app), cookie_jar=DummyCookieJar(), headers=https) as visitor:
        async with visitor.get(FORM) as answer:
            cookie = answer.headers["Set-Cookie"]
            html = await answer.text()
        assert cookie.startswith("__Host-visitor=")
        assert "; Secure" in cookie
        assert "Domain" not in cookie
        fields = {"customer_email": BUYER, "rating": "4", "token": found_token(html)}
        sent = {"Cookie": cookie.partition(";")[0]}
        async with visitor.post(FORM, data=fields, headers=sent, allow_redirects=False) as answer:
            assert answer.status == 303


async def test_a_form_from_the_local_network_works(visitor: Visitor, fake: FakeMayar) -> None:
    """A phone that tries the shop over plain http keeps its cookie."""
    fake.add_purchase("buku", BUYER)
    async with visitor.get(FORM, headers={"Host": "192.168.1.7:8080"}) as answer:
        assert "Secure" not in answer.headers["Set-Cookie"]
        html = await answer.text()
    fields = {"customer_email": BUYER, "rating": "4", "token": found_token(html)}
    phone = {"Host": "192.168.1.7:8080"}
    async with visitor.post(FORM, data=fields, headers=phone, allow_redirects=False) as answer:
        assert answer.status == 303


async def test_a_forged_or_old_token_is_refused(
    visitor: Visitor, fake: FakeMayar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cookie that is not signed by us gets a new one; a form is good for twelve hours."""
    forged = {"Cookie": "visitor=me"}
    async with visitor.get(FORM, headers=forged) as answer:
        assert "visitor=me;" not in answer.headers["Set-Cookie"]
    old = await token(visitor, FORM)
    monkeypatch.setattr("examples.web.guard.FORM_SECONDS", -1)
    assert (await send(visitor, token=old))[0] == 403
    assert fake.requests == []


async def test_a_file_in_a_form_is_ignored(visitor: Visitor, fake: FakeMayar) -> None:
    """The form is read as if the field were empty."""
    async with visitor.post(FORM, data={"token": BytesIO(b"file")}) as answer:
        assert answer.status == 403
    assert fake.requests == []


async def test_nothing_personal_is_logged(
    visitor: Visitor, fake: FakeMayar, caplog: pytest.LogCaptureFixture
) -> None:
    """The log tells the kind of a refusal, but nothing about the customer."""
    caplog.set_level(logging.DEBUG)
    fake.fail_next(403, message=f"{BUYER} belum pernah membeli")
    await send(visitor, message="rahasia saya")
    assert "PermissionDeniedError" in caplog.text
    for secret in (BUYER, KEY, "rahasia saya"):
        assert secret not in caplog.text


async def test_all_mistakes_are_told_at_once(visitor: Visitor, fake: FakeMayar) -> None:
    """Each beside its field, with a list above; nothing typed is lost, the email included."""
    wrong = {"rating": "", "message": "x" * 2001, "customer_email": "siti at home"}
    status, html = await send(visitor, **wrong)
    assert status == 422
    for field in wrong:
        assert f'id="fault-{field}"' in html
    assert 'aria-describedby="fault-message hint-message"' in html
    assert 'value="siti at home"' in html
    assert "x" * 2001 in html
    assert fake.requests == []


async def test_a_long_text_comes_back(visitor: Visitor, fake: FakeMayar) -> None:
    """A text of 200,000 characters is too long, but not lost."""
    status, html = await send(visitor, message="x" * 200_000)
    assert status == 422
    assert "x" * 200_000 in html
    assert fake.requests == []


async def test_a_visitor_has_six_forms_a_minute(visitor: Visitor, fake: FakeMayar) -> None:
    """So that nobody asks for one email after the other who has bought here."""
    fake.fail_next(403, 6)
    statuses = [(await send(visitor))[0] for _ in range(8)]
    assert statuses == [403] * 6 + [429] * 2
    assert len(fake.requests) == 6


async def test_who_has_reviewed_it_may_edit_it(visitor: Visitor, fake: FakeMayar) -> None:
    """In the browser that wrote the review a second one is an edit of the first."""
    fake.add_purchase("buku", BUYER)
    await send(visitor, message="Satu")
    status, html = await send(visitor, rating="2", message="Dua")
    assert status == 409
    assert "You have reviewed this before" in html
    assert "4 of 5 stars: Satu" in html
    edit = found(html, "edit")
    fields = {"token": found_token(html), "edit": edit, "rating": "2", "message": "Dua"}
    async with visitor.post(FORM, data=fields) as answer:
        html = await answer.text()
        assert answer.status == 200
    assert "Your review is changed." in html
    [review] = [review for review in fake.reviews.values() if review["paymentLinkId"] == "buku"]
    assert (review["rating"], review["message"]) == (2, "Dua")


async def test_who_knows_an_email_may_not_edit(visitor: Visitor, fake: FakeMayar) -> None:
    """Another browser is told that there is a review, and gets no way to change it.

    Not even if it has written a review of its own.
    """
    fake.add_purchase("buku", BUYER)
    fake.add_purchase("buku", "budi@example.com")
    await send(visitor, message="Satu")
    visitor.session.cookie_jar.clear()
    status, _ = await send(visitor, message="Dua")
    assert status == 409
    await send(visitor, customer_email="budi@example.com", message="Nol")
    status, html = await send(visitor, message="Dua")
    assert status == 409
    assert "There is a review from this customer already." in html
    assert "Satu" not in html
    assert 'name="edit"' not in html
    review_id = list(fake.reviews)[-2]
    forged = {"edit": review_id, "message": "Tiga", "customer_email": ""}
    assert (await send(visitor, **forged))[0] == 422


@pytest.mark.slow
async def test_photos_are_attached_once(fake: FakeMayar) -> None:
    """They are uploaded when all else is right, and not again when Mayar refuses at first."""
    kept: list[tuple[bytes, str]] = []

    async def upload(content: bytes, kind: str) -> str:
        kept.append((content, kind))
        return f"file-{len(kept)}"

    settings = evolve(SETTINGS, upload=upload)
    app = create_app(settings, api_key=KEY, base_url=fake.url)
    fake.add_purchase("buku", BUYER)
    async with TestClient(TestServer(app), headers={"Accept-Language": "en"}) as visitor:
        form = {"customer_email": BUYER, "rating": "5", "token": await token(visitor, FORM)}
        png = b"\x89PNG\r\n"
        async with visitor.post(FORM, data=with_photos(form, b"<svg>")) as answer:
            assert answer.status == 422
            assert 'id="fault-photos"' in await answer.text()
        assert kept == []
        fake.fail_next(502, 4)
        fake.fail_next(404, message="Customer not found")
        async with visitor.post(FORM, data=with_photos(form, png)) as answer:
            assert answer.status >= 500
            html = await answer.text()
        fake.clear_faults()
        assert "1 of yours are here already." in html
        again = {**form, "token": found_token(html), "uploaded": found(html, "uploaded")}
        async with visitor.post(FORM, data=with_photos(again)) as answer:
            assert answer.status == 200
    assert kept == [(png, "image/png")]
    [review] = [review for review in fake.reviews.values() if review["paymentLinkId"] == "buku"]
    assert [image["id"] for image in review["multipleImage"]] == ["file-1"]


def with_photos(fields: dict[str, str], *photos: bytes) -> FormData:
    """A form with files."""
    form = FormData(fields)
    for photo in photos:
        form.add_field("photos", photo, filename="foto.png", content_type="image/png")
    return form


def found(html: str, name: str) -> str:
    """A hidden field's value."""
    return html.partition(f'name="{name}" value="')[2].partition('"')[0]


async def decide(visitor: Visitor, status: str, *reviews: str, path: str = MODERATION) -> str:
    """Tick reviews, press a button and follow where it leads."""
    fields = [("token", await token(visitor, path, MODERATOR)), ("status", status)]
    fields += [("review", f"{PRODUCT}/{review}/ACTIVE") for review in reviews]
    async with visitor.post(path, data=dict(fields[:2]), headers=MODERATOR) as answer:
        assert answer.status == 422
        assert "Nothing is ticked." in await answer.text()
    async with visitor.post(path, data=fields, headers=MODERATOR) as answer:
        assert answer.status == 200
        return await answer.text()


async def test_moderation_archives_and_restores(visitor: Visitor, fake: FakeMayar) -> None:
    """An archived review leaves the page at once; a restored one is back at once."""
    first, second = list(fake.reviews)[-2:]
    assert first in await read(visitor, PAGE)
    assert "Archived</span>" in await decide(visitor, "ARCHIVED", first, second)
    html = await read(visitor, PAGE)
    assert first not in html
    assert second not in html
    assert "43 reviews" in html
    await decide(visitor, "ACTIVE", first)
    html = await read(visitor, PAGE)
    assert first in html
    assert second not in html


async def test_an_undone_decision_leaves_each_as_it_was(visitor: Visitor, fake: FakeMayar) -> None:
    """What was done is said, with a button that gives each review its own status back."""
    first, second = list(fake.reviews)[-2:]
    fake.edit_review(second, status="INACTIVE")
    fields = [("token", await token(visitor, MODERATION, MODERATOR)), ("status", "ARCHIVED")]
    fields += [
        ("review", f"{PRODUCT}/{first}/ACTIVE"),
        ("review", f"{PRODUCT}/{second}/INACTIVE"),
    ]
    async with visitor.post(MODERATION, data=fields, headers=MODERATOR) as answer:
        html = await answer.text()
    assert "2 reviews are archived." in html
    assert fake.reviews[first]["status"] == fake.reviews[second]["status"] == "ARCHIVED"
    undo = re.findall('type="hidden" name="review" value="([^"]+)"', html)
    fields = [("token", found_token(html)), ("status", "UNDO")]
    fields += [("review", value) for value in undo]
    async with visitor.post(MODERATION, data=fields, headers=MODERATOR) as answer:
        assert "Undone: 2 reviews are as they were." in await answer.text()
    assert fake.reviews[first]["status"] == "ACTIVE"
    assert fake.reviews[second]["status"] == "INACTIVE"
    async with visitor.get(MODERATION, headers=MODERATOR) as answer:
        assert "Undone" not in await answer.text()  # it is said once


async def test_a_status_that_is_unknown_cannot_be_undone(visitor: Visitor, fake: FakeMayar) -> None:
    """Mayar may have more statuses than it takes: undo gives back the others."""
    first, second = list(fake.reviews)[-2:]
    fake.edit_review(second, status="FLAGGED")
    fields = [("token", await token(visitor, MODERATION, MODERATOR)), ("status", "ARCHIVED")]
    fields += [("review", f"{PRODUCT}/{first}/ACTIVE"), ("review", f"{PRODUCT}/{second}/FLAGGED")]
    async with visitor.post(MODERATION, data=fields, headers=MODERATOR) as answer:
        html = await answer.text()
    undo = re.findall('type="hidden" name="review" value="([^"]+)"', html)
    assert undo == [f"{PRODUCT}/{first}/ACTIVE"]


async def test_a_notice_waits_for_its_page(visitor: Visitor, fake: FakeMayar) -> None:
    """A browser that is asked for the password once more still says what was done, once."""
    fields = {"token": await token(visitor, MODERATION, MODERATOR), "status": "ARCHIVED"}
    fields["review"] = f"{PRODUCT}/{next(iter(fake.reviews))}/ACTIVE"
    post = visitor.post(MODERATION, data=fields, headers=MODERATOR, allow_redirects=False)
    async with post as answer:
        assert answer.status == 303
    async with visitor.get(MODERATION) as answer:
        assert answer.status == 401
    for times in (1, 0):
        async with visitor.get(MODERATION, headers=MODERATOR) as answer:
            assert (await answer.text()).count("1 review is archived.") == times


async def test_an_error_stands_alone(visitor: Visitor, fake: FakeMayar) -> None:
    """Where nothing is known, moderation does not say that there is nothing."""
    await fake.close()
    async with visitor.get(MODERATION, headers=MODERATOR) as answer:
        assert answer.status == 502
        html = await answer.text()
    assert "Mayar does not answer" in html
    assert "There is nothing here." not in html


async def test_two_processes_agree_on_what_is_archived(fake: FakeMayar, tmp_path: Path) -> None:
    """What one takes down is gone from the other's cached page at once; a new one is there."""
    settings = evolve(SETTINGS, changes=tmp_path / "changes")
    one, other = (
        TestClient(
            TestServer(create_app(settings, api_key=KEY, base_url=fake.url)),
            headers={"Accept-Language": "en"},
        )
        for _ in range(2)
    )
    review = list(fake.reviews)[-1]
    fake.add_purchase("buku", BUYER)
    async with one, other:
        assert review in await read(other, PAGE)
        assert "Nobody has reviewed" in await read(other, "/products/buku")
        await decide(one, "ARCHIVED", review)
        await send(one, message="Bagus sekali")
        assert "Bagus sekali" in await read(other, "/products/buku")
        await fake.close()
        assert review not in await read(other, PAGE)
        assert review not in await read(one, PAGE)


async def test_an_archived_review_is_gone_from_a_stale_page(
    visitor: Visitor, fake: FakeMayar
) -> None:
    """It does not come back when Mayar is down."""
    review = list(fake.reviews)[-1]
    assert review in await read(visitor, PAGE)
    await decide(visitor, "ARCHIVED", review)
    await fake.close()
    html = await read(visitor, PAGE)
    assert "These are the reviews as of" in html
    assert review not in html


async def test_moderation_asks_for_the_password(visitor: Visitor, fake: FakeMayar) -> None:
    """Without the password, or with a wrong one, there is a 401 that asks for it."""
    wrong = (None, "Basic", "Basic !", "Basic bTo=", "Basic bTpmYWxzY2g=", "Bearer bTpyYWhhc2lh")
    for header in wrong:
        headers = {"Authorization": header} if header else {}
        method = "POST" if header == "Basic bTo=" else "GET"
        async with visitor.request(method, MODERATION, headers=headers) as answer:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"].startswith("Basic")
            assert "The password is needed." in await answer.text()
    assert fake.requests == []


async def test_a_password_cannot_be_guessed_on(visitor: Visitor) -> None:
    """After five wrong ones nobody at this address gets an answer for a minute."""
    statuses = []
    for number in range(7):
        guess = {"Authorization": encode_basic_auth("m", str(number))}
        async with visitor.get(MODERATION, headers=guess) as answer:
            statuses.append(answer.status)
    async with visitor.get(MODERATION, headers=MODERATOR) as answer:
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "60"
    assert statuses == [401] * 5 + [429] * 2


async def test_without_a_password_there_is_no_moderation(fake: FakeMayar) -> None:
    """When the environment gives no password, nobody can guess it."""
    app = create_app(Settings({}, None, b"secret"), api_key=KEY, base_url=fake.url)
    async with TestClient(TestServer(app)) as visitor:
        for headers in ({}, {"Authorization": "Basic bTo="}):
            async with visitor.get(MODERATION, headers=headers) as answer:
                assert answer.status == 404


async def test_a_form_of_another_site_cannot_moderate(visitor: Visitor, fake: FakeMayar) -> None:
    """The moderator's browser sends the password with it, but the token is missing."""
    fields = {"status": "ARCHIVED", "review": f"{PRODUCT}/{next(iter(fake.reviews))}/ACTIVE"}
    async with visitor.post(MODERATION, data=fields, headers=MODERATOR) as answer:
        assert answer.status == 403
    assert {request.method for request in fake.requests} == {"GET"}


async def test_a_failed_moderation_is_explained(visitor: Visitor, fake: FakeMayar) -> None:
    """The list stands under a sentence, when Mayar refuses and when it is down."""
    fields = {"token": await token(visitor, MODERATION, MODERATOR), "status": "ARCHIVED"}
    fields["review"] = "x/not-a-review/ACTIVE"
    async with visitor.post(MODERATION, data=fields, headers=MODERATOR) as answer:
        assert answer.status == 502
        html = await answer.text()
    assert "Mayar has not confirmed the change." in html
    assert html.count("<li id=") == 20
    await fake.close()
    async with visitor.get(MODERATION, headers=MODERATOR) as answer:
        html = await answer.text()
    assert "These are the reviews as of" in html
    assert html.count("<li id=") == 20


async def test_moderation_lists_one_status_page_by_page(visitor: Visitor, fake: FakeMayar) -> None:
    """The tabs and the link at the end choose by status and follow the cursor."""
    await decide(visitor, "ARCHIVED", *list(fake.reviews)[:21])
    async with visitor.get(f"{MODERATION}?status=ARCHIVED", headers=MODERATOR) as answer:
        html = await answer.text()
        assert answer.headers["Cache-Control"] == "no-store"
    assert html.count("<li id=") == 20
    assert 'href="?status=ARCHIVED&amp;after=' in html


def test_both_languages_say_the_same() -> None:
    """Each sentence of one language is there in the other one."""
    files = Path(examples.web.__file__).with_name("words")
    english, indonesian = (
        tomllib.loads((files / f"{language}.toml").read_text("utf-8")) for language in ("en", "id")
    )
    assert shape(english) == shape(indonesian)


def shape(words: object) -> object:
    """The names in a file of words, and how many values each text takes."""
    if isinstance(words, dict):
        return {name: shape(value) for name, value in words.items()}
    return words.count("{}") if isinstance(words, str) else len(words)  # type: ignore[arg-type]


def test_every_exception_has_a_status_and_a_sentence() -> None:
    """Whatever the client raises, the visitor gets a sentence and a fitting status."""
    for name in mayar_reviews.__all__:
        kind = getattr(mayar_reviews, name)
        if isinstance(kind, type) and issubclass(kind, mayar_reviews.MayarError):
            assert 400 <= status_of(kind("")) < 600
            for words in read_words().values():
                assert words.apology(kind(""))
