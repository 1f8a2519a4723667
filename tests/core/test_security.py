"""Law 7: the key goes to one place, over one scheme, and is told to nobody."""

from __future__ import annotations

import copy
import io
import logging
import pickle
import traceback
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from mayar_reviews import (
    APIError,
    Attachment,
    AuthenticationError,
    InvalidArgumentError,
    MayarError,
    OutcomeUnknownError,
    ResponseError,
    RetryPolicy,
    ReviewsClient,
    StatusUpdate,
)
from mayar_reviews.credentials import Secret
from tests.faults.clock import virtual_time
from tests.faults.server import Behave, Break, FaultServer, Respond, make_review, redirect
from tests.support.harness import (
    EMAIL,
    KEY,
    MESSAGE,
    PRODUCT,
    assert_no_secret,
    assert_tells_no_secret,
    client_of,
)


class _Ids(str, Enum):  # noqa: UP042  a StrEnum would say the same in a path
    ONE = "product-1"


HOSTILE_IDS = [
    "..",
    ".",
    "...",
    "",
    "ab",
    "a" * 101,
    "a/b",
    "a?b",
    "a#b",
    "a b",
    "%2e%2e",
    "../reviews",
    "abc/../..",
    "\\..\\..",
    "//evil.test",
    "abc\r\nX-Header: 1",
    "abc\n",
    "abc\x00",
    "ab\u00e9",
    "\u0661\u0662\u0663",
    "ab\ud800",
    "abc;d",
    "abc@def",
    None,
    7,
    b"abc",
    ["abc"],
    _Ids.ONE,
]


@pytest.mark.parametrize("hostile", HOSTILE_IDS, ids=repr)
@virtual_time
async def test_a_hostile_id_is_refused_before_any_request(hostile: Any) -> None:
    """No id can change the path that is asked, on any endpoint that takes one."""
    async with FaultServer() as server, client_of(server) as client:
        calls: list[Callable[[], Any]] = [
            lambda: client.list_product_reviews(hostile),
            lambda: anext(client.iter_product_reviews(hostile)),
            lambda: anext(client.iter_product_review_pages(hostile)),
            lambda: client.get_customer_review(hostile, customer_id="customer-1"),
            lambda: client.get_customer_review(PRODUCT, customer_id=hostile),
            lambda: client.get_product_stats(hostile),
            lambda: client.update_review(hostile, rating=1),
            lambda: client.create_review(payment_link_id=hostile, customer_email=EMAIL, rating=1),
        ]
        for call in calls:
            with pytest.raises(InvalidArgumentError):
                await call()
        with pytest.raises(InvalidArgumentError):
            StatusUpdate(hostile, "ACTIVE")
        assert len(server.ledger) == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@virtual_time
async def test_redirects_are_not_followed(status: int) -> None:
    """Neither a read nor a write goes where a redirect points, and the key does not either."""
    async with FaultServer() as elsewhere, FaultServer() as server:
        location = f"{elsewhere.url}/hl/v2/reviews?key={KEY}"
        server.script.append(redirect(location, status, times=100))
        async with client_of(server, retry=RetryPolicy.none()) as client:
            with pytest.raises(ResponseError, match="redirect") as caught:
                await client.list_reviews()
            assert_tells_no_secret(caught.value)
            with pytest.raises(OutcomeUnknownError) as doubt:
                await client.create_review(
                    payment_link_id=PRODUCT, customer_email=EMAIL, rating=5, message=MESSAGE
                )
            assert_tells_no_secret(doubt.value)
        assert len(elsewhere.ledger) == 0


@pytest.mark.parametrize(
    "base_url",
    [
        "http://api.mayar.id",
        "http://10.0.0.1",
        "http://localhost.evil.test",
        "http://127.0.0.1.evil.test",
        "http://0.0.0.0",
        "ftp://api.mayar.id",
        "api.mayar.id",
        "https://",
        "",
        "https://user:secret@api.mayar.id",
        "https://api.mayar.id/hl/v2",
        "https://api.mayar.id?x=1",
        "https://api.mayar.id#x",
        "https://api.mayar.id:port",
        "https://api.mayar.id:99999",
        "https://a..b",
        "https://-a.id",
        "https://...",
        "https://api.mayar.id\r\nx",
        " https://api.mayar.id",
        7,
    ],
)
def test_an_origin_that_the_key_may_not_go_to_is_refused(base_url: Any) -> None:
    """Only https, or http on loopback, and nothing but an origin; the value is not repeated."""
    with pytest.raises(InvalidArgumentError) as caught:
        ReviewsClient(KEY, base_url=base_url)
    assert caught.value.field == "base_url"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api.mayar.id/",
        "https://api.mayar.io:8443",
        "HTTPS://API.mayar.id",
        "http://localhost:8080",
        "http://127.0.0.9",
        "http://[::1]:80",
    ],
)
def test_an_origin_that_the_key_may_go_to(base_url: str) -> None:
    """Any https origin and every spelling of loopback."""
    ReviewsClient(KEY, base_url=base_url)


@pytest.mark.parametrize(
    "key",
    [
        "",
        " ",
        f"{KEY}\n",
        f"{KEY}\r\nX-Other: 1",
        f" {KEY}",
        f"{KEY}\x00",
        f"{KEY}\x7f",
        f"{KEY}\u00e9",
        f"Bearer {KEY}",
        f"{KEY}\ud800",
        KEY.encode(),
        7,
    ],
    ids=repr,
)
def test_a_key_that_no_header_can_carry_is_refused_and_not_repeated(
    key: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key with a line end, or none at all, is refused; no traceback shows it."""
    gives: list[Callable[[], ReviewsClient]] = [lambda: ReviewsClient(key), ReviewsClient]
    for give in gives:
        if isinstance(key, str) and "\x00" not in key and "\ud800" not in key:
            monkeypatch.setenv("MAYAR_API_KEY", key)
        else:
            monkeypatch.delenv("MAYAR_API_KEY", raising=False)
        with pytest.raises(InvalidArgumentError) as caught:
            give()
        assert caught.value.field == "api_key"
        assert_tells_no_secret(caught.value)


def test_the_client_does_not_show_its_key() -> None:
    """Neither repr, str nor anything that can be reached by `vars` shows the key."""
    client = ReviewsClient(KEY)
    assert repr(client) == "<ReviewsClient https://api.mayar.id>"

    def look(thing: object, depth: int = 0) -> None:
        assert_no_secret(repr(thing) + str(thing))
        if depth < 4:
            names = (*getattr(thing, "__dict__", ()), *getattr(type(thing), "__slots__", ()))
            for name in names:
                if not isinstance(thing, Secret):  # which has to hold it
                    look(getattr(thing, name, None), depth + 1)

    look(client)
    look(client.with_options(deadline=1.0))
    look(client._settings)


def test_the_client_is_neither_pickled_nor_copied() -> None:
    """It says in clear words why, instead of putting the key into a pickle."""
    client = ReviewsClient(KEY)
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="holds an API key"):
            take(client)


@virtual_time
async def test_a_server_that_echoes_the_key_does_not_get_it_into_an_exception() -> None:
    """Whatever the server says is kept whole, but for the key."""
    echo = {
        "statusCode": 401,
        "messages": f"Invalid key {KEY}",
        "data": {"authorization": f"Bearer {KEY}", "hint": "look closer"},
    }
    async with (
        FaultServer(
            script=(Respond(401, echo), Respond(200, echo), Respond(401, KEY.encode()))
        ) as server,
        client_of(server) as client,
    ):
        for _ in range(3):
            with pytest.raises(AuthenticationError) as caught:
                await client.list_reviews()
            assert_tells_no_secret(caught.value)
        assert "[API key]" in str(caught.value.data)


@virtual_time
async def test_a_key_that_comes_back_in_a_header_or_escaped_is_found() -> None:
    """The request id may be the key, and JSON may write it otherwise."""
    key = "abc/def+ghi/jkl"
    body = b'{"statusCode":401,"messages":"bad key abc\\/def+ghi\\/jkl","data":{"statusCode":1}}'
    answer = Respond(401, body, headers=[("X-Request-Id", key)])
    async with (
        FaultServer(script=(answer,)) as server,
        ReviewsClient(key, base_url=server.url) as client,
    ):
        with pytest.raises(AuthenticationError) as caught:
            await client.list_reviews()
    assert caught.value.messages == "bad key [API key]"
    assert caught.value.request_id == "[API key]"
    assert key not in f"{caught.value!r} {caught.value} {vars(caught.value)}"


@pytest.mark.parametrize(
    "failure",
    [Respond(404), Respond(200, b"<html>", times=9), Behave(envelope={"nextStartingAfter": "c50"})],
)
@virtual_time
async def test_other_peoples_words_stay_out_of_tracebacks(failure: Any) -> None:
    """A walk that fails on its second page shows no review of the first one."""
    reviews = [make_review(number, message=MESSAGE) for number in range(1, 121)]
    async with (
        FaultServer(reviews, script=(Behave(), failure)) as server,
        client_of(server) as client,
    ):
        walk = client.iter_product_reviews(PRODUCT)
        with pytest.raises(MayarError) as caught:
            while True:
                await anext(walk)
        assert_tells_no_secret(caught.value)


@virtual_time
async def test_arguments_stay_out_of_tracebacks() -> None:
    """A refused argument beside an email and a message: no frame of ours shows those."""
    async with FaultServer() as server, client_of(server) as client:
        with pytest.raises(InvalidArgumentError) as caught:
            await client.create_review(
                payment_link_id=PRODUCT, customer_email=EMAIL, rating=9, message=MESSAGE
            )
        assert_tells_no_secret(caught.value)
        with pytest.raises(InvalidArgumentError) as caught:
            await client.update_review(
                "review-1",
                customer_email=EMAIL,
                message=MESSAGE,
                content_review=[Attachment("x", "image")] * 11,
            )
        assert_tells_no_secret(caught.value)
        with pytest.raises(InvalidArgumentError) as caught:
            await client.create_review(
                payment_link_id=PRODUCT, customer_email=EMAIL, rating=5, message=MESSAGE * 100
            )
        assert_tells_no_secret(caught.value)


def test_proxies_and_passwords_of_the_environment_are_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`.netrc` and the proxy variables get neither the request nor the key."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password other")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    @virtual_time
    async def scenario() -> None:
        async with FaultServer([make_review(1)]) as server, client_of(server) as client:
            await client.list_reviews()
            (request,) = server.ledger.received()
            assert request.headers["authorization"] == f"Bearer {KEY}"

    scenario()


@virtual_time
async def test_cookies_are_neither_kept_nor_sent() -> None:
    """A cookie of one answer does not go with the next request."""
    cookie = Behave(headers=[("Set-Cookie", "session=1; Path=/")])
    async with FaultServer([make_review(1)], script=(cookie,)) as server:
        url = server.url.replace("127.0.0.1", "localhost")  # an address gets no cookies anyway
        async with ReviewsClient(KEY, base_url=url) as client:
            await client.list_reviews()
            await client.list_reviews()
        assert "cookie" not in server.ledger.received()[1].headers


@virtual_time
async def test_log_records_name_the_route_and_nothing_personal() -> None:
    """One DEBUG line per attempt: method, route template, status, seconds, attempt."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("mayar_reviews")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        async with (
            FaultServer([make_review(1)], script=(Respond(503),)) as server,
            client_of(server) as client,
        ):
            await client.list_product_reviews(PRODUCT)
            with pytest.raises(APIError):
                server.script.append(Respond(500, times=4))
                await client.get_product_stats(PRODUCT)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "GET /products/{paymentLinkId}/reviews -> 503 in 0.000 s (attempt 1)"
    assert lines[1] == "GET /products/{paymentLinkId}/reviews -> 200 in 0.000 s (attempt 2)"
    assert lines[-1] == "get_product_stats gave up after 4 attempts: ServerError"
    assert len(lines) == 7
    assert PRODUCT not in stream.getvalue()


@virtual_time
async def test_every_error_pickles_with_what_it_knows() -> None:
    """An error crosses a process boundary with its cause, its counts and its cursor."""
    async with (
        FaultServer(script=(Break("request", times=20),)) as server,
        client_of(server) as client,
    ):
        caught: MayarError | None = None
        try:
            await client.update_review("review-1", rating=1)
        except MayarError as error:
            caught = error
        assert caught is not None
        for again in (pickle.loads(pickle.dumps(caught)), copy.copy(caught)):
            assert type(again) is OutcomeUnknownError
            assert again.attempts == caught.attempts == 4
            assert str(again) == str(caught)
            assert type(again.__cause__) is type(caught.__cause__)
        traceback.format_exception(caught)
