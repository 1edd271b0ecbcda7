"""What is told about jobs, and which state they are in."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.unit.maintenance.test_scheduler import Abilities, Store
from tests.unit.telemetry.test_metrics import value
from tidegauge.config import LifecycleSettings
from tidegauge.errors import TidegaugeError, Unavailable
from tidegauge.maintenance import Maintenance
from tidegauge.maintenance.scheduler import JOB_STATES
from tidegauge.maintenance.store import Collected, JobCounts, RollupLag
from tidegauge.telemetry.jobs import STATES, CountedJobs, Lag, states_sample
from tidegauge.telemetry.metrics import Metrics


def of(store: Store, metrics: Metrics, abilities: Abilities | None = None) -> Maintenance:
    return Maintenance(store, LifecycleSettings(), abilities or Abilities(), lambda: True, watch=CountedJobs(metrics))


async def told(metrics: Metrics) -> str:
    return (await metrics.exposition()).decode()


async def test_runs_are_counted_by_their_result() -> None:
    metrics, store = Metrics(), Store(expired_chunks=["traces"], broken={"traces": TidegaugeError("cannot be dropped")})
    maintenance = of(store, metrics)
    for _ in range(2):
        with pytest.raises(TidegaugeError, match="cannot be dropped"):
            await maintenance.run_once()
    text = await told(metrics)
    failed = value(text, "job_runs_total", job="retention", result="failed")
    assert failed >= 2
    assert value(text, "job_attempts_total", job="retention") == failed
    assert value(text, "job_runs_total", job="refresh", result="completed") >= 1
    assert value(text, "job_wait_seconds_count", job="retention") == failed


async def test_jobs_are_in_one_state_each() -> None:
    metrics, store = Metrics(), Store(broken={"traces": TidegaugeError("…")}, expired_chunks=["traces"])
    maintenance = of(store, metrics)
    jobs = maintenance.states()["waiting"]
    assert maintenance.states() == Counter({"waiting": jobs})
    stop = asyncio.Event()
    running = asyncio.create_task(maintenance.run(stop))
    async with asyncio.timeout(20):
        while maintenance.states()["delayed"] != 1 or maintenance.states()["scheduled"] < jobs - 1:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    states_sample(metrics, maintenance.states)()
    text = await told(metrics)
    assert [value(text, "jobs", state=state) for state in STATES] == [0, 0, 1, 0, jobs - 1]
    stop.set()
    await running


def test_states_have_the_same_names_everywhere() -> None:
    assert STATES == JOB_STATES


async def test_a_database_with_workers_of_its_own_has_its_own_jobs() -> None:
    assert of(Store(), Metrics(), Abilities(has_background_workers=True)).states() == Counter()


class Lagging:
    """A database whose jobs run by themselves."""

    def __init__(self) -> None:
        self.completed = 40
        self.repairs = 5
        self.collected_rows = 100
        self.failure: Exception | None = None

    async def rollups(self) -> list[RollupLag]:
        if self.failure is not None:
            raise self.failure
        return [RollupLag("metrics_hourly", 3600.0, 7200.0, self.repairs, 3600.0 * self.repairs)]

    async def collected(self) -> list[Collected]:
        return [Collected("series", self.collected_rows)]

    async def jobs(self) -> list[JobCounts]:
        return [JobCounts("metrics: compress", self.completed, 2, 1.5, "scheduled"), JobCounts("traces: compress", 0, 0, 0.0, "active")]


async def test_runs_of_the_databases_own_jobs_are_counted_from_now_on() -> None:
    metrics, database = Metrics(), Lagging()
    lag = Lag(metrics, database, reads_jobs=True)
    await lag.read()
    database.completed += 3
    await lag.read()
    text = await told(metrics)
    assert value(text, "job_runs_total", job="metrics: compress", result="completed") == 3
    assert 'result="failed"' not in text
    assert value(text, "job_duration_seconds_sum", job="metrics: compress") == 1.5
    assert lag.states == Counter({"scheduled": 1, "active": 1})
    assert value(text, "rollup_lag_seconds", rollup="metrics_hourly") == 3600
    assert value(text, "rollup_pending_seconds", rollup="metrics_hourly") == 7200


async def test_what_was_repaired_and_collected_is_counted_from_now_on() -> None:
    metrics, database = Metrics(), Lagging()
    lag = Lag(metrics, database, reads_jobs=False)
    await lag.read()
    assert value(await told(metrics), "rollup_repairs_total", rollup="metrics_hourly") == 0
    database.repairs += 2
    database.collected_rows += 30
    await lag.read()
    text = await told(metrics)
    assert value(text, "rollup_repairs_total", rollup="metrics_hourly") == 2
    assert value(text, "rollup_repaired_seconds_total", rollup="metrics_hourly") == 7200
    assert value(text, "dictionary_rows_collected_total", dictionary="series") == 30


async def test_a_database_that_is_away_is_counted() -> None:
    metrics, database = Metrics(), Lagging()
    database.failure = Unavailable("away")
    lag = Lag(metrics, database, reads_jobs=True)
    with pytest.raises(Unavailable):
        await lag.read()
    assert value(await told(metrics), "job_queue_errors_total") == 1
