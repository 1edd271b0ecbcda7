"""OTLP/JSON's own rules: what is read, what is ignored, and what is refused with which message."""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

import orjson
import pytest
from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tidegauge.errors import InvalidArgument
from tidegauge.model.batch import Rejection
from tidegauge.otlp.json import JsonReader
from tidegauge.otlp.rejections import Rejections

READER = JsonReader()
Request = TypeVar("Request", bound=Message)
ID = "0102030405060708090a0b0c0d0e0fAB"


def read(type_: type[Request], body: bytes) -> Request:
    """A request that is read whole."""
    rejections = Rejections()
    request = READER.read(type_, body, rejections)
    assert not rejections.listed()
    return request


def refused(type_: type[Message], body: bytes) -> Rejection:
    """The one rejection in a body."""
    rejections = Rejections()
    READER.read(type_, body, rejections)
    (found,) = rejections.listed()
    return found


def in_span(fields: dict[str, Any]) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [fields]}]}]}).encode()


def span(fields: dict[str, Any]) -> Span:
    return read(ExportTraceServiceRequest, in_span(fields)).resource_spans[0].scope_spans[0].spans[0]


def value(fields: dict[str, Any]) -> Any:
    return span({"attributes": [{"key": "k", "value": fields}]}).attributes[0].value


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Span()),
        ({"traceId": ID}, Span(trace_id=bytes.fromhex(ID))),
        ({"traceId": ID.lower(), "spanId": ""}, Span(trace_id=bytes.fromhex(ID))),
        ({"trace_id": ID, "start_time_unix_nano": 1, "unknown": {"x": [1]}}, Span()),
        ({"name": None, "attributes": None, "status": None, "kind": None}, Span()),
        ({"startTimeUnixNano": "18446744073709551615"}, Span(start_time_unix_nano=2**64 - 1)),
        ({"startTimeUnixNano": 18446744073709551615}, Span(start_time_unix_nano=2**64 - 1)),
        ({"startTimeUnixNano": 1e3, "kind": 2}, Span(start_time_unix_nano=1000, kind=2)),
        ({"droppedLinksCount": "7", "flags": 257}, Span(dropped_links_count=7, flags=257)),
        ({"kind": 77}, Span(kind=77)),
    ],
)
def test_spans_that_are_read(fields: dict[str, Any], expected: Span) -> None:
    assert span(fields) == expected


def test_an_empty_object_is_a_message_that_is_there() -> None:
    assert span({"status": {}}).HasField("status")
    assert not span({"status": None}).HasField("status")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"intValue": "-9223372036854775808"}, -(2**63)),
        ({"intValue": -1}, -1),
        ({"intValue": 9223372036854775807}, 2**63 - 1),
        ({"intValue": 9223372036854775808}, 2.0**63),
        ({"intValue": -9300000000000000000}, -9.3e18),
        ({"intValue": 1e300}, 1e300),
        ({"intValue": -1e300}, -1e300),
        ({"doubleValue": 1}, 1.0),
        ({"doubleValue": "-0.5e3"}, -500.0),
        ({"doubleValue": "Infinity"}, float("inf")),
        ({"doubleValue": "-Infinity"}, float("-inf")),
        ({"boolValue": False}, False),
        ({"stringValue": "a\0\ud83d\ude00"}, "a\0\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")),
        ({"bytesValue": "-_8="}, b"\xfb\xff"),
        ({"bytesValue": "+/8"}, b"\xfb\xff"),
        ({"bytesValue": ""}, b""),
    ],
)
def test_values_that_are_read(fields: dict[str, Any], expected: object) -> None:
    found = value(fields)
    kind = found.WhichOneof("value")
    assert getattr(found, kind) == expected
    assert type(getattr(found, kind)) is type(expected)


def test_nan_is_read() -> None:
    assert str(value({"doubleValue": "NaN"}).double_value) == "nan"


@pytest.mark.parametrize(
    ("fields", "where", "what"),
    [
        ({"traceId": "zz"}, "traceId", 'must be a string of hexadecimal digits, two for each byte, not "zz"'),
        ({"traceId": "abc"}, "traceId", "two for each byte"),
        ({"traceId": "ab cd"}, "traceId", "hexadecimal"),
        ({"spanId": "AQIDBAUGBwg="}, "spanId", "hexadecimal"),
        ({"parentSpanId": 1}, "parentSpanId", "not 1"),
        ({"name": 1}, "name", "must be a string, not 1"),
        ({"name": {}}, "name", "must be a string, not an object"),
        ({"kind": "SPAN_KIND_SERVER"}, "kind", 'must be the enum\'s number, not "SPAN_KIND_SERVER"'),
        ({"kind": 2**31}, "kind", "must be between -2147483648 and 2147483647"),
        ({"kind": True}, "kind", "must be an integer"),
        ({"startTimeUnixNano": "1e3"}, "startTimeUnixNano", "must be an integer"),
        ({"startTimeUnixNano": 1.5}, "startTimeUnixNano", "must be an integer"),
        ({"startTimeUnixNano": -1}, "startTimeUnixNano", "must be between 0 and 18446744073709551615"),
        ({"startTimeUnixNano": 18446744073709551616}, "startTimeUnixNano", "must be between 0 and"),
        ({"startTimeUnixNano": "9" * 5000}, "startTimeUnixNano", "must be an integer"),
        ({"droppedEventsCount": 2**32}, "droppedEventsCount", "must be between 0 and 4294967295"),
        ({"attributes": {}}, "attributes", "must be an array, not an object"),
        ({"attributes": [1]}, "attributes[0]", "must be an object, not 1"),
        ({"attributes": [{}, None]}, "attributes[1]", "must be an object, not null"),
        ({"status": []}, "status", "must be an object, not an array"),
        ({"events": [{}, {"attributes": [{"value": {"intValue": "x"}}]}]}, "events[1].attributes[0].value.intValue", "must be an integer"),
        ({"attributes": [{"value": {"intValue": "9223372036854775808"}}]}, "attributes[0].value.intValue", "must be between"),
        ({"attributes": [{"value": {"intValue": 1.5}}]}, "attributes[0].value.intValue", "must be an integer"),
        ({"attributes": [{"value": {"doubleValue": "nan"}}]}, "attributes[0].value.doubleValue", "must be a number"),
        ({"attributes": [{"value": {"doubleValue": "1e999"}}]}, "attributes[0].value.doubleValue", "beyond the range"),
        ({"attributes": [{"value": {"boolValue": "true"}}]}, "attributes[0].value.boolValue", "must be true or false"),
        ({"attributes": [{"value": {"bytesValue": "a"}}]}, "attributes[0].value.bytesValue", "must be a string of base64"),
        ({"attributes": [{"value": {"bytesValue": "a-+/"}}]}, "attributes[0].value.bytesValue", "must be a string of base64"),
        ({"attributes": [{"value": {"stringValue": "a", "intValue": 1}}]}, "attributes[0].value.intValue", "only one of them can be set"),
    ],
)
def test_values_that_cost_their_item(fields: dict[str, Any], where: str, what: str) -> None:
    found = refused(ExportTraceServiceRequest, in_span(fields))
    assert (found.reason, found.items) == ("malformed_item", 1)
    assert found.sample == orjson.dumps(orjson.loads(json.dumps(fields)))[:4096]
    path, _, message = found.message.partition(": ")
    assert path == f"resourceSpans[0].scopeSpans[0].spans[0].{where}"
    assert what in message


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b'{"resourceSpans": [],}', "the body is not JSON"),
        (b'{"a": \xff}', "the body is not JSON"),
        (b'{"a": \\ud800}', "the body is not JSON"),
        (b'{"a": "\\ud800}', "the body is not JSON"),
        (b'{"a": "\\ud800\0"}', "the body is not JSON"),
        (b'{"a": NaN}', "the body is not JSON"),
        (b"\x0a\x00", "the body is not JSON"),
        (b"[" * 5000, "the body is not JSON"),
        (b"[]", "the body: must be an object, not an array"),
        (b'"x"', 'the body: must be an object, not "x"'),
        (b'{"resourceSpans": 1}', "resourceSpans: must be an array, not 1"),
    ],
)
def test_bodies_that_are_refused(body: bytes, what: str) -> None:
    with pytest.raises(InvalidArgument, match=re.escape(what)):
        read(ExportTraceServiceRequest, body)


def test_of_two_kinds_of_metric_data_one_is_refused() -> None:
    body = b'{"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"gauge": {}, "sum": {}}]}]}]}'
    with pytest.raises(InvalidArgument, match=re.escape("metrics[0].sum: stands beside gauge")):
        read(ExportMetricsServiceRequest, body)


@pytest.mark.parametrize(("depth", "fits"), [(40, True), (60, False), (200, False)])
def test_nesting_is_bounded(depth: int, fits: bool) -> None:
    nested: dict[str, Any] = {"stringValue": "deep"}
    for _ in range(depth):
        nested = {"arrayValue": {"values": [nested]}}
    if fits:
        value(nested)
        return
    message = refused(ExportTraceServiceRequest, in_span({"attributes": [{"key": "k", "value": nested}]})).message
    assert "nested more than 100 levels deep" in message


def test_what_json_may_nest_protobuf_may_too() -> None:
    nested: dict[str, Any] = {"stringValue": "deep"}
    deepest = None
    for _ in range(60):
        nested = {"arrayValue": {"values": [nested]}}
        try:
            deepest = read(ExportTraceServiceRequest, in_span({"attributes": [{"value": nested}]}))
        except AssertionError:
            break
    assert deepest is not None
    assert ExportTraceServiceRequest.FromString(deepest.SerializeToString()) == deepest


def test_long_values_are_cut_in_messages() -> None:
    deep: dict[str, Any] = {"stringValue": 1}
    for _ in range(30):
        deep = {"arrayValue": {"values": [deep]}}
    for fields in ({"traceId": "z" * 10_000}, {"attributes": [{"value": deep}]}):
        found = refused(ExportTraceServiceRequest, in_span(fields))
        assert len(found.message) < 500
        assert found.sample is not None
        assert len(found.sample) <= 4096
