"""Identity through the decoder: the vectors of docs/data-model.md, and what must not change an identity."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from tests.unit.otlp import strategies
from tidegauge.model.batch import MetricBatch, Signal
from tidegauge.otlp.decode import Decoder, Encoding
from tidegauge.otlp.origins import resource_entry, scope_entry

SCHEMA = "https://opentelemetry.io/schemas/1.40.0"


def pair(key: str, **value: Any) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(**value))


CHECKOUT = Resource(attributes=[pair("service.name", string_value="checkout")])
ASGI = InstrumentationScope(name="otel.asgi", version="0.50b0")
EVERYTHING = [
    CHECKOUT.attributes[0],
    pair("s", string_value=""),
    pair("t", bool_value=True),
    pair("f", bool_value=False),
    pair("i", int_value=1),
    pair("d", double_value=1.0),
    pair("z", double_value=-0.0),
    pair("nan", double_value=float("nan")),
    pair("b", bytes_value=b"\x00\xff"),
    KeyValue(key="e"),
    pair("a", array_value=ArrayValue(values=[AnyValue(int_value=1), AnyValue(string_value="1"), AnyValue()])),
    pair("k", kvlist_value=KeyValueList(values=[pair("y", int_value=2), pair("x", int_value=1)])),
]


@pytest.mark.parametrize(
    ("attributes", "schema_url", "identity"),
    [
        ([], "", "230db2b0-dbc4-cff7-9790-0dd3927b2c51"),
        ([CHECKOUT.attributes[0]], "", "156f21b1-e24e-7a09-217e-5600ead80046"),
        ([CHECKOUT.attributes[0]], SCHEMA, "d55a4f6e-5448-52a9-97a8-341e34be4ed5"),
        ([pair("k", int_value=1)], "", "bafd0220-fb54-e658-dcdb-7386d143c46e"),
        ([pair("k", double_value=1.0)], "", "f4f60082-9aaa-1783-a751-60b59d047688"),
        ([pair("k", string_value="1")], "", "e8b1e939-58c8-1419-5ba9-c9730554e864"),
        ([pair("k", bytes_value=b"1")], "", "177348df-1fb8-5e5d-0249-3fdbda6c1540"),
        ([pair("k", bool_value=True)], "", "c00cb5f9-af34-ded9-2251-4ec18c0961ae"),
        ([KeyValue(key="k")], "", "bc2952b3-cdb8-61af-06a3-6ea7520f0bad"),
        ([pair("k", array_value=ArrayValue(values=[AnyValue(int_value=1)]))], "", "281eabbf-c028-08f8-6ff5-51a89496b2a9"),
        ([pair("k", kvlist_value=KeyValueList(values=[pair("a", int_value=1)]))], "", "3f7fcfc4-f979-e8ff-44e1-e2671b21c9db"),
        (EVERYTHING, "", "dc004089-c8b1-ff21-6ac3-d8ace0ee3a3e"),
        (EVERYTHING[::-1], "", "dc004089-c8b1-ff21-6ac3-d8ace0ee3a3e"),
    ],
)
def test_resource_vectors(attributes: list[KeyValue], schema_url: str, identity: str) -> None:
    assert str(resource_entry(Resource(attributes=attributes), schema_url).identity) == identity


@pytest.mark.parametrize(
    ("scope", "identity"),
    [(InstrumentationScope(), "e1f7b153-855b-4569-afdd-73d528c6f488"), (ASGI, "0bfd6678-9e49-1f05-5153-b3ffc29de31e")],
)
def test_scope_vectors(scope: InstrumentationScope, identity: str) -> None:
    assert str(scope_entry(scope, "").identity) == identity


@pytest.mark.parametrize(
    ("metric", "identity"),
    [
        (
            Metric(
                name="http.server.request.duration",
                unit="s",
                histogram=Histogram(
                    aggregation_temporality=2,
                    data_points=[
                        HistogramDataPoint(
                            time_unix_nano=1,
                            explicit_bounds=[0.1, 1.0],
                            bucket_counts=[0, 0, 0],
                            attributes=[pair("http.route", string_value="/")],
                        )
                    ],
                ),
            ),
            "f3aa1869-b5f1-5168-0c21-e8d77358c4f9",
        ),
        (
            Metric(name="queue.size", gauge=Gauge(data_points=[NumberDataPoint(time_unix_nano=1, as_int=1)])),
            "7b3feb87-a721-2582-0065-6ffe106fd021",
        ),
        (
            Metric(
                name="requests",
                unit="{request}",
                sum=Sum(
                    aggregation_temporality=1,
                    is_monotonic=True,
                    data_points=[
                        NumberDataPoint(time_unix_nano=1, as_int=1, attributes=[pair("b", int_value=1), pair("a", string_value="x")])
                    ],
                ),
            ),
            "c8741d0e-f5d0-5eeb-73cb-7e35479f0136",
        ),
    ],
)
def test_series_vectors(metric: Metric, identity: str) -> None:
    assert [str(series.identity) for series in decoded(metric).series] == [identity]


def decoded(*metrics: Metric) -> MetricBatch:
    request = ExportMetricsServiceRequest()
    outer = request.resource_metrics.add(resource=CHECKOUT)
    outer.scope_metrics.add(scope=ASGI, metrics=metrics)
    batch = Decoder().decode(Signal.METRICS, request.SerializeToString(), Encoding.PROTOBUF)
    assert isinstance(batch, MetricBatch)
    return batch


@settings(max_examples=60, deadline=None, database=None)
@given(strategies.attributes, st.randoms())
def test_the_order_of_labels_makes_no_other_series(attributes: list[KeyValue], random: Any) -> None:
    shuffled = random.sample(attributes, len(attributes))
    points = [NumberDataPoint(time_unix_nano=1, as_int=1, attributes=labels) for labels in (attributes, shuffled)]
    batch = decoded(Metric(name="m", gauge=Gauge(data_points=points)))
    assert len(batch.series) == 1
    assert batch.numbers.series == [0, 0]


def test_labels_that_look_alike_in_json_are_different_series() -> None:
    values = [
        {"string_value": "MQ=="},
        {"bytes_value": b"1"},
        {"string_value": "NaN"},
        {"double_value": float("nan")},
        {"int_value": 1},
        {"double_value": 1.0},
        {"bool_value": True},
        {"double_value": 0.0},
        {"double_value": -0.0},
        {"string_value": "\0"},
        {"string_value": "\ufffd"},
    ]
    points = [NumberDataPoint(time_unix_nano=1, as_int=1, attributes=[pair("k", **value)]) for value in values * 2]
    batch = decoded(Metric(name="m", gauge=Gauge(data_points=points)))
    assert len(batch.series) == len(values)
    assert batch.numbers.series == [*range(len(values))] * 2


def test_bounds_of_other_sign_are_other_series() -> None:
    points = [HistogramDataPoint(time_unix_nano=1, explicit_bounds=[bound], bucket_counts=[1, 1]) for bound in (0.0, -0.0, 0.0)]
    batch = decoded(Metric(name="m", histogram=Histogram(aggregation_temporality=2, data_points=points)))
    assert [str(series.bounds) for series in batch.series] == ["(0.0,)", "(-0.0,)"]
    assert batch.histograms.series == [0, 1, 0]
