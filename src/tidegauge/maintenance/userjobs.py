"""When a job that a team has added by add_job() or a policy is due. No I/O.

``CALL run_job()`` runs a job but leaves no trace in TimescaleDB's own statistics: our record of runs tells when it ran last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tidegauge.maintenance.store import Run


@dataclass(frozen=True, slots=True)
class UserJob:
    """A scheduled job of TimescaleDB that is not one of ours.

    Attributes:
        job_id: its id in timescaledb_information.jobs.
        title: its application_name or procedure, for people.
        schedule_interval: time from one start to the next.
        initial_start: not before this moment; None: at once.

    """

    job_id: int
    title: str
    schedule_interval: timedelta
    initial_start: datetime | None


def name(job: UserJob) -> str:
    """The name that its runs are recorded under."""
    return f"job {job.job_id}"


def due(jobs: Sequence[UserJob], runs: Mapping[str, Run], now: datetime) -> list[UserJob]:
    """Jobs to run now, the most overdue first."""
    moments = [(_next_start(job, runs.get(name(job))), job) for job in jobs]
    return [job for moment, job in sorted(moments, key=lambda pair: (pair[0], pair[1].job_id)) if moment <= now]


def _next_start(job: UserJob, last: Run | None) -> datetime:
    earliest = job.initial_start or datetime.min.replace(tzinfo=UTC)
    if last is None:
        return earliest
    return max(earliest, last.started_at + job.schedule_interval)
