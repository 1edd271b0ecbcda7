"""A trace as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from tidegauge.api import formats
from tidegauge.api.formats import AttributeForm
from tidegauge.model.records import Resource, Scope, Span, SpanEvent, SpanLink
from tidegauge.query.trace_tree import Node
from tidegauge.query.traces import Trace


def encode(trace: Trace, form: AttributeForm) -> bytes:
    """The answer of ``GET /api/v1/traces/{trace_id}``. Resources and scopes stand once; spans refer to them by index."""
    writer = _Writer(form)
    spans = b"".join(writer.trees(trace.roots))
    start = min(span.start_time_unix_nano for span in trace.spans)
    end = max(span.end_time_unix_nano for span in trace.spans)
    head = orjson.dumps(
        {
            "trace_id": trace.trace_id,
            "start_time": formats.time(start),
            "start_time_unix_nano": str(start),
            "end_time": formats.time(end),
            "end_time_unix_nano": str(end),
            "duration_ns": end - start,
            "span_count": len(trace.spans),
            "error_count": sum(span.status_code == 2 for span in trace.spans),
            "truncated": trace.truncated,
            "services": sorted({span.application.name for span in trace.spans}),
            "resources": writer.resources,
            "scopes": writer.scopes,
        }
    )
    return head[:-1] + b',"spans":' + spans + b"}"


class _Writer:
    def __init__(self, form: AttributeForm) -> None:
        self.resources: list[dict[str, Any]] = []
        self.scopes: list[dict[str, Any]] = []
        self._form = form
        self._places: dict[int, int] = {}

    def trees(self, roots: Iterable[Node[Span]]) -> Iterator[bytes]:
        """A JSON array of trees in pieces. Neither our own stack nor orjson's limit of 254 levels bounds their depth."""
        yield b"["
        stack: list[Iterator[Node[Span]]] = [iter(roots)]
        separator = b""
        while stack:
            node = next(stack[-1], None)
            if node is None:
                stack.pop()
                yield b"]}" if stack else b"]"
                separator = b","
                continue
            yield separator + orjson.dumps(self._span(node))[:-1] + b',"children":['
            stack.append(iter(node.children))
            separator = b""

    def _span(self, node: Node[Span]) -> dict[str, Any]:
        span = node.span
        return {
            "span_id": span.span_id,
            "parent_span_id": span.parent_span_id or None,
            "detached": node.detached.value if node.detached else None,
            "name": span.name,
            "kind": formats.span_kind(span.kind),
            "service": span.application.name,
            "start_time": formats.time(span.start_time_unix_nano),
            "start_time_unix_nano": str(span.start_time_unix_nano),
            "end_time_unix_nano": str(span.end_time_unix_nano),
            "duration_ns": span.end_time_unix_nano - span.start_time_unix_nano,
            "status": {"code": formats.status_code(span.status_code), "message": span.status_message},
            "trace_state": span.trace_state,
            "flags": span.flags,
            "attributes": self._form(span.attributes),
            "dropped_attributes_count": span.dropped_attributes_count,
            "events": [self._event(event) for event in span.events],
            "dropped_events_count": span.dropped_events_count,
            "links": [self._link(link) for link in span.links],
            "dropped_links_count": span.dropped_links_count,
            "resource": self._place_resource(span),
            "scope": self._place_scope(span.scope),
        }

    def _event(self, event: SpanEvent) -> dict[str, Any]:
        return {
            "time": formats.time(event.time_unix_nano),
            "time_unix_nano": str(event.time_unix_nano),
            "name": event.name,
            "attributes": self._form(event.attributes),
            "dropped_attributes_count": event.dropped_attributes_count,
        }

    def _link(self, link: SpanLink) -> dict[str, Any]:
        return {
            "trace_id": link.trace_id,
            "span_id": link.span_id,
            "trace_state": link.trace_state,
            "flags": link.flags,
            "attributes": self._form(link.attributes),
            "dropped_attributes_count": link.dropped_attributes_count,
        }

    def _place_resource(self, span: Span) -> int:
        place = self._places.get(id(span.resource))
        if place is None:
            place = self._places[id(span.resource)] = len(self.resources)
            self.resources.append(
                {
                    "application_id": span.application.application_id,
                    "namespace": span.application.namespace,
                    "service": span.application.name,
                    "environment": span.application.environment,
                }
                | resource_document(span.resource, self._form)
            )
        return place

    def _place_scope(self, scope: Scope) -> int:
        place = self._places.get(id(scope))
        if place is None:
            place = self._places[id(scope)] = len(self.scopes)
            self.scopes.append(scope_document(scope, self._form))
        return place


def resource_document(resource: Resource, form: AttributeForm) -> dict[str, Any]:
    """A resource."""
    return {
        "attributes": form(resource.attributes),
        "dropped_attributes_count": resource.dropped_attributes_count,
        "schema_url": resource.schema_url,
    }


def scope_document(scope: Scope, form: AttributeForm) -> dict[str, Any]:
    """An instrumentation scope."""
    return {
        "name": scope.name,
        "version": scope.version,
        "attributes": form(scope.attributes),
        "dropped_attributes_count": scope.dropped_attributes_count,
        "schema_url": scope.schema_url,
    }
