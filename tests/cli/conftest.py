"""The command line with a `FakeMayar`: called in this process, or run as a program."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import IO, Any

import pytest
from attrs import frozen

from mayar_reviews.cli import run
from mayar_reviews.testing import FakeMayar


@frozen
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """Standard output, a JSON value a line."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
async def fake() -> AsyncIterator[FakeMayar]:
    async with FakeMayar() as fake:
        yield fake


@pytest.fixture(autouse=True)
def _environment(fake: FakeMayar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAYAR_API_KEY", fake.api_key)
    monkeypatch.setenv("MAYAR_API_URL", fake.url)


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


Mayar = Callable[..., Awaitable[Result]]


@pytest.fixture
def mayar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Mayar:
    """Run a command in a thread, while the server goes on in this one."""

    async def call(*arguments: object, stdin: bytes = b"", terminal: bool = False) -> Result:
        monkeypatch.setattr(sys, "argv", ["mayar-reviews", *map(str, arguments)])
        wrapper = _Terminal if terminal else io.TextIOWrapper
        monkeypatch.setattr(sys, "stdin", wrapper(io.BytesIO(stdin)))
        code = await asyncio.to_thread(run)
        return Result(code, *capsys.readouterr())

    return call


async def start(
    *arguments: object,
    program: Sequence[str] = ("-m", "mayar_reviews"),
    stdout: IO[Any] | int = asyncio.subprocess.PIPE,
    **environment: str,
) -> asyncio.subprocess.Process:
    """Start the program, its output captured."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, *program, *map(str, arguments)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"COLUMNS": "80", "PYTHONUNBUFFERED": ""} | environment,
    )


async def end(process: asyncio.subprocess.Process) -> Result:
    """Wait for the program's end."""
    async with asyncio.timeout(20):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Result(process.returncode, (out or b"").decode(), (err or b"").decode())
