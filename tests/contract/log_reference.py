"""What every log store has to answer, the plain way: over records in a list."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import orjson

from tidegauge.model.batch import LogBatch
from tidegauge.model.query import CORRELATION_KEYS, AttributeFilter, Cursor, LogField, LogFilter, Order, searched_part
from tidegauge.model.records import Application, LogContext, LogCount, StoredLog, StoredResource, StoredScope, TopValue
from tidegauge.model.text_search import parse
from tidegauge.storage.interface import IngestRequest

_Key = tuple[int, str, int]


def records(request: IngestRequest) -> list[StoredLog]:
    """The records of a request as a store returns them."""
    batch = request.batch
    assert isinstance(batch, LogBatch)
    return [_record(request, batch, row) for row in range(len(batch))]


def _record(request: IngestRequest, batch: LogBatch, row: int) -> StoredLog:
    resource, scope = batch.resources[batch.resource[row]], batch.scopes[batch.scope[row]]
    time, observed = batch.time_unix_nano[row], batch.observed_time_unix_nano[row]
    trace_id, span_id = batch.trace_id[row], batch.span_id[row]
    return StoredLog(
        log_id=f"{request.digest.hex}-{batch.ordinal[row]}",
        timestamp_unix_nano=time or observed or request.received_at_unix_nano,
        time_unix_nano=time,
        observed_time_unix_nano=observed,
        severity_number=batch.severity_number[row],
        severity_text=batch.severity_text[row],
        event_name=batch.event_name[row],
        body=batch.body[row],
        attributes=orjson.loads(batch.attributes[row]),
        dropped_attributes_count=batch.dropped_attributes_count[row],
        trace_id="" if trace_id is None else trace_id.hex(),
        span_id="" if span_id is None else span_id.hex(),
        flags=batch.flags[row],
        original=batch.original[row],
        resource=StoredResource(
            application=Application(0, resource.service_namespace, resource.service_name, resource.environment, 0, 0),
            schema_url=resource.schema_url,
            attributes=orjson.loads(resource.attributes),
            dropped_attributes_count=resource.dropped_attributes_count,
            original=resource.original,
        ),
        scope=StoredScope(
            name=scope.name,
            version=scope.version,
            schema_url=scope.schema_url,
            attributes=orjson.loads(scope.attributes),
            dropped_attributes_count=scope.dropped_attributes_count,
            original=scope.original,
        ),
    )


def matches(record: StoredLog, wanted: LogFilter) -> bool:
    """Whether a search finds a record."""
    start, end = wanted.time.start_ns // 1000, -(-wanted.time.end_ns // 1000)
    attributes: Any = record.attributes
    return (
        start <= record.timestamp_unix_nano // 1000 < end
        and (wanted.text is None or parse(wanted.text).matches(record.body or ""))
        and (wanted.min_severity is None or record.severity_number >= wanted.min_severity)
        and (wanted.max_severity is None or record.severity_number <= wanted.max_severity)
        and wanted.service in (None, record.resource.application.name)
        and wanted.trace_id in (None, record.trace_id)
        and wanted.span_id in (None, record.span_id)
        and (wanted.correlation_id is None or any(_is(attributes, key, wanted.correlation_id) for key in CORRELATION_KEYS))
        and all(_has(attributes, each) for each in wanted.attributes)
    )


def _has(attributes: dict[str, Any], wanted: AttributeFilter) -> bool:
    if not wanted.values:
        return wanted.name in attributes
    return any(_is(attributes, wanted.name, value) for value in wanted.values)


def _is(attributes: dict[str, Any], key: str, value: Any) -> bool:
    if key not in attributes:
        return False
    found = attributes[key]
    if isinstance(value, str):
        return isinstance(found, str) and searched_part(found) == searched_part(value)
    if isinstance(value, bool) or isinstance(found, bool):
        return value is found
    return isinstance(found, (int, float)) and found == value


def ordered(found: Sequence[StoredLog], order: Order) -> list[StoredLog]:
    """By time, request and place in it; each record once."""
    once = {record.log_id: record for record in found}
    return sorted(once.values(), key=_key, reverse=order is Order.NEWEST_FIRST)


def _key(record: StoredLog) -> _Key:
    digest, _, ordinal = record.log_id.partition("-")
    return record.timestamp_unix_nano, digest, int(ordinal)


def cursor(record: StoredLog) -> Cursor:
    """Of the page behind a record."""
    time, digest, ordinal = _key(record)
    return Cursor(time, struct.pack(">16si", bytes.fromhex(digest), ordinal))


def counts(found: Sequence[StoredLog], step_ns: int) -> list[LogCount]:
    """By step and severity."""
    counted = Counter((record.timestamp_unix_nano // step_ns * step_ns, record.severity_number) for record in found)
    return [LogCount(time, severity, count) for (time, severity), count in sorted(counted.items())]


def top(found: Sequence[StoredLog], field: LogField | str, limit: int) -> list[TopValue]:
    """The most frequent values."""
    values = Counter(text for record in found if (text := _text(record, field)))
    ranked = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    return [TopValue(value, count) for value, count in ranked[:limit]]


def _text(record: StoredLog, field: LogField | str) -> str | None:
    match field:
        case LogField.SERVICE:
            return record.resource.application.name
        case LogField.SEVERITY:
            return str(record.severity_number)
        case LogField.EVENT_NAME:
            return record.event_name
        case LogField.SCOPE:
            return record.scope.name
        case LogField.TRACE_ID:
            return record.trace_id
    attributes: Any = record.attributes
    match attributes.get(field):
        case bool(value):
            return "true" if value else "false"
        case int() | float() as number:
            return format(Decimal(repr(number or 0 * abs(number))), "f")
        case str(text):
            return searched_part(text)
    return None


def context(found: Sequence[StoredLog], record: StoredLog, before: int, after: int) -> LogContext:
    """Neighbours in the order of records."""
    older = [each for each in ordered(found, Order.NEWEST_FIRST) if _key(each) < _key(record)][:before]
    newer = [each for each in ordered(found, Order.OLDEST_FIRST) if _key(each) > _key(record)][:after]
    return LogContext(tuple(reversed(older)), record, tuple(newer))
