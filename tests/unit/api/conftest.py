"""The API on stores in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tidegauge.api.app import create_app
from tidegauge.api.services import ApiServices
from tidegauge.config import ApiSettings
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
    StoredResource,
    StoredScope,
    StoredSpan,
    StoredTrace,
    TopValue,
    TraceSummary,
)
from tidegauge.model.search import SearchOrder
from tidegauge.model.tiers import Reading, StepColumn
from tidegauge.storage.interface import Page

NOW_NS = 1_769_860_800_000_000_000
CART = Application(1, "shop", "cart", "test", NOW_NS, NOW_NS)
RESOURCE = StoredResource(CART, "", {"service.name": "cart"}, 0, None)
SCOPE = StoredScope("lib", "1.0", "", {}, 0, None)
TRACE_ID = "5b8efff798038103d269b633813fc60c"


def stored_span(number: int, parent: int | None = None, **fields: Any) -> StoredSpan:
    """A span that began ``number`` microseconds after NOW_NS."""
    defaults: dict[str, Any] = {
        "trace_id": TRACE_ID,
        "span_id": f"{number:016x}",
        "parent_span_id": "" if parent is None else f"{parent:016x}",
        "trace_state": "",
        "flags": 0,
        "name": "work",
        "kind": 2,
        "start_time_unix_nano": NOW_NS + number * 1000,
        "duration_ns": 1000,
        "status_code": 0,
        "status_message": "",
        "attributes": {},
        "dropped_attributes_count": 0,
        "events": None,
        "dropped_events_count": 0,
        "links": None,
        "dropped_links_count": 0,
        "original": None,
        "resource": RESOURCE,
        "scope": SCOPE,
    }
    return StoredSpan(**(defaults | fields))


@dataclass
class Stores:
    """All stores. What a test puts in is answered; the last filter asked for is kept. ``failure`` is raised by every read."""

    traces: dict[str, StoredTrace] = field(default_factory=dict)
    spans: Page[SpanSummary] = field(default_factory=lambda: Page((), None))
    logs: Page[StoredLog] = field(default_factory=lambda: Page((), None))
    rejections: Page[StoredRejection] = field(default_factory=lambda: Page((), None))
    log_counts: Sequence[LogCount] = ()
    values: Sequence[TopValue] = ()
    metric_list: Sequence[Metric] = ()
    series_list: Sequence[Series] = ()
    failure: Exception | None = None
    checks: Mapping[str, str] = field(default_factory=lambda: {"timescaledb": "ok"})
    asked: Any = None
    selected: SeriesSelector | None = None

    def _answer(self, asked: Any, answer: Any) -> Any:
        self.asked = asked
        if self.failure is not None:
            raise self.failure
        return answer

    async def applications(self, tenant_id: int, limit: int) -> Sequence[Application]:
        return self._answer(limit, [CART][:limit])

    async def alerts(self, tenant_id: int, status: str | None, severity: str | None, limit: int) -> Sequence[Alert]:
        return self._answer((status, severity), [])

    async def find_spans(
        self, tenant_id: int, wanted: SpanFilter, limit: int, after: Cursor | None, order: SearchOrder = SearchOrder.NEWEST
    ) -> Page[SpanSummary]:
        return self._answer((wanted, limit, after), self.spans)

    async def find_traces(
        self, tenant_id: int, wanted: TraceFilter, limit: int, after: Cursor | None, order: SearchOrder = SearchOrder.NEWEST
    ) -> Page[TraceSummary]:
        return self._answer((wanted, limit, after), Page((), None))

    async def services(self, tenant_id: int, limit: int) -> Sequence[str]:
        return self._answer(limit, ["cart", "checkout"][:limit])

    async def operations(self, tenant_id: int, service: str | None, limit: int) -> Sequence[Operation]:
        return self._answer((service, limit), [Operation("cart", "GET /cart", NOW_NS)])

    async def trace(self, tenant_id: int, trace_id: str, limit: int) -> StoredTrace | None:
        return self._answer(trace_id, self.traces.get(trace_id))

    async def find_logs(
        self, tenant_id: int, wanted: LogFilter, limit: int, after: Cursor | None, order: Order = Order.NEWEST_FIRST
    ) -> Page[StoredLog]:
        return self._answer((wanted, limit, after, order), self.logs)

    async def log(self, tenant_id: int, log_id: str) -> StoredLog | None:
        return self._answer(log_id, next((row for row in self.logs.rows if row.log_id == log_id), None))

    async def count_logs(self, tenant_id: int, wanted: LogFilter, step_ns: int) -> Sequence[LogCount]:
        return self._answer((wanted, step_ns), self.log_counts)

    async def top_values(self, tenant_id: int, wanted: LogFilter, field: LogField | str, limit: int) -> Sequence[TopValue]:
        return self._answer((wanted, field, limit), self.values)

    async def context(self, tenant_id: int, log_id: str, before: int, after: int, wanted: LogFilter | None = None) -> LogContext | None:
        return self._answer((log_id, before, after, wanted), None)

    async def delete_logs(self, tenant_id: int, wanted: LogFilter) -> int:
        return self._answer(wanted, 3)

    async def find_rejections(self, tenant_id: int, wanted: RejectionFilter, limit: int, after: Cursor | None) -> Page[StoredRejection]:
        return self._answer((wanted, limit, after), self.rejections)

    async def count_rejections(self, tenant_id: int, wanted: RejectionFilter) -> Sequence[RejectionCount]:
        return self._answer(wanted, ())

    async def metrics(self, tenant_id: int, name: str | None, service: str | None, limit: int) -> Sequence[Metric]:
        return self._answer((name, service), self.metric_list)

    async def series(self, tenant_id: int, wanted: SeriesSelector, group_by: Sequence[str], limit: int) -> Sequence[Series]:
        self.selected = wanted
        return self._answer(wanted, self.series_list)

    async def steps(
        self,
        tenant_id: int,
        series: Sequence[Series],
        groups: Sequence[int],
        reading: Reading,
        aggregation: Aggregation,
        limit: int,
    ) -> Sequence[StepColumn]:
        edges = reading.steps.edges
        return self._answer((reading.steps.time, edges[1] - edges[0], aggregation), [])

    async def epochs(self, tenant_id: int, series: Sequence[Series], time: TimeRange, tier: Tier, limit: int) -> Sequence[Epoch]:
        return self._answer((time, tier), [])

    async def readiness(self) -> Mapping[str, str]:
        return self.checks


@pytest.fixture
def stores() -> Stores:
    """Empty stores."""
    return Stores()


def client_of(stores: Stores, **settings: Any) -> httpx.AsyncClient:
    """A client of the API on these stores; an unexpected error is answered, not raised."""
    services = ApiServices(stores, stores, stores, stores, stores, stores.readiness, lambda: NOW_NS)
    app = create_app(services, ApiSettings(**settings))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app, raise_app_exceptions=False), base_url="http://tidegauge")


@pytest.fixture
def client(stores: Stores) -> httpx.AsyncClient:
    """A client of an API without a token."""
    return client_of(stores)
