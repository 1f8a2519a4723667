"""A client's life: built, lent a session, watched, shared, closed, and used wrongly."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from mayar_reviews import (
    ConnectionFailedError,
    ConnectionLostError,
    DeadlineExceededError,
    InvalidArgumentError,
    MayarError,
    NotFoundError,
    OutcomeUnknownError,
    RateLimit,
    RequestEvent,
    RetryPolicy,
    ReviewsClient,
    ServerError,
    StatusUpdate,
    StatusUpdateError,
)
from tests.faults.clock import virtual_run, virtual_time
from tests.faults.server import Break, FaultServer, Respond, make_review, too_many
from tests.support.harness import EMAIL, KEY, PRODUCT, client_of


@virtual_time
async def test_events_tell_every_attempt_and_every_wait() -> None:
    """What an observer sees of a creation that is interrupted: each exchange, each pause."""
    events: list[RequestEvent] = []
    script = (
        Break("request", on="create"),
        Respond(503, on="customer"),
        too_many("4", on="create"),
    )
    async with (
        FaultServer(customers={EMAIL: "customer-1"}, script=script) as server,
        client_of(server, on_event=events.append) as client,
    ):
        await client.create_review(payment_link_id=PRODUCT, customer_email=EMAIL, rating=5)
    told = [
        (event.kind, event.endpoint, event.attempt, event.status_code, event.reason)
        for event in events
    ]
    retry = ("wait", "create_review", 7, None, "retry")
    assert told == [
        ("attempt", "create_review", 1, None, "ConnectionLostError"),
        ("attempt", "get_customer", 2, 503, "ServerError"),
        ("wait", "get_customer", 3, None, "retry"),
        ("attempt", "get_customer", 3, 200, None),
        ("attempt", "get_customer_review", 4, 200, None),
        ("wait", "get_customer_review", 5, None, "look_up"),
        ("attempt", "get_customer_review", 5, 200, None),
        ("wait", "get_customer_review", 6, None, "look_up"),
        ("attempt", "get_customer_review", 6, 200, None),
        retry,
        ("attempt", "create_review", 7, 429, "RateLimitError"),
        ("wait", "create_review", 8, None, "rate_limit"),
        ("attempt", "create_review", 8, 200, None),
    ]
    assert (events[0].method, events[0].route) == ("POST", "/reviews/create")
    waits = [round(event.seconds) for event in events if event.reason in ("look_up", "rate_limit")]
    assert waits == [1, 2, 4]


@virtual_time
async def test_an_observer_that_fails_does_not_fail_the_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its exception is logged; the next observer and the caller get what is theirs."""
    events: list[RequestEvent] = []

    def broken(_: RequestEvent) -> None:
        raise LookupError("an observer's own fault")

    async with (
        FaultServer([make_review(1)]) as server,
        client_of(server, on_event=broken) as client,
    ):
        await client.with_options(on_event=events.append).list_reviews()
    assert len(events) == 1
    assert "on_event raised" in caplog.text


@virtual_time
async def test_with_options_shares_everything_but_patience() -> None:
    """The same session, key and budget; another timeout, deadline and policy; one closing."""
    loop = asyncio.get_running_loop()
    async with FaultServer([make_review(1)], script=(Respond(503, times=3),)) as server:
        client = ReviewsClient(KEY, base_url=server.url, rate_limit=RateLimit(4, per=60))
        hasty = client.with_options(retry=RetryPolicy.none(), deadline=5.0, timeout=1.0)
        with pytest.raises(ServerError) as caught:
            await hasty.list_reviews()
        assert caught.value.attempts == 1
        assert (await client.list_reviews()).data  # two more failures, then the answer
        started = loop.time()
        with pytest.raises(MayarError, match="rate limit"):
            await hasty.list_reviews()
        assert loop.time() == started
        same = hasty.with_options()
        assert same._settings == hasty._settings
        await hasty.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await client.list_reviews()


@virtual_time
async def test_a_lent_session_is_used_as_it_is_and_left_open() -> None:
    """Its headers and middlewares count, and closing the client leaves it alone."""
    seen = []

    async def watch(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        seen.append(request.url.path)
        return await handler(request)

    async with (
        FaultServer([make_review(1)]) as server,
        aiohttp.ClientSession(headers={"X-Shop": "7"}, middlewares=(watch,)) as session,
    ):
        async with ReviewsClient(KEY, base_url=server.url, session=session) as client:
            await client.list_reviews()
        assert not session.closed
        assert seen == ["/hl/v2/reviews"]
        headers = server.ledger.received()[0].headers
        assert (headers["x-shop"], headers["authorization"]) == ("7", f"Bearer {KEY}")
        await session.close()
        client = ReviewsClient(KEY, base_url=server.url, session=session)
        with pytest.raises(RuntimeError, match="session lent to this ReviewsClient is closed"):
            await client.list_reviews()


@virtual_time
async def test_a_lent_session_that_raises_by_itself() -> None:
    """`raise_for_status` of a lent session takes no refusal for nonsense."""
    async with (
        FaultServer(script=(Respond(404),)) as server,
        aiohttp.ClientSession(raise_for_status=True) as session,
        ReviewsClient(KEY, base_url=server.url, session=session) as client,
    ):
        with pytest.raises(NotFoundError):
            await client.list_reviews()


@virtual_time
async def test_a_lent_session_that_cannot_be_used() -> None:
    """One that does not decompress is refused; one with a password never sends anything."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        with pytest.raises(InvalidArgumentError, match="session cannot be used"):
            ReviewsClient(KEY, session=session)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of aiohttp, in its newest only
        session = aiohttp.ClientSession(auth=aiohttp.BasicAuth("somebody", "else"))
    async with FaultServer() as server, session:
        async with ReviewsClient(KEY, base_url=server.url, session=session) as client:
            with pytest.raises(
                ConnectionFailedError, match="aiohttp cannot send to this origin"
            ) as caught:
                await client.create_review(payment_link_id=PRODUCT, customer_email=EMAIL, rating=5)
            assert caught.value.attempts == 1
        assert len(server.ledger) == 0


@virtual_time
async def test_use_after_close() -> None:
    """Every method says clearly that the client is closed, and closing twice is fine."""
    async with FaultServer() as server:
        client = ReviewsClient(KEY, base_url=server.url)
        await client.aclose()
        await client.aclose()
        calls: list[Callable[[], object]] = [
            client.list_reviews,
            lambda: client.create_review(payment_link_id=PRODUCT, customer_email=EMAIL, rating=5),
            lambda: anext(client.iter_reviews()),
        ]
        for call in calls:
            with pytest.raises(RuntimeError, match="this ReviewsClient is closed"):
                await call()  # type: ignore[misc]
        assert len(server.ledger) == 0


@virtual_time
async def test_closing_while_calls_are_under_way() -> None:
    """A read ends as lost, a write in doubt; neither is tried again on a closed client."""
    async with FaultServer(script=(Break("request", "hang", times=9),)) as server:
        client = ReviewsClient(KEY, base_url=server.url)
        read = asyncio.create_task(client.list_reviews())
        write = asyncio.create_task(
            client.create_review(payment_link_id=PRODUCT, customer_email=EMAIL, rating=5)
        )
        await asyncio.sleep(1)
        await client.aclose()
        with pytest.raises(ConnectionLostError):
            await read
        with pytest.raises(OutcomeUnknownError):
            await write
        assert server.ledger.exchanges == 2


@virtual_time
async def test_closing_between_two_requests_of_one_call() -> None:
    """Statuses already sent are accounted for; a walk says where it stopped."""
    reviews = [make_review(number) for number in range(1, 121)]
    async with FaultServer(reviews) as server:
        client = ReviewsClient(KEY, base_url=server.url)
        walk = client.iter_product_reviews(PRODUCT)
        for _ in range(50):
            await anext(walk)

        def close_after_one(event: RequestEvent) -> None:
            client._settings.transport.closed = True

        closing = client.with_options(on_event=close_after_one)
        with pytest.raises(StatusUpdateError) as caught:
            await closing.update_review_statuses(
                StatusUpdate(f"review-{number}", "ARCHIVED") for number in range(1, 121)
            )
        assert len(caught.value.applied) == 50
        assert len(caught.value.not_sent) == 70
        assert caught.value.attempts == 1
        with pytest.raises(ConnectionFailedError, match="was closed") as stopped:
            await anext(walk)
        assert stopped.value.starting_after == "c50"
        assert stopped.value.attempts == 1
        await client.aclose()


@virtual_time
async def test_more_calls_at_once_than_a_pool_would_hold() -> None:
    """Nothing but the budget queues: 150 slow calls are 150 requests."""
    async with FaultServer([make_review(1)], latency=(7.0, 7.0)) as server:
        async with ReviewsClient(KEY, base_url=server.url, rate_limit=None) as client:
            await asyncio.gather(*(client.list_reviews() for _ in range(150)))
        assert server.ledger.exchanges == 150


@virtual_time
async def test_a_cancelled_attempt_is_told_too() -> None:
    """One event per attempt, also for the one that was cancelled."""
    events: list[RequestEvent] = []
    async with (
        FaultServer(script=(Break("request", "hang"),)) as server,
        client_of(server, on_event=events.append) as client,
    ):
        call = asyncio.create_task(client.list_reviews())
        await asyncio.sleep(2)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert [(event.kind, event.reason, round(event.seconds)) for event in events] == [
        ("attempt", "CancelledError", 2)
    ]


@virtual_time
async def test_events_of_a_walk_count_within_the_page() -> None:
    """A walk without a fault is first attempts only."""
    events: list[RequestEvent] = []
    async with (
        FaultServer([make_review(number) for number in range(1, 121)]) as server,
        client_of(server, on_event=events.append) as client,
    ):
        assert len([review async for review in client.iter_reviews()]) == 120
    assert [event.attempt for event in events] == [1, 1, 1]


def test_another_event_loop() -> None:
    """A client used in a second loop says so, instead of failing strangely."""
    client = ReviewsClient(KEY, base_url="http://127.0.0.1:9", retry=RetryPolicy.none())

    async def use() -> None:
        with pytest.raises(MayarError):
            await client.list_reviews()
        await client._settings.transport._session.close()  # type: ignore[union-attr]

    virtual_run(use())
    with pytest.raises(RuntimeError, match="another event loop"):
        virtual_run(use())


def test_a_client_can_be_built_outside_an_event_loop() -> None:
    """Building opens nothing: there is nothing to close, and no warning."""
    ReviewsClient(KEY)


def test_the_key_and_origin_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`MAYAR_API_KEY` and `MAYAR_API_URL` are read where no argument is given."""
    with pytest.raises(ValueError, match="MAYAR_API_KEY"):
        ReviewsClient()
    monkeypatch.setenv("MAYAR_API_KEY", KEY)
    monkeypatch.setenv("MAYAR_API_URL", "https://api.mayar.club")
    assert repr(ReviewsClient()) == "<ReviewsClient https://api.mayar.club>"
    assert repr(ReviewsClient(base_url="https://a.test")) == "<ReviewsClient https://a.test>"


@virtual_time
async def test_one_warning_when_a_call_gives_up_and_one_when_it_pauses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Standard logging, under `mayar_reviews`; a refusal is no news for a log."""
    caplog.set_level(logging.WARNING, "mayar_reviews")
    script = (too_many("2"), Respond(500, times=4), Respond(404))
    async with FaultServer(script=script) as server, client_of(server) as client:
        for _ in range(2):
            with pytest.raises(MayarError):
                await client.list_reviews()
        server.script += [Respond(500, on="create"), Respond(503, on="customer", times=9)]
        with pytest.raises(OutcomeUnknownError):
            await client.create_review(payment_link_id=PRODUCT, customer_email=EMAIL, rating=5)
        server.script.clear()
        server.script.append(Break("request", "hang"))
        with pytest.raises(DeadlineExceededError):
            await client.with_options(deadline=1.0).list_reviews()
        server.script.append(too_many("3", times=20))
        await asyncio.gather(*(client.list_reviews() for _ in range(20)))
    assert [record.getMessage() for record in caplog.records] == [
        "the rate limit is reached: pausing for 2.0 s",
        "list_reviews gave up after 5 attempts: ServerError",
        "create_review gave up after 5 attempts: ServerError",
        "list_reviews gave up after 1 attempts: DeadlineExceededError",
        "the rate limit is reached: pausing for 3.0 s",
    ]


MEMORY = """
import asyncio, resource, sys
sys.path.insert(0, sys.argv[1])
from mayar_reviews import MayarError, ReviewsClient, RetryPolicy
from mayar_reviews.answers import Answer
import aiohttp.abc

async def main(url, times):
    async with ReviewsClient("key", base_url=url, rate_limit=None) as client:
        try:
            await client.list_reviews()
        except MayarError as error:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(times):
            try:
                await client.list_reviews()
            except MayarError as error:
                print(type(error).__name__, file=sys.stderr)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)

asyncio.run(main(sys.argv[2], 3))
"""


@pytest.mark.slow
@pytest.mark.parametrize("flood", ["bomb", "identity", "numbers", "objects"])
async def test_no_answer_costs_more_than_a_bounded_amount_of_memory(flood: str) -> None:
    """A gzip bomb, a flood, a page of a million wrong items: the peak is measured in a child."""
    from tests.faults.server import bomb  # noqa: PLC0415

    page = b'{"statusCode":200,"messages":"success","hasMore":false,"data":['
    steps = {
        "bomb": bomb(500, times=9),
        "identity": Respond(200, bytes(2**20), repeat=500, times=9),
        "numbers": Respond(200, page + b"1," * 4_000_000 + b"1]}", times=9),
        "objects": Respond(200, page + b"{}," * 2_600_000 + b"{}]}", times=9),
    }
    async with FaultServer(script=(Respond(404), steps[flood])) as server:
        root = Path(__file__).parents[2]
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            textwrap.dedent(MEMORY),
            str(root),
            server.url,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await child.communicate()
    assert err.split() == [b"ResponseError"] * 3
    # The parsed form of 8 MiB of the smallest objects is what may be held, and once only.
    assert int(out) < {"bomb": 40, "identity": 40, "numbers": 120, "objects": 320}[flood]
