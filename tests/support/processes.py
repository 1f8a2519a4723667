"""The processes that the tests of scale are made of.

`Redis` runs a real redis-server. `server`, `worker` and `holder` are the bodies of processes,
started with `spawn`: they take their settings as JSON, answer in lines of JSON, and go on, or
end, when they are told to by a line.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from mayar_reviews import RateLimit, RateLimiter, ReviewsClient
from mayar_reviews.redis import RedisRateLimit
from tests.support.fault_server import PREFIX, FaultServer, make_review

ROOT = Path(__file__).parents[2]


class Redis:
    """A redis-server of one's own, on loopback, that keeps nothing."""

    def __init__(self, directory: Path, password: str = "") -> None:
        binary = shutil.which("redis-server")
        if binary is None:
            pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
        self._command = [binary, "--dir", str(directory), "--bind", "127.0.0.1"]
        self._command += ["--appendonly", "no", "--save", ""]
        if password:
            self._command += ["--requirepass", password]

    def __enter__(self) -> Self:
        # Between our look for a free port and redis-server's, somebody else can take it.
        for _ in range(5):
            with socket.create_server(("127.0.0.1", 0)) as free:
                self.port = free.getsockname()[1]
            if self.start():
                return self
        raise RuntimeError("redis-server does not start")

    def start(self, *options: str) -> bool:
        """Start it on its port, empty. Return whether it runs."""
        self.process = subprocess.Popen(
            [*self._command, "--port", str(self.port), *options], stdout=subprocess.DEVNULL
        )
        while self.process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return True
            time.sleep(0.01)
        return False

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """End it at once; its clients find their connections closed."""
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """Let it keep its connections and say nothing."""
        self.process.send_signal(signal.SIGSTOP)


class Process:
    """A process that runs `server` or `worker`; ended with `with`."""

    def __init__(self, body: str, **settings: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", __name__, body, json.dumps(settings)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def hear(self) -> Any:
        """Return what the process says next."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def tell(self) -> None:
        """Let the process go on."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """End it with SIGKILL, wherever it is."""
        self._process.kill()
        self._process.communicate()


async def server(*, requests: int, per: float, reviews: int = 4) -> None:
    """Count like Mayar, 10-120 ms away, with `reviews` of four products.

    Say the url, and when told, what arrived.

    That is `peak`, the most requests of any window, and `arrivals`: for each its time, its
    product and its status, None if it was never answered.
    """
    four = [make_review(n, paymentLinkId=f"product-{n % 4}") for n in range(reviews)]
    async with FaultServer(four, limit=(requests, per), latency=(0.010, 0.120)) as api:
        await _say(api.url)
        status = {entry.number: entry.status for entry in api.ledger.of("answered")}
        arrivals = [
            (
                entry.at,
                entry.path.removeprefix(f"{PREFIX}/products/").partition("/")[0],
                status.get(entry.number),
            )
            for entry in api.ledger.received()
        ]
        await _say({"peak": api.peak, "arrivals": arrivals})


async def worker(
    *,
    api: str,
    redis: str | None,
    product: str,
    count: int,
    requests: int,
    per: float,
    lease: float = 5,
    scope: str = "test",
) -> None:
    """Say so when ready; when told, ask for `product` so often, ten requests at a time."""
    async with AsyncExitStack() as stack:
        budget: RateLimiter = RateLimit(requests, per)
        if redis is not None:
            budget = RedisRateLimit(redis, requests, per, scope=scope, lease=lease)
            await stack.enter_async_context(budget)
        client = await stack.enter_async_context(
            ReviewsClient("key", base_url=api, rate_limit=budget)
        )
        await _say("ready")
        ten = asyncio.Semaphore(10)

        async def ask() -> None:
            async with ten:
                await client.list_product_reviews(product)

        await asyncio.gather(*[ask() for _ in range(count)])
        await _say("done")


async def holder(
    *, redis: str, requests: int, per: float, lease: float, slots: int, tickets: int
) -> None:
    """Hold so many slots, queue so many times more, say so, and wait to be killed."""
    async with (
        RedisRateLimit(redis, requests, per, scope="test", lease=lease) as budget,
        asyncio.TaskGroup() as tasks,
    ):

        async def hold() -> None:
            async with budget.slot():
                await asyncio.Event().wait()

        # The queue begins where the slots end.
        for _ in range(max(slots, requests) if tickets else slots):
            tasks.create_task(hold())
        for _ in range(tickets):
            tasks.create_task(hold())
        await asyncio.sleep(0.2)
        await _say("held")


async def _say(what: Any) -> None:
    """Say it, and wait to be told to go on."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)


class SkewedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock, like its machine's, is off."""

    skew = 0.0

    def time(self) -> float:
        return super().time() + self.skew


def main(body: str, settings: dict[str, Any]) -> None:
    """Run one of the bodies; `skew` is how many seconds the clocks are off."""
    SkewedLoop.skew = skew = settings.pop("skew", 0.0)
    right = time.time
    time.time = lambda: right() + skew
    with asyncio.Runner(loop_factory=SkewedLoop) as runner:
        runner.run(globals()[body](**settings))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
