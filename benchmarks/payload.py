"""Requests of spans as a service sends them: 8 attributes a span, times of now, ids that differ in every request."""

from __future__ import annotations

import os
import random
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_MARK = b"\x5a\xa5\x5a\xa5\x5a\xa5\x5a\xa5"
_ROUTES = ["/", "/cart", "/checkout", "/products", "/products/{id}", "/orders", "/orders/{id}", "/login"]


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _number(key: str, value: int) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(int_value=value))


def template(spans: int, seed: int = 1) -> bytes:
    """An encoded request of ``spans`` spans, eight to a trace. :func:`stamped` makes requests of it."""
    chance = random.Random(seed)
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.extend([_text("service.name", "bench"), _text("service.namespace", "bench"), _text("host.name", "node-1")])
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
        span.attributes.extend(
            [
                _text("http.request.method", "GET"),
                _text("http.route", chance.choice(_ROUTES)),
                _number("http.response.status_code", 200),
                _text("url.scheme", "https"),
                _text("server.address", "shop.example"),
                _text("user.id", f"u-{chance.randrange(100_000)}"),
                _text("session.id", chance.randbytes(8).hex()),
                _number("http.response.body.size", chance.randrange(100_000)),
            ]
        )
    return request.SerializeToString()


def stamped(body: bytes) -> bytes:
    """The request with trace ids that no other request has."""
    return body.replace(_MARK, os.urandom(8))


def numbered(body: bytes, number: int) -> bytes:
    """The request with trace ids whose first half is ``number``."""
    return body.replace(_MARK, number.to_bytes(8, "big"))
