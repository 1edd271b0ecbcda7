"""Stored columns back to the model: from JSON columns, and from ``original`` messages where these are not faithful.

An ``original`` is the item's own OTLP message as it was sent (of a resource or scope the ResourceSpans or ScopeSpans around it, which has
its schema URL); where a row has one, it counts and the columns do not. Strings in it that are
not UTF-8 are restored as the columns have them, with U+FFFD in the place of what cannot be read: ``original`` alone holds the bytes sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict, TypeVar

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as LogRecordMessage
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar as ExemplarMessage
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ResourceMessage
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from tidegauge.model.attributes import AnyValue, KeyValues
from tidegauge.model.records import EntityRef, Resource, Scope, SpanEvent, SpanLink
from tidegauge.otlp.utf8 import Repair
from tidegauge.otlp.values import model_pairs, model_value

Item = TypeVar("Item", bound=Message)


class SpanFields(TypedDict):
    """The fields of ``model.records.Span`` that its message holds: all but application, resource and scope."""

    trace_id: str
    span_id: str
    parent_span_id: str
    trace_state: str
    flags: int
    name: str
    kind: int
    start_time_unix_nano: int
    end_time_unix_nano: int
    status_code: int
    status_message: str
    attributes: KeyValues
    dropped_attributes_count: int
    events: tuple[SpanEvent, ...]
    dropped_events_count: int
    links: tuple[SpanLink, ...]
    dropped_links_count: int


class LogFields(TypedDict):
    """The fields of ``model.records.LogRecord`` that its message holds."""

    time_unix_nano: int
    observed_time_unix_nano: int
    severity_number: int
    severity_text: str
    event_name: str
    body: AnyValue
    attributes: KeyValues
    dropped_attributes_count: int
    trace_id: str
    span_id: str
    flags: int


class ExemplarFields(TypedDict):
    """An exemplar as it was sent; ids in lower-case hex."""

    time_unix_nano: int
    value: float | int | None
    trace_id: str
    span_id: str
    filtered_attributes: KeyValues


def restore_span(original: bytes) -> SpanFields:
    """A span from its Span message: ``Span(**restore_span(original), application=…, resource=…, scope=…)``."""
    span = _parsed(SpanMessage, original)
    return SpanFields(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex(),
        trace_state=span.trace_state,
        flags=span.flags,
        name=span.name,
        kind=span.kind,
        start_time_unix_nano=span.start_time_unix_nano,
        end_time_unix_nano=span.end_time_unix_nano,
        status_code=span.status.code,
        status_message=span.status.message,
        attributes=model_pairs(span.attributes),
        dropped_attributes_count=span.dropped_attributes_count,
        events=tuple(_event(event) for event in span.events),
        dropped_events_count=span.dropped_events_count,
        links=tuple(_link(link) for link in span.links),
        dropped_links_count=span.dropped_links_count,
    )


def restore_log(original: bytes) -> LogFields:
    """A log record from its LogRecord message."""
    record = _parsed(LogRecordMessage, original)
    return LogFields(
        time_unix_nano=record.time_unix_nano,
        observed_time_unix_nano=record.observed_time_unix_nano,
        severity_number=record.severity_number,
        severity_text=record.severity_text,
        event_name=record.event_name,
        body=model_value(record.body),
        attributes=model_pairs(record.attributes),
        dropped_attributes_count=record.dropped_attributes_count,
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
        flags=record.flags,
    )


def restore_resource(original: bytes) -> Resource:
    """A resource from a ResourceSpans message without spans, which has its schema URL as well."""
    sent = ResourceSpans.FromString(original)
    return model_resource(sent.resource, sent.schema_url)


def restore_scope(original: bytes) -> Scope:
    """A scope from a ScopeSpans message without spans, which has its schema URL as well."""
    sent = ScopeSpans.FromString(original)
    return model_scope(sent.scope, sent.schema_url)


def model_resource(resource: ResourceMessage, schema_url: str) -> Resource:
    """The model's resource of a message, exactly."""
    return Resource(
        model_pairs(resource.attributes),
        resource.dropped_attributes_count,
        schema_url,
        tuple([EntityRef(ref.schema_url, ref.type, tuple(ref.id_keys), tuple(ref.description_keys)) for ref in resource.entity_refs]),
    )


def model_scope(scope: InstrumentationScope, schema_url: str) -> Scope:
    """The model's scope of a message, exactly."""
    return Scope(scope.name, scope.version, model_pairs(scope.attributes), scope.dropped_attributes_count, schema_url)


def restore_labels(original: bytes) -> KeyValues:
    """A series' labels from their KeyValueList message."""
    return model_pairs(KeyValueList.FromString(original).values)


def restore_exemplar(original: bytes) -> ExemplarFields:
    """An exemplar from its Exemplar message."""
    exemplar = ExemplarMessage.FromString(original)
    kind = exemplar.WhichOneof("value")
    return ExemplarFields(
        time_unix_nano=exemplar.time_unix_nano,
        value=None if kind is None else getattr(exemplar, kind),
        trace_id=exemplar.trace_id.hex(),
        span_id=exemplar.span_id.hex(),
        filtered_attributes=model_pairs(exemplar.filtered_attributes),
    )


def attributes_from_json(column: Mapping[str, Any] | None) -> KeyValues:
    """Attributes from a parsed JSON column (attributes, labels, filtered_attributes); None is none.

    The parser must keep integers and floats apart, as ``json`` and ``orjson`` do.
    """
    return KeyValues([(key, _from_json(value)) for key, value in column.items()]) if column else KeyValues()


def events_from_json(column: Sequence[Mapping[str, Any]] | None) -> tuple[SpanEvent, ...]:
    """Events from a parsed JSON column; None is none."""
    return tuple(
        SpanEvent(
            int(event["time_unix_nano"]),
            event["name"],
            attributes_from_json(event["attributes"]),
            event.get("dropped_attributes_count", 0),
        )
        for event in column or ()
    )


def links_from_json(column: Sequence[Mapping[str, Any]] | None) -> tuple[SpanLink, ...]:
    """Links from a parsed JSON column; None is none."""
    return tuple(
        SpanLink(
            link["trace_id"],
            link["span_id"],
            link.get("trace_state", ""),
            attributes_from_json(link["attributes"]),
            link.get("dropped_attributes_count", 0),
            link.get("flags", 0),
        )
        for link in column or ()
    )


def _parsed(type_: type[Item], original: bytes) -> Item:
    try:
        return type_.FromString(original)
    except DecodeError:
        return Repair(type_).read(original)[0]


def _from_json(value: Any) -> AnyValue:
    if isinstance(value, dict):
        return attributes_from_json(value)
    if isinstance(value, list):
        return _tuple(value)
    result: AnyValue = value
    return result


def _tuple(values: Iterable[Any]) -> tuple[AnyValue, ...]:
    return tuple([_from_json(value) for value in values])


def _event(event: SpanMessage.Event) -> SpanEvent:
    return SpanEvent(event.time_unix_nano, event.name, model_pairs(event.attributes), event.dropped_attributes_count)


def _link(link: SpanMessage.Link) -> SpanLink:
    return SpanLink(
        link.trace_id.hex(),
        link.span_id.hex(),
        link.trace_state,
        model_pairs(link.attributes),
        link.dropped_attributes_count,
        link.flags,
    )
