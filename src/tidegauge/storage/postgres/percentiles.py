"""Counts of durations and histograms on TimescaleDB."""

from __future__ import annotations

import sys
from array import array
from asyncio import gather
from collections.abc import Sequence
from datetime import timedelta
from operator import itemgetter
from typing import Any

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import dict_row, tuple_row

from tidegauge.model.query import TimeRange
from tidegauge.model.tiers import Level
from tidegauge.storage import sqlfiles
from tidegauge.storage.percentile_interface import DurationCounts, DurationFilter, HistogramBuckets, HistogramEpoch
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.reading import Row, timestamp

_Segments = Sequence[tuple[Level, TimeRange]]


class PostgresPercentileStore:
    """``PercentileStore`` on ``tidegauge.service_percentiles_*``, ``trace_durations_*``, ``metric_*`` and what they are made from."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sqlfiles.queries("percentiles")

    async def durations(
        self, tenant_id: int, wanted: DurationFilter, segments: _Segments, origin_ns: int, width_ns: int, limit: int
    ) -> Sequence[DurationCounts]:
        """See ``PercentileStore``."""
        found: list[DurationCounts] = []
        kind = "packed" if wanted.is_of_services else "counted"
        services = dict(await self._rows("services", {"tenant_id": tenant_id, "service": wanted.service}))
        shared = _duration_parameters(wanted, sorted(services)) | _parts(origin_ns, width_ns)
        if wanted.is_of_services and len(services) == 1:
            kind = "of_one"
        for level, time in segments if services else ():
            parameters = shared | _range(time) | {"limit": limit + 1 - len(found)}
            extremes: dict[tuple[Any, ...], tuple[int, int]] = {}
            if level is Level.RAW:
                counted = await self._rows("spans", parameters)
            elif kind == "of_one":
                counted = await self._rows(f"of_one_{level.value}", parameters)
            else:
                # At once: a server has a process for each.
                counted, least_and_greatest = await gather(
                    self._rows(f"{kind}_{level.value}", parameters), self._rows(f"{kind}_extremes_{level.value}", parameters)
                )
                extremes = {row[:4]: row[4:] for row in least_and_greatest}
            found += _counts(services if wanted.by_service else {}, counted, extremes)
            if len(found) > limit:
                break
        return found

    async def _rows(self, name: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        return await self._database.read(self._sql[name], parameters, _tuples)

    async def histograms(
        self, series: Sequence[int], is_exponential: bool, segments: _Segments, origin_ns: int, width_ns: int, limit: int
    ) -> Sequence[HistogramEpoch]:
        """See ``PercentileStore``."""
        found: list[Row] = []
        kind, epoch = ("exponential", _exponential) if is_exponential else ("explicit", _explicit)
        async with self._database.reading() as connection, connection.cursor(binary=True, row_factory=dict_row) as cursor:
            for level, time in segments:
                parameters = {"series": list(series), "limit": limit + 1 - len(found)} | _parts(origin_ns, width_ns) | _range(time)
                await cursor.execute(self._sql[f"{kind}_{level.value}"], parameters)
                found += await cursor.fetchall()
                if len(found) > limit:
                    break
        found.sort(key=lambda row: (row["series_id"], row["time_us"], row["start_us"] is not None, row["start_us"] or 0))
        return [epoch(row) for row in found]


def _tuples(connection: AsyncConnection) -> AsyncCursor[tuple[Any, ...]]:
    return connection.cursor(binary=True, row_factory=tuple_row)


def _duration_parameters(wanted: DurationFilter, applications: list[int]) -> dict[str, object]:
    return {
        "applications": applications,
        "operation": wanted.operation,
        "kind": wanted.kind,
        "status_code": wanted.status_code,
        "by_service": wanted.by_service,
        "by_operation": wanted.by_operation,
        "by_kind": wanted.by_kind,
    }


def _parts(origin_ns: int, width_ns: int) -> dict[str, object]:
    return {"origin": timestamp(origin_ns), "width": timedelta(microseconds=max(width_ns // 1000, 1))}


def _range(time: TimeRange) -> dict[str, object]:
    return {"start": timestamp(time.start_ns, up=True), "end": timestamp(time.end_ns, up=True)}


def _counts(
    services: dict[int, str], rows: list[tuple[Any, ...]], extremes: dict[tuple[Any, ...], tuple[int, int]]
) -> list[DurationCounts]:
    """Rows whose shortest and longest durations stand in them or in ``extremes``."""
    # All at once: each array by itself takes as long as the rest of its row.
    buckets = _integers("h", b"".join([row[4] for row in rows]))
    counts = _integers("q", b"".join([row[5] for row in rows]))
    found, end = [], 0
    for row in rows:
        start, end = end, end + len(row[4]) // buckets.itemsize
        time_us, application_id, operation, kind = row[:4]
        least, greatest = row[6:] or extremes.get(row[:4], (None, None))
        key = services.get(application_id), operation, kind
        found.append(DurationCounts(time_us * 1000, key, buckets[start:end], counts[start:end], least, greatest))
    return found


def _integers(code: str, data: bytes) -> array[int]:
    """Big-endian integers one after the other."""
    found: array[int] = array(code, data)
    if sys.byteorder == "little":
        found.byteswap()
    return found


_COMMON = itemgetter("series_id", "time_us", "start_us", "count", "first_count", "last_count", "min", "max")


def _explicit(row: Row) -> HistogramEpoch:
    return _epoch(row, 0.0, *(HistogramBuckets(row[f"{which}bucket_counts"]) for which in ("", "first_", "last_")))


def _exponential(row: Row) -> HistogramEpoch:
    buckets = (
        HistogramBuckets(None, row[f"{which}positive"], row[f"{which}negative"], row[f"{which}zero_count"] or 0)
        for which in ("", "first_", "last_")
    )
    return _epoch(row, row["zero_threshold"] or 0.0, *buckets)


def _epoch(row: Row, zero_threshold: float, *buckets: HistogramBuckets) -> HistogramEpoch:
    series_id, time_us, start_us, count, first, last, least, greatest = _COMMON(row)
    start_ns = None if start_us is None else start_us * 1000
    return HistogramEpoch(series_id, time_us * 1000, start_ns, count, first, last, least, greatest, zero_threshold, *buckets)
