"""The Protocol of what percentiles are made of: counts of span durations, and histograms, by time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from tidegauge.model.query import TimeRange
from tidegauge.model.tiers import Level


@dataclass(frozen=True, slots=True)
class DurationFilter:
    """Spans whose durations are counted; None: any. ``by_service``, ``by_operation`` and ``by_kind`` tell them apart."""

    service: str | None = None
    operation: str | None = None
    kind: int | None = None
    status_code: int | None = None
    by_service: bool = False
    by_operation: bool = False
    by_kind: bool = False

    @property
    def is_of_services(self) -> bool:
        """Whether nothing but services is asked for, for which there are rollups of their own."""
        return self.operation is None and self.kind is None and not self.by_operation and not self.by_kind


DurationKey = tuple[str | None, str | None, int | None]
"""Service, operation and kind of spans, None where they are not told apart."""


class DurationCounts(NamedTuple):
    """Spans by duration bucket. ``time_unix_nano`` is the start of the rollup's bucket or, of raw data, of the part of a step."""

    time_unix_nano: int
    key: DurationKey
    buckets: Sequence[int]
    counts: Sequence[int]
    least_ns: int | None
    greatest_ns: int | None


@dataclass(frozen=True, slots=True)
class HistogramBuckets:
    """Bucket counts as they are stored: ``counts`` of an explicit histogram.

    ``positive`` and ``negative`` are those of an exponential one: its scale, the index of the first bucket, counts from there on.
    """

    counts: Sequence[int] | None = None
    positive: Sequence[int] | None = None
    negative: Sequence[int] | None = None
    zero_count: int = 0


@dataclass(frozen=True, slots=True)
class HistogramEpoch:
    """What a histogram's points of one start time and rollup bucket come to; see ``DurationCounts`` for its time.

    ``count`` and ``added`` are sums over points, for deltas; ``first`` and ``last`` points tell what a cumulative one rose by.
    """

    series_id: int
    time_unix_nano: int
    start_unix_nano: int | None
    count: int
    first_count: int
    last_count: int
    least: float | None
    greatest: float | None
    zero_threshold: float
    added: HistogramBuckets = field(default_factory=HistogramBuckets)
    first: HistogramBuckets = field(default_factory=HistogramBuckets)
    last: HistogramBuckets = field(default_factory=HistogramBuckets)


class PercentileStore(Protocol):
    """Reads counts in buckets from a tier. Ranges consist of the tier's whole buckets; raw data is read by parts of ``width_ns``.

    Those parts begin at ``origin_ns`` and its multiples from there.
    """

    async def durations(
        self, tenant_id: int, wanted: DurationFilter, segments: Sequence[tuple[Level, TimeRange]], origin_ns: int, width_ns: int, limit: int
    ) -> Sequence[DurationCounts]:
        """Durations of spans; more than ``limit`` tells that there are more."""
        ...

    async def histograms(
        self,
        series: Sequence[int],
        is_exponential: bool,
        segments: Sequence[tuple[Level, TimeRange]],
        origin_ns: int,
        width_ns: int,
        limit: int,
    ) -> Sequence[HistogramEpoch]:
        """Histograms of series by series, time and start time (unknown ones first); more than ``limit`` tells that there are more."""
        ...
