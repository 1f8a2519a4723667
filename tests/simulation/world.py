"""The simulated server and the network in front of it, with the ledger of all that happened."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from email.utils import formatdate
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from attrs import define, field

from mayar_reviews import ConnectionFailedError, ConnectionLostError, MayarError
from mayar_reviews.answers import Answer
from mayar_reviews.api_json import dump
from mayar_reviews.credentials import Secret
from mayar_reviews.endpoints import Endpoint
from mayar_reviews.testing.api import PREFIX, Reply, Request, ReviewsApi, refusal
from mayar_reviews.testing.personality import Personality
from mayar_reviews.testing.store import Store
from mayar_reviews.transport import Transport

from .plan import Draw, Fault, Job, Plan

PRIVATE = "rahasia"
"""Every key, email and message holds this word."""
KEY = f"kunci-{PRIVATE}-9f3a7c"
ORIGIN = "https://api.example"
_MOST = 2_000
PRODUCTS = ("product-0", "product-1")
UNIX = 1_767_000_000
"""Unix time at which the loop's clock would stand at zero."""

current_job: ContextVar[int] = ContextVar("current_job")


def email_of(number: int) -> str:
    """Return the email of the customer of a creation."""
    return f"{PRIVATE}-{number}@example.com"


@define(eq=False)
class Exchange:
    """What became of one request."""

    number: int
    job: int
    endpoint: str
    path: str
    query: Mapping[str, str]
    body: Any
    sent_at: float
    fault: Fault | None
    arrived_at: float | None = None
    was_awaited: bool = False
    """Whether the client still waited for the answer when the request arrived."""
    committed_at: float | None = None
    answer: Answer | None = None
    """What the client got."""
    is_right: bool = False
    """Whether the answer is the server's own, to this request."""
    ended_at: float | None = None
    """When the client stopped waiting."""

    @property
    def subject(self) -> object:
        """What an answer to this request names: a product, a review, or nothing."""
        body = self.body or {}
        if "input" in body or self.path.endswith("/reviews"):
            return self.path if "/products/" in self.path else None
        return body.get("id") or body.get("paymentLinkId") or self.path

    @property
    def in_doubt(self) -> bool:
        """Whether the client could not tell what became of it."""
        kind = self.fault.kind if self.fault else None
        if self.answer is None:
            return kind != "refused"
        return kind in ("garbage", "status", "swapped")


@define(eq=False)
class World:
    """A shop, its API, and a network that fails as planned."""

    plan: Plan
    note: Callable[..., object]
    loop: asyncio.AbstractEventLoop
    exchanges: list[Exchange] = field(factory=list)
    landing: int = 0
    """How many requests and commits are still on their way."""
    touched: dict[str, list[tuple[float, frozenset[str]]]] = field(factory=dict)
    """When which fields of a review were changed."""
    store: Store = field(init=False)
    _api: ReviewsApi = field(init=False)
    _draw: Draw = field(init=False)
    _faults: dict[int, Fault] = field(init=False)

    def __attrs_post_init__(self) -> None:
        plan = self.plan
        self._draw = Draw(plan.seed + 1_000_000_007)
        self._faults = dict(plan.faults)
        self.store = Store(self.clock, seed=plan.seed)
        self._api = ReviewsApi(
            self.store,
            Personality(
                order=plan.order,
                cursor=plan.cursor,
                stats=plan.stats,
                ignores=plan.ignores,
                cliff=plan.cliff,
                status_in_body=plan.status_in_body,
            ),
        )
        for product in PRODUCTS:
            self.store.add_product(product)
            for number in range(plan.reviews):
                self._add_old_review(product, number)
        for job in plan.jobs:
            if job.kind == "create":
                customer = self.store.add_purchase(PRODUCTS[job.product], email_of(job.number))
                if job.size == 3:
                    self._add_rival(job, customer)

    def _add_old_review(self, product: str, number: int) -> None:
        plan, place = self.plan, PRODUCTS.index(product)
        created = (UNIX - 10_000_000) * 1000 + number * plan.spread + place * (plan.spread > 1)
        last = created + 1 + self._draw.number(0, (plan.reviews + 1) * max(plan.spread, 2))
        customer = f"customer-{place}-{number}"
        self.store.put_review(
            {
                "id": f"review-{place}-{number}",
                "createdAt": created,
                "customerId": customer,
                "message": f"{PRIVATE} {number}",
                "paymentLinkId": product,
                "status": "ACTIVE",
                "rating": 1 + number % 5,
                "updatedAt": last if self._draw.chance(plan.edited) else created,
                "userId": "user-1",
                "customer": {"id": customer, "name": "Budi"},
            }
        )

    def _add_rival(self, job: Job, customer: str) -> None:
        """Let the customer of a creation have reviewed the product before."""
        created = (UNIX - 10_000_000) * 1000
        self.store.put_review(
            {
                "id": f"rival-{job.number}",
                "createdAt": created,
                "customerId": customer,
                "paymentLinkId": PRODUCTS[job.product],
                "status": "ACTIVE",
                "rating": 1 + (job.number + 1) % 5,
                "updatedAt": created,
                "userId": "user-1",
            }
        )

    def now(self) -> float:
        """Return the loop's time, without the system call that `get_running_loop` is."""
        return self.loop.time()

    def clock(self) -> int:
        """Return the server's time in Unix milliseconds."""
        return self.clock_at(self.now())

    def clock_at(self, time: float) -> int:
        """Return the server's time at a time of the loop."""
        return int((UNIX + time + self.plan.clock_ahead) * 1000)

    def edit(self, review_id: str, **fields: Any) -> None:
        """Change a review from outside."""
        self.store.edit_review(review_id, **fields)
        self._touch(review_id, fields)

    def _touch(self, review_id: str, fields: Mapping[str, Any]) -> None:
        self.touched.setdefault(review_id, []).append((self.now(), frozenset(fields)))

    @property
    def has_faults_left(self) -> bool:
        """Whether an exchange to come will fail."""
        return any(number >= len(self.exchanges) for number in self._faults)

    # --- one exchange ------------------------------------------------------------------------

    async def exchange(self, endpoint: Endpoint[Any], limit: float) -> Answer:
        """Carry a request to the server and its answer back, or fail."""
        target, body = endpoint.target, endpoint.body
        path, _, query = target.partition("?")
        number = len(self.exchanges)
        fault = self._faults.get(number)
        exchange = Exchange(
            number,
            current_job.get(),
            endpoint.name,
            PREFIX + path,
            dict(parse_qsl(query)) if query else {},
            None if body is None else json.loads(body),
            self.now(),
            fault,
        )
        self.exchanges.append(exchange)
        if number == _MOST:
            raise RuntimeError(f"{_MOST} requests, and no end")
        self.note("#%d job %d sends %s %s", number, exchange.job, endpoint.method, target)
        if fault:
            self.note("#%d will fail: %s", number, fault)
        try:
            exchange.answer = await self._carry(endpoint, exchange, limit)
            return exchange.answer
        finally:
            exchange.ended_at = self.now()
            self.note("#%d ends: %s", number, exchange.answer and exchange.answer.status)

    async def _carry(self, endpoint: Endpoint[Any], exchange: Exchange, limit: float) -> Answer:
        fault, plan = exchange.fault, self.plan
        kind = fault.kind if fault else None
        if fault and kind == "refused":
            await asyncio.sleep(min(fault.seconds, limit))
            raise ConnectionFailedError("no connection")
        uplink = self._draw.seconds(0, plan.uplink) if plan.uplink else 0.0
        travel = uplink + (self._draw.seconds(0, plan.downlink) if plan.downlink else 0.0)
        if fault and kind in ("slow", "lost", "garbage", "status", "limited"):
            travel += fault.seconds
        replies: list[Answer] = []

        def arrive() -> None:
            self.landing -= 1
            exchange.arrived_at, exchange.was_awaited = self.now(), exchange.ended_at is None
            self.note("#%d arrives", exchange.number)
            replies.append(self._serve(endpoint, exchange))

        self.landing += 1
        if uplink:
            self.loop.call_later(uplink, arrive)
        else:
            arrive()
        if travel:
            await asyncio.sleep(min(travel, limit))
        if travel >= limit:
            raise ConnectionLostError(f"no complete answer within {limit:.3g} s")
        if kind in ("lost", "late"):
            raise ConnectionLostError("the connection broke before the answer was complete")
        if not replies:
            await asyncio.sleep(0)  # both timers are due in the same round of the loop
        return replies[0]

    def _serve(self, endpoint: Endpoint[Any], exchange: Exchange) -> Answer:
        fault = exchange.fault
        match fault:
            case None | Fault(kind="slow"):
                exchange.is_right = True
                return self._answer(self._handle(endpoint, exchange))
            case Fault(kind="late", seconds=seconds):
                self.landing += 1

                def commit() -> None:
                    self.landing -= 1
                    self._handle(endpoint, exchange)

                self.loop.call_later(seconds, commit)
                return self._answer(Reply(200, None))
            case Fault(kind="refusal", detail="failed"):
                return self._answer(refusal(200, "failed", data=KEY))
            case Fault(kind="refusal", detail=detail):
                return self._answer(refusal(int(detail), f"refused for {KEY}"))
            case Fault(kind="limited", detail=detail):
                headers = {"retry-after": detail} if detail else {}
                if detail == "date":
                    ahead = UNIX + self.now() + self.plan.clock_ahead + 9
                    headers = {"retry-after": formatdate(ahead, usegmt=True)}
                return self._answer(Reply(429, {"statusCode": 429, "messages": "slow"}, headers))
            case Fault(kind="swapped"):
                other = self._other_answer(exchange)
                exchange.is_right = other is None
                if other is None or fault.commit:
                    own = self._answer(self._handle(endpoint, exchange))
                return own if other is None else other
        right = None
        if fault.commit or endpoint.method == "GET":
            right = self._handle(endpoint, exchange)
        if fault.kind == "garbage":
            told = endpoint.name == "update_review_statuses" and fault.detail == "wrong shape"
            return self._spoil("array" if told else fault.detail, right)
        if fault.kind == "status":
            return self._other_status(fault.detail)
        return self._answer(right or Reply(200, None))

    def _handle(self, endpoint: Endpoint[Any], exchange: Exchange) -> Reply:
        reply = self._api.handle(
            Request(endpoint.method, exchange.path, exchange.query, exchange.body)
        )
        if reply.committed:
            exchange.committed_at = self.now()
            self.note("#%d is done", exchange.number)
            for update in exchange.body.get("input", [exchange.body]):
                if "id" in update:
                    self._touch(update["id"], update)
        return reply

    def _other_answer(self, exchange: Exchange) -> Answer | None:
        """Return what another request was answered that cannot be mistaken for ours."""
        family = _FAMILIES.get(exchange.endpoint)
        for other in reversed(self.exchanges) if family else ():
            answer = other.answer
            if answer is None or _SUCCESS not in answer.body or not other.is_right:
                continue
            alike = _FAMILIES.get(other.endpoint) == family
            if not alike or (
                other.endpoint == exchange.endpoint
                and other.subject != exchange.subject
                and b'"id"' in answer.body
            ):
                return answer
        return None

    def _answer(self, reply: Reply) -> Answer:
        return self._pack(reply.status, dump(reply.envelope), reply.headers)

    def _pack(self, status: int, body: bytes, headers: Mapping[str, str] = {}) -> Answer:
        date = _http_date(int(UNIX + self.now() + self.plan.clock_ahead))
        lists = {name: (text,) for name, text in headers.items()}
        return Answer(status, {"date": (date,)} | lists, body, self.now())

    def _spoil(self, how: str, right: Reply | None) -> Answer:
        envelope = dict(right.envelope) if right else {"statusCode": 200, "messages": "success"}
        body: bytes
        match how:
            case "html":
                body = b"<html>"
            case "nothing":
                body = b""
            case "array":
                body = b"[1, 2]"
            case "no messages":
                del envelope["messages"]
                body = json.dumps(envelope).encode()
            case "wrong shape":
                body = json.dumps({"statusCode": 200, "messages": "success", "data": 7}).encode()
            case "cut":
                body = json.dumps(envelope).encode()[:-2]
            case _:
                body = b"[" * 100_000
        return self._pack(200, body)

    def _other_status(self, detail: str) -> Answer:
        match detail:
            case "500 json":
                return self._answer(refusal(500, "gtFetch(...).then is not a function"))
            case "200 json 503":
                return self._pack(200, json.dumps({"statusCode": 503, "messages": "x"}).encode())
        return self._pack(int(detail), b"<html>")


@lru_cache(1000)
def _http_date(time: int) -> str:
    return formatdate(time, usegmt=True)


_SUCCESS = b'":"success"'
_FAMILIES = {
    "create_review": "review",
    "update_review": "review",
    "get_customer_review": "review",
    "list_product_reviews": "list",
    "list_reviews": "list",
    "get_customer": "customer",
}
"""Endpoints whose answers are alike. The others take any success for theirs."""


class SimulatedTransport(Transport):
    """The client's transport, with the world in the place of aiohttp."""

    def __init__(self, world: World) -> None:
        super().__init__(Secret(KEY), ORIGIN, None)
        self._world = world

    async def send(self, endpoint: Endpoint[Any], limit: float) -> Answer:
        """Send one request and read its whole answer."""
        failure: MayarError
        try:
            return await self._world.exchange(endpoint, limit)
        except MayarError as error:
            failure = error
        raise failure.with_traceback(None)
