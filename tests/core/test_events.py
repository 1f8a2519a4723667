"""What an observer and a log are told: every attempt, every wait, and nothing personal."""

from __future__ import annotations

import asyncio
import io
import logging

import pytest

from mayar_reviews import (
    APIError,
    DeadlineExceededError,
    MayarError,
    OutcomeUnknownError,
    RateLimit,
    RequestEvent,
)
from tests.support.clock import virtual_time
from tests.support.fault_server import FaultServer, make_review
from tests.support.harness import EMAIL, PRODUCT, client_of
from tests.support.steps import Break, Respond, too_many


@virtual_time
async def test_events_tell_every_attempt_and_every_wait(caplog: pytest.LogCaptureFixture) -> None:
    """Of a creation that is interrupted, each exchange and each pause is an event, and logged."""
    caplog.set_level(logging.DEBUG, "mayar_reviews")
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
    look_up = "GET /products/{paymentLinkId}/reviews/customer ->"
    assert [f"{one.levelname} {one.getMessage()}" for one in caplog.records] == [
        "DEBUG POST /reviews/create -> ConnectionLostError in 0.000 s (attempt 1)",
        "DEBUG GET /customers/detail -> 503 in 0.000 s (attempt 2)",
        "DEBUG GET /customers/detail -> 200 in 0.000 s (attempt 3)",
        f"DEBUG {look_up} 200 in 0.000 s (attempt 4)",
        "INFO get_customer_review waits for 1.0 s: look_up",
        f"DEBUG {look_up} 200 in 0.000 s (attempt 5)",
        "INFO get_customer_review waits for 2.0 s: look_up",
        f"DEBUG {look_up} 200 in 0.000 s (attempt 6)",
        "DEBUG POST /reviews/create -> 429 in 0.000 s (attempt 7)",
        "WARNING the rate limit is reached: pausing for 4.0 s",
        "INFO create_review waits for 4.0 s: rate_limit",
        "DEBUG POST /reviews/create -> 200 in 0.000 s (attempt 8)",
    ]


@virtual_time
async def test_an_observer_that_fails_does_not_fail_the_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its exception is logged; other observers are called, and the caller gets the answer."""
    events: list[RequestEvent] = []

    def broken(_: RequestEvent) -> None:
        raise LookupError("an observer's own fault")

    async with (
        FaultServer([make_review(1)]) as server,
        client_of(server, on_event=broken) as client,
    ):
        await client.with_options(on_event=events.append).list_reviews()
    assert len(events) == 1
    assert [record.getMessage() for record in caplog.records] == ["on_event raised"]


@virtual_time
async def test_a_cancelled_attempt_is_an_event() -> None:
    """Like every other attempt, and only once."""
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
async def test_a_call_that_sends_nothing_tells_of_no_attempt() -> None:
    """It waits for a slot until its deadline passes, or until it is cancelled."""
    events: list[RequestEvent] = []
    budget = RateLimit(1, per=1.0)
    async with (
        FaultServer() as server,
        client_of(server, rate_limit=budget, deadline=5.0, on_event=events.append) as client,
        budget.slot(),
    ):
        with pytest.raises(DeadlineExceededError):
            await client.list_reviews()
        call = asyncio.create_task(client.list_reviews())
        await asyncio.sleep(2)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert [event.kind for event in events] == ["wait", "wait"]


@virtual_time
async def test_the_attempts_of_a_walk_are_counted_for_each_page() -> None:
    """A walk without a fault has attempt 1 on every page."""
    events: list[RequestEvent] = []
    async with (
        FaultServer([make_review(number) for number in range(1, 121)]) as server,
        client_of(server, on_event=events.append) as client,
    ):
        assert len([review async for review in client.iter_reviews()]) == 120
    assert [event.attempt for event in events] == [1, 1, 1]


@virtual_time
async def test_one_warning_when_a_call_gives_up_and_one_when_it_pauses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """On the logger `mayar_reviews`; a refusal is no warning."""
    caplog.set_level(logging.WARNING, "mayar_reviews")
    script = (too_many("2"), Respond(500, times=4), Respond(404))
    reviews = [make_review(number) for number in range(1, 121)]
    async with FaultServer(reviews, script=script) as server, client_of(server) as client:
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
        walk = client.iter_reviews()
        await anext(walk)
        server.script.append(Respond(500, times=4))
        with pytest.raises(MayarError):
            async for _ in walk:
                pass
        server.script.append(too_many("3", times=20))
        await asyncio.gather(*(client.list_reviews() for _ in range(20)))
    assert [record.getMessage() for record in caplog.records] == [
        "the rate limit is reached: pausing for 2.0 s",
        "list_reviews gave up after 5 attempts: ServerError",
        "create_review gave up after 5 attempts: ServerError",
        "list_reviews gave up after 1 attempts: DeadlineExceededError",
        "list_reviews gave up after 4 attempts: ServerError",
        "the rate limit is reached: pausing for 3.0 s",
    ]


def test_without_a_configured_logger_nothing_is_printed() -> None:
    """There is a NullHandler: without one, logging prints warnings to standard error."""
    handlers = logging.getLogger("mayar_reviews").handlers
    assert any(isinstance(handler, logging.NullHandler) for handler in handlers)


@virtual_time
async def test_log_records_name_the_route_and_nothing_personal() -> None:
    """One DEBUG line per attempt: method, route template, status, seconds, attempt."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("mayar_reviews")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        async with (
            FaultServer([make_review(1)], script=(Respond(503),)) as server,
            client_of(server) as client,
        ):
            await client.list_product_reviews(PRODUCT)
            with pytest.raises(APIError):
                server.script.append(Respond(500, times=4))
                await client.get_product_stats(PRODUCT)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    lines = [line for line in stream.getvalue().splitlines() if " waits for " not in line]
    assert lines[0] == "GET /products/{paymentLinkId}/reviews -> 503 in 0.000 s (attempt 1)"
    assert lines[1] == "GET /products/{paymentLinkId}/reviews -> 200 in 0.000 s (attempt 2)"
    assert lines[-1] == "get_product_stats gave up after 4 attempts: ServerError"
    assert len(lines) == 7
    assert PRODUCT not in stream.getvalue()
