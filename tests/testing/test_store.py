"""What a test puts into a FakeMayar."""

import json

import pytest

from mayar_reviews.testing import FakeMayar

from .conftest import ALREADY, CUSTOMER, EMAIL, LIST, PRODUCT, Client, creation, ids, refusal


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


@pytest.mark.slow
async def test_ten_thousand_reviews_are_walked(fake: FakeMayar, client: Client) -> None:
    """Two hundred pages of fifty hold each review once, and the list is sorted once for all."""
    fake.seed(PRODUCT, 10_000)
    rows = fake.rows(PRODUCT, "updated")
    walked = await client.walk(LIST, limit=50)
    assert ids(walked) == list(fake.reviews)[::-1]
    assert fake.rows(PRODUCT, "updated") is rows


async def test_an_edit_moves_a_review(fake: FakeMayar, client: Client) -> None:
    """Its fields are changed, `updatedAt` with them, and its place in the list."""
    for at in (1, 2, 3):
        fake.add_review(PRODUCT, id=f"review-{at}", createdAt=at, helpful=1)
    edited = fake.edit_review("review-1", rating=2, message=None, helpful=...)
    assert edited is fake.reviews["review-1"]
    assert (edited["rating"], edited["message"], edited["createdAt"]) == (2, None, 1)
    assert edited["updatedAt"] > 3
    assert "helpful" not in edited
    _, page = await client.get(LIST)
    assert ids(page["data"]) == ["review-1", "review-3", "review-2"]
    fake.edit_review("review-1", createdAt=9, updatedAt=0)
    assert ids((await client.get(LIST))[1]["data"]) == ["review-3", "review-2", "review-1"]
    fake.personality.order = "created"
    assert ids((await client.get(LIST))[1]["data"]) == ["review-1", "review-3", "review-2"]
    fake.edit_review("review-1", createdAt="soon", updatedAt=...)
    assert ids((await client.get(LIST))[1]["data"]) == ["review-1", "review-3", "review-2"]
    with pytest.raises(TypeError):
        fake.edit_review("review-1", message=b"bytes")
    with pytest.raises(KeyError):
        fake.edit_review("nobody")


def test_a_share_of_the_seeds_is_edited() -> None:
    """As many as asked, at times that mix them with newer ones; without it the orders agree."""
    fake = FakeMayar()
    fake.seed(PRODUCT, 1000)
    assert list(fake.rows(PRODUCT, "updated")) == list(fake.rows(PRODUCT, "created"))
    assert len({one["updatedAt"] - one["createdAt"] for one in fake.reviews.values()}) == 3
    for share in (0.05, 0.1, 1.0):
        fake = FakeMayar()
        fake.seed(PRODUCT, 1000, edited=share)
        late = [
            one for one in fake.reviews.values() if one["updatedAt"] - one["createdAt"] > 120_000
        ]
        assert len(late) == pytest.approx(1000 * share, abs=1)
        overtaken = [
            sum(other["createdAt"] < one["updatedAt"] for other in fake.reviews.values())
            - list(fake.reviews).index(one["id"])
            for one in late
        ]
        assert max(overtaken) > 300


async def test_half_a_surrogate_pair_is_served(fake: FakeMayar, client: Client) -> None:
    """A cut emoji in a message comes back as it was sent, beside text that is not escaped."""
    fake.add_purchase(PRODUCT, EMAIL)
    await client.post("/reviews/create", creation(message='cut \ud83d "é😀\\'))
    async with client.session.get(f"{fake.url}/hl/v2{LIST}", headers=client.headers) as answer:
        sent = await answer.read()
    assert json.loads(sent.decode())["data"][0]["message"] == 'cut \ud83d "é😀\\'
    assert "é😀".encode() in sent
