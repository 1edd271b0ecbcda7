"""The scheduler and its jobs, on a store that only remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from tidegauge.config import LifecycleSettings
from tidegauge.errors import TidegaugeError, Unavailable
from tidegauge.maintenance import Maintenance, windows
from tidegauge.maintenance.chunks import Chunk, Cut
from tidegauge.maintenance.refresh import microseconds, span_of
from tidegauge.maintenance.store import Lifecycle, Paired, Run
from tidegauge.maintenance.upkeep import Kind, Relation, Task
from tidegauge.maintenance.userjobs import UserJob
from tidegauge.maintenance.windows import Load, Rollup, Span

NOW = datetime(2025, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Abilities:
    has_background_workers: bool = False
    parallel_writers: bool = False


@dataclass
class Store:
    """A database in which refreshes clear what is pending. ``broken`` names what fails."""

    broken: dict[str, Exception] = field(default_factory=dict)
    pending: dict[str, list[Span]] = field(default_factory=dict)
    found_chunks: list[Chunk] = field(default_factory=list)
    expired_chunks: list[str] = field(default_factory=list)
    jobs: list[UserJob] = field(default_factory=list)
    unused: int = 0
    watermarks: dict[str, int] = field(default_factory=dict)
    recorded: dict[str, Run] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    refreshed: list[tuple[str, Span]] = field(default_factory=list)
    happened: asyncio.Event = field(default_factory=asyncio.Event)

    def _do(self, what: str, key: str) -> None:
        if key in self.broken:
            raise self.broken[key]
        self.done.append(what)
        self.happened.set()

    async def rollups(self, now: datetime) -> Sequence[Rollup]:
        bounds = span_of(now - 20 * DAY, now - HOUR)
        levels = {"metrics_hourly": 0, "traces_hourly": 0, "metrics_daily": 1}
        return [
            Rollup(
                name, level, "metrics", level, 3600 * windows.SECOND, bounds, tuple(self.pending.get(name, [])), self.watermarks.get(name)
            )
            for name, level in levels.items()
        ]

    async def loads(self, source_id: int, span: Span) -> Sequence[Load]:
        return [Load(span, 10)]

    async def refresh(self, view: str, window: Span) -> None:
        self._do(f"refresh {view}", view)
        self.refreshed.append((view, window))
        self.pending[view] = [
            rest
            for span in self.pending[view]
            for rest in (Span(span.start, min(span.end, window.start)), Span(max(span.start, window.end), span.end))
            if not rest.is_empty
        ]

    async def repaired(self, view: str, window: Span) -> None:
        self._do(f"repaired {view}", "repaired")

    async def collect(self, most: int) -> str | None:
        if not self.unused:
            return None
        self.unused -= min(most, self.unused)
        self._do("collect", "collect")
        return "collected some"

    async def chunks(self) -> Sequence[Chunk]:
        return self.found_chunks

    async def lifecycles(self) -> Sequence[Lifecycle]:
        return [Lifecycle("traces", DAY, 7 * DAY)]

    async def set_chunk_interval(self, table: str, interval: timedelta) -> None:
        self._do(f"interval {table} {interval}", table)
        self.found_chunks = [replace(chunk, interval=interval) for chunk in self.found_chunks]

    async def cut(self, cut: Cut) -> None:
        self._do(f"cut at {cut.at:%H:%M}", "cut")
        self.found_chunks = [replace(chunk, end=cut.at) if chunk == cut.chunk else chunk for chunk in self.found_chunks]

    async def compress(self, chunk: Chunk) -> None:
        self._do(f"compress {chunk.relation}", "compress")
        self.found_chunks = [replace(found, is_compressed=True) if found == chunk else found for found in self.found_chunks]

    async def expired(self) -> Sequence[str]:
        return list(self.expired_chunks)

    async def drop_expired(self, relation: str) -> None:
        self._do(f"drop {relation}", relation)
        self.expired_chunks.remove(relation)

    async def relations(self) -> Sequence[Relation]:
        return [Relation("tidegauge.series", Kind.TABLE, 10, 10, "analyze" in self.done, 0)]

    async def look_after(self, task: Task) -> None:
        self._do("vacuum" if task.vacuum else "analyze", "look after")

    async def user_jobs(self) -> Sequence[UserJob]:
        return self.jobs

    async def run_user_job(self, job: UserJob) -> None:
        self._do(f"job {job.job_id}", f"job {job.job_id}")

    async def refresh_service_map(self, most: int) -> Paired | None:
        return None

    async def runs(self) -> Mapping[str, Run]:
        return self.recorded

    async def record(self, run: Run) -> None:
        if "record" in self.broken:
            raise self.broken["record"]
        self.recorded[run.job] = run


def maintenance(store: Store, *, quiet: bool = True, abilities: Abilities = Abilities()) -> Maintenance:
    return Maintenance(store, LifecycleSettings(), abilities, lambda: quiet, lambda: NOW)


def pending(start: timedelta, end: timedelta) -> list[Span]:
    return [span_of(NOW - start, NOW - end)]


async def test_one_pass_does_all_that_is_due() -> None:
    store = Store(
        pending={"metrics_hourly": pending(5 * HOUR, 2 * HOUR), "metrics_daily": pending(5 * HOUR, 2 * HOUR)},
        found_chunks=[Chunk("traces", "old", NOW - 10 * DAY, NOW - 9 * DAY, None, 10, False, DAY)],
        expired_chunks=["logs"],
        jobs=[UserJob(1000, "theirs", HOUR, None)],
    )
    await maintenance(store).run_once()

    assert store.done == ["analyze", "refresh metrics_hourly", "refresh metrics_daily", "compress old", "drop logs", "job 1000"]
    assert {run.error for run in store.recorded.values()} == {""}


async def test_raw_rollups_come_before_those_made_from_them_and_old_windows_first() -> None:
    store = Store(
        pending={
            "metrics_hourly": pending(3 * HOUR, 2 * HOUR),
            "traces_hourly": pending(9 * HOUR, 8 * HOUR),
            "metrics_daily": pending(19 * HOUR, 2 * HOUR),
        }
    )
    await maintenance(store).run_once()
    assert [view for view, _ in store.refreshed] == ["traces_hourly", "metrics_hourly", "metrics_daily"]


async def test_refreshes_stay_inside_the_refresh_window() -> None:
    store = Store(pending={"metrics_hourly": [Span(-(2**63), 2**63 - 1)]})
    await maintenance(store).run_once()
    assert store.refreshed[0][1].start == microseconds(NOW - 20 * DAY)
    assert store.refreshed[-1][1].end == microseconds(NOW - HOUR)


async def test_a_closed_range_is_refreshed_and_nothing_else() -> None:
    store = Store(pending={"metrics_hourly": [Span(0, 2**62)], "metrics_daily": [Span(0, 2**62)]})
    await maintenance(store).refresh_range(NOW - 5 * HOUR, NOW - 3 * HOUR - timedelta(minutes=1))
    window = span_of(NOW - 5 * HOUR, NOW - 3 * HOUR)
    assert store.refreshed == [("metrics_hourly", window), ("metrics_daily", window)]
    assert set(store.done) == {"refresh metrics_hourly", "refresh metrics_daily"}


async def test_a_rollup_that_fails_holds_up_no_other() -> None:
    store = Store(
        pending={"metrics_hourly": pending(5 * HOUR, 2 * HOUR), "traces_hourly": pending(3 * HOUR, 2 * HOUR)},
        broken={"metrics_hourly": TidegaugeError("refresh of metrics_hourly: overflow")},
        expired_chunks=["logs"],
    )
    with pytest.raises(TidegaugeError, match="metrics_hourly: overflow"):
        await maintenance(store).run_once()

    assert [view for view, _ in store.refreshed] == ["traces_hourly"]
    assert "drop logs" in store.done
    assert "overflow" in store.recorded["refresh"].error
    assert store.recorded["refresh"].consecutive_failures > 0


async def test_a_table_that_cannot_be_dropped_holds_up_no_other() -> None:
    store = Store(expired_chunks=["logs", "traces"], broken={"logs": TidegaugeError("kept")})
    with pytest.raises(TidegaugeError, match="kept"):
        await maintenance(store).run_once()
    assert store.expired_chunks == ["logs"]


async def test_a_refresh_that_clears_nothing_ends() -> None:
    class Stubborn(Store):
        async def refresh(self, view: str, window: Span) -> None:
            self._do(f"refresh {view}", view)

    store = Stubborn(pending={"metrics_hourly": pending(5 * HOUR, 2 * HOUR)})
    await asyncio.wait_for(maintenance(store).run_once(), 10)
    assert "refresh metrics_hourly" in store.done


async def test_compression_waits_for_a_quiet_moment() -> None:
    store = Store(found_chunks=[Chunk("traces", "old", NOW - 10 * DAY, NOW - 9 * DAY, None, 10, False, DAY)])
    await maintenance(store, quiet=False).run_once()
    assert "compress old" not in store.done


@pytest.mark.parametrize(
    ("parallel", "expected"), [(False, ["interval traces 1:00:00", "cut at 13:00"]), (True, ["interval traces 1:00:00"])]
)
async def test_a_burst_shortens_chunks_and_cuts_the_one_being_filled(parallel: bool, expected: list[str]) -> None:
    filling = Chunk("traces", "today", NOW.replace(hour=0), NOW.replace(hour=0) + DAY, NOW - timedelta(minutes=5), 100_000, False, DAY)
    store = Store(found_chunks=[filling])
    await maintenance(store, abilities=Abilities(parallel_writers=parallel)).run_once()
    assert [what for what in store.done if what != "analyze"] == expected


async def test_a_users_job_that_fails_is_recorded_with_its_error() -> None:
    store = Store(jobs=[UserJob(1000, "theirs", HOUR, None)], broken={"job 1000": TidegaugeError("no")})
    await maintenance(store).run_once()
    assert store.recorded["job 1000"].error == "no"
    assert store.recorded["job 1000"].consecutive_failures == 1


async def test_it_leaves_the_work_to_workers_where_there_are_some() -> None:
    store = Store(expired_chunks=["logs"])
    await maintenance(store, abilities=Abilities(has_background_workers=True)).run(asyncio.Event())
    assert store.done == []


async def test_it_runs_until_it_is_stopped_and_survives_failures() -> None:
    """The database is away for the refresh, and even for the record: the other jobs go on, and the end is orderly."""
    store = Store(
        pending={"metrics_hourly": pending(5 * HOUR, 2 * HOUR)},
        broken={"metrics_hourly": Unavailable("away"), "record": Unavailable("away"), "look after": ValueError("a defect")},
        expired_chunks=["logs"],
    )
    stop = asyncio.Event()
    running = asyncio.create_task(maintenance(store).run(stop))
    await asyncio.wait_for(store.happened.wait(), 10)
    stop.set()
    await asyncio.wait_for(running, 10)
    assert store.done == ["drop logs"]


async def test_an_absent_database_ends_a_pass() -> None:
    store = Store(pending={"metrics_hourly": pending(5 * HOUR, 2 * HOUR)}, broken={"metrics_hourly": Unavailable("away")})
    with pytest.raises(Unavailable):
        await maintenance(store).run_once()


async def test_late_data_below_the_watermark_is_a_repair_and_what_is_new_is_none() -> None:
    store = Store(
        pending={"metrics_hourly": pending(20 * HOUR, 10 * HOUR), "traces_hourly": pending(20 * HOUR, 10 * HOUR)},
        watermarks={"metrics_hourly": microseconds(NOW - 5 * HOUR), "traces_hourly": microseconds(NOW - 15 * HOUR)},
    )
    await maintenance(store).run_once()
    assert [did for did in store.done if did.startswith("repaired")] == ["repaired metrics_hourly"]


async def test_unused_rows_are_collected_a_step_at_a_time() -> None:
    store = Store(unused=5000)
    await maintenance(store).run_once()
    assert store.done.count("collect") == 3
    assert store.recorded["collect unused dictionary rows"].turns == 3
