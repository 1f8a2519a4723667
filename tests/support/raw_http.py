"""Requests to a fault server, byte by byte."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import attrs

from .fault_server import FaultServer

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
