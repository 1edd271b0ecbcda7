"""Retention never takes a rollup with it, refreshes never hide what is newer, and policies follow the settings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
import pytest_asyncio

from tests.migration.conftest import Ask, Migrate
from tidegauge import config
from tidegauge.config import Settings
from tidegauge.errors import MigrationError

HOURLY = "SELECT coalesce(sum(count), 0)::bigint FROM tidegauge.metrics_hourly WHERE series_id = %s"
DAILY = "SELECT coalesce(sum(count), 0)::bigint FROM tidegauge.metrics_daily WHERE series_id = %s"
RAW = "SELECT count(*) FROM tidegauge.metrics WHERE series_id = %s"
POINTS = """
INSERT INTO tidegauge.metrics (timestamp, series_id, value)
SELECT t, %s, 1 FROM generate_series(%s::timestamptz, %s::timestamptz - interval '1 microsecond', %s::interval) t
"""
DAY = timedelta(days=1)


def kept(days: int, **others: str) -> Settings:
    """Settings under which metric points are kept for some days."""
    variables = {f"TIDEGAUGE_LIFECYCLE_{name.upper()}": value for name, value in others.items()}
    return config.load({"TIDEGAUGE_LIFECYCLE_METRICS_RETENTION": f"{days}d", **variables}, env_file=None)


@pytest_asyncio.fixture
async def series(ask: Ask, upgrade: Migrate, downgrade: Migrate) -> int:
    """Rollups that were never refreshed, no points, and a series id to use. TimescaleDB's own workers stay out of the way."""
    await upgrade("0008")
    await downgrade("0007")
    ask("TRUNCATE tidegauge.metrics, tidegauge.metric_histograms, tidegauge.traces")
    await upgrade()
    stand_still(ask)
    return uuid4().int % 10**9


def stand_still(ask: Ask) -> None:
    ask("SELECT alter_job(job_id, scheduled => false) FROM timescaledb_information.jobs WHERE job_id >= 1000 AND scheduled")


@pytest.fixture
def midnight(ask: Ask) -> datetime:
    (row,) = ask("SELECT date_trunc('day', now(), 'UTC')")
    return row[0]  # type: ignore[no-any-return]


def refresh(ask: Ask, relation: str) -> None:
    """What a rollup's policy does now."""
    ((start, end),) = ask("SELECT window_start, window_end FROM tidegauge.refresh_window(%s)", [relation])
    ask(f"CALL refresh_continuous_aggregate('tidegauge.{relation}', %s::timestamptz, %s::timestamptz)", [start, end])


async def apply(upgrade: Migrate, ask: Ask, settings: Settings) -> None:
    await upgrade(settings=settings)
    stand_still(ask)


async def test_refreshes_after_retention_leave_rollups_whole(ask: Ask, upgrade: Migrate, series: int, midnight: datetime) -> None:
    """The first accident: a refresh over dropped chunks made 12,602 of 14,401 points."""
    await apply(upgrade, ask, kept(20))
    ask(POINTS, [series, midnight - 10 * DAY, midnight, timedelta(minutes=1)])
    refresh(ask, "metrics_hourly")
    refresh(ask, "metrics_daily")
    assert (ask(HOURLY, [series]), ask(DAILY, [series])) == ([(14400,)], [(14400,)])

    await apply(upgrade, ask, kept(5))
    ask("CALL tidegauge.drop_expired_chunks('metrics')")
    assert ask(RAW, [series]) == [(5 * 1440,)]
    for days in (5, 300):
        # The window goes back as far as the settings say, but never to where chunks have been dropped.
        await apply(upgrade, ask, kept(days))
        ask("UPDATE tidegauge.metrics SET value = 2 WHERE series_id = %s", [series])
        refresh(ask, "metrics_hourly")
        refresh(ask, "metrics_daily")

        assert (ask(HOURLY, [series]), ask(DAILY, [series])) == ([(14400,)], [(14400,)])


async def test_the_first_accident_would_happen_outside_of_the_window(ask: Ask, upgrade: Migrate, series: int, midnight: datetime) -> None:
    """What the window is for: without it the same refresh erases."""
    await apply(upgrade, ask, kept(20))
    ask(POINTS, [series, midnight - 10 * DAY, midnight, timedelta(hours=1)])
    refresh(ask, "metrics_hourly")
    await apply(upgrade, ask, kept(5))
    ask("CALL tidegauge.drop_expired_chunks('metrics')")

    ask("CALL refresh_continuous_aggregate('tidegauge.metrics_hourly', %s::timestamptz, %s::timestamptz)", [midnight - 20 * DAY, midnight])

    assert ask(HOURLY, [series]) == [(5 * 24,)]


@pytest.mark.parametrize("ahead", [timedelta(minutes=9), timedelta(days=3650)])
async def test_a_point_ahead_hides_nothing_that_comes_later(
    ask: Ask, upgrade: Migrate, series: int, midnight: datetime, ahead: timedelta
) -> None:
    """The second accident: one far-future point with an open window hid everything before it."""
    await apply(upgrade, ask, kept(20))
    ((now,),) = ask("SELECT now()")
    ask(POINTS, [series, now - DAY, now, timedelta(minutes=1)])
    ask(POINTS, [series, now + ahead, now + ahead + timedelta(seconds=1), DAY])
    for relation in ("metrics_hourly", "metrics_daily"):
        refresh(ask, relation)

    ask(POINTS, [series, now, now + timedelta(seconds=10), timedelta(seconds=1)])

    assert ask(HOURLY, [series]) == [(1440 + 1 + 10,)]
    assert ask(DAILY, [series]) == [(1440 + 1 + 10,)]


async def test_a_chunk_is_rolled_up_before_it_is_dropped(ask: Ask, upgrade: Migrate, series: int, midnight: datetime) -> None:
    await apply(upgrade, ask, kept(20))
    ask(POINTS, [series, midnight - 10 * DAY, midnight - 8 * DAY, timedelta(minutes=1)])
    refresh(ask, "metrics_hourly")
    # Late points, behind the watermark and not refreshed since; and a second series that was never refreshed at all.
    ask(POINTS, [series, midnight - 10 * DAY, midnight - 9 * DAY, timedelta(hours=1)])
    ask(POINTS, [series + 1, midnight - 10 * DAY, midnight - 6 * DAY, timedelta(hours=1)])

    await apply(upgrade, ask, kept(5))
    ask("CALL tidegauge.drop_expired_chunks('metrics')")

    assert ask(RAW, [series]) == [(0,)]
    assert ask(HOURLY, [series]) == [(2 * 1440 + 24,)]
    assert ask(HOURLY, [series + 1]) == [(4 * 24,)]
    assert ask(DAILY, [series]) == [(2 * 1440 + 24,)]


async def test_late_points_where_chunks_were_dropped_do_not_replace_their_rollups(
    ask: Ask, upgrade: Migrate, series: int, midnight: datetime
) -> None:
    await apply(upgrade, ask, kept(5))
    ask(POINTS, [series, midnight - 10 * DAY, midnight - 8 * DAY, timedelta(minutes=1)])
    ask("CALL tidegauge.drop_expired_chunks('metrics')")
    ask(POINTS, [series, midnight - 10 * DAY, midnight - 8 * DAY, timedelta(hours=1)])

    ask("CALL tidegauge.drop_expired_chunks('metrics')")

    assert ask(RAW, [series]) == [(0,)]
    assert ask(HOURLY, [series]) == [(2 * 1440,)]


async def test_chunks_that_cut_buckets_in_two_lose_none(ask: Ask, upgrade: Migrate, series: int, midnight: datetime) -> None:
    await apply(upgrade, ask, kept(20))
    ask("SELECT set_chunk_time_interval('tidegauge.metrics', interval '90 minutes')")
    ask(POINTS, [series, midnight - 9 * DAY, midnight - 8 * DAY, timedelta(minutes=1)])
    await apply(upgrade, ask, kept(5))

    ask("CALL tidegauge.drop_expired_chunks('metrics', 1)")
    assert 0 < ask(RAW, [series])[0][0] < 1440
    assert ask(HOURLY, [series]) == [(1440,)]
    ask("CALL tidegauge.drop_expired_chunks('metrics')")

    assert ask(RAW, [series]) == [(0,)]
    assert ask(HOURLY, [series]) == [(1440,)]


async def test_a_rollup_tier_is_kept_until_the_next_covers_it(ask: Ask, upgrade: Migrate, series: int, midnight: datetime) -> None:
    await apply(upgrade, ask, kept(50))
    ask(POINTS, [series, midnight - 49 * DAY, midnight, timedelta(hours=1)])
    refresh(ask, "metrics_hourly")
    tight = kept(7, hourly_retention="30d", traces_retention="5d", minutely_retention="10d")

    await apply(upgrade, ask, tight)
    ask("CALL tidegauge.drop_expired_chunks('metrics')")
    ask("CALL tidegauge.drop_expired_chunks('metrics_hourly')")

    assert ask(RAW, [series]) == [(7 * 24,)]
    assert 30 * 24 <= ask(HOURLY, [series])[0][0] < 49 * 24
    assert ask(DAILY, [series]) == [(49 * 24,)]


async def test_nothing_a_client_sends_stops_a_refresh(ask: Ask, upgrade: Migrate, series: int, midnight: datetime) -> None:
    await apply(upgrade, ask, kept(20))
    at = midnight - 3 * DAY
    for value, flags in (("NaN", 0), ("Infinity", 0), ("1.7e308", 0), ("1.7e308", 0), ("-1.7e308", 0), ("5", 0), ("7", 1)):
        ask("INSERT INTO tidegauge.metrics (timestamp, series_id, value, flags) VALUES (%s, %s, %s, %s)", [at, series, value, flags])
    largest = 2**63 - 1
    for counts in ([largest, 1], [largest, None], [1, 2, 3], None):
        ask(
            "INSERT INTO tidegauge.metric_histograms (timestamp, series_id, count, sum, bucket_counts) VALUES (%s, %s, %s, %s, %s)",
            [at, series, largest, 1.7e308, counts],
        )
    for duration in (0, -5, largest, largest, -largest):
        ask(
            "INSERT INTO tidegauge.traces (start_time, duration_ns, trace_id, span_id, application_id, resource_id, scope_id, kind,"
            " status_code, name, attributes) VALUES (%s, %s, gen_random_uuid(), 1, %s, 1, 1, 1, 0, 'x', '{}')",
            [at, duration, series],
        )
    for relation in ("metrics_hourly", "metric_histograms_hourly", "traces_minutely", "traces_hourly", "trace_durations_minutely"):
        refresh(ask, relation)

    assert ask("SELECT count, min, max FROM tidegauge.metrics_hourly WHERE series_id = %s", [series]) == [(5, -1.7e308, float("inf"))]
    assert ask("SELECT points, count, sum, bucket_counts FROM tidegauge.metric_histograms_hourly WHERE series_id = %s", [series]) == [
        (4, largest, float("inf"), [largest, 3, 3])
    ]
    assert ask("SELECT count, duration_sum_ns, duration_min_ns FROM tidegauge.traces_hourly WHERE application_id = %s", [series]) == [
        (5, largest, 0)
    ]
    assert ask("SELECT count(*) FROM analytics.traces WHERE application_id = %s", [series]) == [(5,)]


async def test_policies_follow_the_settings_and_leave_smaller_chunks_alone(ask: Ask, upgrade: Migrate, series: int) -> None:
    interval = "SELECT time_interval FROM timescaledb_information.dimensions WHERE hypertable_name = 'metrics'"
    policy = "SELECT config ->> %s FROM timescaledb_information.jobs WHERE hypertable_name = %s AND proc_name = %s"
    await apply(upgrade, ask, kept(40, metrics_chunk="12h", metrics_compress_after="3d"))
    assert ask(interval) == [(timedelta(hours=12),)]
    assert ask(policy, ["compress_after", "metrics", "policy_compression"]) == [("3 days",)]
    assert ask(policy, ["start_offset", "metrics_hourly", "policy_refresh_continuous_aggregate"]) == [("39 days",)]

    ask("SELECT set_chunk_time_interval('tidegauge.metrics', interval '1 hour')")
    await apply(upgrade, ask, kept(41, metrics_chunk="12h"))
    assert ask(interval) == [(timedelta(hours=1),)]
    assert ask("SELECT retention FROM analytics.retention_policies WHERE relation = 'metrics'") == [(timedelta(days=41),)]

    await apply(upgrade, ask, kept(41, metrics_chunk="6h"))
    assert ask(interval) == [(timedelta(hours=6),)]


async def test_a_retention_too_short_for_its_rollups_is_refused(upgrade: Migrate, series: int) -> None:
    short = {"metrics_retention": "4h", "metrics_chunk": "1h", "metrics_compress_after": "1h"}
    variables = {f"TIDEGAUGE_LIFECYCLE_{name.upper()}": value for name, value in short.items()}

    with pytest.raises(MigrationError, match=r"tidegauge\.metric\w+ is kept for too short a time for .*has to reach back 03:00:00"):
        await upgrade(settings=config.load(variables, env_file=None))


@pytest.fixture(scope="module", autouse=True)
def _clean_again(dsn: str) -> Iterator[None]:
    """Other tests find no points of these."""
    yield
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
        for table in ("metrics", "metric_histograms", "traces"):
            connection.execute(f"TRUNCATE tidegauge.{table}")  # type: ignore[arg-type]
