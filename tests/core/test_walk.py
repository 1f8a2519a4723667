"""A list comes out whole, or the walk names what it lacks.

Thousands of servers are driven through the walk without a socket. `Shop` is a model of its own:
it says what the server shows, and it knows what was there throughout.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
from inspect import cleandoc
from itertools import pairwise
from typing import Any

import pytest
from attrs import Factory, define, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from mayar_reviews import PaginationError, Review
from mayar_reviews.answers import Listing
from mayar_reviews.api_json import to_milliseconds, to_time
from mayar_reviews.converter import structure_each
from mayar_reviews.walk import Row, Walk, keys_of
from tests.support.pages import LIST, PAGE, REVIEW, answer, decode

START = 1_767_000_000_000
HOUR = 3_600_000


@define
class Shop:
    """A list of reviews as one server shows it."""

    order: str
    cut: str
    reviews: dict[str, dict[str, Any]] = Factory(dict)
    now: int = START + 10_000 * HOUR
    meanwhile: dict[int, Callable[[Shop], None]] = Factory(dict)
    """What happens before the n-th request."""
    requests: int = 0
    largest: int = 50
    """The most that a page shows."""
    shows_order: bool = False
    """Whether any page was out of the order of `updatedAt`."""

    def add(self, review_id: str, created: int, updated: int | None = None) -> None:
        self.reviews[review_id] = {
            "id": review_id,
            "paymentLinkId": "product-1",
            "customerId": "customer-1",
            "userId": "user-1",
            "rating": 5,
            "status": "ACTIVE",
            "createdAt": created,
            "updatedAt": created if updated is None else updated,
        }

    def edit(self, review_id: str) -> None:
        self.now += 1
        self.reviews[review_id] = self.reviews[review_id] | {"updatedAt": self.now}

    def create(self) -> None:
        self.now += 1
        self.add(f"new-{self.now}", self.now)

    def page(self, cursor: str | None, limit: int) -> Listing:
        self.requests += 1
        if self.requests in self.meanwhile:
            self.meanwhile[self.requests](self)
        limit = min(limit, self.largest)
        rows = sorted(self.reviews.values(), key=lambda row: row["id"])
        rows.sort(key=lambda row: -row[f"{self.order}At"])
        if self.cut == "offset":
            start = int(cursor.removeprefix("c")) if cursor else 0
            shown = rows[start : start + limit]
            following = f"c{start + limit}"
            more = len(rows) > start + limit
        else:
            rows = [row for row in rows if cursor is None or row[f"{self.cut}At"] < int(cursor)]
            shown, more = rows[:limit], len(rows) > limit
            following = str(shown[-1][f"{self.cut}At"]) if shown else ""
        times = [row["updatedAt"] for row in shown]
        self.shows_order |= any(one < other for one, other in pairwise(times))
        reviews = structure_each(shown, Review, "$")
        return Listing(reviews, tuple(shown), more, following if more else None)


@define
class Walked:
    reviews: list[Review] = Factory(list)
    gaps: tuple[tuple[datetime, datetime], ...] = ()


def walk_through(
    shop: Shop, page_size: int = 50, *, stop_before: int | None = None, start: str | None = None
) -> Walked:
    """Walk to the end; if asked, stop before a request and go on with a walk that is new."""
    walked = Walked()
    walk = Walk.begin(start, page_size)
    while not walk.done:
        if shop.requests == stop_before:
            walk = Walk.begin(walk.starting_after, page_size)
        page = walk.take(shop.page(walk.cursor, walk.limit))
        if page is not None:
            walked.reviews += page.to_page(keep_invalid=False).data
        assert shop.requests < 2000
    walked.gaps = walk.gaps
    return walked


def assert_whole(shop: Shop, before: set[str], walked: Walked) -> None:
    """Each review came out or lies in a gap, and none came twice without being newer."""
    latest: dict[str, datetime] = {}
    for review in walked.reviews:
        assert review.id not in latest or latest[review.id] < review.updated_at, "twice"
        latest[review.id] = review.updated_at
    if (shop.order, shop.cut) == ("created", "updated") and not shop.shows_order:
        return  # the one list that cannot be told from a whole one
    created = {one: to_time(row["createdAt"]) for one, row in shop.reviews.items()}
    for missing in before - latest.keys():
        assert any(start <= created[missing] < until for start, until in walked.gaps), missing


def shop_with(
    order: str, cut: str, size: int, share: float, seed: int = 0, spread: int = HOUR
) -> Shop:
    draw = random.Random(seed)
    shop = Shop(order, cut)
    for number in range(size):
        created = START + number * spread
        edited = draw.random() < share
        updated = draw.randint(created + 1, START + (size + 1) * max(spread, 2)) if edited else None
        shop.add(f"review-{number}", created, updated)
    return shop


ORDERS = ("created", "updated")
CUTS = ("created", "updated", "offset")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("share", [0.0, 0.05, 0.1])
@pytest.mark.parametrize(
    "size", [0, 1, 49, 50, 51, 500, pytest.param(2000, marks=pytest.mark.slow)]
)
def test_every_list_is_whole_or_says_what_it_lacks(
    order: str, cut: str, share: float, size: int
) -> None:
    """Every kind of list, of every size, with every share of edited reviews."""
    for seed in range(3):
        shop = shop_with(order, cut, size, share, seed)
        walked = walk_through(shop)
        assert_whole(shop, set(shop.reviews), walked)
        least = max(1, -(-size // 50))
        if share == 0.0:
            assert walked.gaps == ()
            assert len(walked.reviews) == size
            assert shop.requests <= 1.1 * least + 1
        elif size == 500:
            assert shop.requests <= 2 * least


EVENTFUL = given(
    order=st.sampled_from(ORDERS),
    cut=st.sampled_from(CUTS),
    size=st.integers(0, 130),
    page_size=st.sampled_from([1, 2, 3, 7, 10, 49, 50, 60]),
    spread=st.sampled_from([0, 1, 1, HOUR]),
    share=st.sampled_from([0.0, 0.05, 0.3, 1.0]),
    seed=st.integers(0, 1000),
    events=st.lists(
        st.tuples(st.integers(1, 30), st.sampled_from(["edit", "create"]), st.integers(0, 200)),
        max_size=60,
    ),
    stop_before=st.none() | st.integers(1, 20),
)


@settings(max_examples=60)
@EVENTFUL
def test_whatever_happens_while_a_list_is_read(**walk: Any) -> None:
    """Edits, new reviews, reviews of one millisecond, and a walk that is interrupted."""
    _happens(**walk)


@pytest.mark.slow
@settings(max_examples=400)
@EVENTFUL
def test_whatever_happens_while_many_lists_are_read(**walk: Any) -> None:
    """The same with more examples."""
    _happens(**walk)


def _happens(
    order: str,
    cut: str,
    size: int,
    page_size: int,
    spread: int,
    share: float,
    seed: int,
    events: list[tuple[int, str, int]],
    stop_before: int | None,
) -> None:
    shop = shop_with(order, cut, size, share, seed, spread)
    before = set(shop.reviews)

    def happen(what: list[tuple[str, int]]) -> Callable[[Shop], None]:
        def do(shop: Shop) -> None:
            for kind, number in what:
                if kind == "create":
                    shop.create()
                elif f"review-{number}" in shop.reviews:
                    shop.edit(f"review-{number}")

        return do

    for at in {at for at, _, _ in events}:
        shop.meanwhile[at] = happen([(kind, n) for when, kind, n in events if when == at])
    walked = walk_through(shop, page_size, stop_before=stop_before)
    if stop_before is not None:
        # What shares a millisecond with the place where it stopped may come twice.
        walked.reviews = list({(r.id, r.updated_at): r for r in walked.reviews}.values())
    assert_whole(shop, before, walked)


@pytest.mark.parametrize("cut", CUTS)
def test_a_resumed_second_look_shows_nothing_twice(cut: str) -> None:
    """The walk that goes on has not seen the head, and reads it once more at the end."""
    shop = shop_with("updated", cut, 6, 0.0)
    first = Walk.begin(None, 2)
    while not (first._second_look and first._pages):
        if shop.requests == 2:
            for number in range(4):
                shop.edit(f"review-{number}")
        first.take(shop.page(first.cursor, first.limit))
    rest = walk_through(shop, 2, start=first.starting_after)
    ids = [review.id for review in rest.reviews]
    assert ids
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("cut", CUTS)
def test_a_review_of_the_first_page_that_comes_again_edited_comes_no_third_time(cut: str) -> None:
    """Edited after the first page, it is shown further down, and seen again in the second look."""
    shop = shop_with("updated", cut, 4, 0.0)

    def edit(shop: Shop) -> None:
        for number in (2, 3, 0):
            shop.edit(f"review-{number}")

    shop.meanwhile[2] = edit
    shown = [(review.id, review.updated_at) for review in walk_through(shop, 1).reviews]
    assert len(shown) == len(set(shown))


def test_a_change_below_a_review_that_was_shown_meanwhile_is_found() -> None:
    """Three are edited after the first page; the second page shows only two of them."""
    shop = shop_with("updated", "created", 14, 0.0)

    def edit(shop: Shop) -> None:
        for number in (2, 0, 1):
            shop.edit(f"review-{number}")

    shop.meanwhile[2] = edit
    walked = walk_through(shop, 1)
    assert_whole(shop, set(shop.reviews), walked)
    assert walked.gaps == ()


def _edit(shop: Shop, count: int) -> None:
    for number in range(count):
        shop.edit(f"review-{number}")


def steps_of(shop: Shop, page_size: int) -> list[tuple[int, Walk]]:
    """The limit of each request, and the walk as it was after it."""
    walk, steps = Walk.begin(None, page_size), []
    while not walk.done:
        limit = walk.limit
        walk.take(shop.page(walk.cursor, limit))
        steps.append((limit, copy.deepcopy(walk)))
    return steps


def test_a_small_page_that_brings_nothing_new_is_asked_for_once_more_as_a_large_one() -> None:
    """Thirty reviews of one millisecond fit on a page of forty."""
    shop = shop_with("updated", "updated", 20, 0.0)
    for number in range(30):
        shop.add(f"same-{number}", START + 5 * HOUR)
    steps = steps_of(shop, 10)
    assert [limit for limit, _ in steps] == [10, 11, 11, 40, 10]
    assert steps[-1][1].gaps == ()


@pytest.mark.parametrize("size", [40, 50])
def test_a_large_page_that_brings_nothing_new_is_not_asked_for_again(size: int) -> None:
    """Sixty reviews of one millisecond do not fit on it, and the rest is named."""
    shop = Shop("updated", "updated")
    for number in range(60):
        shop.add(f"same-{number:02}", START)
    shop.add("older", START - 1)
    steps = steps_of(shop, size)
    assert [limit for limit, _ in steps] == [size] * 4
    assert steps[-1][1].gaps == ((to_time(0), to_time(START + 1)),)


def test_a_list_that_hides_edited_reviews_says_so_as_soon_as_it_is_known() -> None:
    """A walk that is interrupted then keeps it in its cursor."""
    shop = shop_with("created", "updated", 200, 0.3)
    [first] = [walk for _, walk in steps_of(shop, 50) if walk.gaps][:1]
    assert not first.done
    ((start, until),) = first.gaps
    assert start == to_time(0)
    assert (first.starting_after or "").endswith(f".0.{to_milliseconds(until)}")
    assert Walk.begin(first.starting_after, 50).gaps == first.gaps


def test_the_second_look_has_a_cursor_of_its_own() -> None:
    """Its pages are of the usual size, and it can be resumed before its first one."""
    steps = steps_of(shop_with("updated", "updated", 120, 0.2), 50)
    [at] = [i for i, (_, walk) in enumerate(steps) if walk.cursor is None and not walk.done]
    newest = max(
        row["updatedAt"] for row in shop_with("updated", "updated", 120, 0.2).reviews.values()
    )
    assert re.fullmatch(rf"~u2\d+\.{newest}", steps[at][1].starting_after or "")
    assert steps[at][1].limit == 50


def test_gaps_that_meet_are_one() -> None:
    """Those that come later lie before the others."""
    walk = Walk(50)
    for gap, gaps in (
        ((50, 60), [(50, 60)]),
        ((30, 40), [(50, 60), (30, 40)]),
        ((20, 30), [(50, 60), (20, 40)]),
        ((10, 25), [(50, 60), (10, 40)]),
        ((5, 55), [(5, 60)]),
    ):
        walk._add_gap(*gap)
        assert walk._gaps == gaps


def test_a_review_without_times_that_comes_again_is_given_once() -> None:
    """Unless it has changed."""
    odd, changed = {"id": "odd", "rating": 1}, {"id": "odd", "rating": 2}
    a, b, c = (_row(n, START - n) for n in range(3))
    pages = [[a, odd], [odd, b], [changed, c], [odd, c]]
    walk = Walk.begin(None, 50)
    given = [
        walk.take(
            Listing(
                structure_each(rows, Review, "$"),
                tuple(rows),
                has_more=True,
                next_starting_after=f"c{n}",
            )
        )
        for n, rows in enumerate(pages)
    ]
    assert [page and list(page.raw) for page in given] == [[a, odd], [b], [changed, c], [odd]]


@pytest.mark.parametrize(
    ("cursor", "asked"),
    [
        ("123456789012", str(START + 1)),
        ("12345678901234", str(START + 1)),
        ("12345678901", "12345678901"),
        ("123456789012345", "123456789012345"),
        ("c12345678901", "c12345678901"),
    ],
)
def test_a_cursor_after_a_review_without_times_is_taken_for_a_time_by_its_looks(
    cursor: str, asked: str
) -> None:
    """Then the last review that has its times says where the walk goes on."""
    rows = [_row(1, START), {"id": "odd"}]
    walk = Walk.begin(None, 50)
    walk.take(
        Listing(
            structure_each(rows, Review, "$"),
            tuple(rows),
            has_more=True,
            next_starting_after=cursor,
        )
    )
    assert walk.cursor == asked


# --- request by request ---------------------------------------------------------------------------


@frozen
class Story:
    """What a walk asks of a small list, and what comes out of each page.

    A review is written as its id, the time of its creation and, after a slash, of its update.
    A line tells the walk's own cursor, the limit, and which reviews are given: `-` if all of them
    came again. In a cursor the server's own stands first; `never` is a time that is not reached.
    """

    title: str
    order: str
    cut: str
    reviews: str
    page_size: int
    told: str
    meanwhile: str = ""
    """After the number of a request: which reviews are edited before it; `+` is a new one."""
    resumed: int | None = None
    """Before this request, by a walk that is new."""
    start: str | None = None
    watch: tuple[int | None, int] | None = None
    """Watch for changes instead: since when, and how many looks."""
    largest: int = 50
    """The most that the server shows on a page."""


def tell(story: Story) -> str:
    shop = Shop(story.order, story.cut, largest=story.largest)
    for word in story.reviews.split():
        created, _, updated = word[1:].partition("/")
        shop.add(word[0], int(created), int(updated or created))
    shop.now = max((row["updatedAt"] for row in shop.reviews.values()), default=0)

    def happen(what: list[str], shop: Shop) -> None:
        for one in what:
            shop.create() if one == "+" else shop.edit(one)

    for at, *what in map(str.split, filter(None, story.meanwhile.split(", "))):
        shop.meanwhile[int(at)] = partial(happen, what)
    since, looks = story.watch or (None, 1)
    walk = Walk.begin(story.start, story.page_size)
    if story.watch is not None:
        walk = Walk.of_changes(None if since is None else to_time(since), story.page_size)
    lines = []
    for look in range(looks):
        if look:
            walk.look_again()
            lines.append("look again")
        while not walk.done:
            if shop.requests + 1 == story.resumed:
                walk = Walk.begin(walk.starting_after, story.page_size)
                lines.append("resume")
            asked = f"{walk.starting_after or 'head'} {walk.limit}".replace(str(2**62), "never")
            page = walk.take(shop.page(walk.cursor, walk.limit))
            ids = "-"
            if page is not None:
                ids = " ".join(raw["id"] for raw in page.raw) or "nothing"
                assert page.has_more == (not walk.done)
                assert page.next_starting_after == (None if walk.done else walk.starting_after)
            lines.append(f"{asked}: {ids}")
            if story.watch == (None, looks) and look == 0:
                break
    lines += [f"gap {to_milliseconds(start)} {to_milliseconds(end)}" for start, end in walk.gaps]
    return "\n".join(lines)


STORIES = [
    Story("the cursor of a page tells that the server compares createdAt",
        "created", "created", "a8 b9 c10 d11/20 e12", 2, told="""
            head 2: e d
            12~c112.20 3: c b
            10~c19.20 3: a
        """),
    Story("the cursor of a page tells that the server compares updatedAt",
        "created", "updated", "a8 b9 c10 d11/20 e12", 2, told="""
            head 2: e d
            12~l112.20 3: c b a
            gap 0 12
        """),
    Story("an edited review that comes again tells that the server compares createdAt",
        "created", "created", "a5 b6 c7 d8 e9 f10 g11/20 h12", 3, told="""
            head 3: h g f
            12~l110.20 4: e d
            9~c18.20 4: c b a
        """),
    Story("an edited review that does not come again tells that it compares updatedAt",
        "created", "updated", "a5 b6 c7 d8 e9 f10 g11/20 h12", 3, told="""
            head 3: h g f
            12~l110.20 4: e d c
            8~l17.20.0.12 4: b a
            gap 0 12
        """),
    Story("a page that brings nothing new is asked for as a large one",
        "updated", "created", "a8 b9 c10/19 d11/20 e12", 2, told="""
            head 2: d c
            20~x119.20 3: e
            13~u112.20 3: -
            13~u112.20 40: b a
            ~u2never.20 2: -
        """),
    Story("what is edited meanwhile comes in a second look, and in a third one",
        "updated", "updated", "a8 b9 c10/19 d11/20 e12", 2, meanwhile="2 a +, 4 b", told="""
            head 2: d c
            20~x119.20 3: e b
            ~u2never.20 2: new-22 a
            22~u221.20 3: -
            ~u2never.22 2: b
        """),
    Story("what is edited meanwhile comes in a second look at pages by number",
        "updated", "offset", "a8 b9 c10 d11 e12", 2, meanwhile="2 a b c +, 5 b", told="""
            head 2: e d
            c2~x111.12 2: b a
            c4~x111.12 2: -
            ~x2never.12 2: new-16 c
            c2~x215.12 2: -
            c4~x215.12 2: -
            ~x2never.16 2: b
        """),
    Story("a first look is resumed",
        "updated", "created", "a8 b9 c10 d11 e12", 2, meanwhile="2 a +, 3 b, 6 b", resumed=3, told="""
            head 2: e d
            12~x111.12 3: c
            resume
            11~u110.12 3: c
            ~u2never.12 2: b new-14
            15~u214.12 3: a
            14~u213.12 3: -
            ~u2never.15 2: b
        """),
    Story("a second look is resumed",
        "updated", "created", "a8 b9 c10 d11 e12", 2, meanwhile="2 a b c +, 5 b", resumed=6, told="""
            head 2: e d
            12~x111.12 3: c b a
            12~x111.12 40: -
            ~u2never.12 2: new-16
            17~u216.12 3: -
            resume
            17~u216.12 3: new-16 c
            16~u215.12 3: a
            14~u213.12 3: -
            14~u213.12 40: -
            ~u2never.12 2: b
            18~u217.12 3: -
            18~u217.12 40: -
            ~u2never.17 2: -
        """),
    Story("a second look that is resumed before its last page ends with a look at the head",
        "updated", "updated", "a8 b9/13 c10 d11 e12", 2, start="14~u213.12", meanwhile="1 a", told="""
            14~u213.12 3: b
            ~u2never.12 2: a
            15~u214.12 3: -
            ~u2never.14 2: -
        """),
    Story("a watch since a time",
        "updated", "created", "a8 b9 c10 d11 e12", 2, meanwhile="2 a b, 4 +", watch=(9, 3), told="""
            head 2: e d
            12~x211.12 3: -
            12~u211.12 40: c
            ~u2never.12 2: new-15 b
            15~u214.12 3: a
            ~u2never.15 2: -
            look again
            ~u2never.15 2: -
            look again
            ~u2never.15 2: -
        """),
    Story("a watch from now on",
        "updated", "created", "a8 b9 c10 d11 e12", 2, meanwhile="2 a b, 4 +", watch=(None, 3), told="""
            head 2: e d
            look again
            ~x2never.12 2: b a
            14~x213.12 3: -
            ~u2never.14 2: new-15
            look again
            ~u2never.15 2: -
        """),
    Story("reviews that were updated in one millisecond",
        "updated", "created", "a8/10 b9/10 c9/10 d10 e9", 2, largest=3, told="""
            head 2: a b
            11~u110.10 3: c
            11~u110.10 40: -
            9~u110.10.0.11 3: -
            ~u2never.10.0.11 2: -
            gap 0 11
        """),
    Story("reviews that were updated in one millisecond, where that is compared",
        "updated", "updated", "a8/10 b9/10 c9/10 d10 e9", 2, largest=3, told="""
            head 2: a b
            11~u110.10 3: c
            11~u110.10 40: -
            10~u110.10.0.11 3: e
            ~u2never.10.0.11 2: -
            gap 0 11
        """),
    Story("reviews that were created in one millisecond",
        "created", "created", "a10 b10 c10 d10/11 e9 f9/12", 2, largest=3, told="""
            head 2: a b
            11~x110.10 3: c
            11~x110.10 40: -
            10~x110.10.0.11 3: e f
            gap 0 11
        """),
    Story("reviews that were created in one millisecond, where updates are compared",
        "created", "updated", "a10 b10/20 c10 d10 e9 f9", 2, largest=3, told="""
            head 2: a b
            11~l110.20 3: c d
            11~l110.20.0.11 40: -
            10~l110.20.0.11 3: e f
            gap 0 11
        """),
    Story("the order shows in the second look, and so does what is compared",
        "created", "created", "a10/11 b11 c12 d13 e14", 4, meanwhile="2 c", told="""
            head 4: e d c b
            12~x111.14 5: a
            ~x2never.14 4: c
            13~l215.14 5: -
        """),
    Story("the order shows in the second look, and edited reviews are hidden",
        "created", "updated", "a10/11 b11 c12 d13 e14", 4, meanwhile="2 c", told="""
            head 4: e d c b
            12~x111.14 5: a
            ~x2never.14 4: c
            13~l215.14 5: -
            gap 0 12
        """),
    Story("pages of one review",
        "created", "updated", "a10/11 b10", 1, told="""
            head 1: a
            12~x111.11 2: b
            ~x2never.11 1: -
        """),
    Story("a list that ends before the cursor of a first look",
        "updated", "updated", "", 2, start="9~x18.12", told="""
            9~x18.12 3: nothing
            ~x2never.12 2: nothing
            gap 0 9
        """),
    Story("a list that is empty in the second look",
        "updated", "updated", "", 2, start="~u23.20", told="""
            ~u23.20 2: nothing
        """),
    Story("a cursor holds the gaps, and that edited reviews are hidden",
        "created", "updated", "", 2, start="7~l17.20.3.9", told="""
            7~l17.20.3.9 3: nothing
            gap 0 21
        """),
    Story("a cursor that is no number",
        "updated", "offset", "a8 b9 c10 d11 e12 f13 g14", 2, start="c2~u111.12", told="""
            c2~u111.12 2: e d
            c4~u111.12 2: c b
            c6~u19.12 2: a
            ~u2never.12 2: g f
            c2~u213.12 2: -
            ~u2never.14 2: -
        """),
    Story("a review that was updated before it was created comes once",
        "created", "updated", "a10 b11/3 c12", 2, start="7~l17.20", told="""
            7~l17.20 3: -
            gap 0 21
        """),
    Story("a watch of a list that is sorted by createdAt",
        "created", "offset", "a10/28 b15 c20", 49, watch=(None, 3), told="""
            head 49: c b a
            look again
            ~l2never.28 49: -
            look again
            ~l2never.28 49: -
        """),
    Story("a change that one look has shown is not shown by the next one",
        "updated", "created", "a10/22 b15", 4, meanwhile="2 a", watch=(None, 3), told="""
            head 4: a b
            look again
            ~u2never.22 4: a
            look again
            ~u2never.23 4: -
        """),
    Story("the server's own cursor",
        "created", "created", "a10 b10 c10/11 d11 e12", 2, start="12", told="""
            12 2: d a
            11 3: b c
        """),
]  # fmt: skip


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.title)
def test_a_walk_request_by_request(story: Story) -> None:
    """Each asks for as little as will do, and says where it can be resumed."""
    assert tell(story) == cleandoc(story.told)


# --- what tells one review from another -----------------------------------------------------------

MOST = 253_402_300_799_999
"""The last millisecond of the year 9999."""
EARLIER = Row("earlier", 70, 30)


@pytest.mark.parametrize(
    ("raw", "before", "row"),
    [
        ({"id": "a", "updatedAt": 2, "createdAt": 1}, EARLIER, Row("a", 2, 1)),
        ({"id": "a", "updatedAt": 0, "createdAt": 0}, EARLIER, Row("a", 0, 0)),
        ({"id": "a", "updatedAt": MOST, "createdAt": MOST}, EARLIER, Row("a", MOST, MOST)),
        ({"id": "a", "updatedAt": MOST + 1, "createdAt": -1}, EARLIER, Row("a", 70, 30)),
        ({"id": "a", "updatedAt": True, "createdAt": "1"}, EARLIER, Row("a", 70, 30)),
        ({"id": "a", "updatedAt": 2}, EARLIER, Row("a", 2, 30)),
        ({"id": "a", "createdAt": 1}, EARLIER, Row("a", 70, 1)),
        ({"id": "a", "updatedAt": 2}, None, Row("a", 2, 2)),
        ({"id": "a", "createdAt": 1}, None, Row("a", 1, 1)),
        ({"id": "a"}, None, Row("a", MOST, MOST)),
        ({"id": 5, "updatedAt": 2, "createdAt": 1}, None, Row("number 5", 2, 1)),
        ({"id": 1, "updatedAt": 2, "createdAt": 1}, None, Row("number 1", 2, 1)),
        ({"id": 0}, EARLIER, Row('{"id":0}', 70, 30)),
        ({"id": True}, EARLIER, Row('{"id":true}', 70, 30)),
        ({"id": None}, EARLIER, Row('{"id":null}', 70, 30)),
        ("text", EARLIER, Row('"text"', 70, 30)),
        (None, None, Row("null", MOST, MOST)),
    ],
)
def test_what_a_review_tells_that_is_not_as_documented(
    raw: Any, before: Row | None, row: Row
) -> None:
    """A time that it lacks comes from the one before it, an id from its text."""
    assert Row.of(raw, before) == row


def test_a_review_without_times_takes_those_of_its_neighbour() -> None:
    """The one before it; at the head of a page the first one that has both."""
    first, second = {"id": "a", "updatedAt": 4, "createdAt": 3}, {"id": "b", "createdAt": 2}
    assert keys_of([{"id": "x"}, second, first, second]) == [
        *(Row("x", 4, 3), Row("b", 4, 2), Row("a", 4, 3), Row("b", 4, 2))
    ]
    assert keys_of([{"id": "x"}, second]) == [Row("x", MOST, MOST), Row("b", MOST, 2)]
    assert keys_of([]) == []


def test_a_review_that_is_nested_too_deeply_is_told_apart_by_its_id() -> None:
    nested: Any = []
    for _ in range(100_000):
        nested = [nested]
    assert Row.of({"message": nested}, EARLIER).id == "nested too deeply"
    assert Row.of({"id": "a", "message": nested}, EARLIER).id == "a"


# --- servers that make no sense ------------------------------------------------------------------


@define
class Script:
    """A server that answers by the number of the request."""

    answer: Callable[[int, str | None], tuple[list[dict[str, Any]], bool, str | None]]
    requests: int = 0

    def page(self, cursor: str | None) -> Listing:
        self.requests += 1
        rows, more, following = self.answer(self.requests, cursor)
        return Listing(structure_each(rows, Review, "$"), tuple(rows), more, following)


def _row(number: int, created: int, updated: int | None = None) -> dict[str, Any]:
    shop = Shop("created", "created")
    shop.add(f"review-{number}", created, updated)
    return shop.reviews[f"review-{number}"]


def _ids_of(script: Script, most: int = 300, *, by_time: bool = True) -> tuple[list[str], Walk]:
    walk = Walk.begin(None, 50, by_time=by_time)
    ids: list[str] = []
    while not walk.done:
        assert script.requests < most, "it does not end"
        page = walk.take(script.page(walk.cursor))
        ids += [] if page is None else [raw["id"] for raw in page.raw]
    return ids, walk


@pytest.mark.parametrize("size", [1, 50])
def test_a_server_that_repeats_one_page_for_ever_is_found_out(size: int) -> None:
    """Its cursors are times, and it looks at none of them."""
    rows = [_row(n, START - n) for n in range(size)]
    script = Script(lambda number, cursor: (rows, True, str(START - size + 1)))
    with pytest.raises(PaginationError, match=r"^the same page comes again, whatever the cursor$"):
        _ids_of(script)
    assert script.requests <= 3


def test_an_opaque_cursor_that_comes_twice_is_found_out() -> None:
    """It leads in a circle."""
    script = Script(lambda number, cursor: ([_row(number, START - number)], True, "abc"))
    with pytest.raises(PaginationError, match=r"^the page's cursor leads back to an earlier page$"):
        _ids_of(script)


def test_a_review_that_comes_on_every_page_is_given_once() -> None:
    """The walk remembers a few pages, and that it saw the review on the last one."""

    def answer(number: int, cursor: str | None) -> tuple[list[dict[str, Any]], bool, str | None]:
        others = [_row(50 * number + n, START - 50 * number - n) for n in range(49)]
        return [_row(1, START), *others], number < 9, f"c{number}"

    ids, _ = _ids_of(Script(answer))
    assert ids.count("review-1") == 1
    assert len(ids) == len(set(ids)) == 1 + 9 * 49


def test_a_hundred_empty_pages_end_a_walk() -> None:
    """Each with a cursor of its own."""
    script = Script(lambda number, cursor: ([], True, f"c{number}"))
    with pytest.raises(PaginationError, match=r"^100 pages in a row hold no review$"):
        _ids_of(script)
    assert script.requests == 100


@pytest.mark.parametrize("size", [49, 50, 51, 120])
def test_reviews_of_one_millisecond_come_or_are_named(size: int) -> None:
    """More than fifty of them cannot be told apart by any cursor that is a time."""
    for order in ORDERS:
        for cut in ("created", "updated"):
            shop = shop_with(order, cut, size, 0.0, spread=0)
            walked = walk_through(shop)
            assert_whole(shop, set(shop.reviews), walked)
            assert bool(walked.gaps) is (size > 50)


@pytest.mark.parametrize(
    "orders",
    [
        [],
        [("createdAt", "updatedAt")],
        [("updatedAt",), ("createdAt",)],
        [("createdAt",), ("updatedAt",)],
    ],
)
def test_pages_in_no_order_are_followed_and_named(orders: list[tuple[str, ...]]) -> None:
    """A time for a cursor, and each page in another order: nothing is claimed to be whole."""
    draw = random.Random(1)
    rows = [_row(n, START + draw.randint(0, 10**6), START + 10**7 + n) for n in range(150)]
    draw.shuffle(rows)
    for row in rows:
        row["updatedAt"] = row["createdAt"] + draw.randint(0, 10**6)
    for number, names in enumerate(orders):
        page = rows[50 * number :][:50]
        for name in names:
            times = sorted((row[name] for row in page), reverse=True)
            for row, time in zip(page, times, strict=True):
                row[name] = time

    def answer(number: int, cursor: str | None) -> tuple[list[dict[str, Any]], bool, str | None]:
        start = 50 * (number - 1)
        shown = rows[start : start + 50]
        return shown, number < 3, str(shown[-1]["createdAt"])

    ids, walk = _ids_of(Script(answer))
    assert ids == [row["id"] for row in rows]
    assert walk.gaps


def test_a_list_with_messages_first_is_not_claimed_to_be_whole() -> None:
    """Its order is no time, so a cursor that is a time can hide reviews."""
    rows = [_row(n, START - n) for n in range(100)]

    def answer(number: int, cursor: str | None) -> tuple[list[dict[str, Any]], bool, str | None]:
        shown = rows[50 * (number - 1) : 50 * number]
        return shown, number == 1, str(shown[-1]["createdAt"])

    ids, walk = _ids_of(Script(answer), by_time=False)
    assert len(ids) == 100
    assert walk.gaps


def test_reviews_that_were_announced_and_never_come_are_named() -> None:
    """The head is read once more at the end, and still tells nothing of them."""

    def answer(number: int, cursor: str | None) -> tuple[list[dict[str, Any]], bool, str | None]:
        return [_row(1, START)], cursor is None, str(START)

    script = Script(answer)
    walk = Walk.begin(None, 1)
    while not walk.done:
        walk.take(script.page(walk.cursor))
    assert walk.gaps


def test_updates_before_creation_are_survived() -> None:
    """A walk ends, and gives no review twice."""
    for order in ORDERS:
        for cut in CUTS:
            shop = Shop(order, cut)
            for number in range(200):
                shop.add(f"review-{number}", START + number * HOUR, START - number * HOUR)
            walked = walk_through(shop)
            ids = [review.id for review in walked.reviews]
            assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("cut", CUTS)
def test_a_review_of_the_future_hides_no_edit(cut: str) -> None:
    """It stays at the head of the list; what is edited meanwhile comes below it."""
    shop = shop_with("updated", cut, 200, 0.0)
    shop.add("of-next-year", shop.now + 10**10)
    shop.meanwhile[3] = lambda shop: shop.edit("review-3")
    before = set(shop.reviews)
    assert_whole(shop, before, walk_through(shop))


def test_a_cursor_of_another_list_is_followed_as_it_is() -> None:
    """It is no time of the page's last row, so it is opaque."""
    pages = {
        None: ([_row(1, START)], True, "1234567890123"),
        "1234567890123": ([_row(2, START - 1)], False, None),
    }
    ids, walk = _ids_of(Script(lambda _, cursor: pages[cursor]))
    assert ids == ["review-1", "review-2"]
    assert walk.gaps == ()


@pytest.mark.parametrize("odd", [{"message": "\ud83d"}, {"rating": "x"}])
def test_a_last_review_from_before_1970_ends_nothing(odd: dict[str, Any]) -> None:
    """Also where the page is read more slowly, as a review is odd."""
    rows = [REVIEW | odd, REVIEW | {"id": "review-2", "createdAt": -5, "updatedAt": -5}]
    listing = decode(LIST, answer(PAGE | {"data": rows, "hasMore": True, "nextStartingAfter": "c"}))
    walk = Walk.begin(None, 50)
    taken = walk.take(listing)
    assert taken is not None
    assert taken.raw == tuple(rows)
    assert walk.cursor == "c"


@pytest.mark.parametrize("cursor", ["\N{SUPERSCRIPT TWO}", "X5"])
def test_a_cursor_that_is_no_number_is_followed_as_it_is(cursor: str) -> None:
    """Not every digit of Unicode can be part of a number."""
    assert Walk.begin(f"{cursor}~x111.12", 50).cursor == cursor


def test_a_cursor_from_before_1970_is_one_too() -> None:
    """A walk that chose it goes on from there, with a row more where one comes again."""
    walk = Walk.begin("-5~x1-3.-2", 30)
    assert (walk.cursor, walk.limit) == ("-5", 31)


def test_a_walk_remembers_little() -> None:
    """Of eight hundred reviews a few hundred ids stay, though many are edited meanwhile."""
    for order in ORDERS:
        for cut in CUTS:
            shop = shop_with(order, cut, 800, 0.1)
            shop.meanwhile[10] = partial(_edit, count=200)
            walk = Walk.begin(None, 50)
            while not walk.done:
                if shop.requests == 2:
                    walk = Walk.begin(walk.starting_after, 50)
                walk.take(shop.page(walk.cursor, walk.limit))
                held = [walk._recent, walk._known, walk._updated.ids, walk._created.ids, walk._head]
                assert sum(map(len, held)) <= 400


@pytest.mark.parametrize("cut", CUTS)
def test_a_clock_that_runs_ahead_hides_no_edits(cut: str) -> None:
    """One review dated two seconds ahead, and more edits than a page holds."""
    shop = shop_with("updated", cut, 300, 0.0)
    shop.add("review-x", shop.now, shop.now + 2000)
    before = set(shop.reviews)
    shop.meanwhile[3] = partial(_edit, count=60)
    assert_whole(shop, before, walk_through(shop))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("page_size", [1, 2, 10, 39, 40, 41, 49])
@pytest.mark.parametrize("crowd", [39, 40, 41, 49, 60])
def test_nobody_gets_a_larger_page_than_was_seen_to_be_whole(
    crowd: int, page_size: int, order: str
) -> None:
    """Pages of 40 were whole; one of 50 was cut short and said that it was the last one."""
    shop = shop_with(order, "created", 60, 0.5, seed=2)
    for number in range(crowd):
        shop.add(f"same-{number}", START)
    steps = steps_of(shop, page_size)
    largest = max(page_size, 40)
    assert all(limit <= largest for limit, _ in steps)
    assert bool(steps[-1][1].gaps) is (crowd >= largest)
