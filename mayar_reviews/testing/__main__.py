"""`python -m mayar_reviews.testing`: serve a made-up shop until Ctrl-C."""

import argparse
import asyncio
import shlex
from collections.abc import Sequence
from contextlib import suppress
from typing import get_args

from .personality import Cursor, Order, Stats
from .server import FakeMayar

_BUYER = "budi@example.com"


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m mayar_reviews.testing",
        description="Serve a fake Mayar with made-up reviews until Ctrl-C. It prints the "
        "environment variables that lead mayar-reviews, and Mayar's own tool, to it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="the address to listen on")
    add("--port", type=int, default=8080, help="the port to listen on; 0 is any free one")
    add("--api-key", default="fake-key", help="the key that clients must have")
    add("--product", default="kelas-web", help="the id of the product that is reviewed")
    add("--seed", type=int, default=200, metavar="COUNT", help="how many reviews it has")
    add(
        "--edited",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="the share of edited ones",
    )
    add("--order", choices=get_args(Order), default="updated", help="how lists are sorted")
    add("--cursor", choices=get_args(Cursor), default="created", help="where a page ends")
    add("--stats", choices=get_args(Stats), default="right", help="what the statistics are")
    add(
        "--cliff",
        action="store_true",
        help="a full page of 50 has 43 and seems the last",
    )
    return parser.parse_args(given)


async def _serve(options: argparse.Namespace) -> None:
    fake = FakeMayar(
        options.api_key,
        host=options.host,
        port=options.port,
        order=options.order,
        cursor=options.cursor,
        stats=options.stats,
        cliff=options.cliff,
    )
    # Statistics that are stale miss the newest tenth.
    old = options.seed - options.seed // 10
    fake.seed(options.product, old, edited=options.edited)
    fake.count_stats()
    fake.seed(options.product, options.seed - old, edited=options.edited)
    fake.add_purchase(options.product, _BUYER)
    async with fake:
        print(  # noqa: T201
            f"# Serving {options.seed} reviews of {options.product}; {_BUYER} may add one. "
            "Ctrl-C stops.\n"
            f"export MAYAR_API_URL={fake.url} MAYAR_API_KEY={shlex.quote(fake.api_key)}",
            flush=True,
        )
        await asyncio.Event().wait()


def main(given: Sequence[str] | None = None) -> None:
    """Serve."""
    options = _arguments(given)
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(_serve(options))
    except (OSError, OverflowError) as error:
        raise SystemExit(f"cannot listen on {options.host}:{options.port}: {error}") from None


if __name__ == "__main__":
    main()
