"""Spans (opentelemetry/proto/trace/v1/trace.proto) to a SpanBatch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tidegauge.model.batch import SpanBatch
from tidegauge.otlp.budget import SPAN_BYTES, Budget
from tidegauge.otlp.items import CHUNK, Row, Rows
from tidegauge.otlp.limits import INT16_MAX, TIME_END, ZERO_SPAN_ID, ZERO_TRACE_ID, valid_span_id, valid_trace_id
from tidegauge.otlp.origins import Origins
from tidegauge.otlp.rejections import Rejections
from tidegauge.otlp.values import JsonColumns

_COLUMNS = (
    "start_time_unix_nano",
    "end_time_unix_nano",
    "trace_id",
    "span_id",
    "parent_span_id",
    "name",
    "kind",
    "status_code",
    "status_message",
    "trace_state",
    "flags",
    "events",
    "links",
    "dropped_attributes_count",
    "dropped_events_count",
    "dropped_links_count",
)


def decode_spans(
    requests: Iterable[ExportTraceServiceRequest], origins: Origins, rejections: Rejections, budget: Budget, sent: Mapping[bytes, bytes]
) -> SpanBatch:
    """All spans of a request, which may come in parts."""
    batch = SpanBatch(origins.resources, origins.scopes)
    rows = Rows(budget, SPAN_BYTES, sent)
    for resource_spans in chain.from_iterable(request.resource_spans for request in requests):
        resource = origins.resource(resource_spans.resource, resource_spans.schema_url)
        for scope_spans in resource_spans.scope_spans:
            before = len(rows)
            for first in range(0, len(scope_spans.spans), CHUNK):
                _add_rows(rows, scope_spans.spans[first : first + CHUNK], rejections)
            added = len(rows) - before
            batch.resource += [resource] * added
            batch.scope += [origins.scope(scope_spans.scope, scope_spans.schema_url)] * added
    rows.fill(batch, _COLUMNS)
    batch.rejections = rejections.listed()
    return batch


def _add_rows(found: Rows, spans: Sequence[Span], rejections: Rejections) -> None:
    """Add a row a span. This is the hot path: every field is read once, and what is rare is looked at in functions of its own."""
    rows: list[Row] = []
    attributes: list[dict[str, object]] = []
    kept: list[Span] = []
    lossy: list[int] = []
    columns = JsonColumns()
    mapping_of, text_of = columns.mapping, columns.text
    for span in spans:
        trace_id, span_id, parent_span_id = span.trace_id, span.span_id, span.parent_span_id
        start, end = span.start_time_unix_nano, span.end_time_unix_nano
        if not (
            len(trace_id) == 16
            and len(span_id) == 8
            and (not parent_span_id or len(parent_span_id) == 8)
            and 0 < start < TIME_END
            and end < TIME_END
            and trace_id != ZERO_TRACE_ID
            and span_id != ZERO_SPAN_ID
        ):
            rejections.add(*_fault(span), span)
            continue
        if parent_span_id == ZERO_SPAN_ID:
            parent_span_id, columns.lossy = b"", True
        kind: int
        status_code: int
        kind, status_code, status_message, trace_state = span.kind, 0, "", span.trace_state
        if span.HasField("status"):
            status = span.status
            status_code, status_message = status.code, status.message
        if not (0 <= kind <= INT16_MAX and 0 <= status_code <= INT16_MAX):
            kind, status_code = _small(kind, columns), _small(status_code, columns)
        events, links = span.events, span.links
        attributes.append(mapping_of(span.attributes))
        kept.append(span)
        rows.append(
            (
                start,
                end,
                trace_id,
                span_id,
                parent_span_id or None,
                text_of(span.name),
                kind,
                status_code,
                text_of(status_message) if status_message else "",
                text_of(trace_state) if trace_state else "",
                span.flags,
                _events(events, columns) if events else None,
                _links(links, columns) if links else None,
                span.dropped_attributes_count,
                span.dropped_events_count,
                span.dropped_links_count,
            )
        )
        if columns.lossy:
            lossy.append(len(rows) - 1)
            columns.lossy = False
    found.add(rows, attributes, kept, columns, lossy)


def _events(events: Iterable[Span.Event], columns: JsonColumns) -> bytes:
    found: list[dict[str, object]] = []
    for event in events:
        item: dict[str, object] = {
            "name": event.name,
            "time_unix_nano": str(event.time_unix_nano),
            "attributes": columns.mapping(event.attributes),
        }
        if event.dropped_attributes_count:
            item["dropped_attributes_count"] = event.dropped_attributes_count
        found.append(item)
    return columns.dumps(found)


def _links(links: Iterable[Span.Link], columns: JsonColumns) -> bytes:
    found: list[dict[str, object]] = []
    for link in links:
        item: dict[str, object] = {
            "trace_id": link.trace_id.hex(),
            "span_id": link.span_id.hex(),
            "attributes": columns.mapping(link.attributes),
        }
        if link.trace_state:
            item["trace_state"] = link.trace_state
        if link.flags:
            item["flags"] = link.flags
        if link.dropped_attributes_count:
            item["dropped_attributes_count"] = link.dropped_attributes_count
        found.append(item)
    return columns.dumps(found)


def _small(value: int, columns: JsonColumns) -> int:
    """An enum's number if a smallint holds it, else 0."""
    if 0 <= value <= INT16_MAX:
        return value
    columns.lossy = True
    return 0


def _fault(span: Span) -> tuple[str, str]:
    """Reason and message for a span that cannot be stored."""
    if not valid_trace_id(span.trace_id):
        return "invalid_trace_id", "a span's trace_id must be 16 bytes that are not all zero"
    if not valid_span_id(span.span_id):
        return "invalid_span_id", "a span's span_id must be 8 bytes that are not all zero"
    if len(span.parent_span_id) not in (0, 8):
        return "invalid_parent_span_id", "a span's parent_span_id must be empty or 8 bytes"
    if span.start_time_unix_nano == 0:
        return "missing_time", "a span must have a start_time_unix_nano"
    return "time_out_of_range", "a span's times must be before 2262-04-11 (2^63 nanoseconds)"
