"""The product's column batches as the reference's rows, whatever its columns are made of: text may be str or UTF-8."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from typing import Any
from uuid import UUID

from opentelemetry.proto.common.v1.common_pb2 import KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from tests.reference.utf8 import normal, twin_of
from tidegauge.model.batch import LogBatch, MetricBatch, SpanBatch

Row = dict[str, Any]
JSON = {"attributes", "labels", "events", "links", "filtered_attributes", "metadata"}
BYTES = {"trace_id", "span_id", "parent_span_id", "original", "sample"}
ENTRIES = {"resources", "scopes", "series", "metadata", "rejections"}
NAMES = ("service_name", "service_namespace", "environment")
NAME_LENGTH = 200
ORIGINALS = {
    "traces": Span,
    "logs": LogRecord,
    "exemplars": Exemplar,
    "resource": ResourceSpans,
    "scope": ScopeSpans,
    "series": KeyValueList,
}


def tables(batch: Any) -> dict[str, list[Row]]:
    """Rows by table."""
    if isinstance(batch, SpanBatch):
        return {"traces": list(_rows(batch, batch))}
    if isinstance(batch, LogBatch):
        return {"logs": list(_rows(batch, batch))}
    return {name: list(_rows(batch, getattr(batch, name))) for name in ("numbers", "histograms", "summaries", "exemplars")}


def rejected(batch: Any) -> Counter[str]:
    """Items by reason; each is kept with a sample."""
    found: Counter[str] = Counter()
    for rejection in batch.rejections:
        assert rejection.sample is not None
        assert len(rejection.sample) <= 4096
        found[rejection.reason] += rejection.items
    return found


def metadata(batch: MetricBatch) -> dict[tuple[Any, ...], Row]:
    """What metrics are described as."""
    found = {}
    for item in batch.metadata:
        row = _entry(item)
        key = (batch.resources[row["resource"]].identity, row["metric_name"], row["type"], row["unit"])
        assert key not in found
        found[key] = {"description": row["description"], "metadata": row["metadata"]}
    return found


def _rows(batch: Any, columns: Any) -> Iterator[Row]:
    names = [column.name for column in fields(columns) if columns is not batch or column.name not in ENTRIES]
    for values in zip(*(getattr(columns, name) for name in names), strict=True):
        yield _resolved(batch, {name: _value(name, value) for name, value in zip(names, values, strict=True)})


def _resolved(batch: Any, row: Row) -> Row:
    """Entries in the place of their indexes."""
    for name, entries in (("resource", "resources"), ("scope", "scopes"), ("series", "series")):
        if name in row:
            row[name] = _resolved(batch, _entry(getattr(batch, entries)[row[name]]))
    return row


def _entry(value: Any) -> Row:
    return {item.name: _value(item.name, getattr(value, item.name)) for item in fields(value)}


def _value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name == "identity":
        return value if isinstance(value, UUID) else UUID(bytes=bytes(value))
    if name in BYTES:
        return bytes(value)
    if isinstance(value, bytes | memoryview):
        value = bytes(value).decode()
    return json.loads(value) if name in JSON else value


def comparable(table: str, row: Row) -> Any:
    """Equal for equal rows, from the reference or the product: NaN is NaN, 1 and 1.0 and True differ, keys have no order."""
    found = {}
    for name, value in row.items():
        if name in ORIGINALS and isinstance(value, dict):
            found[name] = comparable(name, value)
        elif name == "original" and value is not None:
            found[name] = normal(ORIGINALS[table], value)
        elif name in NAMES:
            found[name] = _name(value)
        elif name == "body" and isinstance(value, tuple):
            found[name] = _typed(value[1])
        elif name == "body" and value is not None and row["original"] is not None:
            found[name] = _body(value, row["original"])
        else:
            found[name] = _typed(value)
    return found


def _name(value: Any) -> str:
    """An application's name: what is no string is its JSON, of which numbers may be written in more than one way, and long ones are cut."""
    if isinstance(value, str):
        with suppress(ValueError):
            value = json.loads(value) if len(value) < NAME_LENGTH else value
    if isinstance(value, str):
        return value[:NAME_LENGTH]
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text[:NAME_LENGTH] if len(text) >= NAME_LENGTH else json.dumps(value, sort_keys=True)


def _body(text: str, original: bytes) -> Any:
    """A body's column, parsed where it is JSON: its message tells."""
    record = twin_of(LogRecord).FromString(original)
    return text if record.body.WhichOneof("value") == "string_value" else _typed(json.loads(text))


def _typed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list | tuple | array):
        return [_typed(item) for item in value]
    return f"{type(value).__name__} {value!r}" if isinstance(value, bool | float | int) else value
