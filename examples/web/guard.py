"""What keeps strangers out: signatures, form tokens, the moderator's password, headers."""

from __future__ import annotations

import asyncio
import base64
import hmac
import secrets
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from itsdangerous import BadSignature, URLSafeSerializer, URLSafeTimedSerializer
from multidict import MultiDictProxy

Form: TypeAlias = MultiDictProxy[str | bytes | bytearray | web.FileField]
FORM_SECONDS = 12 * 3600
"""How long a form may lie open before it is sent."""
BODY_SECONDS = 10.0
"""How long a body may take to arrive."""


class Seals:
    """Signs what leaves the shop and comes back. What was tampered with or is old is `None`.

    Args:
        secret: whoever knows it can sign.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._serializer = lru_cache(lambda purpose: URLSafeSerializer(secret, salt=purpose))

    def seal(self, purpose: str, value: object) -> str:
        """Sign a value that JSON can hold; the same value always gives the same text."""
        return _text(self._serializer(purpose).dumps(value))

    def open(self, purpose: str, text: str) -> Any:
        """The value that `seal` was given."""
        try:
            return self._serializer(purpose).loads(text)
        except (BadSignature, ValueError):
            return None

    def stamp(self, purpose: str, value: object) -> str:
        """Sign a value together with the time."""
        return _text(URLSafeTimedSerializer(self._secret, salt=purpose).dumps(value))

    def open_stamped(self, purpose: str, text: str, seconds: int) -> Any:
        """The value that `stamp` was given, not longer ago than so many seconds."""
        try:
            return URLSafeTimedSerializer(self._secret, salt=purpose).loads(text, max_age=seconds)
        except (BadSignature, ValueError):
            return None


def _text(signed: str | bytes) -> str:
    return signed if isinstance(signed, str) else signed.decode()


def new_visitor() -> str:
    """What tells one browser from another."""
    return secrets.token_urlsafe(16)


def is_secure(request: web.Request, *, behind_proxy: bool) -> bool:
    """Whether the visitor speaks https, to us or to the proxy before us."""
    if behind_proxy:
        return request.headers.get(hdrs.X_FORWARDED_PROTO, "").rpartition(",")[2].strip() == "https"
    return request.secure


def address_of(request: web.Request, *, behind_proxy: bool) -> str:
    """The visitor's address; only what the nearest proxy has added is believed."""
    if behind_proxy and (forwarded := request.headers.get(hdrs.X_FORWARDED_FOR)):
        return forwarded.rpartition(",")[2].strip()
    return request.remote or ""


def is_moderator(request: web.Request, password: str) -> bool:
    """Whether the request carries the moderator's password, under any user name."""
    scheme, _, encoded = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    try:
        _, _, sent = base64.b64decode(encoded, validate=True).partition(b":")
    except ValueError:
        return False
    return scheme.lower() == "basic" and hmac.compare_digest(sent, password.encode())


async def read_form(request: web.Request) -> Form:
    """What a form holds.

    Raises:
        HTTPBadRequest: it is no form.
        HTTPRequestEntityTooLarge: it is too long.
        HTTPRequestTimeout: it does not arrive.
    """
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.post()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except web.HTTPException:
        raise
    except Exception:  # whatever a parser makes of garbage, the sender has sent it
        raise web.HTTPBadRequest from None


def headers(media: Sequence[str]) -> dict[str, str]:
    """What every answer carries: nothing inline runs, nothing loads from elsewhere but pictures.

    Args:
        media: what the address of a picture may begin with.
    """
    pictures = " ".join(["'self'", *(url for url in media if urlsplit(url).netloc)])
    return {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
            f"img-src {pictures}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
    }
