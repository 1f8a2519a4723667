"""From a step of the script to bytes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import Literal

from attrs import evolve, frozen

from mayar_reviews.testing.api import Reply, refusal

from .steps import JSON, Answer, Behave, Break, How, Respond


@frozen
class Wire:
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


def render(answer: Answer, date: float, right: Reply | None = None) -> Wire:
    """Return an answer as bytes; `date` is the server's time, `right` what the API says."""
    match answer:
        case Behave():
            assert right is not None
            status, body = right.status, json.dumps(right.envelope | dict(answer.envelope)).encode()
        case Respond(status=status, body=bytes(body)):
            pass
        case Respond(status=status, body=None):
            body = json.dumps(refusal(status, _phrase(status)).envelope).encode()
        case Respond(status=status, body=value):
            body = json.dumps(value).encode()
        case _:
            raise TypeError(answer)

    understood = not answer.cut and answer.repeat == 1 and answer.gzip <= 1
    told = parsed(body) if understood else None
    for _ in range(answer.gzip):
        body = gzip.compress(body, mtime=0)
    body = body[: len(body) - answer.cut]
    pieces = [body] * answer.repeat
    headers: dict[str, str | None] = {
        "Date": formatdate(date, usegmt=True),
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
    return Wire(
        head.encode("latin-1"),
        pieces,
        answer.drip,
        ending="close" if answer.framing == "eof" else "keep",
        reply=None if answer.length_error else Reply(status, told),
    )


def break_off(step: Break, whole: Wire) -> Wire:
    """Return a wire on which `whole` gets only as far as `step` lets it."""
    if step.where == "answer":
        return evolve(whole, ending=step.how)
    body = b"".join(whole.body) if step.where == "body" else b""
    nbytes = len(body) // 2 if step.nbytes is None else step.nbytes
    return evolve(whole, body=[body[:nbytes]], ending=step.how, reply=None)


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unknown"


def parsed(body: bytes) -> JSON:
    """Return what the bytes mean, or None if they mean nothing."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
