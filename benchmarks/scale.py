"""When more processes and more addresses are faster, and when they are not.

    python -m benchmarks.scale [--quick]

Sends 100 requests at 20 per 2 s, with 10-120 ms of latency each way, from one process and from
four; then exports four products of 750 reviews at 20 per 6 s, on Dask with one worker and with
four. An address of one's own is played by a server of one's own, as each counts for itself. Last
comes the table of `docs/how-to/platforms.md`: two limits at once, a Redis far away, and one that
loses its memory. Needs redis-server and takes four minutes. `--quick` leaves the exports and the
table out and takes less than one.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import redis.asyncio
from distributed import LocalCluster

from mayar_reviews.dask import export_products
from mayar_reviews.redis import RedisRateLimit
from tests.redis.conftest import peak
from tests.redis.wire import LongWire
from tests.support.clock import virtual_run
from tests.support.processes import Process, Redis
from tests.support.two_limits import Counting

REQUESTS = 20
PER = 2.0
# Dask walks each product page by page: the window has to be long against the latency, as
# Mayar's is.
EXPORT_PER = 6.0


def send(how: str, processes: int, addresses: int = 1, redis: Redis | None = None) -> None:
    """Print what became of 100 requests from so many processes."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(Process("server", requests=REQUESTS, per=PER))
            for _ in range(addresses)
        ]
        urls = [server.hear() for server in servers]
        workers = [
            stack.enter_context(
                Process(
                    "worker",
                    api=urls[n % addresses],
                    redis=redis and redis.url,
                    scope=f"address-{n % addresses}",
                    product=f"product-{n}",
                    count=100 // processes,
                    requests=REQUESTS,
                    per=PER,
                )
            )
            for n in range(processes)
        ]
        for step in ("ready", "done"):
            assert all(worker.hear() == step for worker in workers)
            if step == "ready":
                for worker in workers:
                    worker.tell()
        for server in servers:
            server.tell()
        reports = [server.hear() for server in servers]
    print(
        f"{how:45} {max(_seconds(report['arrivals']) for report in reports):6.1f} s"
        f"{max(report['peak'] for report in reports):5} in a window"
        f"{sum(a[2] == 429 for report in reports for a in report['arrivals']):5} x 429"
    )


def _seconds(arrivals: Sequence[tuple[float, str, int]]) -> float:
    return arrivals[-1][0] - arrivals[0][0]


def export(workers: int, redis: Redis) -> None:
    """Print how long four products take on so many workers."""
    with ExitStack() as stack:
        server = stack.enter_context(
            Process("server", requests=REQUESTS, per=EXPORT_PER, reviews=3000)
        )
        os.environ |= {"MAYAR_API_URL": server.hear(), "MAYAR_API_KEY": "key"}
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        cluster = LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address=":0",
            local_directory=directory,
        )
        report = export_products(
            stack.enter_context(cluster),
            [f"product-{n}" for n in range(4)],
            Path(directory, "out"),
            redis_url=redis.url,
            scope=f"dask-{workers}",
            requests=REQUESTS,
            per=EXPORT_PER,
        )
    how = f"4 products on Dask, {workers} worker{'s' * (workers > 1)}, one address"
    print(f"{how:45} {report.seconds:6.1f} s{report.requests:5} requests")


async def use(budget: RedisRateLimit, starts: list[float]) -> None:
    """Take a slot, and note when."""
    async with budget.slot():
        starts.append(asyncio.get_running_loop().time())


def two_limits() -> str:
    """Measure 1,000 keys at 50 a minute behind 10 addresses at 20, on a virtual clock."""

    async def run() -> str:
        server = Counting(60.0, 50, 20)
        least = (2 * 1000 / 10 / 20 - 1) * 60
        share = least / await server.serve(1000, 10, 2)
        return f"{share:.1%} of the best possible, 429s: {server.refused}"

    return virtual_run(run())


async def far_away(server: Redis) -> str:
    """Measure 1,000 tasks at 100 per 2 s, with a Redis that is 100 ms away."""
    starts: list[float] = []
    async with (
        LongWire(server.port, 0.1) as wire,
        RedisRateLimit(wire.url, 100, 2.0, scope="far-away") as budget,
    ):
        await asyncio.gather(*(use(budget, starts) for _ in range(1000)))
    ratio = (max(starts) - min(starts)) / 18
    return f"{ratio:.2f} x the least time, failed: {1000 - len(starts)}"


async def waiting(server: Redis) -> str:
    """Measure 1,000 waiters at 20 per 60 s, for two windows."""
    starts: list[float] = []
    async with (
        RedisRateLimit(server.url, 20, 60.0, scope="waiting") as budget,
        redis.asyncio.Redis.from_url(server.url) as connection,
    ):
        await connection.config_resetstat()
        tasks = [asyncio.create_task(use(budget, starts)) for _ in range(1000)]
        await asyncio.sleep(121)
        stats = await connection.info("commandstats")
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    return f"{stats['cmdstat_evalsha']['calls'] / len(starts):.1f} scripts a request"


async def lost(server: Redis) -> str:
    """Measure 40 requests at 20 per 4 s, with a Redis that starts anew, empty, after a second."""
    starts: list[float] = []
    async with (
        RedisRateLimit(server.url, 20, 4.0, scope="lost") as one,
        RedisRateLimit(server.url, 20, 4.0, scope="lost") as other,
    ):
        budgets = [one, other] * 20
        tasks = [asyncio.create_task(use(budget, starts)) for budget in budgets]
        await asyncio.sleep(1)
        server.kill()
        server.start()
        await asyncio.gather(*tasks)
    return f"{peak(starts, 4.0)} of 20 in a window"


def table(server: Redis) -> None:
    """Print the table of `docs/how-to/platforms.md`."""
    print("| | measured |\n| --- | --- |")
    print(f"| 1,000 keys (50 a minute) behind 10 addresses (20 a minute) | {two_limits()} |")
    print(f"| 1,000 tasks, Redis 100 ms away | {asyncio.run(far_away(server))} |")
    print(f"| 1,000 waiters at 20 a minute | {asyncio.run(waiting(server))} |")
    print(f"| Redis restarted empty in mid-window | {asyncio.run(lost(server))} |")


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as directory, Redis(Path(directory)) as redis:
        print(f"100 requests: at least {(100 / REQUESTS - 1) * PER:g} s from one address")
        send("1 process, RateLimit", 1)
        send("4 processes, a RateLimit each", 4)
        send("4 processes, one RedisRateLimit", 4, redis=redis)
        send("4 processes on 4 addresses, RedisRateLimit", 4, addresses=4, redis=redis)
        if "--quick" in sys.argv[1:]:
            return
        print(f"60 pages: at least {(60 / REQUESTS - 1) * EXPORT_PER:g} s from one address")
        export(1, redis)
        export(4, redis)
        table(redis)


if __name__ == "__main__":
    main()
