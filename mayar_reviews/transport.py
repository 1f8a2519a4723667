"""One exchange over aiohttp: the only client-side module that imports it.

Sends the key to one origin and nowhere else, bounds what it reads, and turns each of aiohttp's
exceptions into one of ours, by whether anything can have reached the server. Ours are raised
outside the `except` block that caught theirs: theirs carry the request's headers, and with
them the key.

Waiting, trying again and understanding the answer are the business of `call` and `wire`.
"""

from __future__ import annotations

import asyncio
import math
import re
import sys
import traceback
from contextlib import AbstractContextManager, nullcontext
from ipaddress import ip_address
from typing import Any

import aiohttp
from aiohttp.http import HttpProcessingError
from attrs import frozen
from yarl import URL

from .errors import (
    ConnectionFailedError,
    ConnectionLostError,
    InvalidArgumentError,
    MayarError,
    ResponseError,
)
from .version import __version__
from .wire import Answer, Endpoint

_PREFIX = "/hl/v2"
_MAX_BODY = 8 * 1024 * 1024
_CONNECT_TIMEOUT = 10.0
# Shorter than the 5 s after which Node's servers close an idle connection, so that a write
# seldom meets one that is being closed.
_KEEP_ALIVE = 4.0
_USER_AGENT = (
    f"mayar-reviews/{__version__} "
    f"(Python {sys.version_info.major}.{sys.version_info.minor}; aiohttp {aiohttp.__version__})"
)
# With these, nothing has left the process: all else may have reached the server.
_NOT_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
)
_BAD_CERTIFICATE = (aiohttp.ClientConnectorCertificateError, aiohttp.ServerFingerprintMismatch)


@frozen(repr=False)
class Secret:
    """An API key that is not shown by accident."""

    value: str

    def __repr__(self) -> str:
        return "Secret(...)"

    def check(self) -> None:
        """Refuse a key that no header can carry, without repeating it."""
        if not isinstance(self.value, str):
            fault = f"is of type {type(self.value).__name__}"  # type: ignore[unreachable]
        elif not self.value:
            fault = "is empty, or MAYAR_API_KEY is not set"
        elif not (self.value.isascii() and self.value.isprintable()) or " " in self.value:
            fault = "has a space, a line end or another character that no key has"
        else:
            return
        raise InvalidArgumentError(
            f"api_key {fault}: it must be the key as Mayar shows it", field="api_key"
        )


_ORIGIN = re.compile(
    r"(?P<origin>(?P<scheme>https?)://(?P<host>[a-z0-9.-]+|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{1,5}))?)/?",
    re.ASCII | re.IGNORECASE,
)


_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII | re.IGNORECASE)


def check_origin(base_url: object) -> str:
    """The origin that requests and the key go to, without a slash at its end.

    Raises:
        InvalidArgumentError: not an origin, or plain http to anything but this machine.
    """
    match = _ORIGIN.fullmatch(base_url) if isinstance(base_url, str) else None
    if (
        match
        and _is_host(match["host"])
        and int(match["port"] or 1) <= 65535
        and (match["scheme"].lower() == "https" or _is_loopback(match["host"]))
    ):
        return match["origin"]
    raise InvalidArgumentError(
        "base_url is not an origin that the API key may go to: it must be https (http only on "
        "loopback), a host and perhaps a port, such as https://api.mayar.id",
        field="base_url",
    )


def _is_host(host: str) -> bool:
    labels = host.removesuffix(".").split(".")
    return host.startswith("[") or all(_LABEL.fullmatch(label) for label in labels)


def _is_loopback(host: str) -> bool:
    try:
        return host.lower() == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class _DroppedError(aiohttp.ClientError):
    """A dropped connection, under a name that does not make aiohttp send the request again."""


async def _send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    # By itself aiohttp repeats a GET whose connection was dropped, and tells nobody: the server
    # would see twice the requests that we report and pace.
    try:
        return await handler(request)
    except _NOT_SENT:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        pass
    raise _DroppedError


class Transport:
    """A session, its own or a lent one, bound to an origin, a key and an event loop."""

    def __init__(self, key: Secret, origin: str, session: aiohttp.ClientSession | None) -> None:
        if session is not None and not (
            isinstance(session, aiohttp.ClientSession) and session.auto_decompress
        ):
            raise InvalidArgumentError(
                "session cannot be used: it must be an aiohttp.ClientSession that decompresses",
                field="session",
            )
        self._key = key
        self.origin = origin
        self._session = session
        self._owned = session is None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.closed = False

    def check_usable(self) -> None:
        """Refuse use after close, and from a second event loop.

        Raises:
            RuntimeError: one of these.
        """
        if self.closed:
            raise RuntimeError("this ReviewsClient is closed: make a new one")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise RuntimeError(
                "this ReviewsClient was used in another event loop: make one client per loop"
            )
        if self._session is not None and self._session.closed:
            raise RuntimeError("the session lent to this ReviewsClient is closed")

    def check_open(self) -> None:
        """Refuse to send for a call that was waiting when the client was closed.

        Raises:
            ConnectionFailedError: it was.
        """
        if self.closed or (self._session is not None and self._session.closed):
            error = ConnectionFailedError("the client was closed before this was sent")
            error.transient = False
            raise error

    async def aclose(self) -> None:
        """Close the session, unless it is a lent one; calls under way end as lost."""
        self.closed = True
        if self._owned and self._session is not None:
            await self._session.close()

    async def send(self, endpoint: Endpoint[Any], limit: float) -> Answer:
        """Send one request and read its whole answer.

        Args:
            endpoint: the request.
            limit: seconds for all of it.

        Raises:
            ConnectionFailedError: nothing was sent.
            ConnectionLostError: no whole answer came back in time.
            ResponseError: the answer is not HTTP, or too large.
        """
        if self._session is None:
            self._session = _open_session()
        failure: MayarError
        try:
            with _untraced() if endpoint.personal else nullcontext():
                async with (
                    asyncio.timeout(limit),
                    self._session.request(
                        endpoint.method,
                        URL(f"{self.origin}{_PREFIX}{endpoint.target}", encoded=True),
                        data=endpoint.body,
                        headers=self._headers(endpoint),
                        allow_redirects=False,
                        raise_for_status=False,  # which a lent session may have
                        timeout=_timeouts(limit),
                    ) as response,
                ):
                    return await _read(response)
        except MayarError as error:
            failure = error
        except _NOT_SENT as error:
            failure = ConnectionFailedError(_why_not_sent(error))
            failure.transient = not isinstance(error, _BAD_CERTIFICATE)
        except TimeoutError:
            failure = ConnectionLostError(f"no whole answer within {limit:.3g} s")
        except (aiohttp.ClientResponseError, HttpProcessingError):
            failure = ResponseError("an answer that is not HTTP")
        except (aiohttp.ClientError, OSError):
            failure = ConnectionLostError("the connection broke before the whole answer was here")
        except ValueError:
            # So aiohttp refuses a session with credentials of its own, or an impossible host.
            failure = ConnectionFailedError("no request can be made of this origin and session")
            failure.transient = False
        except BaseException as error:
            traceback.clear_frames(error.__traceback__)  # aiohttp's hold the key
            raise
        raise failure.with_traceback(None)

    def _headers(self, endpoint: Endpoint[Any]) -> dict[str, str]:
        headers = {
            "Authorization": f"Bearer {self._key.value}",
            "Accept": "application/json",
            "User-Agent": _USER_AGENT,
        }
        if endpoint.body is not None:
            headers["Content-Type"] = "application/json"
        return headers

    def without_key(self, said: Any) -> Any:
        """What a server said, without the key, should it repeat it."""
        match said:
            case str():
                return said.replace(self._key.value, "[API key]")
            case list():
                return [self.without_key(one) for one in said]
            case dict():
                return {self.without_key(k): self.without_key(v) for k, v in said.items()}
        return said


def _untraced() -> AbstractContextManager[None]:
    """Keep OpenTelemetry, where it is in use, from writing the URL into a span."""
    if "opentelemetry.instrumentation" not in sys.modules:
        return nullcontext()
    from opentelemetry.instrumentation.utils import (  # noqa: PLC0415
        suppress_instrumentation,
    )

    return suppress_instrumentation()


def _open_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        # Pacing is the budget's business: a queue for connections would look like slow ones.
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE),
        cookie_jar=aiohttp.DummyCookieJar(),
        middlewares=(_send_once,),
        # No proxy and no password from the environment: both could receive the key.
        trust_env=False,
    )


def _timeouts(limit: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=None,  # `asyncio.timeout` does it, without aiohttp's rounding to whole seconds
        # Ahead of the limit, as then aiohttp says that it was the connecting that took so long.
        connect=min(_CONNECT_TIMEOUT, limit * 0.9),
        ceil_threshold=math.inf,
    )


async def _read(response: aiohttp.ClientResponse) -> Answer:
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > _MAX_BODY:
            error = ResponseError(f"an answer of more than {_MAX_BODY} bytes")
            error.transient = False
            raise error
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in response.headers.items():
        lower = name.lower()
        headers[lower] = (*headers.get(lower, ()), value)
    return Answer(response.status, headers, b"".join(chunks))


def _why_not_sent(error: BaseException) -> str:
    if isinstance(error, _BAD_CERTIFICATE):
        return "the server's certificate is not one to trust"
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "no connection in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error.strerror or type(error.os_error).__name__
        return f"no connection to {error.host}:{error.port}: {reason}"
    return f"no connection ({type(error).__name__})"
