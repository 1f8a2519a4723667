"""Ctrl-C, SIGTERM, and a reader that goes away."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from mayar_reviews.cli.signals import run_until_stopped
from mayar_reviews.testing import FakeMayar
from tests.support.export_shop import journal_of, newest_first, reviews_in

from .conftest import Mayar, Result, end, start


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_stops_an_export_cleanly(
    fake: FakeMayar, mayar: Mayar, number: int, code: int, times: int
) -> None:
    """One line says how much is written and how to continue. A second signal changes nothing."""
    fake.seed("kelas-web", 120)
    process = await start("export", "kelas-web", "--output", "out.jsonl", "--rate-limit", "2/600")
    while len(fake.requests) < 2:  # a page, and the total
        await asyncio.sleep(0.01)
    assert process.stderr is not None
    assert (await process.stderr.readline()).decode().endswith("rate limit: 600 s\n")
    for _ in range(times):
        process.send_signal(number)
    stopped = await end(process)
    assert stopped == Result(
        code,
        "",
        "stopped: 50 reviews written; continue with: "
        "mayar-reviews export --resume kelas-web --output out.jsonl --rate-limit 2/600\n",
    )
    journal = reviews_in(journal_of(Path("out.jsonl")))
    assert [one["id"] for one in journal] == newest_first(fake)[:50]
    assert not Path("out.jsonl").exists()
    assert (await mayar("export", "--resume", "kelas-web", "--output", "out.jsonl")).code == 0
    assert [one["id"] for one in reviews_in("out.jsonl")] == newest_first(fake)


@pytest.mark.slow
async def test_ctrl_c_stops_a_request(fake: FakeMayar) -> None:
    """The request is given up at once. Without a page, nothing is left on the disk."""
    fake.seed("kelas-web", 3)
    fake.stall_next()
    process = await start("export", "kelas-web", "--output", "out.jsonl")
    while not fake.requests:
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGINT)
    stopped = await end(process)
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.err.startswith("stopped: 0 reviews written; ")
    assert not list(Path().iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_second_signal_ends_an_export_whose_reader_has_stalled(
    fake: FakeMayar, number: int, code: int
) -> None:
    """Nobody reads the pipe, so the program hangs in a write. It ends within two seconds."""
    for _ in range(50):
        fake.add_review("kelas-web", message="x" * 8000)
    reading, writing = os.pipe()
    process = await start("export", "kelas-web", "--output", "-", "--quiet", stdout=writing)
    while not fake.requests:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)  # let it fill the pipe
    process.send_signal(number)
    await asyncio.sleep(0.1)
    assert process.returncode is None
    process.send_signal(number)
    async with asyncio.timeout(2):
        assert await process.wait() == code
    os.close(reading)
    os.close(writing)


def test_without_a_signal_the_usual_handlers_come_back() -> None:
    usual = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    assert run_until_stopped(asyncio.sleep(0, "done")) == "done"
    assert {one: signal.getsignal(one) for one in usual} == usual


@pytest.mark.slow
async def test_a_closed_pipe_ends_a_command_silently(fake: FakeMayar) -> None:
    """With the exit code that a shell gives."""
    fake.seed("kelas-web", 200)
    reading, writing = os.pipe()
    os.close(reading)
    for command in (["export", "kelas-web", "--output", "-", "--quiet"], ["list"]):
        result = await end(await start(*command, stdout=writing))
        assert (result.code, result.err) == (141, "")
    os.close(writing)
