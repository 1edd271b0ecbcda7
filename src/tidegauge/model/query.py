"""What a query asks for: time ranges, matchers, filters and pages."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tidegauge.errors import InvalidArgument
from tidegauge.model.batch import Signal
from tidegauge.model.search import AttributeCondition

# Elasticsearch counts by milliseconds.
_STEP_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Half-open: start ≤ t < end, nanoseconds since the Unix epoch."""

    start_ns: int
    end_ns: int

    def __post_init__(self) -> None:
        if self.start_ns >= self.end_ns:
            raise ValueError("start must be before end")


class MatchOperator(Enum):
    """Prometheus' label matchers."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on a label. A label that is absent is the empty string, as in Prometheus; regular expressions are anchored."""

    name: str
    operator: MatchOperator
    value: str


class Aggregation(Enum):
    """How the points of a step become one value."""

    AVG = "avg"
    SUM = "sum"
    MIN = "min"
    MAX = "max"
    COUNT = "count"
    FIRST = "first"
    LAST = "last"
    INCREASE = "increase"
    RATE = "rate"


@dataclass(frozen=True, slots=True)
class AttributeFilter:
    """A condition on a span's or log's attribute: equal to one of ``values``, or present where there are none."""

    name: str
    values: tuple[bool | int | float | str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of a page; the next one begins behind it (keyset). ``tie`` tells rows of the same time apart."""

    time_ns: int
    tie: bytes


@dataclass(frozen=True, slots=True)
class SpanFilter:
    """A span search. ``operation`` is the span's name; durations are inclusive.

    ``attributes`` are the span's own, equal or present; ``conditions`` all others. ``text`` is part of the span's name, its status'
    message or the name, exception type or message of one of its events; upper and lower case are the same.
    """

    time: TimeRange
    service: str | None = None
    operation: str | None = None
    kind: int | None = None
    status_code: int | None = None
    min_duration_ns: int | None = None
    max_duration_ns: int | None = None
    attributes: tuple[AttributeFilter, ...] = ()
    conditions: tuple[AttributeCondition, ...] = ()
    text: str | None = None


@dataclass(frozen=True, slots=True)
class TraceFilter:
    """A search for traces that began in ``spans.time`` and have, in that time, a span that ``spans`` finds.

    ``errors``: only traces with (or without) a failed span; durations are the whole trace's.
    """

    spans: SpanFilter
    errors: bool | None = None
    min_duration_ns: int | None = None
    max_duration_ns: int | None = None


class Order(Enum):
    """Which way a page goes."""

    NEWEST_FIRST = "desc"
    OLDEST_FIRST = "asc"


@dataclass(frozen=True, slots=True)
class LogFilter:
    """A log search. ``text``: websearch syntax (docs/data-model.md, "Text search"); severities are OTLP's numbers, inclusive.

    ``correlation_id`` is that of any attribute in :data:`CORRELATION_KEYS`. Of an attribute's value the first
    :data:`SEARCHED_BYTES` bytes are compared.
    """

    time: TimeRange
    text: str | None = None
    min_severity: int | None = None
    max_severity: int | None = None
    service: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    correlation_id: str | None = None
    attributes: tuple[AttributeFilter, ...] = ()


CORRELATION_KEYS = ("correlation_id", "correlation.id", "x-correlation-id")
SEARCHED_BYTES = 8191
STORED_LOGS = "logs"
"""The topic of the channel that tells of log records as they are stored (``tidegauge.ingest.announcing``)."""


def searched_part(value: str) -> str:
    """What of an attribute's value is compared: whole characters of its first :data:`SEARCHED_BYTES` bytes of UTF-8."""
    if len(value) * 4 <= SEARCHED_BYTES:
        return value
    return value.encode(errors="replace")[:SEARCHED_BYTES].decode(errors="ignore")


def check_step(step_ns: int) -> int:
    """The time step of counts of log records itself; raises InvalidArgument where it is not of whole milliseconds."""
    if step_ns < _STEP_NS or step_ns % _STEP_NS:
        raise InvalidArgument("step is not of whole milliseconds", hint="expected 1ms or more", parameter="step")
    return step_ns


class LogField(Enum):
    """A field of log records whose most frequent values can be asked for; attributes go by their key."""

    SERVICE = "service"
    SEVERITY = "severity"
    EVENT_NAME = "event_name"
    SCOPE = "scope"
    TRACE_ID = "trace_id"


@dataclass(frozen=True, slots=True)
class RejectionFilter:
    """A search for rejections, newest first. ``service`` is the sender's service.name, "" for those of whom it is not known."""

    time: TimeRange
    signal: Signal | None = None
    reason: str | None = None
    service: str | None = None


@dataclass(frozen=True, slots=True)
class SeriesSelector:
    """Series of one metric: label matchers, the application's name and the metric's type (gauge, sum, …)."""

    metric_name: str
    matchers: tuple[Matcher, ...] = ()
    service: str | None = None
    type: str | None = None


class Tier(Enum):
    """A rollup's bucket: UTC hours or days."""

    HOURLY = "hourly"
    DAILY = "daily"
