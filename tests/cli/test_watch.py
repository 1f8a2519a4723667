"""The command `watch`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from mayar_reviews.testing import FakeMayar

from .conftest import Mayar, end, start

QUICK = ("--every", 0.05, "--rate-limit", "off")


async def lines(process: asyncio.subprocess.Process, count: int) -> list[str]:
    """The next lines that the program writes."""
    assert process.stdout is not None
    async with asyncio.timeout(20):
        return [(await process.stdout.readline()).decode().rstrip("\n") for _ in range(count)]


async def until_asked(fake: FakeMayar, times: int = 1) -> None:
    fake.requests.clear()
    while len([one for one in fake.requests if one.status]) < times:
        await asyncio.sleep(0.01)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no Ctrl-C for one process")
async def test_new_and_changed_reviews_are_shown_as_they_come(fake: FakeMayar) -> None:
    """A line each. Ctrl-C ends it."""
    old = fake.add_review("kelas-web")["id"]
    process = await start("watch", "kelas-web", *QUICK)
    await until_asked(fake, 2)
    fake.add_review("kelas-web", id="baru", rating=2, message="Kurang\njelas")
    (line,) = await lines(process, 1)
    assert "★★ " in line
    assert "Budi Santoso, Kelas Pemrograman Web Dasar: Kurang jelas" in line
    assert line.endswith("ACTIVE baru")
    fake.edit_review(old, message="lebih baik")
    (line,) = await lines(process, 1)
    assert line.endswith(f"lebih baik  ACTIVE {old}")
    process.send_signal(signal.SIGINT)
    stopped = await end(process)
    assert (stopped.code, stopped.out, stopped.err) == (130, "", "stopped\n")


async def test_since_shows_what_has_changed_in_the_meantime(fake: FakeMayar) -> None:
    """Oldest first. The store has reviews of every status."""
    time = 1_767_063_610_000
    for n, status in enumerate(("ACTIVE", "ACTIVE", "ARCHIVED")):
        fake.add_review("kelas-web", id=f"ulasan-{n}", status=status, createdAt=time + 1000 * n)
    process = await start("watch", "--since", "2025-12-30T03:00:10", "--json", *QUICK)
    shown = [json.loads(line) for line in await lines(process, 2)]
    assert [one["id"] for one in shown] == ["ulasan-1", "ulasan-2"]
    process.kill()
    await process.wait()


@pytest.mark.slow
async def test_with_a_state_each_change_is_shown_once_across_kills(
    fake: FakeMayar, tmp_path: Path
) -> None:
    """Also those of one millisecond, and what comes while the command does not run."""
    expected: list[str] = []
    shown: list[str] = []
    arguments = ("watch", "kelas-web", "--state", "seen.json", "--json", *QUICK)
    fake.add_review("kelas-web")
    for run in range(4):
        process = await start(*arguments)
        if run == 0:
            await until_asked(fake, 2)
        shown += [
            json.loads(line)["id"] for line in await lines(process, len(expected) - len(shown))
        ]
        time = fake.now() + 60_000 * run
        for n in range(3):
            review = fake.add_review("kelas-web", id=f"ulasan-{run}-{n}", createdAt=time)
            expected.append(review["id"])
        shown += [json.loads(line)["id"] for line in await lines(process, 3)]
        while json.loads((tmp_path / "seen.json").read_bytes())["ids"] != expected[-3:]:
            await asyncio.sleep(0.01)
        process.kill()
        await process.wait()
        fake.add_review("kelas-web", id=f"nanti-{run}", createdAt=time + 1)
        expected.append(f"nanti-{run}")
    assert sorted(shown) == sorted(expected[:-1])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"watched_until": "x", "ids": []}'])
async def test_a_file_that_is_not_a_state_is_refused(
    fake: FakeMayar, mayar: Mayar, text: str
) -> None:
    Path("seen.json").write_text(text)
    refused = await mayar("watch", "--state", "seen.json")
    assert refused.code == 2
    assert refused.err.startswith("error: --state seen.json is not the state of a watch: move it")
    assert fake.requests == []
    assert Path("seen.json").read_text() == text


@pytest.mark.parametrize("arguments", [["--every", "0"], ["--since", "besok"], ["a"]])
async def test_impossible_arguments_are_refused(
    fake: FakeMayar, mayar: Mayar, arguments: list[Any]
) -> None:
    assert (await mayar("watch", *arguments)).code == 2
    assert fake.requests == []
