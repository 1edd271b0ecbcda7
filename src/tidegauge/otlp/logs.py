"""Log records (opentelemetry/proto/logs/v1/logs.proto) to a LogBatch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from tidegauge.model.batch import LogBatch
from tidegauge.otlp.budget import LOG_BYTES, Budget
from tidegauge.otlp.items import CHUNK, Row, Rows
from tidegauge.otlp.limits import INT16_MAX, TIME_END, valid_span_id, valid_trace_id
from tidegauge.otlp.origins import Origins
from tidegauge.otlp.rejections import Rejections
from tidegauge.otlp.values import JsonColumns

_COLUMNS = (
    "ordinal",
    "time_unix_nano",
    "observed_time_unix_nano",
    "severity_number",
    "severity_text",
    "event_name",
    "body",
    "trace_id",
    "span_id",
    "flags",
    "dropped_attributes_count",
)


def decode_logs(
    requests: Iterable[ExportLogsServiceRequest], origins: Origins, rejections: Rejections, budget: Budget, sent: Mapping[bytes, bytes]
) -> LogBatch:
    """All log records of a request, which may come in parts."""
    batch = LogBatch(origins.resources, origins.scopes)
    rows = Rows(budget, LOG_BYTES, sent)
    ordinal = 0
    for resource_logs in chain.from_iterable(request.resource_logs for request in requests):
        resource = origins.resource(resource_logs.resource, resource_logs.schema_url)
        rejections.service = origins.resources[resource].service_name
        for scope_logs in resource_logs.scope_logs:
            before = len(rows)
            for first in range(0, len(scope_logs.log_records), CHUNK):
                _add_rows(rows, scope_logs.log_records[first : first + CHUNK], ordinal + first, rejections)
            ordinal += len(scope_logs.log_records)
            added = len(rows) - before
            batch.resource += [resource] * added
            batch.scope += [origins.scope(scope_logs.scope, scope_logs.schema_url)] * added
    rows.fill(batch, _COLUMNS)
    batch.ordinal = _among_all(batch.ordinal, rejections.malformed)
    batch.rejections = rejections.listed()
    return batch


def _among_all(ordinals: list[int], malformed: Sequence[int]) -> list[int]:
    """Places in a request, of places among those of its records that could be read; both in order."""
    if not malformed:
        return ordinals
    found = []
    skipped = 0
    for ordinal in ordinals:
        while skipped < len(malformed) and malformed[skipped] <= ordinal + skipped:
            skipped += 1
        found.append(ordinal + skipped)
    return found


def _add_rows(found: Rows, records: Sequence[LogRecord], ordinal: int, rejections: Rejections) -> None:
    """Add a row a record (hot path). Ids that mean nothing do not cost a record: it is then in no trace (logs.proto, trace_id)."""
    rows: list[Row] = []
    attributes: list[dict[str, object]] = []
    kept: list[LogRecord] = []
    lossy: list[int] = []
    columns = JsonColumns()
    mapping_of, text_of = columns.mapping, columns.text
    for position, record in enumerate(records, ordinal):
        time, observed_time = record.time_unix_nano, record.observed_time_unix_nano
        if time >= TIME_END or observed_time >= TIME_END:
            rejections.add("time_out_of_range", "a log record's times must be before 2262-04-11 (2^63 nanoseconds)", record)
            continue
        trace_id, span_id = record.trace_id or None, record.span_id or None
        if trace_id is not None and not valid_trace_id(trace_id):
            trace_id, columns.lossy = None, True
        if span_id is not None and not valid_span_id(span_id):
            span_id, columns.lossy = None, True
        severity_number: int = record.severity_number
        if not 0 <= severity_number <= INT16_MAX:
            severity_number, columns.lossy = 0, True
        event_name, severity_text = record.event_name, record.severity_text
        attributes.append(mapping_of(record.attributes))
        kept.append(record)
        rows.append(
            (
                position,
                time,
                observed_time,
                severity_number,
                text_of(severity_text) if severity_text else "",
                text_of(event_name) if event_name else "",
                _body(record.body, columns) if record.HasField("body") else None,
                trace_id,
                span_id,
                record.flags,
                record.dropped_attributes_count,
            )
        )
        if columns.lossy:
            lossy.append(len(rows) - 1)
            columns.lossy = False
    found.add(rows, attributes, kept, columns, lossy)


def _body(body: AnyValue, columns: JsonColumns) -> str | None:
    """Text of a body: a string as it is, any other value as JSON, and the column cannot tell which of the two it was."""
    text = body.string_value
    if text:
        return columns.text(text)
    kind = body.WhichOneof("value")
    if kind is None:
        return None
    if kind == "string_value":
        return ""
    columns.lossy = True
    return columns.dumps(columns.value(body)).decode()
