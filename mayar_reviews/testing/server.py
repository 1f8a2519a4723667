"""`FakeMayar`: the reviews API of Mayar on a port of this machine, for tests."""

import asyncio
import json
import math
import threading
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Mapping
from email.utils import formatdate
from http.client import responses as reasons
from typing import Any, Self, TypeVar

from aiohttp import web
from attrs import define, field, frozen

from .api import Keys, Reply, Request, ReviewsApi, refusal
from .personality import Cursor, Omits, Order, Paginate, Personality, Stats
from .store import Store

T = TypeVar("T")


def _without_key(headers: dict[str, str]) -> str:
    return repr({name: text for name, text in headers.items() if name.lower() != "authorization"})


@frozen
class RecordedRequest:
    """One request that a `FakeMayar` got, and the status it answered with."""

    method: str
    #: Decoded and without the query: `/hl/v2/reviews`.
    path: str
    #: Decoded.
    query: dict[str, str]
    #: By their names as sent; `Authorization` is left out of the repr.
    headers: dict[str, str] = field(repr=_without_key)
    #: Parsed; None if there was no body or it was not JSON.
    body: Any
    #: When all of it had arrived, in seconds of the event loop's clock.
    at: float
    #: None if there was no answer: dropped or stalled.
    status: int | None


@define
class _Fault:
    """What becomes of requests instead of their answer."""

    times: float
    processed: bool
    path: str
    reply: Reply | None = None
    drop: bool = False  # without a reply: whether to break the connection or to stay silent


class FakeMayar(Store):
    """A fake Mayar: a real HTTP server that has the whole reviews API.

    Add products, purchases and reviews, before it starts or while it runs. Give its `url` to a
    client, make requests fail, and look at what it received:

        async with FakeMayar() as fake:
            fake.seed("kelas-web", 120)
            fake.fail_next(503)
            async with ReviewsClient(fake.api_key, base_url=fake.url) as client:
                page = await client.list_product_reviews("kelas-web")
            assert [request.status for request in fake.requests] == [503, 200]

    `async with` serves in the running event loop. Plain `with` serves in a thread of its own: use
    it where the client has another event loop or none, as with FastAPI's `TestClient`, Django and
    unittest.

    Args:
        api_key: the key that may read and write. Any other gets 401.
        rate_limit: `(requests, seconds)`, both above 0 (else `ValueError`). Requests beyond so
            many in so many seconds get 429, with the whole seconds to wait in `Retry-After`, and
            do not count.
        read_only_key: a key whose writes get 403.
        account_gone_key: a key whose account was deleted; it gets 404.
        host: the address to listen on.
        port: the port to listen on; 0 is any free one.
        clock: returns the server's time in Unix milliseconds.
        order: how lists are sorted. `"updated"`: by `updatedAt`, newest first, as the real lists
            were seen; `"created"`: by `createdAt`, newest first; `"added"`: as the reviews were
            added.
        cursor: what a cursor is. `"created"`: the last row's `createdAt`, as the real lists
            probably have it; `"updated"`: its `updatedAt`; `"offset"`: a number of rows, opaque.
            Order `"updated"` with cursor `"created"` loses reviews that were edited.
        stats: `"right"`; `"stale"`: the figures of the first request or of `count_stats()`;
            `"broken"`: 500, as was seen.
        ignores: query parameters of lists that have no effect, such as `{"rating"}`.
        omits: called with a review and a query; returns whether the list leaves the review out.
        cliff: a full page of 50 lacks its first two and its last five rows, and says that it is
            the last page, as was seen in another list.
        status_in_body: refusals are HTTP 200, with their status only in the body.
        paginate: cuts pages instead of `cursor`. Called with all reviews that match, the cursor as
            sent and the limit; returns a page and the next cursor, `None` at the end.

    The attribute `personality` holds `order` and all that follows it: set its fields to change the
    server while it runs. The server checks a request's key, the rate limit and the faults that you
    asked for, in this order; then the API answers. `requests` has every request, answered or not.
    """

    def __init__(
        self,
        api_key: str = "fake-key",
        rate_limit: tuple[int, float] | None = None,
        *,
        read_only_key: str | None = None,
        account_gone_key: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], int] | None = None,
        order: Order = "updated",
        cursor: Cursor = "created",
        stats: Stats = "right",
        ignores: Collection[str] = (),
        omits: Omits | None = None,
        cliff: bool = False,
        status_in_body: bool = False,
        paginate: Paginate | None = None,
    ) -> None:
        super().__init__(clock)
        if rate_limit is not None and min(rate_limit) <= 0:
            raise ValueError(f"rate_limit must be above 0, not {rate_limit}")
        self._lock = threading.RLock()
        self.api_key = api_key
        #: Every request, in the order of arrival; clear it as you like.
        self.requests: list[RecordedRequest] = []
        #: What kind of server it is; set its fields to change it.
        self.personality: Personality = Personality(
            order=order,
            cursor=cursor,
            stats=stats,
            ignores=ignores,
            omits=omits,
            cliff=cliff,
            status_in_body=status_in_body,
            paginate=paginate,
        )
        keys = Keys(api_key, read_only_key, account_gone_key)
        self._api = ReviewsApi(self, self.personality, keys)
        self._rate_limit = rate_limit
        self._admitted = deque[float]()
        self._faults: list[_Fault] = []
        self._host, self._port = host, port
        self._runner: web.AppRunner | None = None
        self._thread: _LoopThread | None = None
        self._url: str | None = None

    @property
    def url(self) -> str:
        """The origin to give to a client: `http://127.0.0.1:PORT`.

        Before the first `start()` it raises `RuntimeError`; after `close()` nobody listens there.
        """
        if self._url is None:
            raise RuntimeError("FakeMayar has no url before it is started")
        return self._url

    async def start(self) -> None:
        """Listen, as `async with` does; `RuntimeError` if it does already."""
        if self._runner is not None:
            raise RuntimeError("FakeMayar is started already")
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", r"/{path:[\s\S]*}", self._serve)  # an id may hold a line's end
        # No request outlives its client, and none that is stalled or half sent holds up close().
        self._runner = web.AppRunner(
            app,
            handler_cancellation=True,
            shutdown_timeout=0.01,
            access_log=None,
            # aiohttp's own limit is less than a long cursor takes, percent-encoded.
            max_line_size=64 * 2**10,
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError:
            await self.close()
            raise
        host, port = self._runner.addresses[0][:2]
        host = str(host)
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
        self._url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def close(self) -> None:
        """Break all connections and stop listening; what is stored and recorded stays."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __enter__(self) -> Self:
        thread = _LoopThread()
        try:
            thread.run(self.start())
        except BaseException:
            thread.stop()
            raise
        self._thread = thread
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._thread.run(self.close())
            self._thread.stop()
            self._thread = None

    def fail_next(
        self,
        status: int,
        times: float = 1,
        *,
        retry_after: int | str | None = None,
        message: str | None = None,
        processed: bool = False,
        path: str = "",
    ) -> None:
        """Answer the next `times` requests with this HTTP status (200-599), whatever they ask.

        `message` is sent as `messages` (by default the status's usual name) and `retry_after` as
        the header `Retry-After`: seconds, or the text itself. With `processed`, a request takes
        effect first: the write is done, and only its answer is lost. `path` limits the fault to
        requests whose path ends with it, such as `/reviews/create`.

        Faults of all kinds form one queue: a request takes the first one that is for its path. A
        request that is refused for its key or the rate limit takes none. `times` may be
        `math.inf`; below 1 it raises `ValueError`, as other statuses do. `clear_faults()` empties
        the queue.
        """
        if not 200 <= status <= 599:
            raise ValueError(f"status must be 200-599, not {status}")
        messages = reasons.get(status, "Error") if message is None else message
        reply = refusal(status, messages)
        if retry_after is not None:
            reply = Reply(status, reply.envelope, {"Retry-After": str(retry_after)})
        self._plan(_Fault(times, processed, path, reply))

    def drop_next(self, times: float = 1, *, processed: bool = False, path: str = "") -> None:
        """Break the connection of the next `times` requests without an answer.

        `processed`, `path`, the queue and `ValueError` are as for `fail_next`.
        """
        self._plan(_Fault(times, processed, path, drop=True))

    def stall_next(self, times: float = 1, *, processed: bool = False, path: str = "") -> None:
        """Never answer the next `times` requests, until the client leaves or `close()`.

        `processed`, `path`, the queue and `ValueError` are as for `fail_next`.
        """
        self._plan(_Fault(times, processed, path))

    def clear_faults(self) -> None:
        """Forget the faults that no request has taken yet."""
        with self._lock:
            self._faults.clear()

    def before_list(self, number: int, call: Callable[[], object]) -> None:
        """Call `call` when the `number`-th list request from now has arrived.

        1 is the next one. The answer to that request shows what `call` has changed. To edit a
        review between pages 1 and 2:

            fake.before_list(2, lambda: fake.edit_review("review-7", rating=1))
        """
        self._api.before_list(number, call)

    def count_stats(self) -> None:
        """Count all statistics now; `stats="stale"` keeps showing these figures."""
        with self._lock:
            self._api.count_stats()

    def _plan(self, fault: _Fault) -> None:
        if fault.times < 1:
            raise ValueError(f"times must be at least 1, not {fault.times}")
        with self._lock:
            self._faults.append(fault)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        """Answer, or fail, one request."""
        asked = Request(
            request.method,
            request.rel_url.raw_path,
            dict(request.query),
            _parsed(await request.read()),
            request.headers.get("Authorization"),
        )
        loop = asyncio.get_running_loop()
        at = loop.time()
        with self._lock:
            fault = None
            reply = self._api.check_key(asked) or self._refuse_over_limit(at)
            if reply is None:
                fault = self._next_fault(request.path)
                if fault is None or fault.processed:
                    reply = self._api.handle(asked)
                if fault is not None:
                    reply = fault.reply
            self.requests.append(
                RecordedRequest(
                    method=request.method,
                    path=request.path,
                    query=dict(asked.query),
                    headers=dict(request.headers),
                    body=asked.body,
                    at=at,
                    status=None if reply is None else reply.status,
                )
            )
            # Encode it under the lock: the reviews that it shows may change afterwards.
            body = None if reply is None else _encoded(reply.envelope)
        if reply is not None:
            date = formatdate(self.clock() / 1000, usegmt=True)
            return web.Response(
                status=reply.status,
                body=body,
                content_type="application/json",
                charset="utf-8",
                headers={"Date": date, **reply.headers},
            )
        if fault is not None and fault.drop and request.transport is not None:
            request.transport.abort()
        never: asyncio.Future[web.Response] = loop.create_future()
        return await never  # cancelled by aiohttp when the connection is gone, or in close()

    def _refuse_over_limit(self, at: float) -> Reply | None:
        if self._rate_limit is None:
            return None
        requests, seconds = self._rate_limit
        while self._admitted and self._admitted[0] + seconds <= at:
            self._admitted.popleft()
        if len(self._admitted) >= requests:
            wait = math.ceil(self._admitted[0] + seconds - at)
            envelope = refusal(429, "Too Many Requests").envelope
            return self._api.dress(Reply(429, envelope, {"Retry-After": str(wait)}))
        self._admitted.append(at)
        return None

    def _next_fault(self, path: str) -> _Fault | None:
        for index, fault in enumerate(self._faults):
            if path.endswith(fault.path):
                fault.times -= 1
                if fault.times < 1:
                    del self._faults[index]
                return fault
        return None


class _LoopThread:
    """A thread that runs an event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="FakeMayar")
        self._thread.daemon = True  # a server that nobody closes does not keep a program alive
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there, and wait for it here."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def stop(self) -> None:
        """End the loop and the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _encoded(envelope: Mapping[str, Any]) -> bytes:
    # UTF-8 has no half surrogate pairs; escaped by Python, one is escaped for JSON as well.
    return json.dumps(envelope, ensure_ascii=False).encode(errors="backslashreplace")


def _parsed(sent: bytes) -> Any:
    try:
        return json.loads(sent, parse_float=_number)
    except (ValueError, RecursionError):
        return None


def _number(text: str) -> float:
    # To JavaScript, in which the API is written, 5.0 is the integer 5.
    number = float(text)
    return int(number) if number.is_integer() else number
