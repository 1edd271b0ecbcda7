"""Values in OTLP/JSON and in plain JSON."""

from __future__ import annotations

import json

from hypothesis import given, settings
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from tests.unit.otlp import strategies
from tests.unit.otlp.reference import canonical, model_pairs
from tidegauge.model.attributes import KeyValues
from tidegauge.otlp.json import JsonReader
from tidegauge.otlp.rejections import Rejections
from tidegauge.otlp.typed_json import plain_attributes, plain_value, typed_attributes, typed_value
from tidegauge.otlp.values import model_value


@settings(max_examples=150, deadline=None, database=None)
@given(strategies.values)
def test_typed_values_read_as_otlp_json_are_the_same_values(value: AnyValue) -> None:
    sent = model_value(value)
    attributes = [{"key": "k", "value": typed_value(sent)}]
    body = json.dumps({"resourceSpans": [{"resource": {"attributes": attributes}}]}, allow_nan=False)
    found = JsonReader().read(ExportTraceServiceRequest, body.encode(), Rejections())
    assert canonical(model_pairs(found.resource_spans[0].resource.attributes)) == canonical(KeyValues([("k", sent)]))


def test_typed_attributes() -> None:
    pairs = KeyValues([("a", 2**63 - 1), ("a", b"\xff"), ("n", KeyValues([("x", None)])), ("l", (True, -0.0, float("-inf")))])
    assert typed_attributes(pairs) == [
        {"key": "a", "value": {"intValue": "9223372036854775807"}},
        {"key": "a", "value": {"bytesValue": "/w=="}},
        {"key": "n", "value": {"kvlistValue": {"values": [{"key": "x", "value": {}}]}}},
        {"key": "l", "value": {"arrayValue": {"values": [{"boolValue": True}, {"doubleValue": -0.0}, {"doubleValue": "-Infinity"}]}}},
    ]


def test_plain_attributes() -> None:
    pairs = KeyValues([("a", 1), ("a", b"\xff"), ("n", KeyValues([("x", None)])), ("l", (True, 1.5, float("nan")))])
    assert plain_attributes(pairs) == {"a": "/w==", "n": {"x": None}, "l": [True, 1.5, "NaN"]}


@settings(max_examples=80, deadline=None, database=None)
@given(strategies.values)
def test_plain_values_are_json(value: AnyValue) -> None:
    plain = plain_value(model_value(value))
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
