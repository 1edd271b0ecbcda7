"""Every Protocol that the two paths know of storage. Adapters stand in the packages beside this module; runtime.py chooses them.

All methods may raise ``tidegauge.errors.Unavailable`` while the store is away; what else they raise is said at each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from tidegauge.model.batch import Batch, Signal
from tidegauge.model.query import (
    Aggregation,
    Cursor,
    LogField,
    LogFilter,
    Order,
    RejectionFilter,
    SeriesSelector,
    SpanFilter,
    Tier,
    TimeRange,
    TraceFilter,
)
from tidegauge.model.records import (
    Alert,
    Application,
    Epoch,
    LogContext,
    LogCount,
    Metric,
    Operation,
    RejectionCount,
    Series,
    SpanSummary,
    StoredLog,
    StoredRejection,
    StoredTrace,
    TopValue,
    TraceSummary,
)
from tidegauge.model.search import SearchOrder
from tidegauge.model.tiers import Reading, StepColumn

Row = TypeVar("Row", covariant=True)


@dataclass(frozen=True, slots=True)
class IngestRequest:
    """A decoded request ready to be stored. (tenant_id, signal, endpoint, digest) is its key in the ledger.

    ``digest`` is the body's, or a random one where equal bytes are not the same request; ``bytes`` is its size before decoding.
    """

    tenant_id: int
    signal: Signal
    endpoint: str
    digest: UUID
    batch: Batch
    received_at_unix_nano: int
    bytes: int


@dataclass(frozen=True, slots=True)
class IngestOutcome:
    """What became of a request: stored now, or stored earlier (``repeated``), then with the answer of that time.

    Attributes:
        rejected: items that are not stored.
        message: why, for the sender.
        repeated: it was stored earlier.
        reasons: (reason, items) of what was rejected now, the decoders' rejections included.
        refused: (ordinal, reason, message) of the log records that the store itself refused now.

    """

    rejected: int
    message: str
    repeated: bool = False
    reasons: tuple[tuple[str, int], ...] = ()
    refused: tuple[tuple[int, str, str], ...] = ()


class IngestStore(Protocol):
    """Stores requests so that they survive anything that happens afterwards."""

    async def commit(self, requests: Sequence[IngestRequest]) -> Sequence[IngestOutcome]:
        """Store the requests in one transaction and return one outcome each, in order. Returns only after they are durable.

        A request whose key is in the ledger already is not stored again; its outcome is that of the first time. Either all other
        requests are stored or, with an exception, none (or their answer was lost: the same again tells).

        Raises:
            NotAsAGroup: some of the requests keep the others from being stored.
            Unavailable: the store is away.

        """
        ...


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows and where the next page begins, None at the end.

    A search whose time was up before the page was full is not ``complete``: what is behind the cursor was not looked at, where the order is
    that of time what is before ``reached_ns``.
    """

    rows: Sequence[Row]
    next: Cursor | None
    complete: bool = True
    reached_ns: int | None = None


class ApplicationStore(Protocol):
    """Reads applications and alerts."""

    async def applications(self, tenant_id: int, limit: int) -> Sequence[Application]:
        """All, by namespace, name and environment."""
        ...

    async def alerts(self, tenant_id: int, status: str | None, severity: str | None, limit: int) -> Sequence[Alert]:
        """Most severe first, then newest first."""
        ...


class TraceStore(Protocol):
    """Reads spans."""

    async def find_spans(
        self, tenant_id: int, wanted: SpanFilter, limit: int, after: Cursor | None, order: SearchOrder = SearchOrder.NEWEST
    ) -> Page[SpanSummary]:
        """Spans that match, in the order asked for; times are compared by the microsecond.

        Raises:
            InvalidArgument: the cursor is not of this search, or a regular expression is malformed.

        """
        ...

    async def find_traces(
        self, tenant_id: int, wanted: TraceFilter, limit: int, after: Cursor | None, order: SearchOrder = SearchOrder.NEWEST
    ) -> Page[TraceSummary]:
        """Traces that match, newest first by when they began, or by their slowest span that matches.

        Raises:
            InvalidArgument: the cursor is not of this search, or a regular expression is malformed.

        """
        ...

    async def operations(self, tenant_id: int, service: str | None, prefix: str, limit: int) -> Sequence[Operation]:
        """Names of spans that are known of a service (None: of all) and begin with ``prefix``, by service and name."""
        ...

    async def services(self, tenant_id: int, prefix: str, limit: int) -> Sequence[str]:
        """Names of services that have sent anything and begin with ``prefix``, by name."""
        ...

    async def trace(self, tenant_id: int, trace_id: str, limit: int) -> StoredTrace | None:
        """The trace with at most its first ``limit`` spans (by start time); None where there is none. ``trace_id`` is 32 hex digits."""
        ...


class LogStore(Protocol):
    """Reads logs. A record that was stored twice, by a resend that its store could not recognise, is seen once.

    Records are ordered by (timestamp in nanoseconds, request digest, ordinal); a ``log_id`` is ``<digest as 32 hex digits>-<ordinal>``.
    Every adapter gives equal answers: tests/contract/ proves it.
    """

    async def find_logs(
        self, tenant_id: int, wanted: LogFilter, limit: int, after: Cursor | None, order: Order = Order.NEWEST_FIRST
    ) -> Page[StoredLog]:
        """Records that match, in the order asked for; times are compared by the microsecond.

        Raises:
            InvalidArgument: the cursor is not of this search.

        """
        ...

    async def log(self, tenant_id: int, log_id: str) -> StoredLog | None:
        """One record; None where there is none. Raises InvalidArgument where ``log_id`` is none."""
        ...

    async def count_logs(self, tenant_id: int, wanted: LogFilter, step_ns: int) -> Sequence[LogCount]:
        """Counts by time step (steps begin at multiples of ``step_ns`` since the Unix epoch) and severity number; by both.

        Raises:
            InvalidArgument: ``step_ns`` is not of whole milliseconds: more no store can be asked for.

        """
        ...

    async def top_values(self, tenant_id: int, wanted: LogFilter, field: LogField | str, limit: int) -> Sequence[TopValue]:
        """The most frequent values of a field (a str is an attribute's key), most frequent first, then by value (by code point).

        Records without the field, or with an empty one, are not counted. A severity is OTLP's number in digits, 0 included; an
        attribute's values are strings (their searched part), numbers and booleans as JSON has them, and no others.
        """
        ...

    async def context(self, tenant_id: int, log_id: str, before: int, after: int, wanted: LogFilter | None = None) -> LogContext | None:
        """A record with its neighbours in the order of records, those of ``wanted`` alone (and within its time) where it is given.

        None where there is no such record. Raises InvalidArgument where ``log_id`` is none.
        """
        ...

    async def delete_logs(self, tenant_id: int, wanted: LogFilter) -> int:
        """Delete the records that match; how many there were. Not all at once: where it fails, a part of them may be gone."""
        ...


class RejectionStore(Protocol):
    """Reads what was rejected."""

    async def find_rejections(self, tenant_id: int, wanted: RejectionFilter, limit: int, after: Cursor | None) -> Page[StoredRejection]:
        """Rejections that match, newest first.

        Raises:
            InvalidArgument: the cursor is not of this search.

        """
        ...

    async def count_rejections(self, tenant_id: int, wanted: RejectionFilter) -> Sequence[RejectionCount]:
        """Items by signal and reason, most first."""
        ...


class MetricStore(Protocol):
    """Reads metrics."""

    async def metrics(self, tenant_id: int, name: str | None, service: str | None, limit: int) -> Sequence[Metric]:
        """Metrics by name; in ``name`` a ``*`` stands for any characters."""
        ...

    async def series(self, tenant_id: int, wanted: SeriesSelector, group_by: Sequence[str], limit: int) -> Sequence[Series]:
        """Series that match.

        Raises:
            InvalidArgument: a matcher's regular expression is malformed.

        """
        ...

    async def steps(
        self,
        tenant_id: int,
        series: Sequence[Series],
        groups: Sequence[int],
        reading: Reading,
        aggregation: Aggregation,
        limit: int,
    ) -> Sequence[StepColumn]:
        """One value per step and group, by group; what is read is said by ``reading``.

        ``series`` are of one kind (numbers, histograms or summaries), ``groups`` number them. An increase counts every reset of a counter:
        a start time is an epoch of its own, and without one a smaller value is a reset. A rate is given as an increase.

        Raises:
            InvalidArgument: there are more than ``limit`` values.

        """
        ...

    async def epochs(self, tenant_id: int, series: Sequence[Series], time: TimeRange, tier: Tier, limit: int) -> Sequence[Epoch]:
        """The series' buckets of a tier by series, bucket and start time; ``series`` are of one kind, ``time`` is whole buckets."""
        ...
