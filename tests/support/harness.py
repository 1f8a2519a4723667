"""What a broken network must never bring about, checked after everything that is tried.

`observed` runs one call against a `FaultServer` and looks at what the server saw, at what is
left open, and for secrets in everything that the call left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from attrs import define, field

from mayar_reviews import MayarError, RequestEvent, ReviewsClient
from tests.support.fault_server import FaultServer

KEY = "kunci-API-yang-rahasia-9f3a7c"
EMAIL = "ibu.pembeli@example.com"
MESSAGE = "Pesan yang hanya untuk penjual"
SECRETS = (KEY, EMAIL, MESSAGE)

PRODUCT = "product-1"

_TESTS = Path(__file__).parents[1]


@define
class Outcome:
    """What became of a call."""

    result: Any = None
    error: MayarError | None = None
    seconds: float = 0.0
    events: list[RequestEvent] = field(factory=list)

    @property
    def attempts(self) -> int:
        """The exchanges that were reported, one by one."""
        return sum(event.kind == "attempt" for event in self.events)


class _Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{record.getMessage()} {record.__dict__}")


@contextlib.contextmanager
def _logged() -> Any:
    handler, root = _Records(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield handler
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


@contextlib.asynccontextmanager
async def client_of(server: FaultServer, **options: Any) -> AsyncIterator[ReviewsClient]:
    """A client of the server that does not pace itself, closed and with nothing left open."""
    options = {"rate_limit": None} | options
    async with ReviewsClient(KEY, base_url=server.url, **options) as client:
        yield client
    await asyncio.sleep(3)  # a server that drips notices at its next byte
    assert server.open_connections == 0


async def observed(
    server: FaultServer, call: Callable[[ReviewsClient], Awaitable[Any]], **options: Any
) -> Outcome:
    """Make the call; whatever comes of it, what holds after every call must hold."""
    outcome = Outcome()
    loop = asyncio.get_running_loop()
    before = server.ledger.exchanges
    started = loop.time()
    with _logged() as records:
        async with client_of(server, on_event=outcome.events.append, **options) as client:
            try:
                outcome.result = await call(client)
            except MayarError as error:
                outcome.error = error
            outcome.seconds = loop.time() - started
    saw = server.ledger.exchanges - before
    assert outcome.attempts == saw
    assert server.ledger.blind_creations() == []
    for text in (*records.texts, *map(repr, outcome.events), repr(client)):
        assert_no_secret(text)
    if outcome.error is not None:
        assert outcome.error.attempts == saw
        assert_tells_no_secret(outcome.error)
    return outcome


def assert_no_secret(text: str) -> None:
    for secret in SECRETS:
        assert secret not in text


def assert_tells_no_secret(error: BaseException) -> None:
    """Look through the error, what it was raised from, and the frames of this package."""
    linked: list[BaseException | None] = [error]
    while linked:
        seen = linked.pop()
        if seen is None:
            continue
        linked += [seen.__cause__, seen.__context__]
        attributes = {name: value for name, value in vars(seen).items() if name != "existing"}
        assert_no_secret(f"{seen} {seen!r} {attributes} {getattr(seen, '__notes__', '')}")
        assert_frames_tell_no_secret(seen)


def assert_frames_tell_no_secret(error: BaseException) -> None:
    """Look through the local variables of each frame, but for those of the tests themselves."""
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    for frame in report.stack:
        if not Path(frame.filename).is_relative_to(_TESTS):
            assert_no_secret(f"{frame.filename} {frame.name} {frame.locals}")
