"""What the load client sends is sound OTLP, and no two requests of it are the same."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks import fleet
from benchmarks.client import Sent
from tidegauge.model.batch import Signal
from tidegauge.otlp.decode import Decoder
from tidegauge.otlp.encoding import Encoding

ITEMS = 48
REQUESTS: dict[Signal, type[Message]] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
}


@pytest.mark.parametrize("signal", list(Signal))
def test_every_item_is_accepted(signal: Signal) -> None:
    decoder = Decoder()
    for template in fleet.templates(signal, ITEMS):
        batch = decoder.decode(signal, template.stamped(), Encoding.PROTOBUF)
        assert (len(batch), batch.rejections) == (ITEMS, [])


@pytest.mark.parametrize("signal", list(Signal))
def test_no_request_is_sent_twice(signal: Signal) -> None:
    bodies = [template.stamped() for template in fleet.templates(signal, ITEMS) for _ in range(5)]
    assert len(set(bodies)) == len(bodies)


@pytest.mark.parametrize("signal", list(Signal))
def test_a_template_is_the_fleets_only_in_its_gaps(signal: Signal) -> None:
    template = fleet.templates(signal, ITEMS)[3]
    first, second = (REQUESTS[signal].FromString(template.stamped()) for _ in range(2))
    assert first != second
    assert first.ByteSize() == second.ByteSize() == template.size


def test_traces_are_whole_and_new_in_every_request() -> None:
    template = fleet.templates(Signal.TRACES, ITEMS)[0]
    seen: set[bytes] = set()
    for _ in range(3):
        request = ExportTraceServiceRequest.FromString(template.stamped())
        spans = [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
        traces = Counter(span.trace_id for span in spans)
        assert set(traces.values()) == {fleet.TRACE_SPANS}
        assert seen.isdisjoint(traces)
        seen.update(traces)
        ids = {(span.trace_id, span.span_id) for span in spans}
        assert all((span.trace_id, span.parent_span_id) in ids for span in spans if span.parent_span_id)
        assert sum(not span.parent_span_id for span in spans) == len(traces)


def test_times_are_of_the_last_seconds() -> None:
    before = time.time_ns()
    request = ExportTraceServiceRequest.FromString(fleet.templates(Signal.TRACES, ITEMS)[0].stamped())
    for resource in request.resource_spans:
        for span in resource.scope_spans[0].spans:
            assert before - 9_000_000_000 < span.start_time_unix_nano <= span.end_time_unix_nano <= time.time_ns()


def test_the_fleet_has_twenty_services_and_ten_thousand_series() -> None:
    services, series = set(), set()
    for template in fleet.templates(Signal.METRICS, 512):
        request = ExportMetricsServiceRequest.FromString(template.stamped())
        for resource in request.resource_metrics:
            services.add(resource.resource.attributes[0].value.string_value)
            for metric in resource.scope_metrics[0].metrics:
                points = metric.sum.data_points or metric.gauge.data_points
                series.update((metric.name, point.attributes[0].value.string_value) for point in points)
    assert len(services) == fleet.SERVICES
    assert 10_000 <= len(series) < 10_500


def test_a_quantile_is_of_the_accepted_requests() -> None:
    sent = Sent(latencies=[0.3, 0.1, 0.2, 0.4])
    assert (sent.quantile(0), sent.quantile(0.5), sent.quantile(0.99)) == (0.1, 0.3, 0.4)
