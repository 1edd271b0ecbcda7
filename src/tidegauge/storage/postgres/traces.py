"""Spans and traces on TimescaleDB."""

from __future__ import annotations

from uuid import UUID

from tidegauge.model.records import StoredResource, StoredScope, StoredSpan, StoredTrace
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.reading import Row, resources, rows, scopes, span_hex, trace_hex


class PostgresTraceStore:
    """``TraceStore`` on ``tidegauge.traces`` and ``tidegauge.trace_index``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sqlfiles.queries("traces")
        self._dictionaries = sqlfiles.queries("applications")

    async def trace(self, tenant_id: int, trace_id: str, limit: int) -> StoredTrace | None:
        """See ``TraceStore``."""
        wanted = {"trace_id": UUID(trace_id), "tenant_id": tenant_id}
        async with self._database.reading() as connection:
            (bounds,) = await rows(connection, self._sql["trace_bounds"], wanted)
            if bounds["start_time"] is None:
                return None
            window = {"start": bounds["start_time"], "end": bounds["end_time"], "limit": limit + 1}
            found = await rows(connection, self._sql["trace_spans"], wanted | window)
            by_resource = await resources(connection, self._dictionaries["resources"], {row["resource_id"] for row in found})
            by_scope = await scopes(connection, self._dictionaries["scopes"], {row["scope_id"] for row in found})
        spans: dict[int, StoredSpan] = {}
        for row in found[:limit]:
            # A batch that a Collector regrouped after its restart is no byte-identical resend: its spans are the same ones again.
            spans.setdefault(row["span_id"], _span(row, by_resource[row["resource_id"]], by_scope[row["scope_id"]]))
        return StoredTrace(spans=tuple(spans.values()), span_count=bounds["span_count"], truncated=len(found) > limit)


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
