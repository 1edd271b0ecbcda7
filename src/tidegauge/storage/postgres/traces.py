"""Spans and traces on TimescaleDB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from tidegauge.errors import InvalidArgument
from tidegauge.model.query import Cursor, SpanFilter, TraceFilter
from tidegauge.model.records import SpanSummary, StoredResource, StoredScope, StoredSpan, StoredTrace, TraceSummary
from tidegauge.storage import sqlfiles
from tidegauge.storage.interface import Page
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.reading import (
    LAST_TIMESTAMP,
    Row,
    attribute_conditions,
    resources,
    rows,
    scopes,
    span_hex,
    span_number,
    timestamp,
    trace_hex,
)

_TRACE_BYTES, _SPAN_BYTES = 16, 8
_FIRST_WINDOW = timedelta(minutes=15)


class PostgresTraceStore:
    """``TraceStore`` on ``tidegauge.traces`` and ``tidegauge.trace_index``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sqlfiles.queries("traces")
        self._dictionaries = sqlfiles.queries("applications")

    async def find_spans(self, tenant_id: int, wanted: SpanFilter, limit: int, after: Cursor | None) -> Page[SpanSummary]:
        """See ``TraceStore``. A cursor's tie is trace id and span id."""
        _check_cursor(after, _TRACE_BYTES + _SPAN_BYTES)
        parameters: dict[str, object] = {
            "tenant_id": tenant_id,
            "service": wanted.service,
            "start": timestamp(wanted.time.start_ns),
            # A cursor bounds the time as well, so that newer chunks are not looked at.
            "end": timestamp(wanted.time.end_ns if after is None else min(wanted.time.end_ns, after.time_ns + 1000), up=True),
            "operation": wanted.operation,
            "kind": wanted.kind,
            "status_code": wanted.status_code,
            "min_duration_ns": wanted.min_duration_ns,
            "max_duration_ns": wanted.max_duration_ns,
            "before": None if after is None else timestamp(after.time_ns),
            "before_ns": None if after is None else after.time_ns % 1000,
            "before_trace_id": None if after is None else UUID(bytes=after.tie[:_TRACE_BYTES]),
            "before_span_id": None if after is None else span_number(after.tie[_TRACE_BYTES:].hex()),
            "limit": limit + 1,
        }
        async with self._database.reading() as connection:
            found = await rows(connection, self._sql["find_spans"], parameters | attribute_conditions(wanted.attributes))
        page = [_summary(row) for row in found[:limit]]
        last = page[-1] if len(found) > limit else None
        # A span that was sent again stands beside itself.
        unique = [one for one, before in zip(page, [None, *page], strict=False) if one != before]
        return Page(unique, None if last is None else Cursor(last.start_time_unix_nano, bytes.fromhex(last.trace_id + last.span_id)))

    async def find_traces(self, tenant_id: int, wanted: TraceFilter, limit: int, after: Cursor | None) -> Page[TraceSummary]:
        """See ``TraceStore``. A cursor's tie is the trace id."""
        _check_cursor(after, _TRACE_BYTES)
        end = timestamp(wanted.time.end_ns if after is None else min(wanted.time.end_ns, after.time_ns + 1000), up=True)
        parameters: dict[str, object] = {
            "tenant_id": tenant_id,
            "service": wanted.service,
            "errors": wanted.errors,
            "min_duration_us": None if wanted.min_duration_ns is None else wanted.min_duration_ns // 1000,
            "max_duration_us": None if wanted.max_duration_ns is None else wanted.max_duration_ns // 1000,
            "before": None if after is None else timestamp(after.time_ns),
            "before_trace_id": None if after is None else UUID(bytes=after.tie),
        }
        found: list[Row] = []
        async with self._database.reading() as connection:
            for window in _windows(timestamp(wanted.time.start_ns), end):
                found += await rows(connection, self._sql["find_traces"], parameters | window | {"limit": limit + 1 - len(found)})
                if len(found) > limit:
                    break
        page = [_trace_summary(row) for row in found[:limit]]
        last = page[-1] if len(found) > limit else None
        return Page(page, None if last is None else Cursor(last.start_time_unix_nano, bytes.fromhex(last.trace_id)))

    async def trace(self, tenant_id: int, trace_id: str, limit: int) -> StoredTrace | None:
        """See ``TraceStore``."""
        wanted = {"trace_id": UUID(trace_id), "tenant_id": tenant_id}
        async with self._database.reading() as connection:
            (bounds,) = await rows(connection, self._sql["trace_bounds"], wanted)
            if bounds["start_time"] is None:
                return None
            window = {"start": bounds["start_time"], "end": bounds["end_time"], "limit": limit + 1}
            found = await rows(connection, self._sql["trace_spans"], wanted | window)
            if len(found) < min(bounds["span_count"], limit + 1):
                # A span that ends before it starts, or never, may start behind every end that the index knows.
                found = await rows(connection, self._sql["trace_spans"], wanted | window | {"end": LAST_TIMESTAMP})
            by_resource = await resources(connection, self._dictionaries["resources"], {row["resource_id"] for row in found})
            by_scope = await scopes(connection, self._dictionaries["scopes"], {row["scope_id"] for row in found})
        return StoredTrace(_spans(found[:limit], by_resource, by_scope), bounds["span_count"], truncated=len(found) > limit)


def _windows(start: datetime, end: datetime) -> Iterator[dict[str, object]]:
    """The range in pieces, newest first, each four times as long as the one before.

    The index's rows of a piece are all merged before the newest are known: a page is mostly found in a short piece.
    """
    length = _FIRST_WINDOW
    while end > start:
        begin = max(start, end - min(length, end - start))
        yield {"start": begin, "end": end}
        end, length = begin, length * 4


def _check_cursor(after: Cursor | None, tie_bytes: int) -> None:
    if after is not None and len(after.tie) != tie_bytes:
        raise InvalidArgument("cursor is not one of this search", parameter="cursor")


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


def _summary(row: Row) -> SpanSummary:
    return SpanSummary(
        trace_id=trace_hex(row["trace_id"]),
        span_id=span_hex(row["span_id"]),
        parent_span_id=span_hex(row["parent_span_id"]),
        application_id=row["application_id"],
        service=row["service"],
        name=row["name"],
        kind=row["kind"],
        status_code=row["status_code"],
        status_message=row["status_message"],
        start_time_unix_nano=row["start_time_us"] * 1000 + row["start_time_ns"],
        duration_ns=row["duration_ns"],
    )


def _trace_summary(row: Row) -> TraceSummary:
    return TraceSummary(
        trace_id=trace_hex(row["trace_id"]),
        start_time_unix_nano=row["start_time_us"] * 1000,
        end_time_unix_nano=row["end_time_us"] * 1000,
        span_count=row["span_count"],
        error_count=row["error_count"],
        services=tuple(row["services"]),
        root_span_id=span_hex(row["root_span_id"]),
        root_service=row["root_service"] or "",
        root_name=row["root_name"] or "",
        root_duration_ns=row["root_duration_ns"],
    )
