"""Samples of rejected rows: what a row of a batch was, as JSON for a person.

Names are those of the columns; ids are hex, JSON columns stand as what they hold. ``service`` is of the row's resource, a point has its
series' ``metric`` and ``labels``.
"""

from __future__ import annotations

import json
from dataclasses import fields
from math import isfinite
from typing import Any

from tidegauge.model.batch import Batch, MetricBatch, ResourceEntry
from tidegauge.model.selecting import Row

SAMPLE_BYTES = 4096
JSON_TYPE = "json"
_IDS = frozenset({"trace_id", "span_id", "parent_span_id"})
_JSON = frozenset({"attributes", "events", "links", "filtered_attributes"})
# Indexes mean nothing without their batch; `original` says again what the columns say.
_LEFT_OUT = frozenset({"resources", "scopes", "rejections", "resource", "scope", "series", "original", "ordinal"})
# Tried one after the other, until the sample is small enough: texts and lists longer than this are cut.
_LENGTHS = (1000, 200, 50, 10)
_SAFE_INTEGER = 2**53 - 1


def sample(batch: Batch, row: Row) -> bytes:
    """A row as a JSON object of at most 4 KiB; what is long in it is cut, and ends with "…"."""
    columns, index = row
    held: Any = getattr(batch, columns) if columns else batch
    found: dict[str, Any] = {"service": resource_of(batch, row).service_name}
    if isinstance(batch, MetricBatch):
        series = batch.series[held.series[index]]
        found |= {"metric": series.metric_name, "labels": _parsed(series.labels)}
    for column in fields(held):
        if column.name not in _LEFT_OUT and (values := getattr(held, column.name)):
            value = values[index]
            if value is not None and value != "" and value != b"":
                found[column.name] = _shown(column.name, value)
    return fitted(found)


def resource_of(batch: Batch, row: Row) -> ResourceEntry:
    """The resource that a row belongs to."""
    columns, index = row
    if isinstance(batch, MetricBatch):
        series: int = getattr(batch, columns).series[index]
        return batch.resources[batch.series[series].resource]
    return batch.resources[batch.resource[index]]


def fitted(value: object) -> bytes:
    """JSON of at most 4 KiB, as whole as possible."""
    text = _dumped(value)
    for length in _LENGTHS:
        if len(text) <= SAMPLE_BYTES:
            break
        text = _dumped(_cut(value, length))
    return text if len(text) <= SAMPLE_BYTES else b'"too large to show"'


def _dumped(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).encode("utf-8", "replace")


def _shown(name: str, value: Any) -> Any:
    if name in _IDS:
        return value.hex() if isinstance(value, bytes) else value
    if name in _JSON:
        return _parsed(value)
    # What JSON does not have, or not with all digits.
    if (isinstance(value, float) and not isfinite(value)) or (isinstance(value, int) and abs(value) > _SAFE_INTEGER):
        return str(value)
    if isinstance(value, tuple):
        return [_shown(name, held) for held in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.decode("utf-8", "replace")


def _cut(value: Any, length: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= length else value[:length] + "…"
    if isinstance(value, dict):
        kept = {key[:length]: _cut(held, length) for key, held in list(value.items())[:length]}
        return kept if len(value) <= length else kept | {"…": f"{len(value) - length} more"}
    if isinstance(value, list | tuple):
        return [_cut(held, length) for held in value[:length]] + (["…"] if len(value) > length else [])
    return value
