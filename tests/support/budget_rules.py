"""What every budget of requests must do, wherever it is kept.

Each rule gets a new budget of two requests in a window, and the window's length in seconds. The
tests of a budget run all rules on it: `RULES`, or only `PAUSE_RULES` where it never paces. Real
time is held from below only, so that a budget in Redis can be tested on a busy machine.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from mayar_reviews import DeadlineExceededError, RateLimit, RateLimiter

Rule = Callable[[RateLimiter, float], Awaitable[None]]
_CLOCKS = 0.002
"""How far two clocks may be apart."""


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _take(budget: RateLimiter, until: float | None = None) -> float:
    """Take a slot, give it back at once, and return when that was."""
    async with budget.slot(until):
        return _now()


async def _use_up(budget: RateLimiter) -> None:
    await asyncio.gather(_take(budget), _take(budget))


async def free_slots(budget: RateLimit) -> int:
    """Use every slot that is free now, and return how many there were."""
    used = 0
    with contextlib.suppress(DeadlineExceededError):
        while True:
            await _take(budget, _now())
            used += 1
    return used


async def it_has_the_methods_of_a_budget(budget: RateLimiter, per: float) -> None:
    assert isinstance(budget, RateLimiter)


async def no_window_holds_more_than_the_limit(budget: RateLimiter, per: float) -> None:
    starts = await asyncio.gather(*(_take(budget) for _ in range(6)))
    starts.sort()
    for earlier, later in zip(starts, starts[2:], strict=False):
        assert later - earlier >= per - _CLOCKS


async def first_come_first_served(budget: RateLimiter, per: float) -> None:
    order: list[int] = []

    async def use(place: int) -> None:
        async with budget.slot():
            order.append(place)

    async with asyncio.TaskGroup() as tasks:
        for place in range(6):
            tasks.create_task(use(place))
            await asyncio.sleep(per / 20)
    # The two that are served at the same moment may come in either order.
    assert [place // 2 for place in order] == [0, 0, 1, 1, 2, 2]


async def a_slot_comes_back_a_window_after_the_answer(budget: RateLimiter, per: float) -> None:
    async with budget.slot(), budget.slot():
        await asyncio.sleep(per / 2)
        answered = _now()
    assert await _take(budget) - answered >= per - _CLOCKS


async def a_slot_comes_back_a_window_after_a_failure(budget: RateLimiter, per: float) -> None:
    for _ in range(2):
        with pytest.raises(LookupError):
            async with budget.slot():
                raise LookupError
    failed = _now()
    assert await _take(budget) - failed >= per / 2


async def a_slot_comes_back_a_window_after_its_request_was_cancelled(
    budget: RateLimiter, per: float
) -> None:
    async def hold() -> None:
        async with budget.slot():
            await asyncio.sleep(100 * per)

    holders = [asyncio.create_task(hold()) for _ in range(2)]
    await asyncio.sleep(per / 4)
    for holder in holders:
        holder.cancel()
    cancelled = _now()
    await asyncio.wait(holders)
    assert await _take(budget) - cancelled >= per - _CLOCKS


async def waiters_that_are_cancelled_take_no_slot(budget: RateLimiter, per: float) -> None:
    await _use_up(budget)
    waiters = [asyncio.create_task(_take(budget)) for _ in range(6)]
    await asyncio.sleep(per / 4)
    for waiter in waiters:
        waiter.cancel()
    await asyncio.wait(waiters)
    await asyncio.sleep(per / 4)
    waits: list[float] = []
    async with budget.slot(on_wait=waits.append):
        pass
    assert all(seconds < per for seconds in waits)


async def a_wait_is_announced_once_before_it_begins(budget: RateLimiter, per: float) -> None:
    waits: list[float] = []
    async with budget.slot(on_wait=waits.append), budget.slot(on_wait=waits.append):
        assert waits == []
    async with budget.slot(on_wait=waits.append):
        assert len(waits) == 1
        assert 0 < waits[0] < per + 0.1


async def a_wait_beyond_the_deadline_is_not_begun(budget: RateLimiter, per: float) -> None:
    await _use_up(budget)
    waits: list[float] = []
    with pytest.raises(DeadlineExceededError):
        async with budget.slot(_now() + per / 4, waits.append):
            pass
    assert waits == []


async def a_deadline_that_passes_ends_the_wait(budget: RateLimiter, per: float) -> None:
    async with budget.slot(), budget.slot():
        async with asyncio.timeout(20 * per):
            with pytest.raises(DeadlineExceededError):
                # The slots could have come back in time, but did not.
                await _take(budget, _now() + 1.5 * per)


async def a_pause_holds_everybody_back(budget: RateLimiter, per: float) -> None:
    paused = _now()
    await budget.pause(per)
    for started in await asyncio.gather(_take(budget), _take(budget)):
        assert started - paused >= per - _CLOCKS


async def a_pause_holds_back_who_waits_already(budget: RateLimiter, per: float) -> None:
    await budget.pause(per / 2)
    waiting = asyncio.create_task(_take(budget))
    await asyncio.sleep(per / 4)
    paused = _now()
    await budget.pause(per)
    assert await waiting - paused >= per - _CLOCKS


async def a_shorter_pause_does_not_end_a_longer_one(budget: RateLimiter, per: float) -> None:
    paused = _now()
    await budget.pause(per)
    await budget.pause(per / 20)
    assert await _take(budget) - paused >= per - _CLOCKS


async def a_pause_beyond_the_deadline_is_not_waited_for(budget: RateLimiter, per: float) -> None:
    await budget.pause(per)
    waits: list[float] = []
    with pytest.raises(DeadlineExceededError):
        async with budget.slot(_now() + per / 4, waits.append):
            pass
    assert waits == []


async def who_is_cancelled_in_a_pause_loses_no_slot(budget: RateLimiter, per: float) -> None:
    await budget.pause(per)
    waiters = [asyncio.create_task(_take(budget)) for _ in range(4)]
    await asyncio.sleep(per / 4)
    for waiter in waiters:
        waiter.cancel()
    await asyncio.wait(waiters)
    assert all(waiter.cancelled() for waiter in waiters)
    async with asyncio.timeout(20 * per), AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(budget.slot())


PAUSE_RULES: list[Rule] = [
    it_has_the_methods_of_a_budget,
    a_pause_holds_everybody_back,
    a_pause_holds_back_who_waits_already,
    a_shorter_pause_does_not_end_a_longer_one,
    a_pause_beyond_the_deadline_is_not_waited_for,
    who_is_cancelled_in_a_pause_loses_no_slot,
]
RULES: list[Rule] = [
    *PAUSE_RULES,
    no_window_holds_more_than_the_limit,
    first_come_first_served,
    a_slot_comes_back_a_window_after_the_answer,
    a_slot_comes_back_a_window_after_a_failure,
    a_slot_comes_back_a_window_after_its_request_was_cancelled,
    waiters_that_are_cancelled_take_no_slot,
    a_wait_is_announced_once_before_it_begins,
    a_wait_beyond_the_deadline_is_not_begun,
    a_deadline_that_passes_ends_the_wait,
]


def name(rule: Rule) -> str:
    """The rule's name, for the ids of tests."""
    return getattr(rule, "__name__", "")
