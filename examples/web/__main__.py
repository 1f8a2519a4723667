"""`python -m examples.web`: serve a shop's review pages.

The environment names the shop: .env.example lists what it may say. With --demo it need say nothing.
"""

from __future__ import annotations

import argparse
import logging
import webbrowser

from aiohttp import web

from mayar_reviews import MayarError

from .app import STOPPING
from .demo import Demonstration
from .factory import create

_log = logging.getLogger(__package__)


def main() -> None:
    """Serve until interrupted."""
    options = _options()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("mayar_reviews").setLevel(logging.ERROR)  # the shop tells it once itself
    host = "127.0.0.1" if options.host in ("0.0.0.0", "::") else options.host  # noqa: S104
    address = f"http://{host}:{options.port}"

    def announce(_: str) -> None:
        _log.info("reviews:    %s/", address)
        _log.info("moderation: %s/moderation", address)
        if options.demo:
            _log.info("its password is demo; who may write a review is in demo.py")
        if options.open:
            webbrowser.open(address)

    try:
        web.run_app(
            Demonstration(options.reviews).app(options.ttl or 15.0)
            if options.demo
            else create(options.ttl),
            host=options.host,
            port=options.port,
            access_log=None,
            print=announce,
            shutdown_timeout=STOPPING,
            backlog=1024,  # two hundred new connections at once are not much
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
    parser.add_argument(
        "--reviews",
        type=int,
        default=68,
        help="of the demo's first product, by default %(default)s",
    )
    parser.add_argument("--open", action="store_true", help="open it in a browser")
    parser.add_argument(
        "--host", default="127.0.0.1", help="by default %(default)s; 0.0.0.0: the local network"
    )
    parser.add_argument("--port", type=int, default=8080, help="by default %(default)s")
    parser.add_argument(
        "--ttl", type=float, help="seconds a page is fresh, by default 60, with --demo 15"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
