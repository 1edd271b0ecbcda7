"""Requests of numbered items: what is in the database can be told item by item.

An exporter's items have numbers of their own in each signal, from ``exporter * NUMBERS`` on. A span's number is its span id, a point's is
its value (a histogram's its sum), a log record's is in its body. Some requests hold an item that must be refused, so that the answer is a
partial success, and must be the same one for every resend.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_DELTA, HistogramDataPoint, NumberDataPoint
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

NUMBERS = 100_000_000
SIGNALS = ("traces", "metrics", "logs")
RESPONSES: dict[str, Any] = {
    "traces": ExportTraceServiceResponse,
    "metrics": ExportMetricsServiceResponse,
    "logs": ExportLogsServiceResponse,
}
REJECTED = {"traces": "rejected_spans", "metrics": "rejected_data_points", "logs": "rejected_log_records"}
_DAY_NS = 86_400_000_000_000
# A new resource every so many requests: dictionaries are written while things are killed, too.
_REQUESTS_PER_RESOURCE = 40


@dataclass
class Request:
    """Items ``first`` to ``first + count - 1`` of a signal, and ``bad`` items that have no number and must be refused."""

    signal: str
    exporter: int
    first: int
    count: int
    bad: int
    body: bytes
    acknowledged: bool = False

    @property
    def numbers(self) -> range:
        return range(self.first, self.first + self.count)


def service(exporter: int) -> str:
    """service.name of an exporter."""
    return f"faults-{exporter}"


def build(chance: random.Random, exporter: int, sequence: int, first: int, *, as_json: bool = False, bad_share: float = 0.1) -> Request:
    """An exporter's request number ``sequence`` with items from number ``first`` on; one in so many has a bad one as well."""
    signal = SIGNALS[sequence % len(SIGNALS)]
    count, bad = chance.randint(1, 40), int(chance.random() < bad_share)
    resource = _resource(exporter, sequence // _REQUESTS_PER_RESOURCE)
    message = {"traces": _traces, "metrics": _metrics, "logs": _logs}[signal](resource, range(first, first + count), bad)
    body = _json(message) if as_json else message.SerializeToString()
    return Request(signal, exporter, first, count, bad, body)


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _resource(exporter: int, instance: int) -> Resource:
    return Resource(attributes=[_text("service.name", service(exporter)), _text("service.instance.id", str(instance))])


_SCOPE = InstrumentationScope(name="faults", version="1")


def _traces(resource: Resource, numbers: range, bad: int) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add(resource=resource).scope_spans.add(scope=_SCOPE)
    now, trace = time.time_ns(), (numbers.start + 1).to_bytes(16, "big")
    for number in numbers:
        span = Span(trace_id=trace, span_id=(number + 1).to_bytes(8, "big"), name="item", start_time_unix_nano=now)
        span.end_time_unix_nano = now + number % 1_000_000
        span.attributes.append(_text("item", f"number {number}"))
        group.spans.append(span)
    for _ in range(bad):
        group.spans.add(trace_id=bytes(16), span_id=b"\1" * 8, name="bad", start_time_unix_nano=now, end_time_unix_nano=now)
    return request


def _metrics(resource: Resource, numbers: range, bad: int) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add(resource=resource).scope_metrics.add(scope=_SCOPE)
    now = time.time_ns()
    gauge = group.metrics.add(name="faults.gauge").gauge
    gauge.data_points.extend(NumberDataPoint(time_unix_nano=now, as_int=number) for number in numbers if number % 2)
    gauge.data_points.extend(NumberDataPoint(time_unix_nano=0, as_int=1) for _ in range(bad))
    histogram = group.metrics.add(name="faults.histogram").histogram
    histogram.aggregation_temporality = AGGREGATION_TEMPORALITY_DELTA
    histogram.data_points.extend(
        HistogramDataPoint(time_unix_nano=now, count=1, sum=number, explicit_bounds=[10.0], bucket_counts=[0, 1])
        for number in numbers
        if number % 2 == 0
    )
    return request


def _logs(resource: Resource, numbers: range, bad: int) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add(resource=resource).scope_logs.add(scope=_SCOPE)
    now = time.time_ns()
    group.log_records.extend(LogRecord(time_unix_nano=now, body=AnyValue(string_value=f"item {number}")) for number in numbers)
    group.log_records.extend(LogRecord(time_unix_nano=now + _DAY_NS, body=AnyValue(string_value="bad")) for _ in range(bad))
    return request


_IDS = ("traceId", "spanId")


def _json(message: Any) -> bytes:
    """OTLP's JSON: protobuf's, but ids are hexadecimal and enums are numbers (OTLP specification, "JSON Protobuf Encoding")."""
    import base64

    tree = MessageToDict(message, use_integers_for_enums=True)
    for resource in tree.get("resourceSpans", ()):
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                span.update({name: base64.b64decode(span[name]).hex() for name in _IDS if name in span})
    return json.dumps(tree).encode()
