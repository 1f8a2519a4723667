"""When more processes and more addresses are faster, and when they are not.

    python -m benchmarks.scale

Sends 100 requests at 20 per 2 s, with 10-120 ms of latency each way, from one process and from
four; then exports four products of 750 reviews at 20 per 6 s, on Dask with one worker and with
four. Needs redis-server and takes two minutes. An address of one's own is played by a server of
one's own, as each counts for itself.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from distributed import LocalCluster

from mayar_reviews.dask import export_products
from tests.support.processes import Process, Redis

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


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as directory, Redis(Path(directory)) as redis:
        print(f"100 requests: at least {(100 / REQUESTS - 1) * PER:g} s from one address")
        send("1 process, RateLimit", 1)
        send("4 processes, a RateLimit each", 4)
        send("4 processes, one RedisRateLimit", 4, redis=redis)
        send("4 processes on 4 addresses, RedisRateLimit", 4, addresses=4, redis=redis)
        print(f"60 pages: at least {(60 / REQUESTS - 1) * EXPORT_PER:g} s from one address")
        export(1, redis)
        export(4, redis)


if __name__ == "__main__":
    main()
