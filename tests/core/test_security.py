"""Law 7: the key goes to one place, over one scheme, and is told to nobody."""

from __future__ import annotations

import copy
import pickle
import traceback
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from mayar_reviews import (
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
from tests.support.calls import ARGUMENTS, call, parameters
from tests.support.clock import virtual_time
from tests.support.fault_server import FaultServer, make_review
from tests.support.harness import (
    EMAIL,
    KEY,
    MESSAGE,
    PRODUCT,
    assert_no_secret,
    assert_tells_no_secret,
    client_of,
    observed,
)
from tests.support.steps import Behave, Break, Respond, Step, redirect


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
    """Otherwise it could change the path; every parameter of every method that is an id."""
    async with FaultServer() as server, client_of(server) as client:
        tried = 0
        for method in ARGUMENTS:
            for name, parameter in parameters(method).items():
                may_be_none = hostile is None and parameter.default is None
                if name.endswith("_id") and not may_be_none:
                    with pytest.raises(InvalidArgumentError):
                        await call(client, method, **{name: hostile})
                    tried += 1
        assert tried >= 7
        with pytest.raises(InvalidArgumentError):
            StatusUpdate(hostile, "ACTIVE")
        assert len(server.ledger) == 0


ELSEWHERE: dict[str, Callable[[str], Step]] = {
    "a redirect": lambda url: redirect(f"{url}/hl/v2/reviews?key={KEY}", times=9),
    "an echo": lambda url: Respond(400, {"statusCode": 400, "messages": f"{KEY} {url}"}, times=9),
    "HTML": lambda url: Respond(502, f"<a href='{url}'>{KEY}</a>".encode(), times=9),
    "a dropped connection": lambda url: Break("request", times=9),
    "the answer": lambda url: Behave(),
}


@pytest.mark.parametrize("method", ARGUMENTS)
@pytest.mark.parametrize("what", ELSEWHERE)
@virtual_time
async def test_the_key_goes_to_one_origin_and_is_told_nowhere(method: str, what: str) -> None:
    """The key, an email and a message are in no repr, event, log, exception or traceback."""
    private = {"customer_email": EMAIL, "message": MESSAGE}
    given = {name: private[name] for name in private.keys() & parameters(method).keys()}
    reviews = [make_review(number) for number in range(1, 11)]
    async with FaultServer() as elsewhere:
        step = ELSEWHERE[what](elsewhere.url)
        async with FaultServer(reviews, customers={EMAIL: "ibu"}, script=(step,)) as server:
            await observed(server, lambda client: call(client, method, **given))
            assert all(
                entry.headers["authorization"] == f"Bearer {KEY}"
                for entry in server.ledger.received()
            )
        assert elsewhere.ledger.exchanges == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@virtual_time
async def test_redirects_are_not_followed(status: int) -> None:
    """Neither a read nor a write follows one, so the key is not sent there."""
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
    """Any https origin and every spelling of loopback, without a slash at its end."""
    assert repr(ReviewsClient(KEY, base_url=base_url)) == f"<ReviewsClient {base_url.rstrip('/')}>"


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
    """Not in a repr or str, nor in anything that its attributes lead to."""
    client = ReviewsClient(KEY)
    assert repr(client) == "<ReviewsClient https://api.mayar.id>"

    def look(thing: object, depth: int = 0) -> None:
        assert_no_secret(repr(thing) + str(thing))
        if depth < 6:
            names = (*getattr(thing, "__dict__", ()), *getattr(type(thing), "__slots__", ()))
            for name in names:
                if not isinstance(thing, Secret):  # which has to hold it
                    look(getattr(thing, name, None), depth + 1)

    look(client)
    look(client.with_options(deadline=1.0))


def test_the_client_is_neither_pickled_nor_copied() -> None:
    """The error says why: a pickle would hold the key."""
    client = ReviewsClient(KEY)
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="holds an API key"):
            take(client)


@virtual_time
async def test_a_server_that_echoes_the_key_does_not_get_it_into_an_exception() -> None:
    """What the server says is kept, but the key in it is replaced."""
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
    """In the request id, and where JSON escapes its characters."""
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
async def test_reviews_stay_out_of_tracebacks(failure: Any) -> None:
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
    """An argument is refused: no frame shows the email and the message beside it."""
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
    """A cookie of one answer is not sent with the next request."""
    cookie = Behave(headers=[("Set-Cookie", "session=1; Path=/")])
    async with FaultServer([make_review(1)], script=(cookie,)) as server:
        url = server.url.replace("127.0.0.1", "localhost")  # an address gets no cookies anyway
        async with ReviewsClient(KEY, base_url=url) as client:
            await client.list_reviews()
            await client.list_reviews()
        assert "cookie" not in server.ledger.received()[1].headers


@virtual_time
async def test_an_error_of_a_call_pickles_with_its_cause_and_attempts() -> None:
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


def test_plain_http_to_another_machine_must_be_allowed_explicitly() -> None:
    """As for a fake server in a container; by default the key would be readable on the way."""
    with pytest.raises(InvalidArgumentError, match="https"):
        ReviewsClient(KEY, base_url="http://fake:8080")
    with pytest.raises(InvalidArgumentError, match="https"):
        ReviewsClient(KEY, base_url="http://fake:8080", allow_http="yes")  # type: ignore[arg-type]
    client = ReviewsClient(KEY, base_url="http://fake:8080", allow_http=True)
    assert repr(client) == "<ReviewsClient http://fake:8080>"
