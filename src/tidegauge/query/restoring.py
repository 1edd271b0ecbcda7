"""Stored records to what was sent: ``original`` where there is one, else the columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tidegauge.model.attributes import AnyValue, KeyValues
from tidegauge.model.records import Resource, Scope, Span, SpanEvent, SpanLink, StoredResource, StoredScope, StoredSpan


class Restorer:
    """Restores the records of one answer. Resources and scopes, which many rows share, are restored once."""

    def __init__(self) -> None:
        self._resources: dict[int, Resource] = {}
        self._scopes: dict[int, Scope] = {}

    def resource(self, stored: StoredResource) -> Resource:
        """The resource as it was sent."""
        found = self._resources.get(id(stored))
        if found is None:
            found = self._resources[id(stored)] = Resource(pairs(stored.attributes), stored.dropped_attributes_count, stored.schema_url)
        return found

    def scope(self, stored: StoredScope) -> Scope:
        """The scope as it was sent."""
        found = self._scopes.get(id(stored))
        if found is None:
            found = self._scopes[id(stored)] = Scope(
                stored.name, stored.version, pairs(stored.attributes), stored.dropped_attributes_count, stored.schema_url
            )
        return found

    def span(self, stored: StoredSpan) -> Span:
        """The span as it was sent."""
        return Span(
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
            attributes=pairs(stored.attributes),
            dropped_attributes_count=stored.dropped_attributes_count,
            events=tuple([_event(item) for item in _items(stored.events)]),
            dropped_events_count=stored.dropped_events_count,
            links=tuple([_link(item) for item in _items(stored.links)]),
            dropped_links_count=stored.dropped_links_count,
            application=stored.resource.application,
            resource=self.resource(stored.resource),
            scope=self.scope(stored.scope),
        )


def value(parsed: object) -> AnyValue:
    """A value of parsed JSON."""
    if isinstance(parsed, Mapping):
        return pairs(parsed)
    if isinstance(parsed, list):
        return tuple([value(item) for item in parsed])
    assert parsed is None or isinstance(parsed, bool | int | float | str)
    return parsed


def pairs(parsed: object) -> KeyValues:
    """Key-values of a parsed JSON object."""
    return KeyValues([(key, value(item)) for key, item in parsed.items()]) if isinstance(parsed, Mapping) else KeyValues()


def _items(parsed: object) -> Sequence[Mapping[str, Any]]:
    return parsed if isinstance(parsed, list) else ()


def _event(item: Mapping[str, Any]) -> SpanEvent:
    return SpanEvent(
        time_unix_nano=int(item["time_unix_nano"]),
        name=item["name"],
        attributes=pairs(item.get("attributes")),
        dropped_attributes_count=item.get("dropped_attributes_count", 0),
    )


def _link(item: Mapping[str, Any]) -> SpanLink:
    return SpanLink(
        trace_id=item["trace_id"],
        span_id=item["span_id"],
        trace_state=item.get("trace_state", ""),
        attributes=pairs(item.get("attributes")),
        dropped_attributes_count=item.get("dropped_attributes_count", 0),
        flags=item.get("flags", 0),
    )
