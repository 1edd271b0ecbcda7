"""Spans and traces on TimescaleDB."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from tidegauge.errors import InvalidArgument
from tidegauge.model.query import Cursor, SpanFilter, TraceFilter
from tidegauge.model.records import Operation, SpanSummary, StoredResource, StoredScope, StoredSpan, StoredTrace, TraceSummary
from tidegauge.model.search import SearchOrder
from tidegauge.storage import sqlfiles
from tidegauge.storage.attribute_interface import AttributeIndex
from tidegauge.storage.interface import Page
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.origins import Origins
from tidegauge.storage.postgres.reading import Row, by_name, span_hex, trace_hex
from tidegauge.storage.postgres.span_search import SpanKey, SpanSearch, Wanted, key_of
from tidegauge.storage.postgres.trace_search import TraceSearch

_NEWEST = struct.Struct(">16sq")
_SLOWEST = struct.Struct(">q16sq")
_BUDGET = timedelta(seconds=3)


class PostgresTraceStore:
    """``TraceStore`` on ``tidegauge.traces`` and ``tidegauge.trace_index``."""

    def __init__(self, database: Database, index: AttributeIndex | None = None, search_time: timedelta = _BUDGET) -> None:
        """``index`` knows where attributes are; a search answers with what it has found after ``search_time``."""
        self._database = database
        self._sql = sqlfiles.queries("traces")
        self._kept = sqlfiles.queries("analysis")
        self._origins = Origins(database)
        self._spans = SpanSearch(database, index, search_time)
        self._traces = TraceSearch(database, self._spans)

    async def find_spans(
        self, tenant_id: int, wanted: SpanFilter, limit: int, after: Cursor | None, order: SearchOrder = SearchOrder.NEWEST
    ) -> Page[SpanSummary]:
        """See ``TraceStore``. A cursor's tie is trace id and span id, before them the duration where that is the order."""
        place = None if after is None else _key(after, order)
        prepared = await self._spans.prepared(tenant_id, wanted)
        deadline = self._spans.deadline()
        if order is SearchOrder.SLOWEST:
            batch = await self._spans.slowest(prepared, limit + 1, place, deadline)
            found, reached, at_end = list(batch.rows), batch.reached, batch.reached.duration_ns == -(1 << 63)
        else:
            found, reached = [], SpanKey(prepared.end_us)
            async for batch in self._spans.newest(prepared, limit + 1, place, deadline):
                found += batch.rows
                reached = batch.reached
                if len(found) > limit:
                    break
            at_end = reached.start_us <= prepared.start_us
        page = _unique([_summary(row, prepared) for row in found[:limit]])
        if len(found) > limit:
            return Page(page, _cursor(key_of(found[limit - 1]), order))
        if at_end:
            return Page(page, None)
        reached_ns = reached.start_us * 1000 if order is SearchOrder.NEWEST else None
        return Page(page, _cursor(reached, order), complete=False, reached_ns=reached_ns)

    async def find_traces(
        self, tenant_id: int, wanted: TraceFilter, limit: int, after: Cursor | None, order: SearchOrder = SearchOrder.NEWEST
    ) -> Page[TraceSummary]:
        """See ``TraceStore``."""
        find = self._traces.slowest if order is SearchOrder.SLOWEST else self._traces.newest
        return await find(tenant_id, wanted, limit, after)

    async def operations(self, tenant_id: int, service: str | None, prefix: str, limit: int) -> Sequence[Operation]:
        """See ``TraceStore``."""
        wanted = {"tenant_id": tenant_id, "service": service, "prefix": prefix, "limit": limit}
        found = await self._database.read(self._sql["operations"], wanted, by_name)
        return [Operation(row["service"], row["name"], row["last_seen_us"] * 1000) for row in found]

    async def services(self, tenant_id: int, prefix: str, limit: int) -> Sequence[str]:
        """See ``TraceStore``."""
        wanted = {"tenant_id": tenant_id, "prefix": prefix, "limit": limit}
        return [row["name"] for row in await self._database.read(self._sql["services"], wanted, by_name)]

    async def trace(self, tenant_id: int, trace_id: str, limit: int) -> StoredTrace | None:
        """See ``TraceStore``."""
        wanted = {"trace_id": UUID(trace_id), "tenant_id": tenant_id, "limit": limit + 1}
        found = await self._database.read(self._sql["trace"], wanted, by_name)
        if not found:
            found = await self._database.read(self._kept["kept_trace"], wanted, by_name)
        if not found:
            return None
        by_resource, by_scope = await self._origins.of(found)
        count = found[0].get("span_count") or len(found)
        return StoredTrace(_spans(found[:limit], by_resource, by_scope), count, truncated=len(found) > limit)


def _key(after: Cursor, order: SearchOrder) -> SpanKey:
    try:
        if order is SearchOrder.SLOWEST:
            duration_ns, trace_id, span_id = _SLOWEST.unpack(after.tie)
        else:
            duration_ns, (trace_id, span_id) = 0, _NEWEST.unpack(after.tie)
    except struct.error as error:
        raise InvalidArgument("cursor is not one of this search", parameter="cursor") from error
    return SpanKey(after.time_ns // 1000, after.time_ns % 1000, UUID(bytes=trace_id), span_id, duration_ns)


def _cursor(key: SpanKey, order: SearchOrder) -> Cursor:
    ids = _NEWEST.pack(key.trace_id.bytes, key.span_id)
    tie = key.duration_ns.to_bytes(8, "big", signed=True) + ids if order is SearchOrder.SLOWEST else ids
    return Cursor(key.start_us * 1000 + key.start_ns, tie)


def _unique(page: Sequence[SpanSummary]) -> list[SpanSummary]:
    """A span that was sent again stands beside itself."""
    return [one for one, before in zip(page, [None, *page], strict=False) if one != before]


def _spans(found: Sequence[Row], by_resource: dict[int, StoredResource], by_scope: dict[int, StoredScope]) -> tuple[StoredSpan, ...]:
    spans: dict[int, StoredSpan] = {}
    for row in found:
        # A batch that a Collector regrouped after its restart is no byte-identical resend: its spans are the same ones again.
        if row["span_id"] not in spans:
            spans[row["span_id"]] = _span(row, by_resource[row["resource_id"]], by_scope[row["scope_id"]])
    return tuple(spans.values())


def _span(row: Row, resource: StoredResource, scope: StoredScope) -> StoredSpan:
    return StoredSpan(
        trace_id=trace_hex(row["trace_id"]),
        span_id=span_hex(row["span_id"]),
        parent_span_id=span_hex(row["parent_span_id"]),
        trace_state=row["trace_state"],
        flags=row["flags"],
        name=row["name"],
        kind=row["kind"],
        start_time_unix_nano=row["start_time_us"] * 1000 + row["start_time_ns"],
        duration_ns=row["duration_ns"],
        status_code=row["status_code"],
        status_message=row["status_message"],
        attributes=row["attributes"],
        dropped_attributes_count=row["dropped_attributes_count"],
        events=row["events"],
        dropped_events_count=row["dropped_events_count"],
        links=row["links"],
        dropped_links_count=row["dropped_links_count"],
        original=row["original"],
        resource=resource,
        scope=scope,
    )


def _summary(row: Row, prepared: Wanted) -> SpanSummary:
    return SpanSummary(
        trace_id=trace_hex(row["trace_id"]),
        span_id=span_hex(row["span_id"]),
        parent_span_id=span_hex(row["parent_span_id"]),
        application_id=row["application_id"],
        service=prepared.services[row["application_id"]],
        name=row["name"],
        kind=row["kind"],
        status_code=row["status_code"],
        status_message=row["status_message"],
        start_time_unix_nano=row["start_time_us"] * 1000 + row["start_time_ns"],
        duration_ns=row["duration_ns"],
    )
