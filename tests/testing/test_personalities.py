"""FakeMayar as each server that was seen: what is different, and what stays right."""

import ast
from datetime import datetime
from email.utils import parsedate_to_datetime
from itertools import product
from pathlib import Path
from typing import Any, get_args

import pytest
from aiohttp import ClientSession

import mayar_reviews.testing
from mayar_reviews.testing import FakeMayar
from mayar_reviews.testing.personality import Cursor, Order

from .conftest import EMAIL, LIST, PRODUCT, Client, creation, ids, refusal

PACKAGE = Path(mayar_reviews.testing.__path__[0])


def grow(fake: FakeMayar, *times: tuple[int, int]) -> None:
    """Store a review for each pair of createdAt and updatedAt, named after them."""
    for created, updated in times:
        fake.add_review(
            PRODUCT, id=f"review-{created}-{updated}", createdAt=created, updatedAt=updated
        )


def personality(fake: FakeMayar, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(fake.personality, name, value)


# Order and cursor


async def test_by_default_lists_are_as_the_real_ones_were_seen(
    fake: FakeMayar, client: Client
) -> None:
    """Sorted by updatedAt and cut by createdAt, a list loses what was edited, and says nothing."""
    grow(fake, (1, 1), (2, 6), (3, 3), (4, 4), (5, 5))
    _, page = await client.get(LIST, limit=2)
    assert ids(page["data"]) == ["review-2-6", "review-5-5"]
    assert page["nextStartingAfter"] == "5"
    _, page = await client.get(LIST, limit=2, startingAfter="5")
    # What was created before the cursor and edited after it comes again.
    assert ids(page["data"]) == ["review-2-6", "review-4-4"]
    walked = await client.walk(LIST, limit=1)
    assert ids(walked) == ["review-2-6", "review-1-1"]


@pytest.mark.parametrize(
    ("order", "cursor", "expected"),
    [
        ("created", "created", [5, 4, 3, 2, 1]),
        ("created", "updated", [5, 4, 3, 1]),
        ("created", "offset", [5, 4, 3, 2, 1]),
        ("updated", "updated", [2, 5, 4, 3, 1]),
        ("updated", "offset", [2, 5, 4, 3, 1]),
        ("added", "offset", [1, 2, 3, 4, 5]),
    ],
)
async def test_orders_and_cursors(
    fake: FakeMayar, client: Client, order: Order, cursor: Cursor, expected: list[int]
) -> None:
    """Each order is kept, and each cursor cuts by what it is."""
    personality(fake, order=order, cursor=cursor)
    grow(fake, (1, 1), (2, 6), (3, 3), (4, 4), (5, 5))
    walked = await client.walk(LIST, limit=1)
    assert [review["createdAt"] for review in walked] == expected


@pytest.mark.parametrize(
    ("order", "cursor"), list(product(("created", "updated"), get_args(Cursor)))
)
async def test_lists_without_late_edits_are_whole(
    fake: FakeMayar, client: Client, order: Order, cursor: Cursor
) -> None:
    """Where nothing was edited late, every server shows every review once."""
    personality(fake, order=order, cursor=cursor)
    fake.seed(PRODUCT, 120)
    assert ids(await client.walk(LIST, limit=50)) == list(fake.reviews)[::-1]


async def test_an_offset_is_no_time(fake: FakeMayar, client: Client) -> None:
    """It cannot be mistaken for the time of a row; a time is refused."""
    personality(fake, cursor="offset")
    fake.seed(PRODUCT, 3)
    _, page = await client.get(LIST, limit=2)
    assert page["nextStartingAfter"] == "c2"
    bad = refusal(400, "startingAfter query parameter is not valid")
    assert await client.get(LIST, startingAfter="1735689600000") == bad


@pytest.mark.parametrize("order", ["created", "updated"])
async def test_reviews_of_one_millisecond_keep_their_order(
    fake: FakeMayar, client: Client, order: Order
) -> None:
    """The last added stands first, whatever is edited elsewhere."""
    personality(fake, order=order)
    for number in range(5):
        fake.add_review(PRODUCT, id=f"review-{number}", createdAt=1000)
    expected = [f"review-{number}" for number in (4, 3, 2, 1, 0)]
    for _ in range(2):
        assert ids((await client.get(LIST))[1]["data"]) == expected
        other = fake.add_review("other", createdAt=1000)
        fake.edit_review(other["id"], rating=1)


async def test_pages_can_be_cut_in_a_way_of_its_own(fake: FakeMayar, client: Client) -> None:
    """`paginate` gets all that matches, the cursor as sent and the limit; its page is the answer."""
    asked = []

    def paginate(
        reviews: list[dict[str, Any]], cursor: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], Any]:
        asked.append((len(reviews), cursor, limit))
        return reviews[:1], 77 if cursor is None else None

    personality(fake, paginate=paginate)
    fake.seed(PRODUCT, 20)
    fives = sum(review["rating"] == 5 for review in fake.reviews.values())
    _, page = await client.get(LIST, rating=5, limit=3)
    assert (len(page["data"]), page["hasMore"], page["nextStartingAfter"]) == (1, True, 77)
    _, page = await client.get(LIST, startingAfter="any thing")
    assert (page["hasMore"], page["nextStartingAfter"]) == (False, None)
    assert asked == [(fives, None, 3), (20, "any thing", 10)]


# Changes while a list is read


async def test_a_review_is_edited_while_a_list_is_read(fake: FakeMayar, client: Client) -> None:
    """It moves to the head of the list, behind whoever reads: its old place is empty."""
    grow(fake, (1, 1), (2, 2), (3, 3), (4, 4))
    fake.before_list(2, lambda: fake.edit_review("review-1-1", rating=1))
    assert ids(await client.walk(LIST, limit=2)) == [
        "review-4-4",
        "review-3-3",
        "review-1-1",  # it is created before the cursor, and now edited after it
        "review-2-2",
    ]
    personality(fake, cursor="updated")
    fake.before_list(2, lambda: fake.edit_review("review-2-2", rating=1))
    assert "review-2-2" not in ids(await client.walk(LIST, limit=2))
    _, head = await client.get(LIST, limit=1)
    assert ids(head["data"]) == ["review-2-2"]


async def test_a_call_comes_before_the_list_request_of_its_number(
    fake: FakeMayar, client: Client
) -> None:
    """Numbers count from now; other requests do not count; two calls may have one number."""
    fake.seed(PRODUCT, 1)
    called: list[str] = []
    await client.get(LIST)
    fake.before_list(1, lambda: called.append("first"))
    fake.before_list(3, lambda: called.append("third"))
    fake.before_list(3, lambda: fake.add_review(PRODUCT))
    assert called == []
    sizes = []
    for _ in range(4):
        await client.get(f"{LIST}/stats")
        sizes.append(len((await client.get("/reviews"))[1]["data"]))
    assert called == ["first", "third"]
    assert sizes == [1, 1, 2, 2]


# Statistics


@pytest.mark.parametrize("path", [f"{LIST}/stats", "/merchants/reviews/stats"])
async def test_stale_statistics(fake: FakeMayar, client: Client, path: str) -> None:
    """They stay as they were first asked for, or as they were when they were counted."""

    async def total() -> int:
        count: int = (await client.get(path))[1]["data"]["total"]
        return count

    personality(fake, stats="stale")
    fake.seed(PRODUCT, 1)
    assert await total() == 1
    fake.seed(PRODUCT, 1)
    assert await total() == 1
    fake.count_stats()
    fake.seed(PRODUCT, 1)
    assert await total() == 2
    personality(fake, stats="right")
    assert await total() == 3


async def test_broken_statistics(fake: FakeMayar, client: Client) -> None:
    """Both endpoints fail as they were seen to, while lists go on."""
    personality(fake, stats="broken")
    fake.seed(PRODUCT, 5)
    broken = refusal(500, "gtFetch(...).then is not a function")
    assert await client.get(f"{LIST}/stats") == broken
    assert await client.get("/merchants/reviews/stats") == broken
    assert len((await client.get(LIST))[1]["data"]) == 5


# Filters that lie, and the cliff


async def test_ignored_parameters(fake: FakeMayar, client: Client) -> None:
    """A parameter that is ignored has no effect, and no value of it is refused."""
    personality(fake, ignores={"rating", "limit"})
    for rating in (1, 2, 3):
        fake.add_review(PRODUCT, rating=rating, status="ARCHIVED" if rating == 3 else "ACTIVE")
    assert len((await client.get(LIST, rating=1))[1]["data"]) == 2
    assert len((await client.get("/reviews", rating="x", limit=1))[1]["data"]) == 3
    assert len((await client.get("/reviews", status="ARCHIVED"))[1]["data"]) == 1


async def test_omitted_rows(fake: FakeMayar, client: Client) -> None:
    """A list can leave out what matches: here one review, wherever there is a filter."""
    personality(fake, omits=lambda review, query: review["id"] == "hidden" and "rating" in query)
    fake.add_review(PRODUCT, id="hidden")
    fake.add_review(PRODUCT, id="shown")
    assert ids((await client.get(LIST))[1]["data"]) == ["shown", "hidden"]
    assert ids((await client.get(LIST, rating=5))[1]["data"]) == ["shown"]


async def test_the_cliff_at_fifty(fake: FakeMayar, client: Client) -> None:
    """A full page of fifty has 43 rows, lacks the newest two, and says that it is the last."""
    personality(fake, cliff=True)
    fake.seed(PRODUCT, 49)
    assert len((await client.get(LIST, limit=50))[1]["data"]) == 49
    fake.seed(PRODUCT, 51)
    newest_first = list(fake.reviews)[::-1]
    for limit in (50, 99):
        _, page = await client.get(LIST, limit=limit)
        assert ids(page["data"]) == newest_first[2:45]
        assert (page["hasMore"], page["nextStartingAfter"]) == (False, None)
    _, page = await client.get(LIST, limit=40)
    assert ids(page["data"]) == newest_first[:40]
    assert page["hasMore"]


# Refusals and headers


async def test_refusals_with_http_200() -> None:
    """Every refusal is HTTP 200, with its status in the body only, 429 among them."""
    async with (
        FakeMayar(status_in_body=True, rate_limit=(2, 60), read_only_key="look") as fake,
        ClientSession() as session,
    ):
        client = Client(fake, session)
        right, client.headers = client.headers, {}
        assert await client.get("/reviews") == (200, refusal(401, "Unauthorized")[1])
        client.headers = {"Authorization": "Bearer look"}
        status, body = await client.post("/reviews/create", creation())
        assert (status, body["statusCode"]) == (200, 403)
        client.headers = right
        nothing = refusal(404, "Produk tidak ditemukan")[1]
        assert await client.post("/reviews/create", creation()) == (200, nothing)
        assert (await client.get("/reviews"))[1]["statusCode"] == 200
        async with session.get(f"{fake.url}/hl/v2/reviews", headers=right) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (200, "60")
            assert await answer.json() == refusal(429, "Too Many Requests")[1]


async def test_an_ordinary_answer_tells_nothing_of_limits() -> None:
    """No header speaks of a limit before it is reached."""
    async with FakeMayar(rate_limit=(2, 60)) as fake, ClientSession() as session:
        headers = {"Authorization": "Bearer fake-key"}
        async with session.get(f"{fake.url}/hl/v2/reviews", headers=headers) as answer:
            names = {name.lower() for name in answer.headers}
    assert names == {"date", "content-type", "content-length", "server"}


async def test_the_clock_can_be_another() -> None:
    """All times of the server go by its clock, `Date` as well."""
    then = int(datetime.fromisoformat("2026-08-01T12:00:00+00:00").timestamp())
    async with FakeMayar(clock=lambda: then * 1000) as fake, ClientSession() as session:
        fake.add_purchase(PRODUCT, EMAIL)
        client = Client(fake, session)
        _, body = await client.post("/reviews/create", creation())
        assert 0 < body["data"]["createdAt"] - then * 1000 < 10
        async with session.get(fake.url, headers=client.headers) as answer:
            assert parsedate_to_datetime(answer.headers["Date"]).timestamp() == then


# The choice


@pytest.mark.parametrize(
    "wrong",
    [{"order": "newest"}, {"cursor": "id"}, {"stats": "wrong"}, {"ignores": ["ratings"]}],
    ids=str,
)
def test_a_personality_that_does_not_exist(wrong: dict[str, Any]) -> None:
    """It is refused, at once and later."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FakeMayar(**wrong)
    fake = FakeMayar()
    with pytest.raises(ValueError, match=next(iter(wrong))):
        personality(fake, **wrong)


def test_the_api_does_no_io() -> None:
    """What decides the answers imports neither a server nor an event loop."""
    for name in ("api", "personality", "seeds", "store", "validation"):
        nodes = list(ast.walk(ast.parse((PACKAGE / f"{name}.py").read_text())))
        names = {
            part.name.partition(".")[0]
            for node in nodes
            if isinstance(node, ast.Import)
            for part in node.names
        }
        names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
        assert not names & {"aiohttp", "asyncio", "socket", "threading"}, name
