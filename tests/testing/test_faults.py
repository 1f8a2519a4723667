"""What stands between a request and its answer: keys, the rate limit, faults; and the record of it."""

import asyncio
import math
from http import HTTPStatus

import pytest
from aiohttp import ClientSession, ServerDisconnectedError

from mayar_reviews.testing import FakeMayar, RecordedRequest
from tests.support.clock import virtual_time

from .conftest import (
    EMAIL,
    LIST,
    PRODUCT,
    Client,
    creation,
    refusal,
)


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
        assert await client.post("/reviews/create", creation()) == refusal(
            403, "API KEY Scope not allowed to write"
        )
        assert not fake.reviews


async def test_the_key_of_an_account_that_is_gone() -> None:
    """It is told apart from a wrong one."""
    async with FakeMayar(account_gone_key="old") as fake, ClientSession() as session:
        client = Client(fake, session)
        client.headers = {"Authorization": "Bearer old"}
        assert await client.get("/reviews") == refusal(404, "User in JWT not found")


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


async def test_a_fault_for_one_path(fake: FakeMayar, client: Client) -> None:
    """Only requests whose path ends like that meet it, be it for ever, until it is cleared."""
    fake.fail_next(503, math.inf, path="/reviews/stats")
    fake.drop_next(path="/merchants/reviews/stats")
    fake.fail_next(500)
    for _ in range(3):
        assert (await client.get("/merchants/reviews/stats"))[0] == 503
    assert (await client.get("/reviews"))[0] == 500
    assert (await client.get("/reviews"))[0] == 200
    fake.clear_faults()
    assert (await client.get("/merchants/reviews/stats"))[0] == 200


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
