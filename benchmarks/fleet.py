"""Requests of a fleet of twenty services, encoded once: every request sent has ids and times of its own, patched in for about 50 µs.

Spans and log records have 8 attributes. A request of spans holds whole traces of eight spans over four services, as a Collector's
batches do; one of log records or points is a single service's. The points are of about 10,000 series, gauges and cumulative sums.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Iterator, Sequence
from itertools import count
from operator import itemgetter

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, NumberDataPoint
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tidegauge.model.batch import Signal

SERVICES = 20
TRACE_SPANS = 8
_SERVICES_A_TRACE = 4
_SERIES = 10_000
_POINTS_A_METRIC = 32
_ERROR_RATE = 0.02
_HOUR_NS = 3_600_000_000_000

# What a template holds in the place of an id, of the upper half of a time, and of a whole time. Little-endian, as fixed64 is sent.
_ID = bytes.fromhex("7be1d5a4c3f24f0e9a6d1c8b5e3f7a92")
_TIME_HIGH = bytes.fromhex("a55ac33c")
_TIME = bytes.fromhex("5aa53cc3695a96a5")
_BELOW = 1 << 31
"""Lower halves of times stay below, so that adding a duration never carries into the upper half."""

_ROUTES = ("/", "/cart", "/checkout", "/products", "/products/{id}", "/orders", "/orders/{id}", "/login")
_METHODS = ("GET", "GET", "GET", "POST", "PUT")
_WORDS = (
    "request", "completed", "for", "tenant", "after", "retry", "cache", "miss", "connection", "pool", "exhausted", "slow", "query",
    "detected", "user", "login", "succeeded", "payment", "declined", "upstream", "returned", "unexpected", "status", "while", "reading",
    "response", "body", "queue", "depth", "above", "threshold", "job", "finished",
)  # fmt: skip


class Template:
    """An encoded request with gaps where ids and times belong.

    Attributes:
        items: spans, points or records of a request.
        size: bytes of every request made of it.

    """

    def __init__(self, body: bytes, id_order: Sequence[int], items: int, times: int) -> None:
        """``id_order`` says which of the request's ids stands in each gap for one; ``times`` is the number of gaps for times."""
        parts = re.split(b"(" + b"|".join(map(re.escape, (_ID, _TIME_HIGH, _TIME))) + b")", body)
        # A mark that turns up by chance, in random bytes, would corrupt what is sent.
        assert parts.count(_ID) == len(id_order)
        assert parts.count(_TIME_HIGH) + parts.count(_TIME) == times
        self.items = items
        self.size = len(body)
        self._ids = max(id_order, default=-1) + 1
        self._constants = parts[0::2]
        # What a request is joined from: the two times, the ids, then the constants, each picked by its place in this list.
        where = {_TIME_HIGH: 0, _TIME: 1}
        ids, constants = iter(id_order), count(2 + self._ids)
        places = (
            next(constants) if number % 2 == 0 else 2 + next(ids) if part == _ID else where[part] for number, part in enumerate(parts)
        )
        self._pick = itemgetter(*places)

    def stamped(self) -> bytes:
        """A request that no other equals: new ids, times of the last few seconds."""
        now = time.time_ns()
        fresh = os.urandom(16 * self._ids)
        # All times of a request move together, by steps of 2^32 ns (4.3 s); where nothing else differs, by the nanosecond.
        values = [((now >> 32) - 1).to_bytes(4, "little"), now.to_bytes(8, "little")]
        values += [fresh[at : at + 16] for at in range(0, len(fresh), 16)]
        return b"".join(self._pick(values + self._constants))


def templates(signal: Signal, items: int, seed: int = 1) -> list[Template]:
    """One template a service; together they are the fleet."""
    chance = random.Random(seed)
    makers = {Signal.TRACES: _traces, Signal.METRICS: _metrics, Signal.LOGS: _logs}
    return [makers[signal](chance, items, service) for service in range(SERVICES)]


def _traces(chance: random.Random, items: int, service: int) -> Template:
    request = ExportTraceServiceRequest()
    spans_of = []
    for number in range(_SERVICES_A_TRACE):
        entry = request.resource_spans.add(resource=_resource((service + number) % SERVICES))
        scope = entry.scope_spans.add()
        scope.scope.name, scope.scope.version = "bench.http", "1.0"
        spans_of.append(scope.spans)
    traces_of: list[list[int]] = [[] for _ in spans_of]
    for number in range(items):
        trace, nth = divmod(number, TRACE_SPANS)
        if nth == 0:
            begin, parents = chance.randrange(_BELOW - 500_000_000), list[bytes]()
        where = nth * _SERVICES_A_TRACE // TRACE_SPANS
        span = spans_of[where].add(trace_id=_ID, span_id=chance.randbytes(8), parent_span_id=chance.choice(parents) if parents else b"")
        parents.append(span.span_id)
        _fill_span(chance, span, begin + nth * 1_000_000)
        traces_of[where].append(trace)
    return Template(request.SerializeToString(), [trace for traces in traces_of for trace in traces], items, 2 * items)


def _fill_span(chance: random.Random, span: Span, start: int) -> None:
    route = chance.choice(_ROUTES)
    span.name = f"GET {route}"
    span.kind = chance.choice((Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_INTERNAL))
    span.start_time_unix_nano = _marked(start)
    span.end_time_unix_nano = _marked(start + min(int(chance.lognormvariate(16, 1)), _BELOW))
    span.attributes.extend(_attributes(chance, route))
    if chance.random() < _ERROR_RATE:
        span.status.code, span.status.message = Status.STATUS_CODE_ERROR, "upstream timed out"


def _logs(chance: random.Random, items: int, service: int) -> Template:
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add(resource=_resource(service)).scope_logs.add()
    scope.scope.name = "bench.log"
    levels = [(name, getattr(SeverityNumber, f"SEVERITY_NUMBER_{name}")) for name in ("DEBUG", "INFO", "INFO", "INFO", "WARN", "ERROR")]
    for _ in range(items):
        text, number = chance.choice(levels)
        moment = _marked(chance.randrange(_BELOW))
        record = scope.log_records.add(
            time_unix_nano=moment, observed_time_unix_nano=moment, severity_text=text, severity_number=number,
            trace_id=_ID, span_id=chance.randbytes(8),
        )  # fmt: skip
        words = " ".join(chance.choices(_WORDS, k=chance.randrange(6, 18)))
        record.body.string_value = f"{words} id={chance.randrange(1_000_000)}"
        record.attributes.extend(_attributes(chance, chance.choice(_ROUTES)))
    return Template(request.SerializeToString(), range(items), items, 2 * items)


def _metrics(chance: random.Random, items: int, service: int) -> Template:
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add(resource=_resource(service)).scope_metrics.add()
    scope.scope.name = "bench.metric"
    started = time.time_ns() - _HOUR_NS
    series = items * service
    for first in range(0, items, _POINTS_A_METRIC):
        number = first // _POINTS_A_METRIC
        is_sum = number % 2 == 0
        points = [
            NumberDataPoint(
                time_unix_nano=int.from_bytes(_TIME, "little"), start_time_unix_nano=started if is_sum else 0,
                as_double=chance.randrange(1000), attributes=_labels((series + at) % _SERIES),
            )
            for at in range(first, min(first + _POINTS_A_METRIC, items))
        ]  # fmt: skip
        metric = scope.metrics.add(name=f"bench.{'requests' if is_sum else 'queue.depth'}.{number:02}", unit="{request}" if is_sum else "1")
        if is_sum:
            metric.sum.is_monotonic = True
            metric.sum.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
            metric.sum.data_points.extend(points)
        else:
            metric.gauge.data_points.extend(points)
    return Template(request.SerializeToString(), (), items, items)


def _marked(low: int) -> int:
    """A time whose upper half is the mark."""
    return int.from_bytes(_TIME_HIGH, "little") << 32 | low


def _resource(service: int) -> Resource:
    return Resource(
        attributes=[
            _text("service.name", f"bench-{service:02}"), _text("service.namespace", "bench"), _text("service.version", "1.4.2"),
            _text("host.name", f"node-{service % 4}"), _text("deployment.environment.name", "production"),
        ]
    )  # fmt: skip


def _attributes(chance: random.Random, route: str) -> list[KeyValue]:
    return [
        _text("http.request.method", chance.choice(_METHODS)),
        _text("http.route", route),
        _number("http.response.status_code", chance.choice((200, 200, 200, 201, 404, 500))),
        _text("url.scheme", "https"),
        _text("server.address", "shop.example"),
        _text("user.id", f"u-{chance.randrange(100_000)}"),
        _text("session.id", chance.randbytes(8).hex()),
        _number("http.response.body.size", chance.randrange(100_000)),
    ]


def _labels(series: int) -> Iterator[KeyValue]:
    yield _text("series", str(series))
    yield _text("http.request.method", _METHODS[series % len(_METHODS)])
    yield _text("http.route", _ROUTES[series % len(_ROUTES)])
    yield _number("http.response.status_code", (200, 201, 404, 500)[series % 4])


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _number(key: str, value: int) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(int_value=value))
