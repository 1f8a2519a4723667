"""The command that finds out how a server behaves."""

from __future__ import annotations

import math
import time
from itertools import product
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mayar_reviews.cli import run
from mayar_reviews.testing import FakeMayar
from mayar_reviews.testing.personality import QUERY, Cursor, Order, Stats

from .conftest import Mayar, Result, end, start
from .test_diagnosis import jwt

PARAMETERS = {
    "store list": ("rating", "status", "paymentLinkId"),
    "product list": ("rating", "prioritizeMessage"),
}


def found(result: Result) -> dict[str, str]:
    """What a run with --json found, by check."""
    return {finding["check"]: finding["value"] for finding in result.lines[0]["findings"]}


async def examine(mayar: Mayar, *arguments: str) -> dict[str, str]:
    result = await mayar("doctor", *arguments, "--json", "--rate-limit", "off")
    assert result.code == 0, result.out + result.err
    return found(result)


def fill(fake: FakeMayar, count: int) -> None:
    """A shop with edited reviews, an archived one, one without a message, and another product."""
    fake.seed("kelas-data", 5, edited=0.3)
    fake.seed("kelas-web", count, edited=0.3)
    fake.add_review("kelas-data", status="ARCHIVED", rating=2)
    fake.add_review("kelas-web", message=None, rating=3)


# All of them take a quarter of a minute.
SERVERS = [
    pytest.param(
        *server,
        marks=[]
        if server[3] is None or server[:3] == ("updated", "created", False)
        else [pytest.mark.slow],
    )
    for server in product(get_args(Order), get_args(Cursor), (False, True), (None, *QUERY))
]


@pytest.mark.parametrize(("order", "cursor", "cliff", "ignored"), SERVERS)
async def test_it_names_every_server(
    fake: FakeMayar, mayar: Mayar, order: Order, cursor: Cursor, cliff: bool, ignored: str | None
) -> None:
    """In a shop whose lists are long enough to show it, with at most 12 requests, all reads.

    A list that takes three requests to see through leaves none for the last question.
    """
    fill(fake, 120)
    fake.personality.order, fake.personality.cursor = order, cursor
    fake.personality.cliff = cliff
    fake.personality.ignores = {ignored} if ignored else set()
    told = await examine(mayar, "kelas-web")
    takes_three = cliff if cursor == "offset" else order == "added"
    takes_three = takes_three and ignored not in ("limit", "startingAfter")
    for name, parameters in PARAMETERS.items():
        assert told[f"{name}: order"] == {"added": "neither"}.get(order, order)
        cut = "opaque" if cursor == "offset" else cursor
        assert told[f"{name}: cursor"] == ("ignored" if ignored == "startingAfter" else cut)
        size = "ignored" if ignored == "limit" else "cliff" if cliff else "agree"
        assert told[f"{name}: page size"] == size
        assert told[f"{name}: statistics"] == "unknown"  # they are right; the list is too long
        for parameter in parameters:
            expected = "ignored" if parameter == ignored else "obeyed"
            if parameter == "prioritizeMessage" and takes_three:
                expected = "unknown"
            assert told[f"{name}: {parameter}"] == expected, parameter
    assert len(fake.requests) <= 12
    assert {request.method for request in fake.requests} == {"GET"}


@pytest.mark.parametrize("stats", get_args(Stats))
@pytest.mark.parametrize(
    ("cursor", "count"), [*product(get_args(Cursor), (30, 43)), ("offset", 70)]
)
@pytest.mark.parametrize("order", ["created", "updated"])
async def test_it_compares_the_statistics_with_a_short_list(
    fake: FakeMayar, mayar: Mayar, order: Order, cursor: Cursor, stats: Stats, count: int
) -> None:
    """It counts the active reviews."""
    fill(fake, count - 3)
    fake.count_stats()
    fake.seed("kelas-web", 3)
    fake.personality.order, fake.personality.cursor = order, cursor
    fake.personality.stats = stats
    told = await examine(mayar, "kelas-web")
    value = {"right": "agree", "stale": "disagree", "broken": "broken"}[stats]
    assert told["product list: statistics"] == value
    assert told["store list: statistics"] == value
    cut = "opaque" if cursor == "offset" else cursor
    assert told["product list: order"] == told["store list: order"] == order
    assert told["product list: cursor"] == told["store list: cursor"] == cut


async def test_statistics_of_a_long_list_are_not_counted(fake: FakeMayar, mayar: Mayar) -> None:
    """But they are wrong if more reviews were seen than they say."""
    fill(fake, 10)
    fake.count_stats()
    fake.seed("kelas-web", 190)
    told = await examine(mayar, "kelas-web")
    assert told["store list: statistics"] == told["product list: statistics"] == "unknown"
    fake.personality.stats = "stale"
    told = await examine(mayar, "kelas-web")
    assert told["store list: statistics"] == told["product list: statistics"] == "disagree"


async def test_what_the_reviews_do_not_show_cannot_be_told(fake: FakeMayar, mayar: Mayar) -> None:
    """Such as the order of a list in which nothing was edited, or a page of 50 where it is short."""
    first = fake.add_review("kelas-web", message=None)
    told = await examine(mayar)
    assert told["product list: order"] == told["product list: page size"] == "unknown"
    assert told["product list: cursor"] == "unknown"
    assert told["product list: rating"] == told["product list: prioritizeMessage"] == "unknown"
    assert told["product list: statistics"] == "agree"
    for _ in range(30):
        fake.add_review("kelas-web", rating=4)
    told = await examine(mayar)
    for name in PARAMETERS:
        assert told[f"{name}: order"] == told[f"{name}: cursor"] == "unknown"
        assert told[f"{name}: page size"] == "unknown"
        assert told[f"{name}: rating"] == "obeyed"
    for _ in range(60):
        fake.add_review("kelas-web")
    told = await examine(mayar)
    for name in PARAMETERS:
        assert told[f"{name}: order"] == told[f"{name}: cursor"] == "unknown"
        assert told[f"{name}: page size"] == "agree"
    fake.edit_review(first["id"], rating=1)
    told = await examine(mayar)
    assert told["store list: order"] == told["product list: order"] == "updated"
    assert told["store list: cursor"] == told["product list: cursor"] == "created"


async def test_an_empty_store_is_no_failure(fake: FakeMayar, mayar: Mayar) -> None:
    """There is no product to look at then."""
    told = await examine(mayar)
    assert told["store list: order"] == "unknown"
    assert told["store list: statistics"] == "agree"
    assert not any(check.startswith("product list") for check in told)
    assert told["refusals"] == "by status"


async def test_without_a_product_it_takes_that_of_the_first_review(
    fake: FakeMayar, mayar: Mayar
) -> None:
    fake.seed("kelas-data", 3)
    fake.seed("kelas-web", 3)
    await examine(mayar)
    paths = {request.path for request in fake.requests}
    assert "/hl/v2/products/kelas-web/reviews" in paths
    assert "/hl/v2/products/kelas-data/reviews" not in paths


async def test_an_unknown_product_leaves_the_rest(fake: FakeMayar, mayar: Mayar) -> None:
    fill(fake, 20)
    told = await examine(mayar, "kelas-lain")
    assert told["product list: order"] == "unknown"
    assert told["store list: order"] == "updated"


async def test_a_filter_that_leaves_out_reviews_is_named(fake: FakeMayar, mayar: Mayar) -> None:
    """As one was seen to do for minutes."""
    fill(fake, 20)
    newest = list(fake.reviews)[-4:]
    fake.personality.omits = lambda review, query: "rating" in query and review["id"] in newest
    told = await examine(mayar, "kelas-web")
    assert told["product list: rating"] == "omits"
    assert told["store list: status"] == "obeyed"


@pytest.mark.parametrize("in_body", [False, True])
@pytest.mark.parametrize(
    ("key", "value"), [("wrong-key", "refused"), ("lonely-key", "account gone")]
)
async def test_a_key_that_is_refused_is_a_finding(
    mayar: Mayar, monkeypatch: pytest.MonkeyPatch, key: str, value: str, in_body: bool
) -> None:
    """After one request. The exit code is 1."""
    monkeypatch.setenv("MAYAR_API_KEY", key)
    async with FakeMayar(account_gone_key="lonely-key", status_in_body=in_body) as fake:
        result = await mayar("doctor", "--json", "--base-url", fake.url)
        table = await mayar("doctor", "--base-url", fake.url)
        assert [request.method for request in fake.requests] == ["GET", "GET"]
    assert (result.code, table.code) == (1, 1)
    assert found(result)["key"] == value
    assert found(result)["origin"] == "answers"
    assert found(result)["refusals"] == ("in body" if in_body else "by status")
    assert "Nothing can be exported." in table.out
    assert key not in result.out + table.out


async def test_a_read_only_key_is_accepted(mayar: Mayar, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it may write, only a write would tell, unless the key does."""
    for key, scope in ((jwt(scope="read"), "read"), ("plain-key", "unknown")):
        monkeypatch.setenv("MAYAR_API_KEY", key)
        async with FakeMayar(read_only_key=key) as fake:
            fill(fake, 20)
            told = await examine(mayar, "--base-url", fake.url)
        assert (told["key"], told["key may write"]) == ("accepted", scope)


@pytest.mark.parametrize("in_body", [False, True])
async def test_how_refusals_come_is_named(fake: FakeMayar, mayar: Mayar, in_body: bool) -> None:
    """If nothing else is refused, it asks for a product that does not exist."""
    fill(fake, 20)
    fake.personality.status_in_body = in_body
    told = await examine(mayar)
    assert told["refusals"] == ("in body" if in_body else "by status")


async def test_without_a_server_it_says_so(
    fake: FakeMayar, mayar: Mayar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code is 1, whether nobody listens, or the connection breaks, or it is another one.

    Nothing is sent again.
    """
    fake.drop_next()
    fake.fail_next(302)
    for _ in range(2):
        result = await mayar("doctor", "--json")
        assert (result.code, found(result)["origin"]) == (1, "no answer")
        assert found(result)["key"] == "unknown"
    assert len(fake.requests) == 2
    monkeypatch.setenv("MAYAR_API_URL", "http://127.0.0.1:1")
    result = await mayar("doctor")
    assert result.code == 1
    assert "no connection to 127.0.0.1:1" in " ".join(result.out.split())


@pytest.mark.parametrize("status", [None, 429, 502])
async def test_an_answer_that_fails_leaves_the_rest(
    fake: FakeMayar, mayar: Mayar, status: int | None
) -> None:
    """The question is not asked again, so that twelve requests are enough."""
    fill(fake, 120)
    if status is None:
        fake.drop_next(path="/products/kelas-web/reviews")
    else:
        fake.fail_next(status, path="/products/kelas-web/reviews")
    told = await examine(mayar, "kelas-web")
    assert {told[f"product list: {check}"] for check in ("order", "cursor", "page size")} == {
        "unknown"
    }
    assert told["store list: order"] == "updated"
    assert len(fake.requests) <= 12


async def test_a_store_that_fails_leaves_the_product(fake: FakeMayar, mayar: Mayar) -> None:
    fill(fake, 20)
    fake.fail_next(500, path="v2/reviews", times=math.inf)
    told = await examine(mayar, "kelas-web")
    assert told["store list: order"] == "unknown"
    assert told["product list: order"] == "updated"


@pytest.mark.parametrize("seconds", [0, 300, -45])
async def test_it_compares_the_clocks(fake: FakeMayar, mayar: Mayar, seconds: int) -> None:
    fake.clock = lambda: time.time_ns() // 1_000_000 + 1000 * seconds
    told = await examine(mayar)
    if seconds == 0:
        assert told["clock"] == "same"
    else:
        assert abs(int(told["clock"]) - seconds) <= 2


async def test_the_header_of_a_429_is_shown(fake: FakeMayar, mayar: Mayar) -> None:
    fill(fake, 20)
    fake.fail_next(429, retry_after=0, path="/stats")
    result = await mayar("doctor", "--json")
    (finding,) = (one for one in result.lines[0]["findings"] if one["check"].startswith("rate"))
    assert finding["found"] == "retry-after: 0"


@pytest.mark.slow
async def test_the_table_fits_into_80_columns(fake: FakeMayar) -> None:
    """Each finding has its sentence about exports."""
    fill(fake, 120)
    shown = await end(await start("doctor", "kelas-web"))
    assert shown.code == 0
    assert shown.err == "12 requests; --json is for pasting into an issue\n"
    assert max(map(len, shown.out.splitlines())) <= 80
    (told,) = (await end(await start("doctor", "kelas-web", "--json"))).lines
    text = "".join(shown.out.split())
    for finding in told["findings"]:
        for part in (finding["mark"], finding["found"], finding["means"]):
            assert "".join(part.split()) in text


async def test_it_keeps_to_the_rate_limit(fake: FakeMayar, mayar: Mayar) -> None:
    """The wait is announced."""
    fill(fake, 5)
    result = await mayar("doctor", "--rate-limit", "7/0.6")
    assert result.code == 0
    assert "rate limit" in result.err
    assert fake.requests[7].at - fake.requests[0].at >= 0.6


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    reviews=st.lists(
        st.tuples(
            st.integers(0, 3),  # milliseconds after the one before
            st.sampled_from([0, 0, 0, 1, 40]),  # when it was edited
            st.integers(1, 5),
            st.sampled_from(["ACTIVE", "ACTIVE", "ARCHIVED", "FLAGGED"]),
            st.sampled_from(["kelas-web", "kelas-web", "kelas-data"]),
            st.sampled_from([None, "Bagus"]),
        ),
        max_size=30,
    ),
    times=st.sampled_from([1, 2, 5]),
    order=st.sampled_from(get_args(Order)),
    cursor=st.sampled_from(get_args(Cursor)),
    stats=st.sampled_from(get_args(Stats)),
    cliff=st.booleans(),
    ignores=st.sets(st.sampled_from(QUERY), max_size=2),
)
def test_what_it_says_is_so(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    reviews: list[tuple[int, int, int, str, str, str | None]],
    times: int,
    order: Order,
    cursor: Cursor,
    stats: Stats,
    cliff: bool,
    ignores: set[str],
) -> None:
    """Of any shop and any server, it says what is so, or that it cannot be told."""
    with FakeMayar(order=order, cursor=cursor, stats=stats, cliff=cliff, ignores=ignores) as fake:
        fake.add_product("kelas-web")
        created, old = 1_700_000_000_000, reviews * times
        for number, (after, edited, rating, status, product_id, message) in enumerate(old):
            created += after
            fake.add_review(
                product_id,
                rating=rating,
                status=status,
                message=message,
                createdAt=created,
                updatedAt=created + edited,
            )
            if number == len(old) // 2:
                fake.count_stats()
        monkeypatch.setenv("MAYAR_API_KEY", fake.api_key)
        argv = ["doctor", "kelas-web", "--json", "--base-url", fake.url, "--rate-limit", "off"]
        monkeypatch.setattr("sys.argv", ["mayar-reviews", *argv])
        assert run() == 0
        assert len(fake.requests) <= 12
    told = found(Result(0, *capsys.readouterr()))
    wrong = {"cliff": "agree", "agree": "cliff"}
    for name, parameters in PARAMETERS.items():
        orders = {"added": {"created", "updated", "neither"}}.get(order, {order})
        assert told[f"{name}: order"] in {"unknown"} | orders
        cut = {"offset": "opaque"}.get(cursor, cursor)
        cut = "ignored" if "startingAfter" in ignores else cut
        assert told[f"{name}: cursor"] in ("unknown", cut)
        size = "cliff" if cliff else "agree"
        size = "ignored" if "limit" in ignores and len(old) > 10 else size
        assert told[f"{name}: page size"] != wrong.get(size)
        assert (told[f"{name}: page size"] == "ignored") <= ("limit" in ignores)
        shown = sum(
            name == "store list" or (status != "ARCHIVED" and product_id == "kelas-web")
            for *_, status, product_id, _ in old
        )
        for parameter in parameters:
            expected = "ignored" if parameter in ignores else "obeyed"
            # A list of ten does not show whether `limit` is ignored as well.
            if "limit" not in ignores or shown > 10:
                assert told[f"{name}: {parameter}"] in ("unknown", expected), parameter
        if stats != "stale":
            right = "agree" if stats == "right" else "broken"
            assert told[f"{name}: statistics"] in ("unknown", right)


SECRETS = st.text(
    "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", min_size=9, max_size=12
)


@pytest.mark.slow
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    secret=SECRETS,
    count=st.sampled_from([1, 3, 45, 60]),
    order=st.sampled_from(get_args(Order)),
    cursor=st.sampled_from([*get_args(Cursor), "secret"]),
    ignores=st.sets(st.sampled_from(QUERY)),
    fails=st.sampled_from([None, 400, 403, 404, 500]),
)
def test_no_output_holds_what_is_the_shops_own(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    secret: str,
    count: int,
    order: Order,
    cursor: Any,
    ignores: set[str],
    fails: int | None,
) -> None:
    """Neither ids, names, emails, messages, unknown fields, cursors, the key, nor a refusal's text."""
    key = jwt(scope=f"read {secret}", email=f"{secret}@example.com") + secret
    product_id = f"produk-{secret}"

    def pages(rows: list[dict[str, Any]], after: str | None, limit: int) -> Any:
        start = int(after.rpartition("~")[2]) if after else 0
        more = start + limit < len(rows)
        return rows[start : start + limit], f"{secret}~{start + limit}" if more else None

    with FakeMayar(key, order=order, ignores=ignores) as fake:
        if cursor == "secret":
            fake.personality.paginate = pages
        else:
            fake.personality.cursor = cursor
        fake.add_product(product_id, name=secret, type=secret)
        for number in range(count):
            fake.add_customer(f"{secret}.{number}@example.com", customer_id=f"{secret}-{number}")
            fake.add_review(
                product_id,
                id=f"ulasan-{secret}-{number}",
                customerId=f"{secret}-{number}",
                userId=secret,
                rating=1 + number % 5,
                message=None if number % 3 else f"Bagus {secret}",
                status="ACTIVE" if number % 4 else secret,
                updatedAt=1_800_000_000_000 + 1000 * number,
                multipleImage=[
                    {"id": secret, "url": f"https://{secret}.id", "description": secret}
                ],
                content=[{"id": secret, "value": secret, "file": {"filename": secret}}],
                customer={"id": secret, "name": secret},
                **{secret: secret},
            )
        if fails is not None:
            fake.fail_next(fails, message=f"no {secret}", path="/reviews/stats")
            fake.fail_next(fails, message=f"no {secret}")
        monkeypatch.setenv("MAYAR_API_KEY", key)
        for arguments in ([], ["--json"], [product_id], [product_id, "--json"]):
            argv = ["mayar-reviews", "doctor", *arguments, "--base-url", fake.url]
            monkeypatch.setattr("sys.argv", [*argv, "--rate-limit", "off"])
            run()
            out, err = capsys.readouterr()
            assert out
            assert secret not in "".join((out + err).split())
        assert any(secret in str(review) for review in fake.reviews.values())
