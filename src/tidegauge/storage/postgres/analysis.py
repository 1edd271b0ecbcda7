"""Trace analysis on TimescaleDB."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from psycopg import AsyncConnection

from tidegauge.model.analysis import Calls, Example, ExampleSpan, Red, SpanTimes, TraceTimes
from tidegauge.model.query import TimeRange
from tidegauge.model.tiers import Level, Reading
from tidegauge.storage import sqlfiles
from tidegauge.storage.analysis_interface import Wanted
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.reading import Row, by_name, rows, span_hex, timestamp, trace_hex


class PostgresAnalysisStore:
    """``AnalysisStore`` on spans, their rollups and ``tidegauge.service_edges_minutely``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sqlfiles.queries("analysis")

    async def trace_times(self, tenant_id: int, trace_id: str, limit: int) -> TraceTimes | None:
        """See ``AnalysisStore``."""
        parameters: Row = {"tenant_id": tenant_id, "trace_id": UUID(trace_id), "limit": limit + 1}
        (bounds,) = await self._database.read(self._sql["trace_bounds"], parameters, by_name)
        if bounds["start"] is not None and (found := await self._database.read(self._sql["trace_times"], parameters | bounds, by_name)):
            return _trace(found, limit, kept=False)
        found = await self._database.read(self._sql["kept_times"], parameters, by_name)
        return _trace(found, limit, kept=True) if found else None

    async def map_front(self) -> int:
        """See ``AnalysisStore``."""
        async with self._database.reading() as connection:
            (row,) = await rows(connection, self._sql["map_front"], {})
        return (row["front_us"] or 0) * 1000

    async def map_pending(self, time: TimeRange) -> Sequence[TimeRange]:
        """See ``AnalysisStore``."""
        parameters = {"start": timestamp(time.start_ns), "end": timestamp(time.end_ns, up=True)}
        async with self._database.reading() as connection:
            found = await rows(connection, self._sql["map_pending"], parameters)
        return [TimeRange(row["start_us"] * 1000, row["end_us"] * 1000) for row in found]

    async def calls(self, tenant_id: int, reading: Reading, service: str | None, limit: int) -> Sequence[tuple[int, Calls]]:
        """See ``AnalysisStore``."""
        parameters = {"tenant_id": tenant_id, "service": service, "limit": limit} | _ranges(reading)
        async with self._database.reading() as connection:
            found = await rows(connection, self._sql["calls"], parameters)
        return [(reading.steps.edges[row["step"] - 1], _calls(row)) for row in found]

    async def red(self, tenant_id: int, reading: Reading, wanted: Wanted, limit: int) -> Sequence[Red]:
        """See ``AnalysisStore``."""
        async with self._database.reading() as connection:
            parameters = await self._wanted(connection, tenant_id, reading, wanted, limit)
            return [_red(row, reading.steps.edges) for row in await rows(connection, self._sql["red"], parameters)]

    async def examples(self, tenant_id: int, reading: Reading, wanted: Wanted, limit: int) -> Sequence[Example]:
        """See ``AnalysisStore``."""
        async with self._database.reading() as connection:
            parameters = await self._wanted(connection, tenant_id, reading, wanted, limit)
            return [_example(row, reading.steps.edges) for row in await rows(connection, self._sql["examples"], parameters)]

    async def _wanted(self, connection: AsyncConnection, tenant_id: int, reading: Reading, wanted: Wanted, limit: int) -> dict[str, object]:
        # With the applications known an index finds a time; without them whole chunks are read.
        found = await rows(connection, self._sql["applications"], {"tenant_id": tenant_id, "service": wanted.service})
        return {
            "tenant_id": tenant_id,
            "applications": [row["application_id"] for row in found],
            "operation": wanted.operation,
            "kinds": list(wanted.kinds),
            "by_operation": wanted.by_operation,
            "limit": limit,
        } | _ranges(reading)


def _ranges(reading: Reading) -> dict[str, object]:
    """The parameters that say what is read from which tier: ranges, and their bounds, outside of which no chunk is planned for."""
    parameters: dict[str, object] = {"edges": [timestamp(edge, up=True) for edge in reading.steps.edges]}
    for level in Level:
        ranges = reading.ranges(level)
        parameters[f"{level.value}_starts"] = [timestamp(one.start_ns, up=True) for one in ranges]
        parameters[f"{level.value}_ends"] = [timestamp(one.end_ns, up=True) for one in ranges]
        parameters[f"{level.value}_from"] = timestamp(ranges[0].start_ns if ranges else 0, up=True)
        parameters[f"{level.value}_to"] = timestamp(ranges[-1].end_ns if ranges else 0, up=True)
    return parameters


def _trace(found: Sequence[Row], limit: int, *, kept: bool) -> TraceTimes:
    spans: dict[int, SpanTimes] = {}
    for row in found[:limit]:
        # A batch that a Collector regrouped after its restart brings the same spans again.
        if row["span_id"] not in spans:
            start = row["start_time_us"] * 1000 + row["start_time_ns"]
            spans[row["span_id"]] = SpanTimes(
                span_id=span_hex(row["span_id"]),
                parent_span_id=span_hex(row["parent_span_id"]),
                service=row["service"] or "",
                name=row["name"],
                kind=row["kind"],
                start_ns=start,
                end_ns=start + max(row["duration_ns"], 0),
                status_code=row["status_code"],
            )
    truncated = len(found) > limit
    return TraceTimes(tuple(spans.values()), found[0]["spans"] if truncated else len(spans), truncated, kept)


def _durations(row: Row) -> tuple[tuple[int, int], ...]:
    return tuple(zip(row["buckets"], row["counts"], strict=True))


def _calls(row: Row) -> Calls:
    return Calls(
        client=row["client"],
        server=row["server"],
        peer=row["peer"],
        call=row["call"],
        count=row["count"],
        errors=row["errors"],
        duration_sum_ns=row["duration_sum_ns"],
        duration_max_ns=row["duration_max_ns"],
        client_duration_sum_ns=row["client_duration_sum_ns"],
        durations=_durations(row),
    )


def _red(row: Row, edges: Sequence[int]) -> Red:
    return Red(
        start_ns=edges[row["step"] - 1],
        service=row["service"],
        operation=row["operation"],
        count=row["count"],
        errors=row["errors"],
        duration_sum_ns=row["duration_sum_ns"],
        duration_min_ns=row["duration_min_ns"],
        duration_max_ns=row["duration_max_ns"],
        durations=_durations(row),
    )


def _example(row: Row, edges: Sequence[int]) -> Example:
    slowest = ExampleSpan(
        trace_id=trace_hex(row["slowest_trace_id"]),
        span_id=span_hex(row["slowest_span_id"]),
        start_ns=row["slowest_start_us"] * 1000,
        duration_ns=row["slowest_duration_ns"],
        status_code=row["slowest_status_code"],
    )
    error = None
    if row["error_trace_id"] is not None:
        error = ExampleSpan(
            trace_id=trace_hex(row["error_trace_id"]),
            span_id=span_hex(row["error_span_id"]),
            start_ns=row["error_start_us"] * 1000,
            duration_ns=row["error_duration_ns"],
            status_code=2,
            status_message=row["error_message"] or "",
        )
    return Example(edges[row["step"] - 1], row["service"], row["operation"], slowest, error)
