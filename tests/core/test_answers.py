"""Understanding an answer: the envelope's rules, strict types, `Retry-After`."""

from __future__ import annotations

import json
import pickle
from traceback import walk_tb
from typing import Any

import pytest

from mayar_reviews import (
    APIError,
    BadRequestError,
    MayarError,
    NotFoundError,
    PaginationError,
    RateLimitError,
    ResponseError,
    ReviewPage,
    ReviewStats,
    ServerError,
    ValidationError,
)
from mayar_reviews.answers import date_header
from mayar_reviews.api_json import LazyRows
from mayar_reviews.endpoints import (
    CreateReview,
    Endpoint,
    GetCustomer,
    GetCustomerReview,
    GetMerchantStats,
    ListReviews,
)
from mayar_reviews.models import InvalidReview
from tests.support.pages import LIST, PAGE, REVIEW, answer, decode, decode_page, page_of


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
        ({"statusCode": 400, "messages": "x"}, 200, BadRequestError),
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


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
@pytest.mark.parametrize("message", [b"", b"\\ud800"])
def test_a_number_that_json_does_not_allow_is_refused(number: bytes, message: bytes) -> None:
    """Also in an unknown field, and also by the slower parser."""
    body = b'{"statusCode":200,"messages":"success","hasMore":false,"data":[],"x":%b,"y":"%b"}'
    decode_page(answer(body % (b"1.5", message)))
    with pytest.raises(ResponseError, match="not JSON"):
        decode_page(answer(body % (number, message)))


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"9" * 5000])
def test_a_number_that_python_cannot_hold_is_null_in_a_field_that_nobody_knows(
    number: bytes,
) -> None:
    """So the objects can be written again. Anywhere else such an answer is refused."""
    review = {**REVIEW, "new": [0, 1.5, 7]}
    body = json.dumps(PAGE | {"data": [review]}).encode()
    page = decode_page(answer(body.replace(b"[0,", b"[%b," % number)))
    assert page.raw == (review | {"new": [None, 1.5, 7]},)
    for wrong in (
        b'{"statusCode":200,"messages":"success","data":%b}',
        body.replace(b"5,", b"%b,"),
    ):
        with pytest.raises(ResponseError, match="not JSON"):
            decode(GetMerchantStats(), answer(wrong.replace(b"%b", number)))


def test_objects_that_are_nested_too_deeply_are_not_parsed() -> None:
    """As from a deep stack, where less fits than when the page was read. No frame shows them."""
    depth = 100_000
    rows = LazyRows(
        (), b'{"data":[{"message":"PRIVATE","new":%b%b}]}' % (b"[" * depth, b"]" * depth)
    )
    with pytest.raises(ValueError, match="nested too deeply") as caught:
        rows.get()
    assert "PRIVATE" not in repr(
        [one.f_locals for one, _ in walk_tb(caught.value.__traceback__)][1:]
    )


@pytest.mark.parametrize("place", [{}, {"customer": {"\ud83d": 1}}])
def test_half_an_emoji_in_the_name_of_a_field_that_nobody_knows(place: dict[str, Any]) -> None:
    """It blocks nothing."""
    (review,) = decode_page(page_of(**place, **{"\ud83d": 1})).data
    assert review.id == "review-1"
    endpoint = GetCustomerReview("product-1", "customer-1")
    assert decode(endpoint, answer(PAGE | {"data": REVIEW | {"\ud83d": 1}})) is not None


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    """Also in a field that nobody reads."""
    body = json.dumps(PAGE | {"data": [REVIEW | {"new": "?"}]}).encode().replace(b"?", b"\xff")
    with pytest.raises(ResponseError, match="not JSON"):
        decode_page(answer(body))


@pytest.mark.parametrize("message", ["text", "\ud800"])
def test_a_page_has_the_raw_objects_of_its_reviews(message: str) -> None:
    """Whichever were kept, and also after pickling."""
    rows = [REVIEW | {"id": f"review-{n}", "message": message, "new": n} for n in range(5)]
    listing = decode(LIST, answer(PAGE | {"data": rows})).keep([0, 2, 3]).keep([1, 2])
    page = pickle.loads(pickle.dumps(listing.to_page(keep_invalid=False)))
    assert page.raw == (rows[2], rows[3])
    assert [one.id for one in page.data] == ["review-2", "review-3"]
    assert b"review-1" not in pickle.dumps(page)
    assert listing.keys is None
    assert listing.keep([0]).raw == listing.keep([0]).raw == (rows[2],)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"<html>", "the body of an answer with status 200 is not JSON"),
        (b"[]", "the body of an answer with status 200 is not a JSON object"),
        (b'{"statusCode":201}', "the API never answers with status 201"),
        (b'{"statusCode":399}', "the API never answers with status 399"),
    ],
)
def test_an_answer_that_is_not_the_apis_says_why(body: bytes, fault: str) -> None:
    """It may be the API's the next time."""
    with pytest.raises(ResponseError) as caught:
        decode_page(answer(body))
    assert (str(caught.value), caught.value.transient) == (fault, True)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"statusCode": "200"}, "$.statusCode: expected int, got str"),
        ({"messages": 5}, "$.messages: expected str, got int"),
        ({"messages": "maybe"}, '$.messages: neither "success" nor "failed"'),
        ({"data": {}}, "$.data: expected list, got dict"),
        ({"hasMore": "true"}, "$.hasMore: expected bool, got str"),
        ({"nextStartingAfter": {}}, "$.nextStartingAfter: expected str, got dict"),
        ({"nextStartingAfter": True}, "$.nextStartingAfter: expected str, got bool"),
    ],
)
def test_an_envelope_of_another_shape_is_explained(fields: dict[str, Any], fault: str) -> None:
    """By path and type. It would be the same the next time."""
    with pytest.raises(ResponseError) as caught:
        decode_page(answer(PAGE | {"data": [], "hasMore": True, "nextStartingAfter": "c"} | fields))
    assert str(caught.value) == fault
    assert caught.value.path == fault.partition(":")[0]
    assert not caught.value.transient


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({}, "the page has no hasMore"),
        ({"hasMore": True}, "the page has more reviews after it but no cursor"),
        (
            {"hasMore": True, "nextStartingAfter": "c" * 1001},
            "the page has a cursor of 1001 characters, more than 1000",
        ),
        (
            {"hasMore": True, "nextStartingAfter": "\ud83d"},
            "the page has a cursor that cannot be sent: it holds half of a surrogate pair",
        ),
    ],
)
def test_a_page_that_leads_nowhere_says_so(fields: dict[str, Any], fault: str) -> None:
    """And carries its own cursor, to ask for it again."""
    body = {"statusCode": 200, "messages": "success", "data": []} | fields
    with pytest.raises(PaginationError) as caught:
        decode(ListReviews(starting_after="here"), answer(body))
    assert (str(caught.value), caught.value.starting_after) == (fault, "here")


@pytest.mark.parametrize(("cursor", "kept"), [("c", "c"), (5, "5"), (None, None), ({}, None)])
def test_a_last_page_may_have_a_cursor(cursor: object, kept: str | None) -> None:
    """It is kept, but one of a wrong type does no harm there."""
    page = decode_page(answer(PAGE | {"data": [], "nextStartingAfter": cursor}))
    assert (page.has_more, page.next_starting_after) == (False, kept)


def test_a_page_with_an_invalid_review_keeps_all_in_place() -> None:
    """The others are as they would be without it."""
    rows = [
        REVIEW | {"id": f"review-{n}", "rating": rating} for n, rating in enumerate((5, "x", 4))
    ]
    body = PAGE | {"data": rows, "hasMore": True, "nextStartingAfter": "c"}
    page = decode(LIST, answer(body)).to_page(keep_invalid=True)
    fault = "$.data[1].rating: expected int, got str (review review-1)"
    others = decode_page(answer(PAGE | {"data": [rows[0], rows[2]]})).data
    assert page == ReviewPage(others, True, "c", (), (InvalidReview(None, fault, 1),))
    assert page.raw == (rows[0], rows[2])
    assert page.invalid[0].raw == rows[1]


@pytest.mark.parametrize("message", ["text", "\ud800"])
def test_a_list_that_fits_tells_its_keys_as_sent(message: str) -> None:
    """A walk needs the times in milliseconds. With a review that does not fit it looks itself."""
    row = REVIEW | {"updatedAt": 1767063610104, "message": message}
    listing = decode(LIST, answer(PAGE | {"data": [row]}))
    assert listing.keys == [("review-1", 1767063610104, 1767063610103)]
    assert decode(LIST, answer(PAGE | {"data": [row, *[{}], *[row] * 9]})).keys is None


@pytest.mark.parametrize(
    ("endpoint", "data", "path"),
    [
        (GetMerchantStats(), {"total": "1"}, "$.data.total"),
        (GetCustomerReview("product-1", "customer-1"), {"id": 1}, "$.data.id"),
        (CreateReview("product-1", "budi@example.com", 5), [], "$.data"),
        (GetCustomer("budi@example.com"), {"id": "customer-1"}, "$.data.email"),
    ],
)
def test_an_object_that_does_not_fit_is_named_by_its_path(
    endpoint: Endpoint[Any], data: object, path: str
) -> None:
    """From the answer's root on."""
    with pytest.raises(ResponseError) as caught:
        decode(endpoint, answer(PAGE | {"data": data}))
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("status", "kind"),
    [(500, ServerError), (599, ServerError), (600, APIError), (499, APIError), (999, APIError)],
)
def test_a_status_from_500_to_599_is_the_servers_fault(status: int, kind: type[APIError]) -> None:
    """Any other that is not documented is an `APIError`."""
    with pytest.raises(APIError) as caught:
        decode_page(answer({"messages": "no, the-key", "data": [1]}, status, x_request_id="r-1"))
    error = caught.value
    assert type(error) is kind
    assert (error.status_code, error.messages, error.data) == (status, "no, [API key]", [1])
    assert error.request_id == "r-1"


def test_a_refusal_that_nobody_could_copy_has_no_data() -> None:
    """Its message is kept. How deep can be parsed and not copied depends on Python's version."""
    told = []
    for depth in (900, 3000):
        body = b'{"messages":"x","data":%b}' % (b"[" * depth + b"]" * depth)
        with pytest.raises(BadRequestError) as caught:
            decode_page(answer(body, 400))
        told.append((caught.value.messages, caught.value.data is None))
    assert ("x", True) in told


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
    empty: dict[str, Any] = {"statusCode": 200, "messages": "success", "data": {}}
    assert decode(endpoint, answer(empty)) is None
    figures = {"total": 2, "average": 4.5, "stats": []}
    assert decode(endpoint, answer(empty | {"data": figures})) == ReviewStats(2, 4.5, ())
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


def test_a_date_header_that_is_malformed_is_none() -> None:
    """It is there, it is missing, or it is no date."""
    assert date_header(answer(b"", date=DATE)) == DATE
    assert date_header(answer(b"")) is None
    assert date_header(answer(b"", date="yesterday")) is None


def test_a_refusal_of_megabytes_is_kept_in_part() -> None:
    """Sixty-four kilobytes of its text; a deep tree is not copied."""
    deep = json.dumps({"statusCode": 400, "messages": "x", "data": [{"a": [1, 2, 3]}] * 100_000})
    with pytest.raises(BadRequestError) as caught:
        decode_page(answer(deep.encode(), 400))
    assert caught.value.data == deep[: 64 * 1024]
    assert caught.value.status_code == 400
    for size, kept in ((64 * 1024, 0), (64 * 1024 + 1, 1)):
        body = b'{"a":"%b"}' % (b"a" * (size - 8))
        with pytest.raises(BadRequestError) as caught:
            decode_page(answer(body, 400))
        assert isinstance(caught.value.data, str) == bool(kept)
    with pytest.raises(BadRequestError) as caught:
        decode_page(answer(b"\xff" * 2**17, 400))
    assert caught.value.data == "\ufffd" * 2**16
