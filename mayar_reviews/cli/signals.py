"""Running a command in an event loop that Ctrl-C or SIGTERM can stop."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_GRACE = 1.0


class Stopped(Exception):  # noqa: N818  not an error: somebody asked for it
    """A signal stopped the command, and everything in its event loop is closed."""

    def __init__(self, number: int, message: str = "stopped") -> None:
        super().__init__(message)
        self.number = number
        """The signal's number."""


def run_until_stopped(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, or until Ctrl-C or SIGTERM cancels it.

    Raises:
        Stopped: a signal cancelled it. What is left to do then takes no time. A further signal
            gives it one more second, in case it hangs: a reader of the output may have stalled.
    """
    received: list[int] = []
    # Only the main thread may set signal handlers.
    usual = (
        {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        if threading.current_thread() is threading.main_thread()
        else {}
    )

    async def supervise() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def stop(number: int, _: object) -> None:
            received.append(number)
            if len(received) == 2:
                end = threading.Timer(_GRACE, os._exit, [128 + number])
                end.daemon = True
                end.start()
            if not task.done():
                loop.call_soon_threadsafe(task.cancel)

        for number in usual:
            signal.signal(number, stop)
        try:
            return await main
        except asyncio.CancelledError:
            if not received:
                raise
        raise Stopped(received[0])

    try:
        return asyncio.run(supervise())
    finally:
        if not received:
            for number, handler in usual.items():
                signal.signal(number, handler)
