"""Requests as a whole: malformed ones, rejected items, metrics that are odd, and caches that stay bounded."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.decoders import Decoder
from tidegauge.errors import InvalidArgument
from tidegauge.model.batch import LogBatch, MetricBatch, Signal, SpanBatch
from tidegauge.otlp.cache import BoundedCache
from tidegauge.otlp.encoding import Encoding
from tidegauge.otlp.series import SeriesCache

NOW = 1_760_000_000_000_000_000


def decode_traces(request: ExportTraceServiceRequest, decoder: Decoder | None = None) -> SpanBatch:
    batch = (decoder or Decoder()).decode(Signal.TRACES, request.SerializeToString(), Encoding.PROTOBUF)
    assert isinstance(batch, SpanBatch)
    return batch


def traces(*spans: Span) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add(spans=spans)
    return request


def good_span(number: int) -> Span:
    return Span(trace_id=b"t" * 16, span_id=(number + 1).to_bytes(8), start_time_unix_nano=NOW + number, name=f"span {number}")


def decode_metrics(*metrics: Metric) -> MetricBatch:
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add(metrics=metrics)
    batch = Decoder().decode(Signal.METRICS, request.SerializeToString(), Encoding.PROTOBUF)
    assert isinstance(batch, MetricBatch)
    return batch


def field(number: int, payload: bytes) -> bytes:
    return bytes([number << 3 | 2, len(payload)]) + payload


@pytest.mark.parametrize(
    ("signal", "body", "what"),
    [
        (Signal.TRACES, b"\xff", "the body of 1 bytes is not a protobuf ExportTraceServiceRequest: Wire format was corrupt"),
        (Signal.METRICS, b"\x0a\x05a", "ExportMetricsServiceRequest: Wire format was corrupt"),
        (Signal.LOGS, b'{"resourceLogs":[]}', "ExportLogsServiceRequest"),
        (Signal.TRACES, field(1, field(3, b"\xff") + b"\x12"), "Wire format was corrupt"),
        (Signal.TRACES, traces(good_span(1)).SerializeToString()[:-1], "Wire format was corrupt"),
    ],
)
def test_malformed_protobuf_is_refused_as_a_whole(signal: Signal, body: bytes, what: str) -> None:
    with pytest.raises(InvalidArgument, match=re.escape(what)):
        Decoder().decode(signal, body, Encoding.PROTOBUF)


def test_deeply_nested_protobuf_is_refused() -> None:
    request = traces(good_span(1))
    value = request.resource_spans[0].scope_spans[0].spans[0].attributes.add(key="k").value
    for _ in range(60):
        value = value.array_value.values.add()
    with pytest.raises(InvalidArgument, match="nested more than 100 levels deep"):
        decode_traces(request)


@pytest.mark.parametrize("signal", Signal)
@pytest.mark.parametrize(("encoding", "body"), [(Encoding.PROTOBUF, b""), (Encoding.JSON, b"{}")])
def test_an_empty_request_is_an_empty_batch(signal: Signal, encoding: Encoding, body: bytes) -> None:
    batch = Decoder().decode(signal, body, encoding)
    assert len(batch) == 0
    assert batch.rejections == []
    assert batch.resources == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"trace_id": b""}, "invalid_trace_id"),
        ({"trace_id": b"short"}, "invalid_trace_id"),
        ({"trace_id": bytes(16)}, "invalid_trace_id"),
        ({"span_id": b"s" * 9}, "invalid_span_id"),
        ({"span_id": bytes(8)}, "invalid_span_id"),
        ({"parent_span_id": b"p"}, "invalid_parent_span_id"),
        ({"start_time_unix_nano": 0}, "missing_time"),
        ({"start_time_unix_nano": 2**63}, "time_out_of_range"),
        ({"end_time_unix_nano": 2**64 - 1}, "time_out_of_range"),
    ],
)
def test_a_bad_span_does_not_cost_its_neighbours(change: dict[str, object], reason: str) -> None:
    fields = {"trace_id": b"t" * 16, "span_id": b"s" * 8, "start_time_unix_nano": NOW}
    bad = Span(**{**fields, **change})  # type: ignore[arg-type]
    batch = decode_traces(traces(good_span(1), bad, good_span(2), bad))
    assert batch.name == ["span 1", "span 2"]
    assert [(item.reason, item.items, item.sample) for item in batch.rejections] == [(reason, 2, bad.SerializeToString())]


def test_samples_are_cut_and_messages_bounded() -> None:
    points = [NumberDataPoint(attributes=[KeyValue(key="k", value=AnyValue(string_value="x" * 9000))])]
    batch = decode_metrics(*[Metric(name=f"metric {number}", gauge={"data_points": points}) for number in range(500)])
    assert sum(item.items for item in batch.rejections) == 500
    assert len(batch.rejections) < 110
    assert {len(item.sample or b"") for item in batch.rejections} == {4096}


def test_many_spans_keep_their_order_and_their_own_attributes() -> None:
    """More than are written to JSON at once, some of them with what JSON columns do not hold."""
    spans = [good_span(number) for number in range(1000)]
    for number, span in enumerate(spans):
        span.attributes.add(key="n", value=AnyValue(string_value="\0" if number % 100 == 7 else f"line\n,{number}"))
        if number % 100 == 8:
            span.span_id = b""
    batch = decode_traces(traces(*spans))
    kept = [number for number in range(1000) if number % 100 != 8]
    assert batch.name == [f"span {number}" for number in kept]
    assert batch.attributes == [
        '{"n":"\ufffd"}'.encode() if number % 100 == 7 else f'{{"n":"line\\n,{number}"}}'.encode() for number in kept
    ]
    assert batch.original == [spans[number].SerializeToString() if number % 100 == 7 else None for number in kept]


def test_logs_count_rejected_records_in_their_ordinals() -> None:
    request = ExportLogsServiceRequest()
    for _ in range(2):
        records = [LogRecord(time_unix_nano=2**63 if number == 1 else number) for number in range(300)]
        request.resource_logs.add().scope_logs.add(log_records=records)
    batch = Decoder().decode(Signal.LOGS, request.SerializeToString(), Encoding.PROTOBUF)
    assert isinstance(batch, LogBatch)
    assert batch.ordinal == [number for number in range(600) if number not in (1, 301)]


@settings(max_examples=80, deadline=None, database=None)
@given(st.lists(st.lists(st.sampled_from(["good", "malformed", "rejected"]), max_size=6), max_size=6))
def test_logs_in_json_count_malformed_records_in_their_ordinals(scopes: list[list[str]]) -> None:
    made = {"good": {"timeUnixNano": "1"}, "malformed": {"timeUnixNano": "x"}, "rejected": {"timeUnixNano": str(2**63)}}
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [made[kind] for kind in kinds]} for kinds in scopes]}]}
    batch = Decoder().decode(Signal.LOGS, json.dumps(body).encode(), Encoding.JSON)
    assert isinstance(batch, LogBatch)
    assert batch.ordinal == [place for place, kind in enumerate(chain.from_iterable(scopes)) if kind == "good"]


def test_a_metric_without_data_is_nothing() -> None:
    batch = decode_metrics(Metric(name="m"))
    assert (len(batch), batch.rejections) == (0, [])


def test_a_metric_of_an_unknown_type_is_reported() -> None:
    metric = Metric.FromString(Metric(name="m").SerializeToString() + field(15, b"data of tomorrow"))
    batch = decode_metrics(metric)
    assert Counter({item.reason: item.items for item in batch.rejections}) == Counter(unsupported_metric_type=1)


def test_resources_and_scopes_are_interned_once() -> None:
    request = ExportTraceServiceRequest()
    for name in ("a", "b", "a"):
        resource = Resource(attributes=[KeyValue(key="service.name", value=AnyValue(string_value=name))])
        request.resource_spans.add(resource=resource).scope_spans.add(spans=[good_span(1)])
    batch = decode_traces(request)
    assert [entry.service_name for entry in batch.resources] == ["a", "b"]
    assert (batch.resource, batch.scope) == ([0, 1, 0], [0, 0, 0])


@pytest.mark.parametrize(
    ("attributes", "application"),
    [
        ({}, ("unknown_service", "", "")),
        ({"service.name": "a", "service.namespace": "n", "deployment.environment.name": "prod"}, ("a", "n", "prod")),
        ({"service.name": "", "deployment.environment": "old"}, ("unknown_service", "", "old")),
        ({"deployment.environment.name": "new", "deployment.environment": "old"}, ("unknown_service", "", "new")),
        ({"service.name": "a\0"}, ("a\ufffd", "", "")),
        ({"service.name": 7}, ("7", "", "")),
        ({"service.name": "é" * 300}, ("é" * 200, "", "")),
    ],
)
def test_the_application_of_a_resource(attributes: dict[str, object], application: tuple[str, str, str]) -> None:
    request = ExportTraceServiceRequest()
    outer = request.resource_spans.add()
    outer.scope_spans.add(spans=[good_span(1)])
    for key, value in attributes.items():
        outer.resource.attributes.add(key=key, value=AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value))
    entry = decode_traces(request).resources[0]
    assert (entry.service_name, entry.service_namespace, entry.environment) == application


def test_a_cache_forgets_rather_than_grows() -> None:
    cache: BoundedCache[int, int] = BoundedCache(1000)
    for number in range(10_000):
        cache.put(number, number, 60)
        assert len(cache) <= 16
    assert cache.get(9_999) == 9_999
    cache.put(-1, 1, 500)
    assert cache.get(-1) is None


def test_series_stay_right_when_their_cache_forgets() -> None:
    request = ExportMetricsServiceRequest()
    gauge = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m").gauge
    for number in range(50):
        gauge.data_points.add(time_unix_nano=NOW, as_int=1).attributes.add(key="n", value=AnyValue(int_value=number % 25))
    body = request.SerializeToString()
    large, small = Decoder(), Decoder(cache_bytes=3000)
    expected = large.decode(Signal.METRICS, body, Encoding.PROTOBUF)
    assert isinstance(expected, MetricBatch)
    assert len(expected.series) == 25
    for _ in range(2):
        assert small.decode(Signal.METRICS, body, Encoding.PROTOBUF) == expected
        assert large.decode(Signal.METRICS, body, Encoding.PROTOBUF) == expected


def test_the_series_cache_forgets_when_its_budget_is_spent() -> None:
    cache = SeriesCache(5000)
    first = cache.known((b"r", b"s", 0, 0, ("m", "gauge", "", None, None), None))
    cache.spend(4500)
    assert cache.known((b"r", b"s", 0, 0, ("m", "gauge", "", None, None), None)) is not first
