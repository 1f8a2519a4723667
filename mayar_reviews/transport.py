"""One exchange over aiohttp.

It sends the key to one origin, bounds what it reads, and turns each of aiohttp's exceptions into
one of ours: the question is whether anything can have reached the server. Ours are raised
outside the `except` block that caught theirs, because theirs hold the request's headers, and so
the key.
"""

from __future__ import annotations

import asyncio
import math
import sys
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

import aiohttp
from aiohttp.http import HttpProcessingError
from yarl import URL

from .answers import Answer
from .credentials import Secret
from .endpoints import Endpoint
from .errors import (
    ConnectionFailedError,
    ConnectionLostError,
    InvalidArgumentError,
    MayarError,
    ResponseError,
)
from .tracebacks import without_locals
from .version import __version__

_PREFIX = "/hl/v2"
_MAX_BODY = 8 * 1024 * 1024
_CONNECT_TIMEOUT = 10.0
# Node's servers close an idle connection after 5 s. Ours are closed sooner, so that a write
# seldom meets one that is being closed.
_KEEP_ALIVE = 4.0
_USER_AGENT = (
    f"mayar-reviews/{__version__} "
    f"(Python {sys.version_info.major}.{sys.version_info.minor}; aiohttp {aiohttp.__version__})"
)
# After these nothing has left the process. After any other the request may have arrived.
_NOT_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
)
_BAD_CERTIFICATE = (aiohttp.ClientConnectorCertificateError, aiohttp.ServerFingerprintMismatch)


class _DroppedError(aiohttp.ClientError):
    """A dropped connection, as a class that does not make aiohttp send the request again."""


async def _send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    # aiohttp repeats a GET by itself when its connection was dropped. The server would then see
    # more requests than we report and pace.
    try:
        return await handler(request)
    except _NOT_SENT:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        pass
    raise _DroppedError


_connection: ContextVar[asyncio.BaseTransport | None] = ContextVar("connection")


class _Connector(aiohttp.TCPConnector):
    """Drops a kept connection on which bytes came that nobody asked for.

    They would be taken for the answer to the next request.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._used: WeakSet[Any] = WeakSet()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  aiohttp's
    ) -> aiohttp.connector.Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            try:
                if req.method != "GET":
                    # Bytes that have arrived are read in the next round of the event loop.
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
            except BaseException:
                connection.close()
                raise
            protocol = connection.protocol
            if protocol is None or (protocol.is_connected() and not protocol.should_close):
                break
            connection.close()
            if protocol not in self._used:
                raise ConnectionFailedError("the server closed or spoke before it was asked")
        if protocol is not None:
            self._used.add(protocol)
        _connection.set(connection.transport)
        return connection


class Transport:
    """A session, our own or a lent one, bound to an origin, a key and an event loop."""

    def __init__(self, key: Secret, origin: str, session: aiohttp.ClientSession | None) -> None:
        if session is not None and not (
            isinstance(session, aiohttp.ClientSession) and session.auto_decompress
        ):
            raise InvalidArgumentError(
                "cannot be used: it must be an aiohttp.ClientSession with auto_decompress",
                field="session",
            )
        self.key = key
        self.origin = origin
        self._session = session
        self._owned = session is None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.closed: bool = False

    def check_usable(self) -> None:
        """Refuse to begin a call.

        Raises:
            RuntimeError: the client is closed, or belongs to another event loop.
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
        """Refuse to send after the client was closed: the call may have waited meanwhile.

        Raises:
            ConnectionFailedError: the client is closed.
        """
        if self.closed or (self._session is not None and self._session.closed):
            raise _closed_before_sending()

    async def aclose(self) -> None:
        """Close the session unless it is a lent one. Requests under way are lost."""
        self.closed = True
        if self._owned and self._session is not None:
            await self._session.close()

    def drop_connection(self, answer: Answer) -> None:
        """Close the connection of an answer that is not to be trusted, if it is known."""
        if answer.connection is not None:
            answer.connection.close()

    @without_locals
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
        body = endpoint.body
        _connection.set(None)
        try:
            with _untraced() if endpoint.hide_url else nullcontext():
                async with (
                    asyncio.timeout(limit),
                    self._session.request(
                        endpoint.method,
                        URL(f"{self.origin}{_PREFIX}{endpoint.target}", encoded=True),
                        data=body,
                        headers=self._headers(has_body=body is not None),
                        allow_redirects=False,
                        raise_for_status=False,  # a lent session may have it on
                        timeout=_timeouts(limit),
                    ) as response,
                ):
                    return await _read(response)
        except MayarError as error:
            failure = error
        except _NOT_SENT as error:
            failure = ConnectionFailedError(
                _why_not_sent(error), transient=not isinstance(error, _BAD_CERTIFICATE)
            )
        except TimeoutError:
            failure = ConnectionLostError(f"no complete answer within {limit:.3g} s")
        except (aiohttp.ClientResponseError, HttpProcessingError):
            failure = ResponseError("the answer is not HTTP")
        except (aiohttp.ClientError, OSError):
            failure = ConnectionLostError("the connection broke before the answer was complete")
            if self.closed and self._owned and _connection.get() is None:
                failure = _closed_before_sending()
        except ValueError:
            failure = ConnectionLostError("aiohttp could not handle the exchange", transient=False)
            if not self._may_have_sent:
                failure = ConnectionFailedError(
                    "aiohttp cannot send to this origin with this session", transient=False
                )
        raise failure.with_traceback(None)

    @property
    def _may_have_sent(self) -> bool:
        if self._owned:
            return _connection.get() is not None
        # Nothing is known of a lent session's connections. aiohttp refuses a session with
        # credentials of its own before it sends anything.
        return self._session is None or self._session.auth is None

    def _headers(self, *, has_body: bool) -> dict[str, str]:
        headers = {
            "Authorization": f"Bearer {self.key.value}",
            "Accept": "application/json",
            "User-Agent": _USER_AGENT,
        }
        if has_body:
            headers["Content-Type"] = "application/json"
        return headers


def _untraced() -> AbstractContextManager[None]:
    """Keep OpenTelemetry from recording the URL, where it is in use."""
    if "opentelemetry.instrumentation" not in sys.modules:
        return nullcontext()
    from opentelemetry.instrumentation.utils import (  # noqa: PLC0415
        suppress_instrumentation,
    )

    return suppress_instrumentation()


def _open_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        # The rate limit paces requests. A queue for connections would only look like slow ones.
        connector=_Connector(limit=0, keepalive_timeout=_KEEP_ALIVE),
        cookie_jar=aiohttp.DummyCookieJar(),
        middlewares=(_send_once,),
        # No proxy and no netrc from the environment: the key could go there.
        trust_env=False,
    )


def _timeouts(limit: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=None,  # `asyncio.timeout` does it, without aiohttp's rounding to whole seconds
        # A little shorter than the limit, so that aiohttp can say that connecting took so long.
        connect=min(_CONNECT_TIMEOUT, limit * 0.9),
        ceil_threshold=math.inf,
    )


async def _read(response: aiohttp.ClientResponse) -> Answer:
    received_at = asyncio.get_running_loop().time()
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > _MAX_BODY:
            raise ResponseError(f"the answer is larger than {_MAX_BODY} bytes", transient=False)
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in response.headers.items():
        lower = name.lower()
        headers[lower] = (*headers.get(lower, ()), value)
    return Answer(response.status, headers, b"".join(chunks), received_at, _connection.get())


def _closed_before_sending() -> ConnectionFailedError:
    return ConnectionFailedError(
        "the client was closed before the request was sent", transient=False
    )


def _why_not_sent(error: BaseException) -> str:
    if isinstance(error, _BAD_CERTIFICATE):
        return "the server's certificate is not trusted"
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "no connection in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error.strerror or type(error.os_error).__name__
        return f"no connection to {error.host}:{error.port}: {reason}"
    return f"no connection ({type(error).__name__})"
