"""Identity through the decoder: the vectors of docs/data-model.md, and what must not change an identity."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from tests.decoders import Decoder
from tests.unit.otlp import strategies
from tidegauge.model.batch import MetricBatch, Signal
from tidegauge.otlp.encoding import Encoding
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
        ([], "", "1cfe7d7d-7017-3f8f-ad72-5a3317943a73"),
        ([CHECKOUT.attributes[0]], "", "591e0202-5869-7f23-acb0-62314eff2e80"),
        ([CHECKOUT.attributes[0]], SCHEMA, "455e2065-8310-469d-3aab-0f30fdc53bd9"),
        ([pair("k", int_value=1)], "", "37843746-a4c9-d5f0-735e-fec79377e6fa"),
        ([pair("k", double_value=1.0)], "", "656fa998-a94b-97b3-8e96-0cee46b9ed15"),
        ([pair("k", string_value="1")], "", "a14c921d-381f-5d89-4673-2ec1c68eabe8"),
        ([pair("k", bytes_value=b"1")], "", "69d01d46-b322-5619-1a02-457dcb9e40f9"),
        ([pair("k", bool_value=True)], "", "d3912ecd-f032-1baa-2604-f9a3455963f8"),
        ([KeyValue(key="k")], "", "48c2bf6d-628a-8126-5bbd-037c396dde6d"),
        ([pair("k", array_value=ArrayValue(values=[AnyValue(int_value=1)]))], "", "96469cfe-ea4b-1979-e686-08f09180f075"),
        ([pair("k", kvlist_value=KeyValueList(values=[pair("a", int_value=1)]))], "", "f0f6f7e7-8ba0-f258-2c2c-92eef674a1d7"),
        (EVERYTHING, "", "b349299f-4a87-d436-2799-5b23e6dc24e0"),
        (EVERYTHING[::-1], "", "b349299f-4a87-d436-2799-5b23e6dc24e0"),
    ],
)
def test_resource_vectors(attributes: list[KeyValue], schema_url: str, identity: str) -> None:
    assert str(resource_entry(Resource(attributes=attributes), schema_url).identity) == identity


def test_resources_that_differ_in_anything_are_different() -> None:
    """Of resources with one identity only the first is stored: what does not count for it would be lost."""
    refs = [EntityRef(type="a", id_keys=["k"]), EntityRef(type="b", id_keys=["k"]), EntityRef(type="a", description_keys=["k"])]
    resources = [
        Resource(),
        Resource(dropped_attributes_count=1),
        *(Resource(entity_refs=[ref]) for ref in refs),
        Resource(entity_refs=refs),
    ]
    assert len({resource_entry(resource, "").identity for resource in resources}) == len(resources)
    assert resource_entry(Resource(entity_refs=refs[::-1]), "").identity == resource_entry(resources[-1], "").identity


def test_scopes_that_differ_in_dropped_attributes_are_different() -> None:
    assert scope_entry(InstrumentationScope(), "").identity != scope_entry(InstrumentationScope(dropped_attributes_count=1), "").identity


@pytest.mark.parametrize(
    ("scope", "identity"),
    [(InstrumentationScope(), "5821f837-c224-f13b-9045-4a8249f3f3fb"), (ASGI, "6c10ee6e-69c1-fd2f-c818-eb79d6031d7d")],
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
            "2abcd890-a9c8-9261-b15d-c4a1f6dffafb",
        ),
        (
            Metric(name="queue.size", gauge=Gauge(data_points=[NumberDataPoint(time_unix_nano=1, as_int=1)])),
            "2e20d303-ed60-a38b-2488-d4307c0ad2b5",
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
            "09685b70-ed40-df79-92b0-b644107ed505",
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
