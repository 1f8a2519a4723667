"""A wire to Redis that is long, or cut: a proxy that delays every byte, both ways."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

from attrs import define, field


@define
class LongWire:
    """Passes on what comes after half of `round_trip` seconds each way; opened with `async with`."""

    port: int
    round_trip: float
    connections: int = field(default=0, init=False)
    """How many were ever made."""
    _server: asyncio.Server = field(init=False)
    _tasks: set[asyncio.Task[None]] = field(factory=set, init=False)
    _writers: list[asyncio.StreamWriter] = field(factory=list, init=False)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Where it begins."""
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there, away = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers += [writer, away]
        for source, target in ((reader, away), (there, writer)):
            self._tasks.add(asyncio.create_task(self._pass_on(source, target)))

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with suppress(ConnectionError):
            while data := await source.read(65536):
                loop.call_later(self.round_trip / 2, target.write, data)
        loop.call_later(self.round_trip / 2, target.close)
