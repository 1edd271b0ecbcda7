"""Stored records to what was sent: ``original`` where there is one, else the columns."""

from __future__ import annotations

from typing import Any

from tidegauge.model.records import LogRecord, Resource, Scope, Span, StoredLog, StoredResource, StoredScope, StoredSpan
from tidegauge.otlp import restore


class Restorer:
    """Restores the records of one answer. Resources and scopes, which many rows share, are restored once."""

    def __init__(self) -> None:
        # Keyed by id(): the stored record is kept beside what became of it, so that no other object can take its id.
        self._resources: dict[int, tuple[StoredResource, Resource]] = {}
        self._scopes: dict[int, tuple[StoredScope, Scope]] = {}

    def resource(self, stored: StoredResource) -> Resource:
        """The resource as it was sent."""
        found = self._resources.get(id(stored))
        if found is None:
            found = self._resources[id(stored)] = (stored, _resource(stored))
        return found[1]

    def scope(self, stored: StoredScope) -> Scope:
        """The scope as it was sent."""
        found = self._scopes.get(id(stored))
        if found is None:
            found = self._scopes[id(stored)] = (stored, _scope(stored))
        return found[1]

    def span(self, stored: StoredSpan) -> Span:
        """The span as it was sent."""
        return Span(
            **(_span(stored) if stored.original is None else restore.restore_span(stored.original)),
            application=stored.resource.application,
            resource=self.resource(stored.resource),
            scope=self.scope(stored.scope),
        )

    def log(self, stored: StoredLog) -> LogRecord:
        """The log record as it was sent."""
        return LogRecord(
            **(_log(stored) if stored.original is None else restore.restore_log(stored.original)),
            log_id=stored.log_id,
            timestamp_unix_nano=stored.timestamp_unix_nano,
            application=stored.resource.application,
            resource=self.resource(stored.resource),
            scope=self.scope(stored.scope),
        )


def _attributes(parsed: Any) -> Any:
    return restore.attributes_from_json(parsed)


def _resource(stored: StoredResource) -> Resource:
    if stored.original is not None:
        return restore.restore_resource(stored.original)
    return Resource(_attributes(stored.attributes), stored.dropped_attributes_count, stored.schema_url)


def _scope(stored: StoredScope) -> Scope:
    if stored.original is not None:
        return restore.restore_scope(stored.original)
    return Scope(stored.name, stored.version, _attributes(stored.attributes), stored.dropped_attributes_count, stored.schema_url)


def _span(stored: StoredSpan) -> restore.SpanFields:
    events: Any = stored.events
    links: Any = stored.links
    return restore.SpanFields(
        trace_id=stored.trace_id,
        span_id=stored.span_id,
        parent_span_id=stored.parent_span_id,
        trace_state=stored.trace_state,
        flags=stored.flags,
        name=stored.name,
        kind=stored.kind,
        start_time_unix_nano=stored.start_time_unix_nano,
        end_time_unix_nano=stored.start_time_unix_nano + stored.duration_ns,
        status_code=stored.status_code,
        status_message=stored.status_message,
        attributes=_attributes(stored.attributes),
        dropped_attributes_count=stored.dropped_attributes_count,
        events=restore.events_from_json(events),
        dropped_events_count=stored.dropped_events_count,
        links=restore.links_from_json(links),
        dropped_links_count=stored.dropped_links_count,
    )


def _log(stored: StoredLog) -> restore.LogFields:
    return restore.LogFields(
        time_unix_nano=stored.time_unix_nano,
        observed_time_unix_nano=stored.observed_time_unix_nano,
        severity_number=stored.severity_number,
        severity_text=stored.severity_text,
        event_name=stored.event_name,
        body=stored.body,
        attributes=_attributes(stored.attributes),
        dropped_attributes_count=stored.dropped_attributes_count,
        trace_id=stored.trace_id,
        span_id=stored.span_id,
        flags=stored.flags,
    )
