"""JSON to models: strict types, explained by their path."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import frozen

from mayar_reviews import ResponseError
from mayar_reviews.converter import structure
from tests.support.pages import PAGE, REVIEW, answer, decode_page, page_of

from .conftest import example

PRODUCT = {"paymentLinkId": "product-1"}


def test_optional_fields_may_be_missing() -> None:
    """They are `None` or `()` then."""
    (review,) = decode_page(page_of()).data
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
def test_optional_fields_may_be_null(fields: dict[str, Any]) -> None:
    """At any depth."""
    decode_page(page_of(**fields))


def test_nulls_in_arrays_are_left_out_and_shift_nothing() -> None:
    """Each review keeps its own images and contents, wherever the nulls stand."""

    def images(*ids: str | None) -> list[Any]:
        return [one and {"id": one} for one in ids]

    arrays = [("a", None), (None, None), (None, "b", None, "c"), (), ("d",)]
    reviews = [REVIEW | {"multipleImage": images(*ids), "content": images(*ids)} for ids in arrays]
    reviews.insert(2, REVIEW | {"multipleImage": None})
    page = decode_page(answer(PAGE | {"data": reviews}))
    expected = [("a",), (), (), ("b", "c"), (), ("d",)]
    assert [tuple(image.id for image in one.multiple_image) for one in page.data] == expected
    assert [tuple(content.id for content in one.content) for one in page.data] == expected


@pytest.mark.parametrize(
    "review",
    [
        REVIEW,
        REVIEW | {"status": "NEW", "multipleImage": [None, {}], "content": [{}, {"file": None}]},
        REVIEW | {"customer": {}, "paymentLink": {}, "unknown": [{"x": 1}]},
        *(one | PRODUCT for one in example("merchant_reviews")["data"]),
        *(one | PRODUCT for one in example("product_reviews")["data"]),
        example("customer_review")["data"] | PRODUCT,
    ],
)
def test_a_page_that_fits_takes_the_fast_path(
    review: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is checked while it is parsed; reviews are looked at one by one if one does not fit."""

    def slow(*_: object) -> None:
        raise AssertionError("a review was looked at by itself")

    monkeypatch.setattr("mayar_reviews.converter._structure_one", slow)
    assert len(decode_page(answer(PAGE | {"data": [review, REVIEW]})).data) == 2
    with pytest.raises(AssertionError, match="by itself"):
        decode_page(answer(PAGE | {"data": [review | {"rating": "5"}]}))


@pytest.mark.parametrize("field", REVIEW)
def test_a_missing_required_field_is_named(field: str) -> None:
    """The path in the error says which field is missing or null."""
    without = {name: value for name, value in REVIEW.items() if name != field}
    with pytest.raises(ResponseError, match="required") as caught:
        decode_page(answer(PAGE | {"data": [REVIEW, without]}))
    assert caught.value.path == f"$.data[1].{field}"
    with pytest.raises(ResponseError, match="got NoneType") as caught:
        decode_page(page_of(**{field: None}))
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
def test_a_value_of_a_wrong_type_is_refused(fields: dict[str, Any], path: str) -> None:
    """The error names the path and the types, never the value."""
    with pytest.raises(ResponseError) as caught:
        decode_page(page_of(**fields))
    assert caught.value.path == path
    assert not caught.value.transient
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_a_page_of_a_million_wrong_items_gets_one_error() -> None:
    """Only the first fault is explained."""
    with pytest.raises(ResponseError) as caught:
        decode_page(
            answer(
                b'{"statusCode":200,"messages":"success","hasMore":false,"data":['
                + b"1," * 10**6
                + b"1]}"
            ),
        )
    assert str(caught.value) == "$.data[0]: expected object, got int"


def test_a_class_of_one_field() -> None:
    """As an endpoint that is added may have."""

    @frozen
    class Count:
        total: int

    assert structure({"total": 3}, Count, "$") == Count(3)
    with pytest.raises(ResponseError, match="total: a required field is missing"):
        structure({}, Count, "$")
