"""Large requests: cut into parts that say the same, and refused where they would take far more memory than their bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.decoders import Decoder
from tests.unit.otlp import strategies
from tidegauge.errors import InvalidArgument, PayloadTooLarge
from tidegauge.model.batch import MetricBatch, Signal, SpanBatch
from tidegauge.otlp import wire
from tidegauge.otlp.budget import Budget
from tidegauge.otlp.encoding import Encoding

NOW = 1_760_000_000_000_000_000
DECODER = Decoder()
REQUESTS = {Signal.TRACES: strategies.trace_requests, Signal.METRICS: strategies.metric_requests, Signal.LOGS: strategies.log_requests}
THOROUGH = settings(max_examples=60, deadline=None, database=None)


@pytest.fixture
def small_parts() -> Iterator[None]:
    """Parts of a few bytes: every list is cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "PART_BYTES", 8)
        yield


def without_samples(batch: Any) -> str:
    """A batch as text. The sample of a metric that is refused has the points of its part."""
    batch.rejections = [replace(rejection, sample=None) for rejection in batch.rejections]
    return repr(batch)


@pytest.mark.parametrize("signal", Signal)
def test_parts_say_what_the_whole_says(signal: Signal) -> None:
    @THOROUGH
    @given(REQUESTS[signal])
    def check(request: Any) -> None:
        body = request.SerializeToString()
        whole = without_samples(DECODER.decode(signal, body, Encoding.PROTOBUF))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(wire, "PART_BYTES", 8)
            assert without_samples(DECODER.decode(signal, body, Encoding.PROTOBUF)) == whole

    check()


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("signal", Signal)
def test_broken_bodies_are_refused_in_parts_too(signal: Signal) -> None:
    @THOROUGH
    @given(REQUESTS[signal], st.data())
    def check(request: Any, data: st.DataObject) -> None:
        body = bytearray(request.SerializeToString())
        for _ in range(data.draw(st.integers(0, 2)) if body else 0):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
        del body[data.draw(st.integers(0, len(body))) :]
        in_parts = is_refused(signal, bytes(body))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(wire, "PART_BYTES", 1 << 17)
            assert in_parts or not is_refused(signal, bytes(body))

    check()


def is_refused(signal: Signal, body: bytes) -> bool:
    try:
        DECODER.decode(signal, body, Encoding.PROTOBUF)
    except InvalidArgument:
        return True
    return False


@pytest.mark.usefixtures("small_parts")
def test_what_stands_behind_the_items_belongs_to_all_of_them() -> None:
    """Fields may come in any order: here the resource and the scope behind their spans."""
    spans = [Span(trace_id=b"t" * 16, span_id=bytes([1 + n] * 8), start_time_unix_nano=NOW) for n in range(5)]
    scope_spans = b"".join(field(2, span.SerializeToString()) for span in spans) + field(1, field(1, b"scope"))
    resource = field(1, KeyValue(key="service.name", value=AnyValue(string_value="shop")).SerializeToString())
    batch = DECODER.decode(Signal.TRACES, field(1, field(2, scope_spans) + field(1, resource)), Encoding.PROTOBUF)
    assert isinstance(batch, SpanBatch)
    assert [batch.resources[index].service_name for index in batch.resource] == ["shop"] * 5
    assert [batch.scopes[index].name for index in batch.scope] == ["scope"] * 5


def field(number: int, payload: bytes) -> bytes:
    size = len(payload)
    varint = bytearray()
    while size > 127:
        varint.append(size & 127 | 128)
        size >>= 7
    return bytes([number << 3 | 2, *varint, size]) + payload


def items(payload: bytes) -> bytes:
    return field(1, field(2, payload))


SPAN = Span(trace_id=b"t" * 16, span_id=b"s" * 8, start_time_unix_nano=NOW, name="span").SerializeToString()
POINT = b"\x19" + NOW.to_bytes(8, "little") + b"\x21" + bytes(8)
N = 1 << 20
VALUES = (InvalidArgument, "more than 131072 values")
ITEMS = (InvalidArgument, "more than 1048576 items")
AROUND = (InvalidArgument, "more than 1000 fields or 1048576 bytes")
ROWS = (PayloadTooLarge, "a great many small items")
HOSTILE: dict[str, tuple[Signal, bytes, tuple[type[Exception], str]]] = {
    "empty spans": (Signal.TRACES, items(b"\x12\x00" * (N + 9)), ITEMS),
    "empty resources": (Signal.TRACES, b"\x0a\x00" * (N + 9), ITEMS),
    "one resource in pieces": (Signal.TRACES, field(1, b"\x0a\x00" * N + field(2, field(2, SPAN))), AROUND),
    "empty attributes of a resource": (
        Signal.TRACES,
        field(1, field(1, b"\x0a\x00" * (N // 3)) + field(2, field(2, SPAN) * 10_000)),
        VALUES,
    ),
    "large resource": (Signal.TRACES, field(1, field(1, field(1, field(1, b"k" * (N + 9)))) + field(2, field(2, SPAN))), AROUND),
    "empty events": (Signal.TRACES, items(field(2, SPAN + b"\x5a\x00" * N)), VALUES),
    "empty links": (Signal.TRACES, items(field(2, SPAN + b"\x6a\x00" * N)), VALUES),
    "empty attributes": (Signal.TRACES, items(field(2, SPAN + b"\x4a\x00" * N)), VALUES),
    "unknown fields": (Signal.TRACES, items(field(2, SPAN + b"\xf8\x07\x00" * N)), VALUES),
    "events of many spans": (Signal.TRACES, items(field(2, SPAN + b"\x5a\x00" * 900) * (N // 900)), ROWS),
    "empty log records": (Signal.LOGS, items(b"\x12\x00" * (N // 2)), ROWS),
    "array elements": (Signal.LOGS, items(field(2, field(5, field(5, b"\x0a\x00" * N)))), VALUES),
    "empty points": (Signal.METRICS, items(field(2, b"\x0a\x01m" + field(5, b"\x0a\x00" * (N // 2)))), ROWS),
    "empty exemplars": (Signal.METRICS, items(field(2, b"\x0a\x01m" + field(5, field(1, POINT + b"\x2a\x00" * N)))), VALUES),
    "exponential buckets": (
        Signal.METRICS,
        items(field(2, b"\x0a\x01m" + field(10, b"\x10\x02" + field(1, POINT[:9] + field(8, field(2, b"\x01" * N)))))),
        VALUES,
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_would_take_far_more_memory_than_its_bytes_is_refused(name: str) -> None:
    signal, body, (error, what) = HOSTILE[name]
    with pytest.raises(error, match=re.escape(what)) as caught:
        Decoder().decode(signal, body, Encoding.PROTOBUF)
    assert "send smaller batches" in str(caught.value)


@pytest.mark.parametrize("inner", [b"{}", b"[]", b'{"events":[{},{},{}]}'])
def test_json_of_nothing_but_brackets_is_refused(inner: bytes) -> None:
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b",".join([inner] * 300_000) + b"]}]}]}"
    with pytest.raises(InvalidArgument, match="objects and arrays"):
        Decoder().decode(Signal.TRACES, body, Encoding.JSON)


def test_a_json_item_with_a_hostile_list_is_rejected_alone() -> None:
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"events":[' + b",".join([b"{}"] * 131_073) + b"]},{}]}]}]}"
    rejections = Decoder().decode(Signal.TRACES, body, Encoding.JSON).rejections
    assert [(rejection.reason, rejection.items) for rejection in rejections] == [("malformed_item", 1), ("invalid_trace_id", 1)]
    assert "spans[0].events: has more than 131072 elements" in rejections[0].message


def test_many_small_points_are_accepted() -> None:
    request = ExportMetricsServiceRequest()
    points = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m").gauge.data_points
    for number in range(100_000):
        points.add(time_unix_nano=NOW + number, as_double=number)
    batch = Decoder().decode(Signal.METRICS, request.SerializeToString(), Encoding.PROTOBUF)
    assert isinstance(batch, MetricBatch)
    assert batch.rejections == []
    assert batch.numbers.time_unix_nano == [NOW + number for number in range(100_000)]
    assert len(batch.series) == 1


def test_large_batches_of_ordinary_items_are_accepted() -> None:
    attributes = [KeyValue(key=f"key.{n}", value=AnyValue(string_value=f"value {n}")) for n in range(8)]
    spans = [
        Span(trace_id=b"t" * 16, span_id=bytes([1 + n] * 8), start_time_unix_nano=NOW, name=f"span {n}", attributes=attributes)
        for n in range(200)
    ]
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add(spans=spans)
    # Two messages one behind the other are one with the fields of both.
    body = request.SerializeToString() * 200
    assert len(body) > 8_000_000
    budget = Budget(len(body))
    batch = Decoder().decode(Signal.TRACES, body, Encoding.PROTOBUF, budget)
    assert (len(batch), batch.rejections) == (40_000, [])
    assert budget.used < 5 * len(body)


def test_one_large_item_is_accepted() -> None:
    request = ExportLogsServiceRequest()
    text = "long " * (1 << 20)
    request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=NOW).body.string_value = text
    batch = Decoder().decode(Signal.LOGS, request.SerializeToString(), Encoding.PROTOBUF)
    assert batch.body == [text]  # type: ignore[union-attr]
