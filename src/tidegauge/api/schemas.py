"""What answers look like, for the OpenAPI document. Answers are encoded without these models; tests hold the two together."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Time = Annotated[str, Field(description="RFC 3339, UTC, nanoseconds", examples=["2026-01-31T12:00:00.000000001Z"])]
UnixNano = Annotated[str, Field(description="nanoseconds since the Unix epoch, as a string: JSON numbers lose digits", pattern=r"^-?\d+$")]
TraceId = Annotated[str, Field(description="32 lower-case hex digits", examples=["5b8efff798038103d269b633813fc60c"])]
SpanId = Annotated[str, Field(description="16 lower-case hex digits", examples=["eee19b7ec3c1b174"])]
Attributes = Annotated[
    list[dict[str, Any]] | dict[str, Any],
    Field(
        description="OTLP/JSON KeyValues, lossless; with attributes=map a plain object",
        examples=[[{"key": "http.route", "value": {"stringValue": "/cart"}}]],
    ),
]
Number = Annotated[float | str | None, Field(description='a number, or "Infinity", "-Infinity", "NaN"; null where it does not apply')]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ParameterError(_Model):
    """A parameter that is to blame."""

    parameter: str
    value: str | None = None
    message: str
    sqlstate: str | None = Field(None, description="of SQL: PostgreSQL's error code")
    position: int | None = Field(None, description="of SQL: the character to blame, from 1")


class Problem(_Model):
    """A problem document (RFC 9457)."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Invalid argument"])
    status: int = Field(examples=[400])
    detail: str = Field(examples=["start='yesterday' is not a time"])
    hint: str | None = Field(None, description="what to do about it")
    instance: str | None = Field(None, description="the path that was asked for")
    errors: list[ParameterError] | None = None


class Application(_Model):
    """A monitored service."""

    application_id: int
    namespace: str
    service: str = Field(description="service.name", examples=["cart"])
    environment: str = Field(description="deployment.environment.name")
    created_at: Time
    last_seen: Time = Field(description="kept by the hour")


class Applications(_Model):
    """Applications by namespace and name."""

    applications: list[Application]
    truncated: bool


class Alert(_Model):
    """An alert."""

    alert_id: int
    name: str
    description: str
    status: str
    severity: str
    service: str | None
    labels: dict[str, Any]
    value: Number
    created_at: Time
    updated_at: Time
    resolved_at: Time | None


class Alerts(_Model):
    """Alerts, most severe first, then newest first."""

    alerts: list[Alert]
    truncated: bool


class EntityRef(_Model):
    """An entity that a resource is of: keys of the resource's attributes that identify and describe it."""

    schema_url: str
    type: str
    id_keys: list[str]
    description_keys: list[str]


class Resource(_Model):
    """Who sent it."""

    application_id: int | None = Field(description="null for log records in Elasticsearch, which know their application by name alone")
    namespace: str
    service: str
    environment: str
    attributes: Attributes
    dropped_attributes_count: int
    schema_url: str
    entity_refs: list[EntityRef]


class Scope(_Model):
    """The instrumentation library that made it."""

    name: str
    version: str
    attributes: Attributes
    dropped_attributes_count: int
    schema_url: str


class Status(_Model):
    """A span's status."""

    code: str = Field(examples=["ERROR"])
    message: str


class Event(_Model):
    """Something that happened during a span."""

    time: Time
    time_unix_nano: UnixNano
    name: str
    attributes: Attributes
    dropped_attributes_count: int


class Link(_Model):
    """A reference to another span."""

    trace_id: str
    span_id: str
    trace_state: str
    flags: int
    attributes: Attributes
    dropped_attributes_count: int


class Span(_Model):
    """A span and what is below it."""

    span_id: SpanId
    parent_span_id: SpanId | None
    detached: Literal["orphan", "cycle", "depth"] | None = Field(
        description="why a span with a parent stands at the top: its parent is not in the trace, its parents lead in a circle, "
        "or it is nested too deep"
    )
    name: str
    kind: str = Field(examples=["SERVER"])
    service: str
    start_time: Time
    start_time_unix_nano: UnixNano
    end_time: Time
    end_time_unix_nano: UnixNano
    duration_ns: int
    status: Status
    trace_state: str
    flags: int
    attributes: Attributes
    dropped_attributes_count: int
    events: list[Event]
    dropped_events_count: int
    links: list[Link]
    dropped_links_count: int
    resource: int = Field(description="index in `resources`")
    scope: int = Field(description="index in `scopes`")
    children: list[Span] = Field(description="by start time")


class Trace(_Model):
    """A trace as trees of spans."""

    trace_id: TraceId
    start_time: Time
    start_time_unix_nano: UnixNano
    end_time: Time
    end_time_unix_nano: UnixNano
    duration_ns: int
    span_count: int
    error_count: int
    truncated: bool = Field(
        description="whether there are more spans than an answer holds; then the earliest are shown; times, errors and services are theirs"
    )
    services: list[str]
    resources: list[Resource]
    scopes: list[Scope]
    spans: list[Span] = Field(description="roots by start time")


class SpanSummary(_Model):
    """A span that was found."""

    trace_id: TraceId
    span_id: SpanId
    parent_span_id: SpanId | None
    application_id: int
    service: str
    name: str
    kind: str
    status: Status
    start_time: Time
    start_time_unix_nano: UnixNano
    duration_ns: int


class Spans(_Model):
    """Spans, newest first."""

    spans: list[SpanSummary]
    next_cursor: str | None = Field(description="parameter `cursor` of the next page; null at the end")


class TraceRoot(_Model):
    """The span without a parent."""

    span_id: SpanId
    service: str
    name: str
    duration_ns: int | None


class TraceSummary(_Model):
    """A trace that was found; times are of microseconds."""

    trace_id: TraceId
    start_time: Time
    end_time: Time
    duration_ns: int
    span_count: int
    error_count: int
    services: list[str]
    root: TraceRoot | None = Field(description="null where no root has arrived")


class Traces(_Model):
    """Traces, newest first."""

    traces: list[TraceSummary]
    next_cursor: str | None = Field(description="parameter `cursor` of the next page; null at the end")


class RejectionSample(_Model):
    """The first of the items that were rejected, at most 4 KiB of it."""

    format: Literal["json", "otlp_json", "text", "base64"] = Field(
        description="`otlp_json`: the item as OTLP/JSON; `json`: what it was, or its columns; `text`: JSON that was cut or cannot be read; "
        "`base64`: a protobuf message that cannot be read"
    )
    message: str | None = Field(description="name of the protobuf message", examples=["Span"])
    value: Any = Field(examples=[{"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "", "name": "GET /cart"}])
    is_whole: bool = Field(description="false where it was cut")


class Rejection(_Model):
    """Items that were rejected, or stored otherwise than they came (then `items` is 0)."""

    rejection_id: str
    rejected_at: Time = Field(description="of a sum: the start of its minute")
    signal: Literal["traces", "metrics", "logs"]
    reason: str = Field(examples=["invalid_span_id"])
    message: str
    items: int
    service: str | None = Field(description="service.name of the sender; null where it is not known")
    digest: str | None = Field(description="digest of the request; null for a sum")
    is_sum: bool = Field(description="whether the row adds up further items of its minute, which have no rows of their own")
    sample: RejectionSample | None


class Rejections(_Model):
    """Rejections, newest first."""

    rejections: list[Rejection]
    next_cursor: str | None = Field(description="parameter `cursor` of the next page; null at the end")


class ServiceRejections(_Model):
    """Items of a service."""

    service: str | None = Field(description="null: it is not known")
    items: int


class RejectionCount(_Model):
    """Items rejected for a reason."""

    signal: Literal["traces", "metrics", "logs"]
    reason: str
    items: int
    first: Time
    last: Time
    services: list[ServiceRejections] = Field(description="the ten that lost most, most first")


class RejectionSummary(_Model):
    """Items by signal and reason, most first."""

    start: Time
    end: Time
    counts: list[RejectionCount]


class Metric(_Model):
    """A metric."""

    name: str = Field(examples=["http.server.request.duration"])
    type: str = Field(examples=["histogram"])
    unit: str = Field(examples=["s"])
    temporality: str | None
    is_monotonic: bool | None
    description: str
    label_names: list[str]
    series_count: int
    services: list[str]


class Metrics(_Model):
    """Metrics by name."""

    metrics: list[Metric]
    truncated: bool


Point = Annotated[list[Any], Field(min_length=2, max_length=2, description="start of the step in Unix seconds, value")]


class Rollup(_Model):
    """A bucket."""

    bucket: Time
    count: int = Field(description="points; of a histogram, observations")
    sum: Number
    avg: Number
    min: Number
    max: Number
    first: Number
    last: Number
    increase: Number = Field(description="what a sum rose by")
    bucket_counts: list[int] | None = Field(description="of a histogram, between `bounds`")
    is_exact: bool = Field(
        description="false where increase (of a histogram: count, sum, bucket_counts) is only known to be at least that, or may be rounded"
    )


class RollupSeries(_Model):
    """A series' buckets."""

    labels: dict[str, str]
    type: str
    unit: str
    temporality: str | None
    is_monotonic: bool | None
    bounds: list[float] | None
    rollups: list[Rollup]


class Rollups(_Model):
    """Series with their buckets; a bucket without data is left out."""

    metric: str
    tier: Literal["hourly", "daily"]
    start: Time
    end: Time
    series: list[RollupSeries]
