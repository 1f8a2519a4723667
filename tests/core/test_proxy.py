"""Requests through a proxy, and certificates of one's own: both by a lent session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from mayar_reviews import ConnectionFailedError, RetryPolicy, ReviewsClient
from mayar_reviews.testing import FakeMayar
from tests.support.fault_server import FaultServer, make_review
from tests.support.tls import tls_contexts


class Proxy:
    """A proxy on loopback: it forwards plain requests, and opens tunnels for TLS (CONNECT)."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.heads: list[str] = []
        self.url = ""

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode())
        method, target, _ = head.decode().split(" ", 2)
        if self.status != 200:
            writer.write(f"HTTP/1.1 {self.status} Refused\r\nContent-Length: 0\r\n\r\n".encode())
        else:
            authority = target if method == "CONNECT" else target.split("/")[2]
            host, port = authority.split(":")
            up_reader, up_writer = await asyncio.open_connection(host, int(port))
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                up_writer.write(head)
            await asyncio.gather(_copy(reader, up_writer), _copy(up_reader, writer))
            await _close(up_writer)
        await _close(writer)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.close()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def test_a_lent_session_sends_through_its_proxy() -> None:
    """Reads and writes reach the API through it, and only so."""
    proxy = Proxy()
    connector = aiohttp.TCPConnector(force_close=True)  # a connection for each request
    async with (
        FakeMayar() as fake,
        proxy.serve(),
        aiohttp.ClientSession(connector=connector, proxy=proxy.url) as session,
        ReviewsClient(fake.api_key, base_url=fake.url, session=session) as client,
    ):
        fake.add_purchase("kelas-web", "budi@example.com")
        await client.create_review(
            payment_link_id="kelas-web", customer_email="budi@example.com", rating=5
        )
        assert len((await client.list_reviews()).data) == 1
        assert [head.split(" HTTP")[0] for head in proxy.heads] == [
            f"POST {fake.url}/hl/v2/reviews/create",
            f"GET {fake.url}/hl/v2/reviews",
        ]


async def test_trust_env_lets_the_environment_name_the_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The client's own session ignores it, because the key could go there."""
    proxy = Proxy()
    async with FakeMayar() as fake, proxy.serve():
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with ReviewsClient(fake.api_key, base_url=fake.url) as client:
            await client.list_reviews()
        assert not proxy.heads
        async with (
            aiohttp.ClientSession(trust_env=True) as session,
            ReviewsClient(fake.api_key, base_url=fake.url, session=session) as client,
        ):
            await client.list_reviews()
        assert len(proxy.heads) == 1
        assert len(fake.requests) == 2


async def test_a_tunnel_hides_the_key_and_trusts_the_certificate_of_the_session(
    tmp_path: Path,
) -> None:
    """A proxy that opens a tunnel sees the host and the port, and no more."""
    server_context, client_context = tls_contexts(tmp_path)
    proxy = Proxy()
    connector = aiohttp.TCPConnector(ssl=client_context)
    async with (
        FaultServer([make_review(1)], ssl_context=server_context) as server,
        proxy.serve(),
        aiohttp.ClientSession(connector=connector, proxy=proxy.url) as session,
        ReviewsClient("secret-key", base_url=server.url, session=session) as client,
    ):
        assert len((await client.list_reviews()).data) == 1
        [head] = proxy.heads
        assert head.startswith("CONNECT ")
        assert "secret-key" not in head


async def test_a_proxy_that_refuses_the_tunnel_is_a_failed_connection(tmp_path: Path) -> None:
    """Nothing reached the API, so a write may be sent again."""
    server_context, client_context = tls_contexts(tmp_path)
    proxy = Proxy(status=407)
    connector = aiohttp.TCPConnector(ssl=client_context)
    async with (
        FaultServer(ssl_context=server_context) as server,
        proxy.serve(),
        aiohttp.ClientSession(connector=connector, proxy=proxy.url) as session,
        ReviewsClient(
            "secret-key",
            base_url=server.url,
            session=session,
            retry=RetryPolicy(attempts=2, backoff_initial=0),
        ) as client,
    ):
        with pytest.raises(ConnectionFailedError) as caught:
            await client.create_review(
                payment_link_id="kelas-web", customer_email="budi@example.com", rating=5
            )
        assert caught.value.attempts == 2
        assert not server.ledger.received()
