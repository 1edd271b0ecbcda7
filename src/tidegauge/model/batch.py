"""Column batches: what the decoders make of a request and the writer stores, one list per column.

Rows refer to resources, scopes and series by their index in the batch's own lists; the storage adapter turns these into ids. Times are
integers of nanoseconds since the Unix epoch, as sent. JSON columns hold UTF-8 JSON ready for a jsonb column: NUL characters are
replaced by U+FFFD, values that JSON lacks by their nearest (NaN and infinities by strings, bytes by base64), and wherever that or
anything else loses something, ``original`` holds the item's protobuf message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias
from uuid import UUID


class Signal(IntEnum):
    """The three signals; the numbers are stored."""

    TRACES = 1
    METRICS = 2
    LOGS = 3


@dataclass(frozen=True, slots=True)
class ResourceEntry:
    """A resource to be interned. ``service_*`` name the application it belongs to (semantic conventions, "Service")."""

    identity: UUID
    service_name: str
    service_namespace: str
    environment: str
    schema_url: str
    attributes: bytes
    dropped_attributes_count: int = 0
    original: bytes | None = None


@dataclass(frozen=True, slots=True)
class ScopeEntry:
    """An instrumentation scope to be interned."""

    identity: UUID
    name: str
    version: str
    schema_url: str
    attributes: bytes
    dropped_attributes_count: int = 0
    original: bytes | None = None


@dataclass(frozen=True, slots=True)
class SeriesEntry:
    """A metric series to be interned; ``resource`` and ``scope`` are indexes into the batch's lists."""

    identity: UUID
    resource: int
    scope: int
    metric_name: str
    type: str
    unit: str
    temporality: str | None
    is_monotonic: bool | None
    bounds: tuple[float, ...] | None
    labels: bytes
    original: bytes | None = None


@dataclass(frozen=True, slots=True)
class MetadataEntry:
    """What a metric is described as by an application; ``resource`` is an index into the batch's list."""

    resource: int
    metric_name: str
    type: str
    unit: str
    description: str
    metadata: bytes | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """Items that are not stored, and why. ``reason`` is a short stable name, ``message`` is for a person.

    ``sample`` is the first of them, at most 4 KiB of it, in the form that ``sample_type`` names: ``json``, or the full name of the protobuf
    message that it is; "" where there is no telling. ``service`` is the sender's service.name, "" where it is not known.
    """

    reason: str
    message: str
    items: int = 1
    sample: bytes | None = None
    sample_type: str = ""
    service: str = ""

    @property
    def refuses_items(self) -> bool:
        """Whether spans, points or records were refused; an exemplar left out is counted but its point is stored."""
        return not self.reason.startswith("exemplar_")


@dataclass(slots=True)
class SpanBatch:
    """Spans; the columns of ``tidegauge.traces`` that are sent (data-model.md)."""

    resources: list[ResourceEntry] = field(default_factory=list)
    scopes: list[ScopeEntry] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    resource: list[int] = field(default_factory=list)
    scope: list[int] = field(default_factory=list)
    start_time_unix_nano: list[int] = field(default_factory=list)
    end_time_unix_nano: list[int] = field(default_factory=list)
    trace_id: list[bytes] = field(default_factory=list)
    """16 bytes"""
    span_id: list[bytes] = field(default_factory=list)
    """8 bytes"""
    parent_span_id: list[bytes | None] = field(default_factory=list)
    """8 bytes, or None for a root"""
    name: list[str] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)
    status_code: list[int] = field(default_factory=list)
    status_message: list[str] = field(default_factory=list)
    trace_state: list[str] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    attributes: list[bytes] = field(default_factory=list)
    """JSON object"""
    events: list[bytes | None] = field(default_factory=list)
    """JSON array of {"name", "time_unix_nano" (string), "attributes", "dropped_attributes_count"?}, or None for no event"""
    links: list[bytes | None] = field(default_factory=list)
    """JSON array of {"trace_id" (hex), "span_id" (hex), "trace_state"?, "attributes", "flags"?, "dropped_attributes_count"?}"""
    dropped_attributes_count: list[int] = field(default_factory=list)
    dropped_events_count: list[int] = field(default_factory=list)
    dropped_links_count: list[int] = field(default_factory=list)
    original: list[bytes | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.trace_id)


@dataclass(slots=True)
class NumberColumns:
    """Points of gauges and sums. ``value`` is None where the point records no value (flag bit 0)."""

    series: list[int] = field(default_factory=list)
    time_unix_nano: list[int] = field(default_factory=list)
    start_time_unix_nano: list[int | None] = field(default_factory=list)
    """only for cumulative sums, None where it is unknown (0) or the point is a gauge's or a delta"""
    value: list[float | None] = field(default_factory=list)
    value_int: list[int | None] = field(default_factory=list)
    """set beside ``value`` (then its nearest float) only where the point is an integer that a float cannot hold"""
    flags: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.series)


@dataclass(slots=True)
class HistogramColumns:
    """Points of explicit and exponential histograms; the latter have ``scale`` and what follows it."""

    series: list[int] = field(default_factory=list)
    time_unix_nano: list[int] = field(default_factory=list)
    start_time_unix_nano: list[int | None] = field(default_factory=list)
    count: list[int] = field(default_factory=list)
    sum: list[float | None] = field(default_factory=list)
    min: list[float | None] = field(default_factory=list)
    max: list[float | None] = field(default_factory=list)
    bucket_counts: list[tuple[int, ...] | None] = field(default_factory=list)
    """positive buckets for exponential ones"""
    flags: list[int] = field(default_factory=list)
    scale: list[int | None] = field(default_factory=list)
    zero_count: list[int | None] = field(default_factory=list)
    zero_threshold: list[float | None] = field(default_factory=list)
    positive_offset: list[int | None] = field(default_factory=list)
    negative_offset: list[int | None] = field(default_factory=list)
    negative_bucket_counts: list[tuple[int, ...] | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.series)


@dataclass(slots=True)
class SummaryColumns:
    """Points of summaries."""

    series: list[int] = field(default_factory=list)
    time_unix_nano: list[int] = field(default_factory=list)
    start_time_unix_nano: list[int | None] = field(default_factory=list)
    count: list[int] = field(default_factory=list)
    sum: list[float | None] = field(default_factory=list)
    quantiles: list[tuple[float, ...]] = field(default_factory=list)
    quantile_values: list[tuple[float, ...]] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.series)


@dataclass(slots=True)
class ExemplarColumns:
    """Exemplars of any point."""

    series: list[int] = field(default_factory=list)
    time_unix_nano: list[int] = field(default_factory=list)
    value: list[float | None] = field(default_factory=list)
    value_int: list[int | None] = field(default_factory=list)
    trace_id: list[bytes | None] = field(default_factory=list)
    span_id: list[bytes | None] = field(default_factory=list)
    filtered_attributes: list[bytes | None] = field(default_factory=list)
    original: list[bytes | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.series)


@dataclass(slots=True)
class MetricBatch:
    """Metric points of all types."""

    resources: list[ResourceEntry] = field(default_factory=list)
    scopes: list[ScopeEntry] = field(default_factory=list)
    series: list[SeriesEntry] = field(default_factory=list)
    metadata: list[MetadataEntry] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    numbers: NumberColumns = field(default_factory=NumberColumns)
    histograms: HistogramColumns = field(default_factory=HistogramColumns)
    summaries: SummaryColumns = field(default_factory=SummaryColumns)
    exemplars: ExemplarColumns = field(default_factory=ExemplarColumns)

    def __len__(self) -> int:
        return len(self.numbers) + len(self.histograms) + len(self.summaries)


@dataclass(slots=True)
class LogBatch:
    """Log records; the columns of ``tidegauge.logs`` that are sent."""

    resources: list[ResourceEntry] = field(default_factory=list)
    scopes: list[ScopeEntry] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    resource: list[int] = field(default_factory=list)
    scope: list[int] = field(default_factory=list)
    ordinal: list[int] = field(default_factory=list)
    """position of the record in its request, counting rejected ones: with the request's digest it is the record's id"""
    time_unix_nano: list[int] = field(default_factory=list)
    """0 where the record has none"""
    observed_time_unix_nano: list[int] = field(default_factory=list)
    severity_number: list[int] = field(default_factory=list)
    severity_text: list[str] = field(default_factory=list)
    event_name: list[str] = field(default_factory=list)
    body: list[str | None] = field(default_factory=list)
    """a string body as it is, any other as JSON text (then ``original`` is set); None for none"""
    attributes: list[bytes] = field(default_factory=list)
    trace_id: list[bytes | None] = field(default_factory=list)
    span_id: list[bytes | None] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    dropped_attributes_count: list[int] = field(default_factory=list)
    original: list[bytes | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ordinal)


Batch: TypeAlias = SpanBatch | MetricBatch | LogBatch
