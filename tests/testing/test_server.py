"""The life of a FakeMayar: start, close, and what must not outlive it."""

import asyncio
import socket
import threading
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from aiohttp import ClientSession, ServerDisconnectedError

from mayar_reviews.testing import FakeMayar
from tests.support.clock import virtual_time

from .conftest import (
    LIST,
    PRODUCT,
    Client,
    eventually,
)


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


@virtual_time
async def test_close_waits_for_nothing_and_leaves_nothing() -> None:
    """Neither idle connections nor stalled and half-sent requests hold it up or outlive it."""
    loop = asyncio.get_running_loop()
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
        begin = loop.time()
        await fake.close()
        assert loop.time() - begin < 1
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


def ask(fake: FakeMayar, path: str) -> int:
    """The status of a request by a client that has no event loop."""
    request = Request(f"{fake.url}/hl/v2{path}", headers={"Authorization": "Bearer fake-key"})
    try:
        with urlopen(request, timeout=30) as answer:
            status: int = answer.status
            return status
    except HTTPError as error:
        with error:
            return error.code


def test_plain_with_serves_from_a_thread() -> None:
    """Any client reaches it, a test can change it meanwhile, and nothing of it is left."""
    threads = set(threading.enumerate())
    with FakeMayar() as fake:
        fake.seed(PRODUCT, 3)
        fake.fail_next(503)
        assert [ask(fake, LIST) for _ in range(2)] == [503, 200]
        fake.stall_next(path="/stats")
        with pytest.raises(TimeoutError), socket.create_connection(address(fake)) as client:
            client.sendall(
                b"GET /hl/v2/merchants/reviews/stats HTTP/1.1\r\nHost: x\r\n"
                b"Authorization: Bearer fake-key\r\n\r\n"
            )
            while len(fake.requests) < 3:
                time.sleep(0.001)
            client.settimeout(0.05)
            client.recv(1)
        with pytest.raises(RuntimeError):
            fake.__enter__()
    assert [request.status for request in fake.requests] == [503, 200, None]
    assert {one for one in threading.enumerate() if one.is_alive()} == threads
    with pytest.raises(OSError, match="refused"), socket.create_connection(address(fake)):
        pass
    with fake:
        assert ask(fake, LIST) == 200


def address(fake: FakeMayar) -> tuple[str, int]:
    return "127.0.0.1", int(fake.url.rpartition(":")[2])


def test_a_test_that_writes_waits_for_the_answer_under_way() -> None:
    """While the thread makes an answer nothing changes under it."""
    with FakeMayar() as fake:
        fake.add_product(PRODUCT)
        begun, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            begun.set()
            assert go_on.wait(60)

        fake.before_list(1, hold)
        reader = threading.Thread(target=ask, args=(fake, LIST))
        writer = threading.Thread(target=fake.add_review, args=(PRODUCT,))
        reader.start()
        assert begun.wait(60)
        writer.start()
        writer.join(0.05)
        assert not fake.reviews
        go_on.set()
        for thread in (reader, writer):
            thread.join()
        assert len(fake.reviews) == 1


def test_host_and_port() -> None:
    """It listens where it is told to, and says where; a port that is taken can be tried again."""
    threads = set(threading.enumerate())
    with FakeMayar(host="localhost") as fake:
        assert ask(fake, "/reviews") == 200
        _, port = address(fake)
        late = FakeMayar(host="0.0.0.0", port=port)
        with pytest.raises(OSError, match=str(port)), late:
            pass
    with late as fake:
        assert fake.url == f"http://127.0.0.1:{port}"
        assert ask(fake, "/reviews") == 200
    assert {one for one in threading.enumerate() if one.is_alive()} == threads


async def test_ipv6() -> None:
    """An address with colons stands in brackets."""
    try:
        async with FakeMayar(host="::1") as fake:
            assert fake.url.startswith("http://[::1]:")
            async with ClientSession() as session:
                assert (await Client(fake, session).get("/reviews"))[0] == 200
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
