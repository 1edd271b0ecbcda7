"""The OpenTelemetry SDK for Python as an application uses it: its processors, its reader, its exporters (http/protobuf)."""

import logging
import math
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


@pytest.fixture(name="service")
def _service() -> str:
    return f"python-{uuid4().hex[:8]}"


@pytest.fixture(name="resource")
def _resource(service: str) -> Resource:
    return Resource({"service.name": service, "service.namespace": "acceptance", "deployment.environment.name": "test"})


@pytest.fixture(autouse=True)
def _no_complaint(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The SDK says in its log alone that an export went wrong."""
    caplog.set_level(logging.WARNING, "opentelemetry")
    yield
    said = [record for when in ("setup", "call") for record in caplog.get_records(when) if record.name.startswith("opentelemetry")]
    assert [record.getMessage() for record in said] == []


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_spans_and_logs_arrive_and_share_their_trace(product, service, resource, compression) -> None:
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    spans = OTLPSpanExporter(f"{product.otlp_url}/v1/traces", compression=compression)
    tracers.add_span_processor(BatchSpanProcessor(spans))
    loggers = LoggerProvider(resource, shutdown_on_exit=False)
    logs = OTLPLogExporter(f"{product.otlp_url}/v1/logs", compression=compression)
    loggers.add_log_record_processor(BatchLogRecordProcessor(logs))
    tracer, logger = tracers.get_tracer("acceptance", "1.0"), loggers.get_logger("acceptance", "1.0")
    attributes = {"string": "ä\x00", "int": 2**63 - 1, "float": -0.0, "bool": True, "list": ["a", "b"], "ints": [1, 2]}
    with tracer.start_as_current_span("outer", kind=trace.SpanKind.SERVER, attributes=attributes) as outer:
        with pytest.raises(ZeroDivisionError), tracer.start_as_current_span("inner"):
            1 / 0  # noqa: B018
        logger.emit(
            LogRecord(
                timestamp=time.time_ns(),
                severity_number=SeverityNumber.ERROR,
                severity_text="ERROR",
                body="division by zero",
                attributes={"user.id": "7"},
            )
        )
    tracers.shutdown()
    loggers.shutdown()
    trace_id = f"{outer.get_span_context().trace_id:032x}"
    answer = product.get(f"/api/v1/traces/{trace_id}")
    assert (answer["span_count"], answer["error_count"], answer["services"]) == (2, 1, [service])
    [root] = answer["spans"]
    assert (root["name"], root["kind"], root["service"]) == ("outer", "SERVER", service)
    assert root["start_time_unix_nano"] == str(outer.start_time)  # type: ignore[attr-defined]
    assert {pair["key"]: pair["value"] for pair in root["attributes"]} == {
        "string": {"stringValue": "ä\x00"},
        "int": {"intValue": str(2**63 - 1)},
        "float": {"doubleValue": -0.0},
        "bool": {"boolValue": True},
        "list": {"arrayValue": {"values": [{"stringValue": "a"}, {"stringValue": "b"}]}},
        "ints": {"arrayValue": {"values": [{"intValue": "1"}, {"intValue": "2"}]}},
    }
    minus_zero = next(pair["value"]["doubleValue"] for pair in root["attributes"] if pair["key"] == "float")
    assert math.copysign(1, minus_zero) == -1
    [inner] = root["children"]
    assert (inner["name"], inner["status"]["code"], inner["events"][0]["name"]) == ("inner", "ERROR", "exception")
    [record] = product.get("/api/v1/logs", trace_id=trace_id)["logs"]
    assert (record["body"], record["severity_text"], record["service"]) == ({"stringValue": "division by zero"}, "ERROR", service)
    assert (record["span_id"], record["attributes"]) == (root["span_id"], [{"key": "user.id", "value": {"stringValue": "7"}}])


@pytest.mark.parametrize("temporality", [AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA], ids=["cumulative", "delta"])
def test_metrics_arrive_with_names_and_labels(product, service, resource, temporality) -> None:
    exporter = OTLPMetricExporter(f"{product.otlp_url}/v1/metrics", preferred_temporality={Counter: temporality, Histogram: temporality})
    meters = MeterProvider(
        [PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)],
        resource=resource,
        shutdown_on_exit=False,
        views=[View(instrument_name="py.exponential", aggregation=ExponentialBucketHistogramAggregation())],
    )
    meter = meters.get_meter("acceptance", "1.0")
    counter = meter.create_counter("py.requests", "{request}", "Requests.")
    duration = meter.create_histogram("py.duration", "s", "Durations.", explicit_bucket_boundaries_advisory=[0.1, 1])
    for route, requests in (("/a", 3), ("/b", 4)):
        counter.add(requests, {"http.route": route})
        duration.record(requests / 10, {"http.route": route})
    meter.create_up_down_counter("py.active").add(-2)
    meter.create_gauge("py.temperature", "Cel").set(21.5, {"room": "kitchen"})
    meter.create_histogram("py.exponential", "By").record(1000)
    meters.shutdown()
    listed = {metric["name"]: metric for metric in product.get("/api/v1/metrics", name="py.*", service=service)["metrics"]}
    assert {name: metric["type"] for name, metric in listed.items()} == {
        "py.requests": "sum",
        "py.duration": "histogram",
        "py.active": "sum",
        "py.temperature": "gauge",
        "py.exponential": "exponential_histogram",
    }
    requests = listed["py.requests"]
    assert (requests["unit"], requests["description"], requests["is_monotonic"]) == ("{request}", "Requests.", True)
    assert (requests["temporality"], requests["series_count"]) == (temporality.name.lower(), 2)
    assert "http.route" in requests["label_names"]
    [series] = product.get("/api/v1/metrics/py.temperature/range", service=service, start="now-1h", aggregation="last")["series"]
    assert (series["labels"]["room"], series["points"][-1][1]) == ("kitchen", 21.5)
    rollups = product.get("/api/v1/metrics/py.duration/rollups/hourly", service=service)["series"]
    buckets = {one["labels"]["http.route"]: (one["bounds"], one["unit"]) for one in rollups}
    assert buckets == {"/a": ([0.1, 1.0], "s"), "/b": ([0.1, 1.0], "s")}
