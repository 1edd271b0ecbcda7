"""Whole requests: what the product's decoder has to make of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.reference.items import Expected, Row, log_fault, log_row, resource_row, scope_row, span_fault, span_row
from tests.reference.otlp_json import JsonRequest, Unreadable
from tests.reference.points import add_metric
from tests.reference.utf8 import repair, twin_of

__all__ = ["REQUESTS", "Expected", "Unreadable", "from_json", "from_protobuf"]
REQUESTS = {"traces": ExportTraceServiceRequest, "metrics": ExportMetricsServiceRequest, "logs": ExportLogsServiceRequest}
# The field of a scope's message, by signal, that has its items (of metrics: what has the points).
LISTS = {"traces": ("spans", "spans"), "metrics": ("metrics", "metrics"), "logs": ("logs", "log_records")}


def from_protobuf(signal: str, body: bytes) -> Expected:
    """Raises Unreadable where the body as a whole is not a request."""
    type_ = REQUESTS[signal]
    try:
        return _decoded(signal, type_.FromString(body), {}, set())
    except DecodeError:
        pass
    twin_type = twin_of(type_)
    try:
        twin = twin_type.FromString(body)
        sent = [(item.SerializeToString(), repair(item)) for item in _items(signal, twin)]
        changed = {place: item for place, (item, is_changed) in enumerate(sent) if is_changed}
        repair(twin)
        request = type_.FromString(twin.SerializeToString())
    except DecodeError as error:
        raise Unreadable from error
    expected = _decoded(signal, request, changed, set())
    expected.rejected["invalid_text"] += 0
    return expected


def from_json(signal: str, body: bytes) -> Expected:
    """Raises Unreadable likewise."""
    read = JsonRequest(REQUESTS[signal], body)
    expected = _decoded(signal, read.message, {}, set(read.malformed))
    if read.malformed:
        expected.rejected["malformed_item"] += len(read.malformed)
    if read.is_replaced:
        expected.rejected["invalid_text"] += 0
    return expected


def _scopes(signal: str, request: Any) -> Iterator[tuple[Any, Any, Any]]:
    """(message around resource, message around scope, its items or metrics) of each scope; of a resource without scopes too."""
    name, items = LISTS[signal]
    for outer in getattr(request, f"resource_{name}"):
        if not getattr(outer, f"scope_{name}"):
            yield outer, None, []
        for inner in getattr(outer, f"scope_{name}"):
            yield outer, inner, getattr(inner, items)


def _items(signal: str, request: Any) -> list[Any]:
    return [item for _, _, items in _scopes(signal, request) for item in items]


def _decoded(signal: str, request: Any, as_sent: dict[int, bytes], malformed: set[int]) -> Expected:
    """``as_sent`` has messages by place among the items read, ``malformed`` the places of items that are not in the request."""
    expected = Expected()
    place, ordinals = 0, (number for number in count() if number not in malformed)
    for outer, inner, items in _scopes(signal, request):
        resource = expected.entry(resource_row(outer.resource, outer.schema_url))
        if inner is None:
            continue
        scope = expected.entry(scope_row(inner.scope, inner.schema_url))
        for item in items:
            if signal == "metrics":
                add_metric(expected, item, resource, scope)
            else:
                fault = span_fault(item) if signal == "traces" else log_fault(item)
                row = _row(signal, item, as_sent.get(place), next(ordinals))
                if fault:
                    expected.rejected[fault] += 1
                else:
                    expected.rows[signal].append({"resource": resource, "scope": scope, **row})
            place += 1
    return expected


def _row(signal: str, item: Any, as_sent: bytes | None, ordinal: int) -> Row:
    """Of a log record its place in the request belongs to its id; refused ones count."""
    return span_row(item, as_sent) if signal == "traces" else {"ordinal": ordinal, **log_row(item, as_sent)}
