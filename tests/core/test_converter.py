"""JSON to models: strict types, explained by their path."""

from __future__ import annotations

from typing import Any

import pytest

from mayar_reviews import ResponseError
from tests.support.pages import LIST, PAGE, REVIEW, answer, decode, page_of


def test_only_what_is_required_is_required() -> None:
    """A review without anything optional has `None` and `()` in its place."""
    (review,) = decode(LIST, page_of()).data
    assert review.message is None
    assert (review.multiple_image, review.content) == ((), ())
    assert (review.customer, review.payment_link) == (None, None)


@pytest.mark.parametrize(
    "fields",
    [
        {"message": None, "multipleImage": None, "content": None},
        {"customer": None, "paymentLink": None},
        {"customer": {}, "paymentLink": {}},
        {"customer": {"id": None, "name": None}},
        {"content": [{"id": None, "value": None, "file": None}]},
        {"content": [{"file": {"size": None}}, {}]},
        {"multipleImage": [{"description": None}, {}, None]},
    ],
)
def test_whatever_is_optional_may_be_null(fields: dict[str, Any]) -> None:
    """At any depth: missing or null is no fault."""
    decode(LIST, page_of(**fields))


@pytest.mark.parametrize("field", REVIEW)
def test_a_required_field_is_missed(field: str) -> None:
    """The path says which one."""
    without = {name: value for name, value in REVIEW.items() if name != field}
    with pytest.raises(ResponseError, match="required") as caught:
        decode(LIST, answer(PAGE | {"data": [REVIEW, without]}))
    assert caught.value.path == f"$.data[1].{field}"
    with pytest.raises(ResponseError, match="got NoneType") as caught:
        decode(LIST, page_of(**{field: None}))
    assert caught.value.path == f"$.data[0].{field}"


WRONG: tuple[Any, ...] = (4.7, 5.0, "5", True, [5], {})


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        *(({"rating": value}, "$.data[0].rating") for value in WRONG),
        *(({"id": value}, "$.data[0].id") for value in (7, {"a": 1}, ["x"], False)),
        ({"message": ["x"]}, "$.data[0].message"),
        ({"status": 3}, "$.data[0].status"),
        *(
            ({"createdAt": value}, "$.data[0].createdAt")
            for value in ("1767063610103", 1767063610103.5, True, 10**18, -(10**18))
        ),
        ({"customer": []}, "$.data[0].customer"),
        ({"customer": "x"}, "$.data[0].customer"),
        ({"customer": {"name": 5}}, "$.data[0].customer.name"),
        ({"paymentLink": {"subType": {}}}, "$.data[0].paymentLink.subType"),
        ({"content": {}}, "$.data[0].content"),
        ({"content": ""}, "$.data[0].content"),
        ({"content": ["x"]}, "$.data[0].content[0]"),
        ({"content": [{}, {"file": {"size": "1"}}]}, "$.data[0].content[1].file.size"),
        ({"multipleImage": [{"fileType": 1}]}, "$.data[0].multipleImage[0].fileType"),
    ],
    ids=repr,
)
def test_nothing_is_coerced(fields: dict[str, Any], path: str) -> None:
    """A value of a wrong type is told by its path and types, never by itself."""
    with pytest.raises(ResponseError) as caught:
        decode(LIST, page_of(**fields))
    assert caught.value.path == path
    assert not caught.value.transient
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_a_hostile_page_is_explained_by_its_first_fault() -> None:
    """A million wrong items are not a million reports."""
    with pytest.raises(ResponseError) as caught:
        decode(
            LIST,
            answer(
                b'{"statusCode":200,"messages":"success","hasMore":false,"data":['
                + b"1," * 10**6
                + b"1]}"
            ),
        )
    assert str(caught.value) == "$.data[0]: expected object, got int"
