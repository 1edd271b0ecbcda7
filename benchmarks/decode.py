"""What decoding costs: protobuf's own parser, and from bytes to columns."""

from __future__ import annotations

import time
from collections.abc import Callable

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.payload import stamped, template
from tidegauge.model.batch import Signal
from tidegauge.otlp.decode import Decoder
from tidegauge.otlp.encoding import Encoding

_ROUNDS = 40


def _microseconds_a_span(work: Callable[[bytes], object], bodies: list[bytes], spans: int) -> float:
    """The median round: a neighbour on the machine makes single rounds slower, never quicker."""
    taken = []
    for body in bodies:
        begin = time.perf_counter()
        work(body)
        taken.append(time.perf_counter() - begin)
    return sorted(taken)[len(taken) // 2] / spans * 1e6


def measure(spans: int) -> list[tuple[str, str]]:
    """Rows of (what, figure)."""
    body = template(spans)
    bodies = [stamped(body) for _ in range(_ROUNDS)]
    decoder = Decoder()
    parse = _microseconds_a_span(ExportTraceServiceRequest.FromString, bodies, spans)
    decode = _microseconds_a_span(lambda each: decoder.decode(Signal.TRACES, each, Encoding.PROTOBUF), bodies, spans)
    return [
        ("request", f"{spans} spans, {len(body):,} bytes"),
        ("protobuf's parser alone", f"{parse:.2f} µs a span"),
        ("bytes to columns, all of it", f"{decode:.2f} µs a span"),
    ]
