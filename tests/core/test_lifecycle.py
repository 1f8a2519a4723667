"""A client's life: built, lent a session, watched, shared, closed, and used wrongly."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import warnings
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
    RetryPolicy,
    ReviewsClient,
    ServerError,
    StatusUpdate,
    StatusUpdateError,
)
from tests.support.calls import ARGUMENTS, call
from tests.support.clock import virtual_run, virtual_time
from tests.support.fault_server import FaultServer, make_review
from tests.support.harness import EMAIL, KEY, PRODUCT
from tests.support.steps import Break, Respond


@virtual_time
async def test_with_options_shares_everything_but_patience() -> None:
    """Session, key and budget are shared; closing one client closes both."""
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
        with pytest.raises(MayarError, match="rate limit"):
            await hasty.with_options().list_reviews()  # what is not given stays: five seconds
        assert loop.time() == started
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
async def test_raise_for_status_of_a_lent_session_is_ignored() -> None:
    """A 404 stays a NotFoundError."""
    async with (
        FaultServer(script=(Respond(404),)) as server,
        aiohttp.ClientSession(raise_for_status=True) as session,
        ReviewsClient(KEY, base_url=server.url, session=session) as client,
    ):
        with pytest.raises(NotFoundError):
            await client.list_reviews()


@virtual_time
async def test_a_lent_session_that_cannot_be_used() -> None:
    """One that does not decompress is refused; one with a password of its own sends nothing."""
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


@pytest.mark.parametrize("method", ARGUMENTS)
@virtual_time
async def test_a_closed_client_says_so(method: str) -> None:
    """Every method raises; closing twice is allowed."""
    async with FaultServer() as server:
        client = ReviewsClient(KEY, base_url=server.url)
        await client.aclose()
        await client.aclose()
        with pytest.raises(RuntimeError, match="this ReviewsClient is closed"):
            await call(client, method)
        assert len(server.ledger) == 0


@virtual_time
async def test_closing_while_calls_are_under_way() -> None:
    """A read is lost and a write is in doubt; neither is tried again."""
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
    """The error tells which statuses were set, and the walk tells where it stopped."""
    reviews = [make_review(number) for number in range(1, 121)]
    async with FaultServer(reviews) as server:
        client = ReviewsClient(KEY, base_url=server.url, rate_limit=RateLimit(2, per=10.0))
        walk = client.iter_product_reviews(PRODUCT)
        for _ in range(50):
            await anext(walk)
        update = asyncio.create_task(
            client.update_review_statuses(
                StatusUpdate(f"review-{number}", "ARCHIVED") for number in range(1, 121)
            )
        )
        await asyncio.sleep(5)  # the first fifty are done, the next ones wait for a slot
        await client.aclose()
        with pytest.raises(StatusUpdateError) as caught:
            await update
        assert len(caught.value.applied) == 50
        assert len(caught.value.not_sent) == 70
        assert caught.value.attempts == 1
        with pytest.raises(ConnectionFailedError, match="was closed") as stopped:
            await anext(walk)
        assert stopped.value.starting_after == "c50"
        assert stopped.value.attempts == 1


@virtual_time
async def test_closing_ends_a_watch_whose_deadline_is_too_short() -> None:
    """It waits for better times, but not when its client is closed."""
    async with FaultServer([make_review(1)]) as server:
        client = ReviewsClient(KEY, base_url=server.url, deadline=0.001)
        watch = asyncio.ensure_future(anext(client.watch_reviews(PRODUCT, every=30.0)))
        await asyncio.sleep(100)
        await client.aclose()
        with pytest.raises(ConnectionFailedError, match="was closed") as caught:
            await asyncio.wait_for(watch, 100)
        assert caught.value.attempts == server.ledger.exchanges


@virtual_time
async def test_only_the_budget_makes_calls_wait() -> None:
    """150 slow calls take as long as one: no pool of connections holds them up."""
    loop = asyncio.get_running_loop()
    async with FaultServer([make_review(1)], latency=(7.0, 7.0)) as server:
        async with ReviewsClient(KEY, base_url=server.url, rate_limit=None) as client:
            started = loop.time()
            async with asyncio.TaskGroup() as tasks:
                for _ in range(3):  # a server takes a hundred new connections at a time
                    for _ in range(50):
                        tasks.create_task(client.list_reviews())
                    await asyncio.sleep(0.1)
            assert 14.0 <= loop.time() - started < 14.5
        assert server.ledger.exchanges == 150


def test_a_second_event_loop_is_refused() -> None:
    """The error says that the client belongs to another loop."""
    budget = RateLimit(1, per=60.0)
    client = ReviewsClient(KEY, base_url="http://127.0.0.1:9", deadline=5.0, rate_limit=budget)

    async def use() -> None:
        await budget.pause(60.0)  # so that no session is opened, which would have to be closed
        with pytest.raises(DeadlineExceededError):
            await client.list_reviews()

    virtual_run(use())
    with pytest.raises(RuntimeError, match="another event loop"):
        virtual_run(use())


def test_a_client_can_be_built_outside_an_event_loop() -> None:
    """Building opens nothing, so there is nothing to close."""
    ReviewsClient(KEY)


def test_the_key_and_the_origin_can_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`MAYAR_API_KEY` and `MAYAR_API_URL` are read where no argument is given."""
    with pytest.raises(ValueError, match="MAYAR_API_KEY"):
        ReviewsClient()
    monkeypatch.setenv("MAYAR_API_KEY", KEY)
    monkeypatch.setenv("MAYAR_API_URL", "https://api.mayar.club")
    assert repr(ReviewsClient()) == "<ReviewsClient https://api.mayar.club>"
    assert repr(ReviewsClient(base_url="https://a.test")) == "<ReviewsClient https://a.test>"


MEMORY = """
import asyncio, resource, sys
sys.path.insert(0, sys.argv[1])
from mayar_reviews import MayarError, ReviewsClient

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
    """A gzip bomb, a flood, millions of wrong items: a child process measures its peak."""
    from tests.support.steps import bomb  # noqa: PLC0415

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
