"""Whole requests: the decoder against the reference, and JSON against protobuf."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings

from tests.decoders import Decoder
from tests.unit.otlp import reference, strategies
from tidegauge.model.batch import Batch, LogBatch, MetricBatch, Signal, SpanBatch
from tidegauge.otlp.encoding import Encoding

THOROUGH = settings(max_examples=100, deadline=None, database=None)
DECODER = Decoder()
JSON_COLUMNS = {"attributes", "labels", "events", "links", "filtered_attributes", "metadata"}
ENTRIES = {"resources", "scopes", "series", "metadata", "rejections"}


def entry(value: Any) -> dict[str, Any]:
    return {item.name: getattr(value, item.name) for item in fields(value)}


def parsed(row: dict[str, Any]) -> dict[str, Any]:
    return {key: json.loads(value) if key in JSON_COLUMNS and value is not None else value for key, value in row.items()}


def rows(batch: Any, columns: Any) -> list[dict[str, Any]]:
    """Rows of columns, with resources, scopes and series in the place of their indexes."""
    entries = ENTRIES if columns is batch else set()
    names = [item.name for item in fields(columns) if item.name not in entries]
    assert {len(getattr(columns, name)) for name in names} == {len(columns)}
    found = []
    for values in zip(*[getattr(columns, name) for name in names], strict=True):
        found.append(resolved(batch, parsed(dict(zip(names, values, strict=True)))))
    return found


def resolved(batch: Any, row: dict[str, Any]) -> dict[str, Any]:
    for name in ("resource", "scope", "series"):
        if name in row:
            row[name] = resolved(batch, parsed(entry(getattr(batch, name if name == "series" else name + "s")[row[name]])))
    return row


def rejected(batch: Batch) -> Counter[str]:
    found: Counter[str] = Counter()
    for rejection in batch.rejections:
        found[rejection.reason] += rejection.items
        assert rejection.sample is not None
    return found


def same(found: object, expected: object) -> None:
    """Equal with NaN equal to NaN, and 1, 1.0 and True apart. Keys of objects have no order."""
    assert shape(found) == shape(expected)


def shape(value: object) -> object:
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [shape(item) for item in value]
    return f"{type(value).__name__} {value!r}" if isinstance(value, bool | float | int) else value


@THOROUGH
@given(strategies.trace_requests)
def test_spans_are_what_the_reference_says(request: Any) -> None:
    batch = DECODER.decode(Signal.TRACES, request.SerializeToString(), Encoding.PROTOBUF)
    expected = reference.spans(request)
    assert isinstance(batch, SpanBatch)
    same(rows(batch, batch), expected.rows["items"])
    assert rejected(batch) == expected.rejected


@THOROUGH
@given(strategies.log_requests)
def test_logs_are_what_the_reference_says(request: Any) -> None:
    batch = DECODER.decode(Signal.LOGS, request.SerializeToString(), Encoding.PROTOBUF)
    expected = reference.logs(request)
    assert isinstance(batch, LogBatch)
    found = rows(batch, batch)
    for row, wanted in zip(found, expected.rows["items"], strict=True):
        if isinstance(wanted["body"], tuple):
            row["body"] = ("as JSON", json.loads(row["body"]))
    same(found, expected.rows["items"])
    assert rejected(batch) == expected.rejected


@THOROUGH
@given(strategies.metric_requests)
def test_metrics_are_what_the_reference_says(request: Any) -> None:
    batch = DECODER.decode(Signal.METRICS, request.SerializeToString(), Encoding.PROTOBUF)
    expected = reference.metrics(request)
    assert isinstance(batch, MetricBatch)
    for name in ("numbers", "histograms", "summaries", "exemplars"):
        same(rows(batch, getattr(batch, name)), expected.rows[name])
    assert rejected(batch) == expected.rejected
    metadata = [parsed(entry(item)) for item in batch.metadata]
    found = {
        (batch.resources[item["resource"]].identity, item["metric_name"], item["type"], item["unit"]): {
            "description": item["description"],
            "metadata": item["metadata"],
        }
        for item in metadata
    }
    same(found, expected.metadata)


@pytest.mark.parametrize("wide_as_text", [True, False])
@pytest.mark.parametrize("signal", Signal)
def test_json_decodes_as_protobuf_does(signal: Signal, wide_as_text: bool) -> None:
    requests = {
        Signal.TRACES: strategies.trace_requests,
        Signal.METRICS: strategies.metric_requests,
        Signal.LOGS: strategies.log_requests,
    }[signal]

    @settings(THOROUGH, max_examples=40)
    @given(requests)
    def check(request: Any) -> None:
        body = json.dumps(reference.otlp_json(request, wide_as_text)).encode()
        by_json = DECODER.decode(signal, body, Encoding.JSON)
        by_protobuf = DECODER.decode(signal, request.SerializeToString(), Encoding.PROTOBUF)
        assert repr(by_json) == repr(by_protobuf)

    check()
