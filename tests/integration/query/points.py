"""Weeks of points of every kind of metric, written into the tables: with gaps, resets, flags and NaN; some of them late, some dropped."""

from __future__ import annotations

import math
import random
import time
import uuid
from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from tests.integration.query.reference import NO_VALUE, Point

HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS
_MINUTE_NS = 60_000_000_000
DAYS = 10
# Raw data of the first days is dropped.
DROPPED_DAYS = 4
SERIES = 3
_ROLLUPS = ("metrics_hourly", "metrics_daily", "metric_histograms_hourly", "metric_histograms_daily")
_TABLES = ("metrics", "metric_histograms", "metric_summaries")


@dataclass(frozen=True)
class Kind:
    """A kind of metric; the series' own ``source`` makes its points."""

    name: str
    type: str
    temporality: str | None
    is_monotonic: bool | None
    source: Callable[[random.Random], Callable[[int], Point]]


@dataclass
class Filled:
    """What is in the database: all points of each series, dropped ones as well, by time. ``now_ns`` is the end of it.

    ``by_workers``: whether the server's own jobs are to run again when it is cleaned.
    """

    prefix: str
    now_ns: int
    by_workers: bool = False
    points: dict[int, list[Point]] = field(default_factory=dict)


def _gauge(chosen: random.Random) -> Callable[[int], Point]:
    def at(time_ns: int) -> Point:
        odd = chosen.random()
        value = math.nan if odd < 0.01 else chosen.uniform(-100, 100)
        return Point(time_ns, None, value, flags=NO_VALUE if odd > 0.98 else 0)

    return at


def _counter(*, tells_start: bool, falls: bool = False) -> Callable[[random.Random], Callable[[int], Point]]:
    def source(chosen: random.Random) -> Callable[[int], Point]:
        start, value, resets = 0, 0, chosen.choice([0.001, 0.02, 0.3])

        def at(time_ns: int) -> Point:
            nonlocal start, value
            if not start or chosen.random() < resets:
                start, value = time_ns - chosen.randrange(1, 9) * 1_000_000_000, 0
            value += chosen.randrange(-5 if falls else 0, 10)
            gone = chosen.random() > 0.98
            return Point(time_ns, start if tells_start else None, float(value), flags=NO_VALUE if gone else 0)

        return at

    return source


def _delta(chosen: random.Random) -> Callable[[int], Point]:
    return lambda time_ns: Point(time_ns, None, float(chosen.randrange(10)))


def _histogram(*, tells_start: bool, delta: bool = False) -> Callable[[random.Random], Callable[[int], Point]]:
    def source(chosen: random.Random) -> Callable[[int], Point]:
        start, count, total = 0, 0, 0

        def at(time_ns: int) -> Point:
            nonlocal start, count, total
            if delta or not start or chosen.random() < 0.02:
                start, count, total = time_ns - 1_000_000_000, 0, 0
            count, total = count + chosen.randrange(5), total + chosen.randrange(50)
            low = chosen.uniform(0, 5)
            return Point(time_ns, start if tells_start and not delta else None, float(total), count, low, low + chosen.uniform(0, 5))

        return at

    return source


KINDS = (
    Kind("gauge", "gauge", None, None, _gauge),
    Kind("counter", "sum", "cumulative", True, _counter(tells_start=True)),
    Kind("counter_without_starts", "sum", "cumulative", True, _counter(tells_start=False)),
    Kind("updown", "sum", "cumulative", False, _counter(tells_start=True, falls=True)),
    Kind("updown_without_starts", "sum", "cumulative", False, _counter(tells_start=False, falls=True)),
    Kind("delta", "sum", "delta", True, _delta),
    Kind("histogram", "histogram", "cumulative", None, _histogram(tells_start=True)),
    Kind("histogram_without_starts", "histogram", "cumulative", None, _histogram(tells_start=False)),
    Kind("exponential_delta", "exponential_histogram", "delta", None, _histogram(tells_start=False, delta=True)),
    Kind("summary", "summary", None, None, _histogram(tells_start=True)),
)


def fill(dsn: str, seed: int) -> Filled:
    """Fill, refresh the rollups, let some come late, drop the oldest raw data; the rollups know of all that was dropped."""
    chosen = random.Random(seed)
    now_ns = int(datetime.now(UTC).timestamp()) * 1_000_000_000
    filled = Filled(f"differential.{uuid.uuid4().hex[:8]}", now_ns)
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
        filled.by_workers = _pause_jobs(connection)
        late: list[tuple[Kind, int, Point]] = []
        for kind in KINDS:
            for series_id in _series(connection, filled.prefix, kind):
                points = _points(kind, chosen, now_ns)
                after = [point for point in points if point.time_ns >= now_ns - (DAYS - DROPPED_DAYS) * DAY_NS]
                behind = chosen.sample(after, 2) if kind.type != "summary" else []
                _write(connection, kind, [(series_id, point) for point in points if point not in behind])
                late += [(kind, series_id, point) for point in behind]
                filled.points[series_id] = points
        refresh(connection, now_ns - (DAYS + 2) * DAY_NS, now_ns)
        _until_covered(connection, now_ns - (DAYS + 1) * DAY_NS, now_ns - 2 * DAY_NS)
        for kind, series_id, point in late:
            _write(connection, kind, [(series_id, point)])
        _drop(connection, now_ns - (DAYS - DROPPED_DAYS) * DAY_NS)
    return filled


def clean(dsn: str, filled: Filled) -> None:
    """Let other tests have the database as it was."""
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
        for table in _TABLES:
            connection.execute("UPDATE tidegauge.lifecycle SET dropped_through = '-infinity' WHERE relation = %s", (table,))
        connection.execute("SELECT tidegauge.apply_lifecycle(%s)", (filled.by_workers,))


def _pause_jobs(connection: psycopg.Connection[Any]) -> bool:
    """Whether a server ran its jobs, which stop here: they know of no drop within the retention and would erase what rollups hold of it."""
    row = connection.execute(
        """
        SELECT coalesce(bool_or(scheduled), false) FROM timescaledb_information.jobs
        WHERE proc_name = 'policy_refresh_continuous_aggregate'
        """
    ).fetchone()
    connection.execute("SELECT tidegauge.apply_lifecycle(false)")
    assert row is not None
    return bool(row[0])


def refresh(connection: psycopg.Connection[Any], start_ns: int, end_ns: int) -> None:
    """Refresh as the policies do: hours to an hour ago, days to a day ago."""
    for rollup in _ROLLUPS:
        end = _time(end_ns - (HOUR_NS if rollup.endswith("hourly") else DAY_NS))
        connection.execute(
            "CALL public.refresh_continuous_aggregate(%s::regclass, %s::timestamptz, %s::timestamptz)",
            (f"tidegauge.{rollup}", _time(start_ns), end),
        )


def _until_covered(connection: psycopg.Connection[Any], start_ns: int, end_ns: int) -> None:
    """A server's own job may have taken a range to refresh it, and be at it: as retention does, nothing is dropped before it is done."""
    for rollup in _ROLLUPS:
        pending = "SELECT count(*) FROM tidegauge.pending_ranges(%s, %s::timestamptz, %s::timestamptz)"
        deadline = time.monotonic() + 60
        while connection.execute(pending, (rollup, _time(start_ns), _time(end_ns))).fetchone() != (0,):
            assert time.monotonic() < deadline, rollup
            time.sleep(0.05)
            refresh(connection, start_ns - DAY_NS, end_ns + 2 * DAY_NS)


def _points(kind: Kind, chosen: random.Random, now_ns: int) -> list[Point]:
    source = kind.source(chosen)
    time_ns, found = now_ns - DAYS * DAY_NS + chosen.randrange(HOUR_NS), []
    while time_ns < now_ns:
        found.append(source(time_ns // 1000 * 1000))
        # Now and then nothing comes for hours or days.
        pause = chosen.random()
        time_ns += chosen.randrange(3 * HOUR_NS, 40 * HOUR_NS) if pause < 0.006 else chosen.randrange(_MINUTE_NS, 40 * _MINUTE_NS)
    ordered: list[Point] = []
    for point in found:
        insort(ordered, point, key=lambda one: one.time_ns)
    return ordered


def _series(connection: psycopg.Connection[Any], prefix: str, kind: Kind) -> list[int]:
    name = f"{prefix}.{kind.name}"
    rows = connection.execute(
        """
        WITH application AS (
            INSERT INTO tidegauge.applications (namespace, name, environment) VALUES ('', %(name)s, '') RETURNING application_id
        ), resource AS (
            INSERT INTO tidegauge.resources (identity, application_id, schema_url, attributes)
            SELECT gen_random_uuid(), application_id, '', '{}' FROM application RETURNING resource_id, application_id
        ), scope AS (
            INSERT INTO tidegauge.scopes (identity, name, version, schema_url, attributes)
            VALUES (gen_random_uuid(), %(name)s, '', '', '{}') RETURNING scope_id
        )
        INSERT INTO tidegauge.series
            (identity, resource_id, scope_id, application_id, metric_name, type, unit, temporality, is_monotonic, labels)
        SELECT
            gen_random_uuid(), resource_id, scope_id, application_id, %(name)s, %(type)s, '1', %(temporality)s, %(is_monotonic)s,
            jsonb_build_object('n', n::text, 'odd', (n %% 2)::text)
        FROM resource, scope, generate_series(1, %(series)s) n
        RETURNING series_id
        """,
        {"name": name, "type": kind.type, "temporality": kind.temporality, "is_monotonic": kind.is_monotonic, "series": SERIES},
    )
    return [row[0] for row in rows.fetchall()]


def _write(connection: psycopg.Connection[Any], kind: Kind, rows: Sequence[tuple[int, Point]]) -> None:
    columns: dict[str, list[Any]] = {
        "timestamp": [_time(point.time_ns) for _, point in rows],
        "series_id": [series_id for series_id, _ in rows],
        "start_timestamp": [None if point.start_ns is None else _time(point.start_ns) for _, point in rows],
        "flags": [point.flags for _, point in rows],
        "value": [point.value for _, point in rows],
        "count": [point.count for _, point in rows],
        "min": [point.low for _, point in rows],
        "max": [point.high for _, point in rows],
    }
    connection.execute(_INSERTS[kind.type], columns)


_ARRAYS = "unnest(%(timestamp)s::timestamptz[], %(series_id)s::bigint[], %(start_timestamp)s::timestamptz[], %(flags)s::integer[]"
_NUMBERS = (
    "INSERT INTO tidegauge.metrics (timestamp, series_id, start_timestamp, flags, value) "
    f"SELECT * FROM {_ARRAYS}, %(value)s::double precision[])"
)
_HISTOGRAMS = (
    "INSERT INTO tidegauge.metric_histograms (timestamp, series_id, start_timestamp, flags, sum, count, min, max) "
    f"SELECT * FROM {_ARRAYS}, %(value)s::double precision[], %(count)s::bigint[], "
    "%(min)s::double precision[], %(max)s::double precision[])"
)
_SUMMARIES = (
    "INSERT INTO tidegauge.metric_summaries (timestamp, series_id, start_timestamp, flags, sum, count, quantiles, quantile_values) "
    f"SELECT *, '{{}}', '{{}}' FROM {_ARRAYS}, %(value)s::double precision[], %(count)s::bigint[])"
)
_INSERTS = {
    "gauge": _NUMBERS,
    "sum": _NUMBERS,
    "histogram": _HISTOGRAMS,
    "exponential_histogram": _HISTOGRAMS,
    "summary": _SUMMARIES,
}


def _drop(connection: psycopg.Connection[Any], before_ns: int) -> None:
    """As retention does, whole chunks alone."""
    for table in _TABLES:
        connection.execute(
            "SELECT public.drop_chunks(%s::regclass, older_than => %s::timestamptz)", (f"tidegauge.{table}", _time(before_ns))
        )
        connection.execute(
            """
            UPDATE tidegauge.lifecycle SET dropped_through = (
                SELECT min(c.range_start) FROM timescaledb_information.chunks c
                WHERE c.hypertable_schema = 'tidegauge' AND c.hypertable_name = %(table)s
            ) WHERE relation = %(table)s
            """,
            {"table": table},
        )


def _time(unix_nano: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=unix_nano // 1000)
