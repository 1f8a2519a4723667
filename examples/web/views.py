"""One coroutine per page: what it needs is read, checked and handed to a template."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import attrs
import jinja2
from aiohttp import web
from attrs import frozen

from mayar_reviews import InvalidArgumentError, MayarError, ReviewStats, ReviewStatus

from . import guard
from .shop import PublicReview, Settings, Shop
from .speech import Words, choose, status_of

SETTINGS = web.AppKey("SETTINGS", Settings)
SHOP = web.AppKey("SHOP", Shop)
TEMPLATES = web.AppKey("TEMPLATES", jinja2.Environment)
WORDS = web.AppKey("WORDS", dict[str, Words])

_REMOVED = (ReviewStatus.ARCHIVED, ReviewStatus.INACTIVE)
_log = logging.getLogger(__name__)


def words_for(request: web.Request) -> Words:
    """The words in the visitor's language."""
    return choose(request.app[WORDS], request.headers.get("Accept-Language", ""))


def page(request: web.Request, template: str, status: int = 200, **context: object) -> web.Response:
    """A template as an answer."""
    words = words_for(request)
    text = request.app[TEMPLATES].get_template(template).render(words=words, **context)
    return web.Response(
        # A message cut in the middle of an emoji cannot be encoded as it is.
        body=text.encode(errors="replace"),
        status=status,
        content_type="text/html",
        charset="utf-8",
        headers={"Vary": "Accept-Language", "Cache-Control": "no-cache"},
    )


async def index(request: web.Request) -> web.Response:
    """The products."""
    return page(request, "index.html", products=request.app[SETTINGS].products)


@frozen
class _Reading:
    """A page of a product's reviews, as far as it is known."""

    product_id: str
    name: str
    is_first: bool
    reviews: list[PublicReview] | None
    stats: ReviewStats | None
    as_of: datetime | None
    after: str | None
    """Where the next page begins, signed."""
    failure: MayarError | None


async def product(request: web.Request) -> web.Response:
    """A product's reviews as a page, which is there even while Mayar is not.

    The reviews are a part of what a shop says of a product: without them the rest still holds,
    so that they are missing is said on the page and not by its status.
    """
    reading = await _read(request)
    return page(request, "product.html", reading=reading, thanks="thanks" in request.query)


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
    return web.json_response(
        content,
        dumps=lambda value: json.dumps(value, default=_to_json),
        headers={"Cache-Control": "no-cache"},
    )


def _to_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else attrs.asdict(value)


def error_json(sentence: str, status: int) -> web.Response:
    """A failure as JSON."""
    later = {"Retry-After": "60"} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return web.json_response({"error": sentence}, status=status, headers=later)


async def _read(request: web.Request) -> _Reading:
    settings, shop = request.app[SETTINGS], request.app[SHOP]
    product_id = _product_id(request)
    cursor = _cursor(request, product_id)
    listed, stats = await asyncio.gather(shop.page(product_id, cursor), shop.stats(product_id))
    reviews = after = as_of = None
    if listed.value is not None:
        reviews = [
            PublicReview.of(review, settings.media)
            for review in listed.value.data
            if shop.status(review, listed.as_of) not in _REMOVED
        ]
        as_of = _clock_time(listed.as_of)
        if following := listed.value.next_starting_after:
            after = f"{following}.{guard.sign(settings.secret, _purpose(product_id), following)}"
    return _Reading(
        product_id,
        settings.products[product_id],
        cursor is None,
        reviews,
        stats.value,
        as_of,
        after,
        listed.failure,
    )


def _product_id(request: web.Request) -> str:
    product_id = request.match_info["product_id"]
    if product_id not in request.app[SETTINGS].products:
        raise web.HTTPNotFound
    return product_id


def _cursor(request: web.Request, product_id: str) -> str | None:
    """Where the page begins: only where an earlier page ended, as each costs a request."""
    if "after" not in request.query:
        return None
    cursor, _, signature = request.query["after"].rpartition(".")
    secret, purpose = request.app[SETTINGS].secret, _purpose(product_id)
    if not guard.is_signed(secret, purpose, cursor, signature):
        raise web.HTTPSeeOther(request.rel_url.with_query(None))
    return cursor


def _purpose(product_id: str) -> str:
    return f"cursor of {product_id}"


async def form(request: web.Request) -> web.Response:
    """The form that leaves a review."""
    return _form(request)


async def submit(request: web.Request) -> web.Response:
    """Leave a review, or show the form again with what is wrong beside its field."""
    product_id = _product_id(request)
    # Files, which the form does not ask for, count as not sent.
    fields = (await request.post()).items()
    sent = {name: value for name, value in fields if isinstance(value, str)}
    words = words_for(request)
    if not _is_own_form(request, sent):
        return _form(request, 403, sent, {"": words["expired_form"]})
    rating = sent.get("rating", "")
    try:
        await request.app[SHOP].create(
            product_id,
            sent.get("customer_email", "").strip(),
            int(rating) if rating in {"1", "2", "3", "4", "5"} else 0,
            # Browsers send each line end as two characters, and count it as one.
            sent.get("message", "").replace("\r\n", "\n").strip() or None,
        )
    except MayarError as error:
        _tell(error)
        field = (error.field or "") if isinstance(error, InvalidArgumentError) else ""
        faults = {field: words["fields"].get(field) or words.apology(error)}
        return _form(request, status_of(error), sent, faults)
    raise web.HTTPSeeOther(f"/products/{product_id}?thanks")


def _form(
    request: web.Request,
    status: int = 200,
    sent: dict[str, str] | None = None,
    faults: dict[str, str] | None = None,
) -> web.Response:
    """The form; what was sent is in it again, but for the email, which no page ever holds."""
    settings = request.app[SETTINGS]
    product_id = _product_id(request)
    visitor, token = guard.form_token(request, settings.secret)
    response = page(
        request,
        "form.html",
        status,
        product_id=product_id,
        name=settings.products[product_id],
        token=token,
        rating=(sent or {}).get("rating"),
        message=(sent or {}).get("message", ""),
        faults=faults or {},
    )
    guard.set_visitor(response, request, visitor)
    return response


async def moderation(request: web.Request) -> web.Response:
    """The whole store's reviews, whatever their status."""
    _require_moderator(request)
    return await _moderation(request)


async def moderate(request: web.Request) -> web.Response:
    """Archive or restore the reviews that are ticked."""
    _require_moderator(request)
    sent = await request.post()
    status = ReviewStatus.__members__.get(str(sent.get("status")))
    ticked = (str(value).partition("/") for value in sent.getall("review", ()))
    reviews = {review_id: product_id for product_id, _, review_id in ticked}
    if status is None:
        raise web.HTTPBadRequest
    if not _is_own_form(request, sent):
        return await _moderation(request, 403, words_for(request)["expired_form"])
    try:
        await request.app[SHOP].set_statuses(reviews, status)
    except MayarError as error:
        _tell(error)
        return await _moderation(request, status_of(error), words_for(request).apology(error))
    raise web.HTTPSeeOther(request.rel_url)


async def _moderation(
    request: web.Request, status: int = 200, notice: str | None = None
) -> web.Response:
    settings, shop, words = request.app[SETTINGS], request.app[SHOP], words_for(request)
    shown = ReviewStatus.__members__.get(request.query.get("status", ""))
    listed = await shop.list_all(shown, request.query.get("after") or None)
    if listed.value is None and listed.failure is not None:
        status, notice = status_of(listed.failure), notice or words.apology(listed.failure)
    visitor, token = guard.form_token(request, settings.secret)
    response = page(
        request,
        "moderation.html",
        status,
        reviews=[
            (review, shop.status(review, listed.as_of), PublicReview.of(review, settings.media))
            for review in (listed.value.data if listed.value else ())
        ],
        after=listed.value and listed.value.next_starting_after,
        as_of=_clock_time(listed.as_of) if listed.value and listed.failure else None,
        shown=shown,
        notice=notice,
        token=token,
    )
    guard.set_visitor(response, request, visitor)
    response.headers["Cache-Control"] = "no-store"
    return response


def _require_moderator(request: web.Request) -> None:
    password = request.app[SETTINGS].moderator_password
    if password is None:
        raise web.HTTPNotFound
    if not guard.is_moderator(request, password):
        raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Basic realm="moderation"'})


def _is_own_form(request: web.Request, sent: Mapping[str, object]) -> bool:
    return guard.is_own_form(request, request.app[SETTINGS].secret, str(sent.get("token")))


def _clock_time(as_of: float) -> datetime:
    """When it was by the clock on the wall at a time of the event loop."""
    return datetime.now(UTC) - timedelta(seconds=asyncio.get_running_loop().time() - as_of)


def _tell(error: MayarError) -> None:
    # Only its kind: the API's own words might name a customer.
    _log.info("refused: %s after %d attempts", type(error).__name__, error.attempts)
