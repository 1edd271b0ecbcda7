"""What comes back is what was sent: one span with every OTLP field set and every kind of value."""

import base64
import json
import math
import struct
import time
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status, TracesData

IDS = ("trace_id", "span_id", "parent_span_id")


def pair(key: str, value: AnyValue) -> KeyValue:
    return KeyValue(key=key, value=value)


def hard_values() -> list[KeyValue]:
    nested = AnyValue(
        kvlist_value=KeyValueList(
            values=[
                pair("list", AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1), AnyValue(double_value=1), AnyValue()]))),
                pair("same", AnyValue(string_value="first")),
                pair("same", AnyValue(string_value="second")),
                pair("deep", AnyValue(kvlist_value=KeyValueList(values=[pair("bytes", AnyValue(bytes_value=b"\x00\xff"))]))),
            ]
        )
    )
    return [
        pair("string", AnyValue(string_value="Grüße 👋 \u202e")),
        pair("nul", AnyValue(string_value="a\x00b")),
        pair("n\x00l", AnyValue(string_value="\x00")),
        pair("", AnyValue(string_value="no name")),
        pair("true", AnyValue(bool_value=True)),
        pair("false", AnyValue(bool_value=False)),
        pair("one", AnyValue(int_value=1)),
        pair("one.0", AnyValue(double_value=1.0)),
        pair("int.max", AnyValue(int_value=2**63 - 1)),
        pair("int.min", AnyValue(int_value=-(2**63))),
        pair("beyond.double", AnyValue(int_value=2**53 + 1)),
        pair("minus.zero", AnyValue(double_value=-0.0)),
        pair("large", AnyValue(double_value=1e300)),
        pair("small", AnyValue(double_value=5e-324)),
        pair("tenth", AnyValue(double_value=0.1)),
        pair("nan", AnyValue(double_value=math.nan)),
        pair("infinity", AnyValue(double_value=math.inf)),
        pair("minus.infinity", AnyValue(double_value=-math.inf)),
        pair("bytes", AnyValue(bytes_value=bytes(range(256)))),
        pair("no.bytes", AnyValue(bytes_value=b"")),
        pair("no.string", AnyValue(string_value="")),
        pair("no.array", AnyValue(array_value=ArrayValue())),
        pair("no.kvlist", AnyValue(kvlist_value=KeyValueList())),
        pair("empty", AnyValue()),
        pair("nested", nested),
        pair("twice", AnyValue(int_value=1)),
        pair("twice", AnyValue(string_value="1")),
    ]


def whole_span(trace_id: bytes, *, parent: bytes = b"") -> Span:
    start = time.time_ns() // 1000 * 1000 - 5_000_000_000 + 123
    return Span(
        trace_id=trace_id,
        span_id=bytes.fromhex("fffefdfcfbfaf9f8"),
        trace_state="vendor=a,other=b",
        parent_span_id=parent,
        flags=0x301,
        name="every field \x00 set",
        kind=Span.SPAN_KIND_CONSUMER,
        start_time_unix_nano=start,
        end_time_unix_nano=start + 1_000_000_789,
        attributes=hard_values(),
        dropped_attributes_count=7,
        events=[
            Span.Event(time_unix_nano=start + 1, name="first", attributes=hard_values(), dropped_attributes_count=1),
            Span.Event(time_unix_nano=start + 999_999_999, name="second"),
        ],
        dropped_events_count=2**32 - 1,
        links=[
            Span.Link(
                trace_id=bytes(range(16)),
                span_id=bytes(range(8)),
                trace_state="linked=1",
                attributes=hard_values(),
                dropped_attributes_count=3,
                flags=1,
            )
        ],
        dropped_links_count=9,
        status=Status(code=Status.STATUS_CODE_ERROR, message="it failed\x00 badly"),
    )


def request(span: Span) -> ExportTraceServiceRequest:
    resource = Resource(attributes=[pair("service.name", AnyValue(string_value="fidelity")), *hard_values()], dropped_attributes_count=4)
    scope = InstrumentationScope(name="sco\x00pe", version="1.2", attributes=hard_values(), dropped_attributes_count=5)
    spans = ScopeSpans(scope=scope, spans=[span], schema_url="https://example.test/scope")
    return ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=resource, scope_spans=[spans], schema_url="https://example.test/resource")]
    )


def as_json(message: Any) -> dict[str, Any]:
    """OTLP/JSON (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): ids in hex, enums as numbers."""

    def fix(value: Any) -> Any:
        if isinstance(value, list):
            return [fix(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            key: base64.b64decode(item).hex() if key in {"traceId", "spanId", "parentSpanId"} else fix(item) for key, item in value.items()
        }

    return fix(MessageToDict(message, use_integers_for_enums=True))


def with_defaults(pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Empty keys and lists written out, as the product does; protobuf's mapping to JSON leaves them out."""

    def value(of: dict[str, Any]) -> dict[str, Any]:
        match of:
            case {"arrayValue": held}:
                return {"arrayValue": {"values": [value(item) for item in held.get("values", [])]}}
            case {"kvlistValue": held}:
                return {"kvlistValue": {"values": with_defaults(held.get("values", []))}}
        return of

    return [{"key": pair.get("key", ""), "value": value(pair["value"])} for pair in pairs]


def from_json(document: dict[str, Any]) -> ResourceSpans:
    """The first ResourceSpans of OTLP/JSON, without the help of the product."""
    from google.protobuf.json_format import ParseDict

    def fix(value: Any) -> Any:
        if isinstance(value, list):
            return [fix(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            key: base64.b64encode(bytes.fromhex(item)).decode() if key in {"traceId", "spanId", "parentSpanId"} else fix(item)
            for key, item in value.items()
        }

    data = ParseDict(fix(document), TracesData())
    assert len(data.resource_spans) == 1
    return data.resource_spans[0]


def bits(value: Any) -> Any:
    """A message as comparable values, in which every NaN is equal and -0.0 is not 0.0."""
    if isinstance(value, AnyValue):
        kind = value.WhichOneof("value")
        held = getattr(value, kind) if kind else None
        if kind == "double_value":
            held = "nan" if math.isnan(held) else struct.pack(">d", held)
        elif kind == "array_value":
            held = [bits(item) for item in held.values]
        elif kind == "kvlist_value":
            held = bits(held.values)
        return kind, held
    if isinstance(value, KeyValue):
        return value.key, bits(value.value)
    if hasattr(value, "DESCRIPTOR"):
        return {field.name: bits(getattr(value, field.name)) for field in value.DESCRIPTOR.fields}
    if hasattr(value, "add") or isinstance(value, list):
        return [bits(item) for item in value]
    return value


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
@pytest.mark.parametrize("parent", [b"", bytes.fromhex("0102030405060708")], ids=["root", "detached"])
def test_a_span_comes_back_equal_as_otlp(product, encoding, parent) -> None:
    trace_id = bytes.fromhex("f0") + time.time_ns().to_bytes(15, "big")
    sent = request(whole_span(trace_id, parent=parent))
    if encoding == "protobuf":
        answer = product.post("traces", sent.SerializeToString())
    else:
        answer = product.post("traces", json.dumps(as_json(sent)).encode(), "application/json")
    assert (answer.status_code, answer.content) in {(200, b""), (200, b"{}")}
    got = from_json(product.get(f"/api/v1/traces/{trace_id.hex()}", format="otlp"))
    assert bits(got) == bits(sent.resource_spans[0])


def test_a_span_comes_back_equal_in_the_default_form(product) -> None:
    trace_id = bytes.fromhex("f1") + time.time_ns().to_bytes(15, "big")
    sent = request(whole_span(trace_id))
    assert product.post("traces", sent.SerializeToString()).status_code == 200
    trace = product.get(f"/api/v1/traces/{trace_id.hex()}")
    expected = as_json(sent)["resourceSpans"][0]
    span, want = trace["spans"][0], expected["scopeSpans"][0]["spans"][0]
    assert trace["resources"][span["resource"]]["attributes"] == with_defaults(expected["resource"]["attributes"])
    assert trace["scopes"][span["scope"]]["attributes"] == with_defaults(expected["scopeSpans"][0]["scope"]["attributes"])
    assert span["attributes"] == with_defaults(want["attributes"])
    assert [event["attributes"] for event in span["events"]] == [with_defaults(want["events"][0]["attributes"]), []]
    assert span["links"][0]["attributes"] == with_defaults(want["links"][0]["attributes"])
    assert (span["name"], span["status"]["message"]) == (want["name"], want["status"]["message"])
    assert (span["trace_state"], span["flags"]) == (want["traceState"], want["flags"])
    assert span["start_time_unix_nano"] == want["startTimeUnixNano"]
    assert span["end_time_unix_nano"] == want["endTimeUnixNano"]
    dropped = ("Attributes", "Events", "Links")
    assert [span[f"dropped_{of.lower()}_count"] for of in dropped] == [want[f"dropped{of}Count"] for of in dropped]
