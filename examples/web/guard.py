"""What keeps strangers out: signatures, form tokens, the moderator's password, headers."""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Sequence
from urllib.parse import urlsplit

from aiohttp import hdrs, web

_COOKIE = "visitor"


def sign(secret: bytes, purpose: str, text: str) -> str:
    """The signature of a text: only who knows the secret can make it."""
    message = f"{purpose}\n{text}".encode(errors="replace")
    return hmac.new(secret, message, "sha256").hexdigest()[:32]


def is_signed(secret: bytes, purpose: str, text: str, signature: str) -> bool:
    """Whether `sign` made the signature."""
    expected = sign(secret, purpose, text)
    return hmac.compare_digest(expected.encode(), signature.encode(errors="replace"))


def form_token(request: web.Request, secret: bytes) -> tuple[str, str]:
    """The visitor's cookie, a new one where there is none, and the token that goes with it."""
    visitor = request.cookies.get(_COOKIE) or secrets.token_urlsafe(16)
    return visitor, sign(secret, "form", visitor)


def set_visitor(response: web.Response, request: web.Request, visitor: str) -> None:
    """Give the cookie out; over plain http only on loopback, where a demonstration runs."""
    response.set_cookie(
        _COOKIE,
        visitor,
        httponly=True,
        samesite="Strict",
        secure=request.url.host not in ("127.0.0.1", "localhost", "::1"),
    )


def is_own_form(request: web.Request, secret: bytes, token: str) -> bool:
    """Whether a form was sent from a page that this visitor got from us."""
    visitor = request.cookies.get(_COOKIE, "")
    return bool(visitor) and is_signed(secret, "form", visitor, token)


def is_moderator(request: web.Request, password: str) -> bool:
    """Whether the request carries the moderator's password, under any user name."""
    scheme, _, encoded = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    try:
        _, _, sent = base64.b64decode(encoded, validate=True).partition(b":")
    except ValueError:
        return False
    return scheme.lower() == "basic" and hmac.compare_digest(sent, password.encode())


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
        "Cross-Origin-Opener-Policy": "same-origin",
    }
