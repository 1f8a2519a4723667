"""From the options that every command shares to an open client, and the one event loop."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from attrs import frozen
from cyclopts import Parameter

from mayar_reviews import (
    PRODUCTION_URL,
    SANDBOX_URL,
    InvalidArgumentError,
    RateLimit,
    RequestEvent,
    ReviewsClient,
)

from . import show

T = TypeVar("T")


class Stopped(Exception):  # noqa: N818  not an error: somebody wanted it
    """A command was ended by a signal, after everything in its event loop was closed."""

    def __init__(self, number: int, message: str = "stopped") -> None:
        super().__init__(message)
        self.number = number


def drive(job: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine until it is done, or cancelled by Ctrl-C or SIGTERM.

    Raises:
        Stopped: it was cancelled. Both signals are ignored from then on: what is left to do takes
            no time, and should not be cut short.
    """
    received: list[int] = []
    # No other thread may say what a signal does.
    usual = (
        {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        if threading.current_thread() is threading.main_thread()
        else {}
    )

    async def supervised() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def stop(number: int, _: object) -> None:
            received.append(number)
            if not task.done():
                loop.call_soon_threadsafe(task.cancel)

        for number in usual:
            signal.signal(number, stop)
        try:
            return await job
        except asyncio.CancelledError:
            if not received:
                raise
        raise Stopped(received[0])

    try:
        return asyncio.run(supervised())
    finally:
        for number, handler in usual.items():
            signal.signal(number, signal.SIG_IGN if received else handler)


def _rate_limit(text: str) -> RateLimit | None:
    if text == "off":
        return None
    requests, _, per = text.partition("/")
    with suppress(ValueError):
        return RateLimit(int(requests), per=float(per))
    raise InvalidArgumentError(
        "rate_limit is not one: it must be REQUESTS/SECONDS, such as 20/60, or off",
        field="rate_limit",
    )


@Parameter(name="*", group="Connection")
@frozen
class Connection:
    """The options of every command that talks to Mayar."""

    api_key_file: Path | None = None
    """A file that holds the API key; otherwise it is read from MAYAR_API_KEY."""
    sandbox: bool = False
    """Talk to Mayar's sandbox, which has keys of its own."""
    base_url: str | None = None
    """The API's origin; otherwise MAYAR_API_URL, else production."""
    rate_limit: str = "20/60"
    """The most requests in so many seconds, or `off`."""

    def run(self, job: Callable[[ReviewsClient], Awaitable[T]], *, announce: bool = True) -> T:
        """Open a client, do a job with it, close it; announce long waits unless the job does.

        Raises:
            InvalidArgumentError: an option is no good, or there is no key.
            OSError: the key's file cannot be read.
            Stopped: somebody wanted it to end.
        """
        client = ReviewsClient(
            self._key(),
            base_url=self._origin(),
            rate_limit=_rate_limit(self.rate_limit),
            on_event=_announce if announce else None,
        )

        async def with_client() -> T:
            async with client:
                return await job(client)

        return drive(with_client())

    def _origin(self) -> str:
        if not self.sandbox:
            return self.base_url or os.environ.get("MAYAR_API_URL", PRODUCTION_URL)
        if self.base_url is not None:
            raise InvalidArgumentError(
                "base_url and --sandbox are two origins: give one of them", field="base_url"
            )
        return SANDBOX_URL

    def _key(self) -> str | None:
        if self.api_key_file is not None:
            # What is not text is no key either, and the client says so.
            return self.api_key_file.read_text(encoding="utf-8", errors="replace").strip()
        if os.environ.get("MAYAR_API_KEY"):
            return None
        raise InvalidArgumentError(
            "there is no API key: set MAYAR_API_KEY, or give --api-key-file FILE", field="api_key"
        )


def _announce(event: RequestEvent) -> None:
    """Say why nothing seems to happen, when it will take a while."""
    if event.kind == "wait" and event.seconds >= 0.5:
        reason = (event.reason or "").replace("_", " ")
        show.say(f"waiting {event.seconds:.0f} s: {reason}", "dim")
