"""Keeps rollups up to date, window by window."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby

from tidegauge.errors import RetryableError, TidegaugeError
from tidegauge.maintenance import windows
from tidegauge.maintenance.store import MaintenanceStore
from tidegauge.maintenance.turn import Clock, Turn, timed
from tidegauge.maintenance.windows import Budget, Load, Rollup, Span

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Step:
    """A window to refresh; ``waited`` is what a small query took just before: how long others kept the database busy."""

    rollup: Rollup
    window: Span
    bytes: int
    waited: float


@dataclass(frozen=True, slots=True)
class _Source:
    """What there is to read in ``span`` for rollups of ``level``."""

    level: int
    span: Span
    loads: Sequence[Load]


class RefreshJob:
    """Refreshes what is out of date: rollups of raw data first, then those made from rollups, each oldest window first.

    Which parts are out of date is TimescaleDB's to know: it logs every change below the moment a rollup was refreshed to, so that
    late data is found as well, as far back as raw data is whole (``tidegauge.repair_window``); refreshes of what had been materialised are
    counted as repairs. Refreshing a window that is up to date costs 2 ms.
    """

    name = "refresh"
    period = timedelta(seconds=30)

    def __init__(self, store: MaintenanceStore, turn_seconds: float, now: Clock) -> None:
        self._store = store
        self._turn_seconds = turn_seconds
        self._now = now
        self._budgets: dict[str, Budget] = {}
        # Of this pass: windows done, and rollups whose refresh failed. Neither is tried again before the next pass.
        self._done: set[tuple[str, Span]] = set()
        self._failed: dict[str, str] = {}
        # What there is to read, by source; a refresh changes what rollups of higher levels read.
        self._sources: dict[int, _Source] = {}

    async def turn(self) -> Turn | None:
        """Refresh the next window.

        Raises:
            TidegaugeError: refreshes of some rollups failed, after all others are up to date.

        """
        return await self.turn_within(None)

    async def turn_within(self, span: Span | None) -> Turn | None:
        """Refresh the next window that lies in the buckets touched by ``span`` (None: anywhere). Raises as ``turn``."""
        while (step := await self._next(span)) is not None:
            self._done.add((step.rollup.view, step.window))
            try:
                took = await timed(self._store.refresh(step.rollup.view, step.window))
                if step.rollup.is_repair(step.window):
                    await self._store.repaired(step.rollup.view, step.window)
            except RetryableError:
                raise
            except TidegaugeError as error:
                self._failed[step.rollup.view] = str(error)
            else:
                self._budget(step.rollup).observe(took, step.bytes, step.waited)
                self._sources = {key: source for key, source in self._sources.items() if source.level <= step.rollup.level}
                return Turn(took, f"{step.rollup.view} to {moment(step.window.end):%Y-%m-%d %H:%M}")
        failed, self._failed = self._failed, {}
        self._done = set()
        self._sources = {}
        if failed:
            raise TidegaugeError("; ".join(failed.values()))
        return None

    def _budget(self, rollup: Rollup) -> Budget:
        return self._budgets.setdefault(rollup.view, Budget(self._turn_seconds))

    async def _next(self, span: Span | None) -> _Step | None:
        began = time.perf_counter()
        rollups = [_confined(rollup, span) for rollup in await self._store.rollups(self._now())]
        waited = time.perf_counter() - began
        for _, level in groupby(rollups, lambda rollup: rollup.level):
            steps = [step for rollup in level if (step := await self._step(rollup, waited)) is not None]
            if steps:
                return min(steps, key=lambda step: step.window)
        return None

    async def _step(self, rollup: Rollup, waited: float) -> _Step | None:
        pending = windows.out_of_date(rollup)
        if not pending or rollup.view in self._failed:
            return None
        loads = await self._loads(rollup, Span(pending[0].start, pending[-1].end))
        found = windows.first_window(windows.due(rollup, loads), rollup.bucket, loads, self._budget(rollup).bytes)
        if found is None or (rollup.view, found[0]) in self._done:
            return None
        return _Step(rollup, *found, waited)

    async def _loads(self, rollup: Rollup, span: Span) -> Sequence[Load]:
        known = self._sources.get(rollup.source_id)
        if known is None or span.clipped(known.span) != span:
            known = _Source(rollup.level, span, await self._store.loads(rollup.source_id, span))
            self._sources[rollup.source_id] = known
        return known.loads


def _confined(rollup: Rollup, span: Span | None) -> Rollup:
    if span is None:
        return rollup
    return replace(rollup, bounds=rollup.bounds.clipped(windows.aligned(span, rollup.bucket)))


def microseconds(value: datetime) -> int:
    """Microseconds since 1970-01-01 UTC."""
    return (value - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    """The inverse of ``microseconds``."""
    return _EPOCH + value * _MICROSECOND


def span_of(start: datetime, end: datetime) -> Span:
    """A span between two aware datetimes."""
    return Span(microseconds(start), microseconds(end))


def longest(turns: Iterable[Turn]) -> float:
    """Seconds of the longest turn."""
    return max((turn.seconds for turn in turns), default=0.0)
