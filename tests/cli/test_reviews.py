"""The commands that show and change reviews."""

from __future__ import annotations

import pytest

from mayar_reviews.testing import FakeMayar

from .conftest import Mayar, Result


async def test_list_shows_the_newest_of_a_product(fake: FakeMayar, mayar: Mayar) -> None:
    """A table of at most 20, each with its id, and a note that there are more."""
    fake.seed("kelas-web", 60)
    result = await mayar("list", "kelas-web")
    ids = [one for one in fake.reviews if one in result.out]
    assert ids == list(fake.reviews)[-20:]
    assert result.code == 0
    assert result.err == "these are the first 20; --max N shows more\n"


async def test_list_json_writes_the_objects_that_the_api_sent(
    fake: FakeMayar, mayar: Mayar
) -> None:
    """One object a line, with unknown fields, from as many pages as --max needs."""
    fake.seed("kelas-web", 120)
    result = await mayar("list", "kelas-web", "--json", "--max", 110)
    assert result.lines == list(fake.reviews.values())[:-111:-1]
    assert len(fake.requests) == 3
    assert result.err == ""


@pytest.mark.parametrize(
    ("there", "asked"), [(0, 20), (1, 20), (20, 20), (50, 50), (51, 100), (60, 60)]
)
async def test_list_of_fewer_reviews_than_asked_has_no_note(
    fake: FakeMayar, mayar: Mayar, there: int, asked: int
) -> None:
    fake.add_product("kelas-web")
    fake.seed("kelas-web", there)
    result = await mayar("list", "kelas-web", "--max", asked, "--json")
    assert len(result.lines) == there
    assert result.err == ("" if there else "no reviews\n")


async def test_list_shows_a_review_on_two_pages_once(fake: FakeMayar, mayar: Mayar) -> None:
    fake.seed("kelas-web", 120)
    result = await mayar("list", "kelas-web", "--json", "--max", 110)
    assert result.lines == list(fake.reviews.values())[:-111:-1]


async def test_list_says_what_the_server_cannot_show(fake: FakeMayar, mayar: Mayar) -> None:
    """After what it can show."""
    fake.personality.cursor = "updated"
    for _ in range(60):
        fake.add_review("kelas-web", createdAt=1_767_063_610_103)
    result = await mayar("list", "kelas-web", "--json", "--max", 100)
    assert len(result.lines) == 50
    assert result.code == 1
    assert "the list is not complete" in result.err


async def test_list_asks_for_no_more_than_it_shows(fake: FakeMayar, mayar: Mayar) -> None:
    """One request, for five reviews."""
    fake.seed("kelas-web", 60)
    await mayar("list", "kelas-web", "--max", 5)
    assert [request.query["limit"] for request in fake.requests] == ["5"]


async def test_list_of_the_store_and_its_filters(fake: FakeMayar, mayar: Mayar) -> None:
    """For the store, and with --status, every status is shown. Filters are passed on."""
    fake.add_review("kelas-web", id="aktif", rating=5)
    fake.add_review("kelas-web", id="arsip", rating=1, status="ARCHIVED")
    fake.add_review("kelas-data", id="lain", rating=1, message=None)

    async def ids(*arguments: str) -> list[str]:
        return [review["id"] for review in (await mayar("list", "--json", *arguments)).lines]

    assert await ids() == await ids("--all") == ["lain", "arsip", "aktif"]
    assert await ids("--rating", "1") == ["lain", "arsip"]
    assert await ids("--status", "archived") == ["arsip"]
    assert await ids("kelas-web") == ["aktif"]
    assert await ids("kelas-web", "--status", "ARCHIVED") == ["arsip"]
    assert await ids("kelas-web", "--prioritize-message") == ["aktif"]
    assert fake.requests[-1].query["prioritizeMessage"] == "true"


async def test_get_shows_the_review_of_a_customer(fake: FakeMayar, mayar: Mayar) -> None:
    """In full, as text or as JSON."""
    review = fake.add_review("kelas-web", customerId="pembeli-1", message="satu\ndua", rating=3)
    shown = await mayar("get", "kelas-web", "--customer-id", "pembeli-1")
    assert shown.code == 0
    for text in (review["id"], "★★★", "ACTIVE", "satu", "dua", "pembeli-1", "kelas-web"):
        assert text in shown.out
    (told,) = (await mayar("get", "kelas-web", "--customer-id", "pembeli-1", "--json")).lines
    assert told.items() <= review.items()
    assert told["createdAt"] == review["createdAt"]


async def test_get_without_a_review_is_not_a_failure(fake: FakeMayar, mayar: Mayar) -> None:
    fake.add_product("kelas-web")
    arguments = "get", "kelas-web", "--customer-id", "pembeli-1"
    assert "has not reviewed" in (await mayar(*arguments)).out
    assert await mayar(*arguments, "--json") == Result(0, "null\n", "")


async def test_get_by_email(fake: FakeMayar, mayar: Mayar) -> None:
    """One of the two is needed."""
    fake.add_customer("budi@example.com", customer_id="pembeli-1")
    fake.add_review("kelas-web", id="ulasan-1", customerId="pembeli-1")
    shown = await mayar("get", "kelas-web", "--customer-email", "budi@example.com", "--json")
    assert [one["id"] for one in shown.lines] == ["ulasan-1"]
    refused = await mayar("get", "kelas-web")
    assert (refused.code, refused.err) == (
        2,
        "error: give either --customer-id or --customer-email\n",
    )


async def test_create_sends_what_is_given(fake: FakeMayar, mayar: Mayar) -> None:
    """Text from standard input, media from options. A second time is refused in one line."""
    fake.add_purchase("kelas-web", "budi@example.com")
    arguments = "create", "kelas-web", "--customer-email", "budi@example.com", "--rating", 4
    media = "--attach", "image:foto-1", "--attach", "video:film-1:berkas-1"
    result = await mayar(
        *arguments, "--message", "-", *media, "--json", stdin="Bagus 👍\nsekali \n".encode()
    )
    assert fake.requests[0].body == {
        "paymentLinkId": "kelas-web",
        "customerEmail": "budi@example.com",
        "rating": 4,
        "message": "Bagus 👍\nsekali ",
        "contentReview": [
            {"id": "foto-1", "type": "image"},
            {"id": "film-1", "type": "video", "multipleFileId": "berkas-1"},
        ],
    }
    (stored,) = fake.reviews.values()
    assert [review["id"] for review in result.lines] == [stored["id"]]
    again = await mayar(*arguments)
    assert again.code == 1
    assert again.out == ""
    assert again.err.startswith("error: this customer has already reviewed this product")
    assert again.err.count("\n") == 1


async def test_update_changes_only_what_is_given(fake: FakeMayar, mayar: Mayar) -> None:
    fake.add_review("kelas-web", id="ulasan-1", rating=5, message="Bagus")
    result = await mayar(
        *("update", "ulasan-1", "--rating", 2, "--message", "-1 untuk suara"),
        *("--attach", "image:foto-1", "--detach", "video:film-1"),
    )
    assert result.code == 0
    assert "★★" in result.out
    assert fake.requests[0].body == {
        "id": "ulasan-1",
        "rating": 2,
        "message": "-1 untuk suara",
        "contentReview": [{"id": "foto-1", "type": "image"}],
        "deleteContentReview": [{"id": "film-1", "type": "video"}],
    }


async def test_set_status_of_one_or_many(fake: FakeMayar, mayar: Mayar) -> None:
    """One review needs no confirmation. Ids come from arguments or from standard input."""
    for one in ("ulasan-1", "ulasan-2", "ulasan-3"):
        fake.add_review("kelas-web", id=one)
    single = await mayar("set-status", "ARCHIVED", "ulasan-1")
    assert (single.code, single.out, single.err) == (0, "1 review set to ARCHIVED\n", "")
    ids = b"ulasan-2\nulasan-3\nulasan-2\n"
    more = await mayar("set-status", "archived", "-", "--yes", "--json", stdin=ids)
    assert more.lines == [
        {"applied": ["ulasan-2", "ulasan-3"], "refused": [], "unknown": [], "not_sent": []}
    ]
    assert {review["status"] for review in fake.reviews.values()} == {"ARCHIVED"}


async def test_set_status_of_many_without_a_terminal_needs_yes(
    fake: FakeMayar, mayar: Mayar
) -> None:
    """Otherwise it is wrong usage, and nothing is sent."""
    result = await mayar("set-status", "ARCHIVED", "ulasan-1", "ulasan-2")
    assert result.code == 2
    assert result.err == "error: not a terminal: confirm with --yes\n"
    assert not fake.requests


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("yes\n", 0), ("n\n", 1), ("\n", 1)])
async def test_set_status_of_many_asks_first(
    fake: FakeMayar, mayar: Mayar, answer: str, code: int
) -> None:
    """An empty answer means no."""
    for one in ("ulasan-1", "ulasan-2"):
        fake.add_review("kelas-web", id=one)
    result = await mayar(
        "set-status", "ARCHIVED", *fake.reviews, stdin=answer.encode(), terminal=True
    )
    assert result.code == code
    assert "Set 2 reviews to ARCHIVED? [y/N]" in result.err
    expected = "ARCHIVED" if code == 0 else "ACTIVE"
    assert {review["status"] for review in fake.reviews.values()} == {expected}


async def test_set_status_that_fails_says_what_happened_to_each_review(
    fake: FakeMayar, mayar: Mayar
) -> None:
    """As text or as JSON, with exit code 1."""
    ids = [fake.add_review("kelas-web")["id"] for _ in range(51)] + ["tidak-ada"]
    table = await mayar("set-status", "INACTIVE", *ids, "--yes")
    assert table.code == 1
    rows = [line.split() for line in table.out.splitlines()]
    assert rows == [
        *(["INACTIVE", one] for one in ids[:51]),
        ["refused", "tidak-ada"],
    ]
    assert table.err.startswith("error: ")
    told = await mayar("set-status", "INACTIVE", *ids, "--yes", "--json")
    assert told.code == 1
    assert told.lines == [
        {"applied": ids[:51], "refused": ["tidak-ada"], "unknown": [], "not_sent": []}
    ]


async def test_stats_shows_a_histogram(fake: FakeMayar, mayar: Mayar) -> None:
    """Of a product or of the store. JSON has the API's form."""
    for rating in (5, 5, 5, 1):
        fake.add_review("kelas-web", rating=rating)
    fake.add_product("kosong")
    shown = await mayar("stats", "kelas-web")
    assert shown.out.splitlines()[0] == "4.0 ★ on average, 4 active reviews"
    bars = {line.split()[0]: line.count("█") for line in shown.out.splitlines()[2:]}
    assert bars == {"5": 32, "4": 0, "3": 0, "2": 0, "1": 10}
    (told,) = (await mayar("stats", "--json")).lines
    assert told["total"] == 4
    assert told["stats"][0] == {"rating": 5, "percentage": 75, "totalRating": 3}
    assert (await mayar("stats", "kosong")).out == "no active reviews\n"
    assert (await mayar("stats", "kosong", "--json")).out == "{}\n"


async def test_hostile_text_is_harmless(fake: FakeMayar, mayar: Mayar) -> None:
    """No escape sequence, markup or half surrogate reaches a terminal."""
    evil = "\x1b[2J\x9b31m[bold]tebal[/bold] :smile: \ud83d \u202eterbalik\r\x07"
    fake.add_review(
        "kelas-web", customerId="pembeli-1", message=evil, status=evil, customer={"name": evil}
    )
    for command in (["list", "kelas-web"], ["get", "kelas-web", "--customer-id", "pembeli-1"]):
        result = await mayar(*command)
        assert result.code == 0
        assert not set(result.out) & set("\x1b\x9b\ud83d\u202e\r\x07")
        assert "[bold]tebal[/bold]" in result.out
        assert ":smile:" in result.out
    fake.fail_next(404, message=f"Tidak\nada {evil}")
    failed = await mayar("stats", "kelas-web")
    assert failed.err.count("\n") == 1
    assert "\x1b" not in failed.err
    (told,) = (await mayar("list", "kelas-web", "--json")).lines
    assert told["message"] == evil


async def test_the_detail_of_an_invalid_request_is_shown(fake: FakeMayar, mayar: Mayar) -> None:
    fake.add_purchase("kelas-web", "a@example")
    result = await mayar("create", "kelas-web", "--customer-email", "a@example", "--rating", 1)
    assert result.code == 1
    assert "must be a valid email" in result.err
