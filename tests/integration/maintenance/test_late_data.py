"""Late, out-of-order and repeated data reaches every tier of every rollup by itself, and refreshes never take away what a rollup says.

What a rollup should say is its own definition, computed from what it is made from: ``_faults`` compares the two, for every rollup in
tidegauge.lifecycle, so that the lowest tier is compared with raw data and each further one with the one below it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.servers.timescaledb import TestDatabase
from tidegauge.config import LifecycleSettings
from tidegauge.maintenance import Maintenance
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.maintenance import PostgresMaintenance

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SETTINGS = LifecycleSettings()
# What a row says follows from its time: of two with the same time either may be the first, the last or the example.
WRITE: dict[str, LiteralString] = {
    "metrics": "INSERT INTO tidegauge.metrics (timestamp, series_id, start_timestamp, value) "
    "SELECT t, 900 + n %% 2, CASE WHEN n %% 2 = 1 THEN date_trunc('year', t, 'UTC') END, extract(second FROM t)::integer "
    "FROM unnest(%(times)s::timestamptz[]) WITH ORDINALITY AS u (t, n)",
    "metric_histograms": "INSERT INTO tidegauge.metric_histograms "
    "(timestamp, series_id, count, sum, min, max, bucket_counts, scale, zero_count, positive_offset) "
    "SELECT t, 900 + n %% 2, s, s, 1, s, ARRAY[s, 1, 2], CASE WHEN n %% 2 = 1 THEN 2 END, CASE WHEN n %% 2 = 1 THEN 0 END, "
    "CASE WHEN n %% 2 = 1 THEN 4 END FROM unnest(%(times)s::timestamptz[]) WITH ORDINALITY AS u (t, n) "
    "CROSS JOIN LATERAL (SELECT extract(second FROM t)::integer) AS v (s)",
    "traces": "INSERT INTO tidegauge.traces (start_time, duration_ns, trace_id, span_id, application_id, resource_id, scope_id, kind, "
    "status_code, name, attributes) SELECT t, s %% 1000003, md5(s::text)::uuid, s, 900, 900, 900, 1, s %% 3, 'op', '{}' "
    "FROM unnest(%(times)s::timestamptz[]) t CROSS JOIN LATERAL (SELECT (extract(epoch FROM t) * 1000000)::bigint) AS v (s)",
}
RETENTION = {
    "metrics": SETTINGS.metrics_retention,
    "metric_histograms": SETTINGS.metrics_retention,
    "traces": SETTINGS.traces_retention,
}


class WithoutWorkers:
    has_background_workers = False
    parallel_writers = False


async def refresh(database: Database) -> datetime:
    """All refreshes that maintenance does by itself; returns when it began."""
    began = datetime.now(UTC)
    maintenance = Maintenance(PostgresMaintenance(database), SETTINGS, WithoutWorkers(), lambda: False)
    await maintenance.refresh_range(began - 1000 * DAY, began + DAY)
    return began


async def write(database: Database, table: str, times: Sequence[datetime]) -> None:
    async with database.writing() as connection:
        await connection.execute(WRITE[table], {"times": times})


async def ask(database: Database, statement: LiteralString, **parameters: object) -> list[tuple[Any, ...]]:
    async with database.reading() as connection:
        return await (await connection.execute(statement, parameters)).fetchall()


async def call(database: Database, statement: LiteralString) -> None:
    async with database.autocommit() as connection:
        await connection.execute(statement)


def borders(table: str, now: datetime) -> list[datetime]:
    """Moments at which something changes: the oldest point that is taken in, windows, chunks, buckets, watermarks, daylight saving, now."""
    taken_in = now - RETENTION[table] + DAY + timedelta(minutes=1)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    days = [midnight - DAY, midnight - 3 * DAY, (now - RETENTION[table] + 2 * DAY).replace(hour=0, minute=0, second=0, microsecond=0)]
    return [
        *(day for day in days),
        taken_in,
        now - RETENTION[table] + 2 * DAY,
        now - timedelta(minutes=10),
        now - HOUR,
        now.replace(minute=0, second=0, microsecond=0),
        now + timedelta(minutes=9),
    ]


def moments(table: str, now: datetime, chance: random.Random, count: int) -> list[datetime]:
    """Around borders: on them, the least time before and after, and somewhere near; some of them several times; in no order."""
    shifts = (timedelta(0), timedelta(microseconds=1), timedelta(microseconds=-1), timedelta(seconds=61), timedelta(minutes=-59))
    earliest, latest = now - RETENTION[table] + DAY, now + timedelta(minutes=10)
    found = [chance.choice(borders(table, now)) + chance.choice(shifts) for _ in range(count)]
    kept = [min(max(moment, earliest + timedelta(seconds=30)), latest) for moment in found]
    return kept + chance.sample(kept, count // 4)


async def _faults(database: Database) -> dict[str, int]:
    """Rows by which each rollup, as it is read, differs from its definition over what it is made from; and what it has not materialised."""
    faults = {}
    defined = await ask(
        database,
        "SELECT c.view_name, rtrim(c.view_definition, '; ') FROM timescaledb_information.continuous_aggregates c "
        "JOIN tidegauge.lifecycle l ON l.relation = c.view_name WHERE c.view_schema = 'tidegauge' ORDER BY 1",
    )
    for name, definition in defined:
        # As far back as both keep anything.
        since = f"bucket >= (SELECT window_start FROM tidegauge.repair_window('{name}', now()))"
        held, defined_ = f"SELECT * FROM tidegauge.{name} WHERE {since}", f"SELECT * FROM ({definition}) d WHERE {since}"
        query = f"SELECT (SELECT count(*) FROM ({held} EXCEPT ALL {defined_}) a) + (SELECT count(*) FROM ({defined_} EXCEPT ALL {held}) b)"
        ((count,),) = await ask(database, query)
        if count:
            faults[name] = count
    return faults


async def waiting(database: Database, at: datetime | None = None) -> list[tuple[Any, ...]]:
    """What is out of date of the buckets that were to be materialised at a moment: a minute later there is one more."""
    return await ask(
        database,
        "SELECT l.relation, r.* FROM tidegauge.lifecycle l "
        "CROSS JOIN LATERAL tidegauge.waiting_ranges(l.relation) r "
        "CROSS JOIN LATERAL tidegauge.repair_window(l.relation, %(at)s) w "
        "WHERE l.kind = 'rollup' AND r.waiting_start < w.window_end",
        at=at or datetime.now(UTC),
    )


async def test_late_data_around_every_border_reaches_every_tier(connected: Database) -> None:
    chance = random.Random(1)
    for _ in range(3):
        for table in WRITE:
            await write(connected, table, moments(table, datetime.now(UTC), chance, 30))
        began = await refresh(connected)
        assert await _faults(connected) == {}
        assert await waiting(connected, began) == []


async def test_a_point_that_comes_as_late_as_it_may_reaches_the_last_tier_and_is_counted_as_a_repair(connected: Database) -> None:
    """Refresh windows begin two chunks inside the retention; points are taken in that are a chunk older."""
    latest = datetime.now(UTC) - SETTINGS.metrics_retention + DAY + timedelta(minutes=5)
    await refresh(connected)
    before = await repairs(connected)
    await write(connected, "metrics", [latest])
    assert ("metrics_hourly",) in {row[:1] for row in await waiting(connected)}
    await refresh(connected)
    assert await _faults(connected) == {}
    for view in ("metrics_hourly", "metrics_daily"):
        assert (await repairs(connected)).get(view, 0) > before.get(view, 0)
    assert await materialised(connected, "metrics_daily", latest.replace(hour=0, minute=0, second=0, microsecond=0)) >= 1


async def test_the_servers_job_repairs_all_tiers_in_one_run(connected: Database) -> None:
    """Where TimescaleDB's workers run jobs this procedure is one of them."""
    await refresh(connected)
    chance = random.Random(3)
    for table in WRITE:
        old = [moment for moment in moments(table, datetime.now(UTC), chance, 30) if moment < datetime.now(UTC) - 2 * DAY]
        await write(connected, table, old)
    before = await repairs(connected)
    began = datetime.now(UTC)
    await call(connected, "CALL tidegauge.repair_rollups()")
    assert await waiting(connected, began - HOUR) == []
    assert await _faults(connected) == {}
    after = await repairs(connected)
    assert all(after[view] > before.get(view, 0) for view in ("metrics_daily", "metric_histograms_daily", "traces_daily"))


async def test_under_load_and_whoever_refreshes(connected: Database) -> None:
    """Writers write late and new data while rollups are refreshed; when they are done, one more run makes everything right."""
    chance = random.Random(4)

    async def load() -> None:
        for number in range(10):
            table = chance.choice(list(WRITE))
            await write(connected, table, moments(table, datetime.now(UTC), chance, 1 + number % 5))

    loads = [asyncio.create_task(load()) for _ in range(2)]
    while not all(each.done() for each in loads):
        await refresh(connected)
    await asyncio.gather(*loads)
    began = await refresh(connected)
    assert await waiting(connected, began) == []
    assert await _faults(connected) == {}


async def test_a_refresh_that_was_killed_is_done_again(own: TestDatabase, connected: Database) -> None:
    if own.kind == "embedded":
        pytest.skip("nobody else works while a refresh does; the whole database is killed in tests/acceptance/test_kill.py")
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - 3 * DAY
    await write(connected, "metrics", [day + HOUR])
    await refresh(connected)
    await write(connected, "metrics", [day + 2 * HOUR, day + 3 * HOUR])
    ((table,),) = await ask(connected, "SELECT tidegauge.hypertable_of('metrics_hourly')::text")
    async with await psycopg.AsyncConnection.connect(own.owner_dsn) as blocking:
        await blocking.execute(f"LOCK TABLE {table} IN SHARE MODE")
        victim = await psycopg.AsyncConnection.connect(own.owner_dsn, autocommit=True)
        refreshing = asyncio.create_task(
            victim.execute(
                "CALL refresh_continuous_aggregate('tidegauge.metrics_hourly', %s::timestamptz, %s::timestamptz)", [day, day + DAY]
            )
        )
        async with asyncio.timeout(20):
            while not await ask(connected, "SELECT FROM pg_locks WHERE pid = %(pid)s AND NOT granted", pid=victim.info.backend_pid):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await ask(connected, "SELECT pg_terminate_backend(%(pid)s)", pid=victim.info.backend_pid)
        with pytest.raises(psycopg.Error):
            await refreshing
    assert ("metrics_hourly",) in {row[:1] for row in await waiting(connected)}
    began = await refresh(connected)
    assert await waiting(connected, began) == []
    assert await _faults(connected) == {}


async def test_what_was_dropped_is_never_computed_anew(connected: Database) -> None:
    """Something is written to a time whose chunk is gone: the rollups go on saying what the chunk said."""
    gone = (datetime.now(UTC) - SETTINGS.metrics_retention - 3 * DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    await write(connected, "metrics", [gone + n * timedelta(minutes=10) for n in range(144)])
    await call(connected, "CALL tidegauge.drop_expired_chunks('metrics')")
    assert await materialised(connected, "metrics_hourly", gone) == 144
    await write(connected, "metrics", [gone + 5 * HOUR])
    for _ in range(2):
        await call(connected, "CALL tidegauge.repair_rollups()")
        await refresh(connected)
    assert await materialised(connected, "metrics_hourly", gone) == 144


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kolkata"])
async def test_the_time_zone_of_a_session_changes_nothing(own: TestDatabase, connected: Database, zone: str) -> None:
    """Daily buckets are of UTC, also where clocks are changed and where an hour is not a whole one away."""
    if own.kind == "embedded":
        pytest.skip("its one session is in UTC, whatever a client says")
    chance = random.Random(zone)
    async with elsewhere(own, zone) as database:
        assert await ask(database, "SELECT current_setting('TimeZone')") == [(zone,)]
        for table in WRITE:
            await write(database, table, moments(table, datetime.now(UTC), chance, 20))
        began = await refresh(database)
        await call(database, "CALL tidegauge.repair_rollups()")
        assert await waiting(database, began) == []
    assert await _faults(connected) == {}
    buckets = await ask(
        connected,
        "SELECT DISTINCT extract(epoch FROM bucket)::bigint %% 86400 FROM "
        "(SELECT bucket FROM tidegauge.metrics_daily UNION SELECT bucket FROM tidegauge.traces_daily) d",
    )
    assert buckets == [(0,)]


@asynccontextmanager
async def elsewhere(own: TestDatabase, zone: str) -> AsyncIterator[Database]:
    """Sessions of another time zone."""
    seconds = timedelta(seconds=1)
    dsn = make_conninfo(own.owner_dsn, options=f"-c TimeZone={zone}")
    async with Database(
        dsn, pool_size=2, connect_timeout=10 * seconds, statement_timeout=60 * seconds, lock_timeout=5 * seconds
    ) as database:
        yield database


async def repairs(database: Database) -> dict[str, int]:
    return dict(await ask(database, "SELECT relation, repairs FROM tidegauge.rollup_repairs"))


async def materialised(database: Database, view: str, day: datetime) -> int:
    """Points of a day that a rollup holds itself, without what it computes when read."""
    ((table,),) = await ask(database, "SELECT tidegauge.hypertable_of(%(view)s)::text", view=view)
    query = f"SELECT coalesce(sum(count), 0)::bigint FROM {table} WHERE bucket >= %(day)s AND bucket < %(day)s + INTERVAL '1 day'"
    ((count,),) = await ask(database, query, day=day)
    return int(count)
