"""Law 3: a call that is cancelled ends at once, in every state, and stays cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from attrs import field, frozen

from mayar_reviews import MayarError, RateLimit, ReviewsClient
from tests.support.clock import virtual_time
from tests.support.fault_server import FaultServer, make_review
from tests.support.harness import EMAIL, KEY, MESSAGE, PRODUCT, assert_frames_tell_no_secret
from tests.support.steps import Behave, Break, Respond, Step, too_many

CUSTOMER = "customer-ibu"


def _list(client: ReviewsClient) -> Awaitable[Any]:
    return client.list_product_reviews(PRODUCT)


async def _walk(client: ReviewsClient) -> list[Any]:
    return [page async for page in client.iter_product_review_pages(PRODUCT)]


def _create(client: ReviewsClient) -> Awaitable[Any]:
    return client.create_review(
        payment_link_id=PRODUCT, customer_email=EMAIL, rating=5, message=MESSAGE
    )


@frozen
class State:
    """What a call is doing two seconds after it began."""

    id: str
    call: Callable[[ReviewsClient], Awaitable[Any]]
    script: tuple[Step, ...] = ()
    exchanges: int = 1
    options: dict[str, Any] = field(factory=dict)
    others: int = 0
    """How many calls were made before it."""


STATES = [
    State("waiting for the head", _list, (Break("request", "hang"),)),
    State("reading the body", _list, (Break("body", "hang"),)),
    State("reading a body that drips", _list, (Behave(drip=(1, 1.5)),)),
    State("connecting", _list, (Break("accept", "hang"),)),
    State("backing off", _list, (Respond(503, headers=[("Retry-After", "60")]),)),
    State("paused by a 429", _list, (too_many("60"),)),
    State(
        "queued for a slot",
        _list,
        options={"rate_limit": RateLimit(1, per=60.0)},
        exchanges=1,
        others=1,
    ),
    State("on the second page", _walk, (Behave(), Break("request", "hang")), exchanges=2),
    State("sending a creation", _create, (Break("request", "hang"),)),
    State("looking for the customer", _create, (Break("request"), Break("request", "hang")), 2),
    State(
        "between two looks",
        _create,
        (Break("request", on="create"),),
        exchanges=4,
    ),
    State(
        "looking for the review",
        _create,
        (Break("request", on="create"), Break("request", "hang", on="customer_review")),
        exchanges=3,
    ),
]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.id)
@virtual_time
async def test_cancelling_ends_a_call_at_once(state: State) -> None:
    """No time passes, nothing stays open or is sent again, and the error is CancelledError."""
    loop = asyncio.get_running_loop()
    async with FaultServer(
        [make_review(number) for number in range(1, 121)],
        customers={EMAIL: CUSTOMER},
        script=state.script,
    ) as server:
        options = {"rate_limit": None} | state.options
        async with ReviewsClient(KEY, base_url=server.url, **options) as client:
            for _ in range(state.others):
                await _list(client)
            call = asyncio.ensure_future(state.call(client))
            await asyncio.sleep(2)
            assert not call.done()
            exchanges = server.ledger.exchanges
            assert exchanges == state.exchanges
            cancelled = loop.time()
            call.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await call
            assert loop.time() == cancelled
            await asyncio.sleep(200)  # for a retry that must not come
            assert server.ledger.exchanges == exchanges
            if not state.others:  # a connection that was used before is kept, and may be
                assert server.open_connections == (state.id in KEPT)
            assert_frames_tell_no_secret(caught.value)


# Whose connection has answered in full, and waits in the pool for the next call.
KEPT = ("backing off", "paused by a 429", "between two looks")


@virtual_time
async def test_a_timeout_of_the_caller_stays_a_timeout_error() -> None:
    """`asyncio.timeout` around a call ends it with TimeoutError, not with one of ours."""
    async with (
        FaultServer(script=(Break("request", "hang"),)) as server,
        ReviewsClient(KEY, base_url=server.url) as client,
    ):
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(1):
                await _list(client)
        assert not isinstance(caught.value, MayarError)


@virtual_time
async def test_a_loop_that_is_left_early_leaves_nothing_open() -> None:
    """Closing a generator between two pages sends nothing and leaves no connection in use."""
    async with FaultServer([make_review(number) for number in range(1, 121)]) as server:
        async with ReviewsClient(KEY, base_url=server.url) as client:
            reviews = client.iter_product_reviews(PRODUCT)
            assert (await anext(reviews)).id == "review-1"
            await reviews.aclose()
            assert server.ledger.exchanges == 1
        await asyncio.sleep(0.01)
        assert server.open_connections == 0
