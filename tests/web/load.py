"""`python -m tests.web.load`: two hundred visitors at a shop whose Mayar is in a bad way.

The fake Mayar allows 20 requests a minute and drops every tenth; a page is fresh for two seconds
only, so that the limit is reached at once. The shop runs in a process of its own, as it would.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import re
import socket
import sys
from collections import Counter
from html import unescape
from statistics import quantiles
from time import perf_counter

from aiohttp import ClientSession, TCPConnector
from attrs import Factory, define

from mayar_reviews.testing import FakeMayar, RecordedRequest

_PRODUCT = "kelas-web"
_MORE = re.compile('id="more" rel="next nofollow" href="([^"]+)"')
_log = logging.getLogger(__name__)


class _Ledger(list[RecordedRequest]):
    """A fake's requests, which makes every tenth that is within the limit a dropped one."""

    def __init__(self, fake: FakeMayar) -> None:
        super().__init__()
        self._fake = fake
        self._admitted = 0

    def append(self, request: RecordedRequest) -> None:
        super().append(request)
        self._admitted += request.status != 429
        if self._admitted % 10 == 9:
            self._fake.drop_next()
            self._admitted += 1


@define
class _Seen:
    """What the visitors saw."""

    statuses: Counter[int] = Factory(Counter)
    seconds: list[float] = Factory(list)
    without_reviews: int = 0


async def _visit(session: ClientSession, seen: _Seen, until: float) -> None:
    """Read all of a product's reviews, then its JSON, over and over."""
    first = f"/products/{_PRODUCT}"
    path = first
    while perf_counter() < until:
        started = perf_counter()
        async with session.get(path) as answer:
            text = await answer.text()
        seen.seconds.append(perf_counter() - started)
        seen.statuses[answer.status] += 1
        seen.without_reviews += "review" not in text or "cannot be shown" in text
        more = _MORE.search(text)
        if more:
            path = first + unescape(more[1])
        else:
            path = f"{first}/reviews.json" if text.startswith("<") else first


async def _shop(fake: FakeMayar, port: int, ttl: float) -> asyncio.subprocess.Process:
    """The application in a process of its own, listening."""
    environment = {
        "MAYAR_API_KEY": fake.api_key,
        "MAYAR_API_URL": fake.url,
        "PRODUCTS": f"{_PRODUCT}=Kelas Pemrograman Web",
    }
    shop = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "examples.web", "--port", str(port), "--ttl", str(ttl)),
        env={**os.environ, **environment},
        stderr=asyncio.subprocess.DEVNULL,
    )
    while shop.returncode is None:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            break
        await asyncio.sleep(0.05)
    return shop


async def _run(visitors: int, seconds: float, ttl: float, *, new_connections: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    async with FakeMayar(rate_limit=(20, 60)) as fake:
        fake.seed(_PRODUCT, 68)
        fake.requests = _Ledger(fake)
        shop = await _shop(fake, port, ttl)
        seen = _Seen()
        address = f"http://127.0.0.1:{port}"
        headers = {"Accept-Language": "en"}
        connector = TCPConnector(limit=0, force_close=new_connections)
        async with ClientSession(address, headers=headers, connector=connector) as session:
            until = perf_counter() + seconds
            await asyncio.gather(*(_visit(session, seen, until) for _ in range(visitors)))
        shop.terminate()
        await shop.wait()
        asked = Counter(request.status for request in fake.requests)
    cuts = quantiles(seen.seconds, n=100)
    _log.info("%d visitors for %g s: %d answers", visitors, seconds, seen.statuses.total())
    _log.info("by status: %s; without reviews: %d", dict(seen.statuses), seen.without_reviews)
    _log.info(
        "seconds: median %.3f, 99th percentile %.3f, longest %.3f",
        cuts[49],
        cuts[98],
        max(seen.seconds),
    )
    _log.info(
        "Mayar was asked %d times: %d answered, %d dropped, %d refused with 429",
        asked.total(),
        asked[200],
        asked[None],
        asked[429],
    )
    if any(status >= 500 for status in seen.statuses) or seen.without_reviews:
        raise SystemExit("some visitor saw an error")


def main() -> None:
    """Run it and tell what was seen; exit with 1 if anyone saw an error."""
    parser = argparse.ArgumentParser("python -m tests.web.load", description=__doc__)
    parser.add_argument("--visitors", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--ttl", type=float, default=2.0, help="seconds a page is fresh")
    parser.add_argument(
        "--new-connections", action="store_true", help="each page over a connection of its own"
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asyncio.run(
        _run(
            options.visitors,
            options.seconds,
            options.ttl,
            new_connections=options.new_connections,
        )
    )


if __name__ == "__main__":
    main()
