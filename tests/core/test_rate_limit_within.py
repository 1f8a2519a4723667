"""A part of a budget: a bulk job beside page views."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from mayar_reviews import DeadlineExceededError, RateLimit, RateLimitError
from tests.support.budget_rules import free_slots
from tests.support.clock import virtual_time
from tests.support.fault_server import FaultServer, make_review
from tests.support.harness import PRODUCT, client_of
from tests.support.steps import too_many
from tests.support.two_limits import Counting

REVIEWS = [make_review(number) for number in range(1, 1001)]


@virtual_time
async def test_page_views_get_through_while_a_bulk_job_has_its_part() -> None:
    """A job with 14 of 20 slots: every page view with a deadline of 3 seconds succeeds."""
    budget = RateLimit(20, per=60.0)
    async with (
        FaultServer(REVIEWS, limit=(20, 60.0), latency=(0.01, 0.1)) as server,
        client_of(server, rate_limit=budget, deadline=3.0) as client,
    ):
        part = RateLimit(14, per=60.0, within=budget)
        patient = client.with_options(deadline=None, rate_limit=part)

        async def job() -> int:
            return sum([1 async for _ in patient.iter_product_reviews(PRODUCT, page_size=10)])

        task = asyncio.create_task(job())
        for _ in range(40):
            await client.list_product_reviews(PRODUCT)
            await asyncio.sleep(10.5)
        assert await task == 1000
        assert server.peak <= 20
        assert all(entry.status == 200 for entry in server.ledger.of("answered"))


@virtual_time
async def test_neither_limit_is_ever_exceeded() -> None:
    """Two parts of 14 in a budget of 20: 14 at most for each, 20 at most for both."""
    budget = RateLimit(20, per=60.0)
    parts = [RateLimit(14, per=60.0, within=budget) for _ in range(2)]
    loop = asyncio.get_running_loop()
    starts: list[tuple[float, int]] = []

    async def use(number: int) -> None:
        async with parts[number].slot():
            starts.append((loop.time(), number))
            await asyncio.sleep(0.05)

    await asyncio.gather(*(use(n % 2) for n in range(100)))
    for time, _ in starts:
        window = [number for at, number in starts if time <= at < time + 60]
        assert len(window) <= 20
        assert max(window.count(0), window.count(1)) <= 14


@virtual_time
async def test_a_slot_of_the_part_that_was_not_used_is_free_at_once() -> None:
    """Who gives up on the whole budget costs the part nothing."""
    budget = RateLimit(9, per=60.0)
    part = RateLimit(3, per=60.0, within=budget)
    assert await free_slots(budget) == 9
    loop = asyncio.get_running_loop()
    waits: list[float] = []
    with pytest.raises(DeadlineExceededError):
        async with part.slot(loop.time() + 5, waits.append):
            pass
    waiting = asyncio.create_task(part.slot(on_wait=waits.append).__aenter__())
    await asyncio.sleep(1)
    waiting.cancel()
    await asyncio.wait([waiting])
    async with part.slot(on_wait=waits.append):
        assert 60 <= loop.time() - 1000 <= 60.1
        assert await free_slots(part) == 2
    assert [round(seconds) for seconds in waits] == [60, 59]


@virtual_time
async def test_a_429_of_the_part_pauses_the_whole() -> None:
    """It is the server's limit that was met, not the part's."""
    budget = RateLimit(20, per=60.0)
    async with (
        FaultServer(REVIEWS[:1], script=(too_many("7"),)) as server,
        client_of(server, rate_limit=RateLimit(14, per=60.0, within=budget)) as client,
    ):
        task = asyncio.create_task(client.list_product_reviews(PRODUCT))
        await asyncio.sleep(1)
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with budget.slot():
            assert 5.9 <= loop.time() - started <= 6.1
        await task


@pytest.mark.parametrize(
    ("keys", "of_key", "addresses", "of_address", "each", "least"),
    [
        # Each address has 200 requests to send, 20 a minute.
        pytest.param(1000, 50, 10, 20, 2, 9 * 60.0, marks=pytest.mark.slow),
        # Each key has 15 requests to send, 5 a minute; the addresses have room.
        (10, 5, 2, 60, 15, 2 * 60.0),
    ],
)
@virtual_time
async def test_keys_behind_addresses(
    keys: int, of_key: int, addresses: int, of_address: int, each: int, least: float
) -> None:
    """Never over either limit, no 429, and at least 97 % of the best that is possible."""
    server = Counting(60.0, of_key, of_address)
    assert least <= await server.serve(keys, addresses, each) <= least / 0.97
    assert server.refused == 0


@virtual_time
async def test_the_larger_budget_serves_in_order_of_arrival() -> None:
    """Who had to wait for the smaller one is served before those who came later."""
    address = RateLimit(2, per=60.0)
    one, two = RateLimit(1, per=60.0, within=address), RateLimit(9, per=60.0, within=address)
    order: list[str] = []

    async def use(name: str, budget: RateLimit) -> None:
        async with budget.slot():
            order.append(name)

    async with asyncio.TaskGroup() as tasks:
        for name, budget in [("1", one), ("2", two), ("3", one), ("4", two), ("5", two)]:
            tasks.create_task(use(name, budget))
            await asyncio.sleep(1)
    assert order[:2] == ["1", "2"]
    assert order.index("3") < order.index("5")


async def _refused(budget: RateLimit, after: float = 0.0, *, until: float | None = None) -> float:
    """Get a 429 after so many seconds, and return when the request was sent."""
    with contextlib.suppress(RateLimitError):
        async with budget.slot(until):
            sent_at = asyncio.get_running_loop().time()
            await asyncio.sleep(after)
            await budget.pause(3600.0)
            raise RateLimitError(status_code=429)
    return sent_at


async def _waited(budget: RateLimit) -> float:
    started = asyncio.get_running_loop().time()
    async with budget.slot():
        return asyncio.get_running_loop().time() - started


@virtual_time
async def test_a_429_of_one_key_holds_up_no_other() -> None:
    """A second key's 429 is the address's, unless a request was accepted in between."""
    address = RateLimit(20, per=60.0)
    one, two, three = (RateLimit(9, per=60.0, within=address) for _ in range(3))
    await one.pause(10.0)
    await one.pause(10.0)
    assert await _waited(two) == 0  # and the server has accepted it
    await two.pause(10.0)
    assert await _waited(three) == 0
    await asyncio.sleep(10)
    await one.pause(10.0)
    await asyncio.sleep(10)
    await two.pause(10.0)  # the first pause is just over
    assert await _waited(three) == 0
    await asyncio.sleep(20)
    await one.pause(10.0)
    await two.pause(10.0)
    assert await _waited(three) == pytest.approx(10.0, abs=0.1)


@virtual_time
async def test_a_429_of_one_key_refuses_no_other_that_has_a_deadline() -> None:
    """The deadline is sooner than the end of the first key's pause."""
    address = RateLimit(20, per=60.0)
    one, two = (RateLimit(9, per=60.0, within=address) for _ in range(2))
    await one.pause(10.0)
    async with two.slot(asyncio.get_running_loop().time() + 1):
        pass


@virtual_time
async def test_an_answer_to_an_older_request_does_not_acquit_the_address() -> None:
    """It was sent before the first 429."""
    address = RateLimit(20, per=60.0)
    one, two, three = (RateLimit(9, per=60.0, within=address) for _ in range(3))
    async with three.slot():
        await asyncio.sleep(0.1)
        await one.pause(10.0)
    await two.pause(10.0)
    assert await _waited(three) == pytest.approx(10.0, abs=0.1)


@virtual_time
async def test_a_429_also_holds_up_who_waits_for_the_larger_budget_already() -> None:
    """It has its slot of the part; until the pause is over it lets other parts pass."""
    whole = RateLimit(2, per=10.0)
    part, other = (RateLimit(5, per=10.0, within=whole) for _ in range(2))
    loop = asyncio.get_running_loop()
    start = loop.time()
    used: list[tuple[str, float]] = []

    async def use(budget: RateLimit, name: str) -> None:
        async with budget.slot():
            used.append((name, loop.time() - start))

    await asyncio.gather(use(part, "first"), use(part, "second"))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(use(part, "held up"))
        tasks.create_task(use(other, "not held up"))
        await asyncio.sleep(1)
        await part.pause(15.0)
    times = dict(used)
    assert times["not held up"] < 11
    assert 16 <= times["held up"] < 17


@pytest.mark.parametrize("budgets_between", [0, 2])
@virtual_time
async def test_one_request_tries_a_long_pause_and_not_all_that_have_a_slot_of_the_part(
    budgets_between: int,
) -> None:
    """They wait for the largest budget. The pause is over once that one is accepted."""
    whole = part = RateLimit(4, per=10.0)
    for _ in range(budgets_between + 1):
        part = RateLimit(9, per=10.0, within=part)
    loop = asyncio.get_running_loop()
    start = loop.time()
    for _ in range(4):
        assert await _waited(whole) == 0
    sent: list[float] = []

    async def use() -> None:
        async with part.slot():
            sent.append(loop.time() - start)
            await asyncio.sleep(5)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(use())
        await asyncio.sleep(1)
        await part.pause(3600.0)
    assert sent == pytest.approx([21.0, 26.0, 26.0, 26.0], abs=0.01)


@virtual_time
async def test_the_next_try_of_a_long_pause_counts_from_when_the_last_one_was_sent() -> None:
    """It waited for the larger budget before: its slot of the part came earlier."""
    whole = RateLimit(2, per=10.0)
    part, other = (RateLimit(9, per=10.0, within=whole) for _ in range(2))
    loop = asyncio.get_running_loop()
    start = loop.time()
    await part.pause(3600.0)
    await asyncio.sleep(15)
    assert await _waited(other) == await _waited(other) == 0
    assert await _refused(part) - start == pytest.approx(25.0, abs=0.01)
    assert await _waited(other) == 0  # which acquits the larger budget
    with pytest.raises(DeadlineExceededError):  # at once
        await part.slot(until=start + 43).__aenter__()
    assert loop.time() - start == pytest.approx(25.0, abs=0.01)
    assert await _refused(part) - start == pytest.approx(45.0, abs=0.01)


@virtual_time
async def test_the_next_try_of_a_long_pause_does_not_count_from_a_late_answer() -> None:
    """The part and the larger budget agree when the next one may be sent."""
    part = RateLimit(9, per=10.0, within=RateLimit(20, per=10.0))
    loop = asyncio.get_running_loop()
    start = loop.time()
    await part.pause(3600.0)
    sent = [await _refused(part, 4.0, until=start + 65) - start for _ in range(3)]
    assert sent == pytest.approx([20.0, 40.0, 60.0], abs=0.01)


@virtual_time
async def test_a_try_that_is_cancelled_before_it_was_sent_is_made_up_for_at_once() -> None:
    """It had its slot of the part, and waited for the larger budget."""
    whole = RateLimit(1, per=10.0)
    part, other = (RateLimit(9, per=10.0, within=whole) for _ in range(2))
    loop = asyncio.get_running_loop()
    start = loop.time()
    await part.pause(3600.0)
    await asyncio.sleep(15)
    assert await _waited(other) == 0
    first, second = (asyncio.create_task(_waited(part)) for _ in range(2))
    await asyncio.sleep(7)
    first.cancel()
    await second
    assert loop.time() - start == pytest.approx(25.0, abs=0.01)


@virtual_time
async def test_a_second_429_of_a_part_does_not_shorten_the_first() -> None:
    """Who takes from the larger budget directly waits for the longer one."""
    whole = RateLimit(20, per=60.0)
    part = RateLimit(9, per=60.0, within=whole)
    await part.pause(100.0)
    await asyncio.sleep(1)
    await part.pause(3.0)
    assert await _waited(whole) == pytest.approx(99.0, abs=0.1)


@pytest.mark.parametrize("accepts_another", [False, True])
@virtual_time
async def test_a_429_of_a_part_of_a_part(accepts_another: bool) -> None:
    """It holds up who waits for the largest budget with a slot of the one between, until that
    one has accepted another request.
    """
    largest = RateLimit(2, per=10.0)
    between = RateLimit(5, per=10.0, within=largest)
    part, other = (RateLimit(5, per=10.0, within=between) for _ in range(2))
    assert await _waited(largest) == await _waited(largest) == 0
    async with asyncio.TaskGroup() as tasks:
        direct = tasks.create_task(_waited(between))
        if accepts_another:
            tasks.create_task(_waited(other))
        await asyncio.sleep(1)
        await part.pause(15.0)
    assert direct.result() == pytest.approx(10.0 if accepts_another else 16.0, abs=0.1)


@virtual_time
async def test_who_waits_directly_lets_the_other_parts_pass() -> None:
    """A 429 of one part holds up those who take from the whole, and no other part behind them."""
    address = RateLimit(20, per=60.0)
    one, two = (RateLimit(9, per=60.0, within=address) for _ in range(2))
    await one.pause(10.0)
    direct = [asyncio.create_task(_waited(address)) for _ in range(3)]
    await asyncio.sleep(1)
    waiting = asyncio.create_task(_waited(two))
    await asyncio.sleep(0)
    assert await waiting == 0
    await asyncio.sleep(1)
    await one.pause(10.0)
    assert await _waited(address) == pytest.approx(10.0, abs=0.1)
    assert all([await one < 12 for one in direct])


class _Own:
    """A budget of an application's own, which notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    @contextlib.asynccontextmanager
    async def slot(
        self, until: float | None = None, on_wait: Callable[[float], None] | None = None
    ) -> AsyncIterator[None]:
        self.asked.append((until, on_wait))
        yield

    async def pause(self, seconds: float) -> None:
        self.asked.append(seconds)


@virtual_time
async def test_the_larger_budget_can_be_ones_own() -> None:
    """It hears of the deadline, of the wait and of a pause."""
    own = _Own()
    part = RateLimit(14, per=60.0, within=own)
    on_wait = [0.0].append
    async with part.slot(2000.0, on_wait):
        pass
    await part.pause(7.0)
    assert own.asked == [(2000.0, on_wait), 7.0]


def test_a_part_shows_the_larger_budget() -> None:
    """In its representation."""
    part = RateLimit(14, per=60, within=RateLimit(20, per=60))
    assert repr(part) == "RateLimit(14, per=60, within=RateLimit(20, per=60))"
