"""Metrics of background jobs, rollups and collected rows, by whichever process does maintenance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from tidegauge.errors import TidegaugeError
from tidegauge.maintenance.store import JobCounts, LagStore
from tidegauge.telemetry import catalogue
from tidegauge.telemetry.catalogue import Described
from tidegauge.telemetry.metrics import Metrics, Sample

STATES = ("active", "waiting", "delayed", "stalled", "scheduled")
LAG_SECONDS = 30.0
"""How often rollups and the database's jobs are looked at."""


class CountedJobs:
    """:class:`tidegauge.maintenance.watch.JobWatch`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def began(self, job: str, waited_seconds: float) -> None:
        """Count an attempt."""
        self._metrics.counter(catalogue.JOB_ATTEMPTS, job).inc()
        self._metrics.histogram(catalogue.JOB_WAIT_SECONDS, job).observe(waited_seconds)

    def ended(self, job: str, seconds: float, *, failed: bool) -> None:
        """Count a run; one that found nothing to do took no time."""
        self._metrics.counter(catalogue.JOB_RUNS, job, "failed" if failed else "completed").inc()
        if seconds:
            self._metrics.histogram(catalogue.JOB_SECONDS, job).observe(seconds)

    def queue_failed(self) -> None:
        """Count a failure."""
        self._metrics.counter(catalogue.JOB_QUEUE_ERRORS).inc()


def states_sample(metrics: Metrics, states: Callable[[], Counter[str]]) -> Sample:
    """What tells how many jobs are in which state."""
    gauges = {state: metrics.gauge(catalogue.JOBS, state) for state in STATES}

    def sample() -> None:
        found = states()
        for state, gauge in gauges.items():
            gauge.set(found[state])

    return sample


class Lag:
    """Reads how far rollups lag, what has been repaired and collected and, of a database that runs jobs itself, how these fare."""

    def __init__(self, metrics: Metrics, store: LagStore, *, reads_jobs: bool) -> None:
        self._metrics = metrics
        self._store = store
        self._reads_jobs = reads_jobs
        self._before: dict[str, JobCounts] = {}
        self._counted: dict[tuple[Described, str], float] = {}
        self.states: Counter[str] = Counter()

    async def read(self) -> None:
        """Read once; raises what the store raises."""
        try:
            rollups, jobs = await self._store.rollups(), await self._store.jobs() if self._reads_jobs else ()
            collected = await self._store.collected()
        except TidegaugeError:
            self._metrics.counter(catalogue.JOB_QUEUE_ERRORS).inc()
            raise
        for each in rollups:
            self._metrics.gauge(catalogue.ROLLUP_LAG, each.rollup).set(each.lag_seconds)
            self._metrics.gauge(catalogue.ROLLUP_PENDING, each.rollup).set(each.pending_seconds)
            self._count_to(catalogue.ROLLUP_REPAIRS, each.rollup, each.repairs)
            self._count_to(catalogue.ROLLUP_REPAIRED, each.rollup, each.repaired_seconds)
        for dictionary in collected:
            self._count_to(catalogue.COLLECTED_ROWS, dictionary.dictionary, dictionary.rows)
        self._count(jobs)

    def _count_to(self, counted: Described, label: str, total: float) -> None:
        """Count what has come to a total that the database keeps, since it was read first here."""
        before = self._counted.get((counted, label), total)
        self._counted[counted, label] = total
        counter = self._metrics.counter(counted, label)
        if total > before:
            counter.inc(total - before)

    def _count(self, jobs: Sequence[JobCounts]) -> None:
        self.states = Counter(each.state for each in jobs)
        for each in jobs:
            before = self._before.get(each.job)
            self._before[each.job] = each
            if before is None:
                continue
            for result, more in (("completed", each.completed - before.completed), ("failed", each.failed - before.failed)):
                if more > 0:
                    self._metrics.counter(catalogue.JOB_RUNS, each.job, result).inc(more)
                    self._metrics.counter(catalogue.JOB_ATTEMPTS, each.job).inc(more)
                    self._metrics.histogram(catalogue.JOB_SECONDS, each.job).observe(each.duration_seconds)
