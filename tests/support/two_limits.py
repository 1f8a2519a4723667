"""A server with two limits, one for each key and one for each address, on a virtual clock."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict, deque

from mayar_reviews import RateLimit


class Counting:
    """A server that counts for each key and each address, when a request arrives."""

    def __init__(self, per: float, of_key: int, of_address: int) -> None:
        self.per = per
        self.limits = {"key": of_key, "address": of_address}
        self.seen: dict[tuple[str, int], deque[float]] = defaultdict(deque)
        self.refused = 0
        self.last = 0.0

    async def ask(self, key: int, address: int, draw: random.Random) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(draw.uniform(0.01, 0.12))
        self.last = loop.time()
        for what in (("key", key), ("address", address)):
            window = self.seen[what]
            while window and window[0] <= self.last - self.per:
                window.popleft()
            window.append(self.last)
            self.refused += len(window) > self.limits[what[0]]
        await asyncio.sleep(draw.uniform(0.01, 0.12))

    async def serve(self, keys: int, addresses: int, each: int) -> float:
        """Send `each` requests with every key, and return the seconds until the last arrived."""
        of_key, of_address = self.limits["key"], self.limits["address"]
        whole = [RateLimit(of_address, self.per) for _ in range(addresses)]
        parts = [RateLimit(of_key, self.per, within=whole[n % addresses]) for n in range(keys)]
        draw = random.Random(1)
        started = asyncio.get_running_loop().time()

        async def use(key: int) -> None:
            async with parts[key].slot():
                await self.ask(key, key % addresses, draw)

        await asyncio.gather(*(use(key) for key in range(keys) for _ in range(each)))
        return self.last - started
