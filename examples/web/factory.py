"""The shop that the environment names, for `python -m examples.web` and for gunicorn."""

from __future__ import annotations

import logging
import os
import secrets
from pathlib import Path

from aiohttp import web

from .app import create_app
from .shop import Settings

_log = logging.getLogger(__package__)


async def create(ttl: float | None = None) -> web.Application:
    """The application: `gunicorn examples.web.factory:create -k aiohttp.GunicornWebWorker`.

    Raises:
        SystemExit: a setting is missing or wrong.
    """
    allow_http = os.environ.get("MAYAR_ALLOW_HTTP") == "1"
    return create_app(settings(ttl), allow_http=allow_http, check=True)


def settings(ttl: float | None = None) -> Settings:
    """What the environment says of the shop; `.env.example` explains it."""
    products = _pairs("PRODUCTS")
    if not products:
        raise SystemExit("PRODUCTS is missing: it must name what is sold, as 'id=Name; id=Name'")
    pictures = _pairs("PICTURES")
    requests = _number("REQUESTS_PER_MINUTE", os.environ.get("REQUESTS_PER_MINUTE", "20"))
    if requests < 4:
        raise SystemExit("REQUESTS_PER_MINUTE must be at least 4")
    secret = os.environ.get("WEB_SECRET", "").encode()
    if not secret:
        _log.warning("WEB_SECRET is missing: forms that are open now can't be sent after a restart")
        secret = secrets.token_bytes(32)
    changes = os.environ.get("CHANGES_FILE")
    return Settings(
        products,
        os.environ.get("MODERATOR_PASSWORD") or None,
        secret,
        media=("https://media.mayar.id/", *pictures.values()),
        pictures=pictures,
        prices={product: _number("PRICES", text) for product, text in _pairs("PRICES").items()},
        ttl=ttl or 60.0,
        requests=requests,
        behind_proxy=os.environ.get("BEHIND_PROXY") == "1",
        changes=Path(changes) if changes else None,
    )


def _number(name: str, text: str) -> int:
    if not text.isdecimal():
        raise SystemExit(f"{name} must hold whole numbers, not {text!r}")
    return int(text)


def _pairs(name: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in os.environ.get(name, "").split(";") if pair.strip())
    return {key.strip(): value.strip() for key, _, value in pairs}
