"""What `export_products` decides without a cluster: shares of the budget, keys, failed files."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import pytest
from distributed import KilledWorker
from distributed.comm.core import CommClosedError

from mayar_reviews import (
    ConnectionFailedError,
    ExportError,
    InvalidArgumentError,
    NotFoundError,
    RateLimit,
)
from mayar_reviews import dask as dask_exports
from mayar_reviews.dask import (
    _budget,
    _divide,
    _exclusive,
    _forward_progress,
    _Health,
    _key,
    _Settings,
    _share,
    export_products,
)
from mayar_reviews.export import ExportProgress, FileReport
from tests.support.clock import virtual_time


@pytest.fixture(autouse=True)
def _fresh_worker() -> Iterator[None]:
    _share.cache_clear()
    yield
    _share.cache_clear()


def settings(**changes: Any) -> _Settings:
    values: dict[str, Any] = {
        "output": Path("out"),
        "options": {"format": "csv"},
        "api_key_file": None,
        "base_url": None,
        "requests": 5,
        "per": 60.0,
        "redis_url": None,
        "scope": None,
        "topic": "topic",
        "workers": frozenset[str](),
    }
    return _Settings(**values | changes)


# --- the budget ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requests", "workers", "share"), [(20, 1, 20), (20, 4, 5), (20, 3, 6), (3, 3, 1), (20, 0, 20)]
)
def test_the_requests_are_divided_among_the_workers(
    requests: int, workers: int, share: int
) -> None:
    """Rounded down: all shares together are never more than the budget."""
    assert _divide(requests, workers) == share
    assert share * workers <= requests


def test_fewer_requests_than_workers_cannot_be_divided() -> None:
    with pytest.raises(InvalidArgumentError, match="at least 3, one for each worker") as caught:
        _divide(2, 3)
    assert caught.value.field == "requests"


async def test_all_tasks_of_a_worker_have_one_budget() -> None:
    """Two tasks that run at the same time share it, and so do tasks that run later."""
    async with AsyncExitStack() as stack:
        first = await _budget(settings(), stack)
        second = await _budget(settings(output=Path("elsewhere")), stack)
        other = await _budget(settings(requests=6), stack)
    assert first is second is _share(5, 60.0)
    assert isinstance(first, RateLimit)
    assert repr(first) == "RateLimit(5, per=60)"
    assert other is not first


def test_the_key_comes_from_the_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _key(settings()) == ""
    monkeypatch.setenv("MAYAR_API_KEY", "from-the-environment")
    assert _key(settings()) == "from-the-environment"
    (tmp_path / "key").write_text(" from-the-file\n")
    assert _key(settings(api_key_file=str(tmp_path / "key"))) == "from-the-file"


@virtual_time
async def test_one_product_has_one_writer(tmp_path: Path) -> None:
    """A task waits while another one, which Dask may have given up, still writes the product."""
    order: list[str] = []

    async def second() -> None:
        async with _exclusive(tmp_path, "product-1"):
            order.append("second")

    async with _exclusive(tmp_path, "product-1"):
        waiting = asyncio.create_task(second())
        async with _exclusive(tmp_path, "product-2"):
            await asyncio.sleep(10)
        order.append("first")
    await waiting
    assert order == ["first", "second"]


# --- what a cluster of the test's own answers ------------------------------------------------


class Task:
    def __init__(self, result: FileReport | BaseException) -> None:
        self._result = result

    def result(self) -> FileReport:
        if isinstance(self._result, BaseException):
            raise self._result
        return self._result


class Cluster:
    """Stands in for `distributed.Client`. Each product ends as it says."""

    shared = True
    """Whether all workers see the same directory."""

    def __init__(self, workers: int, **results: FileReport | BaseException) -> None:
        self.workers = workers
        self.results = results
        self.settings: list[_Settings] = []

    def __call__(self, *_: object, **__: object) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def nthreads(self) -> dict[str, int]:
        return {f"worker-{n}": 2 for n in range(self.workers)}

    def run(self, *_: object, **__: object) -> dict[str, bool]:
        return {"worker-0": True, "worker-1": self.shared}

    def submit(self, _: object, product: str, settings: _Settings, *, key: str) -> Task:
        assert product in key
        self.settings.append(settings)
        return Task(self.results[product])


def test_each_worker_gets_its_share(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Workers count, not their threads. With Redis nothing is divided."""
    cluster = Cluster(4, web=FileReport("web", tmp_path / "web.jsonl", written=3))
    monkeypatch.setattr(dask_exports, "Client", cluster)
    report = export_products("address", ["web"], tmp_path, requests=20)
    export_products("address", ["web"], tmp_path, requests=20, redis_url="redis://host")
    assert [one.requests for one in cluster.settings] == [5, 20]
    assert report.written == 3


def killed() -> KilledWorker:
    return KilledWorker("task", None, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (killed(), "web was given up: too many workers died"),
        (OSError(28, "No space left on device"), "web was not exported: .*No space left"),
        (InvalidArgumentError("already exists", field="output"), "output already exists"),
        (InvalidArgumentError("is not possible", field="resume"), "resume is not possible"),
        (NotFoundError("gone", status_code=404), "web was not exported: "),
    ],
)
def test_a_product_that_fails_is_a_failed_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failure: BaseException, said: str
) -> None:
    """The report names its path and its error. The other products are finished."""
    done = FileReport("data", tmp_path / "data.csv", written=3)
    monkeypatch.setattr(dask_exports, "Client", Cluster(1, web=failure, data=done))
    report = export_products("address", ["web", "data"], tmp_path, format="csv")
    failed, other = report.files
    assert report.failed == (failed,)
    assert (failed.payment_link_id, failed.path) == ("web", tmp_path / "web.csv")
    assert (failed.written, failed.requests) == (0, 0)
    assert isinstance(failed.error, ExportError)
    with pytest.raises(ExportError, match=said):
        raise failed.error
    assert other is done


def test_what_is_wrong_for_every_product_is_raised(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrong = InvalidArgumentError("is out of range", field="rating")
    monkeypatch.setattr(dask_exports, "Client", Cluster(1, web=wrong))
    with pytest.raises(InvalidArgumentError, match="rating is out of range"):
        export_products("address", ["web"], tmp_path)


def test_a_relative_directory_is_refused() -> None:
    """Before the cluster is asked: each worker would write into a folder of its own."""
    with pytest.raises(InvalidArgumentError, match="output is relative"):
        export_products("tcp://127.0.0.1:1", ["web"], "out")


def test_a_directory_that_is_not_shared_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before a task is started: a worker does not see the file that another one has made."""
    cluster = Cluster(2)
    cluster.shared = False
    monkeypatch.setattr(dask_exports, "Client", cluster)
    with pytest.raises(InvalidArgumentError, match="output is not shared by all workers"):
        export_products("address", ["web"], tmp_path)
    assert cluster.settings == []


def test_a_cluster_without_workers_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nobody can say among how many the limit must be divided."""
    monkeypatch.setattr(dask_exports, "Client", Cluster(0))
    with pytest.raises(InvalidArgumentError, match="cluster has no worker"):
        export_products("address", ["web"], tmp_path)


@pytest.mark.parametrize("lost", [CommClosedError("gone"), CancelledError(), TimeoutError()])
def test_a_lost_scheduler_is_said_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lost: Exception
) -> None:
    monkeypatch.setattr(dask_exports, "Client", Cluster(1, web=lost))
    with pytest.raises(ExportError, match=r"scheduler was lost .*call it again"):
        export_products("address", ["web"], tmp_path)


def test_each_merchant_has_a_key_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A product's task gets the file of its merchant's key."""
    done = FileReport("web", tmp_path / "web.jsonl")
    cluster = Cluster(1, web=done, data=done)
    monkeypatch.setattr(dask_exports, "Client", cluster)
    export_products("address", {"/keys/one": ["web"], "/keys/two": ["data"]}, tmp_path)
    assert [one.api_key_file for one in cluster.settings] == ["/keys/one", "/keys/two"]
    with pytest.raises(InvalidArgumentError, match="two keys"):
        export_products("address", {"/keys/one": ["web"], "/keys/two": ["web"]}, tmp_path)
    with pytest.raises(InvalidArgumentError, match="api_key_file"):
        export_products("address", {"/keys/one": ["web"]}, tmp_path, api_key_file="/keys/two")


def test_an_outage_is_waited_out_for_an_hour_and_a_wrong_address_for_two_minutes() -> None:
    away = ExportError("away")
    away.__cause__ = ConnectionFailedError("refused")
    gone = ExportError("gone")
    gone.__cause__ = NotFoundError("gone", status_code=404)
    health = _Health()
    assert health.may_wait(away, 1000.0)
    assert health.may_wait(away, 1119.0)
    assert not health.may_wait(away, 1120.0)
    assert not health.may_wait(gone, 2000.0)  # an answer
    assert health.may_wait(away, 3000.0)
    assert health.may_wait(away, 6599.0)
    assert not health.may_wait(away, 6600.0)
    assert not health.may_wait(None, 7000.0)
    assert health.may_wait(away, 8000.0)


def test_progress_is_forwarded_and_what_it_raises_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: list[ExportProgress] = []

    def on_progress(progress: ExportProgress) -> None:
        heard.append(progress)
        raise RuntimeError("no screen")

    _forward_progress(on_progress, (0.0, ("web", 3, 1, None, None, 0.0)))
    assert heard == [ExportProgress("web", 3, 1, None)]
    assert "on_progress raised" in caplog.text
