"""The compiled readers of points and log records; every other test of the decoder reads with them as well (tests/decoders.py)."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
    Summary,
    SummaryDataPoint,
)

from tests.decoders import Decoder
from tests.unit.otlp.test_wire import NOW, field
from tidegauge import compiled
from tidegauge.model.batch import LogBatch, MetricBatch, Signal
from tidegauge.otlp import decode
from tidegauge.otlp.budget import Budget
from tidegauge.otlp.encoding import Encoding
from tidegauge.otlp.items import Part

BUILT = pytest.mark.skipif(
    bool(compiled.missing()), reason="the compiled part was not built here; tests/packaging tells whether it should be"
)
ROUTE = KeyValue(key="http.route", value=AnyValue(string_value="/pay"))
PLAIN: dict[str, Any] = {
    "time_unix_nano": NOW,
    "as_double": 0.25,
    "trace_id": b"t" * 16,
    "span_id": b"s" * 8,
    "filtered_attributes": [ROUTE],
}
EXEMPLAR = Exemplar(**PLAIN)
USUAL: dict[str, Any] = {"time_unix_nano": NOW, "start_time_unix_nano": NOW - 9, "attributes": [ROUTE]}


def number(**given: Any) -> NumberDataPoint:
    return NumberDataPoint(**{**USUAL, **given})


def explicit(**given: Any) -> HistogramDataPoint:
    return HistogramDataPoint(**{**USUAL, "count": 3, "sum": 1.5, "explicit_bounds": [0.0, 1.0], "bucket_counts": [0, 2, 1], **given})


METRICS = {
    "gauge": Metric(name="g", description="é", gauge=Gauge(data_points=[number(as_double=1.5), number(as_int=-2, exemplars=[EXEMPLAR])])),
    "sum": Metric(
        name="s", unit="By", sum=Sum(data_points=[number(as_int=3), number(flags=1)], aggregation_temporality=2, is_monotonic=True)
    ),
    "histogram": Metric(
        name="h",
        histogram=Histogram(data_points=[explicit(min=0.5), explicit(max=1.0, exemplars=[EXEMPLAR] * 2)], aggregation_temporality=1),
    ),
    "exponential histogram": Metric(
        name="e",
        exponential_histogram=ExponentialHistogram(
            data_points=[
                ExponentialHistogramDataPoint(
                    **USUAL, count=4, scale=-3, zero_count=1, positive={"offset": -7, "bucket_counts": [1, 300]}, negative={"offset": 2}
                )
            ],
            aggregation_temporality=2,
        ),
    ),
    "summary": Metric(
        name="q",
        summary=Summary(
            data_points=[SummaryDataPoint(**USUAL, count=4, sum=2.5, quantile_values=[{"quantile": 0.5, "value": 7.0}, {"value": 8.0}])]
        ),
    ),
}


def of_metrics(*metrics: Metric) -> bytes:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add(schema_url="u")
    resource.resource.attributes.append(ROUTE)
    resource.scope_metrics.add(scope={"name": "scope"}, metrics=metrics)
    return request.SerializeToString()


def of_records(**given: Any) -> bytes:
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=NOW, severity_text="INFO", **given)
    record.attributes.append(ROUTE)
    return request.SerializeToString()


@pytest.fixture
def no_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read by Python: neither a twin nor a message."""

    def refuse(*_: Any) -> None:
        raise AssertionError("read by Python")

    monkeypatch.setattr(Part, "message", refuse)
    monkeypatch.setattr(Part, "cut", refuse)
    monkeypatch.setattr(Part, "lean", property(refuse))


def known(signal: Signal, body: bytes) -> decode.Decoder:
    """A decoder that has seen a request before."""
    decoder = decode.Decoder()
    decoder.decode(signal, body, Encoding.PROTOBUF)
    return decoder


@BUILT
@pytest.mark.parametrize("kind", METRICS)
def test_known_series_take_no_python(kind: str, request: pytest.FixtureRequest) -> None:
    body = of_metrics(METRICS[kind])
    decoder = known(Signal.METRICS, body)
    request.getfixturevalue("no_python")
    batch = decoder.decode(Signal.METRICS, body, Encoding.PROTOBUF)
    assert isinstance(batch, MetricBatch)
    assert len(batch) == len(getattr(METRICS[kind], str(METRICS[kind].WhichOneof("data"))).data_points)


@BUILT
@pytest.mark.parametrize(
    "given",
    [
        {"body": {"string_value": "é"}, "trace_id": b"t" * 16, "span_id": b"s" * 8, "observed_time_unix_nano": NOW},
        {"body": {"string_value": ""}, "event_name": "click", "dropped_attributes_count": 3, "flags": 1, "severity_number": 9},
        {},
    ],
)
def test_plain_records_take_no_python(given: dict[str, Any], request: pytest.FixtureRequest) -> None:
    decoder = known(Signal.LOGS, of_records())
    request.getfixturevalue("no_python")
    batch = decoder.decode(Signal.LOGS, of_records(**given), Encoding.PROTOBUF)
    assert isinstance(batch, LogBatch)
    assert batch.body == [given.get("body", {}).get("string_value")]


@pytest.mark.parametrize("kind", METRICS)
def test_all_kinds_as_python_reads_them(kind: str) -> None:
    decoder = Decoder()
    for _ in range(2):
        decoder.decode(Signal.METRICS, of_metrics(METRICS[kind]), Encoding.PROTOBUF)


@pytest.mark.parametrize(
    "given",
    [
        {"time_unix_nano": 0},
        {"time_unix_nano": 2**63},
        {"as_int": 2**53 + 1},
        {"trace_id": bytes(16)},
        {"span_id": b"s" * 7},
        {"filtered_attributes": [ROUTE, ROUTE]},
        {"filtered_attributes": [KeyValue(key="k", value=AnyValue(double_value=float("nan")))]},
    ],
)
def test_an_exemplar_that_is_odd_among_others(given: dict[str, Any]) -> None:
    """Its point stands where it stood, and so does what comes after."""
    odd = Exemplar(**{**PLAIN, **given})
    points = [number(as_int=1, exemplars=[EXEMPLAR]), number(as_int=2, exemplars=[EXEMPLAR, odd]), number(as_int=3, exemplars=[EXEMPLAR])]
    decoder = Decoder()
    for _ in range(2):
        batch = decoder.decode(Signal.METRICS, of_metrics(Metric(name="g", gauge=Gauge(data_points=points))), Encoding.PROTOBUF)
        assert isinstance(batch, MetricBatch)
        assert batch.numbers.value == [1.0, 2.0, 3.0]
        assert len(batch.exemplars) == 4
        told = zip(batch.exemplars.original, batch.exemplars.value_int, strict=True)
        assert [original is not None or integer is not None for original, integer in told] == [False, False, True, False]


def test_what_describes_a_metric_without_points_is_checked() -> None:
    decoder = Decoder()
    good = field(1, field(2, field(2, Metric(name="m", gauge=Gauge()).SerializeToString() + field(12, field(1, b"key")))))
    for body, reasons in ((good, []), (good.replace(b"key", b"k\xffy"), ["invalid_text"]), (good, [])):
        batch = decoder.decode(Signal.METRICS, body, Encoding.PROTOBUF)
        assert [rejection.reason for rejection in batch.rejections] == reasons


def test_repairs_do_not_make_resources_free() -> None:
    """A request of many resources is refused as one that has to be repaired as well, if it takes too much memory."""
    request = ExportLogsServiceRequest()
    for number_of in range(2):
        logs = request.resource_logs.add()
        logs.resource.attributes.add(key="service.name").value.string_value = f"shop-{number_of}"
        logs.scope_logs.add().log_records.add(time_unix_nano=NOW, attributes=[ROUTE])
    good = request.SerializeToString()
    used = []
    decoder = Decoder()
    for body in (good, good.replace(b"/pay", b"/p\xffy")):
        budget = Budget(len(body))
        decoder.decode(Signal.LOGS, body, Encoding.PROTOBUF, budget)
        used.append(budget.used)
    # U+FFFD has two bytes more than what was sent, and that is kept beside it.
    assert used[0] < used[1] < used[0] + 2 * 400
