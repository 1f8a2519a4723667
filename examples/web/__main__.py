"""`python -m examples.web`: serve a shop's review pages.

The environment gives MAYAR_API_KEY, PRODUCTS ("id=Name; id=Name"), MODERATOR_PASSWORD and
WEB_SECRET; with --demo it need give nothing.
"""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import webbrowser

from aiohttp import web

from mayar_reviews import MayarError

from . import demo
from .app import create_app
from .shop import Settings

_log = logging.getLogger(__package__)


def main() -> None:
    """Serve until interrupted."""
    options = _options()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    address = f"http://{options.host}:{options.port}"

    def announce(_: str) -> None:
        _log.info("reviews:    %s/", address)
        _log.info("moderation: %s/moderation", address)
        if options.demo:
            _log.info("its password is demo; who may write a review is in demo.py")
        if options.open:
            webbrowser.open(address)

    try:
        web.run_app(
            demonstration(options.ttl) if options.demo else create_app(settings(options.ttl)),
            host=options.host,
            port=options.port,
            access_log=None,
            print=announce,
        )
    except MayarError as error:  # such as: there is no key
        raise SystemExit(str(error)) from None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m examples.web",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--demo", action="store_true", help="put a fake Mayar behind it")
    parser.add_argument("--open", action="store_true", help="open it in a browser")
    parser.add_argument("--host", default="127.0.0.1", help="by default %(default)s")
    parser.add_argument("--port", type=int, default=8080, help="by default %(default)s")
    parser.add_argument(
        "--ttl", type=float, default=60.0, help="seconds a page is fresh, by default %(default)g"
    )
    return parser.parse_args()


def settings(ttl: float) -> Settings:
    """What the environment says of the shop."""
    pairs = (pair.partition("=") for pair in os.environ.get("PRODUCTS", "").split(";") if pair)
    products = {product_id.strip(): name.strip() for product_id, _, name in pairs}
    if not products:
        raise SystemExit("PRODUCTS is missing: it must name what is sold, as 'id=Name; id=Name'")
    return Settings(
        products,
        os.environ.get("MODERATOR_PASSWORD") or None,
        os.environ.get("WEB_SECRET", "").encode() or secrets.token_bytes(32),
        ttl=ttl,
    )


async def demonstration(ttl: float) -> web.Application:
    """The application with a fake Mayar behind it, which stops when the application does."""
    fake = demo.fake_mayar()
    await fake.start()
    shown = Settings(
        demo.PRODUCTS, "demo", secrets.token_bytes(32), media=(demo.PICTURES,), ttl=ttl
    )
    app = create_app(shown, api_key=fake.api_key, base_url=fake.url)

    async def stop(_: web.Application) -> None:
        await fake.close()

    app.on_cleanup.append(stop)
    return app


if __name__ == "__main__":
    main()
