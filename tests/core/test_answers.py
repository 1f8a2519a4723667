"""Understanding an answer: the envelope's rules, strict types, `Retry-After`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mayar_reviews import (
    APIError,
    MayarError,
    NotFoundError,
    RateLimitError,
    ResponseError,
    ServerError,
    ValidationError,
)
from mayar_reviews.endpoints import GetMerchantStats
from tests.support.pages import LIST, PAGE, REVIEW, answer, decode


@pytest.mark.parametrize("cursor", ["abc\n", "a\tb", "\u00a0x", "\u200b", "🎉"])
def test_a_cursor_is_opaque(cursor: str) -> None:
    """Whatever a request can carry is taken for a cursor."""
    body = PAGE | {"data": [], "hasMore": True, "nextStartingAfter": cursor}
    assert decode(LIST, answer(body)).next_starting_after == cursor


def test_half_an_emoji_in_raw_bytes() -> None:
    """Some servers write a lone surrogate as three bytes."""
    body = json.dumps(PAGE | {"data": [REVIEW | {"message": "cut \ud83d"}]}, ensure_ascii=False)
    (review,) = decode(LIST, answer(body.encode(errors="surrogatepass"))).data
    assert review.message == "cut \ud83d"


def test_what_is_nested_deeply_is_refused_as_one_of_ours() -> None:
    """Beside a cut emoji the slower parser must not be what decides."""
    for depth in (200, 900, 1100, 5000, 100_000):
        body = b'{"a":"\\ud800","b":' + b"[" * depth + b"]" * depth + b"}"
        with pytest.raises(ResponseError):
            decode(LIST, answer(body))


@pytest.mark.parametrize("word", ["success", "SUCCESS", "Success", "sukses"])
def test_the_words_for_success(word: str) -> None:
    """Also in the singular, `message`, which some endpoints use."""
    decode(LIST, answer(PAGE | {"messages": word, "data": []}))
    singular = {"statusCode": 200, "message": word, "hasMore": False, "data": []}
    decode(LIST, answer(singular))


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        ({"statusCode": 200, "messages": "failed", "data": {"a": 1}}, 200, ValidationError),
        ({"statusCode": 200, "message": "Failed"}, 200, ValidationError),
        ({"statusCode": 404, "messages": "x"}, 200, NotFoundError),
        ({"statusCode": 200, "messages": "success", "data": []}, 500, ServerError),
        ({"statusCode": 200, "messages": "success", "data": []}, 404, NotFoundError),
        ({"error": "x"}, 404, NotFoundError),
        (b"<html>", 404, NotFoundError),
        (b"", 503, ServerError),
        ({"statusCode": 302, "messages": "success"}, 200, ResponseError),
        ({"statusCode": 201, "messages": "success"}, 200, ResponseError),
        ({"statusCode": True, "messages": "success"}, 200, ResponseError),
        ({"statusCode": 200, "messages": None}, 200, ResponseError),
        ({"statusCode": 200, "messages": "maybe"}, 200, ResponseError),
        ({"statusCode": 200, "messages": "success"}, 200, ResponseError),
        ({"statusCode": 200, "messages": "success", "data": {}}, 200, ResponseError),
        ({"messages": "success", "data": []}, 200, ResponseError),
        (b"{}", 200, ResponseError),
        (b'"success"', 200, ResponseError),
        (b"NaN", 200, ResponseError),
        (b'{"a": NaN, "b": "\\ud800"}', 200, ResponseError),
        (b'{"a": 1e400}', 200, ResponseError),
        (b"\xef\xbb\xbf{}", 200, ResponseError),
    ],
    ids=repr,
)
def test_what_is_no_success(body: Any, status: int, expected: type[MayarError]) -> None:
    """The worse of HTTP's word and the body's counts."""
    with pytest.raises(expected) as caught:
        decode(LIST, answer(body, status))
    assert type(caught.value) is expected


def test_an_answer_that_is_no_envelope_is_kept_whole() -> None:
    """What a gateway says is on the exception, its text out of the message."""
    with pytest.raises(APIError) as caught:
        decode(LIST, answer(b"<h1>Bad gateway</h1>", 502))
    assert caught.value.data == "<h1>Bad gateway</h1>"
    assert caught.value.messages == ""
    assert str(caught.value) == "the server failed (status 502)"
    with pytest.raises(APIError) as caught:
        decode(LIST, answer({"error": {"code": 7}}, 400))
    assert caught.value.data == {"error": {"code": 7}}
    with pytest.raises(APIError) as caught:
        decode(LIST, answer({"statusCode": 404, "messages": ["a", 1]}, 404))
    assert caught.value.messages == ""
    assert caught.value.data == {"statusCode": 404, "messages": ["a", 1]}


def test_null_stats_are_no_stats() -> None:
    """`null` in place of `{}`; but not nothing at all."""
    endpoint = GetMerchantStats()
    assert (
        decode(endpoint, answer({"statusCode": 200, "messages": "success", "data": None})) is None
    )
    with pytest.raises(ResponseError):
        decode(endpoint, answer({"statusCode": 200, "messages": "success"}))


DATE = "Fri, 20 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("007", 7.0),
        ("86400", 86400.0),
        ("9" * 5000, float("inf")),
        ("Fri, 20 Nov 2026 10:00:30 GMT", 30.0),
        ("Friday, 20-Nov-26 10:00:30 GMT", 30.0),
        ("Fri Nov 20 10:00:30 2026", 30.0),
        ("Fri, 20 Nov 2026 10:00:00 GMT", 0.0),
        ("Fri, 20 Nov 2026 09:59:59 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 251607131999.0),
        ("Fri, 20 Nov 100000 10:00:00 GMT", None),
        ("Fri, 32 Nov 2026 10:00:30 GMT", None),
        ("Fri, 20 Nov 2026 25:00:30 GMT", None),
        ("Fri, 20 Nov 2026 10:00:30 +0100", None),
        ("fri, 20 nov 2026 10:00:30 gmt", None),
        ("2026-11-20T10:00:30Z", None),
        ("9999 date", None),
        ("-5", None),
        ("+5", None),
        ("1.5", None),
        ("1e3", None),
        ("1_0", None),
        ("0x10", None),
        ("\u0663", None),
        ("\u00b2", None),
        ("1m0s", None),
        ("5, 10", None),
        ("5 10", None),
        ("garbage", None),
        ("", None),
        ("inf", None),
        ("nan", None),
        (("5", "10"), 10.0),
        (("garbage", "10"), 10.0),
        (("10", "-1"), 10.0),
        ((), None),
    ],
)
def test_retry_after(values: str | tuple[str, ...], expected: float | None) -> None:
    """Digits, or a date against the answer's own; of several the longest; nothing else."""
    with pytest.raises(RateLimitError) as caught:
        decode(LIST, answer(b"", 429, retry_after=values, date=DATE))
    assert caught.value.retry_after == expected


def test_a_date_without_the_servers_own() -> None:
    """Without a `Date` of the answer, ours has to do."""
    with pytest.raises(RateLimitError) as caught:
        decode(LIST, answer(b"", 429, retry_after="Fri, 20 Nov 2099 10:00:00 GMT"))
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > 86400
