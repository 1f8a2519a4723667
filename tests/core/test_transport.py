"""One exchange: what each broken connection becomes, certificates, and connections that are kept."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from mayar_reviews import (
    ConnectionFailedError,
    ConnectionLostError,
    MayarError,
    RequestEvent,
    RetryPolicy,
    ReviewsClient,
    StatusUpdate,
    StatusUpdateError,
)
from tests.support.clock import virtual_time
from tests.support.fault_server import FaultServer, make_review
from tests.support.harness import EMAIL, KEY, MESSAGE, PRODUCT, assert_tells_no_secret, client_of
from tests.support.steps import Break
from tests.support.tls import tls_contexts

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
async def test_a_failure_of_aiohttp_becomes_one_of_ours(
    exception: Exception,
    expected: type[Exception],
    client: ReviewsClient,
    answers: Answers,
) -> None:
    """After four attempts, and without aiohttp's exception as its cause."""
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


def test_an_untrusted_certificate_is_not_tried_again(contexts: Any) -> None:
    """The error names the certificate, and nothing was sent."""

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


def test_a_write_that_got_no_further_than_tls_was_not_sent(contexts: Any) -> None:
    """It is tried again, and fails as a connection that never came about."""

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
async def test_a_closed_port_is_tried_again() -> None:
    """Also by a write; the error says that nothing was sent."""
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
    """The server cannot see an attempt on a connection that it has closed."""
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


@virtual_time
async def test_an_idle_connection_is_kept_for_four_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter than the five seconds after which many servers close it."""
    loop = asyncio.get_running_loop()
    monkeypatch.setattr("aiohttp.connector.monotonic", loop.time)
    async with FaultServer([make_review(1)]) as server, client_of(server) as client:
        await client.list_reviews()
        await asyncio.sleep(3.9)
        assert server.open_connections == 1
        await client.list_reviews()
        assert server.open_connections == 1  # the same one
        await asyncio.sleep(3.9)
        assert server.open_connections == 1
        await asyncio.sleep(1.1)
        assert server.open_connections == 0


async def test_a_server_that_speaks_on_accept_is_asked_once_an_attempt() -> None:
    """Nothing was sent, so a write is not in doubt; and no connection follows the other at once."""
    accepted = 0

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        policy = RetryPolicy(attempts=3, backoff_initial=0)
        async with ReviewsClient("key", base_url=url, rate_limit=None, retry=policy) as client:
            with pytest.raises(MayarError) as caught:
                await client.update_review("review-1", rating=3)
    assert caught.value.attempts == accepted == 3


@pytest.mark.parametrize("ticks", range(1, 6))
@virtual_time
async def test_closing_while_connecting_leaves_no_doubt(ticks: int) -> None:
    """A write whose connection was never used was not sent."""
    async with FaultServer(customers={EMAIL: "customer-1"}) as server:
        client = ReviewsClient("key", base_url=server.url, rate_limit=None)
        creation = client.create_review(payment_link_id=PRODUCT, customer_email=EMAIL, rating=5)
        task = asyncio.ensure_future(creation)
        for _ in range(ticks):
            await asyncio.sleep(0)
        await client.aclose()
        with pytest.raises(MayarError) as caught:
            await task
        if not server.ledger.entries:
            assert isinstance(caught.value, ConnectionFailedError)
