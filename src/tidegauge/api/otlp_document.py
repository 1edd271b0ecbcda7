"""A trace as OTLP/JSON TracesData (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): ids hex, 64-bit integers strings."""

from __future__ import annotations

from typing import Any

import orjson

from tidegauge.model.records import EntityRef, Span
from tidegauge.otlp.typed_json import typed_attributes
from tidegauge.query.traces import Trace


def encode(trace: Trace) -> bytes:
    """Spans grouped as they were sent: by resource and scope. Fields that have their default are left out."""
    resources: dict[int, dict[str, Any]] = {}
    scopes: dict[tuple[int, int], dict[str, Any]] = {}
    for span in trace.spans:
        group = resources.get(id(span.resource))
        if group is None:
            group = resources[id(span.resource)] = _group(span)
        key = (id(span.resource), id(span.scope))
        if key not in scopes:
            scopes[key] = _scope(span)
            group["scopeSpans"].append(scopes[key])
        scopes[key]["spans"].append(_span(span))
    return orjson.dumps({"resourceSpans": list(resources.values())})


def _group(span: Span) -> dict[str, Any]:
    resource = span.resource
    return {
        "resource": _without_defaults(
            {
                "attributes": typed_attributes(resource.attributes),
                "droppedAttributesCount": resource.dropped_attributes_count,
                "entityRefs": [_entity(reference) for reference in resource.entity_refs],
            }
        ),
        "scopeSpans": [],
    } | _without_defaults({"schemaUrl": resource.schema_url})


def _entity(reference: EntityRef) -> dict[str, Any]:
    return _without_defaults(
        {
            "schemaUrl": reference.schema_url,
            "type": reference.type,
            "idKeys": reference.id_keys,
            "descriptionKeys": reference.description_keys,
        }
    )


def _scope(span: Span) -> dict[str, Any]:
    scope = span.scope
    return {
        "scope": _without_defaults(
            {
                "name": scope.name,
                "version": scope.version,
                "attributes": typed_attributes(scope.attributes),
                "droppedAttributesCount": scope.dropped_attributes_count,
            }
        ),
        "spans": [],
    } | _without_defaults({"schemaUrl": scope.schema_url})


def _span(span: Span) -> dict[str, Any]:
    return _without_defaults(
        {
            "traceId": span.trace_id,
            "spanId": span.span_id,
            "traceState": span.trace_state,
            "parentSpanId": span.parent_span_id,
            "flags": span.flags,
            "name": span.name,
            "kind": span.kind,
            "startTimeUnixNano": str(span.start_time_unix_nano),
            "endTimeUnixNano": str(span.end_time_unix_nano),
            "attributes": typed_attributes(span.attributes),
            "droppedAttributesCount": span.dropped_attributes_count,
            "events": [
                _without_defaults(
                    {
                        "timeUnixNano": str(event.time_unix_nano),
                        "name": event.name,
                        "attributes": typed_attributes(event.attributes),
                        "droppedAttributesCount": event.dropped_attributes_count,
                    }
                )
                for event in span.events
            ],
            "droppedEventsCount": span.dropped_events_count,
            "links": [
                _without_defaults(
                    {
                        "traceId": link.trace_id,
                        "spanId": link.span_id,
                        "traceState": link.trace_state,
                        "attributes": typed_attributes(link.attributes),
                        "droppedAttributesCount": link.dropped_attributes_count,
                        "flags": link.flags,
                    }
                )
                for link in span.links
            ],
            "droppedLinksCount": span.dropped_links_count,
            "status": _without_defaults({"message": span.status_message, "code": span.status_code}),
        }
    )


def _without_defaults(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if value}
