"""Lean twins of OTLP's requests: the same wire format, read into far fewer objects.

A field that holds a message is, on the wire, a field of bytes (https://protobuf.dev/programming-guides/encoding/#length-types). Where
the twins say bytes, protobuf makes one object of an attribute rather than four, and what recurs can be recognised without being read. A
twin has only what every item is asked for; what few items have stands in a oneof, ``other``: one question tells that an item has none
of it. An item that has any is read from its official message.

A twin checks nothing inside of what it holds as bytes: ``items.Part`` tells who does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, cast

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_KINDS = FieldDescriptorProto
_PACKAGE = "tidegauge.lean"


class _Field(NamedTuple):
    """A field: its number in OTLP, a scalar type or the name of a message, whether it is a list, and the oneof it is in."""

    number: int
    name: str
    kind: int | str
    repeated: bool = False
    oneof: str = ""


def _other(number: int, name: str, kind: int) -> _Field:
    return _Field(number, name, kind, oneof="other")


def _items(request: str, by_resource: str, by_scope: str, item: str) -> dict[str, list[_Field]]:
    """The messages around items. A resource or scope in pieces is one that has the fields of all: they are joined."""
    url = _Field(3, "schema_url", _KINDS.TYPE_STRING)
    return {
        request: [_Field(1, "items", by_resource, repeated=True)],
        by_resource: [_Field(1, "resource", _KINDS.TYPE_BYTES, repeated=True), _Field(2, "items", by_scope, repeated=True), url],
        by_scope: [_Field(1, "scope", _KINDS.TYPE_BYTES, repeated=True), _Field(2, "items", item, repeated=True), url],
    }


_SPANS = {
    "Status": [_Field(2, "message", _KINDS.TYPE_STRING), _Field(3, "code", _KINDS.TYPE_INT32)],
    "Span": [
        _Field(1, "trace_id", _KINDS.TYPE_BYTES),
        _Field(2, "span_id", _KINDS.TYPE_BYTES),
        _other(3, "trace_state", _KINDS.TYPE_BYTES),
        _Field(4, "parent_span_id", _KINDS.TYPE_BYTES),
        _Field(5, "name", _KINDS.TYPE_STRING),
        _Field(6, "kind", _KINDS.TYPE_INT32),
        _Field(7, "start_time_unix_nano", _KINDS.TYPE_FIXED64),
        _Field(8, "end_time_unix_nano", _KINDS.TYPE_FIXED64),
        _Field(9, "attributes", _KINDS.TYPE_BYTES, repeated=True),
        _other(10, "dropped_attributes_count", _KINDS.TYPE_UINT32),
        _other(11, "events", _KINDS.TYPE_BYTES),
        _other(12, "dropped_events_count", _KINDS.TYPE_UINT32),
        _other(13, "links", _KINDS.TYPE_BYTES),
        _other(14, "dropped_links_count", _KINDS.TYPE_UINT32),
        _Field(15, "status", "Status"),
        _Field(16, "flags", _KINDS.TYPE_FIXED32),
    ],
    **_items("Traces", "ResourceSpans", "ScopeSpans", "Span"),
}


_METRICS = {
    "Number": [
        _Field(2, "start_time_unix_nano", _KINDS.TYPE_FIXED64),
        _Field(3, "time_unix_nano", _KINDS.TYPE_FIXED64),
        _Field(4, "as_double", _KINDS.TYPE_DOUBLE, oneof="value"),
        _other(5, "exemplars", _KINDS.TYPE_BYTES),
        _Field(6, "as_int", _KINDS.TYPE_SFIXED64, oneof="value"),
        _Field(7, "attributes", _KINDS.TYPE_BYTES, repeated=True),
        _other(8, "flags", _KINDS.TYPE_UINT32),
    ],
    "Histogram": [_Field(9, "attributes", _KINDS.TYPE_BYTES, repeated=True)],
    "ExponentialHistogram": [_Field(1, "attributes", _KINDS.TYPE_BYTES, repeated=True)],
    "Summary": [_Field(7, "attributes", _KINDS.TYPE_BYTES, repeated=True)],
    **{f"{point}s": [_Field(1, "items", point, repeated=True)] for point in ("Number", "Histogram", "ExponentialHistogram", "Summary")},
    "Metric": [
        _Field(5, "gauge", "Numbers", oneof="data"),
        _Field(7, "sum", "Numbers", oneof="data"),
        _Field(9, "histogram", "Histograms", oneof="data"),
        _Field(10, "exponential_histogram", "ExponentialHistograms", oneof="data"),
        _Field(11, "summary", "Summarys", oneof="data"),
    ],
    **_items("Metrics", "ResourceMetrics", "ScopeMetrics", "Metric"),
}
_LOGS = {
    "Body": [
        _Field(1, "string_value", _KINDS.TYPE_STRING, oneof="value"),
        _Field(2, "bool_value", _KINDS.TYPE_BOOL, oneof="value"),
        _Field(3, "int_value", _KINDS.TYPE_INT64, oneof="value"),
        _Field(4, "double_value", _KINDS.TYPE_DOUBLE, oneof="value"),
        _Field(5, "array_value", _KINDS.TYPE_BYTES, oneof="value"),
        _Field(6, "kvlist_value", _KINDS.TYPE_BYTES, oneof="value"),
        _Field(7, "bytes_value", _KINDS.TYPE_BYTES, oneof="value"),
        _Field(8, "string_value_strindex", _KINDS.TYPE_INT32, oneof="value"),
    ],
    "LogRecord": [
        _Field(1, "time_unix_nano", _KINDS.TYPE_FIXED64),
        _Field(2, "severity_number", _KINDS.TYPE_INT32),
        _Field(3, "severity_text", _KINDS.TYPE_STRING),
        _Field(5, "body", "Body"),
        _Field(6, "attributes", _KINDS.TYPE_BYTES, repeated=True),
        _other(7, "dropped_attributes_count", _KINDS.TYPE_UINT32),
        _Field(8, "flags", _KINDS.TYPE_FIXED32),
        _Field(9, "trace_id", _KINDS.TYPE_BYTES),
        _Field(10, "span_id", _KINDS.TYPE_BYTES),
        _Field(11, "observed_time_unix_nano", _KINDS.TYPE_FIXED64),
        _other(12, "event_name", _KINDS.TYPE_BYTES),
    ],
    **_items("Logs", "ResourceLogs", "ScopeLogs", "LogRecord"),
}


# Of spans and log records alike.
_RAW = {
    "RawScope": [_Field(2, "items", _KINDS.TYPE_BYTES, repeated=True)],
    "RawResource": [_Field(2, "items", "RawScope", repeated=True)],
    "Raw": [_Field(1, "items", "RawResource", repeated=True)],
}


class Lean:
    """The twins' types. Making them takes a millisecond: once for a decoder."""

    def __init__(self) -> None:
        pool = DescriptorPool()
        file = FileDescriptorProto(name="tidegauge/lean.proto", package=_PACKAGE, syntax="proto3")
        for messages in (_SPANS, _METRICS, _LOGS, _RAW):
            for name, fields in messages.items():
                _declare(file.message_type.add(name=name), fields)
        pool.AddSerializedFile(file.SerializeToString())
        self.traces, self.metrics, self.logs, self.raw = [
            cast("type[Any]", GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")))
            for name in ("Traces", "Metrics", "Logs", "Raw")
        ]
        """``.items`` by resource, their ``.items`` by scope, their ``.items`` the spans, metrics and log records; or those as bytes"""


def _declare(message: DescriptorProto, fields: Iterable[_Field]) -> None:
    oneofs: list[str] = []
    for number, name, kind, repeated, oneof in fields:
        field = message.field.add(name=name, number=number)
        field.label = _KINDS.LABEL_REPEATED if repeated else _KINDS.LABEL_OPTIONAL
        if isinstance(kind, str):
            field.type, field.type_name = _KINDS.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
        else:
            field.type = kind  # type: ignore[assignment]
        if oneof:
            if oneof not in oneofs:
                oneofs.append(oneof)
                message.oneof_decl.add(name=oneof)
            field.oneof_index = oneofs.index(oneof)
