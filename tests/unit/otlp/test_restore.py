"""What was sent comes back: from the columns through jsonb, or from ``original`` where a row has one."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.decoders import Decoder
from tests.unit.otlp import reference, strategies
from tests.unit.otlp.reference import canonical, model, model_pairs, through_jsonb
from tidegauge.model.batch import LogBatch, Signal, SpanBatch
from tidegauge.model.records import EntityRef
from tidegauge.otlp import restore
from tidegauge.otlp.encoding import Encoding
from tidegauge.otlp.origins import resource_entry, scope_entry

QUICK = settings(max_examples=80, deadline=None, database=None)


def stored(column: bytes | None) -> Any:
    return None if column is None else through_jsonb(column)


def span_as_sent(span: Any) -> dict[str, Any]:
    return {
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex(),
        "trace_state": span.trace_state,
        "flags": span.flags,
        "name": span.name,
        "kind": span.kind,
        "start_time_unix_nano": span.start_time_unix_nano,
        "end_time_unix_nano": span.end_time_unix_nano,
        "status_code": span.status.code,
        "status_message": span.status.message,
        "attributes": canonical(model_pairs(span.attributes)),
        "dropped_attributes_count": span.dropped_attributes_count,
        "events": [
            (event.time_unix_nano, event.name, canonical(model_pairs(event.attributes)), event.dropped_attributes_count)
            for event in span.events
        ],
        "dropped_events_count": span.dropped_events_count,
        "links": [
            (
                link.trace_id.hex(),
                link.span_id.hex(),
                link.trace_state,
                canonical(model_pairs(link.attributes)),
                link.dropped_attributes_count,
                link.flags,
            )
            for link in span.links
        ],
        "dropped_links_count": span.dropped_links_count,
    }


def span_from_columns(batch: SpanBatch) -> restore.SpanFields:
    return restore.SpanFields(
        trace_id=batch.trace_id[0].hex(),
        span_id=batch.span_id[0].hex(),
        parent_span_id=(batch.parent_span_id[0] or b"").hex(),
        trace_state=batch.trace_state[0],
        flags=batch.flags[0],
        name=batch.name[0],
        kind=batch.kind[0],
        start_time_unix_nano=batch.start_time_unix_nano[0],
        end_time_unix_nano=batch.end_time_unix_nano[0],
        status_code=batch.status_code[0],
        status_message=batch.status_message[0],
        attributes=restore.attributes_from_json(stored(batch.attributes[0])),
        dropped_attributes_count=batch.dropped_attributes_count[0],
        events=restore.events_from_json(stored(batch.events[0])),
        dropped_events_count=batch.dropped_events_count[0],
        links=restore.links_from_json(stored(batch.links[0])),
        dropped_links_count=batch.dropped_links_count[0],
    )


def comparable_span(fields: restore.SpanFields) -> dict[str, Any]:
    events = [(e.time_unix_nano, e.name, canonical(e.attributes), e.dropped_attributes_count) for e in fields["events"]]
    links = [(k.trace_id, k.span_id, k.trace_state, canonical(k.attributes), k.dropped_attributes_count, k.flags) for k in fields["links"]]
    return {**fields, "attributes": canonical(fields["attributes"]), "events": events, "links": links}


@QUICK
@given(strategies.good_spans.filter(lambda span: reference.span_fault(span) is None))
def test_a_span_comes_back(span: Span) -> None:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add(spans=[span])
    batch = Decoder().decode(Signal.TRACES, request.SerializeToString(), Encoding.PROTOBUF)
    assert isinstance(batch, SpanBatch)
    original = batch.original[0]
    found = restore.restore_span(original) if original is not None else span_from_columns(batch)
    assert comparable_span(found) == span_as_sent(span)


@QUICK
@given(strategies.log_records.filter(lambda record: max(record.time_unix_nano, record.observed_time_unix_nano) < 2**63))
def test_a_log_record_comes_back(record: LogRecord) -> None:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add(log_records=[record])
    batch = Decoder().decode(Signal.LOGS, request.SerializeToString(), Encoding.PROTOBUF)
    assert isinstance(batch, LogBatch)
    original = batch.original[0]
    if original is not None:
        found = restore.restore_log(original)
    else:
        found = restore.LogFields(
            time_unix_nano=batch.time_unix_nano[0],
            observed_time_unix_nano=batch.observed_time_unix_nano[0],
            severity_number=batch.severity_number[0],
            severity_text=batch.severity_text[0],
            event_name=batch.event_name[0],
            body=batch.body[0],
            attributes=restore.attributes_from_json(stored(batch.attributes[0])),
            dropped_attributes_count=batch.dropped_attributes_count[0],
            trace_id=(batch.trace_id[0] or b"").hex(),
            span_id=(batch.span_id[0] or b"").hex(),
            flags=batch.flags[0],
        )
    assert {**found, "body": canonical(found["body"]), "attributes": canonical(found["attributes"])} == {
        "time_unix_nano": record.time_unix_nano,
        "observed_time_unix_nano": record.observed_time_unix_nano,
        "severity_number": record.severity_number,
        "severity_text": record.severity_text,
        "event_name": record.event_name,
        "body": canonical(model(record.body)),
        "attributes": canonical(model_pairs(record.attributes)),
        "dropped_attributes_count": record.dropped_attributes_count,
        "trace_id": record.trace_id.hex(),
        "span_id": record.span_id.hex(),
        "flags": record.flags,
    }


@QUICK
@given(strategies.resources, st.sampled_from(["https://example.test/1", "nul\0"]))
def test_a_resource_comes_back(resource: Resource, schema_url: str) -> None:
    entry = resource_entry(resource, schema_url)
    assert entry.original is not None or entry.schema_url == schema_url
    if entry.original is not None:
        found = restore.restore_resource(entry.original)
        assert (found.dropped_attributes_count, found.schema_url) == (resource.dropped_attributes_count, schema_url)
        attributes = found.attributes
    else:
        attributes = restore.attributes_from_json(stored(entry.attributes))
    assert canonical(attributes) == canonical(model_pairs(resource.attributes))


def test_entity_references_of_a_resource_are_kept() -> None:
    resource = Resource()
    resource.entity_refs.add(type="service", id_keys=["service.name"])
    original = resource_entry(resource, "").original
    assert original is not None
    assert restore.restore_resource(original).entity_refs == (EntityRef("", "service", ("service.name",), ()),)


@QUICK
@given(strategies.scopes, st.sampled_from(["https://example.test/1", "nul\0"]))
def test_a_scope_comes_back(scope: InstrumentationScope, schema_url: str) -> None:
    entry = scope_entry(scope, schema_url)
    assert entry.original is not None or entry.schema_url == schema_url
    found = (entry.name, entry.version, restore.attributes_from_json(stored(entry.attributes)), entry.dropped_attributes_count)
    if entry.original is not None:
        restored = restore.restore_scope(entry.original)
        found = (restored.name, restored.version, restored.attributes, restored.dropped_attributes_count)
        assert restored.schema_url == schema_url
    name, version, attributes, dropped = found
    assert (name, version, dropped) == (scope.name, scope.version, scope.dropped_attributes_count)
    assert canonical(attributes) == canonical(model_pairs(scope.attributes))


@QUICK
@given(strategies.attributes)
def test_labels_come_back_from_their_message(attributes: Any) -> None:
    message = KeyValueList(values=attributes)
    assert canonical(restore.restore_labels(message.SerializeToString())) == canonical(model_pairs(attributes))


@QUICK
@given(strategies.exemplars)
def test_an_exemplar_comes_back_from_its_message(exemplar: Exemplar) -> None:
    found = restore.restore_exemplar(exemplar.SerializeToString())
    kind = exemplar.WhichOneof("value")
    assert repr(found["value"]) == repr(getattr(exemplar, kind) if kind else None)
    assert found["time_unix_nano"] == exemplar.time_unix_nano
    assert (found["trace_id"], found["span_id"]) == (exemplar.trace_id.hex(), exemplar.span_id.hex())
    assert canonical(found["filtered_attributes"]) == canonical(model_pairs(exemplar.filtered_attributes))


def test_absent_columns_are_empty() -> None:
    assert restore.attributes_from_json(None) == ()
    assert restore.events_from_json(None) == ()
    assert restore.links_from_json(None) == ()
