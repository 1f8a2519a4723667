"""The clock: waiting is free, bytes are not waited for, and nothing may be left behind."""

from __future__ import annotations

import asyncio
import selectors
import socket
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from .clock import START, VirtualClockLoop, virtual_run, virtual_time


def now() -> float:
    return asyncio.get_running_loop().time()


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Serve `handler` on a loopback port of the running loop and give its URL."""
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await handler(reader, writer)
        finally:
            writer.close()
            connections.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield "http://{}:{}".format(*server.sockets[0].getsockname())
    finally:
        server.close()
        await asyncio.gather(*connections)


async def answer_ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request with "ok" until the client leaves."""
    while True:
        try:
            await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@virtual_time
async def test_starts_at_a_time_of_its_own() -> None:
    """The clock starts where it says, not at zero and not at the machine's uptime."""
    assert isinstance(asyncio.get_running_loop(), VirtualClockLoop)
    assert now() == START != 0


def test_an_hour_of_sleep_takes_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour passes exactly, and the machine is never made to wait for more than an instant."""
    waits: list[float | None] = []
    select = selectors.DefaultSelector.select

    def watched(self: selectors.DefaultSelector, timeout: float | None = None) -> Any:
        waits.append(timeout)
        return select(self, timeout)

    monkeypatch.setattr(selectors.DefaultSelector, "select", watched)

    async def main() -> float:
        begun = now()
        for _ in range(60):
            await asyncio.sleep(60)
        return now() - begun

    assert virtual_run(main()) == 3600.0
    assert all(wait is not None and wait <= 0.001 for wait in waits)


@virtual_time
async def test_sleepers_wake_in_order() -> None:
    """Timers fire in the order of their times, each at its own."""
    begun = now()
    woken: list[tuple[int, float]] = []

    async def sleeper(seconds: int) -> None:
        await asyncio.sleep(seconds)
        woken.append((seconds, now() - begun))

    await asyncio.gather(*(sleeper(seconds) for seconds in (5, 3, 86_400 * 30, 1)))

    assert woken == [(1, 1), (3, 3), (5, 5), (86_400 * 30, 86_400 * 30)]


@virtual_time
async def test_a_timeout_times_out() -> None:
    """`asyncio.timeout` runs on the virtual clock."""
    begun = now()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(30):
            await asyncio.Event().wait()

    assert now() - begun == 30


@virtual_time
async def test_loopback_costs_no_virtual_time() -> None:
    """200 requests one after another beside a pending 30 s timer: not a microsecond passes."""
    timer = asyncio.get_running_loop().call_later(30, pytest.fail, "the clock ran")
    begun = now()

    async with serving(answer_ok) as url, aiohttp.ClientSession() as session:
        for _ in range(200):
            async with session.get(url) as response:
                assert await response.text() == "ok"

    assert now() == begun
    timer.cancel()


@virtual_time
async def test_fresh_connections_cost_no_virtual_time() -> None:
    """Connecting and hanging up over loopback is free too."""
    begun = now()
    timeout = aiohttp.ClientTimeout(total=30, connect=1)

    async with serving(answer_ok) as url:
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            for _ in range(50):
                async with session.get(url) as response:
                    assert await response.text() == "ok"

    assert now() == begun


@virtual_time
async def test_megabytes_cost_no_virtual_time() -> None:
    """A body far larger than any socket buffer crosses while the clock stands."""
    size = 32 * 1024 * 1024

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(32):
            writer.write(bytes(1024 * 1024))
            await writer.drain()

    begun = now()

    async with (
        serving(flood) as url,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
        session.get(url) as response,
    ):
        assert len(await response.read()) == size

    assert now() == begun


@virtual_time
async def test_server_latency_is_virtual() -> None:
    """A server that sleeps costs the client that much virtual time, to the second."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(7)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    begun = now()

    async with (
        serving(slow) as url,
        aiohttp.ClientSession() as session,
        session.get(url) as response,
    ):
        assert await response.text() == "ok"

    assert now() - begun == 7


@virtual_time
async def test_a_thread_costs_no_virtual_time() -> None:
    """The clock waits for the executor: a slow name look-up cannot run into a timeout."""
    begun = now()

    async with asyncio.timeout(0.01):
        await asyncio.to_thread(time.sleep, 0.1)
        await asyncio.get_running_loop().getaddrinfo("localhost", 80)

    assert now() == begun


@virtual_time
async def test_waits_for_real_when_nothing_is_scheduled() -> None:
    """With no timer to jump to, the loop blocks until a foreign thread wakes it."""
    woken = asyncio.Event()
    loop = asyncio.get_running_loop()
    thread = threading.Timer(0.05, lambda: loop.call_soon_threadsafe(woken.set))
    thread.start()

    await woken.wait()

    assert now() == START
    thread.join()


def test_fixtures_and_parameters_reach_a_decorated_test(tmp_path: object) -> None:
    """`virtual_time` hands arguments in and the result out."""

    @virtual_time
    async def echo(value: object) -> object:
        return value

    assert echo(tmp_path) is tmp_path


def test_an_exception_comes_out_as_it_is() -> None:
    """What the coroutine raises, `virtual_run` raises."""

    async def main() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        virtual_run(main())


def test_a_pending_task_fails_the_run() -> None:
    """A task nobody awaited is reported, and cancelled."""
    cancelled = False

    async def linger() -> None:
        nonlocal cancelled
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            cancelled = True
            raise

    async def main() -> asyncio.Task[None]:
        return asyncio.create_task(linger())

    with pytest.raises(AssertionError, match=r"pending task: .*linger"):
        virtual_run(main())
    assert cancelled


def test_a_task_that_ends_by_itself_is_no_offence() -> None:
    """What needs no time to end may end after the coroutine."""

    async def main() -> asyncio.Task[None]:
        return asyncio.create_task(asyncio.sleep(0))

    assert virtual_run(main()).done()


def test_an_unretrieved_error_fails_the_run() -> None:
    """A task that failed unseen is reported, though only a destructor knows."""

    async def explode() -> None:
        raise LookupError

    async def main() -> None:
        task = asyncio.create_task(explode())
        await asyncio.wait([task])

    with pytest.raises(AssertionError, match=r"never retrieved: LookupError\(\)"):
        virtual_run(main())


def test_an_error_in_a_callback_fails_the_run() -> None:
    """A callback that raises goes to the loop's exception handler, which is reported."""

    async def main() -> None:
        asyncio.get_running_loop().call_soon([].pop)

    with pytest.raises(AssertionError, match="pop from empty list"):
        virtual_run(main())


def test_an_open_generator_fails_the_run() -> None:
    """An async generator left half-way, but still held, is reported; a closed one is not."""
    held = []

    async def numbers() -> AsyncGenerator[int, None]:
        yield 1
        yield 2

    async def main(*, close: bool) -> None:
        generator = numbers()
        held.append(generator)
        assert await anext(generator) == 1
        if close:
            await generator.aclose()

    with pytest.raises(AssertionError, match=r"open async generator: .*numbers"):
        virtual_run(main(close=False))
    virtual_run(main(close=True))


@virtual_time
async def test_a_reset_arrives_without_the_clock() -> None:
    """A connection reset is an event like any other and takes no time."""

    async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    begun = now()

    async with serving(reset) as url, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            async with session.post(url):
                pass

    assert now() == begun
