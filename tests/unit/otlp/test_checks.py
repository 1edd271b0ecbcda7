"""What is malformed or not UTF-8 is found wherever it is, although the official message of a request is seldom read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tests.decoders import Decoder
from tests.unit.otlp import strategies
from tests.unit.otlp.test_wire import NOW, SPAN, field
from tidegauge.errors import InvalidArgument
from tidegauge.model.batch import Signal, SpanBatch
from tidegauge.otlp.encoding import Encoding
from tidegauge.otlp.utf8 import Repair

WARM = Decoder()
REQUESTS = {
    Signal.TRACES: (ExportTraceServiceRequest, strategies.trace_requests),
    Signal.METRICS: (ExportMetricsServiceRequest, strategies.metric_requests),
    Signal.LOGS: (ExportLogsServiceRequest, strategies.log_requests),
}


def verdict(type_: Any, body: bytes) -> str:
    """What the official message says of a body."""
    try:
        type_.FromString(body)
    except DecodeError as error:
        if "UTF-8" not in str(error):
            return "malformed"
        try:
            Repair(type_).read(body)
        except DecodeError:
            return "malformed"
        return "repaired"
    return "good"


def found(decoder: Decoder, signal: Signal, body: bytes) -> str:
    try:
        batch = decoder.decode(signal, body, Encoding.PROTOBUF)
    except InvalidArgument:
        return "malformed"
    return "repaired" if "invalid_text" in {rejection.reason for rejection in batch.rejections} else "good"


@pytest.mark.parametrize("signal", Signal)
def test_a_broken_body_is_seen_as_its_message_sees_it(signal: Signal) -> None:
    type_, requests = REQUESTS[signal]

    @settings(max_examples=150, deadline=None, database=None)
    @given(requests, st.data())
    def check(request: Any, data: st.DataObject) -> None:
        body = bytearray(request.SerializeToString())
        found(WARM, signal, bytes(body))
        for _ in range(data.draw(st.integers(1, 3)) if body else 0):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
        expected = verdict(type_, bytes(body))
        assert found(Decoder(), signal, bytes(body)) == expected
        assert found(WARM, signal, bytes(body)) == expected

    check()


def attribute(value: bytes, key: bytes = b"key") -> bytes:
    return field(1, key) + field(2, value)


ATTRIBUTES = {
    "string": (attribute(field(1, b"caf\xc3\xa9")), {"key": "café"}),
    "no text": (attribute(field(1, b"")), {"key": ""}),
    "long string": (attribute(field(1, b"x" * 124)), {"key": "x" * 124}),
    "longer string": (attribute(field(1, b"\xc3\xa9" * 1000)), {"key": "é" * 1000}),
    "long key": (attribute(field(1, b"v"), b"k" * 200), {"k" * 200: "v"}),
    "zero": (attribute(b"\x18\x00"), {"key": 0}),
    "one byte": (attribute(b"\x18\x7f"), {"key": 127}),
    "two bytes": (attribute(b"\x18\x80\x01"), {"key": 128}),
    "the largest": (attribute(b"\x18" + b"\xff" * 8 + b"\x7f"), {"key": 2**63 - 1}),
    "minus one": (attribute(b"\x18" + b"\xff" * 9 + b"\x01"), {"key": -1}),
    "a number longer than it need be": (attribute(b"\x18\x81\x80\x00"), {"key": 1}),
    "a bool that is neither 0 nor 1": (attribute(b"\x10\x02"), {"key": True}),
    "two values": (attribute(field(1, b"first") + field(1, b"last")), {"key": "last"}),
    "a number and then a string": (attribute(b"\x18\x05" + field(1, b"last")), {"key": "last"}),
    "a value in two pieces": (attribute(field(1, b"first")) + field(2, b"\x18\x05"), {"key": 5}),
    "the value before the key": (field(2, field(1, b"v")) + field(1, b"key"), {"key": "v"}),
    "an unknown field": (attribute(field(1, b"v")) + field(9, b"?"), {"key": "v"}),
    "nothing": (b"", {"": None}),
}


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_an_attribute_says_the_same_in_every_form(name: str) -> None:
    raw, expected = ATTRIBUTES[name]
    decoder = Decoder()
    for _ in range(3):
        batch = decoder.decode(Signal.TRACES, field(1, field(2, field(2, SPAN + field(9, raw)))), Encoding.PROTOBUF)
        assert isinstance(batch, SpanBatch)
        assert json.loads(batch.attributes[0]) == expected


BROKEN = {
    "a string cut short": attribute(b"\x0a\x05ab"),
    "a number without end": attribute(b"\x18\xff\xff"),
    "a key cut short": b"\x0a\x05ke",
    "half a double": attribute(b"\x21\x00\x00\x00\x00"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_attribute_refuses_the_request_each_time(name: str) -> None:
    decoder = Decoder()
    good = KeyValue(key="key", value=AnyValue(int_value=300)).SerializeToString()
    for raw in (good, BROKEN[name], good, BROKEN[name]):
        body = field(1, field(2, field(2, SPAN + field(9, raw))))
        assert found(decoder, Signal.TRACES, body) == ("good" if raw is good else "malformed")


def test_values_that_never_repeat_do_not_fill_the_cache() -> None:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number in range(20_000):
        span = spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, start_time_unix_nano=NOW)
        span.attributes.add(key="id").value.string_value = f"value {number}"
    decoder = Decoder(cache_bytes=1 << 20)
    batch = decoder.decode(Signal.TRACES, request.SerializeToString(), Encoding.PROTOBUF)
    assert isinstance(batch, SpanBatch)
    assert batch.attributes == [b'{"id":"value %d"}' % number for number in range(20_000)]
    assert len(decoder._attributes) < 1000
