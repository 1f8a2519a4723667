"""What every view needs: the settings, the words, the templates, and how a page is answered."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import jinja2
from aiohttp import hdrs, web
from attrs import define, field

from . import guard
from .shop import Settings, Shop
from .speech import Words, choose, read_words
from .visits import Visits

_HERE = Path(__file__).parent
_WORTH_PACKING = 1000

Cookie = Literal["visitor", "language", "notice", "written"]
_SECONDS: dict[Cookie, int | None] = {
    "visitor": None,  # until the browser closes
    "language": 365 * 86_400,
    "notice": 60,
    "written": 180 * 86_400,
}


@define(eq=False)
class Site:
    """The application's parts; `SITE` finds them."""

    settings: Settings
    demo: bool = False
    seals: guard.Seals = field(init=False)
    shop: Shop = field(init=False)
    words: dict[str, Words] = field(init=False, factory=read_words)
    templates: jinja2.Environment = field(init=False)
    older: Visits = field(init=False, factory=lambda: Visits(6, 60))
    """Older pages that cost a request."""
    forms: Visits = field(init=False, factory=lambda: Visits(6, 60))
    """Forms that cost a request."""
    guesses: Visits = field(init=False, factory=lambda: Visits(5, 60))
    """Wrong passwords."""
    served: int = 0
    """Pages that were served."""
    render_once: Callable[..., bytes] = field(init=False)
    """`render` for pages that are the same for everybody: two hundred visitors cost one."""

    def __attrs_post_init__(self) -> None:
        self.seals = guard.Seals(self.settings.secret)
        self.templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.templates.globals["static"] = _versioned
        self.render_once = lru_cache(maxsize=256)(self.render)

    def render(
        self, template: str, words: Words, path: str, notice: Any, **context: object
    ) -> bytes:
        """The text of a page."""
        text = self.templates.get_template(template).render(
            words=words,
            languages=self.words,
            path=path,
            demo=self.demo,
            notice=notice,
            pictures=self.settings.pictures,
            prices=self.settings.prices,
            **context,
        )
        # A message cut in the middle of an emoji cannot be encoded as it is.
        return text.encode(errors="replace")


SITE = web.AppKey("SITE", Site)


def words_for(request: web.Request) -> Words:
    """The words in the language that the visitor has chosen, or that the browser asks for."""
    chosen = get_cookie(request, "language")
    return choose(request.app[SITE].words, chosen, request.headers.get("Accept-Language", ""))


def page(
    request: web.Request,
    template: str,
    status: int = 200,
    *,
    private: bool = False,
    **context: object,
) -> web.Response:
    """A template as an answer.

    Args:
        request: what is answered.
        template: its file's name.
        status: the HTTP status.
        private: whether it is for this visitor only: kept nowhere, and not compressed, as the
            length of a compressed secret tells of it.
        context: what the template gets.
    """
    site = request.app[SITE]
    site.served += 1
    cookie = get_cookie(request, "notice")
    notice = site.seals.open_stamped("notice", cookie, 60) if cookie else None
    if notice is not None and (notice["where"] != request.rel_url.raw_path_qs or status != 200):
        notice = None  # it waits for its page: a browser may be asked for the password first
    path = path if len(path := request.rel_url.raw_path_qs) < 1000 else "/"
    render = site.render if private or notice is not None else site.render_once
    body = render(template, words_for(request), path, notice, **context)
    if not private and notice is None and status == 200:
        return respond(request, body, "text/html")
    response = web.Response(
        body=body,
        status=status,
        content_type="text/html",
        charset="utf-8",
        headers={"Cache-Control": "no-store"},
    )
    if notice is not None:
        response.del_cookie(
            _full_name(request, "notice"), secure=_is_secure(request), httponly=True, samesite="Lax"
        )
    return response


def respond(
    request: web.Request, body: bytes, content_type: str, cache: str = "no-cache"
) -> web.Response:
    """An answer that is the same for everybody: compressed, and not sent again if unchanged."""
    etag, packed = _pack(body)
    varies = "Accept-Encoding, Accept-Language, Cookie"
    headers = {"ETag": etag, "Vary": varies, "Cache-Control": cache}
    if etag in request.headers.get(hdrs.IF_NONE_MATCH, ""):
        return web.Response(status=304, headers=headers)
    if packed is not None and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        body = packed
        headers["Content-Encoding"] = "gzip"
    text = content_type.startswith(("text/", "application/"))
    return web.Response(
        body=body, content_type=content_type, charset="utf-8" if text else None, headers=headers
    )


@lru_cache(maxsize=256)  # two hundred visitors get the same page
def _pack(body: bytes) -> tuple[str, bytes | None]:
    etag = f'W/"{hashlib.sha256(body).hexdigest()[:20]}"'
    return etag, gzip.compress(body, 6, mtime=0) if len(body) > _WORTH_PACKING else None


def get_cookie(request: web.Request, name: Cookie) -> str:
    """A cookie's text; "" if there is none."""
    return request.cookies.get(_full_name(request, name), "")


def set_cookie(request: web.Request, response: web.StreamResponse, name: Cookie, text: str) -> None:
    """Set a cookie: bound to this host and to https where that is spoken."""
    response.set_cookie(
        _full_name(request, name),
        text,
        max_age=_SECONDS[name],
        httponly=True,
        samesite="Lax",
        secure=_is_secure(request),
    )


def _full_name(request: web.Request, name: Cookie) -> str:
    return f"__Host-{name}" if _is_secure(request) else name


def _is_secure(request: web.Request) -> bool:
    return guard.is_secure(request, behind_proxy=request.app[SITE].settings.behind_proxy)


def leave(
    request: web.Request, where: str, notice: Mapping[str, Any] | None = None
) -> web.Response:
    """Send the visitor to another page, which shows the notice once."""
    response = web.Response(status=303, headers={"Location": where})
    if notice is not None:
        text = request.app[SITE].seals.stamp("notice", {**notice, "where": where})
        set_cookie(request, response, "notice", text)
    return response


def form_token(request: web.Request) -> tuple[str, str]:
    """The visitor's cookie, a new one where there is none, and the token that goes with it."""
    seals = request.app[SITE].seals
    cookie = get_cookie(request, "visitor")
    if seals.open("visitor", cookie) is None:
        cookie = seals.seal("visitor", guard.new_visitor())
    return cookie, seals.stamp("form", seals.open("visitor", cookie))


def is_own_form(request: web.Request, token: str) -> bool:
    """Whether a form was sent from a page that this visitor got from us, not too long ago."""
    seals = request.app[SITE].seals
    visitor = seals.open("visitor", get_cookie(request, "visitor"))
    return visitor is not None and visitor == seals.open_stamped("form", token, guard.FORM_SECONDS)


def address_of(request: web.Request) -> str:
    """Where the visitor is."""
    return guard.address_of(request, behind_proxy=request.app[SITE].settings.behind_proxy)


@lru_cache
def _versioned(name: str) -> str:
    """Where a file of ours is: elsewhere when it changes, so that browsers may keep it."""
    version = hashlib.sha256(static_files()[name][0]).hexdigest()[:8]
    return f"/static/{name}?{version}"


@lru_cache(maxsize=1)
def static_files() -> dict[str, tuple[bytes, str]]:
    """The files under `static/` and their types, by name; they are few and small."""
    types = {
        ".css": "text/css",
        ".js": "text/javascript",
        ".svg": "image/svg+xml",
    }
    folder = _HERE / "static"
    return {
        file.relative_to(folder).as_posix(): (file.read_bytes(), types[file.suffix])
        for file in folder.rglob("*.*")
    }
