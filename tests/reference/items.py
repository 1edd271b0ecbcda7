"""Resources, scopes, spans and log records."""

from __future__ import annotations

from collections import Counter
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

from tests.reference.identity import resource_identity, scope_identity
from tests.reference.values import clean, faithful, pairs_of, plain, value_of

TIME_END = 2**63
SMALLINT_END = 2**15
Row = dict[str, Any]


class Expected:
    """What a request becomes: rows by table, and items refused by reason."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {name: [] for name in ("traces", "logs", "numbers", "histograms", "summaries", "exemplars")}
        self.rejected: Counter[str] = Counter()
        self.metadata: dict[tuple[Any, ...], Row] = {}
        self._entries: dict[Any, Row] = {}

    def entry(self, row: Row) -> Row:
        """Of resources, scopes and series with one identity the first of a request stands for all."""
        return self._entries.setdefault(row["identity"], row)


def usable(identifier: bytes, length: int) -> bool:
    """Whether bytes are an id: of the right length, not all zero."""
    return len(identifier) == length and any(identifier)


def resource_row(resource: Any, schema_url: str) -> Row:
    """A resource's entry; names of its application that are no strings stand as what JSON has for them."""
    attributes = pairs_of(resource.attributes)
    named = plain(attributes)
    lossless = faithful(attributes, schema_url) and not resource.entity_refs
    return {
        "identity": resource_identity(resource, schema_url),
        "service_name": present(named.get("service.name"), "unknown_service"),
        "service_namespace": present(named.get("service.namespace"), ""),
        "environment": present(named.get("deployment.environment.name"), present(named.get("deployment.environment"), "")),
        "schema_url": clean(schema_url),
        "attributes": plain(attributes),
        "dropped_attributes_count": resource.dropped_attributes_count,
        "original": None if lossless else ResourceSpans(resource=resource, schema_url=schema_url).SerializeToString(),
    }


def present(value: Any, otherwise: Any) -> Any:
    """A value, unless it is empty or not there."""
    return otherwise if value is None or value == "" else value


def scope_row(scope: Any, schema_url: str) -> Row:
    """A scope's entry."""
    attributes = pairs_of(scope.attributes)
    lossless = faithful(attributes, scope.name, scope.version, schema_url)
    return {
        "identity": scope_identity(scope, schema_url),
        "name": clean(scope.name),
        "version": clean(scope.version),
        "schema_url": clean(schema_url),
        "attributes": plain(attributes),
        "dropped_attributes_count": scope.dropped_attributes_count,
        "original": None if lossless else ScopeSpans(scope=scope, schema_url=schema_url).SerializeToString(),
    }


def smallint(number: int) -> int:
    """An enum's number in its column."""
    return number if 0 <= number < SMALLINT_END else 0


def span_fault(span: Any) -> str | None:
    """Why a span is refused."""
    if not usable(span.trace_id, 16):
        return "invalid_trace_id"
    if not usable(span.span_id, 8):
        return "invalid_span_id"
    if len(span.parent_span_id) not in (0, 8):
        return "invalid_parent_span_id"
    if span.start_time_unix_nano == 0:
        return "missing_time"
    if span.start_time_unix_nano >= TIME_END or span.end_time_unix_nano >= TIME_END:
        return "time_out_of_range"
    return None


def span_row(span: Any, as_sent: bytes | None) -> Row:
    """``as_sent`` is its message where the strings of ``span`` are not those that were sent."""
    lossless = (
        faithful(pairs_of(span.attributes), span.name, span.status.message, span.trace_state)
        and all(faithful(event.name, pairs_of(event.attributes)) for event in span.events)
        and all(faithful(link.trace_state, pairs_of(link.attributes)) for link in span.links)
        and span.parent_span_id != bytes(8)
        and span.kind == smallint(span.kind)
        and span.status.code == smallint(span.status.code)
    )
    return {
        "start_time_unix_nano": span.start_time_unix_nano,
        "end_time_unix_nano": span.end_time_unix_nano,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id if any(span.parent_span_id) else None,
        "name": clean(span.name),
        "kind": smallint(span.kind),
        "status_code": smallint(span.status.code),
        "status_message": clean(span.status.message),
        "trace_state": clean(span.trace_state),
        "flags": span.flags,
        "attributes": plain(pairs_of(span.attributes)),
        "events": [event_json(event) for event in span.events] or None,
        "links": [link_json(link) for link in span.links] or None,
        "dropped_attributes_count": span.dropped_attributes_count,
        "dropped_events_count": span.dropped_events_count,
        "dropped_links_count": span.dropped_links_count,
        "original": as_sent or (None if lossless else span.SerializeToString()),
    }


def event_json(event: Any) -> Row:
    """An element of the column ``events``; a count of 0 is left out."""
    found = {"name": clean(event.name), "time_unix_nano": str(event.time_unix_nano), "attributes": plain(pairs_of(event.attributes))}
    if event.dropped_attributes_count:
        found["dropped_attributes_count"] = event.dropped_attributes_count
    return found


def link_json(link: Any) -> Row:
    """An element of the column ``links``; what is empty or 0 is left out, but ids."""
    found = {"trace_id": link.trace_id.hex(), "span_id": link.span_id.hex(), "attributes": plain(pairs_of(link.attributes))}
    if link.trace_state:
        found["trace_state"] = clean(link.trace_state)
    if link.flags:
        found["flags"] = link.flags
    if link.dropped_attributes_count:
        found["dropped_attributes_count"] = link.dropped_attributes_count
    return found


def log_fault(record: Any) -> str | None:
    """Why a log record is refused."""
    return "time_out_of_range" if max(record.time_unix_nano, record.observed_time_unix_nano) >= TIME_END else None


def log_row(record: Any, as_sent: bytes | None) -> Row:
    """``body`` is text, None, or ("JSON", what it parses to) where no string was sent."""
    attributes, body = pairs_of(record.attributes), value_of(record.body)
    trace_id = record.trace_id if usable(record.trace_id, 16) else None
    span_id = record.span_id if usable(record.span_id, 8) else None
    lossless = (
        faithful(attributes, body, record.severity_text, record.event_name)
        and (body is None or isinstance(body, str))
        and (trace_id or b"") == record.trace_id
        and (span_id or b"") == record.span_id
        and record.severity_number == smallint(record.severity_number)
    )
    return {
        "time_unix_nano": record.time_unix_nano,
        "observed_time_unix_nano": record.observed_time_unix_nano,
        "severity_number": smallint(record.severity_number),
        "severity_text": clean(record.severity_text),
        "event_name": clean(record.event_name),
        "body": clean(body) if isinstance(body, str) else None if body is None else ("JSON", plain(body)),
        "attributes": plain(attributes),
        "trace_id": trace_id,
        "span_id": span_id,
        "flags": record.flags,
        "dropped_attributes_count": record.dropped_attributes_count,
        "original": as_sent or (None if lossless else record.SerializeToString()),
    }
