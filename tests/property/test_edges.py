"""Cases that are too odd for chance to find them often."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint, Sum
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from tests.decoders import Decoder
from tests.property.comparing import check
from tests.property.strategies import NOW
from tests.property.wire import Writer
from tests.reference.requests import REQUESTS


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return Writer(0, frozenset())._varint(number << 3 | 2) + Writer(0, frozenset())._varint(len(content)) + content


def request(*items: bytes, around: bytes = b"") -> bytes:
    """Spans, log records or metrics of one resource and scope."""
    return field(1, field(2, around + b"".join(field(2, item) for item in items)))


def span(**details: Any) -> bytes:
    """A span that is stored."""
    return Span(trace_id=b"\1" * 16, span_id=b"\2" * 8, start_time_unix_nano=NOW, **details).SerializeToString()


def test_text_that_is_not_utf8_and_was_sent_again() -> None:
    """Of a value that stands twice the last counts; the first has to be read over."""
    value = b"\x0a\x01\xff" + b"\x18\x01"
    body = request(span() + field(9, field(1, b"k") + field(2, value)))
    check(Decoder(), "traces", body)


def test_items_that_are_equal_once_they_are_repaired() -> None:
    """What was sent of one is not taken for what was sent of the other."""
    records = [LogRecord(time_unix_nano=NOW, body=AnyValue(string_value="a\ufffd")).SerializeToString()]
    records += [field(5, field(1, text)) + records[0] for text in (b"x", b"y")]
    not_utf8 = [records[0].replace("a\ufffd".encode(), raw) for raw in (b"a\xff\xff\xff", b"a\xfe\xff\xff")]
    repaired = LogRecord(time_unix_nano=NOW, body=AnyValue(string_value="a\ufffd\ufffd\ufffd")).SerializeToString()
    check(Decoder(), "logs", request(not_utf8[0], repaired, not_utf8[1]))


@pytest.mark.parametrize(
    "size", [10, pytest.param(400, marks=pytest.mark.xfail(reason="points of both are stored; there is no sender that does it"))]
)
def test_two_kinds_of_data_in_one_metric(size: int) -> None:
    """Of a oneof the last counts, also where the request is so large that it is decoded in parts."""
    label = KeyValue(key="k", value=AnyValue(string_value="x" * 500))
    points = [NumberDataPoint(time_unix_nano=NOW + number, as_int=number, attributes=[label]) for number in range(size)]
    kinds = [Metric(name="m", gauge=Gauge(data_points=points)), Metric(sum=Sum(data_points=points, aggregation_temporality=1))]
    body = request(b"".join(kind.SerializeToString() for kind in kinds))
    check(Decoder(), "metrics", body)


@pytest.mark.parametrize("signal", REQUESTS)
@pytest.mark.parametrize("odd", ["long varints", "groups"])
def test_rare_encodings_in_large_requests(signal: str, odd: str) -> None:
    items = {
        "traces": Span(trace_id=b"\1" * 16, span_id=b"\2" * 8, start_time_unix_nano=NOW, name="x" * 500),
        "logs": LogRecord(time_unix_nano=NOW, body=AnyValue(string_value="x" * 500)),
        "metrics": Metric(name="x" * 500, gauge=Gauge(data_points=[NumberDataPoint(time_unix_nano=NOW, as_int=3)])),
    }
    body = request(*[Writer(seed, frozenset([odd])).write(items[signal]) for seed in range(600)])
    check(Decoder(), signal, body)


def test_an_unknown_field_in_what_describes_a_metric_is_no_data() -> None:
    metadata = KeyValue(key="k").SerializeToString() + b"\xf8\x07\x01"
    body = request(Metric(name="m").SerializeToString() + field(12, metadata))
    check(Decoder(), "metrics", body)


@pytest.mark.parametrize("place", ["resource", "scope"])
def test_resource_and_scope_after_their_items_and_in_pieces(place: str) -> None:
    """In a large request, too: they count for the items before them."""
    random = Random(7)
    items = b"".join(field(2, span(name="n" * 300)) for _ in range(1500))
    named = InstrumentationScope(name="s", attributes=[KeyValue(key="a", value=AnyValue(int_value=1))]).SerializeToString()
    more = InstrumentationScope(attributes=[KeyValue(key="b", value=AnyValue(int_value=random.randint(2, 9)))]).SerializeToString()
    inner = field(1, named) + items + field(1, more) + ScopeSpans(schema_url="u").SerializeToString()
    attributes = [ResourceSpans(resource={"attributes": [KeyValue(key=key)]}).SerializeToString() for key in "ab"]
    body = field(1, attributes[0] + field(2, inner if place == "scope" else items) + attributes[1])
    if place == "resource":
        body = field(1, attributes[0] + field(2, items) + attributes[1])
    assert ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans
    check(Decoder(), "traces", body)
