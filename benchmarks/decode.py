"""What Python does to a request: protobuf's own parser alone, from bytes to columns, and from columns to the rows of COPY.

In CPU time of the thread, in a process tuned as a serving one is. Times are of a machine and of a moment; the ratio is of one run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple, cast
from uuid import UUID

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.payload import points, records, template
from tidegauge.cli.process import tune_process
from tidegauge.model.batch import Batch, LogBatch, MetricBatch, Signal, SpanBatch
from tidegauge.otlp.decode import Decoder
from tidegauge.otlp.encoding import Encoding
from tidegauge.storage.postgres import copy

_REQUESTS = 24
"""Different ones, so that what is remembered of one is not what the next one has."""
_ROUNDS = 9


class _Case(NamedTuple):
    what: str
    item: str
    signal: Signal
    type: type[Message]
    body: Callable[[int, int], bytes]


_CASES = (
    _Case("spans, 3 of 8 attributes never repeat", "a span", Signal.TRACES, ExportTraceServiceRequest, template),
    _Case(
        "spans, all attributes repeat", "a span", Signal.TRACES, ExportTraceServiceRequest,
        lambda items, seed: template(items, seed, repeating=True),
    ),
    _Case("metric points", "a point", Signal.METRICS, ExportMetricsServiceRequest, points),
    _Case("log records", "a record", Signal.LOGS, ExportLogsServiceRequest, records),
)  # fmt: skip


def measure(items: int) -> list[tuple[str, str]]:
    """Rows of (what, figure) for requests of so many items."""
    tune_process()
    rows = []
    for case in _CASES:
        bodies = [case.body(items, seed) for seed in range(_REQUESTS)]
        rows += [(f"{case.what}: {what}", figure) for what, figure in _measured(case, items, bodies)]
    return rows


def _measured(case: _Case, items: int, bodies: list[bytes]) -> list[tuple[str, str]]:
    decoder = Decoder()
    stages: dict[str, list[float]] = {"parse": [], "decode": [], "encode": []}
    for _ in range(_ROUNDS):
        taken = dict.fromkeys(stages, 0.0)
        for body in bodies:
            begin = time.thread_time()
            case.type.FromString(body)
            parsed = time.thread_time()
            batch = decoder.decode(case.signal, body, Encoding.PROTOBUF)
            decoded = time.thread_time()
            _encode(batch)
            taken["encode"] += time.thread_time() - decoded
            taken["decode"] += decoded - parsed
            taken["parse"] += parsed - begin
        for stage, seconds in taken.items():
            stages[stage].append(seconds / items / len(bodies) * 1e6)
    # The first round fills the caches.
    parse, decode, encode = (tuple(f(stage[1:]) for f in (min, median)) for stage in stages.values())
    shown: Callable[[tuple[float, float]], str] = lambda pair: f"{pair[0]:.2f} µs {case.item}, median {pair[1]:.2f}"  # noqa: E731
    return [
        ("protobuf's parser alone", shown(cast("tuple[float, float]", parse))),
        ("bytes to columns", f"{shown(cast('tuple[float, float]', decode))}: {decode[0] / parse[0]:.1f} times the parser"),
        ("columns to COPY", shown(cast("tuple[float, float]", encode))),
    ]


def _encode(batch: Batch) -> None:
    resources, scopes = [(1, 1)] * len(batch.resources), [1] * len(batch.scopes)
    match batch:
        case SpanBatch():
            copy.spans(batch, 0, resources, scopes)
            copy.trace_index(batch, 0, resources)
        case MetricBatch():
            copy.numbers(batch.numbers, range(len(batch.series)))
        case LogBatch():
            copy.logs(batch, 0, resources, scopes, UUID(int=0), 0)
