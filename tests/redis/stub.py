"""A stand-in for Redis that needs no server: it notes each script and answers as it is told."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from hashlib import sha1
from typing import Any, Self

from attrs import Factory, define, field

import mayar_reviews.redis as module

_PAUSE = sha1(module._PAUSE.encode()).hexdigest()


@define
class StubRedis:
    """Speaks enough of Redis's protocol for scripts; opened with `async with`."""

    waits: list[int] = Factory(list)
    """What the next askers for a slot are told to wait, in microseconds; with none left, 0."""
    silent: bool = False
    asked: list[str] = field(factory=list, init=False)
    """What it was told: `new` waiters, `answered` requests, who has `left`, a `PAUSE`."""
    _server: asyncio.Server = field(init=False)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                command = await self._read(reader)
                if self.silent:
                    continue
                writer.write(self._answer(command))
        writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> list[str]:
        count = int((await reader.readuntil(b"\r\n"))[1:])
        words = []
        for _ in range(count):
            size = int((await reader.readuntil(b"\r\n"))[1:])
            words.append((await reader.readexactly(size + 2))[:-2].decode())
        return words

    def _answer(self, command: list[str]) -> bytes:
        if command[0] != "EVALSHA":
            return b"+OK\r\n"
        if command[1] == _PAUSE:
            self.asked.append("PAUSE")
            return b":1\r\n"
        ask = json.loads(command[-1])
        self.asked += [what for what in ("new", "answered", "left") if ask[what]]
        wait = self.waits.pop(0) if self.waits and ask["line"] else 0
        granted = [] if wait else ask["line"]
        return _encode(["ok", ["mark"], 7, wait, granted, [wait] * len(ask["new"])])


def _encode(value: str | int | list[Any]) -> bytes:
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, str):
        return b"$%d\r\n%s\r\n" % (len(value), value.encode())
    return b"*%d\r\n" % len(value) + b"".join(map(_encode, value))
