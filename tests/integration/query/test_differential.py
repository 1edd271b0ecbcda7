"""A thousand random questions about weeks of points: the answers are those that all points give, within what the answers say."""

from __future__ import annotations

import asyncio
import math
import os
import random
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest
import pytest_asyncio

from tests.integration.query import points, reference
from tests.integration.query.points import DAY_NS, DAYS, DROPPED_DAYS, HOUR_NS, KINDS, Filled, Kind
from tests.servers.timescaledb import TestDatabase
from tidegauge.model.query import Aggregation, SeriesSelector, TimeRange
from tidegauge.model.records import Series
from tidegauge.model.tiers import Family, Level, TierState
from tidegauge.query.metrics import Limits, RangeAnswer, RangeQuestion, read_range
from tidegauge.query.plan import Exactness
from tidegauge.query.times import steps_of
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.metrics import PostgresMetricStore
from tidegauge.storage.postgres.tiers import PostgresTierStore

QUESTIONS = int(os.environ.get("TIDEGAUGE_TEST_QUESTIONS", "1000"))
SEED = int(os.environ.get("TIDEGAUGE_TEST_SEED", "20261122"))
MINUTE_NS = 60_000_000_000
STEPS = [minutes * MINUTE_NS for minutes in (1, 7, 15, 90, 60, 120, 360)] + [days * DAY_NS for days in (1, 1, 2, 7)]
ZONES = [ZoneInfo(name) for name in ("UTC", "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")]
GROUPINGS: list[list[str] | None] = [None, None, [], ["odd"]]
_NUMBERS: list[Aggregation] = list(Aggregation)
_HISTOGRAMS: list[Aggregation] = [one for one in Aggregation if one not in (Aggregation.FIRST, Aggregation.LAST)]
AGGREGATIONS: dict[str, list[Aggregation]] = {
    "gauge": [one for one in Aggregation if one not in (Aggregation.INCREASE, Aggregation.RATE)],
    "sum": _NUMBERS + [Aggregation.INCREASE] * 6,
    "histogram": _HISTOGRAMS,
    "exponential_histogram": _HISTOGRAMS,
    "summary": [one for one in _HISTOGRAMS if one not in (Aggregation.MIN, Aggregation.MAX)],
}


@dataclass
class Remembered(PostgresTierStore):
    """States that do not change while questions are asked, and series."""

    database: Database
    known: dict[Family, Sequence[TierState]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(self.database)

    async def states(self, family: Family) -> Sequence[TierState]:
        if family not in self.known:
            self.known[family] = await super().states(family)
        return self.known[family]


@dataclass
class Asked:
    """The product's use case on a database that is filled."""

    filled: Filled
    store: PostgresMetricStore
    tiers: Remembered
    known: dict[tuple[str, tuple[str, ...]], Sequence[Series]] = field(default_factory=dict)

    async def answer(self, question: RangeQuestion) -> RangeAnswer:
        return await read_range(self.store, self.tiers, 0, question, Limits(series=100, points=11_000))

    async def series(self, kind: Kind, group_by: Sequence[str] | None) -> Sequence[Series]:
        name, labels = f"{self.filled.prefix}.{kind.name}", tuple(group_by or ())
        if (name, labels) not in self.known:
            self.known[name, labels] = await self.store.series(0, SeriesSelector(name), labels, 100)
        return self.known[name, labels]


@pytest_asyncio.fixture(scope="module")
async def asked(database: TestDatabase) -> AsyncIterator[Asked]:
    """The database, filled."""
    filled = await asyncio.to_thread(points.fill, database.owner_dsn, SEED)
    limit = timedelta(seconds=30)
    try:
        async with Database(
            database.owner_dsn, pool_size=2, connect_timeout=limit, statement_timeout=limit, lock_timeout=limit
        ) as connections:
            yield Asked(filled, PostgresMetricStore(connections), Remembered(connections))
    finally:
        await asyncio.to_thread(points.clean, database.owner_dsn, filled)


def random_question(chosen: random.Random, filled: Filled) -> tuple[Kind, RangeQuestion]:
    kind, step = chosen.choice(KINDS), chosen.choice(STEPS)
    longest = min(DAYS * DAY_NS, 2000 * step)
    length = chosen.randrange(step, longest + 1) if step < longest else step
    end = filled.now_ns - chosen.choice([0, chosen.randrange(2 * DAY_NS), chosen.randrange(DAYS * DAY_NS)])
    wanted = SeriesSelector(f"{filled.prefix}.{kind.name}")
    grouping, aggregation = chosen.choice(GROUPINGS), chosen.choice(AGGREGATIONS[kind.type])
    return kind, RangeQuestion(wanted, TimeRange(end - length, end), step, aggregation, grouping, chosen.choice(ZONES))


def check(question: RangeQuestion, answer: RangeAnswer, series: Sequence[Series], filled: Filled) -> None:
    """The answer is the reference's; where retention took something, outside of what the answer calls missing."""
    meta, edges = answer.meta, list(answer.steps.edges)
    groups: dict[tuple[str, ...], list[Series]] = {}
    for one in series:
        groups.setdefault((str(one.series_id),) if question.group_by is None else one.group, []).append(one)
    lines = {line.labels: line for line in answer.lines}
    for key, members in groups.items():
        names = members[0].labels if question.group_by is None else tuple(zip(question.group_by, key, strict=True))
        line = lines.pop(names, None)
        found = {} if line is None else dict(zip(line.times, line.values, strict=True))
        below = 0.0 if line is None else line.below
        expected = reference.answer([(one, filled.points[one.series_id]) for one in members], edges, question.aggregation, meta.missing)
        assert found.keys() <= set(edges)
        touched = {step for step in (*found, *expected) if _is_touched(step, edges, answer)}
        if meta.exactness is Exactness.EXACT:
            assert not touched
        if question.aggregation is Aggregation.AVG and meta.exactness is Exactness.BOUNDED:
            # Of a mean only bounds of its parts are known; where it is as if nothing was counted there is none.
            assert found.keys() <= expected.keys()
            continue
        assert found.keys() - touched == expected.keys() - touched
        of_order = question.aggregation in (Aggregation.FIRST, Aggregation.LAST) and meta.exactness is not Exactness.EXACT
        if of_order and len(members) > 1:
            continue
        for step in expected.keys() - touched:
            if meta.exactness is Exactness.EXACT or not meta.bounds:
                assert math.isclose(found[step], expected[step], rel_tol=1e-9, abs_tol=1e-9), step
            elif question.aggregation is not Aggregation.AVG:  # partial, and bounded
                seconds = 1.0
                if question.aggregation is Aggregation.RATE:
                    seconds = (edges[bisect_right(edges, step)] - step) / 1e9
                slack = 1e-9 * max(1.0, abs(expected[step]))
                assert found[step] - slack <= expected[step] <= found[step] + below / seconds + slack, step
    assert not lines


def _is_touched(step: int, edges: Sequence[int], answer: RangeAnswer) -> bool:
    """Whether something the step depends on is missing: points in it, and of what rises the last one before it."""
    missing = answer.meta.missing
    return bool(missing) and min(gap.start_ns for gap in missing) < edges[bisect_right(edges, step)]


async def test_answers_are_those_of_all_points(asked: Asked) -> None:
    chosen = random.Random(SEED)
    kinds: dict[Exactness, int] = dict.fromkeys(Exactness, 0)
    levels: set[Level] = set()
    for number in range(QUESTIONS):
        kind, question = random_question(chosen, asked.filled)
        answer = await asked.answer(question)
        try:
            check(question, answer, await asked.series(kind, question.group_by), asked.filled)
        except AssertionError as error:
            pytest.fail(f"question {number}: {kind.name} {question}\n{answer.meta}\n{error}")
        kinds[answer.meta.exactness] += 1
        levels |= {segment.level for segment in answer.meta.segments}
    # The questions are of all sorts: else they would prove little.
    assert levels == {Level.RAW, Level.HOURLY, Level.DAILY}
    assert all(count > QUESTIONS // 100 for count in kinds.values()), kinds


async def test_the_function_for_analysts_gives_the_same(asked: Asked, database: TestDatabase) -> None:
    """``metric_range`` reads real-time rollups, which know of what came late from their next refresh on."""
    filled = asked.filled
    start_ns = (filled.now_ns // DAY_NS - DAYS + DROPPED_DAYS + 2) * DAY_NS
    with psycopg.connect(database.owner_dsn, autocommit=True, prepare_threshold=None) as connection:
        points.refresh(connection, start_ns, filled.now_ns)
        for aggregation, step, zone in (
            (Aggregation.AVG, HOUR_NS, "UTC"),
            (Aggregation.MAX, DAY_NS, "UTC"),
            (Aggregation.LAST, DAY_NS, "Europe/Berlin"),
            (Aggregation.COUNT, DAY_NS, "Asia/Kolkata"),
            (Aggregation.SUM, 15 * MINUTE_NS, "UTC"),
            (Aggregation.FIRST, 2 * DAY_NS, "UTC"),
        ):
            for kind in KINDS[:6]:
                rows = connection.execute(
                    """
                    SELECT labels ->> 'n', (extract(epoch FROM bucket) * 1000000)::bigint * 1000, value
                    FROM analytics.metric_range(
                        %s, %s, to_timestamp(%s::double precision), to_timestamp(%s::double precision), %s, %s
                    )
                    """,
                    (
                        f"{filled.prefix}.{kind.name}",
                        timedelta(seconds=step / 1e9),
                        (start_ns + 2 * DAY_NS) / 1e9,
                        filled.now_ns / 1e9,
                        aggregation.value,
                        zone,
                    ),
                ).fetchall()
                edges = list(steps_of(TimeRange(start_ns + 2 * DAY_NS, filled.now_ns), step, ZoneInfo(zone)).edges)
                for one in await asked.series(kind, None):
                    number = dict(one.labels)["n"]
                    found = {time: value for label, time, value in rows if label == number}
                    expected = reference.answer([(one, filled.points[one.series_id])], edges, aggregation)
                    assert found == pytest.approx(expected, rel=1e-9), (kind.name, aggregation, zone)
