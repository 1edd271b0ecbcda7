"""Strings that are not UTF-8: the request is stored, with U+FFFD where something cannot be read, and what was sent is kept."""

from __future__ import annotations

import json

import pytest
from opentelemetry.proto.common.v1.common_pb2 import EntityRef
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from tests.decoders import Decoder
from tests.unit.otlp.test_wire import NOW, SPAN, field
from tidegauge.errors import InvalidArgument
from tidegauge.model.attributes import KeyValues
from tidegauge.model.batch import LogBatch, MetricBatch, Signal, SpanBatch
from tidegauge.otlp import wire
from tidegauge.otlp.encoding import Encoding
from tidegauge.otlp.restore import restore_log, restore_span

BAD, SHOWN = b"caf\xe9", "caf\ufffd"
ATTRIBUTE = field(1, BAD) + field(2, field(1, BAD))


def body(items: bytes, resource: bytes = b"") -> bytes:
    return field(1, field(1, resource) + field(2, items))


@pytest.mark.parametrize("part_bytes", [1 << 17, 8], ids=["whole", "in parts"])
def test_spans_are_stored_and_what_was_sent_is_kept(monkeypatch: pytest.MonkeyPatch, part_bytes: int) -> None:
    monkeypatch.setattr(wire, "PART_BYTES", part_bytes)
    event = field(11, field(2, BAD))
    bad = SPAN + field(9, ATTRIBUTE) + event
    batch = Decoder().decode(Signal.TRACES, body(field(2, SPAN) + field(2, bad) + field(2, SPAN), field(1, ATTRIBUTE)), Encoding.PROTOBUF)
    assert isinstance(batch, SpanBatch)
    assert [json.loads(attributes) for attributes in batch.attributes] == [{}, {SHOWN: SHOWN}, {}]
    assert [original is None for original in batch.original] == [True, False, True]
    original = batch.original[1]
    assert original is not None
    assert original.count(BAD) == 3
    assert json.loads(batch.resources[batch.resource[1]].attributes) == {SHOWN: SHOWN}
    [warning] = batch.rejections
    assert (warning.reason, warning.items) == ("invalid_text", 0)
    restored = restore_span(original)
    assert (restored["name"], restored["attributes"]) == ("span", KeyValues([(SHOWN, SHOWN)]))
    assert [found.name for found in restored["events"]] == [SHOWN]


def test_log_records_are_stored_and_what_was_sent_is_kept() -> None:
    record = b"\x09" + NOW.to_bytes(8, "little") + field(3, BAD) + field(5, field(1, BAD))
    batch = Decoder().decode(Signal.LOGS, body(field(2, record)), Encoding.PROTOBUF)
    assert isinstance(batch, LogBatch)
    assert (batch.body, batch.severity_text, batch.original) == ([SHOWN], [SHOWN], [record])
    restored = restore_log(record)
    assert (restored["body"], restored["severity_text"]) == (SHOWN, SHOWN)


def test_points_are_stored() -> None:
    point = b"\x19" + NOW.to_bytes(8, "little") + b"\x21" + bytes(8) + field(7, ATTRIBUTE)
    batch = Decoder().decode(Signal.METRICS, body(field(2, field(1, BAD) + field(5, field(1, point)))), Encoding.PROTOBUF)
    assert isinstance(batch, MetricBatch)
    [series] = batch.series
    assert (series.metric_name, json.loads(series.labels)) == (SHOWN, {SHOWN: SHOWN})


def test_lists_of_strings_are_repaired() -> None:
    resource = (
        Resource(entity_refs=[EntityRef(type="service", id_keys=["good", "x", "last"])]).SerializeToString().replace(b"\x01x", b"\x01\xff")
    )
    batch = Decoder().decode(Signal.TRACES, body(field(2, SPAN), resource), Encoding.PROTOBUF)
    original = batch.resources[0].original
    assert original is not None
    assert list(ResourceSpans.FromString(original).resource.entity_refs[0].id_keys) == ["good", "\ufffd", "last"]


def test_what_is_malformed_besides_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="Wire format was corrupt"):
        Decoder().decode(Signal.TRACES, body(field(2, SPAN + field(5, BAD) + b"\x0a")), Encoding.PROTOBUF)
