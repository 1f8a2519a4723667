"""One exchange: what each broken connection becomes, certificates, and connections that are kept."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from mayar_reviews import (
    ConnectionFailedError,
    ConnectionLostError,
    RequestEvent,
    RetryPolicy,
    ReviewsClient,
    StatusUpdate,
    StatusUpdateError,
)
from tests.faults.clock import virtual_time
from tests.faults.server import Break, FaultServer, make_review, tls_contexts
from tests.support.harness import EMAIL, KEY, MESSAGE, PRODUCT, assert_tells_no_secret, client_of

from .conftest import ORIGIN, Answers


@pytest.mark.parametrize(
    ("exception", "expected"),
    [
        (aiohttp.ServerDisconnectedError(), ConnectionLostError),
        (aiohttp.ClientOSError(104, "reset"), ConnectionLostError),
        (aiohttp.ClientPayloadError(), ConnectionLostError),
        (TimeoutError(), ConnectionLostError),
        (ConnectionResetError(), ConnectionLostError),
        (aiohttp.SocketTimeoutError(), ConnectionLostError),
        (aiohttp.ConnectionTimeoutError(), ConnectionFailedError),
    ],
    ids=repr,
)
async def test_a_broken_connection(
    exception: Exception,
    expected: type[Exception],
    client: ReviewsClient,
    answers: Answers,
) -> None:
    """Each of aiohttp's failures becomes one of ours, after four attempts."""
    answers.get(f"{ORIGIN}/reviews", exception=exception, repeat=True)
    with pytest.raises(expected) as caught:
        await client.list_reviews()
    assert caught.value.attempts == 4  # type: ignore[attr-defined]
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_every_exception_of_aiohttp_is_accounted_for() -> None:
    """Whatever a request may raise is a ClientError, an OSError or a ValueError."""
    raised = [
        kind
        for name in dir(aiohttp)
        if isinstance(kind := getattr(aiohttp, name), type) and issubclass(kind, Exception)
    ]
    stray = [
        kind.__name__
        for kind in raised
        if not issubclass(kind, aiohttp.ClientError | OSError | ValueError)
    ]
    # These belong to web sockets, multipart and the server.
    assert set(stray) <= {
        "WebSocketError",
        "EofStream",
        "WSMessageTypeError",
        "BadContentDispositionHeader",
        "BadContentDispositionParam",
        "PayloadAccessError",
        "ClientWSTimeout",
    }


# --- TLS, and a closed port ------------------------------------------------------------------


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tls_contexts(tmp_path_factory.mktemp("tls"))


def test_a_certificate_that_nobody_vouches_for(contexts: Any) -> None:
    """It is not trusted, not tried again, and not a ValueError about something else."""

    @virtual_time
    async def scenario() -> None:
        async with FaultServer(ssl_context=contexts[0]) as server:
            async with ReviewsClient(KEY, base_url=server.url, rate_limit=None) as client:
                with pytest.raises(ConnectionFailedError, match="certificate") as caught:
                    await client.list_reviews()
                assert caught.value.attempts == 1
                with pytest.raises(ConnectionFailedError):
                    await client.create_review(
                        payment_link_id=PRODUCT, customer_email=EMAIL, rating=5
                    )
            assert server.ledger.received() == []

    scenario()


def test_tls_with_a_lent_session(contexts: Any) -> None:
    """A lent session brings its own trust, is used, and stays open."""

    @virtual_time
    async def scenario() -> None:
        connector = aiohttp.TCPConnector(ssl=contexts[1])
        async with (
            FaultServer([make_review(1)], ssl_context=contexts[0]) as server,
            aiohttp.ClientSession(connector=connector) as session,
        ):
            async with ReviewsClient(KEY, base_url=server.url, session=session) as client:
                assert (await client.list_reviews()).data
            assert not session.closed

    scenario()


def test_a_handshake_that_hangs_never_sent_anything(contexts: Any) -> None:
    """A write that got no further than TLS was not sent: it is tried again, and fails as that."""

    @virtual_time
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        for how, seconds in (("hang", 10.0), ("close", 0.0)):
            step = Break("accept", how, times=4)  # type: ignore[arg-type]
            async with FaultServer(ssl_context=contexts[0], script=(step,)) as server:
                async with ReviewsClient(
                    KEY,
                    base_url=server.url,
                    rate_limit=None,
                    retry=RetryPolicy(backoff_initial=0),
                ) as client:
                    started = loop.time()
                    with pytest.raises(ConnectionFailedError) as caught:
                        await client.create_review(
                            payment_link_id=PRODUCT, customer_email=EMAIL, rating=5
                        )
                    assert caught.value.attempts == 4
                    assert loop.time() - started == pytest.approx(4 * seconds, abs=0.1)
                assert server.ledger.received() == []

    scenario()


@virtual_time
async def test_a_closed_port_is_tried_again_and_reported_as_never_reached() -> None:
    """Refused connections: every call, a write too, is tried as often as the policy says."""
    async with FaultServer() as server:
        url = server.url
    async with ReviewsClient(KEY, base_url=url, rate_limit=None) as client:
        with pytest.raises(ConnectionFailedError, match=r"no connection to 127\.0\.0\.1") as caught:
            await client.create_review(
                payment_link_id=PRODUCT, customer_email=EMAIL, rating=5, message=MESSAGE
            )
        assert caught.value.attempts == 4
        assert_tells_no_secret(caught.value)
        with pytest.raises(StatusUpdateError) as stopped:
            await client.update_review_statuses([StatusUpdate("review-1", "ACTIVE")])
        assert stopped.value.not_sent == ("review-1",)
        assert stopped.value.unknown == ()


@virtual_time
async def test_a_stale_connection_costs_a_read_one_attempt() -> None:
    """A read that meets a closed connection is repeated: an attempt that no server can see."""
    reviews = [make_review(number) for number in range(1, 121)]
    async with FaultServer(reviews, script=(Break("answer", "close"),)) as server:
        events: list[RequestEvent] = []
        async with client_of(server, on_event=events.append) as client:
            walked = [review async for review in client.iter_product_reviews(PRODUCT)]
            assert len(walked) == 120
        assert server.ledger.exchanges == 3
        reasons = [event.reason for event in events if event.kind == "attempt"]
        assert reasons.count(None) == 3
        assert reasons.count("ConnectionLostError") == len(reasons) - 3 <= 1
