"""Requests as a service sends them: 8 attributes an item, times of now, ids that differ in every request."""

from __future__ import annotations

import os
import random
import time

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_MARK = b"\x5a\xa5\x5a\xa5\x5a\xa5\x5a\xa5"
_ROUTES = ["/", "/cart", "/checkout", "/products", "/products/{id}", "/orders", "/orders/{id}", "/login"]


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _number(key: str, value: int) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(int_value=value))


def _attributes(chance: random.Random, repeating: bool) -> list[KeyValue]:
    """Eight attributes; the values of the last three never repeat, unless all are to."""
    return [
        _text("http.request.method", "GET"),
        _text("http.route", chance.choice(_ROUTES)),
        _number("http.response.status_code", 200),
        _text("url.scheme", "https"),
        _text("server.address", "shop.example"),
        _text("user.id", f"u-{chance.randrange(100 if repeating else 100_000_000)}"),
        _text("session.id", f"{chance.randrange(100):016x}" if repeating else chance.randbytes(8).hex()),
        _number("http.response.body.size", chance.randrange(100) if repeating else chance.randrange(100_000_000)),
    ]


def _describe_resource(resource: Resource) -> None:
    resource.attributes.extend([_text("service.name", "bench"), _text("service.namespace", "bench"), _text("host.name", "node-1")])


def template(spans: int, seed: int = 1, *, repeating: bool = False) -> bytes:
    """An encoded request of ``spans`` spans, eight to a trace. :func:`stamped` makes requests of it.

    A span has the fields that a server's has, and 8 attributes.
    """
    chance = random.Random(seed)
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    _describe_resource(resource.resource)
    scope = resource.scope_spans.add()
    scope.scope.name, scope.scope.version = "bench.http", "1.0"
    now = time.time_ns()
    for number in range(spans):
        span = scope.spans.add()
        # The first half of a trace id is the mark that stamped() replaces, so that every request brings traces of its own.
        span.trace_id = _MARK + (number // 8).to_bytes(8, "big")
        span.span_id = chance.randbytes(8)
        span.parent_span_id = chance.randbytes(8)
        span.name = f"GET {chance.choice(_ROUTES)}"
        span.kind = Span.SPAN_KIND_SERVER
        span.start_time_unix_nano = now - chance.randrange(10_000_000_000)
        span.end_time_unix_nano = span.start_time_unix_nano + int(chance.lognormvariate(16, 1))
        span.attributes.extend(_attributes(chance, repeating))
    return request.SerializeToString()


def points(items: int, seed: int = 1) -> bytes:
    """An encoded request of ``items`` points of cumulative sums and gauges, 32 to a metric; the same series in every request."""
    chance = random.Random(seed)
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    _describe_resource(resource.resource)
    scope = resource.scope_metrics.add()
    scope.scope.name, scope.scope.version = "bench.http", "1.0"
    now = time.time_ns()
    for number in range(items):
        if number % 32 == 0:
            metric = scope.metrics.add(name=f"bench.metric.{number // 32}", unit="1")
            counts = number % 64 == 0
            if counts:
                metric.sum.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
                metric.sum.is_monotonic = True
        point = (metric.sum if counts else metric.gauge).data_points.add(time_unix_nano=now)
        if counts:
            point.start_time_unix_nano, point.as_int = now - 3_600_000_000_000, chance.randrange(1_000_000)
        else:
            point.as_double = chance.random()
        labels = [_text("series", str(number)), _text("http.route", _ROUTES[number % 8]), _text("url.scheme", "https")]
        point.attributes.extend([*labels, _number("http.response.status_code", 200)])
    return request.SerializeToString()


def records(items: int, seed: int = 1) -> bytes:
    """An encoded request of ``items`` log records with bodies of 80 characters that differ, and 8 attributes."""
    chance = random.Random(seed)
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    _describe_resource(resource.resource)
    scope = resource.scope_logs.add()
    scope.scope.name, scope.scope.version = "bench.http", "1.0"
    now = time.time_ns()
    for _ in range(items):
        record = scope.log_records.add(time_unix_nano=now, observed_time_unix_nano=now, severity_number=9, severity_text="INFO")
        record.body.string_value = f"request {chance.randbytes(12).hex()} was answered after {chance.random():.9f} seconds, from cache"
        record.attributes.extend(_attributes(chance, repeating=False))
        record.trace_id, record.span_id = chance.randbytes(16), chance.randbytes(8)
    return request.SerializeToString()


def stamped(body: bytes) -> bytes:
    """The request with trace ids that no other request has."""
    return body.replace(_MARK, os.urandom(8))


def numbered(body: bytes, number: int) -> bytes:
    """The request with trace ids whose first half is ``number``."""
    return body.replace(_MARK, number.to_bytes(8, "big"))
