"""What a FakeMayar answers when it is read, against the documentation."""

from http import HTTPStatus
from typing import Any

import pytest

from mayar_reviews.testing import FakeMayar

from .conftest import CUSTOMER, EMAIL, LIST, PRODUCT, Client, add_example, example, ids, refusal


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
        (LIST, {"startingAfter": "😀" * 1000}),  # 12,000 characters of the URL
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


@pytest.mark.parametrize("product", [PRODUCT, "kelas%0Aweb"])
async def test_list_of_an_unknown_product(client: Client, product: str) -> None:
    """There is no list of a product that is not there, whatever it is called."""
    answer = await client.get(f"/products/{product}/reviews")
    assert answer == refusal(404, "Produk tidak ditemukan")


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
    assert unknown == refusal(404, "Customer not found")
    assert (await client.get("/customers/detail"))[0] == HTTPStatus.BAD_REQUEST
