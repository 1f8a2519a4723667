"""The moderator's view: the whole store's reviews, to archive, to restore, and to undo that."""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web

from mayar_reviews import MayarError, ReviewStatus

from . import guard
from .cache import explain
from .shop import PublicReview
from .site import (
    SITE,
    address_of,
    form_token,
    is_own_form,
    leave,
    page,
    set_cookie,
    words_for,
)
from .speech import status_of
from .views import clock_time

_log = logging.getLogger(__name__)


async def moderation(request: web.Request) -> web.Response:
    """The whole store's reviews, whatever their status."""
    _require_moderator(request)
    return await _moderation(request)


async def moderate(request: web.Request) -> web.Response:
    """Give the reviews that are ticked a status, or the one that each had before."""
    _require_moderator(request)
    site, words = request.app[SITE], words_for(request)
    sent = await guard.read_form(request)
    # Each is its product, its id and its status: the present one, or the one to go back to.
    ticked = [str(value).split("/") for value in sent.getall("review", ())]
    wanted = str(sent.get("status"))
    if (wanted != "UNDO" and wanted not in ReviewStatus.__members__) or not all(
        len(parts) == 3 and (wanted != "UNDO" or parts[2] in ReviewStatus.__members__)
        for parts in ticked
    ):
        raise web.HTTPBadRequest
    if not is_own_form(request, str(sent.get("token"))):
        return await _moderation(request, 403, words["expired_form"])
    if not ticked:
        return await _moderation(request, 422, words["nothing_ticked"])
    reviews = {
        review_id: (product_id, ReviewStatus(before if wanted == "UNDO" else wanted))
        for product_id, review_id, before in ticked
    }
    try:
        await site.shop.set_statuses(reviews)
    except MayarError as error:
        _log.warning("moderating failed: %s", explain(error))
        return await _moderation(request, status_of(error), words.apology(error))
    notice: dict[str, Any] = {"name": "moderated", "status": wanted, "count": len(ticked)}
    if wanted != "UNDO":
        notice["undo"] = [
            "/".join(parts) for parts in ticked if parts[2] in ReviewStatus.__members__
        ]
    return leave(request, request.rel_url.raw_path_qs, notice)


async def _moderation(
    request: web.Request, status: int = 200, fault: str | None = None
) -> web.Response:
    site, words = request.app[SITE], words_for(request)
    shown = ReviewStatus.__members__.get(request.query.get("status", ""))
    listed = await site.shop.list_all(shown, request.query.get("after") or None)
    if listed.value is None and listed.failure is not None:
        status, fault = status_of(listed.failure), fault or words.apology(listed.failure)
    cookie, token = form_token(request)
    response = page(
        request,
        "moderation.html",
        status,
        private=True,
        reviews=[
            (
                review,
                site.shop.status(review, listed.as_of),
                PublicReview.of(review, site.settings.media),
            )
            for review in (listed.value.data if listed.value else ())
        ],
        known=listed.known,
        after=listed.value and listed.value.next_starting_after,
        as_of=clock_time(listed.as_of) if listed.known and listed.outdated else None,
        shown=shown,
        fault=fault,
        token=token,
    )
    set_cookie(request, response, "visitor", cookie)
    return response


def _require_moderator(request: web.Request) -> None:
    site = request.app[SITE]
    password, address = site.settings.moderator_password, address_of(request)
    if password is None:
        raise web.HTTPNotFound
    if site.guesses.are_too_many(address):
        raise web.HTTPTooManyRequests(headers={"Retry-After": "60"})
    if not guard.is_moderator(request, password):
        if "Authorization" in request.headers:  # browsers ask without it at first
            site.guesses.add(address)
        raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Basic realm="moderation"'})
