"""A server that fails as its script says, and records what it saw.

It has the whole reviews API over raw streams, so it can do what no web framework allows::

    async with FaultServer(customers={"budi@example.com": "customer-1"}) as server:
        server.script += [
            Respond(503),  # the first request, whatever it is
            Break("request", "reset", on="create", commit=True),  # a creation: done but not told
        ]
        ...  # drive a client against server.url
        assert len(server.ledger.creations) == 1
        assert server.ledger.blind_creations() == []

A request takes the first step of `FaultServer.script` that applies to it. Without one the server
answers correctly. `FaultServer.ledger` records what happened, and `FaultServer.reviews` holds the
reviews. Time is the event loop's, so the server works in virtual time as well.
"""

from __future__ import annotations

import asyncio
import copy
import math
import random
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeAlias
from urllib.parse import parse_qsl

from attrs import evolve

from mayar_reviews.testing.api import PREFIX, Reply, Request, ReviewsApi, route_of
from mayar_reviews.testing.personality import Paginate, Personality
from mayar_reviews.testing.store import Store

from .ledger import Entry, Ledger
from .steps import JSON, Answer, Behave, Break, How, Misbehave, Raw, Respond, Step, too_many
from .wire import Wire, break_off, parsed, render

__all__ = ["PREFIX", "WALL_CLOCK", "FaultServer", "make_review"]

Record: TypeAlias = dict[str, JSON]

WALL_CLOCK = 1_767_000_000
"""Unix time, in seconds, at which the loop's clock would stand at zero."""


def wall_clock() -> int:
    """The loop's time in Unix milliseconds; zero on the loop's clock where no loop runs."""
    try:
        return int((WALL_CLOCK + _now()) * 1000)
    except RuntimeError:
        return WALL_CLOCK * 1000


def make_review(number: int, **fields: JSON) -> Record:
    """Return a review as the lists show it, told apart by `number`; `fields` replace its own."""
    customer = fields.get("customerId", f"customer-{number}")
    product = fields.get("paymentLinkId", "product-1")
    created = WALL_CLOCK * 1000 + number
    return {
        "id": f"review-{number}",
        "createdAt": created,
        "customerId": customer,
        "message": f"Message {number}",
        "paymentLinkId": product,
        "status": "ACTIVE",
        "rating": 5,
        "updatedAt": created,
        "userId": "user-1",
        "multipleImage": [],
        "content": [],
        "customer": {"id": customer, "name": f"Customer {customer}"},
        "paymentLink": {
            "id": product,
            "name": f"Product {product}",
            "type": "course",
            "link": product,
            "subType": None,
        },
    } | fields


class FaultServer:
    """A reviews API on loopback, opened with `async with`.

    `reviews` are stored exactly as they are, so they may be malformed. Any product exists, anyone
    has bought it, and every key is right. By default a list shows the reviews in the order in
    which they were added, and its cursors are opaque (`c50`: skip fifty), so that a test knows
    each page. The fields of `Personality` (`order`, `cursor`, `stats`, …) make it another server,
    and `paginate` cuts pages as a test wants.

    `customers` are ids by email. `guard_conflicts=False` lets one customer review a product twice.
    `limit` is `(requests, seconds)`: requests beyond it in a sliding window get 429.
    `latency` is `(low, high)`: each way of each exchange takes that many seconds, chosen by `seed`
    as the ids of new reviews are; a request counts, and is noted, when it arrives. `ssl_context` makes it speak TLS. `clock` is
    the server's, in Unix milliseconds; `createdAt`, `updatedAt` and `Date` go by it.
    """

    def __init__(
        self,
        reviews: Sequence[Record] = (),
        *,
        customers: Mapping[str, str] | None = None,
        paginate: Paginate | None = None,
        guard_conflicts: bool = True,
        script: Sequence[Step] = (),
        limit: tuple[int, float] | None = None,
        latency: tuple[float, float] = (0.0, 0.0),
        seed: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        port: int = 0,
        clock: Callable[[], int] = wall_clock,
        **personality: Any,
    ) -> None:
        self.store = Store(clock, seed=seed)
        for email, customer_id in (customers or {}).items():
            self.store.add_customer(email, customer_id=customer_id)
        for review in reviews:
            self.store.put_review(review)
        traits: dict[str, Any] = {
            "order": "added",
            "cursor": "offset",
            "open_shop": True,
        } | personality
        self.personality = Personality(paginate=paginate, guard_conflicts=guard_conflicts, **traits)
        self.api = ReviewsApi(self.store, self.personality)
        self.ledger = Ledger(customer=self.store.customer)
        self.script: list[Step] = list(script)
        self.connections = 0
        """How many connections were ever accepted."""
        self.peak = 0
        """The most requests ever seen in one window of the limit."""
        self._limit = limit
        self._arrivals: deque[float] = deque()
        self._admitted: deque[float] = deque()
        self._latency = latency
        self._random = random.Random(seed)
        self._ssl_context = ssl_context
        self._port = port
        self._numbers = 0
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self._port, limit=2**20
        )
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop listening, cut every connection, forget the commits that have not landed."""
        self._server.close()
        tasks = [*self._connections, *self._tasks]
        for writer in self._connections.values():
            writer.transport.abort()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)  # not gather: what a task died of must not be retrieved here
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """The origin to give to a client."""
        return f"{'https' if self._ssl_context else 'http'}://127.0.0.1:{self._port}"

    @property
    def open_connections(self) -> int:
        """How many connections are open, seen from here."""
        return len(self._connections)

    @property
    def reviews(self) -> list[Record]:
        """All reviews, in the order in which they were added; change them at will."""
        return list(self.store.reviews.values())

    def review(self, review_id: str) -> Record:
        """Return the review of an id as it is now."""
        return self.store.reviews[review_id]

    # -- one connection ----------------------------------------------------------------------------

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections[task] = writer
        task.add_done_callback(self._connections.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        step = self._take_on_accept()
        if self._ssl_context and step is None:
            # Nothing may be awaited before this, or the client's first bytes are read as text.
            try:
                await writer.start_tls(self._ssl_context)
            except OSError:
                return  # the handshake failed, which has closed the transport
        # A client may leave at any point: that is no error of ours, and the ledger has it.
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                if step:
                    self._note(Entry("dropped", self._next_number(), _now()))
                    await asyncio.sleep(step.delay)
                    await self._end(step.how, reader, writer)
                else:
                    while await self._exchange(reader, writer):
                        pass
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request and return whether the connection can take another."""
        head = await reader.readuntil(b"\r\n\r\n")
        await self._travel()
        request = _parse(self._next_number(), head)
        step = self._refuse_if_over_limit() or self._take(request)
        if not (isinstance(step, Break) and step.where == "request head"):
            size = int(request.headers.get("content-length", 0))
            request = evolve(request, body=parsed(await reader.readexactly(size)))
        self._note(request)

        wire = self._perform(step, request)
        await asyncio.sleep(step.delay)
        await self._travel()
        if await self._send(wire, reader, writer) and wire.reply:
            reply = wire.reply
            self._note(request, kind="answered", status=reply.status, body=reply.envelope)
        else:
            self._note(request, kind="dropped")
        if isinstance(step, Answer) and step.unasked is not None:
            self._run(self._send_unasked(step, wire, writer))
        if wire.ending == "keep":
            return request.headers.get("connection") != "close"
        await self._end(wire.ending, reader, writer)
        return False

    async def _send_unasked(self, step: Answer, wire: Wire, writer: asyncio.StreamWriter) -> None:
        """Send what nobody asked for."""
        await asyncio.sleep(step.unasked_after)
        again = b"".join([wire.head, *wire.body])
        writer.write(step.unasked if isinstance(step.unasked, bytes) else again)
        if step.unasked_then == "close":
            writer.close()

    async def _send(
        self, wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Send the bytes and return whether the client stayed to hear them."""
        with suppress(ConnectionError):
            for number, piece in enumerate(wire.pieces()):
                if number and wire.drip:
                    await asyncio.sleep(wire.drip[1])
                if reader.at_eof():
                    break
                writer.write(piece)
                await writer.drain()
            return not reader.at_eof()
        return False

    async def _end(
        self, how: How, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Bring the connection to its end; closing it is left to the caller."""
        match how:
            case "hang":
                await reader.read()  # until the client has had enough
            case "reset":
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()

    async def _travel(self) -> None:
        """Take as long as the wire does, one way."""
        low, high = self._latency
        if high:
            await asyncio.sleep(self._random.uniform(low, high))

    # -- the script and the limit ------------------------------------------------------------------

    def _take_on_accept(self) -> Break | None:
        match self.script:
            case [Break(where="accept") as step, *_]:
                self._use_up(0)
                return step
        return None

    def _take(self, request: Entry) -> Step:
        for index, step in enumerate(self.script):
            if isinstance(step, Break) and step.where == "accept":
                continue
            if step.on in (None, request.route, request.method):
                self._use_up(index)
                return step
        return Behave()

    def _use_up(self, index: int) -> None:
        step = self.script[index]
        if step.times > 1:
            self.script[index] = evolve(step, times=step.times - 1)
        else:
            del self.script[index]

    def _refuse_if_over_limit(self) -> Respond | None:
        if self._limit is None:
            return None
        requests, per = self._limit
        now = asyncio.get_running_loop().time()
        for window in (self._arrivals, self._admitted):
            # A request exactly `per` old is out; a microsecond is left to floating point.
            while window and now - window[0] >= per - 1e-6:
                window.popleft()
        self._arrivals.append(now)
        self.peak = max(self.peak, len(self._arrivals))
        if len(self._admitted) >= requests:
            return too_many(str(math.ceil(self._admitted[0] + per - now)))
        self._admitted.append(now)
        return None

    # -- from a step to bytes ----------------------------------------------------------------------

    def _perform(self, step: Step, request: Entry) -> Wire:
        """Commit what the step commits and return what it sends."""
        date = self.store.clock() / 1000
        match step:
            case Behave():
                return render(step, date, self._commit(request))
            case Respond():
                self._commit_if_told(step, request)
                return render(step, date)
            case Raw():
                self._commit_if_told(step, request)
                return Wire(step.data, ending=step.then)
            case Break(where="request head" | "request"):
                self._commit_if_told(step, request)
                return Wire(ending=step.how)
            case Break():
                # The right answer comes from a copy: whether the truth changes, `commit` says.
                right = _handle(copy.deepcopy(self.api), request)
                self._commit_if_told(step, request)
                return break_off(step, render(step.answer, date, right))
            case _:
                raise TypeError(step)

    def _commit_if_told(self, step: Misbehave, request: Entry) -> None:
        if step.commit:
            self._commit(request)
        elif step.commit_after is not None:
            self._run(self._commit_later(step.commit_after, request))

    def _run(self, later: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(later)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _commit_later(self, seconds: float, request: Entry) -> None:
        await asyncio.sleep(seconds)
        self._commit(request)

    def _commit(self, request: Entry) -> Reply:
        reply = _handle(self.api, request)
        if reply.committed:
            self._note(request, kind="committed")
        return reply

    # -- the ledger --------------------------------------------------------------------------------

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _note(self, request: Entry, **changes: Any) -> None:
        self.ledger.entries.append(evolve(request, at=_now(), **changes))


def _handle(api: ReviewsApi, request: Entry) -> Reply:
    return api.handle(Request(request.method, request.path, request.query, request.body))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _parse(number: int, head: bytes) -> Entry:
    """Return the request of a head; its body is not read yet."""
    start, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = start.split(" ")
    path, _, query = target.partition("?")
    fields = (line.partition(":") for line in lines)
    return Entry(
        "received",
        number,
        _now(),
        method,
        path,
        query=dict(parse_qsl(query, keep_blank_values=True)),
        headers={name.lower(): value.strip() for name, _, value in fields},
        route=route_of(method, path)[0],
    )
