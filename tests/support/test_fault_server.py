"""A fault server that behaves, its limit, its latency, TLS and its end."""

from __future__ import annotations

import asyncio
import math
import ssl
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from .clock import virtual_time
from .fault_server import FaultServer, make_review
from .raw_http import EMAIL, LOOK_UP, STATS, WISH, ask, connected, encode, now
from .steps import Behave, Break, How, Respond
from .tls import tls_contexts


@virtual_time
async def test_every_endpoint_answers_in_its_shape() -> None:
    """Nine endpoints, each with the envelope and the fields of the documentation's examples."""
    review = make_review(1)
    paths: list[tuple[str, str, str, Any]] = [
        ("create", "POST", "/reviews/create", WISH),
        ("update", "POST", "/reviews/review-1/update", {"id": "review-1", "rating": 2}),
        ("bulk_status", "POST", "/reviews/bulk-status/update", {"input": [
            {"id": "review-1", "status": "ACTIVE"}
        ]}),
        ("customer_review", "GET", LOOK_UP, None),
        ("product_reviews", "GET", "/products/product-1/reviews?limit=1", None),
        ("product_stats", "GET", "/products/product-1/reviews/stats", None),
        ("merchant_stats", "GET", STATS, None),
        ("reviews", "GET", "/reviews?status=ACTIVE", None),
        ("customer", "GET", f"/customers/detail?email={EMAIL}", None),
    ]  # fmt: skip
    record = {"id", "rating", "message", "paymentLinkId", "customerId", "userId", "status"}
    record |= {"createdAt", "updatedAt"}
    media = record | {"multipleImage", "content"}

    async with FaultServer([review], customers={EMAIL: "customer-9"}) as server:
        got = {route: await ask(server, *rest) for route, *rest in paths}

        assert [entry.route for entry in server.ledger.received()] == list(got)
    assert {answer.status for answer in got.values()} == {200}
    assert {answer.json["messages"] for answer in got.values()} == {"success"}
    assert got["create"].json["data"].keys() == got["update"].json["data"].keys() == record
    assert got["bulk_status"].json.keys() == {"statusCode", "messages"}
    assert got["customer_review"].json["data"].keys() == media
    [listed] = got["product_reviews"].json["data"]
    assert listed.keys() == media | {"customer", "paymentLink"}
    assert got["product_reviews"].json["nextStartingAfter"] == "c1"
    assert got["product_stats"].json == got["merchant_stats"].json
    assert got["merchant_stats"].json["data"] == {
        "total": 2,
        "average": 3.0,
        "stats": [
            {"rating": 5, "percentage": 0, "totalRating": 0},
            {"rating": 4, "percentage": 50, "totalRating": 1},
            {"rating": 3, "percentage": 0, "totalRating": 0},
            {"rating": 2, "percentage": 50, "totalRating": 1},
            {"rating": 1, "percentage": 0, "totalRating": 0},
        ],
    }
    assert len(got["reviews"].json["data"]) == 2
    assert got["customer"].json["data"]["id"] == "customer-9"


@virtual_time
async def test_refusals() -> None:
    """What the documentation refuses is refused, in its words, and nothing is committed."""
    foreign = {
        "input": [{"id": "review-1", "status": "INACTIVE"}, {"id": "nobody", "status": "ACTIVE"}]
    }

    async with FaultServer([make_review(1)], customers={EMAIL: "customer-1"}) as server:
        got = [
            await ask(server, "POST", "/reviews/create", WISH),
            await ask(server, "POST", "/reviews/create", WISH | {"rating": 6}),
            await ask(server, "POST", "/reviews/any/update", {"id": "nobody"}),
            await ask(server, "POST", "/reviews/bulk-status/update", foreign),
            await ask(server, "GET", "/products/product-1/reviews/customer"),
            await ask(server, "GET", "/customers/detail?email=who"),
            await ask(server, "GET", "/reviews?startingAfter=nonsense"),
            await ask(server, "GET", "/elsewhere"),
        ]

        assert server.ledger.of("committed") == []
        assert server.reviews == [make_review(1)]
    assert [answer.status for answer in got] == [409, 200, 404, 400, 400, 404, 400, 404]
    assert got[1].json["messages"] == "failed"


@virtual_time
async def test_commits_are_inspectable() -> None:
    """Writes change the state, which shows the last of each, and are noted as committed."""
    update = {"id": "review-1", "rating": 1, "message": "Buruk"}
    media = [{"id": f"media-{number}", "type": "video"} for number in (1, 2)]
    update |= {"contentReview": media}
    trim = {"id": "review-1", "deleteContentReview": media[:1]}
    status = {"input": [{"id": "review-1", "status": "ARCHIVED"}]}

    async with FaultServer([make_review(1)]) as server:
        await ask(server, "POST", "/reviews/ignored/update", update)
        await ask(server, "POST", "/reviews/ignored/update", trim)
        await ask(server, "POST", "/reviews/bulk-status/update", status)

        review = server.review("review-1")
        assert (review["rating"], review["message"]) == (1, "Buruk")
        assert [item["id"] for item in review["content"]] == ["media-2"]
        assert review["status"] == "ARCHIVED"
        assert [entry.body for entry in server.ledger.of("committed")] == [update, trim, status]
        assert (await ask(server, "GET", "/products/product-1/reviews")).json["data"] == []
        assert (await ask(server, "GET", STATS)).json["data"] == {}


@virtual_time
async def test_the_guard_can_be_switched_off() -> None:
    """Without the guard, creating twice makes two."""
    async with FaultServer(guard_conflicts=False) as server:
        for _ in range(2):
            assert (await ask(server, "POST", "/reviews/create", WISH)).status == 200

        first, second = server.reviews
        assert first["customerId"] == second["customerId"]
        assert first["id"] != second["id"]


@virtual_time
async def test_pages_by_offset_and_by_time() -> None:
    """A walk by offset is whole; by time it loses ties at a page's edge, as the real one may."""
    reviews = [make_review(n, createdAt=1000 - n // 3, message=None) for n in range(1, 9)]

    async def walk(server: FaultServer) -> list[str]:
        ids: list[str] = []
        path = "/reviews?limit=4"
        page = (await ask(server, "GET", path)).json
        ids += [review["id"] for review in page["data"]]
        while page["hasMore"]:
            after = f"&startingAfter={page['nextStartingAfter']}"
            page = (await ask(server, "GET", path + after)).json
            ids += [review["id"] for review in page["data"]]
        assert page["nextStartingAfter"] is None
        return ids

    async with FaultServer(reviews) as server:
        assert await walk(server) == [f"review-{n}" for n in range(1, 9)]
    async with FaultServer(reviews, cursor="created") as server:
        assert await walk(server) == [f"review-{n}" for n in (1, 2, 3, 4, 6, 7, 8)]


@virtual_time
async def test_messages_can_be_put_first() -> None:
    """`prioritizeMessage` moves the reviews without a message to the end."""
    async with FaultServer([make_review(1, message=None), make_review(2)]) as server:
        got = await ask(server, "GET", "/products/product-1/reviews?prioritizeMessage=true")

    assert [review["id"] for review in got.json["data"]] == ["review-2", "review-1"]


@virtual_time
async def test_the_ledger_tells_what_and_when() -> None:
    """An entry has its request, its time, and, once answered, the status and the answer's body."""
    async with FaultServer(script=[Behave(delay=5)]) as server:
        begun = now()
        await ask(server, "GET", "/reviews?limit=3&rating=5")

        received, answered = server.ledger
        assert (received.kind, received.number, received.at) == ("received", 1, begun)
        assert (received.method, received.path) == ("GET", "/hl/v2/reviews")
        assert received.query == {"limit": "3", "rating": "5"}
        assert received.headers["connection"] == "close"
        assert (answered.kind, answered.status, answered.at) == ("answered", 200, begun + 5)
        assert answered.body["data"] == []
        assert server.ledger.received("GET", "/reviews") == [received]
        assert server.ledger.received("POST") == server.ledger.received(path_suffix="/x") == []


@virtual_time
async def test_aiohttp_speaks_with_it_on_one_connection() -> None:
    """A real client keeps its connection, and the server counts one until the session ends."""
    async with FaultServer([make_review(1)]) as server:
        async with aiohttp.ClientSession(server.url) as session:
            for _ in range(3):
                async with session.get("/hl/v2/reviews") as response:
                    assert len((await response.json())["data"]) == 1
            assert server.open_connections == 1
        await asyncio.sleep(0.001)
        assert server.open_connections == 0


@virtual_time
async def test_the_limit_is_a_sliding_window_at_arrival() -> None:
    """What goes beyond it is refused until the oldest is `per` old, and the peak is remembered."""
    async with FaultServer(limit=(2, 60.0), script=[Respond(418, times=2)]) as server:
        first = await ask(server, "GET", STATS)
        await asyncio.sleep(20)
        second = await ask(server, "GET", STATS)
        refused = await ask(server, "GET", STATS)
        await asyncio.sleep(40)
        third = await ask(server, "GET", STATS)

        assert [a.status for a in (first, second, refused, third)] == [418, 418, 429, 200]
        assert refused.fields("Retry-After") == ["40"]
        assert server.peak == 3


@virtual_time
async def test_latency_is_seeded_and_counted_each_way() -> None:
    """Every exchange takes two latencies, the same ones every time, and arrives after the first."""

    async def times(seed: int) -> list[float]:
        async with FaultServer(latency=(0.1, 0.2), seed=seed) as server:
            begun = now()
            await asyncio.gather(*(ask(server, "GET", STATS) for _ in range(5)))
            return [round(entry.at - begun, 9) for entry in server.ledger]

    once = await times(seed=1)

    assert len(once) == 10
    assert 0.1 <= once[0] <= 0.2
    assert 0.2 <= once[-1] <= 0.4
    assert await times(seed=1) == once != await times(seed=2)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return tls_contexts(tmp_path_factory.mktemp("tls"))


def test_speaks_tls(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """With a context it serves https, faults included, and costs no time."""

    @virtual_time
    async def scenario() -> None:
        begun = now()
        script = [Behave(), Break("body", "reset")]
        async with FaultServer(ssl_context=tls[0], script=script) as server:
            assert server.url.startswith("https://")
            async with aiohttp.ClientSession(server.url) as session:
                async with session.get(f"/hl/v2{STATS}", ssl=tls[1]) as response:
                    assert (await response.json())["messages"] == "success"
                assert server.open_connections == 1
                async with session.post(f"/hl/v2{STATS}", ssl=tls[1]) as response:
                    with pytest.raises(aiohttp.ClientError):
                        await response.read()
        assert now() - begun < 0.01

    scenario()


@pytest.mark.parametrize("how", ["close", "reset", "hang"])
def test_breaks_before_the_handshake(how: How, tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """A break at "accept" comes before TLS, as often as told: for ever makes it a mode."""

    @virtual_time
    async def scenario() -> None:
        script = [Break("accept", how, times=math.inf)]
        async with FaultServer(ssl_context=tls[0], script=script) as server:
            for _ in range(2):
                with pytest.raises(TimeoutError if how == "hang" else OSError):
                    async with asyncio.timeout(10):
                        await ask(server, "GET", STATS, tls=tls[1])
            assert server.ledger.exchanges == 2
            assert server.ledger.received() == []
            server.script.clear()
            assert (await ask(server, "GET", STATS, tls=tls[1])).status == 200

    scenario()


def test_a_client_may_refuse_the_certificate(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    """A failed handshake is no request and leaves nothing open."""

    @virtual_time
    async def scenario() -> None:
        async with FaultServer(ssl_context=tls[0]) as server:
            with pytest.raises(ssl.SSLCertVerificationError):
                await ask(server, "GET", STATS, tls=ssl.create_default_context())
            await asyncio.sleep(0.001)
            assert server.open_connections == len(server.ledger) == 0

    scenario()


@virtual_time
async def test_closing_leaves_nothing_behind() -> None:
    """Closing cuts what hangs, floods, waits, idles and is yet to commit, at once."""
    script = [
        Break("request", "hang"),
        Respond(200, bytes(2**20), repeat=100),
        Behave(delay=1000),
        Behave(),
        Break("request", "hang", commit_after=1000),
    ]
    begun = now()
    async with FaultServer(script=script) as server, AsyncExitStack() as clients:
        for _ in script:
            _, writer = await clients.enter_async_context(connected(server))
            writer.write(encode("POST", "/reviews/create", WISH, connection="keep-alive"))
            await asyncio.sleep(0.001)
        await clients.enter_async_context(connected(server))  # and one that never speaks
        await asyncio.sleep(0.001)
        assert server.open_connections == 6

        await server.close()

        assert server.open_connections == 0
    assert now() - begun < 0.01


def test_works_on_an_ordinary_loop_too() -> None:
    """Nothing here needs the virtual clock."""

    async def scenario() -> None:
        async with FaultServer(script=[Behave(delay=0.01)]) as server:
            assert (await ask(server, "GET", STATS)).status == 200

    asyncio.run(scenario())
