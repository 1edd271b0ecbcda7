"""analytics.increases() against counting every point by hand, and against what the API answers from the same rollups."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import pytest_asyncio

from tests.servers import timescaledb
from tests.servers.timescaledb import TestDatabase
from tidegauge.config import Settings
from tidegauge.model.query import SeriesSelector, Tier, TimeRange
from tidegauge.query.metrics import Limits, SeriesRollups, read_rollups
from tidegauge.runtime import opened
from tidegauge.storage.postgres import migrate
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.metrics import PostgresMetricStore

# Whole days ago, so that nothing here depends on the time of day; what came the day before the range is scanned as well.
RANGE_START = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
HOURS = 8
HOUR = 3600
DAY = 24 * HOUR
SERIES = """
WITH application AS (
    INSERT INTO tidegauge.applications (name) VALUES (%(name)s) RETURNING application_id
), resource AS (
    INSERT INTO tidegauge.resources (identity, application_id, attributes)
    SELECT gen_random_uuid(), application_id, '{}' FROM application RETURNING resource_id, application_id
), scope AS (
    INSERT INTO tidegauge.scopes (identity, name, attributes) VALUES (gen_random_uuid(), 'increases', '{}') RETURNING scope_id
)
INSERT INTO tidegauge.series (identity, resource_id, scope_id, application_id, metric_name, type, temporality, is_monotonic, labels)
SELECT gen_random_uuid(), resource_id, scope_id, application_id, %(name)s, %(type)s, %(temporality)s, %(type)s = 'sum' OR NULL, '{}'
FROM resource, scope
RETURNING series_id
"""
NUMBERS = """
INSERT INTO tidegauge.metrics (timestamp, series_id, start_timestamp, value)
SELECT p.at, %(series)s, p.started, p.value
FROM unnest(%(times)s::timestamptz[], %(starts)s::timestamptz[], %(values)s::double precision[]) AS p (at, started, value)
"""
HISTOGRAMS = """
INSERT INTO tidegauge.metric_histograms (timestamp, series_id, start_timestamp, count, sum, bucket_counts)
SELECT p.at, %(series)s, p.started, p.value, p.value / 2, ARRAY[p.value::bigint]
FROM unnest(%(times)s::timestamptz[], %(starts)s::timestamptz[], %(values)s::double precision[]) AS p (at, started, value)
"""


@dataclass(frozen=True)
class Point:
    """Seconds since the range's start."""

    at: float
    start: float | None
    value: float


@dataclass(frozen=True)
class Rise:
    increase: float
    is_exact: bool


class Counters:
    """Stores counters and asks both ways for what they rose by."""

    def __init__(self, dsn: str, reader_dsn: str, database: Database) -> None:
        self._dsn = dsn
        self.reader_dsn = reader_dsn
        self._store = PostgresMetricStore(database)

    def store(self, points: Sequence[Point], type_: str = "sum", temporality: str = "cumulative") -> str:
        """The metric's name."""
        name = f"increases.{uuid.uuid4().hex}"
        with psycopg.connect(self._dsn, prepare_threshold=None) as connection:
            row = connection.execute(SERIES, {"name": name, "type": type_, "temporality": temporality}).fetchone()
            assert row is not None
            columns = {
                "times": [RANGE_START + timedelta(seconds=point.at) for point in points],
                "starts": [None if point.start is None else RANGE_START + timedelta(seconds=point.start) for point in points],
                "values": [point.value for point in points],
            }
            connection.execute(NUMBERS if type_ == "sum" else HISTOGRAMS, {"series": row[0], **columns})
        return name

    async def ask(self, name: str, width: str = "1 hour") -> dict[int, Rise]:
        """What the function says by hour since the range's start; by hours the API must say the same."""
        end = RANGE_START + timedelta(hours=HOURS)
        with psycopg.connect(self.reader_dsn, autocommit=True, prepare_threshold=None) as connection:
            found = connection.execute(
                "SELECT bucket, increase, is_exact FROM increases(%s, %s::interval, %s, %s)",
                # Not a whole hour: both widen the range to whole ones.
                (name, width, RANGE_START + timedelta(minutes=7), end),
            ).fetchall()
        rises = {int((bucket - RANGE_START).total_seconds()) // HOUR: Rise(increase, is_exact) for bucket, increase, is_exact in found}
        if width == "1 hour":
            assert rises == await self._from_the_api(name, end)
        return rises

    async def _from_the_api(self, name: str, end: datetime) -> dict[int, Rise]:
        start_ns = int(RANGE_START.timestamp()) * 10**9
        time = TimeRange(start_ns, int(end.timestamp()) * 10**9)
        answer = await read_rollups(self._store, 0, SeriesSelector(name), time, Tier.HOURLY, Limits(10, 1000))
        (series,) = answer.series or (None,)
        return {} if series is None else _rises(series, start_ns)


def _rises(found: SeriesRollups, start_ns: int) -> dict[int, Rise]:
    return {
        (point.bucket_unix_nano - start_ns) // (HOUR * 10**9): Rise(
            float(point.count) if point.increase is None else point.increase, point.is_exact
        )
        for point in found.points
    }


@pytest_asyncio.fixture(scope="module")
async def prepared(own_database: TestDatabase, settings: Settings) -> TestDatabase:
    """Rollups that nothing has been materialised of: what comes late for what has been is not seen before the next refresh."""
    await asyncio.to_thread(migrate.upgrade, own_database.owner_dsn, settings, lambda _: None)
    await asyncio.to_thread(migrate.downgrade, own_database.owner_dsn, settings, lambda _: None, "0007")
    with psycopg.connect(own_database.owner_dsn, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("TRUNCATE tidegauge.metrics, tidegauge.metric_histograms")
        await asyncio.to_thread(migrate.upgrade, own_database.owner_dsn, settings, lambda _: None)
        connection.execute(
            "SELECT alter_job(job_id, scheduled => false) FROM timescaledb_information.jobs WHERE job_id >= 1000 AND scheduled"
        )
    if own_database.kind != "embedded":
        await timescaledb.let_reader_in(own_database.owner_dsn)
    return own_database


@pytest_asyncio.fixture
async def counters(prepared: TestDatabase, settings: Settings) -> AsyncIterator[Counters]:
    assert prepared.reader_dsn is not None
    async with opened(settings, prepared.owner_dsn) as connections:
        yield Counters(prepared.owner_dsn, prepared.reader_dsn, connections)


def by_hand(points: Sequence[Point]) -> dict[int, float]:
    """What each hour's points add: to the point before of the same start, or to 0 where there is none; no start: a fall is a reset."""
    before: dict[float | None, float] = {}
    hours: dict[int, float] = {}
    for point in sorted(points, key=lambda point: point.at):
        previous = before.get(point.start, 0 if point.start is not None else point.value)
        before[point.start] = point.value
        if point.at >= 0:
            hour = int(point.at // HOUR)
            hours[hour] = hours.get(hour, 0) + point.value - (previous if point.value >= previous else 0)
    return hours


def counted(seed: int, *, resets: int, starts: bool, begin: int = 0) -> list[Point]:
    """A process that exports once or twice a minute, is down for up to two hours now and then, and counts before its first export."""
    chance = random.Random(seed)
    points: list[Point] = []
    times = sorted(chance.sample(range(begin, HOURS * HOUR), resets + 1))
    for start, until in zip(times, [*times[1:], HOURS * HOUR], strict=True):
        value, at = 0, start
        while (at := at + chance.choice((29, 60, 61))) < until:
            value += chance.randint(0, 9)
            points.append(Point(at, start if starts else None, value))
            if chance.random() < 0.02:
                at += chance.randint(HOUR // 2, 2 * HOUR)
    return points


@pytest.mark.parametrize("type_", ["sum", "histogram"])
async def test_a_process_that_began_just_before_the_hour_counts_from_zero(counters: Counters, type_: str) -> None:
    name = counters.store([Point(HOUR + 40, HOUR - 10, 100), Point(HOUR + 100, HOUR - 10, 140)], type_)
    before_the_range = counters.store([Point(40, -10, 100), Point(100, -10, 140)], type_)

    assert await counters.ask(name) == {1: Rise(140, True)}
    assert await counters.ask(before_the_range) == {0: Rise(140, True)}


@pytest.mark.parametrize("type_", ["sum", "histogram"])
async def test_what_came_before_the_range_is_not_in_it(counters: Counters, type_: str) -> None:
    name = counters.store([Point(-HOUR - 9, -5 * DAY, 30), Point(40, -5 * DAY, 100), Point(HOUR + 1, -5 * DAY, 107)], type_)

    assert await counters.ask(name) == {0: Rise(70, True), 1: Rise(7, True)}


@pytest.mark.parametrize("type_", ["sum", "histogram"])
async def test_where_nothing_is_known_of_before_it_is_a_bound(counters: Counters, type_: str) -> None:
    name = counters.store([Point(-2 * DAY, -5 * DAY, 30), Point(40, -5 * DAY, 100), Point(90, -5 * DAY, 107)], type_)

    assert await counters.ask(name) == {0: Rise(7, False)}


@pytest.mark.parametrize("type_", ["sum", "histogram"])
async def test_without_start_times_a_reset_adds_what_was_counted_since(counters: Counters, type_: str) -> None:
    name = counters.store(
        [Point(10, None, 100), Point(HOUR - 10, None, 500), Point(HOUR + 10, None, 30), Point(HOUR + 70, None, 45)], type_
    )

    assert await counters.ask(name) == {0: Rise(400, False), 1: Rise(45, False)}
    assert await counters.ask(name, "1 day") == {0: Rise(445, False)}


async def test_without_start_times_a_reset_inside_an_hour_is_seen_by_its_peak(counters: Counters) -> None:
    points = [Point(10, None, 100), Point(70, None, 500), Point(130, None, 30), Point(190, None, 45)]

    assert await counters.ask(counters.store(points)) == {0: Rise(400 + 45, False)}


async def test_a_reset_that_the_sender_did_not_tell_of(counters: Counters) -> None:
    name = counters.store([Point(10, 5, 100), Point(HOUR + 10, 5, 30)])

    assert await counters.ask(name) == {0: Rise(100, True), 1: Rise(30, False)}


@pytest.mark.parametrize("type_", ["sum", "histogram"])
@pytest.mark.parametrize(("seed", "resets", "begin"), [(1, 0, 0), (2, 3, -6 * HOUR), (3, 40, 0), (4, 200, -DAY)])
async def test_any_number_of_resets_is_exact(counters: Counters, seed: int, resets: int, begin: int, type_: str) -> None:
    points = counted(seed, resets=resets, starts=True, begin=begin)
    name = counters.store(points, type_)

    found = await counters.ask(name)

    assert found == {hour: Rise(increase, True) for hour, increase in by_hand(points).items()}
    (day,) = (await counters.ask(name, "1 day")).values()
    assert day == Rise(sum(by_hand(points).values()), True)


@pytest.mark.parametrize("type_", ["sum", "histogram"])
@pytest.mark.parametrize(("seed", "resets"), [(5, 0), (6, 3), (7, 40)])
async def test_without_start_times_it_is_never_more_than_what_was_counted(counters: Counters, seed: int, resets: int, type_: str) -> None:
    points = counted(seed, resets=resets, starts=False)

    found = await counters.ask(counters.store(points, type_))

    true = by_hand(points)
    assert found.keys() == true.keys()
    assert all(0 <= rise.increase <= true[hour] and not rise.is_exact for hour, rise in found.items())
    assert sum(rise.increase for rise in found.values()) > 0
    if not resets:
        assert {hour: rise.increase for hour, rise in found.items()} == true


@pytest.mark.parametrize("type_", ["sum", "histogram"])
async def test_deltas_add_up(counters: Counters, type_: str) -> None:
    name = counters.store([Point(10, None, 100), Point(70, None, 5), Point(HOUR, None, 3)], type_, "delta")

    assert await counters.ask(name) == {0: Rise(105, True), 1: Rise(3, True)}


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
async def test_integers_that_a_float_rounds_are_not_exact(counters: Counters, temporality: str) -> None:
    limit = 2.0**53
    name = counters.store([Point(10, 5, 1.0), Point(HOUR, 5, limit - 1), Point(2 * HOUR, 5, limit)], temporality=temporality)

    assert [rise.is_exact for rise in (await counters.ask(name)).values()] == [True, True, False]


async def test_values_at_the_edge_of_what_a_float_holds_are_answered(counters: Counters) -> None:
    name = counters.store([Point(10, 5, -1.7e308), Point(70, 5, 1.7e308), Point(HOUR, 5, 1.7e308), Point(HOUR + 1, 7, 1.7e308)])
    with psycopg.connect(counters.reader_dsn, autocommit=True, prepare_threshold=None) as connection:
        found = connection.execute(
            "SELECT sum(increase) FROM increases(%s, '1 day', %s, %s)", (name, RANGE_START, RANGE_START + timedelta(days=1))
        ).fetchall()
        hours = connection.execute("SELECT increase FROM metrics_hourly WHERE metric_name = %s", (name,)).fetchall()

    assert found == [(float("inf"),)]
    assert len(hours) == 3
