"""A server that tells the truth about what it saw and misbehaves in every way that is asked for.

It speaks the whole reviews API over raw streams, so it can do what no web framework lets one do::

    async with FaultServer(customers={"budi@example.com": "customer-1"}) as server:
        server.script += [
            Respond(503),  # the first request, whatever it is
            Break("request", "reset", on="create", commit=True),  # a creation: done but not told
        ]
        ...  # drive a client against server.url
        assert len(server.ledger.creations) == 1
        assert server.ledger.blind_creations() == []

Each request takes the first step of `FaultServer.script` that applies to it; with none left the
server behaves. What happened stands in `FaultServer.ledger`, what it led to in
`FaultServer.reviews`. Time is the loop's, so everything here runs in virtual time as well.
"""

from __future__ import annotations

import asyncio
import copy
import gzip
import json
import math
import random
import re
import socket
import ssl
import struct
import subprocess
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias
from urllib.parse import parse_qsl

from attrs import Factory, define, evolve, field, frozen

JSON: TypeAlias = Any
Record: TypeAlias = dict[str, JSON]

PREFIX = "/hl/v2"

WALL_CLOCK = 1_767_000_000
"""Unix time, in seconds, at which the loop's clock would stand at zero."""

# --------------------------------------------------------------------------------------------------
# The script: what to do to a request.

Route: TypeAlias = Literal[
    "create",
    "update",
    "bulk_status",
    "customer_review",
    "product_reviews",
    "product_stats",
    "merchant_stats",
    "reviews",
    "customer",
]
How: TypeAlias = Literal["close", "reset", "hang"]
Headers: TypeAlias = Sequence[tuple[str, str | None]]


@frozen(kw_only=True)
class Step:
    """What every step can say."""

    on: Route | Literal["GET", "POST"] | None = None
    """Which requests it is for: those of a route, those of a method, or any."""

    times: float = 1
    """How many requests it is for; `math.inf` is for ever."""

    delay: float = 0.0
    """Seconds from the request (committed or not) to the first thing the client notices."""


@frozen(kw_only=True)
class Answer(Step):
    """How an answer is dressed; the defaults are honest."""

    headers: Headers = ()
    """Added to, or in place of, `Date` and `Content-Type`; None takes one of those away. Framing is
    never replaced: a `Content-Length` here is a second one."""

    framing: Literal["length", "chunked", "eof"] = "length"

    length_error: int = 0
    """How far the `Content-Length` is off."""

    gzip: int = 0
    """How many times over the body is compressed."""

    cut: int = 0
    """How many bytes of the (compressed) body are missing at its end; the framing does not tell."""

    repeat: int = 1
    """How many times over the body is sent: a megabyte and a hundred make a flood."""

    hints: int = 0
    """How many `103 Early Hints` go ahead."""

    drip: tuple[int, float] | None = None
    """`(k, s)`: k bytes, head included, every s seconds."""


@frozen(kw_only=True)
class Behave(Answer):
    """The right answer, and what it promises is done: a write is committed."""

    envelope: Mapping[str, JSON] = Factory(dict)
    """What to put over the answer's own top-level fields."""


@frozen(kw_only=True, slots=False)  # two slotted bases do not mix, and `Respond` has two
class _Misbehave(Step):
    """A step after which only the ledger knows whether a write was done."""

    commit: bool = False
    commit_after: float | None = None
    """Seconds after which a write is done, whoever is still there to hear of it."""


@frozen
class Respond(Answer, _Misbehave):
    """Any other answer: an error, another shape, a redirect, a flood."""

    status: int = field(kw_only=False)
    body: JSON | bytes | None = field(default=None, kw_only=False)
    """A JSON value, or bytes to be sent as they are; None is the envelope of the status."""


@frozen
class Raw(_Misbehave):
    """Bytes that need not be HTTP, and an end."""

    data: bytes = field(kw_only=False)
    then: How = field(default="close", kw_only=False)


@frozen
class Break(_Misbehave):
    """Stop in the middle.

    `where` is how far the exchange gets: the connection is accepted (before TLS), the request's
    headers are read, the request is read, the answer's head is sent, `nbytes` of its body are sent
    (half of them unless told), or the whole answer is sent.

    A step at "accept" is for a new connection instead of a request, and has to stand first in
    the script by then.
    """

    where: Literal["accept", "headers", "request", "head", "body", "answer"] = field(kw_only=False)
    how: How = field(default="close", kw_only=False)
    nbytes: int | None = None
    answer: Answer = Behave()
    """The answer that is broken off. Even a right one commits only if `commit` says so: a creation
    that is told whole and then cut is `Break("answer", commit=True)`."""


def too_many(*retry_after: str, **step: Any) -> Respond:
    """Return a 429 with a Retry-After header for each of the texts."""
    return Respond(429, headers=[("Retry-After", text) for text in retry_after], **step)


def redirect(location: str, status: int = 307, **step: Any) -> Respond:
    """Return a redirect."""
    return Respond(status, b"", headers=[("Location", location)], **step)


def bomb(megabytes: int, **step: Any) -> Respond:
    """Return an answer of about a kilobyte for each of the megabytes it inflates to."""
    megabyte = bytes(2**20)
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    # After a full flush the compressor remembers nothing, so that one block serves for all.
    block = deflate.compress(megabyte) + deflate.flush(zlib.Z_FULL_FLUSH)
    crc = 0
    for _ in range(megabytes):
        crc = zlib.crc32(megabyte, crc)
    body = (
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
        + block * megabytes
        + deflate.flush()
        + struct.pack("<LL", crc, (megabytes * 2**20) & 0xFFFFFFFF)
    )
    return Respond(200, body, headers=[("Content-Encoding", "gzip")], **step)


# --------------------------------------------------------------------------------------------------
# The ledger: what happened.

Kind: TypeAlias = Literal["received", "committed", "answered", "dropped"]


@frozen
class Entry:
    """One thing that happened to one request.

    `answered` means that a whole, well-framed message was sent to a client that was still there;
    a request that does not come to that is `dropped`.
    """

    kind: Kind
    number: int
    at: float
    method: str = ""
    path: str = ""
    query: Mapping[str, str] = Factory(dict)
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    """The request's, by their names in lower case."""
    body: JSON = None
    """Parsed JSON, or None for anything else: of the answer if `answered`, else of the request."""
    status: int | None = None
    route: Route | None = None


@define
class Ledger:
    """Everything that happened, in order."""

    entries: list[Entry] = Factory(list)
    customers: Mapping[str, str] = Factory(dict)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def of(
        self, kind: Kind, method: str | None = None, path_suffix: str | None = None
    ) -> list[Entry]:
        """Return the entries of a kind, of one method and of paths with one ending if given."""
        return [
            entry
            for entry in self.entries
            if entry.kind == kind
            and method in (None, entry.method)
            and entry.path.endswith(path_suffix or "")
        ]

    def received(self, method: str | None = None, path_suffix: str | None = None) -> list[Entry]:
        """Return the requests that arrived."""
        return self.of("received", method, path_suffix)

    @property
    def exchanges(self) -> int:
        """How many attempts reached the server, be it only by connecting to it."""
        return len({entry.number for entry in self.entries})

    @property
    def creations(self) -> list[Entry]:
        """The creations that arrived."""
        return self.received("POST", "/reviews/create")

    def blind_creations(self) -> list[tuple[Entry, Entry]]:
        """Return the pairs of creations that break the law, which is empty for a good client.

        Between two creations of one review stands a look-up that was answered, and answered that
        the review is not there; unless the first was refused with 429. Two *calls* that create the
        same review look the same from here: do not ask in such a test.
        """
        creations = self.creations
        pairs = (
            (earlier[-1], second)
            for index, second in enumerate(creations)
            if (earlier := [first for first in creations[:index] if _same_review(first, second)])
        )
        return [(first, second) for first, second in pairs if self._is_blind(first, second)]

    def _is_blind(self, first: Entry, second: Entry) -> bool:
        # Entries are compared by identity: two of them may be equal.
        places = [id(entry) for entry in self.entries]
        between = self.entries[places.index(id(first)) + 1 : places.index(id(second))]
        answers = [entry for entry in between if entry.kind == "answered"]
        refused = any(a.number == first.number and a.status == 429 for a in answers)
        # Of a creation whose body was never read the one before tells what it asked for.
        asked = first if second.body is None else second
        return not refused and not any(self._says_absent(answer, asked) for answer in answers)

    def _says_absent(self, answer: Entry, creation: Entry) -> bool:
        """Whether `answer` is that of a look-up and says that what `creation` asks for is not."""
        asked = creation.body or {}
        customer = self.customers.get(asked.get("customerEmail", ""))
        return (
            answer.method == "GET"
            and answer.path == f"{PREFIX}/products/{asked.get('paymentLinkId')}/reviews/customer"
            and (customer is None or answer.query.get("customerId") == customer)
            and answer.status == 200
            and isinstance(answer.body, dict)
            and answer.body.get("data", "missing") is None
        )


def _same_review(first: Entry, second: Entry) -> bool:
    def key(entry: Entry) -> tuple[JSON, JSON]:
        return entry.body.get("paymentLinkId"), entry.body.get("customerEmail")

    # A creation whose body was never read may be of any review.
    return first.body is None or second.body is None or key(first) == key(second)


# --------------------------------------------------------------------------------------------------
# The application: what a truthful server does with a request.

Paginate: TypeAlias = Callable[[list[Record], str | None, int], tuple[list[Record], JSON]]
"""From all reviews, a cursor or None, and a limit: a page and the next cursor, None at the end."""


def by_offset(
    reviews: list[Record], cursor: str | None, limit: int
) -> tuple[list[Record], str | None]:
    """Page by a cursor that says how many to skip: "c50"."""
    start = int(cursor.removeprefix("c")) if cursor else 0
    end = start + limit
    return reviews[start:end], f"c{end}" if end < len(reviews) else None


def by_created_at(
    reviews: list[Record], cursor: str | None, limit: int
) -> tuple[list[Record], str | None]:
    """Page by the last review's time, which loses reviews whenever times tie or do not descend."""
    rest = [review for review in reviews if not cursor or review["createdAt"] < int(cursor)]
    page = rest[:limit]
    return page, str(page[-1]["createdAt"]) if len(rest) > limit else None


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


@frozen
class Reply:
    """What the application has to say: an HTTP status and a body."""

    status: int
    envelope: JSON
    committed: bool = False


@define
class Application:
    """The nine endpoints over a list of reviews, which may hold malformed ones on purpose."""

    reviews: list[Record]
    customers: dict[str, str]
    paginate: Paginate
    guard_conflicts: bool

    def handle(self, request: Entry, now: float) -> Reply:
        """Do what the request asks."""
        body = request.body if isinstance(request.body, dict) else {}
        product = request.path.removeprefix(f"{PREFIX}/products/").partition("/")[0]
        try:
            match request.route:
                case "create":
                    return self._create(body, int((WALL_CLOCK + now) * 1000))
                case "update":
                    return self._update(body, int((WALL_CLOCK + now) * 1000))
                case "bulk_status":
                    return self._bulk_status(body)
                case "customer_review":
                    return self._customer_review(product, request.query)
                case "product_reviews":
                    return self._page(self._of_product(product), request.query)
                case "product_stats":
                    return _ok(_stats(self._of_product(product)))
                case "merchant_stats":
                    return _ok(_stats([r for r in self.reviews if r.get("status") == "ACTIVE"]))
                case "reviews":
                    return self._page(self.reviews, request.query)
                case "customer":
                    return self._customer(request.query.get("email", ""))
                case None:
                    return _refuse(404, "Not found")
        except ValueError:  # a limit or a cursor that is not one
            return _refuse(400, "Request is not valid")

    def _of_product(self, product: str) -> list[Record]:
        return [
            review
            for review in self.reviews
            if (review.get("paymentLinkId"), review.get("status")) == (product, "ACTIVE")
        ]

    def _find(self, product: JSON, customer: JSON) -> Record | None:
        for review in self.reviews:
            if (review.get("paymentLinkId"), review.get("customerId")) == (product, customer):
                return review
        return None

    def _create(self, body: Record, now: int) -> Reply:
        product, email, rating = (body.get(f) for f in ("paymentLinkId", "customerEmail", "rating"))
        if not product or not email or rating not in range(1, 6):
            return _refuse(200, "failed", data=[{"message": "body is not valid"}])
        customer = self.customers.get(email, f"buyer-{len(self.customers) + 1}")
        if self.guard_conflicts and self._find(product, customer):
            return _refuse(
                409,
                "Anda sudah memberikan ulasan untuk produk ini, jika ingin mengedit ulasan,"
                " silahkan gunakan fitur edit ulasan",
            )
        self.customers[email] = customer
        review = make_review(
            len(self.reviews) + 1,
            id=f"created-{len(self.reviews) + 1}",
            paymentLinkId=product,
            customerId=customer,
            rating=rating,
            message=body.get("message"),
            content=[_content(item) for item in body.get("contentReview", ())],
            createdAt=now,
            updatedAt=now,
        )
        self.reviews.append(review)
        return evolve(_ok(_without_media(review)), committed=True)

    def _update(self, body: Record, now: int) -> Reply:
        for review in self.reviews:
            if review.get("id") == body.get("id"):
                break
        else:
            return _refuse(404, "Review tidak ditemukan")
        review |= {f: body[f] for f in ("rating", "message") if f in body} | {"updatedAt": now}
        deleted = {item.get("id") for item in body.get("deleteContentReview", ())}
        kept = [item for item in review["content"] if item["id"] not in deleted]
        review["content"] = kept + [_content(item) for item in body.get("contentReview", ())]
        return evolve(_ok(_without_media(review)), committed=True)

    def _bulk_status(self, body: Record) -> Reply:
        updates = body.get("input")
        if not isinstance(updates, list) or not 1 <= len(updates) <= 50:
            return _refuse(200, "failed", data=[{"message": "input is not valid"}])
        by_id = {review.get("id"): review for review in self.reviews}
        if any(update["id"] not in by_id for update in updates):
            return _refuse(400, "Review is not valid! Please check your payload.")
        for update in updates:
            by_id[update["id"]]["status"] = update["status"]
        return Reply(200, {"statusCode": 200, "messages": "success"}, committed=True)

    def _customer_review(self, product: str, query: Mapping[str, str]) -> Reply:
        if not query.get("customerId"):
            return _refuse(400, "customerId query parameter is required")
        review = self._find(product, query["customerId"])
        return _ok(review and _without(review, "customer", "paymentLink"))

    def _page(self, reviews: list[Record], query: Mapping[str, str]) -> Reply:
        for name in ("rating", "status", "paymentLinkId"):
            if name in query:
                reviews = [review for review in reviews if str(review.get(name)) == query[name]]
        if query.get("prioritizeMessage") == "true":
            reviews = sorted(reviews, key=lambda review: not review.get("message"))
        limit = min(int(query.get("limit", 10)), 50)
        page, cursor = self.paginate(reviews, query.get("startingAfter"), limit)
        reply = _ok(page)
        reply.envelope.update(hasMore=cursor is not None, nextStartingAfter=cursor)
        return reply

    def _customer(self, email: str) -> Reply:
        if email not in self.customers:
            return _refuse(404, "Customer tidak ditemukan")
        created = WALL_CLOCK * 1000
        return _ok(
            {
                "id": self.customers[email],
                "createdAt": created,
                "email": email,
                "mobile": "081234567890",
                "name": "Budi Santoso",
                "status": "active",
                "updatedAt": created,
                "userId": "user-1",
                "user": {"id": "user-1"},
            }
        )


def _ok(data: JSON) -> Reply:
    return Reply(200, {"statusCode": 200, "messages": "success", "data": data})


def _refuse(status: int, messages: str, **fields: JSON) -> Reply:
    return Reply(status, {"statusCode": status, "messages": messages} | fields)


def _without(review: Record, *fields: str) -> Record:
    return {name: value for name, value in review.items() if name not in fields}


def _without_media(review: Record) -> Record:
    """Return what creating and updating answer with."""
    return _without(review, "multipleImage", "content", "customer", "paymentLink")


def _content(item: Record) -> Record:
    return {"id": item.get("id"), "value": item.get("multipleFileId"), "file": None}


def _stats(reviews: list[Record]) -> Record:
    if not (total := len(reviews)):
        return {}
    ratings = [review["rating"] for review in reviews]
    return {
        "total": total,
        "average": round(sum(ratings) / total, 1),
        "stats": [
            {
                "rating": rating,
                "percentage": round(100 * ratings.count(rating) / total),
                "totalRating": ratings.count(rating),
            }
            for rating in (5, 4, 3, 2, 1)
        ],
    }


# --------------------------------------------------------------------------------------------------
# The server: bytes in, bytes out.

ROUTES: Sequence[tuple[Route, str, str]] = [
    ("create", "POST", "/reviews/create"),
    ("bulk_status", "POST", "/reviews/bulk-status/update"),
    ("update", "POST", "/reviews/[^/]+/update"),
    ("customer_review", "GET", "/products/[^/]+/reviews/customer"),
    ("product_stats", "GET", "/products/[^/]+/reviews/stats"),
    ("product_reviews", "GET", "/products/[^/]+/reviews"),
    ("merchant_stats", "GET", "/merchants/reviews/stats"),
    ("reviews", "GET", "/reviews"),
    ("customer", "GET", "/customers/detail"),
]


@frozen
class _Wire:
    """What a step comes to: bytes, their pace, and what becomes of the connection."""

    head: bytes = b""
    body: Sequence[bytes] = ()
    drip: tuple[int, float] | None = None
    ending: How | Literal["keep"] = "keep"
    reply: Reply | None = None
    """What a client that reads it all has been told; None where it is told nothing whole."""

    def pieces(self) -> Iterable[bytes]:
        """Return what is written at a time."""
        if self.drip is None:
            return [self.head, *self.body]
        size, _ = self.drip
        whole = b"".join([self.head, *self.body])
        return (whole[start : start + size] for start in range(0, len(whole), size))


class FaultServer:
    """A reviews API on loopback, opened with `async with`.

    `limit` is `(requests, seconds)`: what goes beyond it in a sliding window is answered with 429.
    `latency` is `(low, high)`: each way of each exchange takes that many seconds, chosen by `seed`;
    a request counts, and is noted, when it arrives. `ssl_context` makes it speak TLS.
    """

    def __init__(
        self,
        reviews: list[Record] | None = None,
        *,
        customers: dict[str, str] | None = None,
        paginate: Paginate = by_offset,
        guard_conflicts: bool = True,
        script: Sequence[Step] = (),
        limit: tuple[int, float] | None = None,
        latency: tuple[float, float] = (0.0, 0.0),
        seed: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        self.application = Application(
            [] if reviews is None else reviews,
            {} if customers is None else customers,
            paginate,
            guard_conflicts,
        )
        self.ledger = Ledger(customers=self.application.customers)
        self.script: list[Step] = list(script)
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
        self._commits: set[asyncio.Task[None]] = set()

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
        tasks = [*self._connections, *self._commits]
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
        """All reviews, in the order of the lists; change it at will."""
        return self.application.reviews

    def review(self, review_id: str) -> Record:
        """Return the review of an id as it is now."""
        [review] = [review for review in self.reviews if review.get("id") == review_id]
        return review

    # -- one connection ----------------------------------------------------------------------------

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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
        if not (isinstance(step, Break) and step.where == "headers"):
            size = int(request.headers.get("content-length", 0))
            request = evolve(request, body=_json(await reader.readexactly(size)))
        self._note(request)

        wire = self._perform(step, request)
        await asyncio.sleep(step.delay)
        await self._travel()
        if await self._send(wire, reader, writer) and wire.reply:
            reply = wire.reply
            self._note(request, kind="answered", status=reply.status, body=reply.envelope)
        else:
            self._note(request, kind="dropped")
        if wire.ending == "keep":
            return request.headers.get("connection") != "close"
        await self._end(wire.ending, reader, writer)
        return False

    async def _send(
        self, wire: _Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
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

    def _perform(self, step: Step, request: Entry) -> _Wire:
        """Commit what the step commits and return what it sends."""
        match step:
            case Behave():
                return _render(step, self._commit(request))
            case Respond():
                self._commit_if_told(step, request)
                return _render(step)
            case Raw():
                self._commit_if_told(step, request)
                return _Wire(step.data, ending=step.then)
            case Break(where="headers" | "request"):
                self._commit_if_told(step, request)
                return _Wire(ending=step.how)
            case Break():
                # The right answer comes from a copy: whether the truth changes, `commit` says.
                right = copy.deepcopy(self.application).handle(request, _now())
                self._commit_if_told(step, request)
                return _broken(step, _render(step.answer, right))
            case _:
                raise TypeError(step)

    def _commit_if_told(self, step: _Misbehave, request: Entry) -> None:
        if step.commit:
            self._commit(request)
        elif step.commit_after is not None:
            task = asyncio.create_task(self._commit_later(step.commit_after, request))
            self._commits.add(task)
            task.add_done_callback(self._commits.discard)

    async def _commit_later(self, seconds: float, request: Entry) -> None:
        await asyncio.sleep(seconds)
        self._commit(request)

    def _commit(self, request: Entry) -> Reply:
        reply = self.application.handle(request, _now())
        if reply.committed:
            self._note(request, kind="committed")
        return reply

    # -- the ledger --------------------------------------------------------------------------------

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _note(self, request: Entry, **changes: Any) -> None:
        self.ledger.entries.append(evolve(request, at=_now(), **changes))


def _render(answer: Answer, right: Reply | None = None) -> _Wire:
    """Return an answer as bytes; `right` is what the application says."""
    match answer:
        case Behave():
            assert right is not None
            status, body = right.status, json.dumps(right.envelope | dict(answer.envelope)).encode()
        case Respond(status=status, body=bytes(body)):
            pass
        case Respond(status=status, body=None):
            body = json.dumps(_refuse(status, _phrase(status)).envelope).encode()
        case Respond(status=status, body=value):
            body = json.dumps(value).encode()
        case _:
            raise TypeError(answer)

    understood = not answer.cut and answer.repeat == 1 and answer.gzip <= 1
    told = _json(body) if understood else None
    for _ in range(answer.gzip):
        body = gzip.compress(body, mtime=0)
    body = body[: len(body) - answer.cut]
    pieces = [body] * answer.repeat
    headers: dict[str, str | None] = {
        "Date": formatdate(WALL_CLOCK + _now(), usegmt=True),
        "Content-Type": "application/json",
    }
    match answer.framing:
        case "length":
            headers["Content-Length"] = str(len(body) * answer.repeat + answer.length_error)
        case "chunked":
            headers["Transfer-Encoding"] = "chunked"
            # An empty chunk would be the last one.
            pieces = [b"%x\r\n%b\r\n" % (len(body), body)] * answer.repeat if body else []
            pieces.append(b"0\r\n\r\n")
        case "eof":
            headers["Connection"] = "close"
    if answer.gzip:
        headers["Content-Encoding"] = ", ".join(["gzip"] * answer.gzip)
    for name, _ in answer.headers:
        if name in ("Date", "Content-Type"):
            headers.pop(name, None)

    hint = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
    fields = [f"{k}: {v}\r\n" for k, v in (*headers.items(), *answer.headers) if v is not None]
    head = f"{hint * answer.hints}HTTP/1.1 {status} {_phrase(status)}\r\n{''.join(fields)}\r\n"
    return _Wire(
        head.encode("latin-1"),
        pieces,
        answer.drip,
        ending="close" if answer.framing == "eof" else "keep",
        reply=None if answer.length_error else Reply(status, told),
    )


def _broken(step: Break, whole: _Wire) -> _Wire:
    """Return a wire on which `whole` gets only as far as `step` lets it."""
    if step.where == "answer":
        return evolve(whole, ending=step.how)
    body = b"".join(whole.body) if step.where == "body" else b""
    nbytes = len(body) // 2 if step.nbytes is None else step.nbytes
    return evolve(whole, body=[body[:nbytes]], ending=step.how, reply=None)


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
        route=_route(method, path),
    )


def _route(method: str, path: str) -> Route | None:
    for route, verb, pattern in ROUTES:
        if method == verb and re.fullmatch(PREFIX + pattern, path):
            return route
    return None


def _json(body: bytes) -> JSON:
    """Return what the bytes mean, or None if they mean nothing."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unknown"


def tls_contexts(
    directory: Path, names: str = "DNS:localhost,IP:127.0.0.1"
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's context, for a new certificate of `names`, and a client's that trusts it.

    Takes the `openssl` command; `directory` keeps the key and the certificate.
    """
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    options = ["-subj", "/CN=fault server", "-addext", f"subjectAltName={names}"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *options, *files], check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    return server, ssl.create_default_context(cafile=str(certificate))
