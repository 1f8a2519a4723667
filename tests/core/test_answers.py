"""Understanding an answer: the envelope's rules, strict types, `Retry-After`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mayar_reviews import (
    APIError,
    BadRequestError,
    MayarError,
    NotFoundError,
    RateLimitError,
    ResponseError,
    ServerError,
    ValidationError,
)
from mayar_reviews.endpoints import GetMerchantStats
from tests.support.pages import PAGE, REVIEW, answer, decode, decode_page


@pytest.mark.parametrize("cursor", ["abc\n", "a\tb", "\u00a0x", "\u200b", "🎉", "c" * 1000])
def test_a_cursor_is_opaque(cursor: str) -> None:
    """Whatever a request can carry is taken for a cursor."""
    body = PAGE | {"data": [], "hasMore": True, "nextStartingAfter": cursor}
    assert decode_page(answer(body)).next_starting_after == cursor


def test_half_an_emoji_in_raw_bytes() -> None:
    """A lone surrogate that a server wrote as three bytes is read."""
    body = json.dumps(PAGE | {"data": [REVIEW | {"message": "cut \ud83d"}]}, ensure_ascii=False)
    (review,) = decode_page(answer(body.encode(errors="surrogatepass"))).data
    assert review.message == "cut \ud83d"


def test_a_deeply_nested_body_is_a_response_error() -> None:
    """At every depth, also when the slower parser reads it because of a cut emoji."""
    for depth in (200, 900, 1100, 5000, 100_000):
        body = b'{"a":"\\ud800","b":' + b"[" * depth + b"]" * depth + b"}"
        with pytest.raises(ResponseError):
            decode_page(answer(body))


@pytest.mark.parametrize("word", ["success", "SUCCESS", "Success", "sukses"])
def test_a_word_for_success_is_understood(word: str) -> None:
    """In upper or lower case, and under `message` too, which some endpoints use."""
    decode_page(answer(PAGE | {"messages": word, "data": []}))
    singular = {"statusCode": 200, "message": word, "hasMore": False, "data": []}
    decode_page(answer(singular))


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
    ids=lambda value: repr(value).replace("\\", "/"),  # one with a backslash is not found again
)
def test_an_answer_that_is_no_success_raises_its_error(
    body: Any, status: int, expected: type[MayarError]
) -> None:
    """Of the HTTP status and the body's `statusCode` the worse one counts."""
    with pytest.raises(expected) as caught:
        decode_page(answer(body, status))
    assert type(caught.value) is expected


@pytest.mark.parametrize("status", [300, 304, 399])
def test_a_redirect_is_no_answer_of_the_api(status: int) -> None:
    """A status from 300 to 399 is a `ResponseError`, whatever the body says."""
    with pytest.raises(ResponseError, match="redirect"):
        decode_page(answer(PAGE | {"data": []}, status))


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"NaN", b"Infinity", b"-Infinity"])
@pytest.mark.parametrize("message", [b"", b"\\ud800"])
def test_a_number_that_json_does_not_allow_is_refused(number: bytes, message: bytes) -> None:
    """Also in an unknown field, and also by the slower parser."""
    body = b'{"statusCode":200,"messages":"success","hasMore":false,"data":[],"x":%b,"y":"%b"}'
    decode_page(answer(body % (b"1.5", message)))
    with pytest.raises(ResponseError, match="not JSON"):
        decode_page(answer(body % (number, message)))


def test_an_answer_that_is_no_envelope_is_kept_whole() -> None:
    """A gateway's body is in `.data`; the message of the exception does not repeat it."""
    with pytest.raises(APIError) as caught:
        decode_page(answer(b"<h1>Bad gateway</h1>", 502))
    assert caught.value.data == "<h1>Bad gateway</h1>"
    assert caught.value.messages == ""
    assert str(caught.value) == "the server failed (status 502)"
    with pytest.raises(APIError) as caught:
        decode_page(answer({"error": {"code": 7}}, 400))
    assert caught.value.data == {"error": {"code": 7}}
    with pytest.raises(APIError) as caught:
        decode_page(answer({"statusCode": 404, "messages": ["a", 1]}, 404))
    assert caught.value.messages == ""
    assert caught.value.data == {"statusCode": 404, "messages": ["a", 1]}


def test_null_stats_are_no_stats() -> None:
    """`null` means no statistics, as `{}` does; a missing `data` is an error."""
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
def test_retry_after_is_read(values: str | tuple[str, ...], expected: float | None) -> None:
    """Digits or a legal HTTP date count, of several the longest; all else is ignored."""
    with pytest.raises(RateLimitError) as caught:
        decode_page(answer(b"", 429, retry_after=values, date=DATE))
    assert caught.value.retry_after == expected


def test_a_retry_after_date_without_a_date_header() -> None:
    """Our own clock is used then."""
    with pytest.raises(RateLimitError) as caught:
        decode_page(answer(b"", 429, retry_after="Fri, 20 Nov 2099 10:00:00 GMT"))
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > 86400


def test_a_refusal_of_megabytes_is_kept_in_part() -> None:
    """Sixty-four kilobytes of its text; a deep tree is not copied."""
    deep = json.dumps({"statusCode": 400, "messages": "x", "data": [{"a": [1, 2, 3]}] * 100_000})
    with pytest.raises(BadRequestError) as caught:
        decode_page(answer(deep.encode(), 400))
    assert isinstance(caught.value.data, str)
    assert len(caught.value.data) == 64 * 1024
    assert caught.value.status_code == 400
