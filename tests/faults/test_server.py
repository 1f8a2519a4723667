"""The judge is judged: every fault is what it claims to be, and the ledger tells what happened."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import ssl
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import aiohttp
import attrs
import pytest

from .clock import virtual_time
from .server import (
    Behave,
    Break,
    FaultServer,
    How,
    Raw,
    Respond,
    Route,
    Step,
    bomb,
    by_created_at,
    make_review,
    redirect,
    tls_contexts,
    too_many,
)

EMAIL = "budi@example.com"
WISH = {"paymentLinkId": "product-1", "customerEmail": EMAIL, "rating": 4, "message": "Bagus"}
STATS = "/merchants/reviews/stats"
LOOK_UP = "/products/product-1/reviews/customer?customerId=customer-1"


def now() -> float:
    return asyncio.get_running_loop().time()


@attrs.frozen
class Got:
    """What a client that reads to the end got."""

    raw: bytes
    reset: bool = False

    @property
    def head(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def status(self) -> int:
        return int(self.raw.split(b" ", 2)[1])

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def fields(self, name: str) -> list[str]:
        lines = self.head.decode().split("\r\n")[1:]
        return [line.partition(": ")[2] for line in lines if line.startswith(f"{name}:")]


@asynccontextmanager
async def connected(
    server: FaultServer, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection to the server, and close it."""
    host, _, port = server.url.partition("://")[2].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=tls)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def encode(method: str, path: str, body: Any = None, connection: str = "close") -> bytes:
    """Return a request as bytes."""
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} /hl/v2{path} HTTP/1.1\r\nConnection: {connection}\r\nContent-Length: "
    return head.encode() + b"%d\r\n\r\n%b" % (len(content), content)


async def ask(
    server: FaultServer,
    method: str,
    path: str,
    body: Any = None,
    *,
    tls: ssl.SSLContext | None = None,
) -> Got:
    """Send one request on a connection of its own and read to the end."""
    async with connected(server, tls) as (reader, writer):
        raw = b""
        try:
            writer.write(encode(method, path, body))
            while chunk := await reader.read(2**16):
                raw += chunk
        except ConnectionResetError:
            return Got(raw, reset=True)
        return Got(raw)


def kinds(server: FaultServer) -> list[str]:
    return [entry.kind for entry in server.ledger]


# -- behaving --------------------------------------------------------------------------------------


@virtual_time
async def test_every_endpoint_answers_in_its_shape() -> None:
    """Nine endpoints, each with the envelope and the fields of the documentation's examples."""
    review = make_review(1)
    paths: list[tuple[Route, str, str, Any]] = [
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
    foreign = {"input": [{"id": "review-1", "status": "INACTIVE"}, {"id": "x", "status": "ACTIVE"}]}

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
    update |= {"contentReview": [{"id": "media-1"}, {"id": "media-2"}]}
    trim = {"id": "review-1", "deleteContentReview": [{"id": "media-1"}]}
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

        assert [review["customerId"] for review in server.reviews] == ["buyer-1"] * 2


@virtual_time
async def test_pages_by_offset_and_by_time() -> None:
    """A walk by offset is whole; by time it loses ties at a page's edge, as the real one may."""
    reviews = [make_review(n, createdAt=1000 - n // 3, message=None) for n in range(1, 9)]

    async def walk(server: FaultServer) -> list[str]:
        ids: list[str] = []
        page = {"hasMore": True, "nextStartingAfter": ""}
        while page["hasMore"]:
            path = f"/reviews?limit=4&startingAfter={page['nextStartingAfter']}"
            page = (await ask(server, "GET", path)).json
            ids += [review["id"] for review in page["data"]]
        assert page["nextStartingAfter"] is None
        return ids

    async with FaultServer(reviews) as server:
        assert await walk(server) == [f"review-{n}" for n in range(1, 9)]
    async with FaultServer(reviews, paginate=by_created_at) as server:
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


# -- the law ---------------------------------------------------------------------------------------


@virtual_time
async def test_a_second_creation_without_a_look_up_is_blind() -> None:
    """Two creations of one review and nothing between them break the law."""
    script = [Break("request", "reset", on="create", times=2)]
    async with FaultServer(customers={EMAIL: "customer-1"}, script=script) as server:
        await ask(server, "POST", "/reviews/create", WISH)
        await ask(server, "POST", "/reviews/create", WISH | {"paymentLinkId": "product-2"})
        await ask(server, "POST", "/reviews/create", WISH)

        first, other, second = server.ledger.creations
        assert server.ledger.blind_creations() == [(first, second)]
        assert other.body["paymentLinkId"] == "product-2"


@pytest.mark.parametrize(
    ("path", "between", "lawful"),
    [
        (LOOK_UP, [], True),
        (LOOK_UP, [Respond(500, {"data": None})], False),
        (LOOK_UP, [Break("request")], False),
        (LOOK_UP, [Break("body")], False),
        (LOOK_UP, [Behave(cut=3)], False),
        (LOOK_UP, [Respond(200, {"data": {"id": "it is there"}})], False),
        (LOOK_UP.replace("product-1", "product-2"), [], False),
        (LOOK_UP.replace("customer-1", "customer-2"), [], False),
    ],
)
def test_only_a_look_up_that_says_no_allows_a_second(
    path: str, between: list[Step], *, lawful: bool
) -> None:
    """The look-up must be answered, whole, about this review, and say that it is not there."""

    @virtual_time
    async def scenario() -> None:
        script = [Break("request"), *between]
        async with FaultServer(customers={EMAIL: "customer-1"}, script=script) as server:
            await ask(server, "POST", "/reviews/create", WISH)
            await ask(server, "GET", path)
            await ask(server, "POST", "/reviews/create", WISH)

            assert (server.ledger.blind_creations() == []) is lawful

    scenario()


@virtual_time
async def test_a_creation_refused_with_429_may_come_again() -> None:
    """A 429 was not processed, so it needs no look-up; the creation after it is a first again."""
    async with FaultServer(script=[too_many("1"), Break("request")]) as server:
        for _ in range(3):
            await ask(server, "POST", "/reviews/create", WISH)

        _, second, third = server.ledger.creations
        assert server.ledger.blind_creations() == [(second, third)]


# -- misbehaving -----------------------------------------------------------------------------------


@virtual_time
async def test_the_script_is_taken_in_order_by_those_it_is_for() -> None:
    """A step waits for a request of its route or method; a spent script means good behaviour."""
    script = [Respond(500, on="create"), Respond(503, on="GET", times=2), Respond(502)]
    async with FaultServer(script=script) as server:
        got = [
            (await ask(server, "GET", STATS)).status,
            (await ask(server, "POST", "/reviews/create", WISH)).status,
            (await ask(server, "GET", STATS)).status,
            (await ask(server, "GET", STATS)).status,
            (await ask(server, "GET", STATS)).status,
        ]
        assert server.script == []

    assert got == [503, 500, 503, 502, 200]


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    ("where", "said"),
    [("accept", 0), ("headers", 0), ("request", 0), ("head", 1), ("body", 2), ("answer", 3)],
)
def test_breaks_where_told(where: Any, how: How, said: int) -> None:
    """The client gets as much of the right answer as it should, then the end it should."""

    @virtual_time
    async def scenario() -> None:
        async with FaultServer() as server:
            whole = await ask(server, "GET", STATS)
            server.script.append(Break(where, how))

            got = await ask(server, "GET", STATS)

            head = len(whole.head) + 4
            size = [0, head, head + len(whole.body) // 2, len(whole.raw)][said]
            assert got.raw == whole.raw[:size]
            # Who writes to a connection that was closed on accept is told so by a reset as well.
            assert where == "accept" or got.reset == (how == "reset")
            assert server.ledger.exchanges == 2
            last = server.ledger.entries[-1]
            assert last.kind == ("answered" if where == "answer" else "dropped")
            assert len(server.ledger.received()) == (1 if where == "accept" else 2)
            assert (await ask(server, "GET", STATS)).status == 200

    scenario()


@pytest.mark.parametrize("where", ["accept", "headers", "request", "head", "body"])
def test_hangs_until_the_client_leaves(where: Any) -> None:
    """A hanging server keeps the connection for as long as the client does, and no longer."""

    @virtual_time
    async def scenario() -> None:
        begun = now()
        async with FaultServer(script=[Break(where, "hang")]) as server:
            async with connected(server) as (reader, writer):
                writer.write(encode("GET", STATS))
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(3600):
                        await reader.read()
                assert server.open_connections == 1
            await asyncio.sleep(0.001)
            assert server.open_connections == 0
            assert kinds(server)[-1] == "dropped"
        assert now() - begun == pytest.approx(3600, abs=0.01)

    scenario()


@virtual_time
async def test_breaks_inside_any_answer() -> None:
    """`Break.answer` and `nbytes` say what is cut and where: here a chunk, and an EOF body."""
    answer = Respond(200, b"0123456789", framing="chunked")
    script = [
        Break("body", nbytes=6, answer=answer),
        Break("body", nbytes=4, answer=attrs.evolve(answer, framing="eof")),
    ]
    async with FaultServer(script=script) as server:
        chunk = await ask(server, "GET", STATS)
        until_eof = await ask(server, "GET", STATS)

    assert (chunk.status, chunk.body) == (200, b"a\r\n012")
    assert chunk.fields("Transfer-Encoding") == ["chunked"]
    assert (until_eof.body, until_eof.fields("Content-Length")) == (b"0123", [])


@pytest.mark.parametrize(
    ("step", "happened"),
    [
        (Break("request", "reset"), ["received", "dropped"]),
        (Break("request", "reset", commit=True), ["received", "committed", "dropped"]),
        (Break("body", "reset"), ["received", "dropped"]),
        (Break("body", "reset", commit=True), ["received", "committed", "dropped"]),
        (Respond(500), ["received", "answered"]),
        (Respond(500, commit=True), ["received", "committed", "answered"]),
        (Raw(b"", commit=True), ["received", "committed", "dropped"]),
        (Behave(), ["received", "committed", "answered"]),
    ],
)
def test_commits_only_if_told(step: Step, happened: list[str]) -> None:
    """Whether a write was done is the step's to say, whatever the client hears."""

    @virtual_time
    async def scenario() -> None:
        async with FaultServer(script=[step]) as server:
            await ask(server, "POST", "/reviews/create", WISH)

            assert kinds(server) == happened
            assert len(server.reviews) == happened.count("committed")

    scenario()


@virtual_time
async def test_a_commit_can_land_after_the_client_gave_up() -> None:
    """`commit_after` commits in its own time, and the guard holds at that time."""
    async with FaultServer(script=[Break("request", commit_after=2)]) as server:
        await ask(server, "POST", "/reviews/create", WISH)
        await asyncio.sleep(1.9)
        assert server.reviews == []
        await asyncio.sleep(0.2)
        assert len(server.reviews) == 1

        server.script.append(Break("request", commit_after=2))
        await ask(server, "POST", "/reviews/create", WISH)
        await asyncio.sleep(3)
        assert len(server.reviews) == 1
        assert kinds(server).count("committed") == 1


@virtual_time
async def test_wrong_lengths() -> None:
    """A Content-Length can be too long, too short or there twice; none of these is an answer."""
    two = Respond(200, b"hello", headers=[("Content-Length", "9")])
    script = [Respond(200, b"hello", length_error=2), Respond(200, b"hello", length_error=-2), two]
    async with FaultServer(script=script) as server:
        got = [await ask(server, "GET", STATS) for _ in range(3)]

        assert kinds(server)[:4] == ["received", "dropped"] * 2
    assert [answer.body for answer in got] == [b"hello"] * 3
    assert [answer.fields("Content-Length") for answer in got] == [["7"], ["3"], ["5", "9"]]


@virtual_time
async def test_cut_bodies_have_the_right_length() -> None:
    """`cut` takes bytes away that the framing does not miss."""
    async with FaultServer(script=[Behave(cut=3)]) as server:
        got = await ask(server, "GET", STATS)

    assert got.fields("Content-Length") == [str(len(got.body))]
    with pytest.raises(json.JSONDecodeError):
        assert got.json


@virtual_time
async def test_raw_bytes_and_their_ends() -> None:
    """Anything at all can be said."""
    script = [
        Raw(b"garbage\r\n\r\n"),
        Raw(b'{"statusCode": 200}', "reset"),
        Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"),
    ]
    async with FaultServer(script=script) as server:
        got = [await ask(server, "GET", STATS) for _ in range(3)]

    assert got[0] == Got(b"garbage\r\n\r\n")
    assert got[1] == Got(b'{"statusCode": 200}', reset=True)
    assert got[2].body == b"ZZ\r\n"


@virtual_time
async def test_headers_can_be_replaced_repeated_and_left_out() -> None:
    """`headers` are sent as they are; Date and Content-Type give way to them."""
    many = [(f"X-{n}", "x") for n in range(200)]
    html = Respond(502, b"<html>", headers=[("Content-Type", "text/html"), ("Date", None)])
    script = [html, too_many("7", "8"), Respond(200, headers=many), redirect("https://evil.test/")]
    async with FaultServer(script=script) as server:
        page, limited, flooded, moved = [await ask(server, "GET", STATS) for _ in range(4)]

    assert (page.status, page.body) == (502, b"<html>")
    assert (page.fields("Content-Type"), page.fields("Date")) == (["text/html"], [])
    assert (limited.status, limited.fields("Retry-After")) == (429, ["7", "8"])
    assert limited.json == {"statusCode": 429, "messages": "Too Many Requests"}
    assert flooded.head.count(b"\r\nX-") == 200
    assert (moved.status, moved.fields("Location")) == (307, ["https://evil.test/"])


@virtual_time
async def test_odd_statuses_and_bodies() -> None:
    """A status need not exist; a body may be any JSON value, or a right one with other fields."""
    script = [Respond(999), Respond(200, [1]), Behave(envelope={"messages": "failed"})]
    async with FaultServer(script=script) as server:
        got = [await ask(server, "GET", STATS) for _ in range(3)]

    assert [answer.status for answer in got] == [999, 200, 200]
    assert got[1].json == [1]
    assert got[2].json == {"statusCode": 200, "messages": "failed", "data": {}}


@virtual_time
async def test_early_hints_come_before_the_answer() -> None:
    """Two hundred 103s, and then the right answer, which aiohttp finds."""
    async with (
        FaultServer(script=[Behave(hints=200)]) as server,
        aiohttp.ClientSession(server.url) as session,
        session.get(f"/hl/v2{STATS}") as response,
    ):
        assert response.status == 200
        assert (await response.json())["messages"] == "success"


@virtual_time
async def test_compressed_bodies() -> None:
    """Compressed once, twice, and cut short."""
    script = [Behave(gzip=1), Behave(gzip=2), Behave(gzip=1, cut=8)]
    async with FaultServer(script=script) as server:
        once, twice, cut = [await ask(server, "GET", STATS) for _ in range(3)]

    assert once.fields("Content-Encoding") == ["gzip"]
    assert json.loads(gzip.decompress(once.body))["messages"] == "success"
    assert twice.fields("Content-Encoding") == ["gzip, gzip"]
    assert gzip.decompress(gzip.decompress(twice.body)) == gzip.decompress(once.body)
    with pytest.raises(EOFError):
        gzip.decompress(cut.body)


@virtual_time
async def test_a_bomb_is_small_and_genuine() -> None:
    """Fifty megabytes fit in some fifty kilobytes that inflate without a complaint."""
    async with FaultServer(script=[bomb(50)]) as server:
        got = await ask(server, "GET", STATS)

    assert len(got.body) < 60_000
    inflate = zlib.decompressobj(wbits=31)
    assert len(inflate.decompress(got.body)) == 50 * 2**20
    assert inflate.eof


@virtual_time
async def test_a_flood_stops_when_the_client_leaves() -> None:
    """A client that hangs up after a megabyte is not sent the other thousand."""
    flood = Respond(200, bytes(2**20), repeat=1000)
    async with FaultServer(script=[flood]) as server:
        begun = now()
        async with connected(server) as (reader, writer):
            writer.write(encode("GET", STATS))
            await reader.readexactly(2**20)
            assert server.open_connections == 1
        await asyncio.sleep(0.001)

        assert server.open_connections == 0
        assert kinds(server) == ["received", "dropped"]
        assert now() - begun < 0.01


@virtual_time
async def test_drips_at_its_pace() -> None:
    """Ten bytes a second, head included, and whole in the end."""
    async with FaultServer(script=[Behave(), Behave(drip=(10, 1))]) as server:
        whole = await ask(server, "GET", STATS)
        begun = now()
        dripped = await ask(server, "GET", STATS)

        assert now() - begun == math.ceil(len(whole.raw) / 10) - 1
        assert dripped.body == whole.body
        assert kinds(server) == ["received", "answered"] * 2


@virtual_time
async def test_an_answer_nobody_waits_for_is_dropped() -> None:
    """A client that left before a late answer was not answered."""
    async with FaultServer(script=[Behave(delay=5)]) as server:
        async with connected(server) as (_, writer):
            writer.write(encode("POST", "/reviews/create", WISH))
            await asyncio.sleep(1)
        await asyncio.sleep(10)

        assert kinds(server) == ["received", "committed", "dropped"]


# -- limits and latency ----------------------------------------------------------------------------


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


# -- TLS and the end -------------------------------------------------------------------------------


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
