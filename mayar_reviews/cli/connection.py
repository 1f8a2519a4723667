"""The options that every command shares, and the client that they describe."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from attrs import frozen
from cyclopts import Parameter

from mayar_reviews import (
    PRODUCTION_URL,
    SANDBOX_URL,
    InvalidArgumentError,
    RateLimit,
    RequestEvent,
)
from mayar_reviews.export.key_file import read_key_file

from . import show
from .signals import run_until_stopped

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from mayar_reviews import ReviewsClient

T = TypeVar("T")


@Parameter(name="*", group="Connection")
@frozen
class Connection:
    """The options of every command that talks to Mayar."""

    api_key_file: Path | None = None
    """A file that holds the API key. Otherwise the key is read from MAYAR_API_KEY."""
    sandbox: bool = False
    """Use Mayar's sandbox, which has its own keys."""
    base_url: str | None = None
    """The API's origin. Otherwise MAYAR_API_URL, or production."""
    rate_limit: str = "20/60"
    """The most requests in so many seconds, or `off`."""

    def run(self, main: Callable[[ReviewsClient], Awaitable[T]], *, announce: bool = True) -> T:
        """Open a client, run `main` with it and close it.

        Args:
            main: the command's work.
            announce: whether to show long waits; for commands that do not show them themselves.

        Raises:
            InvalidArgumentError: an option is wrong, or there is no key.
            OSError: the key file cannot be read.
            Stopped: Ctrl-C or SIGTERM stopped it.
        """
        client = self.client(announce=announce)

        async def with_client() -> T:
            async with client:
                return await main(client)

        return run_until_stopped(with_client())

    def budget(self) -> tuple[int, float] | None:
        """Return how many requests may be sent in how many seconds; `None`: any number.

        Raises:
            InvalidArgumentError: the option is malformed.
        """
        if self.rate_limit == "off":
            return None
        requests, _, per = self.rate_limit.partition("/")
        with suppress(ValueError):
            budget = int(requests), float(per)
            RateLimit(*budget)
            return budget
        raise InvalidArgumentError(
            "is malformed: it must be REQUESTS/SECONDS, such as 20/60, or off",
            field="rate_limit",
        )

    def client(
        self, *, session: ClientSession | None = None, announce: bool = True
    ) -> ReviewsClient:
        """Return a client.

        Args:
            session: a session to lend to it.
            announce: whether to show long waits.

        Raises:
            InvalidArgumentError: an option is wrong, or there is no key.
            OSError: the key file cannot be read.
        """
        from mayar_reviews import ReviewsClient  # noqa: PLC0415  it loads aiohttp

        return ReviewsClient(
            self._key(),
            base_url=self._origin(),
            session=session,
            rate_limit=None if (budget := self.budget()) is None else RateLimit(*budget),
            on_event=_announce if announce else None,
        )

    def _key(self) -> str | None:
        if self.api_key_file is not None:
            return read_key_file(self.api_key_file)
        if os.environ.get("MAYAR_API_KEY"):
            return None
        raise InvalidArgumentError(
            "is missing: set MAYAR_API_KEY, or use --api-key-file FILE", field="api_key"
        )

    def _origin(self) -> str:
        if not self.sandbox:
            return self.base_url or os.environ.get("MAYAR_API_URL") or PRODUCTION_URL
        if self.base_url is not None:
            raise InvalidArgumentError("use either --sandbox or --base-url, not both")
        return SANDBOX_URL


DEFAULT_CONNECTION = Connection()
"""What a command uses where no option is given."""


def _announce(event: RequestEvent) -> None:
    """Say why the command waits, if the wait is long enough to notice."""
    if event.kind == "wait" and event.seconds >= 0.5:
        reason = (event.reason or "").replace("_", " ")
        show.say(f"waiting {event.seconds:.0f} s: {reason}", "dim")
