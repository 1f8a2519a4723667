"""The server of all benchmarks, in a process of its own, with pages rendered beforehand.

`/hl/v2/products/00000200-0000-…/reviews` is a product with 200 pages. Each answer is worded for
every client: it has the fields, and understands the cursors, of Mayar, of Stripe and of the SDKs
that Stainless makes. The server prints its origin, serves until its standard input ends, and then
prints how many requests it refused with 429.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import re
import selectors
import sys
from collections import deque

import orjson
from pages import PRODUCT, render

_TARGET = re.compile(rb"GET (/hl/v2/products/((\d+)-[-\d]+)/reviews)\?(\S*) ")
_CURSOR = re.compile(rb"(?:startingAfter|starting_after|after)=([^& ]+)")


class Server:
    """Its pages, and the window of requests that it lets through.

    Args:
        distinct: after so many pages they repeat.
        latency: the least and the most seconds that a request and an answer take together;
            half of it is on the way to the server.
        requests: how many requests it admits in a window; 0: any number.
        per: the window in seconds.
    """

    def __init__(
        self, distinct: int, latency: tuple[float, float], requests: int, per: float
    ) -> None:
        self._pages = [render(number) for number in range(distinct)]
        # Stripe's and Stainless's paginators go on after the last review's id.
        self._numbers = {
            orjson.loads(page)[-1]["id"].encode(): number + 1
            for number, page in enumerate(self._pages)
        }
        self._of_product: dict[tuple[bytes, int], bytes] = {}
        self._latency = latency
        self._requests, self._per = requests, per
        self._admitted: deque[float] = deque()
        self.refused = 0

    def serve(self, head: bytes, transport: asyncio.Transport) -> None:
        """Answer one request, now or when its time has come."""
        if self._latency[1] == 0:
            transport.write(self._answer(head))
            return
        loop = asyncio.get_running_loop()
        there, back = (random.uniform(*self._latency) / 2 for _ in range(2))
        if self._requests == 0:  # when exactly it arrives is of no consequence
            loop.call_later(there + back, transport.write, self._answer(head))
        else:
            loop.call_later(
                there, lambda: loop.call_later(back, transport.write, self._answer(head))
            )

    def _answer(self, head: bytes) -> bytes:
        now = asyncio.get_running_loop().time()
        while self._admitted and self._admitted[0] <= now - self._per:
            self._admitted.popleft()
        if self._requests and len(self._admitted) == self._requests:
            self.refused += 1
            wait = math.ceil(self._admitted[0] + self._per - now)
            return _http(b'{"statusCode":429,"messages":"limit"}', f"Retry-After: {wait}\r\n", 429)
        if self._requests:
            self._admitted.append(now)
        match = _TARGET.match(head)
        assert match, head
        path, product, pages, query = match.groups()
        cursor = _CURSOR.search(query)
        number = self._number(cursor[1]) if cursor else 0
        page = self._page(product, number % len(self._pages))
        more = b"true" if number + 1 < int(pages) else b"false"
        return _http(
            b'{"statusCode":200,"messages":"success","object":"list","data":%b,"hasMore":%b,'
            b'"has_more":%b,"nextStartingAfter":"%d","url":"%b"}'
            % (page, more, more, number + 1, path)
        )

    def _page(self, product: bytes, number: int) -> bytes:
        # The reviews name the product that is asked for, as the real server's do.
        key = product, number
        if key not in self._of_product:
            self._of_product[key] = self._pages[number].replace(PRODUCT.encode(), product)
        return self._of_product[key]

    def _number(self, cursor: bytes) -> int:
        return self._numbers[cursor] if cursor in self._numbers else int(cursor)


def _http(body: bytes, headers: str = "", status: int = 200) -> bytes:
    head = (
        f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n{headers}"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Connection(asyncio.Protocol):
    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *heads, self._received = (self._received + data).split(b"\r\n\r\n")
        for head in heads:
            self._server.serve(head, self._transport)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--distinct", type=int, default=200)
    parser.add_argument("--latency", type=float, nargs=2, default=(0.0, 0.0))
    parser.add_argument("--requests", type=int, default=0)
    parser.add_argument("--per", type=float, default=0.0)
    server = Server(**vars(parser.parse_args()))
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: _Connection(server), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(server.refused)


if __name__ == "__main__":
    # `select` takes its time-outs to the microsecond; `epoll` would add up to a millisecond.
    with asyncio.Runner(
        loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())
    ) as runner:
        runner.run(main())
