"""The form that leaves a review, or edits the one that is there."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus

from aiohttp import web
from attrs import define, field

from mayar_reviews import ConflictError, InvalidArgumentError, MayarError, Review

from . import guard
from .cache import explain
from .site import (
    SITE,
    address_of,
    form_token,
    get_cookie,
    is_own_form,
    leave,
    page,
    set_cookie,
    words_for,
)
from .speech import status_of
from .views import product_of

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHOTO_SIZE = 2 * 2**20
_PHOTOS = 3
_SIGNATURES = {
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/png": re.compile(rb"\x89PNG\r\n"),
    "image/webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
}
_REMEMBERED = 20
_log = logging.getLogger(__name__)


@define
class _Sent:
    """What the form holds."""

    email: str = ""
    rating: str = ""
    message: str = ""
    files: list[bytes] = field(factory=list)
    uploaded: list[str] = field(factory=list)
    """Ids of photos from an earlier try."""
    review_id: str | None = None
    """The review that is edited."""


async def form(request: web.Request) -> web.Response:
    """The empty form."""
    return _form(request)


async def submit(request: web.Request) -> web.Response:
    """Leave a review, or show the form again with what is wrong beside each field."""
    site, words, product_id = request.app[SITE], words_for(request), product_of(request)
    fields = await guard.read_form(request)
    sent = _read(request, fields)
    if not is_own_form(request, str(fields.get("token"))):
        return _form(request, 403, sent, {"": words["expired_form"]})
    if faults := _faults(request, sent):
        return _form(request, 422, sent, faults)
    if site.forms.are_too_many(address_of(request)):
        response = _form(request, 429, sent, {"": words["too_many"]})
        response.headers["Retry-After"] = "60"
        return response
    site.forms.add(address_of(request))
    edits = sent.review_id is not None
    try:
        await _write(request, product_id, sent)
    except ConflictError:
        return await _offer_edit(request, product_id, sent)
    except MayarError as error:
        return _refused(request, sent, error)
    notice = {"name": "edited" if edits else "thanks"}
    response = leave(request, f"/products/{product_id}", notice)
    mine = [sent.review_id, *(one for one in _written(request) if one != sent.review_id)]
    set_cookie(request, response, "written", site.seals.stamp("written", mine[:_REMEMBERED]))
    return response


def _read(request: web.Request, fields: guard.Form) -> _Sent:
    seals = request.app[SITE].seals
    texts = {name: value for name, value in fields.items() if isinstance(value, str)}
    uploaded = seals.open("photos", texts.get("uploaded", ""))
    edited = seals.open_stamped("edit", texts.get("edit", ""), guard.FORM_SECONDS)
    files = (file for file in fields.getall("photos", ()) if isinstance(file, web.FileField))
    return _Sent(
        texts.get("customer_email", "").strip(),
        texts.get("rating", ""),
        # Browsers send each line end as two characters, and count it as one.
        texts.get("message", "").replace("\r\n", "\n").strip(),
        [content for file in files if (content := file.file.read())],
        uploaded or [],
        edited,
    )


def _faults(request: web.Request, sent: _Sent) -> dict[str, str]:
    """Everything that is wrong, so that nobody learns of one mistake after the other."""
    texts = words_for(request)["fields"]
    wrong = {
        "rating": sent.rating not in {"1", "2", "3", "4", "5"},
        "message": len(sent.message) > 2000,
        "customer_email": sent.review_id is None
        and not (5 <= len(sent.email) <= 100 and _EMAIL.fullmatch(sent.email)),
        "photos": len(sent.files) + len(sent.uploaded) > _PHOTOS
        or any(len(file) > _PHOTO_SIZE or _type(file) is None for file in sent.files),
    }
    return {name: texts[name] for name, is_wrong in wrong.items() if is_wrong}


def _type(file: bytes) -> str | None:
    """What kind of picture a file is by its first bytes, whatever its sender says."""
    return next((kind for kind, start in _SIGNATURES.items() if start.match(file)), None)


async def _write(request: web.Request, product_id: str, sent: _Sent) -> None:
    site = request.app[SITE]
    if site.settings.upload is not None:
        while sent.files:
            file = sent.files[0]
            sent.uploaded.append(await site.settings.upload(file, _type(file) or ""))
            del sent.files[0]
    rating, message, photos = int(sent.rating), sent.message or None, sent.uploaded
    if sent.review_id is None:
        sent.review_id = await site.shop.create(product_id, sent.email, rating, message, photos)
    else:
        await site.shop.edit(product_id, sent.review_id, rating, message, photos)


async def _offer_edit(request: web.Request, product_id: str, sent: _Sent) -> web.Response:
    """There is a review: let who wrote it edit it.

    Anybody can type a buyer's email. So only the browser that has written a review may edit it; a
    shop whose customers sign in asks whether the review is theirs.
    """
    words, written = words_for(request), _written(request)
    try:
        # Two requests, which only somebody costs who may have written it.
        there = written and await request.app[SITE].shop.find(product_id, sent.email)
    except MayarError as error:
        return _refused(request, sent, error)
    if not there or there.id not in written:
        return _form(request, 409, sent, notice=words["already_reviewed"])
    sent.review_id = there.id
    return _form(request, 409, sent, notice=words["edit_yours"], there=there)


def _refused(request: web.Request, sent: _Sent, error: MayarError) -> web.Response:
    words, status = words_for(request), status_of(error)
    level = logging.WARNING if status >= HTTPStatus.INTERNAL_SERVER_ERROR else logging.INFO
    _log.log(level, "a review was refused: %s", explain(error))
    field = (error.field or "") if isinstance(error, InvalidArgumentError) else ""
    fault = words["fields"].get(field) or words.apology(error)
    response = _form(request, status, sent, {field if field in words["fields"] else "": fault})
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = "60"
    return response


def _written(request: web.Request) -> list[str]:
    """The reviews that this browser has written."""
    cookie = get_cookie(request, "written")
    written: list[str] | None = request.app[SITE].seals.open_stamped(
        "written", cookie, 180 * 86_400
    )
    return written or []


def _form(
    request: web.Request,
    status: int = 200,
    sent: _Sent | None = None,
    faults: dict[str, str] | None = None,
    *,
    notice: str | None = None,
    there: Review | None = None,
) -> web.Response:
    """The form; what was sent is in it again.

    Args:
        request: what is answered.
        status: the HTTP status.
        sent: what was typed.
        faults: sentences, each beside its field; "": above the form.
        notice: a sentence that blames nobody.
        there: the review that will be edited.
    """
    site, product_id, sent = request.app[SITE], product_of(request), sent or _Sent()
    cookie, token = form_token(request)
    response = page(
        request,
        "form.html",
        status,
        private=True,
        product_id=product_id,
        name=site.settings.products[product_id],
        token=token,
        sent=sent,
        uploaded=site.seals.seal("photos", sent.uploaded) if sent.uploaded else "",
        edit=site.seals.stamp("edit", sent.review_id) if sent.review_id else "",
        photos=site.settings.upload is not None,
        faults=faults or {},
        notice_here=notice,
        there=there,
    )
    set_cookie(request, response, "visitor", cookie)
    return response
