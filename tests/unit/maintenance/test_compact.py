"""The attribute index' job does one thing a turn, what is asked for most first."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from tidegauge.config import LifecycleSettings
from tidegauge.maintenance import Maintenance
from tidegauge.maintenance.compact import CompactAttributesJob
from tidegauge.maintenance.store import MaintenanceStore, Run
from tidegauge.maintenance.watch import Unwatched


@dataclass
class Store:
    """Has so many turns' work of each kind."""

    pieces: list[int] = field(default_factory=list)
    hours: list[int] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    freed: list[int] = field(default_factory=list)

    async def compact(self) -> int:
        return self.pieces.pop() if self.pieces else 0

    async def backfill(self) -> int:
        return self.hours.pop() if self.hours else 0

    async def sample(self) -> int:
        return self.keys.pop() if self.keys else 0

    async def tidy(self) -> int:
        return self.freed.pop() if self.freed else 0


async def test_blocks_come_before_history_and_that_before_samples() -> None:
    job = CompactAttributesJob(Store([64], [7], [3], [5]))
    said = []
    while (turn := await job.turn()) is not None:
        said.append(turn.what)
    assert said == [
        "made blocks of 64 pieces",
        "indexed 7 spans",
        "counted the values of 3 attributes",
        "freed 5 bytes of the attribute index",
    ]


@dataclass(frozen=True)
class Abilities:
    has_background_workers: bool = True
    parallel_writers: bool = True


class Records:
    """Of a maintenance store, what a job of its own needs."""

    async def record(self, run: Run) -> None:
        """Nothing."""


async def test_it_runs_where_the_database_has_workers_of_its_own() -> None:
    """These cannot do it: what makes blocks is not SQL."""
    stop, store = asyncio.Event(), Store([64])
    compacting = CompactAttributesJob(store)

    class Watch(Unwatched):
        def ended(self, job: str, seconds: float, *, failed: bool) -> None:
            stop.set()

    records = cast("MaintenanceStore", Records())
    maintenance = Maintenance(records, LifecycleSettings(), cast("Any", Abilities()), lambda: True, watch=Watch(), everywhere=[compacting])
    await asyncio.wait_for(maintenance.run(stop), 10)
    assert store.pieces == []
