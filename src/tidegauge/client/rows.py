"""Records that answers are made of. Times are aware and in UTC; durations are nanoseconds; ids are lower-case hexadecimal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Application:
    """A monitored service."""

    application_id: int
    name: str
    namespace: str
    environment: str


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's description."""

    name: str
    type: str
    unit: str
    temporality: str | None
    is_monotonic: bool | None
    description: str
    series_count: int
    services: list[str]
    label_names: list[str]


@dataclass(frozen=True, slots=True)
class Point:
    """A value of a step, of the group of series with these labels. ``time`` is the step's start."""

    time: datetime
    value: float | None
    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class Rollup:
    """An hour or a day of a series; what its type does not have is None."""

    bucket: datetime
    labels: dict[str, str]
    count: int
    sum: float | None
    avg: float | None
    min: float | None
    max: float | None
    first: float | None
    last: float | None
    increase: float | None
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Span:
    """A span as a search finds it."""

    start_time: datetime
    trace_id: str
    span_id: str
    parent_span_id: str | None
    service: str
    name: str
    kind: str
    status: str
    status_message: str
    duration_ns: int


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace as a search finds it; the root's fields are None where none has arrived."""

    start_time: datetime
    trace_id: str
    duration_ns: int
    span_count: int
    error_count: int
    services: list[str]
    root_service: str | None
    root_name: str | None


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A log record."""

    timestamp: datetime
    log_id: str
    severity_text: str
    severity_number: int
    service: str
    body: Any
    trace_id: str | None
    span_id: str | None
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """A name of spans of a service."""

    service: str
    name: str
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class DurationPercentile:
    """A quantile of span durations in a step; what is not told apart is None."""

    time: datetime
    service: str | None
    operation: str | None
    kind: str | None
    quantile: float
    duration_ns: int | None
    count: int


@dataclass(frozen=True, slots=True)
class MetricQuantile:
    """A quantile of a histogram's observations in a step; it lies in (lower, upper], None without a bound."""

    time: datetime
    labels: dict[str, str]
    quantile: float
    value: float | None
    lower: float | None
    upper: float | None
    count: int
    is_exact: bool


@dataclass(frozen=True, slots=True)
class ServiceRate:
    """Rate, errors and durations of a service, or an operation, in a step."""

    start: datetime
    service: str
    operation: str | None
    count: int
    rate: float
    errors: int
    error_rate: float
    duration_avg_ns: int
    duration_min_ns: int
    duration_max_ns: int
    p50_ns: int
    p90_ns: int
    p99_ns: int


@dataclass(frozen=True, slots=True)
class Edge:
    """Calls from a service to another, or to a peer that sends no spans, in a step."""

    start: datetime
    client: str
    server: str | None
    peer: str | None
    call: str
    count: int
    rate: float
    errors: int
    error_rate: float
    duration_avg_ns: int
    duration_max_ns: int
    client_duration_avg_ns: int
    p50_ns: int
    p90_ns: int
    p99_ns: int


@dataclass(frozen=True, slots=True)
class AttributeKey:
    """An attribute key that has been sent; ``where`` is resource, scope, span or event."""

    key: str
    where: str
    types: list[str]
    values: int | None
    applications: int
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class AttributeValue:
    """A value, and how often it is in a sample of the newest."""

    value: Any
    count: int
