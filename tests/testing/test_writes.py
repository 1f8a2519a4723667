"""What a FakeMayar does when it is written to, against the documentation."""

import json
import time
from http import HTTPStatus

import pytest

from mayar_reviews.testing import FakeMayar

from .conftest import (
    ALREADY,
    CUSTOMER,
    EMAIL,
    IMAGE,
    LIST,
    PRODUCT,
    REVIEW,
    Client,
    add_example,
    creation,
    example,
    ids,
    refusal,
)


async def test_create_answers_as_documented(fake: FakeMayar, client: Client) -> None:
    """A creation answers with the example's fields, and stores the review."""
    fake.add_product(PRODUCT)
    fake.add_customer(EMAIL, customer_id=CUSTOMER)
    assert fake.add_purchase(PRODUCT, EMAIL) == CUSTOMER
    expected = example("create_review")
    message = expected["data"]["message"]

    status, body = await client.post("/reviews/create", creation(message=message))

    created = body["data"]
    stored = fake.reviews[created["id"]]
    assert status == HTTPStatus.OK
    assert created["createdAt"] == created["updatedAt"] == stored["createdAt"]
    assert abs(created["createdAt"] / 1000 - time.time()) < 60
    for name in ("id", "createdAt", "updatedAt"):
        expected["data"][name] = created[name]
    assert body == expected
    assert (stored["rating"], stored["message"]) == (5, message)


async def test_create_keeps_the_media(fake: FakeMayar, client: Client) -> None:
    """Attachments given at creation are in the lists, each in the field of its kind."""
    fake.add_purchase(PRODUCT, EMAIL)
    video = example("product_reviews")["data"][0]["content"][0]
    media = [
        {"id": IMAGE, "type": "image"},
        {"id": video["id"], "type": "video", "multipleFileId": video["file"]["id"]},
    ]
    await client.post("/reviews/create", creation(contentReview=media))

    _, body = await client.get(LIST)

    [review] = body["data"]
    [documented] = example("merchant_reviews")["data"]
    assert review["multipleImage"] == documented["multipleImage"]
    assert review["content"] == documented["content"]
    assert review.keys() == documented.keys()


async def test_create_without_a_message(fake: FakeMayar, client: Client) -> None:
    """A message is optional, and null where none was given."""
    fake.add_purchase(PRODUCT, EMAIL)
    status, body = await client.post("/reviews/create", creation(message=...))
    assert status == HTTPStatus.OK
    assert body["data"]["message"] is None


async def test_create_refusals(fake: FakeMayar, client: Client) -> None:
    """Unknown product, no purchase, second review: each has its documented status and text."""
    assert await client.post("/reviews/create", creation()) == refusal(
        404, "Produk tidak ditemukan"
    )
    fake.add_product(PRODUCT)
    never_bought = refusal(403, "Anda belum pernah membeli produk ini")
    assert await client.post("/reviews/create", creation()) == never_bought
    fake.add_customer(EMAIL)
    assert await client.post("/reviews/create", creation()) == never_bought
    fake.add_purchase(PRODUCT, EMAIL)
    assert (await client.post("/reviews/create", creation()))[0] == HTTPStatus.OK
    assert await client.post("/reviews/create", creation(rating=1)) == refusal(409, ALREADY)
    assert [review["rating"] for review in fake.reviews.values()] == [5]


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("paymentLinkId", ["pay", "p" * 100], [..., "pl", "p" * 101, 7, None]),
        (
            "customerEmail",
            ["a@b.c", "a" * 94 + "@b.com"],
            [..., "a@b.", "a" * 95 + "@b.com", "budi", "a b@c.de", None],
        ),
        ("rating", [1, 5], [..., 0, 6, 4.5, "5", True, None]),
        ("message", [..., "x", "x" * 2000], ["", "x" * 2001, 5, None]),
        (
            "contentReview",
            [[], [{"id": IMAGE, "type": "video"}] * 10],
            [
                [{"id": IMAGE, "type": "image"}] * 11,
                [{"id": IMAGE, "type": "audio"}],
                [{"id": IMAGE, "type": ["image"]}],
                [{"type": "image"}],
                [{"id": IMAGE, "type": "image", "multipleFileId": 1}],
                ["image"],
                {"id": IMAGE, "type": "image"},
            ],
        ),
    ],
)
async def test_create_limits(
    fake: FakeMayar, client: Client, field: str, good: list[object], bad: list[object]
) -> None:
    """Each documented limit holds: HTTP 200, "failed", the field at fault, and nothing stored."""
    for value in bad:
        status, body = await client.post("/reviews/create", creation(**{field: value}))
        assert (status, body["statusCode"], body["messages"]) == (200, 200, "failed"), value
        [fault] = body["data"]
        assert fault.keys() - {"actual"} == {"type", "field", "message"}
        assert fault.get("actual") == (None if value is ... else value)
        assert fault["field"] == field
    assert not fake.reviews
    for value in good:
        _, body = await client.post("/reviews/create", creation(**{field: value}))
        assert body["messages"] != "failed", value


async def test_a_whole_number_may_have_a_decimal_point(fake: FakeMayar, client: Client) -> None:
    """In JSON 4.0 is the integer 4; it is answered as 4."""
    fake.add_purchase(PRODUCT, EMAIL)
    sent = json.dumps(creation(rating=4.0))
    assert '"rating": 4.0' in sent
    status, body = await client.post("/reviews/create", sent.encode())
    assert (status, repr(body["data"]["rating"])) == (HTTPStatus.OK, "4")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b'"x"', b"null"])
async def test_a_body_must_be_an_object(client: Client, body: bytes) -> None:
    """What is not a JSON object fails validation, whatever it is."""
    for path in ("/reviews/create", "/reviews/x/update", "/reviews/bulk-status/update"):
        status, answer = await client.post(path, body)
        assert (status, answer["messages"]) == (200, "failed")
        [fault] = answer["data"]
        assert (fault["type"], fault["message"]) == ("object", "must be a JSON object")


async def test_update_answers_as_documented(fake: FakeMayar, client: Client) -> None:
    """An update sets rating and message, removes an image, and answers with the example's body."""
    review = add_example(fake, "merchant_reviews")
    expected = example("update_review")

    status, body = await client.post(
        "/reviews/the-id-in-the-url-is-ignored/update",
        {
            "id": REVIEW,
            "paymentLinkId": PRODUCT,
            "customerEmail": EMAIL,
            "customerId": CUSTOMER,
            "rating": 4,
            "message": "Kontennya bagus, semoga ada materi lanjutan.",
            "deleteContentReview": [{"id": IMAGE, "type": "image"}],
        },
    )

    assert status == HTTPStatus.OK
    assert body["data"]["updatedAt"] > expected["data"]["updatedAt"]
    expected["data"]["updatedAt"] = body["data"]["updatedAt"]
    assert body == expected
    assert review["multipleImage"] == []
    assert len(review["content"]) == 1


async def test_update_leaves_what_is_not_given(fake: FakeMayar, client: Client) -> None:
    """An update with nothing but an id changes the time of update alone, each time anew."""
    review = add_example(fake, "merchant_reviews")
    before = dict(review)
    times = [review["updatedAt"]]
    for _ in range(3):
        await client.post(f"/reviews/{REVIEW}/update", {"id": REVIEW})
        times.append(review["updatedAt"])
    assert times == sorted(set(times))
    assert review | {"updatedAt": before["updatedAt"]} == before


async def test_update_adds_and_removes_media(fake: FakeMayar, client: Client) -> None:
    """What is added twice is there twice; what is removed is gone; kinds are kept apart."""
    review = fake.add_review(PRODUCT, id=REVIEW, multipleImage=..., content=None)
    image, video = {"id": IMAGE, "type": "image"}, {"id": "video-1", "type": "video"}
    body: dict[str, object] = {"id": REVIEW, "contentReview": [image, video]}
    await client.post(f"/reviews/{REVIEW}/update", body)
    await client.post(f"/reviews/{REVIEW}/update", body)
    assert ids(review["multipleImage"]) == [IMAGE] * 2
    assert ids(review["content"]) == ["video-1"] * 2

    other = {"id": "image-2", "type": "image"}
    body = {
        "id": REVIEW,
        "contentReview": [other],
        "deleteContentReview": [{"id": IMAGE, "type": "video"}, video, image],
    }
    await client.post(f"/reviews/{REVIEW}/update", body)
    body = {"id": REVIEW, "deleteContentReview": [image]}
    await client.post(f"/reviews/{REVIEW}/update", body)
    assert ids(review["multipleImage"]) == ["image-2"]
    assert review["content"] == []


async def test_update_refusals(fake: FakeMayar, client: Client) -> None:
    """Unknown reviews and customers without the purchase have their documented texts."""
    review = add_example(fake, "product_reviews")
    fake.add_customer("siti@example.com", customer_id="siti")
    before = dict(review)

    no_review = await client.post(f"/reviews/{REVIEW}/update", {"id": PRODUCT, "rating": 1})
    assert no_review == refusal(404, "Review tidak ditemukan")
    for locator in (
        {"customerEmail": "siti@example.com"},
        {"customerEmail": "nobody@example.com"},
        {"customerEmail": EMAIL, "customerId": "siti"},
        {"customerEmail": "siti@example.com", "customerId": CUSTOMER},
        {"customerId": "nobody"},
        {"paymentLinkId": "other-product"},
    ):
        answer = await client.post("/reviews/x/update", {"id": REVIEW, "rating": 1} | locator)
        assert answer == refusal(404, "Transaksi tidak ditemukan"), locator
    assert review == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "id"),
        ("paymentLinkId", "p" * 101),
        ("customerId", ""),
        ("customerEmail", "budi"),
        ("rating", 0),
        ("message", ""),
        ("contentReview", [{"id": IMAGE, "type": "image"}] * 11),
        ("deleteContentReview", [{"id": IMAGE, "type": "image"}] * 11),
    ],
)
async def test_update_limits(fake: FakeMayar, client: Client, field: str, value: object) -> None:
    """The documented limits of an update hold."""
    fake.add_review(PRODUCT, id=REVIEW)
    status, body = await client.post("/reviews/x/update", {"id": REVIEW, field: value})
    assert (status, body["messages"]) == (200, "failed")
    assert [fault["field"] for fault in body["data"]] == [field]


async def test_update_needs_an_id_in_the_body(fake: FakeMayar, client: Client) -> None:
    """The id in the URL is no substitute."""
    fake.add_review(PRODUCT, id=REVIEW)
    _, body = await client.post(f"/reviews/{REVIEW}/update", {"rating": 1})
    assert body["data"] == [{"type": "required", "field": "id", "message": "is required"}]


async def test_statuses_answer_as_documented(fake: FakeMayar, client: Client) -> None:
    """Statuses are set, times bumped, and the answer has no data."""
    one, two = fake.add_review(PRODUCT, createdAt=1), fake.add_review(PRODUCT, createdAt=2)
    updates = [
        {"id": one["id"], "status": "ARCHIVED", "paymentLinkId": PRODUCT},
        {"id": two["id"], "status": "INACTIVE"},
    ]
    answer = await client.post("/reviews/bulk-status/update", {"input": updates})
    assert answer == (200, example("bulk_status_update"))
    assert (one["status"], two["status"]) == ("ARCHIVED", "INACTIVE")
    assert 2 < one["updatedAt"] < two["updatedAt"]


async def test_statuses_are_set_all_or_none(fake: FakeMayar, client: Client) -> None:
    """One unknown review among them, and none is touched."""
    review = fake.add_review(PRODUCT)
    updates = [{"id": name, "status": "ARCHIVED"} for name in (review["id"], "unknown")]
    answer = await client.post("/reviews/bulk-status/update", {"input": updates})
    assert answer == refusal(400, "Review is not valid! Please check your payload.")
    assert review["status"] == "ACTIVE"


async def test_statuses_limits(fake: FakeMayar, client: Client) -> None:
    """1-50 updates, each with an id and one of the three statuses."""
    good = {"id": fake.add_review(PRODUCT)["id"], "status": "INACTIVE"}
    for bad in (
        ...,
        [],
        [good] * 51,
        good,
        ["x"],
        [good, {"id": REVIEW}],
        [{"status": "ACTIVE"}],
        [good | {"status": "HIDDEN"}],
        [good | {"id": "id"}],
        [good | {"paymentLinkId": "p"}],
    ):
        payload = {} if bad is ... else {"input": bad}
        status, body = await client.post("/reviews/bulk-status/update", payload)
        assert (status, body["messages"]) == (200, "failed"), bad
        assert [fault["field"] for fault in body["data"]] == ["input"]
    answer = await client.post("/reviews/bulk-status/update", {"input": [good] * 50})
    assert answer == (200, example("bulk_status_update"))
