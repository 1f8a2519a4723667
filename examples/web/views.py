"""What visitors read: one coroutine per page."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import attrs
from aiohttp import web
from attrs import frozen

from mayar_reviews import MayarError, ReviewStats

from . import structured
from .shop import PublicReview
from .site import SITE, address_of, page, respond, set_cookie, static_files, words_for
from .speech import status_of

_ROBOTS = b"""User-agent: *
Disallow: /*?after=
Disallow: /*/review$
Disallow: /*.json
Disallow: /language/
Disallow: /moderation
Disallow: /demo
"""


async def index(request: web.Request) -> web.Response:
    """The products, with their figures as far as they are known."""
    site = request.app[SITE]
    found = await asyncio.gather(*map(site.shop.stats, site.settings.products))
    products = tuple(
        (product_id, name, stats.value, stats.known)
        for (product_id, name), stats in zip(site.settings.products.items(), found, strict=True)
    )
    return page(request, "index.html", products=products)


@frozen
class _Reading:
    """A page of a product's reviews, as far as it is known."""

    product_id: str
    name: str
    picture: str | None
    price: int | None
    is_first: bool
    reviews: tuple[PublicReview, ...] | None
    stats: ReviewStats | None
    as_of: datetime | None
    outdated: bool
    after: str | None
    """Where the next page begins, signed."""
    failure: MayarError | None


async def product(request: web.Request) -> web.Response:
    """A product's reviews as a page, which is there even while Mayar is not.

    The reviews are a part of what a shop says of a product: without them the rest still holds,
    so that they are missing is said on the page and not by its status.
    """
    reading = await _read(request)
    markup = None
    if reading.stats is not None and reading.reviews:
        markup = structured.product(
            reading.name, reading.picture, reading.price, reading.stats, reading.reviews
        )
    return page(request, "product.html", reading=reading, markup=markup)


async def product_json(request: web.Request) -> web.Response:
    """A product's reviews for programs, which are told of a failure by the status."""
    reading = await _read(request)
    if reading.failure is not None and reading.reviews is None:
        return error_json(words_for(request).apology(reading.failure), status_of(reading.failure))
    content = {
        "name": reading.name,
        "stats": reading.stats,
        "reviews": reading.reviews,
        "next": reading.after and str(request.rel_url.with_query(after=reading.after)),
        "as_of": reading.as_of,
    }
    body = json.dumps(content, default=_to_json).encode()
    return respond(request, body, "application/json")


def _to_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else attrs.asdict(value)


def error_json(sentence: str, status: int) -> web.Response:
    """A failure as JSON."""
    later = {"Retry-After": "60"} if status in (429, HTTPStatus.SERVICE_UNAVAILABLE) else None
    return web.json_response({"error": sentence}, status=status, headers=later)


async def _read(request: web.Request) -> _Reading:
    site = request.app[SITE]
    product_id = product_of(request)
    cursor = _cursor(request, product_id)
    if cursor is not None and not site.shop.has_page(product_id, cursor):
        if site.older.are_too_many(address_of(request)):
            raise web.HTTPTooManyRequests(headers={"Retry-After": "60"})
        site.older.add(address_of(request))
    async with asyncio.TaskGroup() as group:
        figures = group.create_task(site.shop.stats(product_id))
        listed = await site.shop.page(product_id, cursor)
    stats = figures.result()
    after = None
    if listed.value is not None and (following := listed.value.next_starting_after):
        after = site.seals.seal(_purpose(product_id), following)
    return _Reading(
        product_id,
        site.settings.products[product_id],
        site.settings.pictures.get(product_id),
        site.settings.prices.get(product_id),
        cursor is None,
        site.shop.public(listed),
        stats.value,
        clock_time(listed.as_of) if listed.known else None,
        listed.outdated,
        after,
        listed.failure,
    )


def product_of(request: web.Request) -> str:
    """The product that a path is about: one of the shop's."""
    product_id = request.match_info["product_id"]
    if product_id not in request.app[SITE].settings.products:
        raise web.HTTPNotFound
    return product_id


def _cursor(request: web.Request, product_id: str) -> str | None:
    """Where the page begins: only where an earlier page ended, as each costs a request."""
    if "after" not in request.query:
        return None
    cursor = request.app[SITE].seals.open(_purpose(product_id), request.query["after"])
    if not isinstance(cursor, str):
        raise web.HTTPSeeOther(request.rel_url.with_query(None))
    return cursor


def _purpose(product_id: str) -> str:
    return f"cursor of {product_id}"


def clock_time(as_of: float) -> datetime:
    """When it was by the clock on the wall at a time of the event loop; the same each time."""
    return datetime.fromtimestamp(round(as_of + _CLOCK), UTC)


_CLOCK = time.time() - time.monotonic()


async def language(request: web.Request) -> web.Response:
    """Keep the language that the visitor has chosen, and go back."""
    chosen = request.match_info["language"]
    if chosen not in request.app[SITE].words:
        raise web.HTTPNotFound
    back = request.query.get("back", "/")
    if not back.startswith("/") or back.startswith(("//", "/\\")) or not back.isprintable():
        back = "/"
    response = web.Response(status=303, headers={"Location": back})
    set_cookie(request, response, "language", chosen)
    return response


async def static(request: web.Request) -> web.Response:
    """A file of ours."""
    found = static_files().get(request.match_info["name"])
    if found is None:
        raise web.HTTPNotFound
    return respond(request, *found, cache="max-age=600")


async def robots(request: web.Request) -> web.Response:
    """What crawlers may not follow: each older page costs a request."""
    return respond(request, _ROBOTS, "text/plain", cache="max-age=86400")
