"""An event loop whose time is virtual and whose sockets are real.

Everything in the SDK that takes time takes it from ``loop.time()`` and ``asyncio.sleep``, so a loop
that jumps over the waiting drives an hour of it in milliseconds, with nothing patched. Write
a test as a coroutine and decorate it::

    @virtual_time
    async def test_waits_as_told() -> None:
        \"\"\"A minute of waiting passes at once.\"\"\"
        loop = asyncio.get_running_loop()
        start = loop.time()
        await asyncio.sleep(60)
        assert loop.time() - start == 60

pytest sees a plain function, fixtures and parametrize included, so this needs neither an event loop
policy (deprecated from Python 3.14) nor a plug-in, and does not mind one. Async *fixtures* live in
another loop: open what a test needs with ``async with`` inside it.

aiohttp's own pool counts the idle time of kept connections on ``time.monotonic()``, not on the
loop's clock: virtual hours do not expire a pooled connection.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import selectors
import sys
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from types import AsyncGeneratorType
from typing import Any, ParamSpec, TypeVar, TypeVarTuple

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

START = 1_000.0
"""Where the clock starts: not at zero, so that nothing passes by mistaking a time for a duration,
and whole, because aiohttp rounds its long timeouts up to whole seconds of the loop's clock."""


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """A selector event loop that jumps to its next timer once no byte and no thread can still come.

    Loopback traffic takes no virtual time, and neither does a thread of the executor (name look-ups
    run in one). With no timer left to jump to, it waits for real.
    """

    def __init__(self) -> None:
        self._clock = _ClockedSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self._clock.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run `func` in a thread; the clock stands still (within reason) until it is done."""
        future = super().run_in_executor(executor, func, *args)
        self._clock.awaited_threads += 1
        future.add_done_callback(self._thread_done)
        return future

    def _thread_done(self, _: object) -> None:
        self._clock.awaited_threads -= 1

    async def shutdown_default_executor(self, *_: float | None) -> None:
        """Wait for the threads in real time: the timeout (from 3.12 on) would be over at once."""
        await super().shutdown_default_executor()


class _ClockedSelector(selectors.DefaultSelector):
    """A selector that lets virtual time pass instead of waiting."""

    now = START
    awaited_threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        # Bytes sent over loopback are there for the first look, before a wait can begin. The second
        # is for what the machine still owes us: the wake-up of a thread, or a very busy kernel.
        # The ten seconds bound the wait for a thread that itself waits for this loop's clock.
        if ready := super().select(0) or super().select(10 if self.awaited_threads else 0.001):
            return ready
        self.now += timeout
        return []


def virtual_time(test: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make an async test a plain one that runs by `virtual_run`."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return virtual_run(test(*args, **kwargs))

    return run


def virtual_run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` in a new `VirtualClockLoop` and return its result.

    Raises `AssertionError` when `main` returns but leaves something behind: a pending task, an open
    async generator, or an error that nobody caught (the loop's exception handler was called).
    """
    complaints: list[str] = []

    def complain(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        complaints.append(f"{context['message']}: {context.get('exception')!r}")

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.get_loop().set_exception_handler(complain)
        result = runner.run(_tidy(main, complaints))
    if complaints:
        raise AssertionError("\n".join(["left behind:", *complaints]))
    return result


async def _tidy(main: Coroutine[Any, Any, T], complaints: list[str]) -> T:
    """Await `main`, then add whatever it left in the loop to `complaints`."""
    generators: weakref.WeakSet[AsyncGeneratorType[Any, Any]] = weakref.WeakSet()
    tell_loop = sys.get_asyncgen_hooks().firstiter
    assert tell_loop is not None

    def remember(generator: Any) -> None:
        generators.add(generator)
        tell_loop(generator)

    # No need to undo this: the loop puts the thread's own hooks back when it stops.
    sys.set_asyncgen_hooks(firstiter=remember)
    result = await main
    # On this clock the shortest sleep ends only when nothing else is left to do: transports closed
    # a moment ago are gone, cancelled tasks are done.
    await asyncio.sleep(1e-6)
    gc.collect(1)  # "exception was never retrieved" is said by a destructor
    complaints += [f"open async generator: {g!r}" for g in generators if g.ag_frame is not None]
    complaints += [
        f"pending task: {task!r}"
        for task in asyncio.all_tasks()
        if task is not asyncio.current_task()
    ]
    return result
