"""Records that queries return. Times are integers of nanoseconds since the Unix epoch unless a name says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tidegauge.model.attributes import AnyValue, KeyValues
from tidegauge.model.batch import Signal


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
class EntityRef:
    """An entity that a resource is of: its type, and the keys of the resource's attributes that identify and describe it."""

    schema_url: str
    type: str
    id_keys: tuple[str, ...]
    description_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resource:
    """Who sent it."""

    attributes: KeyValues
    dropped_attributes_count: int
    schema_url: str
    entity_refs: tuple[EntityRef, ...] = ()


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
    """A resource as its columns hold it. ``attributes`` is parsed JSON. Where ``original`` (the OTLP message) is present, it counts."""

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
class StoredLog:
    """A log record as its columns hold it; see :class:`StoredResource`. A body that is not a string is kept in ``original`` alone.

    ``timestamp_unix_nano`` orders records: the record's time, else its observed time, else when it was received.
    """

    log_id: str
    timestamp_unix_nano: int
    time_unix_nano: int
    observed_time_unix_nano: int
    severity_number: int
    severity_text: str
    event_name: str
    body: str | None
    attributes: object
    dropped_attributes_count: int
    trace_id: str
    span_id: str
    flags: int
    original: bytes | None
    resource: StoredResource
    scope: StoredScope


@dataclass(frozen=True, slots=True)
class LogCount:
    """How many records of a severity (OTLP's number) began in a time step."""

    time_unix_nano: int
    severity_number: int
    count: int


@dataclass(frozen=True, slots=True)
class TopValue:
    """A value of a field, as text, and how many records have it."""

    value: str
    count: int


@dataclass(frozen=True, slots=True)
class LogContext:
    """A record and its neighbours, all oldest first."""

    before: tuple[StoredLog, ...]
    record: StoredLog
    after: tuple[StoredLog, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """A span's name that a service has used; ``last_seen_unix_nano`` is of whole hours."""

    service: str
    name: str
    last_seen_unix_nano: int


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """A trace as its index knows it. Without a root yet, the root's fields are empty. ``span_count`` may count resent spans."""

    trace_id: str
    start_time_unix_nano: int
    end_time_unix_nano: int
    span_count: int
    error_count: int
    services: tuple[str, ...]
    root_span_id: str
    root_service: str
    root_name: str
    root_duration_ns: int | None


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: a name with a type, unit, temporality and monotonicity. ``services`` are the names of the applications that send it."""

    name: str
    type: str
    unit: str
    temporality: str | None
    is_monotonic: bool | None
    description: str
    label_names: tuple[str, ...]
    series_count: int
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """A metric series. ``labels`` are text: those of its points, and what tells its resource (service.name, …).

    ``group`` holds the values of the labels that a query groups by, "" for one that is absent.
    """

    series_id: int
    type: str
    unit: str
    temporality: str | None
    is_monotonic: bool | None
    bounds: tuple[float, ...] | None
    labels: tuple[tuple[str, str], ...]
    group: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert. ``resolved_at_unix_nano`` is None while it is open; ``labels`` are parsed JSON."""

    alert_id: int
    name: str
    description: str
    status: str
    severity: str
    service: str | None
    labels: Mapping[str, object]
    value: float | None
    created_at_unix_nano: int
    updated_at_unix_nano: int
    resolved_at_unix_nano: int | None


@dataclass(frozen=True, slots=True)
class Epoch:
    """A series' bucket of a rollup within one start time: a counter counts from 0 at ``start_unix_nano`` (None where that is unknown).

    Of number points ``first`` and ``last`` are values, of histograms counts; ``first_sum`` … and the bucket counts are histograms' alone.
    """

    series_id: int
    bucket_unix_nano: int
    start_unix_nano: int | None
    count: int
    sum: float | None
    min: float | None
    max: float | None
    first: float | None
    last: float | None
    first_sum: float | None = None
    last_sum: float | None = None
    first_bucket_counts: tuple[int, ...] | None = None
    last_bucket_counts: tuple[int, ...] | None = None
    bucket_counts: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class StoredRejection:
    """Items that were refused or changed, and why; or, without ``digest`` and ``sample``, the sum of further ones of a minute.

    ``sample`` is the first of them in the form that ``sample_type`` names (``model.batch.Rejection``). ``service`` is "" where it is not
    known.
    """

    rejection_id: str
    rejected_at_unix_nano: int
    signal: Signal
    reason: str
    message: str
    items: int
    service: str
    digest: str
    sample_type: str
    sample: bytes | None


@dataclass(frozen=True, slots=True)
class ServiceCount:
    """Items of a service."""

    service: str
    items: int


@dataclass(frozen=True, slots=True)
class RejectionCount:
    """Items by signal and reason; ``services`` are the ones that lost most, most first."""

    signal: Signal
    reason: str
    items: int
    first_unix_nano: int
    last_unix_nano: int
    services: tuple[ServiceCount, ...]
