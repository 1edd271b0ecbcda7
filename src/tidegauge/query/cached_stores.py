"""Stores whose answers by time step are kept (:mod:`tidegauge.query.caching`), and the ingest store that says what came late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from operator import attrgetter

from tidegauge.model import columns
from tidegauge.model.batch import Batch, LogBatch, MetricBatch
from tidegauge.model.query import Aggregation, Cursor, LogField, LogFilter, Order, SeriesSelector, Tier, TimeRange
from tidegauge.model.records import Epoch, LogContext, LogCount, Metric, Series, StoredLog, TopValue
from tidegauge.model.tiers import Reading, StepColumn
from tidegauge.query.cache_codec import CountCodec, EpochCodec, StepCodec
from tidegauge.query.caching import QueryCache, Question, Topic
from tidegauge.query.times import DAY_NS, HOUR_NS
from tidegauge.storage.interface import IngestOutcome, IngestRequest, IngestStore, LogStore, MetricStore, Page

# Few enough that the block with the present in it is short, many enough that a long range has not too many.
_STEPS = 32
# Of rollups they are short: an answer of thousands of series is large, and a cache keeps no entry that is large beside it.
_BLOCK_NS = {Tier.HOURLY: 3 * HOUR_NS, Tier.DAILY: DAY_NS}
# A refresh within the database, which takes in what had come late, is seen by nobody else.
_ROLLUPS_AT_MOST = timedelta(minutes=1)
# Counts are not limited: there are few severities.
_NO_LIMIT = 1 << 31
# What a filter without its time is written down with.
_ANY_TIME = TimeRange(0, 1)


class CachedMetricStore:
    """A :class:`~tidegauge.storage.interface.MetricStore` that keeps values by step and rollups; the rest is as it was."""

    def __init__(self, store: MetricStore, cache: QueryCache) -> None:
        self._store = store
        self._cache = cache
        self._steps = StepCodec()
        self._epochs = EpochCodec()

    async def metrics(self, tenant_id: int, name: str | None, service: str | None, limit: int) -> Sequence[Metric]:
        """See ``MetricStore``."""
        return await self._store.metrics(tenant_id, name, service, limit)

    async def series(self, tenant_id: int, wanted: SeriesSelector, group_by: Sequence[str], limit: int) -> Sequence[Series]:
        """See ``MetricStore``."""
        return await self._store.series(tenant_id, wanted, group_by, limit)

    async def steps(
        self,
        tenant_id: int,
        series: Sequence[Series],
        groups: Sequence[int],
        reading: Reading,
        aggregation: Aggregation,
        limit: int,
    ) -> Sequence[StepColumn]:
        """See ``MetricStore``."""
        edges = reading.steps.edges
        block_ns = None
        # A block's ends are multiples of the step: what begins elsewhere would be cut within its steps.
        if isinstance(edges, range) and edges.start % edges.step == 0 and _is_step_by_step(series, aggregation):
            block_ns = _STEPS * edges.step

        async def read(part: TimeRange) -> Sequence[StepColumn]:
            asked = reading if part == reading.steps.time else reading.part(part)
            return await self._store.steps(tenant_id, series, groups, asked, aggregation, limit)

        question = Question(
            topic=Topic.METRICS,
            # What depends on values before its steps may also depend on where those are read from, where resets are not told.
            subject=([one.series_id for one in series], list(groups), aggregation.value, block_ns or reading),
            time=reading.steps.time,
            block_ns=block_ns,
            read=read,
            # The store raises where there is more.
            limit=_NO_LIMIT,
            codec=self._steps,
            order=columns.place,
        )
        found = await self._cache.rows(tenant_id, question)
        return found if block_ns is None else columns.joined(found)

    async def epochs(self, tenant_id: int, series: Sequence[Series], time: TimeRange, tier: Tier, limit: int) -> Sequence[Epoch]:
        """See ``MetricStore``."""

        async def read(part: TimeRange) -> Sequence[Epoch]:
            return await self._store.epochs(tenant_id, series, part, tier, limit)

        question = Question(
            topic=Topic.ROLLUPS,
            subject=([one.series_id for one in series], tier.value),
            time=time,
            block_ns=_BLOCK_NS[tier],
            read=read,
            limit=limit,
            codec=self._epochs,
            # Within a bucket they come from one part, in order already.
            order=attrgetter("series_id", "bucket_unix_nano"),
            at_most=_ROLLUPS_AT_MOST,
        )
        return await self._cache.rows(tenant_id, question)


def _is_step_by_step(series: Sequence[Series], aggregation: Aggregation) -> bool:
    """Whether a step's value depends on the points in it alone: what cumulative values rise by depends on those before as well."""
    if all(one.type in ("gauge", "sum") for one in series) and aggregation not in (Aggregation.INCREASE, Aggregation.RATE):
        return True
    return all(one.temporality == "delta" for one in series)


class CachedLogStore:
    """A :class:`~tidegauge.storage.interface.LogStore` that keeps counts by step; the rest is as it was."""

    def __init__(self, store: LogStore, cache: QueryCache) -> None:
        self._store = store
        self._cache = cache
        self._counts = CountCodec()

    async def find_logs(
        self, tenant_id: int, wanted: LogFilter, limit: int, after: Cursor | None, order: Order = Order.NEWEST_FIRST
    ) -> Page[StoredLog]:
        """See ``LogStore``."""
        return await self._store.find_logs(tenant_id, wanted, limit, after, order)

    async def log(self, tenant_id: int, log_id: str) -> StoredLog | None:
        """See ``LogStore``."""
        return await self._store.log(tenant_id, log_id)

    async def count_logs(self, tenant_id: int, wanted: LogFilter, step_ns: int) -> Sequence[LogCount]:
        """See ``LogStore``."""

        async def read(part: TimeRange) -> Sequence[LogCount]:
            return await self._store.count_logs(tenant_id, replace(wanted, time=part), step_ns)

        question = Question(
            topic=Topic.LOGS,
            subject=(replace(wanted, time=_ANY_TIME), step_ns),
            time=wanted.time,
            block_ns=_STEPS * step_ns,
            read=read,
            limit=_NO_LIMIT,
            codec=self._counts,
            order=attrgetter("time_unix_nano", "severity_number"),
        )
        return await self._cache.rows(tenant_id, question)

    async def top_values(self, tenant_id: int, wanted: LogFilter, field: LogField | str, limit: int) -> Sequence[TopValue]:
        """See ``LogStore``."""
        return await self._store.top_values(tenant_id, wanted, field, limit)

    async def context(self, tenant_id: int, log_id: str, before: int, after: int, wanted: LogFilter | None = None) -> LogContext | None:
        """See ``LogStore``."""
        return await self._store.context(tenant_id, log_id, before, after, wanted)

    async def delete_logs(self, tenant_id: int, wanted: LogFilter) -> int:
        """See ``LogStore``."""
        try:
            return await self._store.delete_logs(tenant_id, wanted)
        finally:
            # Where it failed as well: some may be gone.
            self._cache.late(tenant_id, Topic.LOGS)


class LateIngest:
    """An :class:`~tidegauge.storage.interface.IngestStore` that says when what came belongs to time steps that may have been kept."""

    def __init__(self, store: IngestStore, cache: QueryCache) -> None:
        self._store = store
        self._cache = cache

    async def commit(self, requests: Sequence[IngestRequest]) -> Sequence[IngestOutcome]:
        """See ``IngestStore``."""
        try:
            return await self._store.commit(requests)
        finally:
            # Where it failed as well: it may have been stored all the same.
            closed_ns = self._cache.closed_before_ns()
            if closed_ns:
                for request in requests:
                    self._look_at(request, closed_ns)

    def _look_at(self, request: IngestRequest, closed_ns: int) -> None:
        if _oldest_ns(request.batch, closed_ns) < closed_ns:
            for topic in (Topic.LOGS,) if isinstance(request.batch, LogBatch) else (Topic.METRICS, Topic.ROLLUPS):
                self._cache.late(request.tenant_id, topic)


def _oldest_ns(batch: Batch, otherwise: int) -> int:
    """When the oldest item was; of spans, of which nothing is kept, and of records without a time ``otherwise``."""
    match batch:
        case LogBatch():
            # Nearly always every record has its time: one pass in C tells.
            if lowest := min(batch.time_unix_nano, default=0):
                return lowest
            times = [time or observed for time, observed in zip(batch.time_unix_nano, batch.observed_time_unix_nano, strict=True)]
            return min(filter(None, times), default=otherwise)
        case MetricBatch():
            columns = (batch.numbers.time_unix_nano, batch.histograms.time_unix_nano, batch.summaries.time_unix_nano)
            return min(map(min, filter(None, columns)), default=otherwise)
    return otherwise
