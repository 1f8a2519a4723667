"""429s: waited for as long as the deadline allows, and not counted as attempts."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from mayar_reviews import RateLimitError, RequestEvent, RetryPolicy, ServerError
from tests.support.clock import virtual_time
from tests.support.fault_server import FaultServer, make_review
from tests.support.harness import client_of
from tests.support.steps import Respond, too_many

from .causes import EVER, GATEWAY, HTML, ONE
from .matrix import Row, every, hold


def _closing(retry_after: str) -> Respond:
    """A 429 that closes its connection: aiohttp looks after a kept one every few seconds."""
    return Respond(429, headers=[("Retry-After", retry_after), ("Connection", "close")])


ROWS = [
    Row("429, then whole", "list", (too_many("7"),), exchanges=2, seconds=(7, 7.1)),
    Row("429s do not count as attempts", "list", tuple(too_many("1") for _ in range(20)),
        exchanges=21, seconds=(20, 20.5), seconds_paced=(60, 61)),
    Row("429 in HTML", "list", (Respond(429, GATEWAY, headers=HTML),), exchanges=2),
    Row("429 in the body", "list", (Respond(200, {"statusCode": 429, "messages": "x"}),),
        exchanges=2),
    Row("429 for ever", "list", (too_many("9", times=EVER),), RateLimitError,
        options={"deadline": 60.0}, seconds=(50, 60)),
    Row("429, not tried again", "list", (too_many("1"),), RateLimitError, exchanges=1,
        options={"retry": ONE}, seconds=(0, 0.01)),
    Row("429 beyond the deadline", "list", (too_many("121"),), RateLimitError, exchanges=1,
        seconds=(0, 0.01)),
    Row("429 for longer than an hour that does not hold", "list", (_closing("4000"),), exchanges=2,
        options={"deadline": 10_000.0}, seconds=(120, 121)),
    Row("429 without Retry-After, and no backoff", "list", tuple(too_many() for _ in range(20)),
        exchanges=21, options={"retry": RetryPolicy(backoff_initial=0)}, seconds=(2, 3),
        seconds_paced=(60, 61)),
    Row("429 for a day", "list", (too_many("86400"),), RateLimitError, exchanges=1,
        options={"deadline": None}, seconds=(0, 0.01)),
    Row("429 for an hour that does not hold", "list", (_closing("3600"),), exchanges=2,
        options={"deadline": None}, seconds=(120, 121)),
    Row("429 for an hour that holds for a quarter", "list", tuple(_closing("3600") for _ in range(8)),
        exchanges=9, options={"deadline": None}, seconds=(960, 961)),
]  # fmt: skip


@every(ROWS)
@virtual_time
async def test_a_429_ends_as_its_row_says(row: Row) -> None:
    """A 429 is waited for, or raised at once when the wait is too long."""
    await hold(row)


@pytest.mark.parametrize(
    ("retry_after", "options", "seconds"),
    [
        ((), {"retry": ONE}, 0),
        (("5",), {"retry": ONE}, 5),
        (("3600",), {}, 120),  # when a long pause is tried for the first time
        (("3601",), {}, 0),
    ],
)
@virtual_time
async def test_a_429_that_ends_a_call_makes_the_next_one_wait(
    retry_after: tuple[str, ...], options: dict[str, Any], seconds: float
) -> None:
    """For as long as it says; a pause of over an hour is not believed."""
    loop = asyncio.get_running_loop()
    async with (
        FaultServer([make_review(1)], script=(too_many(*retry_after),), limit=None) as server,
        client_of(server, **options) as client,
    ):
        with pytest.raises(RateLimitError):
            await client.list_reviews()
        started = loop.time()
        await client.with_options(deadline=None).list_reviews()
        assert round(loop.time() - started) == seconds


@virtual_time
async def test_the_backoff_of_429s_grows_apart_from_that_of_other_failures() -> None:
    """The third 429 is waited for like a third failure, whatever came in between."""
    waits: list[float] = []

    def note(event: RequestEvent) -> None:
        if event.kind == "wait":
            waits.append(event.seconds)

    policy = RetryPolicy(attempts=3, backoff_initial=4.0, backoff_max=100.0)
    failures = [(RateLimitError(), 1), (RateLimitError(), 2), (ServerError(), 1)]
    failures += [(RateLimitError(), 3), (ServerError(), 2)]
    script = [
        Respond(429 if isinstance(failure, RateLimitError) else 503) for failure, _ in failures
    ]
    random.seed(7)
    expected = [policy.delay(failure, number) for failure, number in failures]
    random.seed(7)
    async with (
        FaultServer([make_review(1)], script=script, limit=None) as server,
        client_of(server, retry=policy, on_event=note) as client,
    ):
        await client.list_reviews()
    assert waits == pytest.approx(expected)
