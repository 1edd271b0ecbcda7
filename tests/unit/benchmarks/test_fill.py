"""What ``fill`` sends is what it says: read back by the product's own decoder."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from itertools import pairwise
from typing import cast

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks import fill_points, fill_spans, fill_wire
from tidegauge.model.batch import MetricBatch, Signal, SpanBatch
from tidegauge.otlp.decode import Decoder
from tidegauge.otlp.encoding import Encoding

_DAY = 86_400_000_000_000
_START = 20_000 * _DAY


def _spans(shape: str, traces: int) -> list[SpanBatch]:
    chance = random.Random(1)
    made = fill_spans.SHAPES[shape](fill_spans.SERVICES[shape], chance)
    bodies = list(fill_spans.requests(made, 0, traces, _START, _START + _DAY, 512, chance))
    decoder = Decoder()
    return [cast("SpanBatch", decoder.decode(Signal.TRACES, body, Encoding.PROTOBUF)) for body in bodies]


@pytest.mark.parametrize("shape", fill_spans.SHAPES)
def test_ten_spans_a_trace_of_eleven_attributes_over_the_whole_time(shape: str) -> None:
    batches = _spans(shape, 300)
    assert all(not batch.rejections for batch in batches)
    assert max(len(batch) for batch in batches) <= 512 + fill_spans.SPANS_A_TRACE
    traces = Counter(trace_id for batch in batches for trace_id in batch.trace_id)
    assert len(traces) == 300
    assert set(traces.values()) == {fill_spans.SPANS_A_TRACE}
    assert {len(json.loads(attributes)) for batch in batches for attributes in batch.attributes} == {11}
    starts = sorted(start for batch in batches for start in batch.start_time_unix_nano)
    assert starts[0] >= _START
    assert starts[-1] < _START + _DAY + 60_000_000_000
    assert starts[len(starts) // 2] == pytest.approx(_START + _DAY / 2, rel=1e-4)
    assert {len(batch.resources) for batch in batches} == {fill_spans.SERVICES[shape]}


@pytest.mark.parametrize("shape", fill_spans.SHAPES)
def test_each_span_but_the_root_has_a_parent_in_its_trace(shape: str) -> None:
    of_trace: dict[bytes, list[tuple[bytes, bytes | None]]] = defaultdict(list)
    for batch in _spans(shape, 60):
        for trace_id, span_id, parent in zip(batch.trace_id, batch.span_id, batch.parent_span_id, strict=True):
            of_trace[trace_id].append((span_id, parent))
    for spans in of_trace.values():
        ids = {span_id for span_id, _ in spans}
        assert len(ids) == fill_spans.SPANS_A_TRACE
        assert [parent for _, parent in spans if parent not in ids] == [None]


def test_a_pair_of_attributes_comes_back_as_often_as_tracegens() -> None:
    pairs = Counter(
        pair
        for batch in _spans("tracegen", 1000)
        for attributes in batch.attributes
        for pair in json.loads(attributes).items()
        if pair[0].startswith("attr_")
    )
    # 108 of a trace, of 97,000 that there are.
    assert sum(pairs.values()) == 108_000
    assert len(pairs) == 97_000
    assert set(pairs.values()) == {1, 2}


def test_the_shop_has_failures_with_events_and_ids_that_never_repeat() -> None:
    batches = _spans("shop", 400)
    codes = Counter(code for batch in batches for code in batch.status_code)
    assert 0.005 < codes[2] / 4000 < 0.03
    events = [event is not None for batch in batches for event in batch.events]
    assert events == [code == 2 for batch in batches for code in batch.status_code]
    orders = Counter(json.loads(attributes).get("order.id") for batch in batches for attributes in batch.attributes)
    orders.pop(None)
    assert len(orders) == 400


def test_lengths_of_two_and_three_bytes() -> None:
    for size in (10, 127, 128, 16_383, 16_384, 70_000):
        attribute = fill_wire.attributes(fill_wire.ATTRIBUTES_OF_SPAN, [("k", "v" * size)])
        span = fill_wire.span(b"t" * 16, b"s" * 8, b"", 1, 2, [fill_wire.operation("name", 2), attribute])
        body = fill_wire.request([(fill_wire.resource({"service.name": "s"}), fill_wire.scope("x", ""), [span])])
        request = ExportTraceServiceRequest.FromString(body)
        (found,) = request.resource_spans[0].scope_spans[0].spans
        assert found.attributes[0].value.string_value == "v" * size
        assert (found.name, found.kind, found.trace_id, found.end_time_unix_nano) == ("name", 2, b"t" * 16, 2)


def test_counters_rise_but_where_they_start_again() -> None:
    fleet = fill_points.Fleet(50, random.Random(1), _START)
    decoder = Decoder()
    values: dict[tuple[str, bytes], list[tuple[int | None, float]]] = defaultdict(list)
    moments = range(_START, _START + 12 * _DAY, 6 * 3_600_000_000_000)
    for body in fill_points.requests(fleet, moments.start, moments.stop, moments.step):
        batch = cast("MetricBatch", decoder.decode(Signal.METRICS, body, Encoding.PROTOBUF))
        assert len(batch) == 50
        assert len(batch.histograms) == 6
        numbers = batch.numbers
        for series, start, value in zip(numbers.series, numbers.start_time_unix_nano, numbers.value, strict=True):
            entry = batch.series[series]
            assert value is not None
            values[entry.metric_name, entry.labels].append((start, value))
    assert len(values) == 44
    assert all(len(points) == len(moments) for points in values.values())
    counters = [points for (name, _), points in values.items() if ".counter." in name]
    assert len(counters) == 20
    for points in counters:
        assert len({start for start, _ in points}) > 1
        for (start, before), (again, after) in pairwise(points):
            assert after >= before if start == again else after < before
