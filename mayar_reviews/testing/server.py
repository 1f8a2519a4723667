"""`FakeMayar`: the reviews API of Mayar on a loopback port, for tests.

It does what Mayar's documentation says; where that is silent, a comment says so.
"""

import asyncio
import json
import math
import re
from collections import deque
from collections.abc import Callable, Iterator
from http.client import responses as reasons
from typing import Any, Self

from aiohttp import web
from aiohttp.typedefs import Handler
from attrs import field, frozen

from .store import JSON, Store, attach, detach, is_visible

_STATUSES = ("ACTIVE", "ARCHIVED", "INACTIVE")


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


@frozen
class _Fault:
    """What becomes of one request instead of its answer."""

    processed: bool
    answer: Callable[[], web.Response] | None = None
    drop: bool = False  # without an answer: whether to break the connection or to stay silent


class _RefusalError(Exception):
    """Ends a handler with this answer."""

    def __init__(self, status: int, messages: str, **rest: Any) -> None:
        super().__init__(messages)
        self.answer = _answer(status, messages, **rest)


class FakeMayar(Store):
    """A Mayar of your own: a real HTTP server on 127.0.0.1 that speaks the whole reviews API.

    Put products, purchases and reviews into it (before it starts or while it runs), point a client
    at its `url`, make it fail, and look at what it got:

        async with FakeMayar() as fake:
            fake.seed("kelas-web", 120)
            fake.fail_next(503)
            async with ReviewsClient(fake.api_key, base_url=fake.url) as client:
                page = await client.list_product_reviews("kelas-web")
            assert [request.status for request in fake.requests] == [503, 200]

    `api_key` may read and write; `read_only_key`, if there is one, only read: its writes get 403,
    and any other key 401. `rate_limit` is `(requests, seconds)`, both above 0 (else `ValueError`):
    once so many requests came within so many seconds, the next get 429 and whole seconds to wait
    in `Retry-After`; those do not count. After that come the faults you asked for, and then the
    documented answer. Each request is found in `requests`, however it ended.
    """

    def __init__(
        self,
        api_key: str = "fake-key",
        rate_limit: tuple[int, float] | None = None,
        *,
        read_only_key: str | None = None,
    ) -> None:
        super().__init__()
        if rate_limit is not None and min(rate_limit) <= 0:
            raise ValueError(f"rate_limit must be above 0, not {rate_limit}")
        self.api_key = api_key
        self.read_only_key = read_only_key
        #: Every request, in the order of arrival; clear it as you like.
        self.requests: list[RecordedRequest] = []
        self._rate_limit = rate_limit
        self._admitted = deque[float]()
        self._faults = deque[_Fault]()
        self._runner: web.AppRunner | None = None
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
        """Listen on a free port, as `async with` does; `RuntimeError` if it does already."""
        if self._runner is not None:
            raise RuntimeError("FakeMayar is started already")
        app = web.Application(middlewares=[self._serve], client_max_size=64 * 2**20)
        app.add_routes(
            [
                web.post("/hl/v2/reviews/create", self._create_review),
                web.post("/hl/v2/reviews/bulk-status/update", self._update_statuses),
                web.post("/hl/v2/reviews/{id}/update", self._update_review),
                web.get("/hl/v2/reviews", self._list_reviews),
                web.get("/hl/v2/products/{paymentLinkId}/reviews", self._list_product_reviews),
                web.get("/hl/v2/products/{paymentLinkId}/reviews/customer", self._customer_review),
                web.get("/hl/v2/products/{paymentLinkId}/reviews/stats", self._product_stats),
                web.get("/hl/v2/merchants/reviews/stats", self._merchant_stats),
                web.get("/hl/v2/customers/detail", self._customer_detail),
            ]
        )
        # No request outlives its client, and none that is stalled or half sent holds up close().
        self._runner = web.AppRunner(
            app, handler_cancellation=True, shutdown_timeout=0.01, access_log=None
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

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

    def fail_next(
        self,
        status: int,
        times: int = 1,
        *,
        retry_after: int | str | None = None,
        message: str | None = None,
        processed: bool = False,
    ) -> None:
        """Answer the next `times` requests with this HTTP status (200-599), whatever they ask.

        `message` is sent as `messages` (by default the status's usual name) and `retry_after` as
        the header `Retry-After`: seconds, or the text itself. With `processed`, a request takes
        effect first: the write is done and only its answer lost. Faults of all kinds queue up, each
        for the requests after those that earlier ones wait for; a request turned away with 401,
        403 or 429 uses up none. `times` below 1 and other statuses raise `ValueError`.
        """
        if not 200 <= status <= 599:
            raise ValueError(f"status must be 200-599, not {status}")
        messages = reasons.get(status, "Error") if message is None else message
        self._plan(
            _Fault(processed, lambda: _answer(status, messages, retry_after=retry_after)), times
        )

    def drop_next(self, times: int = 1, *, processed: bool = False) -> None:
        """Break the connection of the next `times` requests without an answer.

        `processed`, the queue and `ValueError` are as for `fail_next`.
        """
        self._plan(_Fault(processed, drop=True), times)

    def stall_next(self, times: int = 1, *, processed: bool = False) -> None:
        """Never answer the next `times` requests, until the client leaves or `close()`.

        `processed`, the queue and `ValueError` are as for `fail_next`.
        """
        self._plan(_Fault(processed), times)

    def _plan(self, fault: _Fault, times: int) -> None:
        if times < 1:
            raise ValueError(f"times must be at least 1, not {times}")
        self._faults.extend([fault] * times)

    @web.middleware
    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """All that happens to a request. From its arrival to its record, nothing else runs."""
        sent = await request.read()
        loop = asyncio.get_running_loop()
        at = loop.time()
        fault: _Fault | None = None
        answer: web.StreamResponse | None = None
        try:
            self._admit(request, at)
            fault = self._faults.popleft() if self._faults else None
            if fault is None or fault.processed:
                answer = await handler(request)
        except _RefusalError as refusal:
            answer = refusal.answer
        except web.HTTPException:  # from the router: no such path, or not with this method
            answer = _answer(404, "Not Found")
        if fault is not None:
            answer = fault.answer() if fault.answer else None
        self.requests.append(
            RecordedRequest(
                method=request.method,
                path=request.path,
                query=dict(request.query),
                headers=dict(request.headers),
                body=_parsed(sent),
                at=at,
                status=None if answer is None else answer.status,
            )
        )
        if answer is not None:
            return answer
        if fault is not None and fault.drop and request.transport is not None:
            request.transport.abort()
        never: asyncio.Future[web.Response] = loop.create_future()
        return await never  # cancelled by aiohttp when the connection is gone, or in close()

    def _admit(self, request: web.Request, at: float) -> None:
        authorization = request.headers.get("Authorization")
        if authorization != f"Bearer {self.api_key}":
            if self.read_only_key is None or authorization != f"Bearer {self.read_only_key}":
                raise _RefusalError(401, "Unauthorized")
            if request.method != "GET":
                raise _RefusalError(403, "Forbidden")  # undocumented
        if self._rate_limit is not None:
            requests, seconds = self._rate_limit
            while self._admitted and self._admitted[0] + seconds <= at:
                self._admitted.popleft()
            if len(self._admitted) >= requests:
                wait = math.ceil(self._admitted[0] + seconds - at)
                raise _RefusalError(429, "Too Many Requests", retry_after=wait)
            self._admitted.append(at)

    async def _create_review(self, request: web.Request) -> web.Response:
        body = _valid(await request.read(), "paymentLinkId", "customerEmail", "rating")
        payment_link_id = body["paymentLinkId"]
        if payment_link_id not in self._products:
            raise _RefusalError(404, "Produk tidak ditemukan")
        customer_id = self._customers_by_email.get(body["customerEmail"], {}).get("id", "")
        if (payment_link_id, customer_id) not in self._purchases:
            raise _RefusalError(403, "Anda belum pernah membeli produk ini")
        if self._purchases[payment_link_id, customer_id] is not None:
            raise _RefusalError(
                409,
                "Anda sudah memberikan ulasan untuk produk ini, jika ingin mengedit ulasan, "
                "silahkan gunakan fitur edit ulasan",
            )
        review = self.add_review(
            payment_link_id,
            customerId=customer_id,
            rating=body["rating"],
            message=body.get("message"),
        )
        attach(review, body.get("contentReview", ()))
        return _answer(200, "success", data=_record(review))

    async def _update_review(self, request: web.Request) -> web.Response:
        body = _valid(await request.read(), "id")
        review = self._reviews.get(body["id"])  # as documented, the id in the URL is ignored
        if review is None:
            raise _RefusalError(404, "Review tidak ditemukan")
        payment_link_id = body.get("paymentLinkId", review.get("paymentLinkId"))
        customer_ids = [body["customerId"]] if "customerId" in body else []
        if "customerEmail" in body:
            customer = self._customers_by_email.get(body["customerEmail"], {})
            customer_ids.append(customer.get("id"))
        for customer_id in customer_ids or [review.get("customerId")]:
            if (payment_link_id, customer_id) not in self._purchases:
                raise _RefusalError(404, "Transaksi tidak ditemukan")
        review |= {name: body[name] for name in ("rating", "message") if name in body}
        review["updatedAt"] = self._now()
        detach(review, body.get("deleteContentReview", ()))
        attach(review, body.get("contentReview", ()))
        return _answer(200, "success", data=_record(review))

    async def _update_statuses(self, request: web.Request) -> web.Response:
        updates = _valid(await request.read(), "input")["input"]
        if any(update["id"] not in self._reviews for update in updates):
            raise _RefusalError(400, "Review is not valid! Please check your payload.")
        for update in updates:
            self._reviews[update["id"]] |= {"status": update["status"], "updatedAt": self._now()}
        return _answer(200, "success")

    async def _customer_review(self, request: web.Request) -> web.Response:
        customer_id = request.query.get("customerId")
        if not customer_id:
            raise _RefusalError(400, "customerId query parameter is required")
        review = self._purchases.get((request.match_info["paymentLinkId"], customer_id))
        data = review and _without(review, "customer", "paymentLink")
        return _answer(200, "success", data=data)

    async def _list_product_reviews(self, request: web.Request) -> web.Response:
        payment_link_id = request.match_info["paymentLinkId"]
        if payment_link_id not in self._products:
            raise _RefusalError(404, "Produk tidak ditemukan")  # documented for creation only
        message_first = _query(request, "prioritizeMessage", "true|false") == "true"
        return self._list(request, payment_link_id, is_visible, message_first=message_first)

    async def _list_reviews(self, request: web.Request) -> web.Response:
        status = _query(request, "status", "|".join(_STATUSES))
        return self._list(
            request,
            request.query.get("paymentLinkId") or None,
            lambda review: status in (None, review.get("status")),
        )

    def _list(
        self,
        request: web.Request,
        payment_link_id: str | None,
        keep: Callable[[JSON], bool],
        *,
        message_first: bool = False,
    ) -> web.Response:
        rating = _query(request, "rating", "[1-5]")
        limit = _query(request, "limit", "0*[1-9][0-9]{0,9}") or "10"
        before = _query(request, "startingAfter", "-?[0-9]{1,18}")
        reviews, cursor = self._page(
            payment_link_id,
            lambda review: keep(review) and rating in (None, str(review.get("rating"))),
            limit=min(int(limit), 50),
            before=int(before) if before else None,
            message_first=message_first,
        )
        more = cursor is not None
        return _answer(200, "success", data=reviews, hasMore=more, nextStartingAfter=cursor)

    async def _product_stats(self, request: web.Request) -> web.Response:
        # Undocumented for a product that is not there; it has no reviews, at any rate.
        return _answer(200, "success", data=self._stats(request.match_info["paymentLinkId"]))

    async def _merchant_stats(self, _: web.Request) -> web.Response:
        return _answer(200, "success", data=self._stats(None))

    async def _customer_detail(self, request: web.Request) -> web.Response:
        email = request.query.get("email")
        if not email:
            raise _RefusalError(400, "email query parameter is required")  # undocumented
        if email not in self._customers_by_email:
            raise _RefusalError(404, "Customer tidak ditemukan")  # undocumented; may be data: null
        return _answer(200, "success", data=self._customers_by_email[email])


def _answer(
    status: int, messages: str, *, retry_after: int | str | None = None, **rest: Any
) -> web.Response:
    text = json.dumps({"statusCode": status, "messages": messages, **rest}, ensure_ascii=False)
    return web.Response(
        status=status,
        # UTF-8 has no half surrogate pairs; escaped by Python, one is escaped for JSON as well.
        body=text.encode(errors="backslashreplace"),
        content_type="application/json",
        charset="utf-8",
        headers=None if retry_after is None else {"Retry-After": str(retry_after)},
    )


def _without(review: JSON, *names: str) -> JSON:
    return {name: value for name, value in review.items() if name not in names}


def _record(review: JSON) -> JSON:
    """A review as creation and update answer it."""
    return _without(review, "multipleImage", "content", "customer", "paymentLink")


def _query(request: web.Request, name: str, pattern: str) -> str | None:
    """A parameter of the query, if it is there; what a bad one gets is undocumented."""
    text = request.query.get(name)
    if text is not None and not re.fullmatch(pattern, text):
        raise _RefusalError(400, f"{name} query parameter is not valid")
    return text


def _parsed(sent: bytes) -> Any:
    try:
        return json.loads(sent)
    except (ValueError, RecursionError):
        return None


def _valid(sent: bytes, *required: str) -> JSON:
    body: JSON = _parsed(sent)
    if faults := list(_faults(body, *required)):
        raise _RefusalError(200, "failed", data=faults)  # documented to come with HTTP 200
    return body


def _faults(value: Any, *required: str) -> Iterator[JSON]:
    """What is wrong with an object of a body; how Mayar puts it is undocumented."""
    if not isinstance(value, dict):
        yield {"field": "", "message": "must be a JSON object"}
        return
    for name, (expected, holds) in _RULES.items():
        if name in value and not holds(value[name]):
            yield {"field": name, "message": f"must be {expected}"}
        elif name in required and name not in value:
            yield {"field": name, "message": "is required"}


def _is_text(value: Any, low: int, high: int) -> bool:
    return isinstance(value, str) and low <= len(value) <= high


def _is_email(value: Any) -> bool:
    return _is_text(value, 5, 100) and bool(re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", value))


def _is_media(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= 10
        and all(
            isinstance(item, dict)
            and isinstance(item.get("id"), str)
            and item.get("type") in ("image", "video")
            and isinstance(item.get("multipleFileId", ""), str)
            for item in value
        )
    )


def _is_updates(value: Any) -> bool:
    return (
        isinstance(value, list)
        and 1 <= len(value) <= 50
        and not any(list(_faults(item, "id", "status")) for item in value)
    )


# A field has the same limits in whatever body it comes.
_ID = ("a string of 3-100 characters", lambda value: _is_text(value, 3, 100))
_ATTACHMENTS = ("at most 10 of {id, type: image or video, multipleFileId?}", _is_media)
_RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "id": _ID,
    "paymentLinkId": _ID,
    "customerId": _ID,
    "customerEmail": ("a valid email of 5-100 characters", _is_email),
    "rating": ("an integer of 1-5", lambda value: type(value) is int and 1 <= value <= 5),
    "message": ("a string of 1-2000 characters", lambda value: _is_text(value, 1, 2000)),
    "status": ("ACTIVE, ARCHIVED or INACTIVE", lambda value: value in _STATUSES),
    "contentReview": _ATTACHMENTS,
    "deleteContentReview": _ATTACHMENTS,
    "input": ("1-50 of {id, status, paymentLinkId?}", _is_updates),
}
