"""Exports on a Dask cluster: what comes out is what one process would have made."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask.config
import pytest
from distributed import Client, LocalCluster

from mayar_reviews import InvalidArgumentError, ReviewsClient
from mayar_reviews.dask import export_products
from mayar_reviews.export import ExportProgress, ExportReport, export_reviews
from mayar_reviews.testing import FakeMayar
from tests.support.processes import Process, Redis

PRODUCTS = [f"product-{n}" for n in range(4)]
KEY = "secret-key"
# The warnings are Dask's and tornado's own, on versions of Python that we do not choose.
pytestmark = pytest.mark.filterwarnings("default")


@contextmanager
def cluster_of(workers: int, directory: Path, **options: Any) -> Iterator[LocalCluster]:
    with LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=workers,
        threads_per_worker=1,
        dashboard_address=":0",
        local_directory=str(directory),
        **options,
    ) as cluster:
        yield cluster


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    """An API of 480 reviews, whose address and key the workers inherit."""
    with Process("server", requests=20, per=1.0, reviews=480) as api:
        monkeypatch.setenv("MAYAR_API_URL", api.hear())
        monkeypatch.setenv("MAYAR_API_KEY", KEY)
        yield api


def in_one_process(directory: Path) -> ExportReport:
    async def export() -> ExportReport:
        async with ReviewsClient(rate_limit=None) as client:
            return await export_reviews(client, PRODUCTS, directory)

    return asyncio.run(export())


def contents(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.glob("*.jsonl")}


@pytest.mark.slow
def test_a_killed_worker_changes_nothing(api: Process, tmp_path: Path) -> None:
    """Two workers, one of them killed: the files are the same as those of one process."""
    progress: list[ExportProgress] = []
    with Redis(tmp_path) as redis, cluster_of(2, tmp_path) as cluster:
        with Client(cluster) as client:  # type: ignore[no-untyped-call]
            pids = client.run(os.getpid).values()

        def kill_one(step: ExportProgress) -> None:
            progress.append(step)
            if len(progress) == 5:
                os.kill(next(iter(pids)), signal.SIGKILL)

        report = export_products(
            cluster,
            PRODUCTS,
            tmp_path / "dask",
            page_size=10,
            requests=20,
            per=1.0,
            redis_url=redis.url,
            verify=True,
            on_progress=kill_one,
        )
        again = export_products(cluster, PRODUCTS, tmp_path / "dask", redis_url=redis.url)
    api.tell()
    seen = api.hear()
    assert seen["peak"] <= 20
    assert {status for _, _, status in seen["arrivals"]} <= {200, None}
    assert report.complete
    assert any(file.resumed_from for file in report.files)  # its last pages were not lost
    assert [file.payment_link_id for file in report.files] == PRODUCTS
    assert max(step.written for step in progress) == 120
    assert (again.written, again.requests) == (480, 0)

    with Process("server", requests=20, per=1.0, reviews=480) as fresh:
        os.environ["MAYAR_API_URL"] = fresh.hear()
        in_one_process(tmp_path / "one")
    assert contents(tmp_path / "dask") == contents(tmp_path / "one")
    lines = b"".join(contents(tmp_path / "dask").values()).splitlines()
    assert len({json.loads(line)["id"] for line in lines}) == len(lines) == 480


@pytest.mark.slow
def test_a_product_that_kills_its_workers_is_reported(api: Process, tmp_path: Path) -> None:
    """Dask gives it up: it is a failed file of the report, and the others are done."""
    killed: list[int] = []
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        cluster_of(1, tmp_path) as cluster,
    ):
        with Client(cluster) as client:  # type: ignore[no-untyped-call]
            [pid] = client.run(os.getpid).values()

        def kill(step: ExportProgress) -> None:
            if not killed:
                killed.append(pid)
                os.kill(pid, signal.SIGKILL)

        # The worker that replaces it waits for a window first.
        report = export_products(cluster, PRODUCTS, tmp_path / "dask", per=1.0, on_progress=kill)
    # Dask counts the death against every task that the worker had been given.
    assert 1 <= len(report.failed) < len(PRODUCTS)
    assert all("given up" in str(file.error) for file in report.failed)
    assert report.written == 120 * (len(PRODUCTS) - len(report.failed))


@pytest.mark.slow
def test_workers_without_redis_divide_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers with two products each keep to 20 requests a window, and meet no 429."""
    with Process("server", requests=20, per=3.0, reviews=480) as api:
        monkeypatch.setenv("MAYAR_API_URL", api.hear())
        monkeypatch.setenv("MAYAR_API_KEY", KEY)
        with cluster_of(2, tmp_path) as cluster:
            report = export_products(
                cluster, PRODUCTS, tmp_path / "dask", page_size=10, requests=20, per=3.0
            )
        api.tell()
        seen = api.hear()
    assert seen["peak"] <= 20
    assert {status for _, _, status in seen["arrivals"]} == {200}
    assert (report.written, report.failed) == (480, ())


@pytest.mark.slow
def test_finished_files_are_updated(api: Process, tmp_path: Path) -> None:
    """Nothing has changed, and each report says so."""
    with cluster_of(1, tmp_path, processes=False) as cluster:
        export_products(cluster, PRODUCTS, tmp_path / "dask", requests=1000)
        report = export_products(cluster, PRODUCTS, tmp_path / "dask", requests=1000, update=True)
    assert [file.changed for file in report.files] == [0, 0, 0, 0]
    assert report.requests >= 4


@pytest.mark.slow
def test_a_product_that_cannot_be_written_is_reported(api: Process, tmp_path: Path) -> None:
    """Its file of the report says why, and the other products are done."""
    output = tmp_path / "dask"
    (output / "product-1.jsonl").mkdir(parents=True)
    with cluster_of(1, tmp_path, processes=False) as cluster:
        report = export_products(cluster, PRODUCTS, output, requests=1000)
    assert [file.payment_link_id for file in report.failed] == ["product-1"]
    assert "product-1 was not exported" in str(report.failed[0].error)
    assert report.written == 360


@pytest.mark.slow
def test_no_secret_passes_through_the_scheduler(
    api: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No task holds the key or Redis's password; the workers find both themselves."""
    monkeypatch.delenv("MAYAR_API_KEY")
    (tmp_path / "key").write_text(f"{KEY}\n")
    monkeypatch.setenv("REDIS_PASSWORD", "pass-word")
    tasks: list[bytes] = []
    with (
        Redis(tmp_path, password="pass-word") as redis,
        cluster_of(1, tmp_path, processes=False) as cluster,
    ):
        scheduler: Any = cluster.scheduler

        def look(step: ExportProgress) -> None:
            tasks.extend(pickle.dumps(task.run_spec) for task in scheduler.tasks.values())

        report = export_products(
            cluster,
            PRODUCTS[:1],
            tmp_path / "out",
            api_key_file=str(tmp_path / "key"),
            redis_url=redis.url.replace("//", "//:$REDIS_PASSWORD@"),
            on_progress=look,
        )
    assert report.written == 120
    assert tasks
    assert PRODUCTS[0].encode() in tasks[0]
    assert not any(secret in task for task in tasks for secret in (KEY.encode(), b"pass-word"))


@pytest.mark.slow
def test_a_refused_key_costs_one_request_for_each_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other products of the key are not tried."""
    with FakeMayar("right-key") as api, cluster_of(1, tmp_path, processes=False) as cluster:
        monkeypatch.setenv("MAYAR_API_URL", api.url)
        monkeypatch.setenv("MAYAR_API_KEY", "wrong-key")
        products = [f"product-{number}" for number in range(20)]
        report = export_products(cluster, products, tmp_path / "out", requests=1000)
        assert len(api.requests) == 1
    assert len(report.failed) == 20


@pytest.mark.slow
def test_an_outage_at_the_start_is_waited_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API comes up ten seconds after the first task: none of 20 products fails."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("MAYAR_API_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("MAYAR_API_KEY", KEY)
    products = [f"product-{number}" for number in range(20)]
    api = FakeMayar(KEY, port=port)
    for product in products:
        api.seed(product, 2)
    with (
        cluster_of(1, tmp_path, processes=False) as cluster,
        ThreadPoolExecutor() as threads,
    ):
        export = threads.submit(export_products, cluster, products, tmp_path / "out", requests=1000)
        time.sleep(10)
        assert not export.done()
        with api:
            report = export.result(timeout=60)
    assert report.failed == ()


@pytest.mark.slow
def test_a_worker_that_joins_without_redis_is_refused(api: Process, tmp_path: Path) -> None:
    """Its share was given to the others already."""
    with cluster_of(1, tmp_path, processes=False) as cluster:

        def join(step: ExportProgress) -> None:
            cluster.scale(2)  # type: ignore[no-untyped-call]

        with pytest.raises(InvalidArgumentError, match="redis_url is needed: there are 2 workers"):
            export_products(
                cluster, PRODUCTS, tmp_path / "out", page_size=5, per=1.0, on_progress=join
            )


def test_a_missing_key_ends_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller gets the client's own error."""
    with (
        cluster_of(1, tmp_path, processes=False) as cluster,
        pytest.raises(InvalidArgumentError, match="MAYAR_API_KEY"),
    ):
        export_products(cluster, PRODUCTS, tmp_path / "out")


def test_too_small_a_budget_cannot_be_divided(tmp_path: Path) -> None:
    """Without Redis there must be at least one request for each worker."""
    with (
        cluster_of(2, tmp_path, processes=False) as cluster,
        pytest.raises(InvalidArgumentError, match="at least 2, one for each worker"),
    ):
        export_products(cluster, PRODUCTS, tmp_path / "out", requests=1)


def test_a_bad_id_is_refused_before_the_cluster_is_asked(tmp_path: Path) -> None:
    """An id that names a file elsewhere never becomes a task."""
    with pytest.raises(InvalidArgumentError, match="payment_link_ids"):
        export_products("tcp://127.0.0.1:1", ["../../etc"], tmp_path)
