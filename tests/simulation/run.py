"""One simulation: a plan in, the broken laws out."""

from __future__ import annotations

import asyncio
import logging
import random

from attrs import define

from mayar_reviews import RateLimit

from .jobs import Program
from .laws import broken_laws
from .loop import START, SimulatedLoop, StuckError
from .plan import Edit, Plan
from .world import PRIVATE, PRODUCTS, World

_HORIZON = 40_000.0
"""Seconds after which a simulation that has not ended is broken."""


@define
class Trace:
    """The story of a simulation, if somebody wants it."""

    loop: SimulatedLoop
    lines: list[str] | None = None

    def __call__(self, text: str, *details: object) -> None:
        """Note `text % details`, which is not made unless somebody wants it."""
        if self.lines is not None:
            self.lines.append(f"{self.loop.time() - START:9.3f}  {text % details}")


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())
        if record.exc_info:
            self.texts.append("an exception was logged")


_logger = logging.getLogger("mayar_reviews")
_log = _Log()


def _level(seed: int) -> int:
    """Return what a simulation logs: to log all in each takes too long."""
    if seed % 4:
        return logging.WARNING
    return logging.INFO if seed % 16 else logging.DEBUG


def simulate(plan: Plan, trace: list[str] | None = None) -> list[str]:
    """Run a plan and return the broken laws; the trace, if given, gets the story."""
    _log.texts = []
    propagate, level = _logger.propagate, _logger.level
    wanted = _level(plan.seed)
    if level != wanted:  # to set it takes longer than a request
        _logger.setLevel(wanted)
    _logger.propagate = False
    _logger.addHandler(_log)
    random.seed(plan.seed)  # for the jitter of the retries
    loop = SimulatedLoop()
    note = Trace(loop, trace)
    try:
        return loop.run_until_complete(_main(plan, loop, note, _log.texts))
    except StuckError:
        return ["every call ends: all wait, and nothing can happen any more"]
    finally:
        loop.close()
        _logger.removeHandler(_log)
        if level != wanted:
            _logger.setLevel(level)
        _logger.propagate = propagate


async def _main(plan: Plan, loop: SimulatedLoop, note: Trace, log: list[str]) -> list[str]:
    world = World(plan, note, loop)
    program = Program(world, _budgets(plan))
    parts = {job.number % 2 for job in plan.jobs}
    clients = {part: program.client(None, part) for part in parts}
    jobs = [asyncio.ensure_future(program.run(job, clients[job.number % 2])) for job in plan.jobs]
    for edit in plan.edits:
        loop.call_later(edit.at, _edit, world, edit)
    if plan.close_at is not None:
        await asyncio.wait(jobs, timeout=plan.close_at)
        note("the clients are closed")
        for client in clients.values():
            await client.aclose()
    _, late = await asyncio.wait(jobs, timeout=_HORIZON)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late)
    for client in clients.values():
        await client.aclose()
    laws = [
        f"the simulation itself: {job.exception()!r}"
        for job in jobs
        if not job.cancelled() and job.exception()
    ]
    await asyncio.sleep(50)  # what is on its way lands
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    laws += [f"nothing left behind: {task!r}" for task in tasks]
    return laws + list(broken_laws(program, loop, log))


def _budgets(plan: Plan) -> tuple[RateLimit, RateLimit]:
    whole = RateLimit(plan.whole, per=plan.per) if plan.whole else None
    even = RateLimit(plan.requests, per=plan.per, within=whole)
    return even, RateLimit(plan.requests, per=plan.per, within=whole) if whole else even


def _edit(world: World, edit: Edit) -> None:
    product = PRODUCTS[edit.number % 2]
    review_id = f"review-{edit.number % 2}-{edit.number // 2}"
    world.note("somebody else: %s %s", edit.kind, review_id)
    if edit.kind == "create":
        world.store.add_review(product, message=f"{PRIVATE} of another", userId="user-1")
    elif review_id in world.store.reviews:
        if edit.kind == "edit":
            world.edit(review_id, message=f"{PRIVATE} edited")
        else:
            world.edit(review_id, status="ARCHIVED")
