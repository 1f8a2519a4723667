"""The steps of a fault server's script: what it does to a request."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from attrs import Factory, field, frozen

from mayar_reviews.testing.api import Route

JSON: TypeAlias = Any

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
    """How an answer is sent; by default correctly."""

    headers: Headers = ()
    """Added to, or in place of, `Date` and `Content-Type`; None takes one of those away. Framing is
    never replaced: a `Content-Length` here is a second one."""

    framing: Literal["length", "chunked", "eof"] = "length"

    length_error: int = 0
    """How far the `Content-Length` is off."""

    gzip: int = 0
    """How many times over the body is compressed."""

    cut: int = 0
    """How many bytes are cut off the end of the (compressed) body; the framing fits what is left."""

    repeat: int = 1
    """How many times over the body is sent: a megabyte a hundred times is a flood."""

    hints: int = 0
    """How many `103 Early Hints` go ahead."""

    drip: tuple[int, float] | None = None
    """`(k, s)`: k bytes, head included, every s seconds."""

    unasked: bytes | Literal["the answer again"] | None = None
    """Sent on the kept connection after the answer, though nobody asks."""

    unasked_after: float = 0.0
    """Seconds from the answer to what nobody asked for."""

    unasked_then: Literal["keep", "close"] = "keep"
    """What becomes of the connection then."""


@frozen(kw_only=True)
class Behave(Answer):
    """The right answer; a write is committed."""

    envelope: Mapping[str, JSON] = Factory(dict)
    """Replaces top-level fields of the answer."""


@frozen(kw_only=True, slots=False)  # two slotted bases do not mix, and `Respond` has two
class Misbehave(Step):
    """A step from whose answer the client cannot tell whether a write was done."""

    commit: bool = False
    commit_after: float | None = None
    """Seconds after which a write is done, even if the client has left."""


@frozen
class Respond(Answer, Misbehave):
    """Any other answer: an error, another shape, a redirect, a flood."""

    status: int = field(kw_only=False)
    body: JSON | bytes | None = field(default=None, kw_only=False)
    """A JSON value, or bytes to be sent as they are; None is the envelope of the status."""


@frozen
class Raw(Misbehave):
    """Any bytes, HTTP or not, and then an end."""

    data: bytes = field(kw_only=False)
    then: How = field(default="close", kw_only=False)


@frozen
class Break(Misbehave):
    """Stop in the middle.

    `where` is how far the exchange gets: the connection is accepted (before TLS), the request's
    head is read, the request is read, the answer's head is sent, `nbytes` of its body are sent
    (half of them unless told), or the whole answer is sent.

    A step at "accept" is for a new connection instead of a request, and has to stand first in
    the script by then.
    """

    where: Literal["accept", "request head", "request", "answer head", "body", "answer"] = field(
        kw_only=False
    )
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
