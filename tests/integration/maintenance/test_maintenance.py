"""Maintenance on a real database: what a reader of rollups, tables and `db status` would notice."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

from psycopg import sql

from tidegauge.config import LifecycleSettings
from tidegauge.maintenance import Maintenance
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.maintenance import PostgresMaintenance

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class WithoutWorkers:
    has_background_workers: bool = False
    parallel_writers: bool = False


def maintenance(database: Database, *, quiet: bool = True, now: datetime | None = None, **lifecycle: Any) -> Maintenance:
    return Maintenance(
        PostgresMaintenance(database),
        LifecycleSettings(**lifecycle),
        WithoutWorkers(),
        lambda: quiet,
        (lambda: now) if now else lambda: datetime.now(UTC),
    )


async def write(database: Database, statement: LiteralString, **parameters: object) -> None:
    async with database.writing() as connection:
        await connection.execute(statement, parameters)


async def read(database: Database, statement: LiteralString, **parameters: object) -> list[tuple[Any, ...]]:
    async with database.reading() as connection:
        return await (await connection.execute(statement, parameters)).fetchall()


async def write_points(database: Database, series: int, start: datetime, count: int, step: timedelta = timedelta(minutes=1)) -> None:
    await write(
        database,
        "INSERT INTO tidegauge.metrics (timestamp, series_id, value) "
        "SELECT %(start)s::timestamptz + n * %(step)s::interval, %(series)s, 1 FROM generate_series(0, %(count)s - 1) n",
        series=series,
        start=start,
        count=count,
        step=step,
    )


async def write_spans(database: Database, application: int, start: datetime, count: int, step: timedelta) -> None:
    await write(
        database,
        "INSERT INTO tidegauge.traces (start_time, duration_ns, trace_id, span_id, application_id, resource_id, scope_id, kind, "
        "status_code, name, attributes) SELECT %(start)s::timestamptz + n * %(step)s::interval, n, gen_random_uuid(), n, %(application)s, "
        "1, 1, 1, 0, 'op', '{}' FROM generate_series(0, %(count)s - 1) n",
        application=application,
        start=start,
        count=count,
        step=step,
    )


async def materialised(database: Database, view: str, key: str, value: int) -> int:
    """Items that a rollup holds itself, without what it computes when read."""
    query: LiteralString = (
        "SELECT format('%%I.%%I', materialization_hypertable_schema, materialization_hypertable_name) "
        "FROM timescaledb_information.continuous_aggregates WHERE view_schema = 'tidegauge' AND view_name = %(view)s"
    )
    ((table,),) = await read(database, query, view=view)
    schema, name = table.split(".")
    async with database.reading() as connection:
        counted = sql.SQL("SELECT coalesce(sum(count), 0)::bigint FROM {} WHERE {} = {}").format(
            sql.Identifier(schema, name), sql.Identifier(key), sql.Literal(value)
        )
        row = await (await connection.execute(counted)).fetchone()
    assert row is not None
    return int(row[0])


def hours_ago(hours: float) -> datetime:
    return (datetime.now(UTC) - hours * HOUR).replace(minute=0, second=0, microsecond=0)


async def test_rollups_are_materialised_hourly_and_daily_and_late_points_are_added(connected: Database) -> None:
    start = hours_ago(80).replace(hour=0)
    await write_points(connected, 101, start, 24 * 60)
    await maintenance(connected).run_once()
    assert await materialised(connected, "metrics_hourly", "series_id", 101) == 24 * 60
    assert await materialised(connected, "metrics_daily", "series_id", 101) == 24 * 60

    await write_points(connected, 101, start + 5 * HOUR, 7)
    await maintenance(connected).run_once()
    assert await materialised(connected, "metrics_hourly", "series_id", 101) == 24 * 60 + 7
    assert await materialised(connected, "metrics_daily", "series_id", 101) == 24 * 60 + 7


async def test_every_tier_of_spans_is_materialised(connected: Database) -> None:
    await write_spans(connected, 102, hours_ago(80).replace(hour=0), 2880, timedelta(seconds=30))
    await maintenance(connected).run_once()
    for view in ("traces", "trace_durations", "service_durations"):
        for tier in ("minutely", "hourly", "daily"):
            assert await materialised(connected, f"{view}_{tier}", "application_id", 102) == 2880


async def test_the_newest_buckets_are_left_to_be_computed_when_read(connected: Database) -> None:
    """A bucket materialised too early would hide what still comes for it until the next refresh."""
    await write_points(connected, 103, datetime.now(UTC) - timedelta(minutes=10), 5)
    await maintenance(connected).run_once()
    await write_points(connected, 103, datetime.now(UTC) - timedelta(minutes=4), 3)
    assert await materialised(connected, "metrics_hourly", "series_id", 103) == 0
    ((shown,),) = await read(connected, "SELECT sum(count) FROM tidegauge.metrics_daily WHERE series_id = 103")
    assert shown == 8


async def test_a_closed_range_alone_is_refreshed(connected: Database) -> None:
    await write_points(connected, 104, hours_ago(130), 1)
    await maintenance(connected).run_once()
    await write_points(connected, 104, hours_ago(120), 60)
    await write_points(connected, 104, hours_ago(110), 60)
    await maintenance(connected).refresh_range(hours_ago(120), hours_ago(119))
    assert await materialised(connected, "metrics_hourly", "series_id", 104) == 61


async def test_raw_data_goes_after_its_retention_and_the_rollups_keep_what_it_said(connected: Database) -> None:
    """Chunks that no refresh has seen are covered first, then dropped; another pass does not erase what they said."""
    await write_spans(connected, 105, hours_ago(45 * 24).replace(hour=0), 1440, timedelta(minutes=1))
    for _ in range(2):
        await maintenance(connected).run_once()
    ((raw,),) = await read(connected, "SELECT count(*) FROM tidegauge.traces WHERE application_id = 105")
    ((hourly,),) = await read(connected, "SELECT sum(count) FROM tidegauge.traces_hourly WHERE application_id = 105")
    assert (raw, hourly) == (0, 1440)


async def test_old_ledger_entries_and_rejections_go(connected: Database) -> None:
    await write(
        connected,
        "INSERT INTO tidegauge.ingest_requests (slot, digest, signal, endpoint) "
        "SELECT time_bucket(INTERVAL '4 hours', now() - d * INTERVAL '1 day'), gen_random_uuid(), 1, 'maintenance' "
        "FROM generate_series(0, 3) d",
    )
    await write(
        connected,
        "INSERT INTO tidegauge.ingest_rejections (rejected_at, signal, reason, message, items) "
        "SELECT now() - d * INTERVAL '20 days', 1, 'maintenance', '', 1 FROM generate_series(0, 2) d",
    )
    await maintenance(connected).run_once()
    ((requests,),) = await read(connected, "SELECT count(*) FROM tidegauge.ingest_requests WHERE endpoint = 'maintenance'")
    ((rejections,),) = await read(connected, "SELECT count(*) FROM tidegauge.ingest_rejections WHERE reason = 'maintenance'")
    assert requests in {1, 2}  # of yesterday's chunk a part may still be inside the window
    assert rejections == 2


async def test_old_chunks_are_compressed_in_a_quiet_moment_and_again_when_rows_are_added(connected: Database) -> None:
    old = hours_ago(12 * 24).replace(hour=0)
    await write_spans(connected, 106, old, 500, timedelta(minutes=1))

    await maintenance(connected, quiet=False).run_once()
    assert await _compression(connected, old) == "none"
    await maintenance(connected).run_once()
    assert await _compression(connected, old) == "full"

    await write_spans(connected, 106, old, 10, timedelta(minutes=1))
    assert await _compression(connected, old) == "partial"
    await maintenance(connected).run_once()
    assert await _compression(connected, old) == "full"
    ((count,),) = await read(connected, "SELECT count(*) FROM tidegauge.traces WHERE application_id = 106")
    assert count == 510


async def _compression(database: Database, day: datetime) -> str:
    ((status,),) = await read(
        database,
        "SELECT x.status FROM timescaledb_information.chunks c JOIN _timescaledb_catalog.chunk x "
        "ON x.schema_name = c.chunk_schema AND x.table_name = c.chunk_name "
        "WHERE c.hypertable_schema = 'tidegauge' AND c.hypertable_name = 'traces' AND c.range_start = %(day)s",
        day=day,
    )
    return "none" if not status & 1 else "partial" if status & 8 else "full"


async def test_a_burst_gets_shorter_chunks_at_once(connected: Database) -> None:
    """The chunk that is being filled is cut, its rows stay, and later rows come into chunks of an hour."""
    now = hours_ago(17 * 24).replace(hour=12)
    await write_points(connected, 107, now - timedelta(minutes=5), 30_000, timedelta(milliseconds=10))
    await maintenance(connected, now=now, chunk_max_rows=50_000).run_once()
    await write_points(connected, 107, now + 2 * HOUR, 1)

    chunks = await read(
        connected,
        "SELECT range_start, range_end FROM timescaledb_information.chunks WHERE hypertable_schema = 'tidegauge' "
        "AND hypertable_name = 'metrics' AND range_end > %(now)s AND range_start < %(now)s::timestamptz + INTERVAL '8 hours' ORDER BY 1",
        now=now,
    )
    assert chunks[0][1] == now + HOUR
    assert chunks[1] == (now + 2 * HOUR, now + 3 * HOUR)
    ((count,),) = await read(connected, "SELECT count(*) FROM tidegauge.metrics WHERE series_id = 107")
    assert count == 30_001

    await maintenance(connected).run_once()
    ((interval,),) = await read(
        connected,
        "SELECT time_interval FROM timescaledb_information.dimensions "
        "WHERE hypertable_schema = 'tidegauge' AND hypertable_name = 'metrics'",
    )
    assert interval == DAY


async def test_the_planner_knows_how_many_rows_there_are(connected: Database) -> None:
    day = hours_ago(150).replace(hour=0)
    await write_spans(connected, 108, day, 1440, timedelta(minutes=1))
    await maintenance(connected).run_once()
    query: LiteralString = (
        "EXPLAIN (FORMAT JSON) SELECT FROM tidegauge.traces "
        "WHERE start_time >= %(day)s AND start_time < %(day)s::timestamptz + INTERVAL '6 hours'"
    )
    ((plan,),) = await read(connected, query, day=day)
    assert 300 < _plan_rows(plan[0]["Plan"]) < 420


def _plan_rows(plan: Mapping[str, Any]) -> float:
    return float(plan["Plan Rows"])


async def test_a_teams_own_jobs_run_when_due_and_their_failures_are_shown(connected: Database) -> None:
    await write(connected, "CREATE SCHEMA team")
    await write(connected, "CREATE TABLE team.runs (at timestamptz DEFAULT now())")
    await write(
        connected,
        "CREATE PROCEDURE team.good(job_id int, config jsonb) LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO team.runs DEFAULT VALUES; COMMIT; INSERT INTO team.runs DEFAULT VALUES; END $$",
    )
    await write(
        connected, "CREATE PROCEDURE team.bad(job_id int, config jsonb) LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not today'; END $$"
    )
    ids = {}
    for name in ("good", "bad"):
        ((ids[name],),) = await _add_job(connected, f"team.{name}")
    try:
        for _ in range(2):
            await maintenance(connected).run_once()
        runs = await PostgresMaintenance(connected).runs()
        ((count,),) = await read(connected, "SELECT count(*) FROM team.runs")
    finally:
        for job in ids.values():
            await write(connected, "SELECT delete_job(%(job)s)", job=job)
    assert count == 2
    assert runs[f"job {ids['good']}"].error == ""
    assert "not today" in runs[f"job {ids['bad']}"].error


async def _add_job(database: Database, procedure: str) -> list[tuple[int]]:
    """Far enough ahead for a server's workers, due for us: they would run it, too."""
    async with database.writing() as connection:
        cursor = await connection.execute(
            "SELECT add_job(%s::regproc, INTERVAL '1 day', initial_start => now() - INTERVAL '1 minute', scheduled => true)", [procedure]
        )
        return [(int(row[0]),) for row in await cursor.fetchall()]


async def test_it_works_beside_writers_until_it_is_stopped(connected: Database) -> None:
    """The running scheduler materialises what was there when it started, and ends when told."""
    start = hours_ago(300).replace(hour=0)
    await write_points(connected, 109, start, 600)
    stop = asyncio.Event()
    running = asyncio.create_task(maintenance(connected).run(stop))
    try:
        async with asyncio.timeout(60):
            while await materialised(connected, "metrics_hourly", "series_id", 109) < 600:
                await write_points(connected, 110, datetime.now(UTC), 1)
    finally:
        stop.set()
        await asyncio.wait_for(running, 30)
    runs = await PostgresMaintenance(connected).runs()
    assert runs["refresh"].error == ""
