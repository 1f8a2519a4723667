"""Laws 3, 4, 5 and 7 for many processes: the budget that is kept in Redis."""

from __future__ import annotations

import asyncio
import re
import time
import traceback
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

import mayar_reviews.redis
from mayar_reviews import (
    ConnectionFailedError,
    DeadlineExceededError,
    InvalidArgumentError,
    RateLimitError,
    RequestEvent,
    RetryPolicy,
    ReviewsClient,
)
from mayar_reviews.redis import RedisRateLimit, key_scope
from tests.faults.server import FaultServer, make_review, too_many
from tests.support.processes import Process, Redis

# Slow as a whole: each starts a Redis.
pytestmark = pytest.mark.slow

PRODUCT = "product-1"
QUICK = RetryPolicy(attempts=3, backoff_initial=0.01)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Redis]:
    """A Redis of the test's own."""
    with Redis(tmp_path) as server:
        yield server


@asynccontextmanager
async def client_of(
    api: FaultServer, budget: RedisRateLimit, **options: Any
) -> AsyncIterator[ReviewsClient]:
    async with ReviewsClient("key", base_url=api.url, rate_limit=budget, **options) as client:
        yield client


def api_of(**options: Any) -> FaultServer:
    return FaultServer([make_review(1)], **options)


def budget_of(server: Redis, requests: int = 1, per: float = 0.2, **options: Any) -> RedisRateLimit:
    return RedisRateLimit(server.url, requests, per, scope="test", **options)


async def take(budget: RedisRateLimit, until: float | None = None) -> float:
    """Take a slot, give it back at once, and return when that was."""
    async with budget.slot(until):
        return asyncio.get_running_loop().time()


async def queued(server: Redis, name: str = "queue") -> int:
    """Return how many there are in the queue, or hold `slots`."""
    async with redis.asyncio.Redis.from_url(server.url) as connection:
        return int(await connection.zcard(f"mayar-reviews:{{test}}:{name}"))


# -- the budget ------------------------------------------------------------------------------------


async def test_two_processes_share_one_budget(server: Redis) -> None:
    """What one has used the other waits for, until `per` seconds after the answer."""
    async with budget_of(server) as one, budget_of(server) as other:
        async with one.slot():
            waiting = asyncio.create_task(take(other))
            await asyncio.sleep(0.1)
        answered = asyncio.get_running_loop().time()
        assert 0.2 <= await waiting - answered < 0.3


async def test_scopes_are_apart(server: Redis) -> None:
    """Another address or key has a budget of its own."""
    async with (
        budget_of(server, per=60.0) as one,
        RedisRateLimit(server.url, 1, 60.0, scope="other") as other,
    ):
        started = await take(one)
        assert await take(other) - started < 0.1


async def test_first_come_first_served_over_all_processes(server: Redis) -> None:
    """Slots go to whoever has waited longest, whichever process that is."""
    order: list[int] = []
    async with budget_of(server, per=0.05) as one, budget_of(server, per=0.05) as other:

        async def wait(place: int) -> None:
            async with (one, other)[place % 2].slot():
                order.append(place)

        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            for place in range(6):
                tasks.create_task(wait(place))
                await asyncio.sleep(0.02)
    assert order == list(range(6))


async def test_a_pause_reaches_every_process(server: Redis) -> None:
    """A 429 that one of them meets holds back the other, whose slots were free."""
    async with (
        api_of(script=[too_many("1")]) as api,
        budget_of(server, 20, 60.0) as one,
        budget_of(server, 20, 60.0) as other,
        client_of(api, one, retry=RetryPolicy.none()) as first,
        client_of(api, other) as second,
    ):
        with pytest.raises(RateLimitError):
            await first.list_product_reviews(PRODUCT)
        started = asyncio.get_running_loop().time()
        await second.list_product_reviews(PRODUCT)
        assert 0.98 <= asyncio.get_running_loop().time() - started < 1.2
        assert api.ledger.exchanges == 2


async def test_a_shorter_pause_does_not_end_a_longer_one(server: Redis) -> None:
    """The latest end of all pauses counts."""
    async with budget_of(server, 20) as budget:
        started = asyncio.get_running_loop().time()
        await budget.pause(0.3)
        await budget.pause(0.01)
        assert await take(budget) - started >= 0.3


async def test_a_wait_is_announced_once(server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits is told how long it will be at least, once, however often Redis is asked."""
    monkeypatch.setattr(mayar_reviews.redis, "_POLL", 0.05)
    waits: list[float] = []
    async with budget_of(server) as budget:
        await take(budget)
        async with budget.slot(on_wait=waits.append):
            pass
    assert len(waits) == 1
    assert 0.15 <= waits[0] <= 0.21


async def test_a_wait_beyond_the_deadline_is_not_begun(server: Redis) -> None:
    """A slot that will come too late ends the call at once, and the ticket is withdrawn."""
    loop = asyncio.get_running_loop()
    async with budget_of(server, per=60.0) as budget:
        started = await take(budget)
        with pytest.raises(DeadlineExceededError, match=r"another 60\.0 s"):
            await take(budget, until=loop.time() + 10)
        assert loop.time() - started < 0.5
    assert await queued(server) == 0


async def test_a_deadline_that_passes_in_the_queue_ends_the_wait(server: Redis) -> None:
    """When others' answers take longer than hoped, the deadline holds all the same."""
    loop = asyncio.get_running_loop()
    async with budget_of(server, per=0.1) as budget, budget.slot():
        started = loop.time()
        with pytest.raises(DeadlineExceededError):
            await take(budget, until=started + 0.25)
        assert loop.time() - started < 0.3


# -- who leaves, and who dies ----------------------------------------------------------------------


async def test_a_cancelled_waiter_takes_no_slot(server: Redis) -> None:
    """It leaves the queue at once, and those behind it move up."""
    async with budget_of(server) as budget:
        await take(budget)
        waiters = [asyncio.create_task(take(budget)) for _ in range(5)]
        await asyncio.sleep(0.05)
        for waiter in waiters:
            waiter.cancel()
        await asyncio.wait(waiters)
        assert all(waiter.cancelled() for waiter in waiters)
        started = asyncio.get_running_loop().time()
        assert await take(budget) - started < 0.25


async def test_cancelled_at_any_moment_nothing_is_lost(server: Redis) -> None:
    """Wherever in the asking a cancellation falls, it passes, and no slot is held after it."""
    async with budget_of(server, 3, 0.01) as budget:
        for _ in range(3):
            for steps in range(40):
                task = asyncio.create_task(take(budget))
                for _ in range(steps):
                    await asyncio.sleep(0)
                if task.cancel():
                    with pytest.raises(asyncio.CancelledError):
                        await task
    await asyncio.sleep(0.02)
    async with budget_of(server, 3, 0.01) as budget, AsyncExitStack() as slots:
        started = asyncio.get_running_loop().time()
        for _ in range(3):
            await slots.enter_async_context(budget.slot())
        assert asyncio.get_running_loop().time() - started < 0.1
    assert await queued(server) == 0


async def test_a_killed_process_gives_its_slots_and_places_back(server: Redis) -> None:
    """Slots come back when the lease is over, and its tickets block nobody for longer."""
    with Process(
        "holder", redis=server.url, requests=4, per=0.3, lease=0.4, slots=4, tickets=9
    ) as process:
        process.hear()
        killed = asyncio.get_running_loop().time()
    async with asyncio.timeout(10), budget_of(server, 4, 0.3, lease=0.4) as budget:
        times = await asyncio.gather(*[take(budget) for _ in range(4)])
    late = mayar_reviews.redis._LATE
    assert min(times) - killed > 0.4
    assert max(times) - killed < 0.4 + 0.3 + late + 0.3


async def test_a_slow_waiter_gets_its_place_back(server: Redis) -> None:
    """One that was taken for dead stands, once it asks again, before those who came after it."""
    keys = "mayar-reviews:{test}:"
    async with (
        budget_of(server, per=60.0) as budget,
        redis.asyncio.Redis.from_url(server.url, decode_responses=True) as connection,
    ):
        await take(budget)

        async def ask(ticket: str, since: int = 0) -> int:
            return (await budget._ask(mayar_reviews.redis._TAKE, ticket, since, *budget._terms))[1]

        since = await ask("slow")
        await connection.zadd(f"{keys}expected", {"slow": 0})
        await ask("other")
        assert await connection.zrange(f"{keys}queue", 0, -1) == ["other"]
        await ask("slow", since)
        assert await connection.zrange(f"{keys}queue", 0, -1) == ["slow", "other"]


async def test_keys_expire_by_themselves(server: Redis) -> None:
    """Nothing is written that does not go away, be it used, waited for or paused."""
    async with redis.asyncio.Redis.from_url(server.url) as connection:
        async with budget_of(server, per=0.2, lease=0.3) as budget:
            await budget.pause(0.1)
            await take(budget)
            waiting = asyncio.create_task(take(budget))
            await budget.pause(0.1)
            await asyncio.sleep(0.05)
            keys = await connection.keys()
            assert len(keys) == 4
            for key in keys:
                assert 0 < await connection.pttl(key) <= 6000
            await waiting
        await asyncio.sleep(0.55)
        assert await connection.keys() == []


# -- what Redis is told ----------------------------------------------------------------------------


@asynccontextmanager
async def overheard(server: Redis) -> AsyncGenerator[list[str], None]:
    """Every command that the server gets."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"MONITOR\r\n")
    await reader.readline()
    lines: list[str] = []
    try:
        yield lines
        writer.write(b"QUIT\r\n")
        lines += (await reader.read()).decode().splitlines()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_redis_is_told_neither_the_key_nor_the_time(
    server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands hold tickets, the terms, and times that Redis has told: the same on any clock."""
    said: list[set[str]] = []
    for skew in (0.0, 1.0, 5e8):
        loop = asyncio.get_running_loop()
        right_loop, right_wall = loop.time, time.time
        with monkeypatch.context() as clocks:
            clocks.setattr(loop, "time", lambda right=right_loop, skew=skew: right() + skew)
            clocks.setattr(time, "time", lambda right=right_wall, skew=skew: right() + skew)
            async with (
                overheard(server) as lines,
                api_of() as api,
                RedisRateLimit(server.url, 1, 0.1, scope=key_scope("secret-key")) as budget,
                ReviewsClient("secret-key", base_url=api.url, rate_limit=budget) as client,
            ):
                await asyncio.gather(*[client.list_product_reviews(PRODUCT) for _ in range(2)])
                await budget.pause(0.01)
        told = [line for line in lines if "EVALSHA" in line.upper()]
        assert len(told) >= 5
        assert "secret-key" not in "\n".join(lines)
        said.append(
            {
                re.sub(
                    r'"[0-9a-f]{32}"|"17[0-9]{14}"|"[0-9a-f]{40}"',
                    "_",
                    line.partition("EVALSHA")[2],
                )
                for line in told
            }
        )
        await asyncio.sleep(0.12)
    assert said[0] == said[1] == said[2]


def test_the_scope_of_a_key_does_not_give_it_away() -> None:
    """The same key has the same scope, another another, and none is the key."""
    assert key_scope("secret") == key_scope("secret") != key_scope("other")
    assert "secret" not in key_scope("secret")


# -- a Redis that fails ----------------------------------------------------------------------------


async def test_without_redis_nothing_is_sent(server: Redis) -> None:
    """A call ends, after its retries, with an error that says whose fault it is."""
    server.kill()
    events: list[RequestEvent] = []
    async with (
        api_of() as api,
        budget_of(server, 20) as budget,
        client_of(api, budget, retry=QUICK, on_event=events.append) as client,
    ):
        with pytest.raises(ConnectionFailedError, match="the rate limit's Redis failed") as caught:
            await client.list_product_reviews(PRODUCT)
        assert caught.value.attempts == 0
        assert [event.reason for event in events] == ["retry", "retry"]
        assert len(api.ledger) == 0


async def test_a_redis_that_dies_midway_ends_the_waiting(server: Redis) -> None:
    """Whoever waits when it dies gets the error, within the deadline."""
    loop = asyncio.get_running_loop()
    async with (
        api_of() as api,
        budget_of(server, 2, 0.3) as budget,
        client_of(api, budget, retry=QUICK, deadline=1.5) as client,
    ):
        started = loop.time()
        calls = [asyncio.create_task(client.list_product_reviews(PRODUCT)) for _ in range(6)]
        await asyncio.sleep(0.15)
        server.kill()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert loop.time() - started < 1.5
        assert Counter(map(type, outcomes))[ConnectionFailedError] == 4
        assert len(api.ledger.received()) == 2


async def test_a_redis_that_says_nothing_is_not_waited_for(
    server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets a few seconds, or what the deadline leaves."""
    monkeypatch.setattr(mayar_reviews.redis, "_TIMEOUT", 0.2)
    loop = asyncio.get_running_loop()
    async with budget_of(server, 20) as budget:
        await take(budget)
        server.freeze()
        started = loop.time()
        with pytest.raises(DeadlineExceededError, match="Redis"):
            await take(budget, until=started + 0.05)
        assert loop.time() - started < 0.15
        started = loop.time()
        with pytest.raises(ConnectionFailedError, match=r"no answer .* in 0\.2 s"):
            await take(budget)
        assert loop.time() - started < 0.3


async def test_an_answer_outlives_a_redis_that_dies_under_it(
    server: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """What Mayar has answered is returned; that the slot was not given back is a warning."""
    async with (
        api_of(latency=(0.1, 0.1)) as api,
        budget_of(server, 20) as budget,
        client_of(api, budget) as client,
    ):
        call = asyncio.create_task(client.list_product_reviews(PRODUCT))
        while not api.ledger.received():
            await asyncio.sleep(0.01)
        server.kill()
        assert len((await call).data) == 1
    assert "could not be told" in caplog.text


async def test_a_dropped_connection_is_made_anew(server: Redis) -> None:
    """Redis closes idle connections: the next call does not notice, and takes one slot."""
    async with budget_of(server, 20, 60.0) as budget:
        await take(budget)
        async with redis.asyncio.Redis.from_url(server.url) as connection:
            await connection.client_kill_filter(_type="normal", skipme=True)
        await take(budget)
    assert await queued(server, "slots") == 2


async def test_a_lost_answer_does_not_cost_a_second_slot(
    server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When Redis granted a slot and the answer was lost, asking again finds the same slot."""
    read = redis.asyncio.Connection.read_response
    lost: list[object] = []

    async def lose_one(self: Any, *args: Any, **options: Any) -> Any:
        answer = await read(self, *args, **options)
        if isinstance(answer, list) and not lost:
            lost.append(answer)
            await self.disconnect(nowait=True)
            raise redis.ConnectionError("lost")
        return answer

    monkeypatch.setattr(redis.asyncio.Connection, "read_response", lose_one)
    async with asyncio.timeout(10), budget_of(server, 20, 60.0) as budget, budget.slot():
        assert lost
        assert await queued(server, "slots") == 1


async def test_the_password_is_in_no_error(tmp_path: Path) -> None:
    """A refused password ends the call at once, and is in no message, repr or local variable."""
    with Redis(tmp_path, password="right-word") as server:
        url = f"redis://:wrong-word@127.0.0.1:{server.port}"
        budget = RedisRateLimit(url, 20, 60.0, scope="test")
        events: list[RequestEvent] = []
        async with (
            api_of() as api,
            budget,
            client_of(api, budget, on_event=events.append) as client,
        ):
            with pytest.raises(ConnectionFailedError, match="AuthenticationError") as caught:
                await client.list_product_reviews(PRODUCT)
            assert events == []
            assert "wrong-word" not in repr(budget) + _everything(caught.value)


# -- arguments and life ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("url", "redis-host:6379/pass-word"),
        ("url", "http://:pass-word@127.0.0.1"),
        ("url", "redis://:pass-word@127.0.0.1:port"),
        ("url", "redis://:pass-word@127.0.0.1?no_such_option=1"),
        ("url", None),
        ("requests", 0),
        ("per", 0),
        ("scope", "a b"),
        ("scope", ""),
        ("lease", 0),
    ],
)
def test_wrong_arguments_are_refused(field: str, wrong: object) -> None:
    """Before anything is connected, naming the argument and never repeating a password."""
    arguments: dict[str, Any] = {
        "url": "redis://:pass-word@127.0.0.1",
        "requests": 20,
        "per": 60.0,
        "scope": "test",
        "lease": 30,
    } | {field: wrong}
    with pytest.raises(InvalidArgumentError, match=f"^{field} ") as caught:
        RedisRateLimit(**arguments)
    assert caught.value.field == field
    del arguments
    assert "pass-word" not in _everything(caught.value)


async def test_it_belongs_to_one_event_loop_until_it_is_closed(server: Redis) -> None:
    """Used in a second loop while the first goes on it says so; closed, it can move."""
    budget = budget_of(server, 20)

    async def use() -> None:
        async with budget:
            await take(budget)

    await take(budget)
    with pytest.raises(RuntimeError, match="another event loop"):
        await asyncio.to_thread(asyncio.run, use())
    await budget.aclose()
    await asyncio.to_thread(asyncio.run, use())
    await use()


def _everything(error: BaseException) -> str:
    """Return the error as the most talkative of error reports shows it, without this test."""
    seen = traceback.TracebackException.from_exception(error, capture_locals=True)
    while seen.stack and seen.stack[0].filename == __file__:
        del seen.stack[0]
    return "".join(seen.format()) + repr(error)


# -- processes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("skew", [0.0, 1.0])
def test_four_processes_never_exceed_one_budget(server: Redis, skew: float) -> None:
    """4 x 25 requests at 20 per 2 s: no 429, within 15 % of the minimum, fair on any clocks."""
    arrivals = _run(server, workers=4, skew=skew)
    assert len(arrivals) == 100
    assert arrivals[-1][0] - arrivals[0][0] <= (100 / 20 - 1) * 2.0 * 1.15
    # Each process always has more to ask for than its share, so in two windows, in which
    # everyone's turn comes, each gets its quarter, give or take those that overlap.
    for start in (0, 40):
        shares = Counter(product for _, product, _ in arrivals[start : start + 40])
        assert all(abs(shares[f"product-{n}"] - 10) <= 3 for n in range(4)), shares
    last = {product: at for at, product, _ in arrivals}
    assert max(last.values()) - min(last.values()) < 1.0


def test_a_process_killed_midway_costs_its_slots_for_a_window(server: Redis) -> None:
    """Half of the slots die with it: the others lose them until the lease is over, no longer."""
    with Process(
        "holder", redis=server.url, requests=20, per=2.0, lease=1.0, slots=10, tickets=10
    ) as dead:
        dead.hear()
    arrivals = _run(server, workers=3, lease=1.0)
    assert len(arrivals) == 75
    # 10 slots lost for 3 s are 15 requests: 90 in all, of which 20 go at once.
    assert arrivals[-1][0] - arrivals[0][0] <= (100 / 20 - 1) * 2.0 * 1.15


def _run(redis: Redis, workers: int, **settings: Any) -> list[tuple[float, str, int]]:
    """Let so many processes ask 25 times each at 20 per 2 s, and return what arrived when."""
    limit = {"requests": 20, "per": 2.0}
    with ExitStack() as stack:
        api = stack.enter_context(Process("server", **limit))
        url = api.hear()
        skew = settings.pop("skew", 0.0)
        processes = [
            stack.enter_context(
                Process(
                    "worker",
                    api=url,
                    redis=redis.url,
                    product=f"product-{n}",
                    count=25,
                    skew=skew * (n % 2),
                    **limit,
                    **settings,
                )
            )
            for n in range(workers)
        ]
        for process in processes:
            assert process.hear() == "ready"
        for process in processes:
            process.tell()
        for process in processes:
            assert process.hear() == "done"
        api.tell()
        report = api.hear()
    assert report["peak"] <= 20
    assert {status for _, _, status in report["arrivals"]} == {200}
    return [tuple(arrival) for arrival in report["arrivals"]]
