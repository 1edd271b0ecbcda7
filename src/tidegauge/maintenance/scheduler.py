"""Gives maintenance jobs their turns."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from tidegauge.config import LifecycleSettings
from tidegauge.errors import RetryableError
from tidegauge.maintenance.collect import CollectJob
from tidegauge.maintenance.edges import ServiceMapJob
from tidegauge.maintenance.jobs import CompressJob, DropExpiredJob, FitChunksJob, UpkeepJob, UserJobsJob
from tidegauge.maintenance.refresh import RefreshJob, longest, span_of
from tidegauge.maintenance.store import Abilities, MaintenanceStore, Run
from tidegauge.maintenance.turn import Clock, Job, Turn
from tidegauge.maintenance.watch import JobWatch, Unwatched

_log = logging.getLogger(__name__)

_LONGEST_BACKOFF = timedelta(minutes=5)
_SHORTEST_PAUSE_SECONDS = 0.02
# So that `db status` sees that maintenance is alive though nothing was due.
_SIGN_OF_LIFE = timedelta(minutes=5)
# Work makes work (a refreshed rollup wants ANALYZE); it does not do so for ever.
_MOST_ROUNDS = 10
# A job that is due, or at work, for so long is stuck.
_STALLED_SECONDS = 300.0
JOB_STATES = ("active", "waiting", "delayed", "stalled", "scheduled")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class _Passing:
    """A job, and the pass that it is in: its turns until nothing is due."""

    def __init__(self, job: Job, store: MaintenanceStore, now: Clock, watch: JobWatch) -> None:
        self.job = job
        self.due_at = 0.0
        self._watch = watch
        self._began_at = 0.0
        self._store = store
        self._now = now
        self._turns: list[Turn] = []
        self._started_at: datetime | None = None
        self._recorded_at: datetime | None = None
        self._failures = 0

    def state(self, loop_time: float) -> str:
        """One of ``JOB_STATES``."""
        at_work = self._started_at is not None
        # What has never been due is due from now on.
        since = self._began_at if at_work else self.due_at or loop_time
        if (at_work or since <= loop_time) and loop_time - since > _STALLED_SECONDS:
            return "stalled"
        if at_work:
            return "active"
        if self.due_at <= loop_time:
            return "waiting"
        return "delayed" if self._failures else "scheduled"

    async def turn(self) -> Turn | None:
        """One turn; the pass ends, and is recorded, where nothing was due. What the job raises ends the pass, too, and is raised."""
        if self._started_at is None:
            self._started_at = self._now()
            self._began_at = asyncio.get_running_loop().time()
            # The first pass was not due before there was anybody to do it.
            self._watch.began(self.job.name, max(self._began_at - self.due_at, 0.0) if self.due_at else 0.0)
        try:
            turn = await self.job.turn()
        except Exception as error:
            self._failures += 1
            await self._end(str(error) or type(error).__name__)
            raise
        if turn is None:
            self._failures = 0
            await self._end("")
        else:
            self._turns.append(turn)
        return turn

    def next_start(self, loop_time: float) -> float:
        """When to look again after a pass has ended: after the period, later and later while it fails."""
        backoff: int = 2 ** min(self._failures, 10)
        pause = min(self.job.period * backoff, max(_LONGEST_BACKOFF, self.job.period))
        return loop_time + pause.total_seconds()

    async def _end(self, error: str) -> None:
        turns, started_at = self._turns, self._started_at or self._now()
        self._turns, self._started_at = [], None
        self._watch.ended(self.job.name, sum(turn.seconds for turn in turns), failed=bool(error))
        if not turns and not error and self._recorded_at is not None and started_at - self._recorded_at < _SIGN_OF_LIFE:
            return
        self._recorded_at = started_at
        run = Run(
            job=self.job.name,
            started_at=started_at,
            duration_seconds=sum(turn.seconds for turn in turns),
            longest_turn_seconds=longest(turns),
            turns=len(turns),
            result=_summary(turns),
            error=error,
            consecutive_failures=self._failures,
        )
        try:
            await self._store.record(run)
        except Exception as failure:  # noqa: BLE001 - the record must not hide the work's own error, nor stop the work
            self._watch.queue_failed()
            _log.warning("maintenance: the run of %s was not recorded: %s", self.job.name, failure)


def _summary(turns: Sequence[Turn]) -> str:
    if not turns:
        return "nothing was due"
    others = f" and {len(turns) - 1} more" if len(turns) > 1 else ""
    return turns[-1].what + others


class Maintenance:
    """Everything that TimescaleDB's background workers, autovacuum and policies do on a server, in short turns.

    One per database. Between two turns the database is left to others at least as long as the turn took.
    """

    def __init__(
        self,
        store: MaintenanceStore,
        settings: LifecycleSettings,
        abilities: Abilities,
        is_quiet: Callable[[], bool],
        now: Clock = _utc_now,
        watch: JobWatch | None = None,
        everywhere: Sequence[Job] = (),
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            store: the database.
            settings: the length of a turn and the size of a chunk; all else stands in the database since policies were applied.
            abilities: capabilities of the database.
            is_quiet: whether nothing has been ingested for some seconds; what takes long waits for that.
            now: the time, aware.
            watch: is told of every run.
            everywhere: further jobs, which TimescaleDB's workers could not do.

        """
        self._new_refresh: Callable[[], RefreshJob] = partial(RefreshJob, store, settings.job_turn_seconds, now)
        fit = FitChunksJob(store, settings.chunk_max_rows, settings.job_turn_seconds, is_quiet, now, may_cut=not abilities.parallel_writers)
        # Statistics first: the others plan by them.
        jobs: Sequence[Job] = (
            UpkeepJob(store, now),
            fit,
            self._new_refresh(),
            ServiceMapJob(store, settings.job_turn_seconds),
            CompressJob(store, is_quiet, now),
            DropExpiredJob(store),
            CollectJob(store),
            UserJobsJob(store, now),
            *everywhere,
        )
        self._passing = [_Passing(job, store, now, watch or Unwatched()) for job in jobs]
        # What this process does by itself, beside run_once().
        own = everywhere if abilities.has_background_workers else jobs
        self._own = [passing for passing in self._passing if passing.job in own]

    def states(self) -> Counter[str]:
        """How many jobs are in each of ``JOB_STATES``; where the database has workers of its own, those that these cannot do."""
        if not self._own:
            return Counter()
        loop_time = asyncio.get_running_loop().time()
        return Counter(passing.state(loop_time) for passing in self._own)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; returns at once where TimescaleDB's workers do all of it. A failure is logged and tried again."""
        if not self._own:
            return
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            passing = min(self._own, key=lambda passing: passing.due_at)
            rest = _SHORTEST_PAUSE_SECONDS
            if passing.due_at <= loop.time():
                rest = await self._attempt(passing, loop)
            pause = min(passing.due_at for passing in self._own) - loop.time()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), max(pause, rest))

    async def run_once(self) -> None:
        """Do all that is due now, whoever has workers; returns when nothing is.

        Raises:
            Unavailable: the database is away.
            TidegaugeError: a job failed, after all others have done their work.

        """
        failures: list[Exception] = []
        for _ in range(_MOST_ROUNDS):
            worked = False
            failures = []
            for passing in self._passing:
                try:
                    while await passing.turn() is not None:
                        worked = True
                except RetryableError:
                    raise
                except Exception as error:  # noqa: BLE001 - raised below, after the others have had their turn
                    failures.append(error)
            if not worked:
                break
        if failures:
            raise failures[0]

    async def refresh_range(self, start: datetime, end: datetime) -> None:
        """Refresh all rollups over [start, end), in whole buckets, as far as their refresh windows allow; works beside a server's workers.

        Raises:
            Unavailable: the database is away.
            TidegaugeError: a refresh failed, after all others are done.

        """
        span = span_of(start, end)
        refresh = self._new_refresh()
        while await refresh.turn_within(span) is not None:
            pass

    async def _attempt(self, passing: _Passing, loop: asyncio.AbstractEventLoop) -> float:
        """One turn; says when the job is due again, and returns for how many seconds the database is then left to others."""
        turn: Turn | None = None
        try:
            turn = await passing.turn()
        except Exception as error:  # noqa: BLE001 - whatever it is, the process goes on and the job is tried again
            _log.warning("maintenance: %s failed, to be tried again: %s", passing.job.name, error)
        if turn is None:
            passing.due_at = passing.next_start(loop.time())
            return _SHORTEST_PAUSE_SECONDS
        _log.debug("maintenance: %s: %s in %.3f s", passing.job.name, turn.what, turn.seconds)
        passing.due_at = loop.time()
        return max(turn.seconds, _SHORTEST_PAUSE_SECONDS)
