"""What the API needs of the rest of the program."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from tidegauge.health.circuits import CircuitStatus
from tidegauge.model.query import TimeRange
from tidegauge.model.tiers import Family, Level, TierState
from tidegauge.query.sql import SqlEndpoint
from tidegauge.query.tail import LogTail
from tidegauge.storage.analysis_interface import AnalysisStore, NothingToAnalyse
from tidegauge.storage.attribute_interface import AttributeCatalogueStore, NoAttributes
from tidegauge.storage.cache_interface import RateLimiter
from tidegauge.storage.interface import ApplicationStore, LogStore, MetricStore, RejectionStore, TraceStore
from tidegauge.storage.percentile_interface import DurationCounts, DurationFilter, HistogramEpoch, PercentileStore
from tidegauge.storage.tier_interface import NoSpanRates, SpanRateStore, TierStore


async def _nothing() -> bytes:
    return b""


class RawAlone:
    """A ``TierStore`` where there are no rollups."""

    async def states(self, family: Family) -> Sequence[TierState]:
        """See ``TierStore``."""
        return (TierState(Level.RAW),)


_RAW_ALONE = RawAlone()
_NO_SPAN_RATES = NoSpanRates()
_NO_ANALYSIS = NothingToAnalyse()


class NoPercentiles:
    """A ``PercentileStore`` that holds nothing."""

    async def durations(
        self, tenant_id: int, wanted: DurationFilter, segments: Sequence[tuple[Level, TimeRange]], origin_ns: int, width_ns: int, limit: int
    ) -> Sequence[DurationCounts]:
        """See ``PercentileStore``."""
        return ()

    async def histograms(
        self,
        series: Sequence[int],
        is_exponential: bool,
        segments: Sequence[tuple[Level, TimeRange]],
        origin_ns: int,
        width_ns: int,
        limit: int,
    ) -> Sequence[HistogramEpoch]:
        """See ``PercentileStore``."""
        return ()


_NO_PERCENTILES = NoPercentiles()


_NO_ATTRIBUTES = NoAttributes()


@dataclass(frozen=True, slots=True)
class ApiServices:
    """The stores, whether the program is ready, and the clock.

    Attributes:
        readiness: dependency → "ok", or what is wrong with it.
        now_ns: nanoseconds since the Unix epoch.
        circuits: circuit breakers of this process as they are.
        exposition: the program's metrics about itself, as text.
        tail: who follows logs live; None where nobody can.
        attributes: what attributes there are.
        sql: runs analysts' SQL; None where it is turned off.
        tiers: what rollups there are, and how far they can be trusted.
        analysis: what traces are analysed from.
        percentiles: what percentiles are made of.

    """

    applications: ApplicationStore
    traces: TraceStore
    metrics: MetricStore
    logs: LogStore
    rejections: RejectionStore
    readiness: Callable[[], Awaitable[Mapping[str, str]]]
    now_ns: Callable[[], int]
    circuits: Callable[[], Sequence[CircuitStatus]] = tuple
    exposition: Callable[[], Awaitable[bytes]] = _nothing
    tail: LogTail | None = None
    attributes: AttributeCatalogueStore = _NO_ATTRIBUTES
    sql: SqlEndpoint | None = None
    tiers: TierStore = _RAW_ALONE
    span_rates: SpanRateStore = _NO_SPAN_RATES
    analysis: AnalysisStore = _NO_ANALYSIS
    percentiles: PercentileStore = _NO_PERCENTILES


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a client's requests: what counts them, and how many proxies in front say truly who asks (``tidegauge.clients``)."""

    limiter: RateLimiter
    trusted_proxies: int = 0
