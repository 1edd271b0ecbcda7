"""When users' jobs are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tidegauge.maintenance import userjobs
from tidegauge.maintenance.store import Run
from tidegauge.maintenance.userjobs import UserJob

NOW = datetime(2025, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def ran(job: UserJob, ago: timedelta) -> dict[str, Run]:
    return {userjobs.name(job): Run(userjobs.name(job), NOW - ago, 1, 1, 1)}


def test_a_job_runs_at_once_and_then_every_interval() -> None:
    job = UserJob(1000, "refresh", HOUR, None)
    assert userjobs.due([job], {}, NOW) == [job]
    assert userjobs.due([job], ran(job, HOUR / 2), NOW) == []
    assert userjobs.due([job], ran(job, HOUR), NOW) == [job]


def test_a_job_does_not_run_before_its_initial_start() -> None:
    job = UserJob(1000, "refresh", HOUR, NOW + HOUR)
    assert userjobs.due([job], {}, NOW) == []
    assert userjobs.due([job], {}, NOW + HOUR) == [job]


def test_the_most_overdue_job_comes_first() -> None:
    often, seldom = UserJob(1, "a", timedelta(minutes=1), None), UserJob(2, "b", HOUR, None)
    runs = {**ran(often, 2 * HOUR), **ran(seldom, 5 * HOUR)}
    assert userjobs.due([often, seldom], runs, NOW) == [seldom, often]
