"""OTLP requests written byte by byte, with constants prepared: ten times as fast as filling messages and serialising them.

Wire format: https://protobuf.dev/programming-guides/encoding/; field numbers: opentelemetry-proto, trace.proto and metrics.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

Value: TypeAlias = str | int | float | bool
ATTRIBUTES_OF_SPAN = 9
"""Span.attributes, and HistogramDataPoint.attributes"""
ATTRIBUTES_OF_NUMBER = 7
_LENGTH_DELIMITED = 2
_SHORT = 128
_span_head = struct.Struct("<2s16s2s8s2s8s")
_span_root = struct.Struct("<2s16s2s8s")
_span_times = struct.Struct("<cQcQ2sI").pack
_SAMPLED = 0x101
"""Span.flags: the W3C flag, and that whether the parent is remote is known (it is not)."""


def varint(number: int) -> bytes:
    """A number, seven bits a byte."""
    out = bytearray()
    while number >= _SHORT:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number: int, payload: bytes) -> bytes:
    """A field of bytes, text or a message."""
    return varint(number << 3 | _LENGTH_DELIMITED) + varint(len(payload)) + payload


def any_value(value: Value) -> AnyValue:
    """As the SDKs send it."""
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case str():
            return AnyValue(string_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)


def attributes(number: int, values: Iterable[tuple[str, Value]]) -> bytes:
    """Fields ``number`` of KeyValue."""
    return b"".join(field(number, KeyValue(key=key, value=any_value(value)).SerializeToString()) for key, value in values)


def text(number: int, key: bytes, value: bytes) -> bytes:
    """An attribute of text, of up to 100 bytes with its key."""
    count = len(value)
    return b"%c%c\x0a%c%b\x12%c\x0a%c%b" % (
        number << 3 | _LENGTH_DELIMITED, len(key) + count + 6, len(key), key, count + 2, count, value,
    )  # fmt: skip


def integer(number: int, key: bytes, value: int) -> bytes:
    """An attribute of a whole number, not negative."""
    encoded = varint(value)
    return b"%c%c\x0a%c%b\x12%c\x18%b" % (
        number << 3 | _LENGTH_DELIMITED, len(key) + len(encoded) + 5, len(key), key, len(encoded) + 1, encoded,
    )  # fmt: skip


def scope(name: str, version: str) -> bytes:
    """ScopeSpans.scope, ScopeMetrics.scope."""
    return field(1, InstrumentationScope(name=name, version=version).SerializeToString())


def resource(values: Mapping[str, Value]) -> bytes:
    """ResourceSpans.resource, ResourceMetrics.resource."""
    return field(1, Resource(attributes=[KeyValue(key=key, value=any_value(value)) for key, value in values.items()]).SerializeToString())


def operation(name: str, kind: int) -> bytes:
    """A span's name and kind."""
    return field(5, name.encode()) + b"\x30" + varint(kind)


def span(trace_id: bytes, span_id: bytes, parent: bytes, start: int, end: int, rest: Sequence[bytes]) -> bytes:
    """ScopeSpans.spans: ids, times in ns, and its other fields as they are; ``parent`` is empty for a root."""
    if parent:
        head = _span_head.pack(b"\x0a\x10", trace_id, b"\x12\x08", span_id, b"\x22\x08", parent)
    else:
        head = _span_root.pack(b"\x0a\x10", trace_id, b"\x12\x08", span_id)
    payload = b"".join((head, _span_times(b"\x39", start, b"\x41", end, b"\x85\x01", _SAMPLED), *rest))
    size = len(payload)
    if size < _SHORT * _SHORT:
        return b"\x12%c%c%b" % (size & 0x7F | 0x80, size >> 7, payload) if size >= _SHORT else b"\x12%c%b" % (size, payload)
    return field(2, payload)


def request(parts: Iterable[tuple[bytes, bytes, Sequence[bytes]]]) -> bytes:
    """Export…ServiceRequest of (resource, scope, spans or metrics)."""
    return b"".join([field(1, origin + field(2, scoped + b"".join(items))) for origin, scoped, items in parts])
