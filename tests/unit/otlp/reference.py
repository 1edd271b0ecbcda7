"""The slow and obviously right way: what a request's columns must be, said item by item without a thought for speed.

Whether a column is faithful is not decided by rules here but tried: through jsonb and back, and compared.
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections import Counter
from decimal import Decimal
from typing import Any

import orjson
from google.protobuf.message import Message
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

from tidegauge.model.attributes import AnyValue, KeyValues
from tidegauge.model.identity import resource_identity, scope_identity, series_identity
from tidegauge.model.records import EntityRef, Resource, Scope

LIMIT = 2**63


def model(value: Any) -> AnyValue:
    """A value's message in the model."""
    for name in ("string_value", "bool_value", "int_value", "double_value", "bytes_value"):
        if value.HasField(name):
            found: AnyValue = getattr(value, name)
            return found
    if value.HasField("array_value"):
        return tuple(model(item) for item in value.array_value.values)
    if value.HasField("kvlist_value"):
        return model_pairs(value.kvlist_value.values)
    return None


def model_pairs(pairs: Any) -> KeyValues:
    return KeyValues((pair.key, model(pair.value)) for pair in pairs)


def clean(text: str) -> str:
    return text.replace("\0", "\ufffd")


def plain(value: AnyValue) -> Any:
    """A value as JSON has it."""
    if isinstance(value, KeyValues):
        return {clean(key): plain(item) for key, item in value}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def through_jsonb(text: str | bytes) -> Any:
    """What PostgreSQL gives back for JSON that went into a jsonb column: keys by length and bytes, the last of duplicates, numeric."""

    def number(literal: str) -> Any:
        found = format(Decimal(literal), "f")
        if not Decimal(literal):
            found = found.lstrip("-")
        return float(found) if "." in found else int(found)

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        return dict(sorted(dict(items).items(), key=lambda item: (len(item[0].encode()), item[0].encode())))

    found = json.loads(text, parse_float=number, parse_int=number, object_pairs_hook=pairs)
    assert "\0" not in json.dumps(found, ensure_ascii=False)
    assert "\\u0000" not in json.dumps(found).replace("\\\\", "")
    return found


def from_json(value: Any) -> AnyValue:
    if isinstance(value, dict):
        return KeyValues((key, from_json(item)) for key, item in value.items())
    if isinstance(value, list):
        return tuple(from_json(item) for item in value)
    found: AnyValue = value
    return found


def survives(value: AnyValue) -> bool:
    """Whether a value comes back from jsonb as it went in; the order of key-values is no part of it."""
    return canonical(from_json(through_jsonb(json.dumps(plain(value))))) == canonical(value)


def canonical(value: AnyValue) -> str:
    """Equal for equal values and no others: 1, 1.0 and True differ, as do 0.0 and -0.0; key-values have no order."""
    if isinstance(value, KeyValues):
        return f"pairs {sorted((key, canonical(item)) for key, item in value)}"
    if isinstance(value, tuple):
        return f"array {[canonical(item) for item in value]}"
    return f"{type(value).__name__} {value!r}"


def survive(*values: AnyValue) -> bool:
    return all(survives(value) for value in values)


def usable(identifier: bytes, length: int) -> bool:
    return len(identifier) == length and any(identifier)


def as_text(value: AnyValue) -> str:
    if value is None:
        return ""
    return clean(value) if isinstance(value, str) else orjson.dumps(plain(value)).decode()


def resource_row(resource: Any, schema_url: str) -> dict[str, Any]:
    attributes = model_pairs(resource.attributes)
    named = dict(attributes)
    return {
        "identity": resource_identity(
            Resource(
                attributes,
                resource.dropped_attributes_count,
                schema_url,
                tuple(EntityRef(e.schema_url, e.type, tuple(e.id_keys), tuple(e.description_keys)) for e in resource.entity_refs),
            )
        ),
        "service_name": as_text(named.get("service.name")) or "unknown_service",
        "service_namespace": as_text(named.get("service.namespace")),
        "environment": as_text(named.get("deployment.environment.name")) or as_text(named.get("deployment.environment")),
        "schema_url": clean(schema_url),
        "attributes": plain(attributes),
        "dropped_attributes_count": resource.dropped_attributes_count,
        "original": None
        if survive(attributes, schema_url) and not resource.entity_refs
        else ResourceSpans(resource=resource, schema_url=schema_url).SerializeToString(),
    }


def scope_row(scope: Any, schema_url: str) -> dict[str, Any]:
    attributes = model_pairs(scope.attributes)
    return {
        "identity": scope_identity(Scope(scope.name, scope.version, attributes, scope.dropped_attributes_count, schema_url)),
        "name": clean(scope.name),
        "version": clean(scope.version),
        "schema_url": clean(schema_url),
        "attributes": plain(attributes),
        "dropped_attributes_count": scope.dropped_attributes_count,
        "original": None
        if survive(attributes, scope.name, scope.version, schema_url)
        else ScopeSpans(scope=scope, schema_url=schema_url).SerializeToString(),
    }


class Expected:
    """Rows and rejections of a request. Of resources, scopes and series with one identity the first stands for all."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in ("items", "numbers", "histograms", "summaries", "exemplars")}
        self.rejected: Counter[str] = Counter()
        self.metadata: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._first: dict[Any, dict[str, Any]] = {}

    def first(self, row: dict[str, Any]) -> dict[str, Any]:
        return self._first.setdefault(row["identity"], row)


def spans(request: Any) -> Expected:
    expected = Expected()
    for outer in request.resource_spans:
        resource = expected.first(resource_row(outer.resource, outer.schema_url))
        for inner in outer.scope_spans:
            scope = expected.first(scope_row(inner.scope, inner.schema_url))
            for span in inner.spans:
                reason = span_fault(span)
                if reason:
                    expected.rejected[reason] += 1
                else:
                    expected.rows["items"].append({"resource": resource, "scope": scope, **span_row(span)})
    return expected


def span_fault(span: Any) -> str | None:
    if not usable(span.trace_id, 16):
        return "invalid_trace_id"
    if not usable(span.span_id, 8):
        return "invalid_span_id"
    if span.parent_span_id and len(span.parent_span_id) != 8:
        return "invalid_parent_span_id"
    if not span.start_time_unix_nano:
        return "missing_time"
    return "time_out_of_range" if max(span.start_time_unix_nano, span.end_time_unix_nano) >= LIMIT else None


def event_pairs(event: Any) -> AnyValue:
    return (event.name, model_pairs(event.attributes))


def link_pairs(link: Any) -> AnyValue:
    return (link.trace_state, model_pairs(link.attributes))


def span_row(span: Any) -> dict[str, Any]:
    attributes = model_pairs(span.attributes)
    faithful = (
        survive(attributes, span.name, span.status.message, span.trace_state)
        and survive(*[event_pairs(event) for event in span.events])
        and survive(*[link_pairs(link) for link in span.links])
        and span.parent_span_id != bytes(8)
        and 0 <= span.kind < 2**15
        and 0 <= span.status.code < 2**15
    )
    return {
        "start_time_unix_nano": span.start_time_unix_nano,
        "end_time_unix_nano": span.end_time_unix_nano,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id if any(span.parent_span_id) else None,
        "name": clean(span.name),
        "kind": span.kind if 0 <= span.kind < 2**15 else 0,
        "status_code": span.status.code if 0 <= span.status.code < 2**15 else 0,
        "status_message": clean(span.status.message),
        "trace_state": clean(span.trace_state),
        "flags": span.flags,
        "attributes": plain(attributes),
        "events": [event_row(event) for event in span.events] or None,
        "links": [link_row(link) for link in span.links] or None,
        "dropped_attributes_count": span.dropped_attributes_count,
        "dropped_events_count": span.dropped_events_count,
        "dropped_links_count": span.dropped_links_count,
        "original": None if faithful else span.SerializeToString(),
    }


def without_zero(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value or key not in names}


def event_row(event: Any) -> dict[str, Any]:
    row = {
        "name": clean(event.name),
        "time_unix_nano": str(event.time_unix_nano),
        "attributes": plain(model_pairs(event.attributes)),
        "dropped_attributes_count": event.dropped_attributes_count,
    }
    return without_zero(row, "dropped_attributes_count")


def link_row(link: Any) -> dict[str, Any]:
    row = {
        "trace_id": link.trace_id.hex(),
        "span_id": link.span_id.hex(),
        "trace_state": clean(link.trace_state),
        "attributes": plain(model_pairs(link.attributes)),
        "flags": link.flags,
        "dropped_attributes_count": link.dropped_attributes_count,
    }
    return without_zero(row, "trace_state", "flags", "dropped_attributes_count")


def logs(request: Any) -> Expected:
    expected = Expected()
    ordinal = 0
    for outer in request.resource_logs:
        resource = expected.first(resource_row(outer.resource, outer.schema_url))
        for inner in outer.scope_logs:
            scope = expected.first(scope_row(inner.scope, inner.schema_url))
            for record in inner.log_records:
                if max(record.time_unix_nano, record.observed_time_unix_nano) >= LIMIT:
                    expected.rejected["time_out_of_range"] += 1
                else:
                    expected.rows["items"].append({"resource": resource, "scope": scope, "ordinal": ordinal, **log_row(record)})
                ordinal += 1
    return expected


def log_row(record: Any) -> dict[str, Any]:
    attributes, body = model_pairs(record.attributes), model(record.body)
    trace_id, span_id = usable(record.trace_id, 16), usable(record.span_id, 8)
    faithful = (
        survive(attributes, body, record.severity_text, record.event_name)
        and isinstance(body, str | None)
        and (trace_id or not record.trace_id)
        and (span_id or not record.span_id)
        and 0 <= record.severity_number < 2**15
    )
    return {
        "time_unix_nano": record.time_unix_nano,
        "observed_time_unix_nano": record.observed_time_unix_nano,
        "severity_number": record.severity_number if 0 <= record.severity_number < 2**15 else 0,
        "severity_text": clean(record.severity_text),
        "event_name": clean(record.event_name),
        "body": None if body is None else clean(body) if isinstance(body, str) else ("as JSON", plain(body)),
        "attributes": plain(attributes),
        "trace_id": record.trace_id if trace_id else None,
        "span_id": record.span_id if span_id else None,
        "flags": record.flags,
        "dropped_attributes_count": record.dropped_attributes_count,
        "original": None if faithful else record.SerializeToString(),
    }


def metrics(request: Any) -> Expected:
    expected = Expected()
    for outer in request.resource_metrics:
        resource = expected.first(resource_row(outer.resource, outer.schema_url))
        for inner in outer.scope_metrics:
            scope = expected.first(scope_row(inner.scope, inner.schema_url))
            for metric in inner.metrics:
                metric_rows(expected, metric, resource, scope)
    return expected


def metric_rows(expected: Expected, metric: Any, resource: dict[str, Any], scope: dict[str, Any]) -> None:
    kind = metric.WhichOneof("data")
    points = getattr(metric, kind).data_points if kind else []
    if not points:
        return
    temporality = None
    if kind not in ("gauge", "summary"):
        number = getattr(metric, kind).aggregation_temporality
        temporality = {0: "unspecified", 1: "delta", 2: "cumulative"}.get(number, "unknown")
    if not 1 <= len(metric.name) <= 600 or "\0" in metric.name:
        expected.rejected["invalid_metric_name"] += len(points)
        return
    if len(metric.unit) > 63 or "\0" in metric.unit:
        expected.rejected["invalid_unit"] += len(points)
        return
    if temporality == "unknown":
        expected.rejected["invalid_temporality"] += len(points)
        return
    if metric.description or metric.metadata:
        key = (resource["identity"], metric.name, kind, metric.unit)
        metadata = plain(model_pairs(metric.metadata)) if metric.metadata else None
        expected.metadata.setdefault(key, {"description": clean(metric.description), "metadata": metadata})
    monotonic = metric.sum.is_monotonic if kind == "sum" else None
    for point in points:
        reason = point_fault(point, kind, temporality)
        if reason:
            expected.rejected[reason] += 1
            continue
        labels = model_pairs(point.attributes)
        bounds = tuple(point.explicit_bounds) if kind == "histogram" else None
        shape = (metric.name, kind, metric.unit, temporality, monotonic, bounds)
        series = {
            "identity": series_identity(resource["identity"], scope["identity"], *shape, labels),
            "resource": resource,
            "scope": scope,
            **dict(zip(("metric_name", "type", "unit", "temporality", "is_monotonic", "bounds"), shape, strict=True)),
            "labels": plain(labels),
            "original": None if survives(labels) else point_labels(point),
        }
        series = expected.first(series)
        start = point.start_time_unix_nano if temporality == "cumulative" or kind == "summary" else 0
        row = {"series": series, "time_unix_nano": point.time_unix_nano, "start_time_unix_nano": start or None, "flags": point.flags}
        table = {"gauge": "numbers", "sum": "numbers", "summary": "summaries"}.get(kind, "histograms")
        expected.rows[table].append({**row, **POINTS[kind](point)})
        for exemplar in getattr(point, "exemplars", ()):
            expected.rows["exemplars"].append({"series": series, **exemplar_row(exemplar, point.time_unix_nano)})


def point_labels(point: Any) -> bytes:
    from opentelemetry.proto.common.v1.common_pb2 import KeyValueList

    return KeyValueList(values=point.attributes).SerializeToString()


def point_fault(point: Any, kind: str, temporality: str | None) -> str | None:
    kept_start = point.start_time_unix_nano if temporality == "cumulative" or kind == "summary" else 0
    number = kind in ("gauge", "sum")
    if number and not point.flags & 1 and point.WhichOneof("value") is None:
        return "missing_value"
    if not point.time_unix_nano:
        return "missing_time"
    if max(point.time_unix_nano, kept_start) >= LIMIT:
        return "time_out_of_range"
    if point.flags >= 2**31:
        return "number_out_of_range"
    if kind == "histogram":
        bounds, counts = list(point.explicit_bounds), list(point.bucket_counts)
        if any(math.isnan(bound) for bound in bounds) or sorted(set(bounds)) != bounds:
            return "invalid_bounds"
        if any(count >= LIMIT for count in counts):
            return "count_out_of_range"
        if len(counts) != len(bounds) + 1 and (bounds or counts):
            return "invalid_bucket_counts"
    if kind == "exponential_histogram":
        every = [point.zero_count, *point.positive.bucket_counts, *point.negative.bucket_counts]
        if any(count >= LIMIT for count in every):
            return "count_out_of_range"
    if not number and point.count >= LIMIT:
        return "count_out_of_range"
    return None


def number(message: Any) -> dict[str, Any]:
    kind = message.WhichOneof("value")
    if kind is None:
        return {"value": None, "value_int": None}
    sent = getattr(message, kind)
    return {"value": float(sent), "value_int": sent if kind == "as_int" and int(float(sent)) != sent else None}


def number_row(point: Any) -> dict[str, Any]:
    return {"value": None, "value_int": None} if point.flags & 1 else number(point)


def optional(message: Any, name: str) -> Any:
    return getattr(message, name) if message.HasField(name) else None


def distribution(point: Any) -> dict[str, Any]:
    return {"count": point.count, **{name: optional(point, name) for name in ("sum", "min", "max")}}


def histogram_row(point: Any) -> dict[str, Any]:
    exponential = ("scale", "zero_count", "zero_threshold", "positive_offset", "negative_offset", "negative_bucket_counts")
    return {**distribution(point), "bucket_counts": tuple(point.bucket_counts) or None, **dict.fromkeys(exponential)}


def exponential_row(point: Any) -> dict[str, Any]:
    positive, negative = optional(point, "positive"), optional(point, "negative")
    return {
        **distribution(point),
        "bucket_counts": positive and (tuple(positive.bucket_counts) or None),
        "scale": point.scale,
        "zero_count": point.zero_count,
        "zero_threshold": point.zero_threshold,
        "positive_offset": positive and positive.offset,
        "negative_offset": negative and negative.offset,
        "negative_bucket_counts": negative and (tuple(negative.bucket_counts) or None),
    }


def summary_row(point: Any) -> dict[str, Any]:
    return {
        "count": point.count,
        "sum": point.sum,
        "quantiles": tuple(item.quantile for item in point.quantile_values),
        "quantile_values": tuple(item.value for item in point.quantile_values),
    }


POINTS = {
    "gauge": number_row,
    "sum": number_row,
    "histogram": histogram_row,
    "exponential_histogram": exponential_row,
    "summary": summary_row,
}


def exemplar_row(exemplar: Any, point_time: int) -> dict[str, Any]:
    attributes = model_pairs(exemplar.filtered_attributes)
    timed = 0 < exemplar.time_unix_nano < LIMIT
    trace_id, span_id = usable(exemplar.trace_id, 16), usable(exemplar.span_id, 8)
    faithful = survives(attributes) and timed and (trace_id or not exemplar.trace_id) and (span_id or not exemplar.span_id)
    return {
        "time_unix_nano": exemplar.time_unix_nano if timed else point_time,
        **number(exemplar),
        "trace_id": exemplar.trace_id if trace_id else None,
        "span_id": exemplar.span_id if span_id else None,
        "filtered_attributes": plain(attributes) if attributes else None,
        "original": None if faithful else exemplar.SerializeToString(),
    }


def otlp_json(message: Message, wide_as_text: bool = True) -> Any:
    """A message in OTLP/JSON. ``wide_as_text``: integers of 64 bits as strings, ids in lower case; else as numbers, and upper case."""
    return {
        field.json_name: [scalar(field, item, wide_as_text) for item in value] if field.is_repeated else scalar(field, value, wide_as_text)
        for field, value in message.ListFields()
    }


def scalar(field: Any, value: Any, wide_as_text: bool) -> Any:
    if isinstance(value, Message):
        return otlp_json(value, wide_as_text)
    if isinstance(value, bytes):
        if field.name in ("trace_id", "span_id", "parent_span_id"):
            return value.hex() if wide_as_text else value.hex().upper()
        return b64encode(value).decode()
    if isinstance(value, float):
        return plain(value)
    if isinstance(value, int) and field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64) and wide_as_text:
        return str(value)
    return value
