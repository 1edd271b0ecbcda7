"""Records that queries return. Times are integers of nanoseconds since the Unix epoch unless a name says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from tidegauge.model.attributes import AnyValue, KeyValues


@dataclass(frozen=True, slots=True)
class Application:
    """A monitored service. ``last_seen`` is kept by the hour."""

    application_id: int
    namespace: str
    name: str
    environment: str
    created_at_unix_nano: int
    last_seen_unix_nano: int


@dataclass(frozen=True, slots=True)
class Resource:
    """Who sent it."""

    attributes: KeyValues
    dropped_attributes_count: int
    schema_url: str


@dataclass(frozen=True, slots=True)
class Scope:
    """The instrumentation library that made it."""

    name: str
    version: str
    attributes: KeyValues
    dropped_attributes_count: int
    schema_url: str


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened during a span."""

    time_unix_nano: int
    name: str
    attributes: KeyValues
    dropped_attributes_count: int


@dataclass(frozen=True, slots=True)
class SpanLink:
    """A reference from a span to another; ids in lower-case hex."""

    trace_id: str
    span_id: str
    trace_state: str
    attributes: KeyValues
    dropped_attributes_count: int
    flags: int


@dataclass(frozen=True, slots=True)
class Span:
    """A span as it was sent, and the application it belongs to; ids in lower-case hex."""

    trace_id: str
    span_id: str
    parent_span_id: str
    trace_state: str
    flags: int
    name: str
    kind: int
    start_time_unix_nano: int
    end_time_unix_nano: int
    status_code: int
    status_message: str
    attributes: KeyValues
    dropped_attributes_count: int
    events: tuple[SpanEvent, ...]
    dropped_events_count: int
    links: tuple[SpanLink, ...]
    dropped_links_count: int
    application: Application
    resource: Resource
    scope: Scope


@dataclass(frozen=True, slots=True)
class StoredResource:
    """A resource as its columns hold it. ``attributes`` is parsed JSON; where ``original`` (the OTLP message) is present, it is the truth."""

    application: Application
    schema_url: str
    attributes: object
    dropped_attributes_count: int
    original: bytes | None


@dataclass(frozen=True, slots=True)
class StoredScope:
    """A scope as its columns hold it; see :class:`StoredResource`."""

    name: str
    version: str
    schema_url: str
    attributes: object
    dropped_attributes_count: int
    original: bytes | None


@dataclass(frozen=True, slots=True)
class StoredSpan:
    """A span as its columns hold it; see :class:`StoredResource`. ``events`` and ``links`` are parsed JSON arrays or None.

    ``end = start + duration``; the duration is negative where the sender's end is before its start.
    """

    trace_id: str
    span_id: str
    parent_span_id: str
    trace_state: str
    flags: int
    name: str
    kind: int
    start_time_unix_nano: int
    duration_ns: int
    status_code: int
    status_message: str
    attributes: object
    dropped_attributes_count: int
    events: object
    dropped_events_count: int
    links: object
    dropped_links_count: int
    original: bytes | None
    resource: StoredResource
    scope: StoredScope


@dataclass(frozen=True, slots=True)
class StoredTrace:
    """Spans of a trace by start time, each (trace_id, span_id) once. ``span_count`` is what was received, resends included."""

    spans: tuple[StoredSpan, ...]
    span_count: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class SpanSummary:
    """A row of a span search: enough to choose a trace by; ids in lower-case hex."""

    trace_id: str
    span_id: str
    parent_span_id: str
    application_id: int
    service: str
    name: str
    kind: int
    status_code: int
    status_message: str
    start_time_unix_nano: int
    duration_ns: int


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A log record as it was sent; ``log_id`` is the request's digest and the record's place in it."""

    log_id: str
    timestamp_unix_nano: int
    time_unix_nano: int
    observed_time_unix_nano: int
    severity_number: int
    severity_text: str
    event_name: str
    body: AnyValue
    attributes: KeyValues
    dropped_attributes_count: int
    trace_id: str
    span_id: str
    flags: int
    application: Application
    resource: Resource
    scope: Scope


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric by name, as one application type and unit describe it."""

    name: str
    type: str
    unit: str
    temporality: str | None
    is_monotonic: bool | None
    description: str
    label_names: tuple[str, ...]
    series_count: int
    applications: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert. Times in nanoseconds; ``resolved_at_unix_nano`` is None while it is open."""

    alert_id: int
    name: str
    description: str
    status: str
    severity: str
    application: str | None
    labels: KeyValues
    value: float | None
    created_at_unix_nano: int
    updated_at_unix_nano: int
    resolved_at_unix_nano: int | None


@dataclass(frozen=True, slots=True)
class SeriesPoints:
    """An answer to a range query: labels (with ``service.name``) and (time of the step's start, value) in order."""

    labels: tuple[tuple[str, str], ...]
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class RollupPoint:
    """A bucket. ``increase`` is what a cumulative sum grew by; ``bucket_counts`` of a histogram lie between its ``bounds``.

    What does not apply to the metric's type is None.
    """

    bucket_unix_nano: int
    count: int
    sum: float | None
    min: float | None
    max: float | None
    first: float | None
    last: float | None
    increase: float | None
    bucket_counts: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class SeriesRollups:
    """A series' buckets in order."""

    labels: tuple[tuple[str, str], ...]
    type: str
    unit: str
    bounds: tuple[float, ...] | None
    rollups: tuple[RollupPoint, ...]
