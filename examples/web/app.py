"""The application: its routes, its one client, and an answer for whatever goes wrong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus

from aiohttp import ClientSession, web
from aiohttp.typedefs import Handler

from mayar_reviews import RateLimiter, RequestEvent, ReviewsClient

from . import form, guard, moderation, views
from .shop import Settings, Shop
from .site import SITE, Site, page, words_for

STOPPING = 16.0
"""Seconds that a write gets to end when the server stops: its deadline and a little."""
_MOST_BYTES = 8 * 2**20
_log = logging.getLogger(__package__)


def create_app(
    settings: Settings,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    allow_http: bool = False,
    session: ClientSession | None = None,
    on_event: Callable[[RequestEvent], object] | None = None,
    budget: RateLimiter | None = None,
    check: bool = False,
    demo: bool = False,
) -> web.Application:
    """The application.

    Args:
        settings: what the shop decides.
        api_key: as for `ReviewsClient`, so by default from the environment; so are the next four.
        base_url: the origin.
        allow_http: whether it may be plain http.
        session: a session to use.
        on_event: called with each attempt.
        budget: all requests that may be made, such as a `RedisRateLimit` that several machines
            share; by default `settings.requests` a minute.
        check: whether to log at start if the key and the products are right.
        demo: whether its pages have the demonstration's panel.
    """
    app = web.Application(middlewares=[_explain], client_max_size=_MOST_BYTES)
    site = app[SITE] = Site(settings, demo=demo)

    async def shop(_: web.Application) -> AsyncIterator[None]:
        async with ReviewsClient(
            api_key, base_url=base_url, allow_http=allow_http, session=session, on_event=on_event
        ) as client:
            site.shop = Shop(client, settings, budget)
            checking = asyncio.create_task(_check(site.shop)) if check else None
            yield
            if checking is not None:
                checking.cancel()
                await asyncio.wait({checking})
            await site.shop.aclose()

    headers = guard.headers(settings.media)

    async def protect(_: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(headers)

    app.cleanup_ctx.append(shop)
    app.on_response_prepare.append(protect)
    app.add_routes(
        [
            web.get("/", views.index),
            web.get("/products/{product_id}", views.product),
            web.get("/products/{product_id}/reviews.json", views.product_json),
            web.get("/products/{product_id}/review", form.form),
            web.post("/products/{product_id}/review", form.submit),
            web.get("/moderation", moderation.moderation),
            web.post("/moderation", moderation.moderate),
            web.get("/language/{language}", views.language),
            web.get("/static/{name:.+}", views.static),
            web.get("/robots.txt", views.robots),
        ]
    )
    return app


async def _check(shop: Shop) -> None:
    async for fine, sentence in shop.check():
        _log.log(logging.INFO if fine else logging.ERROR, "%s", sentence)


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what no view answers into a page with a sentence for people."""
    try:
        return await handler(request)
    except web.HTTPException as answer:
        if answer.status < HTTPStatus.BAD_REQUEST:
            raise
        status, headers = answer.status, answer.headers
    except Exception:
        _log.exception("%s %s failed", request.method, request.path)
        status, headers = 500, None
    sentences = words_for(request)["statuses_http"]
    sentence = sentences.get(str(status), sentences["400"])
    if request.path.endswith(".json"):
        response = views.error_json(sentence, status)
    else:
        response = page(request, "error.html", status, sentence=sentence)
    for name in ("WWW-Authenticate", "Allow", "Retry-After"):
        if headers is not None and name in headers:
            response.headers[name] = headers[name]
    if status == HTTPStatus.REQUEST_TIMEOUT:
        response.force_close()
    return response
