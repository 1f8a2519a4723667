"""One call: the deadline that holds all of it, and the attempts that it counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from attrs import field, frozen

from mayar_reviews import (
    ConnectionLostError,
    DeadlineExceededError,
    MayarError,
    OutcomeUnknownError,
    RateLimit,
    ReviewsClient,
)
from tests.support.calls import ARGUMENTS, call
from tests.support.clock import virtual_time
from tests.support.fault_server import FaultServer, make_review
from tests.support.harness import client_of
from tests.support.steps import Behave, Break, Respond, Step, too_many

EMAIL = ARGUMENTS["create_review"]["customer_email"]


@frozen
class Case:
    """A call whose answer is late, for one reason or several."""

    id: str
    method: str
    script: tuple[Step, ...]
    budget: Callable[[], RateLimit | None] = field(default=lambda: None)


CASES = [
    Case("an answer that never comes", "list_reviews", (Break("request", "hang"),)),
    Case("a connection that is not accepted", "list_reviews", (Break("accept", "hang"),)),
    Case("a body that drips", "list_reviews", (Behave(drip=(1, 0.5)),)),
    Case("backoff after backoff", "list_reviews", (Respond(503, times=99),)),
    Case("a long Retry-After", "list_reviews", (Respond(503, headers=[("Retry-After", "9")]),)),
    Case("429 after 429", "list_reviews", (too_many("1", times=99),)),
    Case("a slot that is a minute away", "list_reviews", (), lambda: RateLimit(1, per=60.0)),
    Case("a page of a walk", "iter_reviews", (Break("request", "hang"),)),
    Case("an update", "update_review", (Break("request", "hang", times=9),)),
    Case("fifty statuses", "update_review_statuses", (Break("request", "hang", times=9),)),
    Case("a creation", "create_review", (Break("request", "hang"),)),
    Case(
        "a look-up of the customer",
        "create_review",
        (Break("request", on="create"), Break("request", "hang")),
    ),
    Case(
        "a look-up of the review",
        "create_review",
        (Break("request", on="create"), Break("request", "hang", on="customer_review")),
    ),
    Case("look-ups that find nothing", "create_review", (Break("request", on="create", times=9),)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
@virtual_time
async def test_one_deadline_holds_a_call_with_all_its_waits_and_look_ups(case: Case) -> None:
    """After five seconds at the latest the call has ended with an error."""
    loop = asyncio.get_running_loop()
    budget = case.budget()
    async with (
        FaultServer(
            [make_review(9)], customers={EMAIL: "customer-x"}, script=case.script
        ) as server,
        client_of(server, deadline=5.0, rate_limit=budget) as client,
    ):
        if budget is not None:
            await client.list_reviews()  # takes the slot
        started = loop.time()
        with pytest.raises(MayarError):
            await call(client, case.method)
        assert loop.time() - started <= 5.001


@pytest.mark.parametrize(
    ("method", "fault", "seconds", "exchanges"),
    [
        ("list_reviews", Respond(503, headers=[("Retry-After", "3")]), 0.0, 1),
        ("create_review", Break("request", on="create"), 1.0, 4),  # the third look is at 3 s
    ],
)
@virtual_time
async def test_a_wait_that_would_outlive_the_deadline_is_not_begun(
    method: str, fault: Step, seconds: float, exchanges: int
) -> None:
    """The call ends at once, and sends nothing that was to be sent after the wait."""
    loop = asyncio.get_running_loop()
    async with (
        FaultServer(customers={EMAIL: "customer-x"}, script=(fault,)) as server,
        client_of(server, deadline=2.5) as client,
    ):
        started = loop.time()
        with pytest.raises(MayarError):
            await call(client, method)
        assert (loop.time() - started, server.ledger.exchanges) == (seconds, exchanges)


async def _walk(client: ReviewsClient) -> object:
    return [review async for review in client.iter_reviews()]


CALLS: dict[str, Callable[[ReviewsClient], Awaitable[Any]]] = {
    **{method: lambda client, method=method: call(client, method) for method in ARGUMENTS},  # type: ignore[misc]
    "a whole walk": _walk,
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    "script",
    [
        (),
        (Break("request"), Respond(503)),
        (Break("request"), too_many("1"), Break("body", "reset")),
        (Respond(401, times=9),),
        (Break("request", times=99),),
        (Respond(500, times=99),),
    ],
    ids=["no fault", "dropped, 503", "dropped, 429, reset", "401", "always dropped", "always 500"],
)
@virtual_time
async def test_attempts_is_what_the_server_saw(name: str, script: tuple[Step, ...]) -> None:
    """An error's `.attempts` is the number of exchanges that reached the server, to the last one.

    As many events are told of a call that succeeds. aiohttp by itself sends a dropped GET twice.
    """
    attempts = 0

    def note(event: Any) -> None:
        nonlocal attempts
        attempts += event.kind == "attempt"

    reviews = [make_review(number) for number in range(1, 121)]
    async with (
        FaultServer(reviews, customers={EMAIL: "customer-x"}, script=script) as server,
        client_of(server, on_event=note) as client,
    ):
        failure: MayarError | None = None
        try:
            await CALLS[name](client)
        except MayarError as error:
            failure = error
        assert attempts == server.ledger.exchanges > 0
        assert failure is None or failure.attempts == server.ledger.exchanges


@virtual_time
async def test_a_write_in_doubt_says_which_and_why() -> None:
    """The last failure is the cause."""
    script = (Respond(503), Break("request", times=9))
    async with FaultServer([make_review(1)], script=script) as server, client_of(server) as client:
        with pytest.raises(OutcomeUnknownError) as caught:
            await client.update_review("review-1", rating=1)
    cause = caught.value.__cause__
    assert isinstance(cause, ConnectionLostError)
    assert str(caught.value).startswith(f"update_review may or may not have happened: {cause}")


class _LateBudget:
    """A budget of an application's own, whose slots come at the very deadline."""

    def __init__(self) -> None:
        self.asked: list[float | None] = []

    @asynccontextmanager
    async def slot(
        self, until: float | None = None, on_wait: Callable[[float], None] | None = None
    ) -> AsyncIterator[None]:
        self.asked.append(until)
        if until is not None:
            await asyncio.sleep(until - asyncio.get_running_loop().time())
        yield

    async def pause(self, seconds: float) -> None:
        """Is not needed."""


@virtual_time
async def test_a_slot_that_comes_at_the_deadline_is_too_late() -> None:
    """Nothing is sent. A budget is told of the deadline as a loop time, or of none."""
    budget = _LateBudget()
    async with (
        FaultServer([make_review(1)]) as server,
        client_of(server, rate_limit=budget, deadline=5.0) as client,
    ):
        await client.with_options(deadline=None).list_reviews()
        until = asyncio.get_running_loop().time() + 5.0
        with pytest.raises(DeadlineExceededError) as caught:
            await client.list_reviews()
        assert str(caught.value) == (
            "the deadline passed before anything was sent (a client with deadline=None waits)"
        )
        assert budget.asked == [None, until]
        assert server.ledger.exchanges == 1


@virtual_time
async def test_a_deadline_that_passes_while_an_answer_comes_says_so() -> None:
    """It was the deadline, and not the connection, that ended the call."""
    script = (Break("request", "hang"),)
    async with FaultServer(script=script) as server, client_of(server, deadline=5.0) as client:
        with pytest.raises(DeadlineExceededError) as caught:
            await client.list_reviews()
    assert str(caught.value).startswith("the deadline passed before the answer was complete")
