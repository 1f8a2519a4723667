"""OpenTelemetry's own instrumentation of aiohttp works untouched, and learns nothing personal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.support.clock import virtual_time
from tests.support.fault_server import FaultServer, make_review
from tests.support.harness import EMAIL, MESSAGE, PRODUCT, assert_no_secret, client_of
from tests.support.steps import Break, Respond


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    AioHttpClientInstrumentor().instrument(tracer_provider=provider)
    yield exporter
    AioHttpClientInstrumentor().uninstrument()


@virtual_time
async def test_spans_tell_every_request_and_nothing_personal(spans: InMemorySpanExporter) -> None:
    """Each exchange has a span, except the look-up whose URL holds an email."""
    script = (Break("request", on="create", commit=True), Respond(503, on="product_reviews"))
    async with (
        FaultServer([make_review(1)], customers={EMAIL: "customer-1"}, script=script) as server,
        client_of(server) as client,
    ):
        await client.create_review(
            payment_link_id="product-2", customer_email=EMAIL, rating=5, message=MESSAGE
        )
        await client.list_product_reviews(PRODUCT)
        assert server.ledger.exchanges == 5
    finished = spans.get_finished_spans()
    assert [span.name for span in finished] == ["POST", "GET", "GET", "GET"]
    for span in finished:
        assert_no_secret(span.to_json())
        assert_no_secret(str([event.attributes for event in span.events]))
