"""Redis as people run it: behind TLS, and behind a Sentinel that makes a replica the master."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis.asyncio
from redis.asyncio.sentinel import Sentinel

from mayar_reviews import ConnectionFailedError
from mayar_reviews.redis import RedisRateLimit
from tests.support.processes import Redis
from tests.support.tls import tls_contexts

from .conftest import peak, take

pytestmark = pytest.mark.slow


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture
def tls_url(server: Redis, tmp_path: Path) -> str:
    """The URL of a Redis that speaks TLS, with a certificate of its own."""
    tls_contexts(tmp_path)
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    port = _free_port()
    server.kill()
    files = ["--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    trust = ["--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no"]
    assert server.start("--tls-port", str(port), *files, *trust)
    return f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate}"


async def test_a_budget_is_kept_over_tls(tls_url: str) -> None:
    """`rediss://` in the URL is enough."""
    async with RedisRateLimit(tls_url, 3, 0.5, scope="test") as budget:
        starts = await asyncio.gather(*(take(budget) for _ in range(9)))
    assert peak(list(starts), 0.5) <= 3


async def test_a_certificate_that_is_not_trusted_is_refused(tls_url: str) -> None:
    """Nothing is sent; the error says nothing of the URL."""
    loop = asyncio.get_running_loop()
    url = tls_url.partition("?")[0]
    async with RedisRateLimit(url, 3, 0.5, scope="test") as budget:
        with pytest.raises(ConnectionFailedError) as caught:
            await take(budget, until=loop.time() + 2)
    assert url not in str(caught.value)


@contextmanager
def _sentinel(directory: Path, master: Redis) -> Iterator[int]:
    """A Sentinel that watches a master; its port."""
    port = _free_port()
    settings = directory / "sentinel.conf"
    settings.write_text(
        f"port {port}\nbind 127.0.0.1\n"
        f"sentinel monitor mymaster 127.0.0.1 {master.port} 1\n"
        "sentinel down-after-milliseconds mymaster 500\n"
        "sentinel failover-timeout mymaster 3000\n"
    )
    binary = shutil.which("redis-server")
    assert binary is not None
    process = subprocess.Popen([binary, str(settings), "--sentinel"], stdout=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


async def test_a_failover_by_a_sentinel_is_waited_out(server: Redis, tmp_path: Path) -> None:
    """The master dies in mid-window. The calls wait for the new one, and keep the limit."""
    (tmp_path / "replica").mkdir()
    per = 3.0
    with Redis(tmp_path / "replica") as replica, _sentinel(tmp_path, server) as port:
        async with redis.asyncio.Redis.from_url(replica.url) as command:
            await command.replicaof("127.0.0.1", server.port)
            while (await command.info("replication"))["master_link_status"] != "up":
                await asyncio.sleep(0.05)
        sentinel = Sentinel([("127.0.0.1", port)])  # type: ignore[no-untyped-call]
        while not await _knows_a_replica(sentinel):
            await asyncio.sleep(0.1)
        client = sentinel.master_for("mymaster")
        async with RedisRateLimit(client, 4, per, scope="test") as budget:
            takers = [asyncio.create_task(take(budget)) for _ in range(16)]
            await asyncio.sleep(per / 2)
            server.kill()
            starts = await asyncio.gather(*takers)
        await client.aclose()
        for each in sentinel.sentinels:
            await each.aclose()
    assert peak(list(starts), per) <= 4


async def _knows_a_replica(sentinel: Sentinel) -> bool:
    with suppress(redis.exceptions.RedisError):
        return bool(await sentinel.discover_slaves("mymaster"))
    return False
