"""The application: its routes, its one client, and an answer for whatever goes wrong."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

import jinja2
from aiohttp import web
from aiohttp.typedefs import Handler

from mayar_reviews import ReviewsClient

from . import guard, views
from .shop import Settings, Shop
from .speech import read_words

_HERE = Path(__file__).parent
_log = logging.getLogger(__name__)


def create_app(
    settings: Settings, *, api_key: str | None = None, base_url: str | None = None
) -> web.Application:
    """The application.

    Args:
        settings: what the shop decides.
        api_key: as for `ReviewsClient`, so by default from the environment.
        base_url: the same.
    """
    app = web.Application(middlewares=[_explain], client_max_size=64 * 1024)
    app[views.SETTINGS] = settings
    app[views.WORDS] = read_words()
    app[views.TEMPLATES] = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    async def shop(app: web.Application) -> AsyncIterator[None]:
        async with ReviewsClient(api_key, base_url=base_url) as client:
            app[views.SHOP] = Shop(client, settings.ttl)
            yield
            await app[views.SHOP].aclose()

    headers = guard.headers(settings.media)

    async def protect(_: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(headers)

    app.cleanup_ctx.append(shop)
    app.on_response_prepare.append(protect)
    app.router.add_static("/static", _HERE / "static")
    app.add_routes(
        [
            web.get("/", views.index),
            web.get("/products/{product_id}", views.product),
            web.get("/products/{product_id}/reviews.json", views.product_json),
            web.get("/products/{product_id}/review", views.form),
            web.post("/products/{product_id}/review", views.submit),
            web.get("/moderation", views.moderation),
            web.post("/moderation", views.moderate),
        ]
    )
    return app


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what no view answers into a page with a sentence for people."""
    try:
        return await handler(request)
    except web.HTTPException as answer:
        if answer.status < HTTPStatus.BAD_REQUEST:
            raise
        names = {404: "not_found", 401: "password_needed"}
        name, status = names.get(answer.status, "not_allowed"), answer.status
        asks = answer.headers.get("WWW-Authenticate")
    except Exception:
        _log.exception("%s %s failed", request.method, request.path)
        name, status, asks = "fault", 500, None
    sentence = views.words_for(request)[name]
    if request.path.endswith(".json"):
        return views.error_json(sentence, status)
    response = views.page(request, "error.html", status, sentence=sentence)
    if asks is not None:
        response.headers["WWW-Authenticate"] = asks
    return response
