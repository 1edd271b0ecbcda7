"""The jobs beside refreshing: lengths of chunks, compression, retention, statistics, and jobs that a team has added."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import groupby

from tidegauge.errors import RetryableError, TidegaugeError
from tidegauge.maintenance import chunks, upkeep, userjobs
from tidegauge.maintenance.chunks import Chunk
from tidegauge.maintenance.store import MaintenanceStore, Run
from tidegauge.maintenance.turn import Clock, Turn, timed
from tidegauge.maintenance.userjobs import UserJob
from tidegauge.units import format_duration

_log = logging.getLogger(__name__)

# Rewriting a chunk cannot be cut into turns. An SDK's exporter gives up after 10 s; half of that, and only in a quiet moment.
_LONGEST_REWRITE_SECONDS = 5.0


def _by_table(found: list[Chunk]) -> dict[str, list[Chunk]]:
    return {table: list(group) for table, group in groupby(found, lambda chunk: chunk.table)}


class FitChunksJob:
    """Keeps chunks of raw data small enough to be compressed in one go: shortens the interval where many rows arrive, lengthens it
    again up to the setting, and cuts the chunk that is being filled where it would become too large before its end.
    """  # noqa: D205

    name = "fit chunks"
    period = timedelta(seconds=10)

    def __init__(
        self, store: MaintenanceStore, max_rows: int, turn_seconds: float, is_quiet: Callable[[], bool], now: Clock, *, may_cut: bool
    ) -> None:
        self._store = store
        self._max_rows = max_rows
        self._turn_seconds = turn_seconds
        self._is_quiet = is_quiet
        self._now = now
        self._may_cut = may_cut

    async def turn(self) -> Turn | None:
        """Change the first interval, or cut the first chunk, that does not fit."""
        by_table = _by_table(list(await self._store.chunks()))
        for lifecycle in await self._store.lifecycles():
            found = by_table.get(lifecycle.table)
            turn = await self._fit(found, lifecycle.chunk_interval) if found else None
            if turn is not None:
                return turn
        return None

    async def _fit(self, found: list[Chunk], ceiling: timedelta) -> Turn | None:
        table, current = found[0].table, found[0].interval
        now = self._now()
        interval = chunks.fitting_interval(chunks.rows_per_second(found, now), self._max_rows, current, ceiling)
        if interval != current:
            took = await timed(self._store.set_chunk_interval(table, interval))
            return Turn(took, f"{table}: chunks of {format_duration(interval)}")
        seconds = _LONGEST_REWRITE_SECONDS if self._is_quiet() else self._turn_seconds
        affordable = int(seconds / chunks.REWRITE_SECONDS_A_ROW)
        cut = chunks.cut(found, interval, self._max_rows, now, affordable) if self._may_cut else None
        if cut is None:
            return None
        return Turn(await timed(self._store.cut(cut)), f"{table}: cut {cut.chunk.relation} at {cut.at:%Y-%m-%d %H:%M}")


class CompressJob:
    """Moves old chunks to the columnstore, one a turn, while nobody is sending."""

    name = "compress"
    period = timedelta(seconds=60)

    def __init__(self, store: MaintenanceStore, is_quiet: Callable[[], bool], now: Clock) -> None:
        self._store = store
        self._is_quiet = is_quiet
        self._now = now

    async def turn(self) -> Turn | None:
        """Compress the oldest chunk that is due."""
        if not self._is_quiet():
            return None
        by_table = _by_table(list(await self._store.chunks()))
        affordable = int(_LONGEST_REWRITE_SECONDS / chunks.REWRITE_SECONDS_A_ROW)
        for lifecycle in await self._store.lifecycles():
            if lifecycle.compress_after is None:
                continue
            chunk = chunks.to_compress(by_table.get(lifecycle.table, []), lifecycle.compress_after, self._now(), affordable)
            if chunk is not None:
                return Turn(await timed(self._store.compress(chunk)), f"compressed {chunk.relation} of {chunk.table}")
        return None


class DropExpiredJob:
    """Drops chunks beyond their retention, one a turn; the database sees to it that rollups cover raw data before it goes."""

    name = "retention"
    period = timedelta(minutes=10)

    def __init__(self, store: MaintenanceStore) -> None:
        self._store = store
        self._failed: dict[str, str] = {}

    async def turn(self) -> Turn | None:
        """Drop a chunk.

        Raises:
            TidegaugeError: chunks of some tables could not be dropped, after all others are.

        """
        for relation in await self._store.expired():
            if relation in self._failed:
                continue
            try:
                return Turn(await timed(self._store.drop_expired(relation)), f"dropped a chunk of {relation}")
            except RetryableError:
                raise
            except TidegaugeError as error:
                self._failed[relation] = str(error)
        failed, self._failed = self._failed, {}
        if failed:
            raise TidegaugeError("; ".join(failed.values()))
        return None


class UpkeepJob:
    """ANALYZE and VACUUM, one table a turn."""

    name = "analyze and vacuum"
    period = timedelta(seconds=20)
    # A table that needs it again at once is one that it does not help, because of a long transaction for example.
    _not_again_within = timedelta(minutes=10)

    def __init__(self, store: MaintenanceStore, now: Clock) -> None:
        self._store = store
        self._now = now
        self._done: dict[tuple[str, bool], datetime] = {}

    async def turn(self) -> Turn | None:
        """Look after the table that needs it most."""
        now = self._now()
        self._done = {key: moment for key, moment in self._done.items() if now - moment < self._not_again_within}
        task = upkeep.next_task(await self._store.relations(), self._done)
        if task is None:
            return None
        self._done[task.relation, task.vacuum] = now
        took = await timed(self._store.look_after(task))
        return Turn(took, f"{'vacuumed' if task.vacuum else 'analyzed'} {task.relation}")


class UserJobsJob:
    """Runs due jobs that a team has added; each is recorded by itself, and its failure is its own."""

    name = "jobs"
    period = timedelta(seconds=10)

    def __init__(self, store: MaintenanceStore, now: Clock) -> None:
        self._store = store
        self._now = now

    async def turn(self) -> Turn | None:
        """Run the most overdue job."""
        jobs = await self._store.user_jobs()
        if not jobs:
            return None
        runs = await self._store.runs()
        due = userjobs.due(jobs, runs, self._now())
        return await self._run(due[0], runs.get(userjobs.name(due[0]))) if due else None

    async def _run(self, job: UserJob, last: Run | None) -> Turn:
        started_at, began, error = self._now(), time.perf_counter(), ""
        try:
            await self._store.run_user_job(job)
        except RetryableError:
            raise
        except TidegaugeError as failure:
            error = str(failure)
            _log.warning("maintenance: %s (%s) failed: %s", userjobs.name(job), job.title, error)
        took = time.perf_counter() - began
        failures = (last.consecutive_failures if last else 0) + 1 if error else 0
        await self._store.record(Run(userjobs.name(job), started_at, took, took, 1, job.title, error, failures))
        return Turn(took, f"ran {userjobs.name(job)} ({job.title})")
