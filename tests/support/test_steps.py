"""Every fault is what it claims to be."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import zlib
from typing import Any

import aiohttp
import attrs
import pytest

from .clock import virtual_time
from .fault_server import FaultServer
from .raw_http import STATS, WISH, Got, ask, connected, encode, kinds, now
from .steps import Behave, Break, How, Raw, Respond, Step, bomb, redirect, too_many


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
    [
        ("accept", 0),
        ("request head", 0),
        ("request", 0),
        ("answer head", 1),
        ("body", 2),
        ("answer", 3),
    ],
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


@pytest.mark.parametrize("where", ["accept", "request head", "request", "answer head", "body"])
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
async def test_what_is_told_is_what_was_committed() -> None:
    """An answer that is told whole before the break names the review that was stored."""
    async with FaultServer(script=[Break("answer", commit=True)]) as server:
        told = (await ask(server, "POST", "/reviews/create", WISH)).json["data"]

        [stored] = server.reviews
        assert (told["id"], told["createdAt"]) == (stored["id"], stored["createdAt"])


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
