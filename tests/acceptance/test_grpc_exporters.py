"""The OpenTelemetry SDK for Python over OTLP/gRPC, as an application uses it."""

import time
from typing import Any
from uuid import uuid4

import grpc
import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


@pytest.fixture(name="service")
def _service() -> str:
    return f"grpc-{uuid4().hex[:8]}"


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip], ids=["none", "gzip"])
def test_traces_metrics_and_logs_arrive(product, service, compression, caplog) -> None:
    caplog.set_level("WARNING", "opentelemetry")
    resource = Resource({"service.name": service})
    options: dict[str, Any] = {"endpoint": product.grpc_url, "insecure": True, "compression": compression}
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(**options)))
    loggers = LoggerProvider(resource, shutdown_on_exit=False)
    loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(**options)))
    meters = MeterProvider(
        [PeriodicExportingMetricReader(OTLPMetricExporter(**options), export_interval_millis=3_600_000)], resource, shutdown_on_exit=False
    )
    counter = meters.get_meter("acceptance").create_counter(f"{service}.requests")
    for _ in range(700):  # more than one batch of the SDK
        with tracers.get_tracer("acceptance").start_as_current_span("outer"):
            counter.add(2, {"http.route": "/a"})
    loggers.get_logger("acceptance").emit(
        LogRecord(timestamp=time.time_ns(), severity_number=SeverityNumber.WARN, body="over gRPC", attributes={"user.id": "7"})
    )
    for provider in (tracers, loggers, meters):
        provider.shutdown()
    assert product.query("SELECT count(*) AS n FROM traces WHERE application = %s", service) == [{"n": 700}]
    assert product.query("SELECT body, severity FROM logs WHERE application = %s", service) == [{"body": "over gRPC", "severity": "WARN"}]
    assert product.query("SELECT value FROM metrics WHERE metric_name = %s", f"{service}.requests") == [{"value": 1400.0}]
    assert [record.getMessage() for record in caplog.records if record.name.startswith("opentelemetry")] == []
