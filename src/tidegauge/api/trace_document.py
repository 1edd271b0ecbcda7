"""A trace as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from tidegauge.api import formats
from tidegauge.api.formats import AttributesForm, Json
from tidegauge.api.shared import Shared
from tidegauge.model.records import Span, SpanEvent, SpanLink
from tidegauge.query.trace_tree import Node
from tidegauge.query.traces import Trace

_ERROR = 2


def encode(trace: Trace, form: AttributesForm) -> bytes:
    """The answer of ``GET /api/v1/traces/{trace_id}``."""
    shared = Shared(form)
    # First, because it fills the lists of resources and scopes.
    spans = b"".join(_trees(trace.roots, form, shared))
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
            "span_count": trace.span_count,
            "error_count": sum(span.status_code == _ERROR for span in trace.spans),
            "truncated": trace.truncated,
            "services": sorted({span.application.name for span in trace.spans}),
            "resources": shared.resources,
            "scopes": shared.scopes,
        }
    )
    return head[:-1] + b',"spans":' + spans + b"}"


def _trees(roots: Iterable[Node[Span]], form: AttributesForm, shared: Shared) -> Iterator[bytes]:
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
        yield separator + orjson.dumps(_span(node, form, shared))[:-1] + b',"children":['
        stack.append(iter(node.children))
        separator = b""


def _span(node: Node[Span], form: AttributesForm, shared: Shared) -> Json:
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
        "end_time": formats.time(span.end_time_unix_nano),
        "end_time_unix_nano": str(span.end_time_unix_nano),
        "duration_ns": span.end_time_unix_nano - span.start_time_unix_nano,
        "status": {"code": formats.status_code(span.status_code), "message": span.status_message},
        "trace_state": span.trace_state,
        "flags": span.flags,
        "attributes": form.attributes(span.attributes),
        "dropped_attributes_count": span.dropped_attributes_count,
        "events": [_event(event, form) for event in span.events],
        "dropped_events_count": span.dropped_events_count,
        "links": [_link(link, form) for link in span.links],
        "dropped_links_count": span.dropped_links_count,
        "resource": shared.resource(span.resource, span.application),
        "scope": shared.scope(span.scope),
    }


def _event(event: SpanEvent, form: AttributesForm) -> Json:
    return {
        "time": formats.time(event.time_unix_nano),
        "time_unix_nano": str(event.time_unix_nano),
        "name": event.name,
        "attributes": form.attributes(event.attributes),
        "dropped_attributes_count": event.dropped_attributes_count,
    }


def _link(link: SpanLink, form: AttributesForm) -> Json:
    return {
        "trace_id": link.trace_id,
        "span_id": link.span_id,
        "trace_state": link.trace_state,
        "flags": link.flags,
        "attributes": form.attributes(link.attributes),
        "dropped_attributes_count": link.dropped_attributes_count,
    }
