"""An event loop without sockets, whose time jumps to the next timer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

START = 1_000.0


class StuckError(Exception):
    """Nothing can happen any more, and somebody still waits."""


class _Clock:
    """Stands where a loop has its selector: it lets time pass."""

    now = START

    def select(self, timeout: float | None) -> tuple[()]:
        if timeout is None:
            raise StuckError
        self.now += timeout
        return ()


class SimulatedLoop(asyncio.BaseEventLoop):
    """The loop of asyncio, with a virtual clock and no I/O."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Clock()
        self.complaints: list[str] = []
        """What was left behind or caught by nobody."""
        self.set_exception_handler(self._complain)

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self._selector.now

    def _process_events(self, _: object) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def _complain(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.complaints.append(f"{context['message']}: {context.get('exception')!r}")

    def _asyncgen_finalizer_hook(self, generator: AsyncGenerator[Any, Any]) -> None:
        self.complaints.append(f"an async generator was not closed: {generator!r}")
        super()._asyncgen_finalizer_hook(generator)  # type: ignore[misc]
