"""What trace analysis looks like in answers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from tidegauge.api.meta import AnswerMeta

CALLS = ("request", "message", "database")


class AnalysedSpan(BaseModel):
    """A span's part in its trace."""

    span_id: str
    parent_span_id: str | None
    service: str
    name: str
    kind: str
    status: str
    start_time: str
    offset_ns: int = Field(description="from the trace's first span")
    duration_ns: int
    self_time_ns: int = Field(description="its duration less the union of its children's, each clipped to it")
    critical_path_ns: int = Field(description="how long it was on the critical path itself; 0 off it")


class PathSegment(BaseModel):
    """A time in which a span, and none of its children, was on the critical path."""

    span_id: str
    service: str
    name: str
    start_time: str
    offset_ns: int
    duration_ns: int


class OperationTimes(BaseModel):
    """The spans of an operation in a trace, added up."""

    service: str
    name: str
    count: int
    errors: int
    duration_ns: int
    self_time_ns: int
    critical_path_ns: int


class TraceAnalysis(BaseModel):
    """Where a trace's time went."""

    trace_id: str
    start_time: str
    duration_ns: int
    span_count: int
    truncated: bool = Field(description="the trace has more spans than an answer holds: these are its first")
    kept: bool = Field(description="its spans are beyond their retention; this is the copy kept for the examples")
    root_span_id: str | None = Field(description="the span whose critical path it is: the longest root, else the longest orphan")
    critical_path: list[PathSegment] = Field(description="in order of time; the segments lie apart and cover the root's duration")
    operations: list[OperationTimes] = Field(description="by their time on the critical path, longest first")
    spans: list[AnalysedSpan]


class Side(BaseModel):
    """The spans of one trace at a path."""

    count: int
    errors: int
    duration_ns: int
    self_time_ns: int


class ComparedPlace(BaseModel):
    """An operation below others; null where a trace has no such span."""

    service: str
    name: str
    depth: int
    parent: int | None = Field(description="index in `places` of the operation above; null at the top")
    a: Side | None
    b: Side | None
    duration_difference_ns: int = Field(description="b less a, of all spans at this place")
    self_time_difference_ns: int


class ComparedTrace(BaseModel):
    """One of two traces."""

    trace_id: str
    duration_ns: int
    span_count: int
    truncated: bool
    kept: bool


class TraceComparison(BaseModel):
    """Two traces by the paths of (service, operation) of their spans."""

    a: ComparedTrace
    b: ComparedTrace
    places: list[ComparedPlace]


class Edge(BaseModel):
    """Calls from a service to another, or to a peer that sends no spans."""

    client: str
    server: str | None = Field(description="null where `peer` is called")
    peer: str | None = Field(description="a database, a queue, or a peer.service that sends no spans")
    call: Literal["request", "message", "database"]
    count: int
    rate: float = Field(description="calls a second")
    errors: int
    error_rate: float = Field(description="part of the calls that failed, by either side's status")
    duration_avg_ns: int = Field(description="of the called span; of the caller's for a peer")
    duration_max_ns: int
    client_duration_avg_ns: int = Field(description="of the caller's span: what is more than the called one's is the way and the wait")
    p50_ns: int
    p90_ns: int
    p99_ns: int


class MapStep(BaseModel):
    """The edges of a step of time."""

    start: str
    end: str
    edges: list[Edge]


class ServiceMap(BaseModel):
    """Who calls whom."""

    steps: list[MapStep] = Field(description="steps without calls are left out; without `step`, one")
    meta: AnswerMeta


class Rates(BaseModel):
    """Rate, errors and duration."""

    count: int
    rate: float = Field(description="spans a second")
    errors: int
    error_rate: float = Field(description="part of the spans that failed")
    duration_avg_ns: int
    duration_min_ns: int
    duration_max_ns: int
    p50_ns: int
    p90_ns: int
    p99_ns: int


class OperationRates(Rates):
    """Of a service, or an operation."""

    service: str
    operation: str | None = Field(description="null where all operations are together; `_other` beyond the names that rollups tell apart")


class RatesStep(BaseModel):
    """A step of time."""

    start: str
    end: str
    services: list[OperationRates]


class ServiceRates(BaseModel):
    """Rate, errors and duration of services."""

    steps: list[RatesStep]
    meta: AnswerMeta


class Impacts(BaseModel):
    """What changed, more being positive."""

    time: float = Field(description="seconds of work a second, by each span taking longer; of one that came or went, its whole time")
    errors: float = Field(description="failed spans a second")
    rate: float = Field(description="spans a second")


class RatesChange(BaseModel):
    """An operation in two periods; null where it was not called."""

    service: str
    operation: str | None
    before: Rates | None
    after: Rates | None
    impacts: Impacts
    rate_ratio: float | None = Field(description="after by before; null where either is missing")
    duration_ratio: float | None = Field(description="of the mean durations")
    error_rate_difference: float | None


class ServiceComparison(BaseModel):
    """Two periods."""

    changes: list[RatesChange] = Field(description="the greatest impact first")
    truncated: bool
    before_meta: AnswerMeta
    after_meta: AnswerMeta


class ExampleSpan(BaseModel):
    """A span worth looking at."""

    trace_id: str
    span_id: str
    start_time: str
    duration_ns: int
    status: str
    status_message: str


class OperationExamples(BaseModel):
    """Examples of an operation."""

    service: str
    operation: str
    slowest: ExampleSpan
    error: ExampleSpan | None = Field(description="the newest that failed")


class ExamplesStep(BaseModel):
    """A step of time."""

    start: str
    end: str
    examples: list[OperationExamples]


class TraceExamples(BaseModel):
    """The slowest and the newest failed span of operations."""

    steps: list[ExamplesStep]
    truncated: bool
    meta: AnswerMeta
