"""The faults that the rows of the matrix are made of.

One entry of `PASSING` becomes eight rows: a read that meets the fault once, and for ever; and,
where the fault leaves a write in doubt, a creation that was done, that was not done and that is
never done, an update that meets it once, and for ever, and an update of media.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from mayar_reviews import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ConnectionLostError,
    MayarError,
    NotFoundError,
    PermissionDeniedError,
    ResponseError,
    RetryPolicy,
    ServerError,
    ValidationError,
)
from tests.support.steps import Behave, Break, Raw, Respond, Step, bomb, redirect

EVER = math.inf
FEW = RetryPolicy(attempts=2, backoff_initial=0.1)
ONE = RetryPolicy.none()
HTML = [("Content-Type", "text/html")]
GATEWAY = b"<html><h1>Bad gateway</h1></html>"


def envelope(data: Any, **others: Any) -> dict[str, Any]:
    """The body of a successful answer."""
    return {"statusCode": 200, "messages": "success", "data": data} | others


# Each of these leaves a read to be tried again: once it passes unseen, for ever it is `raises`.
PASSING: dict[str, tuple[Callable[..., Step], type[MayarError]]] = {
    "500": (lambda **step: Respond(500, **step), ServerError),
    "502 in HTML": (lambda **step: Respond(502, GATEWAY, headers=HTML, **step), ServerError),
    "503": (lambda **step: Respond(503, **step), ServerError),
    "504 without a body": (lambda **step: Respond(504, b"", **step), ServerError),
    "200 with statusCode 500": (
        lambda **step: Respond(200, {"statusCode": 500, "messages": "x"}, **step),
        ServerError,
    ),
    "500 with statusCode 200": (
        lambda **step: Respond(500, envelope({"id": "x"}), **step),
        ServerError,
    ),
    "closed on accept": (lambda **step: Break("accept", "close", **step), ConnectionLostError),
    "closed after the headers": (
        lambda **step: Break("request head", "close", **step),
        ConnectionLostError,
    ),
    "closed after the request": (
        lambda **step: Break("request", "close", **step),
        ConnectionLostError,
    ),
    "reset after the request": (
        lambda **step: Break("request", "reset", **step),
        ConnectionLostError,
    ),
    "hangs before the head": (lambda **step: Break("request", "hang", **step), ConnectionLostError),
    "hangs after the head": (
        lambda **step: Break("answer head", "hang", **step),
        ConnectionLostError,
    ),
    "hangs in the body": (lambda **step: Break("body", "hang", **step), ConnectionLostError),
    "closed after the head": (
        lambda **step: Break("answer head", "close", **step),
        ConnectionLostError,
    ),
    "closed in the body": (lambda **step: Break("body", "close", **step), ConnectionLostError),
    "reset in the body": (lambda **step: Break("body", "reset", **step), ConnectionLostError),
    "cut in a chunk": (
        lambda **step: Break("body", "close", answer=Behave(framing="chunked"), **step),
        ConnectionLostError,
    ),
    "cut without a length": (
        lambda **step: Break("body", "close", answer=Behave(framing="eof"), **step),
        ResponseError,
    ),
    "drips for ever": (lambda **step: Behave(drip=(1, 2.0), **step), ConnectionLostError),
    "length too long": (lambda **step: Behave(length_error=5, **step), ConnectionLostError),
    "length too short": (lambda **step: Behave(length_error=-5, **step), ResponseError),
    "two lengths": (
        lambda **step: Behave(headers=[("Content-Length", "9")], **step),
        ResponseError,
    ),
    "invalid chunk size": (
        lambda **step: Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", **step),
        MayarError,
    ),
    "garbage instead of a status": (lambda **step: Raw(b"garbage\r\n\r\n", **step), ResponseError),
    "HTTP 0.9": (lambda **step: Raw(b'{"statusCode": 200}', **step), MayarError),
    "a header too large": (
        lambda **step: Behave(headers=[("X-Big", "a" * 9000)], **step),
        ResponseError,
    ),
    "too many headers": (
        lambda **step: Behave(headers=[(f"X-{n}", "x") for n in range(200)], **step),
        ResponseError,
    ),
    "HTML": (lambda **step: Respond(200, GATEWAY, headers=HTML, **step), ResponseError),
    "an empty body": (lambda **step: Respond(200, b"", **step), ResponseError),
    "204": (lambda **step: Respond(204, b"", **step), ResponseError),
    "JSON cut short": (lambda **step: Behave(cut=3, **step), ResponseError),
    "a list": (lambda **step: Respond(200, [1], **step), ResponseError),
    "null": (lambda **step: Respond(200, b"null", **step), ResponseError),
    "not UTF-8": (lambda **step: Respond(200, b"\xff", **step), ResponseError),
    "UTF-16": (
        lambda **step: Respond(200, json.dumps(envelope(None)).encode("utf-16"), **step),
        ResponseError,
    ),
    "nested 100,000 deep": (lambda **step: Respond(200, b"[" * 100_000, **step), ResponseError),
    "gzip cut short": (lambda **step: Behave(gzip=1, cut=80, **step), MayarError),
    "gzip twice": (lambda **step: Behave(gzip=2, **step), ResponseError),
    "an unknown encoding": (
        lambda **step: Respond(200, b"\x0b\x02\x80", headers=[("Content-Encoding", "br")], **step),
        MayarError,
    ),
    "a redirect": (lambda **step: redirect("https://elsewhere.test/", 302, **step), ResponseError),
    "a permanent redirect": (
        lambda **step: redirect("https://elsewhere.test/", 308, **step),
        ResponseError,
    ),
    "a redirect to nonsense": (lambda **step: redirect("http://[", 302, **step), ResponseError),
    "a redirect to nowhere": (lambda **step: Respond(302, b"", **step), ResponseError),
}


def _leaves_doubt(fault: Step) -> bool:
    """Whether the server had the whole request, and may have done what it asks."""
    if isinstance(fault, Break):
        return fault.where not in ("accept", "request head")
    return isinstance(fault, Respond | Raw)


# After each of these a write may have been done or not: the script says which.
LEAVING_DOUBT = {name: fault for name, fault in PASSING.items() if _leaves_doubt(fault[0]())}
# Each of these ends a read at once.
LASTING: dict[str, tuple[Step, type[MayarError]]] = {
    "400": (Respond(400), BadRequestError),
    "401": (Respond(401), AuthenticationError),
    "401 in HTML": (Respond(401, GATEWAY, headers=HTML), AuthenticationError),
    "403": (Respond(403), PermissionDeniedError),
    "404": (Respond(404), NotFoundError),
    "404 in the body": (Respond(200, {"statusCode": 404, "messages": "x"}), NotFoundError),
    "409": (Respond(409), ConflictError),
    "418": (Respond(418), APIError),
    "999": (Respond(999), APIError),
    "failed": (
        Respond(200, {"statusCode": 200, "messages": "failed", "data": ["x"]}),
        ValidationError,
    ),
    "an unknown word": (Respond(200, envelope({}, messages="maybe")), ResponseError),
    "messages in a list": (Respond(200, envelope({}, messages=["success"])), ResponseError),
    "statusCode in a string": (Respond(200, envelope({}, statusCode="200")), ResponseError),
    "no statusCode": (Respond(200, {"messages": "success", "data": {}}), ResponseError),
    "data of a wrong type": (Respond(200, envelope("data")), ResponseError),
    "a number for an id": (Respond(200, envelope([{"id": 1}], hasMore=False)), ResponseError),
    "100 MB": (Respond(200, bytes(2**20), repeat=100), ResponseError),
    "9 MB in chunks": (Respond(200, b" " * 2**20, repeat=9, framing="chunked"), ResponseError),
    "a bomb of 100 MB": (bomb(100), ResponseError),
}
