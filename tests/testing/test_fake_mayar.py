"""FakeMayar against the documentation: asked by a plain HTTP client, never by the SDK."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ServerDisconnectedError

from mayar_reviews.testing import FakeMayar, RecordedRequest
from tests.faults.clock import virtual_time

EXAMPLES = Path(__file__).parent.parent / "examples"
PRODUCT = "e2b3f5d5-0c62-47ba-8a01-6c1c209e0f77"
CUSTOMER = "22eb6224-c20a-4bc2-9b99-13b21e7048c6"
EMAIL = "budi.santoso@example.com"
REVIEW = "11f4d767-4d88-41ff-8777-06564d906fe7"
IMAGE = "d4e5f6a7-b8c9-4012-d345-6789abcdef01"
ALREADY = (
    "Anda sudah memberikan ulasan untuk produk ini, jika ingin mengedit ulasan, "
    "silahkan gunakan fitur edit ulasan"
)
LIST = f"/products/{PRODUCT}/reviews"


def example(name: str) -> Any:
    return json.loads((EXAMPLES / f"{name}.json").read_text())


class Client:
    """A plain HTTP client of one server: status and body of each answer."""

    def __init__(self, fake: FakeMayar, session: ClientSession) -> None:
        self.fake, self.session = fake, session
        self.headers = {"Authorization": f"Bearer {fake.api_key}"}

    async def get(self, path: str, **query: str | int) -> tuple[int, Any]:
        url = f"{self.fake.url}/hl/v2{path}"
        async with self.session.get(url, params=query, headers=self.headers) as answer:
            return answer.status, await answer.json()

    async def post(self, path: str, body: object) -> tuple[int, Any]:
        url = f"{self.fake.url}/hl/v2{path}"
        data = body if isinstance(body, bytes) else json.dumps(body)
        async with self.session.post(url, data=data, headers=self.headers) as answer:
            return answer.status, await answer.json()

    async def walk(self, path: str, **query: str | int) -> list[Any]:
        """All reviews of a list, page after page."""
        reviews: list[Any] = []
        while True:
            status, page = await self.get(path, **query)
            assert status == HTTPStatus.OK
            reviews += page["data"]
            assert page["hasMore"] == (page["nextStartingAfter"] is not None)
            if not page["hasMore"]:
                return reviews
            query["startingAfter"] = page["nextStartingAfter"]


@pytest.fixture
async def fake() -> AsyncIterator[FakeMayar]:
    async with FakeMayar() as fake:
        yield fake


@pytest.fixture
async def client(fake: FakeMayar) -> AsyncIterator[Client]:
    async with ClientSession() as session:
        yield Client(fake, session)


def add_example(fake: FakeMayar, name: str) -> dict[str, Any]:
    """Store the review that an example of a list shows."""
    fake.add_product(PRODUCT)
    fake.add_customer(EMAIL, customer_id=CUSTOMER)
    [review] = example(name)["data"]
    return fake.add_review(PRODUCT, **review)


def creation(**changes: object) -> dict[str, object]:
    body = {"paymentLinkId": PRODUCT, "customerEmail": EMAIL, "rating": 5, "message": "Bagus"}
    return {name: value for name, value in (body | changes).items() if value is not ...}


def refusal(status: int, messages: str) -> tuple[int, dict[str, Any]]:
    return status, {"statusCode": status, "messages": messages}


async def eventually(condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never came to that")


def ids(reviews: Iterable[Any]) -> list[str]:
    return [review["id"] for review in reviews]


# Creation


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
        assert fault.keys() == {"field", "message"}
        assert fault["field"] == field
    assert not fake.reviews
    for value in good:
        _, body = await client.post("/reviews/create", creation(**{field: value}))
        assert body["messages"] != "failed", value


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b'"x"', b"null"])
async def test_a_body_must_be_an_object(client: Client, body: bytes) -> None:
    """What is not a JSON object fails validation, whatever it is."""
    for path in ("/reviews/create", "/reviews/x/update", "/reviews/bulk-status/update"):
        status, answer = await client.post(path, body)
        assert (status, answer["messages"]) == (200, "failed")
        assert answer["data"] == [{"field": "", "message": "must be a JSON object"}]


# Update


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
    assert body["data"] == [{"field": "id", "message": "is required"}]


# Reading


async def test_customer_review_answers_as_documented(fake: FakeMayar, client: Client) -> None:
    """One customer's review has the example's body, without customer and product."""
    add_example(fake, "product_reviews")
    answer = await client.get(f"{LIST}/customer", customerId=CUSTOMER)
    assert answer == (200, example("customer_review"))


async def test_no_customer_review(fake: FakeMayar, client: Client) -> None:
    """No review is null, with a purchase or without; no customer id is refused."""
    customer_id = fake.add_purchase(PRODUCT, EMAIL)
    for nobody in (customer_id, CUSTOMER):
        answer = await client.get(f"{LIST}/customer", customerId=nobody)
        assert answer == (200, example("customer_review_null"))
    assert await client.get(f"{LIST}/customer") == refusal(
        400, "customerId query parameter is required"
    )


@pytest.mark.parametrize(
    ("path", "name"), [(LIST, "product_reviews"), ("/reviews", "merchant_reviews")]
)
async def test_lists_answer_as_documented(
    fake: FakeMayar, client: Client, path: str, name: str
) -> None:
    """Both lists have the examples' bodies, byte for byte of the JSON's values."""
    add_example(fake, name)
    assert await client.get(path) == (200, example(name))


async def test_generated_reviews_have_the_documented_fields(
    fake: FakeMayar, client: Client
) -> None:
    """A review stored without any fields looks as those in the examples do."""
    stored = fake.add_review(PRODUCT)
    _, body = await client.get(LIST)
    [documented] = example("product_reviews")["data"]
    assert body["data"] == [stored]
    assert list(stored) == list(documented)
    assert stored["paymentLink"] == documented["paymentLink"]
    assert stored["customer"].keys() == documented["customer"].keys()


async def test_lists_are_newest_first(fake: FakeMayar, client: Client) -> None:
    """Order is by createdAt, not by arrival, and a cursor is the last one's createdAt."""
    for at in (30, 10, 50, 20, 40):
        fake.add_review(PRODUCT, id=f"review-{at}", createdAt=at)
    _, page = await client.get(LIST, limit=2)
    assert ids(page["data"]) == ["review-50", "review-40"]
    assert (page["hasMore"], page["nextStartingAfter"]) == (True, "40")
    _, page = await client.get(LIST, limit=2, startingAfter="40")
    assert ids(page["data"]) == ["review-30", "review-20"]
    _, page = await client.get(LIST, limit=2, startingAfter="20")
    assert ids(page["data"]) == ["review-10"]
    assert (page["hasMore"], page["nextStartingAfter"]) == (False, None)


async def test_page_sizes(fake: FakeMayar, client: Client) -> None:
    """Ten reviews by default, fifty at most, and no more page when the last is just full."""
    fake.seed(PRODUCT, 60)
    for limit, size in (({}, 10), ({"limit": 1}, 1), ({"limit": 50}, 50), ({"limit": 99}, 50)):
        _, page = await client.get(LIST, **limit)
        assert (len(page["data"]), page["hasMore"]) == (size, True)
    _, page = await client.get(LIST, limit=30, startingAfter=page["data"][29]["createdAt"])
    assert (len(page["data"]), page["hasMore"]) == (30, False)


async def test_ties_at_a_page_edge_are_skipped(fake: FakeMayar, client: Client) -> None:
    """Reviews of the page edge's millisecond never show on the next page."""
    for n, at in enumerate((5, 4, 4, 4, 3)):
        fake.add_review(PRODUCT, id=f"review-{n}", createdAt=at)
    walked = await client.walk(LIST, limit=2)
    assert [review["createdAt"] for review in walked] == [5, 4, 3]
    assert len(await client.walk(LIST)) == 5


async def test_prioritize_message(fake: FakeMayar, client: Client) -> None:
    """Reviews with a message come first in a page, and the cursor leaves newer ones behind."""
    messages: list[Any] = ["a", None, "b", ..., "c"]
    for at, message in enumerate(messages, start=1):
        fake.add_review(PRODUCT, createdAt=at, message=message)
    _, page = await client.get(LIST, prioritizeMessage="true")
    assert [review["createdAt"] for review in page["data"]] == [5, 3, 1, 4, 2]
    walked = await client.walk(LIST, prioritizeMessage="true", limit=2)
    assert [review["createdAt"] for review in walked] == [5, 3, 1, 2]
    walked = await client.walk(LIST, prioritizeMessage="false", limit=2)
    assert [review["createdAt"] for review in walked] == [5, 4, 3, 2, 1]


async def test_filters(fake: FakeMayar, client: Client) -> None:
    """Rating, status and product narrow the lists; buyers see no archived or inactive review."""
    for n, status in enumerate(("ACTIVE", "ARCHIVED", "INACTIVE", "FLAGGED")):
        fake.add_review(PRODUCT, id=status, rating=n + 1, status=status)
    fake.add_review("other", id="other", rating=1)

    async def found(path: str, **query: str | int) -> list[str]:
        return ids((await client.get(path, **query))[1]["data"])

    assert await found(LIST) == ["FLAGGED", "ACTIVE"]
    assert await found(LIST, rating=4) == ["FLAGGED"]
    assert await found(LIST, rating=2) == []
    assert await found("/reviews") == ["other", "FLAGGED", "INACTIVE", "ARCHIVED", "ACTIVE"]
    assert await found("/reviews", rating=1) == ["other", "ACTIVE"]
    assert await found("/reviews", status="ARCHIVED") == ["ARCHIVED"]
    assert await found("/reviews", status="ACTIVE", paymentLinkId=PRODUCT) == ["ACTIVE"]
    assert await found("/reviews", paymentLinkId="unknown") == []


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (LIST, {"limit": "0"}),
        (LIST, {"limit": "-1"}),
        (LIST, {"limit": "ten"}),
        (LIST, {"limit": ""}),
        (LIST, {"rating": "9"}),
        (LIST, {"rating": "0"}),
        (LIST, {"startingAfter": "the-last-one"}),
        (LIST, {"startingAfter": ""}),
        (LIST, {"prioritizeMessage": "True"}),
        ("/reviews", {"limit": "0"}),
        ("/reviews", {"rating": "6"}),
        ("/reviews", {"status": "active"}),
        ("/reviews", {"startingAfter": "1e3"}),
    ],
)
async def test_bad_queries(
    fake: FakeMayar, client: Client, path: str, query: dict[str, str]
) -> None:
    """A value that a list cannot take is a bad request that names it."""
    fake.add_product(PRODUCT)
    [name] = query
    assert await client.get(path, **query) == refusal(400, f"{name} query parameter is not valid")


async def test_list_of_an_unknown_product(client: Client) -> None:
    """There is no list of a product that is not there."""
    assert await client.get(LIST) == refusal(404, "Produk tidak ditemukan")


async def test_stats_answer_as_documented(fake: FakeMayar, client: Client) -> None:
    """The example's 42 ratings make the example's statistics, of the product and of the store."""
    for rating, count in ((5, 32), (4, 7), (3, 2), (2, 1)):
        for _ in range(count):
            fake.add_review(PRODUCT, rating=rating)
    for hidden in ("ARCHIVED", "INACTIVE"):
        fake.add_review(PRODUCT, rating=1, status=hidden)
    assert await client.get(f"{LIST}/stats") == (200, example("review_stats"))
    assert await client.get("/merchants/reviews/stats") == (200, example("review_stats"))
    fake.add_review("other", rating=1)
    assert await client.get(f"{LIST}/stats") == (200, example("review_stats"))
    assert (await client.get("/merchants/reviews/stats"))[1]["data"]["total"] == 43


async def test_stats_of_nothing_and_of_whole_averages(fake: FakeMayar, client: Client) -> None:
    """Without active reviews there is an empty object, and a whole average has no decimals."""
    fake.add_review(PRODUCT, status="ARCHIVED")
    assert await client.get(f"{LIST}/stats") == (200, example("review_stats_empty"))
    assert await client.get("/merchants/reviews/stats") == (200, example("review_stats_empty"))
    fake.add_review(PRODUCT, rating=5)
    _, body = await client.get(f"{LIST}/stats")
    assert repr(body["data"]["average"]) == "5"


async def test_customer_detail(fake: FakeMayar, client: Client) -> None:
    """A customer is found by email, with the documented fields, and else is not."""
    fake.add_customer(EMAIL, customer_id=CUSTOMER, name="Budi")
    status, body = await client.get("/customers/detail", email=EMAIL)
    customer = body["data"]
    assert (status, body["messages"]) == (200, "success")
    assert (customer["id"], customer["email"], customer["name"]) == (CUSTOMER, EMAIL, "Budi")
    assert customer["user"]["id"] == customer["userId"]
    documented = {"id", "createdAt", "email", "mobile", "name", "status", "updatedAt"}
    assert customer.keys() == documented | {"userId", "user"}
    unknown = await client.get("/customers/detail", email="siti@example.com")
    assert unknown == refusal(404, "Customer tidak ditemukan")
    assert (await client.get("/customers/detail"))[0] == HTTPStatus.BAD_REQUEST


# Statuses in bulk


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


# What stands before the answer


async def test_keys(client: Client) -> None:
    """Without the right key there is a documented 401, on unknown routes as well."""
    for authorization in (None, "Bearer wrong", "fake-key", "Basic fake-key", "Bearer fake-key2"):
        client.headers = {} if authorization is None else {"Authorization": authorization}
        assert await client.get("/reviews") == refusal(401, "Unauthorized")
        assert await client.get("/no/such/route") == refusal(401, "Unauthorized")


async def test_read_only_key() -> None:
    """The key that may only read reads, and writes nothing."""
    async with FakeMayar(read_only_key="look") as fake, ClientSession() as session:
        fake.add_purchase(PRODUCT, EMAIL)
        client = Client(fake, session)
        client.headers = {"Authorization": "Bearer look"}
        assert (await client.get(LIST))[0] == HTTPStatus.OK
        assert await client.post("/reviews/create", creation()) == refusal(403, "Forbidden")
        assert not fake.reviews


async def test_unknown_routes(client: Client) -> None:
    """What is not an endpoint, or not with this method, is a 404 in the API's envelope."""
    assert await client.get("/nothing") == refusal(404, "Not Found")
    assert await client.get("/reviews/create") == refusal(404, "Not Found")
    assert await client.post("/reviews", {}) == refusal(404, "Not Found")
    async with client.session.get(f"{client.fake.url}/reviews", headers=client.headers) as answer:
        assert answer.status == HTTPStatus.NOT_FOUND


@virtual_time
async def test_rate_limit() -> None:
    """So many requests in any stretch of so many seconds; only those let through count."""
    async with FakeMayar(rate_limit=(3, 60)) as fake, ClientSession() as session:
        client = Client(fake, session)
        right, client.headers = client.headers, {}
        await client.get("/reviews")  # 401: does not count
        client.headers = right
        statuses = []
        for pause in (0, 20, 20, 19.5, 0.5, 0, 19.5, 0.5):
            await asyncio.sleep(pause)
            statuses.append((await client.get("/reviews"))[0])
        assert statuses == [200, 200, 200, 429, 200, 429, 429, 200]
        assert [request.status for request in fake.requests] == [401, *statuses]


@virtual_time
async def test_retry_after_is_the_time_until_a_slot_frees() -> None:
    """The wait is counted from the oldest request of the window, in whole seconds, upwards."""
    async with FakeMayar(rate_limit=(2, 60)) as fake, ClientSession() as session:
        client = Client(fake, session)
        await client.get("/reviews")
        await asyncio.sleep(30)
        await client.get("/reviews")
        for wait in ("30", "20", "10"):
            async with session.get(f"{fake.url}/hl/v2/x", headers=client.headers) as answer:
                assert answer.headers["Retry-After"] == wait
                assert await answer.json() == refusal(429, "Too Many Requests")[1]
            await asyncio.sleep(9.5)
            async with session.get(f"{fake.url}/hl/v2/x", headers=client.headers) as answer:
                assert int(answer.headers["Retry-After"]) == int(wait) - 9
            await asyncio.sleep(0.5)
        assert (await client.get("/reviews"))[0] == HTTPStatus.OK


# Faults


async def test_failures(fake: FakeMayar, client: Client) -> None:
    """The next requests fail as told, whatever they ask for, and those after them do not."""
    fake.fail_next(503, times=2, retry_after=7)
    fake.fail_next(500, message="Gagal menambahkan ulasan")
    for path in ("/reviews", "/no/such/route"):
        url = f"{fake.url}/hl/v2{path}"
        async with client.session.get(url, headers=client.headers) as answer:
            assert answer.status == HTTPStatus.SERVICE_UNAVAILABLE
            assert answer.headers["Retry-After"] == "7"
            assert await answer.json() == refusal(503, "Service Unavailable")[1]
    async with client.session.get(f"{fake.url}/hl/v2/reviews", headers=client.headers) as answer:
        assert "Retry-After" not in answer.headers
        assert await answer.json() == refusal(500, "Gagal menambahkan ulasan")[1]
    assert (await client.get("/reviews"))[0] == HTTPStatus.OK


async def test_failures_leave_writes_alone_unless_processed(
    fake: FakeMayar, client: Client
) -> None:
    """A failed write has not happened; a processed one has, and only its answer failed."""
    fake.add_purchase(PRODUCT, EMAIL)
    fake.fail_next(500)
    assert (await client.post("/reviews/create", creation()))[0] == 500
    assert not fake.reviews
    fake.fail_next(502, processed=True)
    assert await client.post("/reviews/create", creation()) == refusal(502, "Bad Gateway")
    assert len(fake.reviews) == 1
    fake.fail_next(502, processed=True)  # refused with 409, and fails all the same
    assert (await client.post("/reviews/create", creation()))[0] == 502


async def test_drops(fake: FakeMayar, client: Client) -> None:
    """A dropped request ends in a broken connection; processed, it has taken effect."""
    fake.add_purchase(PRODUCT, EMAIL)
    fake.drop_next()
    fake.drop_next(processed=True)
    for stored in (0, 1):
        with pytest.raises(ServerDisconnectedError):
            await client.post("/reviews/create", creation())
        assert len(fake.reviews) == stored
    assert (await client.get("/reviews"))[0] == HTTPStatus.OK
    assert [request.status for request in fake.requests] == [None, None, 200]


async def test_stalls(fake: FakeMayar, client: Client) -> None:
    """A stalled request gets no answer; processed, it has taken effect all the same."""
    fake.add_purchase(PRODUCT, EMAIL)
    fake.stall_next()
    fake.stall_next(processed=True)
    for stored in (0, 1):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.post("/reviews/create", creation())
        assert len(fake.reviews) == stored
    assert [request.status for request in fake.requests] == [None, None]
    assert (await client.get("/reviews"))[0] == HTTPStatus.OK


async def test_faults_queue_up(fake: FakeMayar, client: Client) -> None:
    """Faults come in the order they were asked for; a request that is turned away uses up none."""
    fake.fail_next(503)
    fake.drop_next()
    fake.fail_next(500)
    right, client.headers = client.headers, {}
    assert (await client.get("/reviews"))[0] == HTTPStatus.UNAUTHORIZED
    client.headers = right
    assert (await client.get("/reviews"))[0] == HTTPStatus.SERVICE_UNAVAILABLE
    with pytest.raises(ServerDisconnectedError):
        await client.post("/reviews/create", {})
    assert (await client.get("/reviews"))[0] == HTTPStatus.INTERNAL_SERVER_ERROR
    assert (await client.get("/reviews"))[0] == HTTPStatus.OK


def test_faults_and_limits_that_make_no_sense() -> None:
    """What could never happen is refused where it is asked for."""
    fake = FakeMayar()
    for status in (100, 199, 600):
        with pytest.raises(ValueError, match="status"):
            fake.fail_next(status)
    for plan in (fake.drop_next, fake.stall_next):
        with pytest.raises(ValueError, match="times"):
            plan(0)
    for limit in ((0, 1.0), (1, 0.0)):
        with pytest.raises(ValueError, match="rate_limit"):
            FakeMayar(rate_limit=limit)


# The record


async def test_requests_are_recorded(fake: FakeMayar, client: Client) -> None:
    """Every request is recorded, with all that it brought and how it was answered."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    fake.fail_next(503)
    await client.get("/reviews", status="ACTIVE", paymentLinkId="x y")
    await client.post("/reviews/create", {"rating": 5})
    await client.post("/reviews/create", b"not JSON")
    client.headers = {}
    await client.get("/nothing")

    read, write, broken, refused = fake.requests
    assert (read.method, read.path, read.status) == ("GET", "/hl/v2/reviews", 503)
    assert read.query == {"status": "ACTIVE", "paymentLinkId": "x y"}
    assert read.headers["Authorization"] == "Bearer fake-key"
    assert read.body is None
    assert (write.method, write.body, write.status) == ("POST", {"rating": 5}, 200)
    assert broken.body is None
    assert refused.status == HTTPStatus.UNAUTHORIZED
    times = [begin, *(request.at for request in fake.requests), loop.time()]
    assert times == sorted(times)


def test_the_repr_of_a_request_hides_the_key() -> None:
    """A failing assertion about requests does not print the key."""
    headers = {"authorization": "Bearer secret", "Accept": "text/html"}
    request = RecordedRequest("GET", "/", {}, headers, None, at=1.0, status=200)
    assert "secret" not in repr(request)
    assert "text/html" in repr(request)


# What a test puts in


async def test_fields_of_a_review(fake: FakeMayar, client: Client) -> None:
    """Fields replace the defaults, whatever they hold: null, nothing at all, unknown, wrong."""
    stored = fake.add_review(
        PRODUCT, message=None, userId=..., rating="five", customer=None, helpful={"yes": 1}
    )
    _, body = await client.get(LIST)
    [shown] = body["data"]
    assert shown == stored == fake.reviews[stored["id"]]
    assert "userId" not in shown
    assert (shown["message"], shown["rating"], shown["customer"]) == (None, "five", None)
    assert shown["helpful"] == {"yes": 1}
    stored["status"] = "ARCHIVED"
    assert (await client.get(LIST))[1]["data"] == []


async def test_reviews_without_what_they_need(fake: FakeMayar, client: Client) -> None:
    """Even without an id, an owner and a time, a review has a place in the lists."""
    fake.add_review(PRODUCT, id=..., createdAt=..., customerId=...)
    fake.add_review(PRODUCT, id=None, createdAt="now", customerId=7)
    older = fake.add_review(PRODUCT, createdAt=1)
    broken, missing, last = await client.walk(LIST, limit=1)
    assert (broken["id"], broken["createdAt"], broken["customerId"]) == (None, "now", 7)
    assert not missing.keys() & {"id", "createdAt", "customerId"}
    assert last == older


async def test_reviews_of_customers(fake: FakeMayar, client: Client) -> None:
    """A review is its customer's: known, it bears the name; unknown, they are registered."""
    fake.add_customer(EMAIL, customer_id=CUSTOMER, name="Budi")
    known = fake.add_review(PRODUCT, customerId=CUSTOMER)
    unknown = fake.add_review(PRODUCT, customerId="siti")
    assert known["customer"] == {"id": CUSTOMER, "name": "Budi"}
    assert unknown["customer"]["id"] == "siti"
    for review in (known, unknown):
        customer_id = review["customerId"]
        _, body = await client.get(f"{LIST}/customer", customerId=customer_id)
        assert body["data"]["id"] == review["id"]
    assert await client.post("/reviews/create", creation()) == refusal(409, ALREADY)


def test_products_customers_and_reviews_are_one_of_a_kind() -> None:
    """An id or an email that is taken cannot be added again, nor what JSON cannot express."""
    fake = FakeMayar()
    product = fake.add_product(name="Kelas  Baru", type="ebook")
    customer = fake.add_customer(EMAIL)
    review = fake.add_review(product)
    assert review["paymentLink"] == {
        "id": product,
        "name": "Kelas  Baru",
        "type": "ebook",
        "link": "kelas-baru",
        "subType": None,
    }
    with pytest.raises(ValueError, match="product"):
        fake.add_product(product)
    with pytest.raises(ValueError, match="customer"):
        fake.add_customer(EMAIL)
    with pytest.raises(ValueError, match="customer"):
        fake.add_customer("other@example.com", customer_id=customer)
    with pytest.raises(ValueError, match="review"):
        fake.add_review(product, id=review["id"])
    with pytest.raises(TypeError):
        fake.add_review(product, message=b"bytes")
    assert list(fake.reviews) == [review["id"]]
    assert fake.add_purchase(product, EMAIL) == customer


def test_times_never_repeat() -> None:
    """Reviews made in the same instant have different times, each later than the one before."""
    fake = FakeMayar()
    times = [fake.add_review(PRODUCT)["createdAt"] for _ in range(500)]
    assert times == sorted(set(times))


def test_seeds_are_always_the_same() -> None:
    """Two stores with the same calls hold the same reviews, none of them twice."""
    stores = []
    for _ in range(2):
        fake = FakeMayar()
        fake.seed(PRODUCT, 250)
        fake.seed("other", 250)
        stores.append(fake.reviews)
    assert stores[0] == stores[1]
    reviews = list(stores[0].values())
    for name in ("id", "createdAt", "customerId"):
        assert len({review[name] for review in reviews}) == 500


async def test_seeds_hold_what_a_client_must_survive(fake: FakeMayar, client: Client) -> None:
    """Twelve seeds show every oddity once, and all of them are in the list."""
    fake.seed(PRODUCT, 12)
    _, body = await client.get(LIST, limit=50)
    reviews = body["data"]
    messages = [review.get("message", ...) for review in reviews]
    texts = "".join(text for text in messages if isinstance(text, str))
    assert len(reviews) == 12
    assert None in messages
    assert ... in messages
    for oddity in ("\n", "\r\n", "👨‍👩‍👧", "دورة", "קורס", '"', "=1+1"):
        assert oddity in texts
    assert any(isinstance(text, str) and 1900 < len(text) <= 2000 for text in messages)
    assert {review["status"] for review in reviews} == {"ACTIVE", "FLAGGED"}
    assert any("helpfulCount" in review for review in reviews)
    assert any(review["multipleImage"] for review in reviews)
    assert any(review["content"] for review in reviews)


async def test_seeded_ratings(fake: FakeMayar, client: Client) -> None:
    """Most buyers are happy, and some are not."""
    fake.seed(PRODUCT, 200)
    _, body = await client.get(f"{LIST}/stats")
    counts = [entry["totalRating"] for entry in body["data"]["stats"]]
    assert sum(counts) == 200
    assert counts[0] > 120
    assert min(counts) > 0


async def test_ten_thousand_reviews_are_walked_quickly(fake: FakeMayar, client: Client) -> None:
    """Two hundred pages of fifty hold each review once, and take no time worth mentioning."""
    fake.seed(PRODUCT, 10_000)
    begin = time.perf_counter()
    walked = await client.walk(LIST, limit=50)
    assert time.perf_counter() - begin < 5
    assert ids(walked) == list(fake.reviews)[::-1]


async def test_half_a_surrogate_pair_is_served(fake: FakeMayar, client: Client) -> None:
    """A cut emoji in a message comes back as it was sent, beside text that is not escaped."""
    fake.add_purchase(PRODUCT, EMAIL)
    await client.post("/reviews/create", creation(message='cut \ud83d "é😀\\'))
    async with client.session.get(f"{fake.url}/hl/v2{LIST}", headers=client.headers) as answer:
        sent = await answer.read()
    assert json.loads(sent.decode())["data"][0]["message"] == 'cut \ud83d "é😀\\'
    assert "é😀".encode() in sent


# The server


async def test_lifecycle() -> None:
    """It can be filled before it starts, closed twice, started again, but not started twice."""
    fake = FakeMayar("key")
    fake.seed(PRODUCT, 3)
    with pytest.raises(RuntimeError):
        _ = fake.url
    await fake.close()
    for _ in range(2):
        await fake.start()
        with pytest.raises(RuntimeError):
            await fake.start()
        assert fake.url.startswith("http://127.0.0.1:")
        async with ClientSession() as session:
            assert len((await Client(fake, session).get(LIST))[1]["data"]) == 3
        await fake.close()
        await fake.close()
    assert [request.status for request in fake.requests] == [200, 200]
    with pytest.raises(OSError, match=str(fake.url.rpartition(":")[2])):
        await asyncio.open_connection("127.0.0.1", int(fake.url.rpartition(":")[2]))


async def test_close_is_quick_and_leaves_nothing() -> None:
    """Neither idle connections nor stalled and half-sent requests hold it up or outlive it."""
    before = asyncio.all_tasks()
    fake = FakeMayar()
    await fake.start()
    port = int(fake.url.rpartition(":")[2])
    idle, idle_writer = await asyncio.open_connection("127.0.0.1", port)
    half, half_writer = await asyncio.open_connection("127.0.0.1", port)
    half_writer.write(
        b"POST /hl/v2/reviews/create HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    )
    async with ClientSession() as session:
        client = Client(fake, session)
        await asyncio.gather(client.get("/reviews"), client.get("/reviews"))
        fake.stall_next()
        stalled = asyncio.create_task(client.post("/reviews/create", {}))
        await eventually(lambda: len(fake.requests) == 3)
        begin = time.perf_counter()
        await fake.close()
        assert time.perf_counter() - begin < 1
        with pytest.raises(ServerDisconnectedError):
            await stalled
    assert await idle.read() == await half.read() == b""
    for writer in (idle_writer, half_writer):
        writer.close()
        await writer.wait_closed()
    assert asyncio.all_tasks() == before


async def test_a_stalled_request_ends_when_its_client_leaves(
    fake: FakeMayar, client: Client
) -> None:
    """A client that gives up leaves nothing running behind it."""
    before = asyncio.all_tasks()
    fake.stall_next()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await client.get("/reviews")
    await eventually(lambda: asyncio.all_tasks() <= before)
