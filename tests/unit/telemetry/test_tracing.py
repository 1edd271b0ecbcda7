"""Spans of the program's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tests.unit.telemetry.test_requests import SPAN, TRACE, Numbers, application
from tidegauge.config import TelemetrySettings
from tidegauge.errors import Unavailable
from tidegauge.model.batch import Batch, LogBatch, ResourceEntry, Signal, SpanBatch
from tidegauge.storage.interface import IngestOutcome, IngestRequest
from tidegauge.telemetry.metrics import Metrics
from tidegauge.telemetry.observing import ObservedStore, observed_statements
from tidegauge.telemetry.requests import Observed
from tidegauge.telemetry.tracing import Tracing, start_tracing

OWN = b'{"service.name": "tidegauge", "telemetry.distro.name": "tidegauge"}'
FOREIGN = b'{"service.name": "cart"}'


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter) -> Tracing:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider)


@pytest.fixture
def client(tracing: Tracing) -> httpx.AsyncClient:
    api = application()
    statements = observed_statements(Metrics(), tracing)

    @api.get("/api/v1/asks")
    async def asks() -> None:
        with statements("traces.find_spans"):
            pass

    app = Observed(api, Numbers(), tracing, lambda path, _: path if path == "/v1/traces" else None)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://t")


def only(exporter: InMemorySpanExporter) -> ReadableSpan:
    (span,) = exporter.get_finished_spans()
    return span


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_a_request_has_a_span_within_its_callers_trace(client: httpx.AsyncClient, exporter: InMemorySpanExporter) -> None:
    answer = await client.get("/api/v1/things/7?secret=1", headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})
    span = only(exporter)
    assert (span.name, span.kind) == ("GET /api/v1/things/{thing}", SpanKind.SERVER)
    assert f"{span.context.trace_id:032x}" == TRACE
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == SPAN
    assert attributes(span) == {
        "http.request.method": "GET",
        "url.path": "/api/v1/things/7",
        "url.scheme": "http",
        "http.route": "/api/v1/things/{thing}",
        "http.response.status_code": 200,
    }
    # What it asks in turn is within this span, not the caller's.
    assert answer.json()["traceparent"] == f"00-{TRACE}-{span.context.span_id:016x}-01"


async def test_a_caller_who_does_not_keep_the_trace_decides(client: httpx.AsyncClient, exporter: InMemorySpanExporter) -> None:
    answer = await client.get("/api/v1/things/7", headers={"traceparent": f"00-{TRACE}-{SPAN}-00"})
    assert exporter.get_finished_spans() == ()
    assert answer.json()["traceparent"].startswith(f"00-{TRACE}-")
    assert answer.json()["traceparent"].endswith("-00")


async def test_without_a_caller_each_request_begins_a_trace(client: httpx.AsyncClient, exporter: InMemorySpanExporter) -> None:
    for _ in range(2):
        await client.get("/api/v1/things/7")
    one, another = exporter.get_finished_spans()
    assert one.parent is None
    assert one.context.trace_id != another.context.trace_id


async def test_health_and_ingest_have_no_spans(client: httpx.AsyncClient, exporter: InMemorySpanExporter) -> None:
    for path in ("/api/health/live", "/metrics", "/v1/traces"):
        await client.get(path)
    assert exporter.get_finished_spans() == ()


async def test_statements_stand_within_their_request_and_alone_have_none(
    client: httpx.AsyncClient, tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    with observed_statements(Metrics(), tracing)("maintenance.chunks"):
        pass
    assert exporter.get_finished_spans() == ()
    await client.get("/api/v1/asks")
    statement, request = exporter.get_finished_spans()
    assert statement.name == "timescaledb traces.find_spans"
    assert attributes(statement) == {"db.system.name": "postgresql", "db.operation.name": "traces.find_spans"}
    assert statement.parent is not None
    assert statement.parent.span_id == request.context.span_id


async def test_a_defect_is_told_by_its_type_alone(client: httpx.AsyncClient, exporter: InMemorySpanExporter) -> None:
    await client.get("/api/v1/broken")
    span = only(exporter)
    assert span.status.status_code is StatusCode.ERROR
    assert attributes(span)["error.type"] == "RuntimeError"
    assert span.events == ()
    assert "defect" not in span.to_json()


class Store:
    """Stores nothing."""

    failure: Exception | None = None

    async def commit(self, requests: Sequence[IngestRequest]) -> Sequence[IngestOutcome]:
        if self.failure is not None:
            raise self.failure
        return [IngestOutcome(0, "") for _ in requests]


def request(batch: Batch) -> IngestRequest:
    return IngestRequest(0, Signal.TRACES, "/v1/traces", UUID(int=1), batch, 0, 100)


def spans_of(*resources: bytes) -> IngestRequest:
    entries = [ResourceEntry(UUID(int=n), "", "", "", "", each) for n, each in enumerate(resources)]
    return request(SpanBatch(resources=entries, trace_id=[bytes(16)]))


@pytest.mark.parametrize(
    ("requests", "spans"),
    [
        ([spans_of(FOREIGN)], 1),
        ([spans_of(OWN)], 0),
        ([spans_of(OWN, OWN), spans_of(OWN)], 0),
        ([spans_of(OWN, FOREIGN)], 1),
        ([spans_of(OWN), spans_of(FOREIGN)], 1),
        ([request(LogBatch())], 1),
    ],
)
async def test_a_commit_of_nothing_but_own_spans_has_none(
    tracing: Tracing, exporter: InMemorySpanExporter, requests: list[IngestRequest], spans: int
) -> None:
    await ObservedStore(Store(), "timescaledb", Metrics(), tracing).commit(requests)
    found = exporter.get_finished_spans()
    assert [span.name for span in found] == ["commit"] * spans
    assert all(attributes(span)["tidegauge.requests"] == len(requests) for span in found)


async def test_a_commit_that_fails_says_so(tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    store = Store()
    store.failure = Unavailable("away")
    with pytest.raises(Unavailable):
        await ObservedStore(store, "timescaledb", Metrics(), tracing).commit([spans_of(FOREIGN)])
    assert attributes(only(exporter))["error.type"] == "Unavailable"


def test_without_an_endpoint_there_are_no_spans() -> None:
    assert start_tracing(TelemetrySettings(), "main") is None
