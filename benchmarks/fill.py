"""Fill a database with weeks of telemetry, by the product's own write path, as if it had come day by day.

Requests are made in a process of their own, decoded and committed by the product's decoder and store; chunks are moved to the columnstore
at the age at which the lifecycle does it, as soon as the next day begins; rollups are refreshed by the product's own job.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import random
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from multiprocessing.queues import Queue
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

from benchmarks import databases, fill_points, fill_spans, space
from benchmarks.report import Report
from tidegauge import config
from tidegauge.cli.process import tune_process
from tidegauge.config import Settings
from tidegauge.maintenance.compact import CompactAttributesJob
from tidegauge.maintenance.edges import ServiceMapJob
from tidegauge.maintenance.refresh import RefreshJob
from tidegauge.maintenance.turn import Job
from tidegauge.maintenance.upkeep import next_task
from tidegauge.model.batch import Signal
from tidegauge.otlp.decode import Decoder
from tidegauge.otlp.encoding import Encoding
from tidegauge.runtime import Location, database_location, opened
from tidegauge.storage.interface import IngestRequest
from tidegauge.storage.postgres import migrate
from tidegauge.storage.postgres.attribute_index import PostgresAttributeIndex
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.ingest import PostgresIngestStore
from tidegauge.storage.postgres.maintenance import PostgresMaintenance

_SECOND_NS, _MINUTE_NS, _DAY_NS = 1_000_000_000, 60_000_000_000, 86_400_000_000_000
_SPANS_A_REQUEST, _GROUP = 512, 8
_QUEUE = 6
_PATIENCE = timedelta(hours=1)
_TURN_SECONDS = 30.0
_TELL_SECONDS = 5.0
_FRESH_SECONDS = 65.0
_Message: TypeAlias = "tuple[Signal, list[bytes]] | int | None"
"""Requests of a signal, the moment (ns) up to which all is there, or None: the end"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command line."""
    parser.add_argument("--url", help="the database to fill, which is there; without it the embedded one")
    parser.add_argument("--embedded-data", type=Path, metavar="DIR", help="folder of the embedded database")
    parser.add_argument("--shape", choices=list(fill_spans.SHAPES), default="tracegen", help="of spans (tracegen)")
    parser.add_argument("--spans", type=int, default=10_000_000, help="in all, ten a trace (10000000)")
    parser.add_argument("--services", type=int, help="that send spans (tracegen 10, shop 20)")
    parser.add_argument("--days", type=int, default=30, help="of spans and points, up to now; today is the last (30)")
    parser.add_argument("--series", type=int, default=500, help="of metrics (500)")
    parser.add_argument("--interval", type=int, default=60, help="seconds between the points of a series (60)")
    parser.add_argument("--year-interval", type=int, default=0, help="points of the year before, so many seconds apart (0: none)")
    parser.add_argument("--compress-after", type=int, default=7, help="days (7)")
    parser.add_argument("--compress-all", action="store_true", help="in the end all chunks but those of today")
    parser.add_argument("--seed", type=int, default=1)


def measure(options: argparse.Namespace) -> Report:
    """Fill, and say how large it is."""
    tune_process()
    report = Report("filled", "")
    asyncio.run(_fill(options, report))
    return report


def settings_of(url: str | None, data_dir: Path | None, days: int, compress_after: int = 7) -> Settings:
    """With a retention that what is filled lies well inside of."""
    lifecycle: dict[str, object] = {
        "traces_retention": timedelta(days=days + 30), "metrics_retention": timedelta(days=max(days, 365) + 60),
        "traces_compress_after": timedelta(days=compress_after), "metrics_compress_after": timedelta(days=compress_after),
        "minutely_retention": timedelta(days=max(days + 30, 90)),
    }  # fmt: skip
    overrides: dict[str, dict[str, object]] = {"lifecycle": lifecycle, "database": {"url": url}}
    if data_dir is not None:
        overrides["embedded"] = {"data_dir": data_dir}
    return config.load({}, env_file=None, overrides=overrides)


async def _fill(options: argparse.Namespace, report: Report) -> None:
    settings = settings_of(options.url, options.embedded_data, options.days, options.compress_after)
    async with _opened(settings) as (database, location):
        filling = _Filling(database, settings, parallel=1 if location.embedded else 2)
        begin = time.perf_counter()
        await filling.run(options)
        seconds = time.perf_counter() - begin
        report.add("spans, points", f"{filling.items[Signal.TRACES]:,}, {filling.items[Signal.METRICS]:,}")
        report.add("written with compression in", f"{seconds:,.0f} s, {sum(filling.items.values()) / seconds:,.0f} a second")
        begin = time.perf_counter()
        await filling.finish(compress_all=options.compress_all)
        report.add("rollups, the last chunks, ANALYZE in", f"{time.perf_counter() - begin:,.0f} s")
        report.machine = databases.machine(location.owner_dsn, embedded=location.embedded)
        with databases.connect(location.owner_dsn) as connection:
            space.tell(connection, report)


@contextlib.asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[Database, Location]]:
    async with database_location(settings, _say) as location:
        await asyncio.to_thread(migrate.upgrade, location.owner_dsn, settings, _say)
        with databases.connect(location.owner_dsn) as connection:
            # Jobs of the server's own would compress what is being written, and do the refreshes that are measured here.
            connection.execute("SELECT tidegauge.apply_lifecycle(false)")
        opening = opened(settings, location.owner_dsn, pool_size=4, statement_timeout=_PATIENCE, lock_timeout=_PATIENCE)
        async with opening as database:
            yield database, location


@dataclass
class _Filling:
    """Takes requests from their maker, and writes."""

    database: Database
    settings: Settings
    parallel: int
    items: dict[Signal, int] = field(default_factory=lambda: dict.fromkeys(Signal, 0))

    def __post_init__(self) -> None:
        self._decoder = Decoder()
        self._store = PostgresIngestStore(self.database, time.time_ns, self.settings.ingest.dedup_window, self.settings.cardinality)
        self._maintenance = PostgresMaintenance(self.database)
        self._began = self._told = self._written = time.perf_counter()

    async def run(self, options: argparse.Namespace) -> None:
        """All that is asked for."""
        context = multiprocessing.get_context("spawn")
        messages: Queue[_Message] = context.Queue(_QUEUE)
        maker = context.Process(target=_make, args=(messages, options), daemon=True)
        maker.start()
        compressing: set[asyncio.Task[None]] = set()
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._write(messages, tasks, compressing)
        finally:
            maker.terminate()

    async def _write(self, messages: Queue[_Message], tasks: asyncio.TaskGroup, compressing: set[asyncio.Task[None]]) -> None:
        writing: set[asyncio.Task[None]] = set()
        while (message := await asyncio.to_thread(messages.get)) is not None:
            if isinstance(message, tuple):
                if len(writing) >= self.parallel:
                    _, writing = await asyncio.wait(writing, return_when=asyncio.FIRST_COMPLETED)
                writing.add(tasks.create_task(self._commit(*message)))
                continue
            # A day is over: what is before it gets nothing any more.
            await asyncio.gather(*writing, *compressing)
            writing.clear()
            compressing.clear()
            compressing.add(tasks.create_task(self._compress(datetime.fromtimestamp(message / 1e9, UTC))))

    async def _commit(self, signal: Signal, bodies: list[bytes]) -> None:
        group = []
        for body in bodies:
            batch = self._decoder.decode(signal, body, Encoding.PROTOBUF)
            group.append(IngestRequest(0, signal, f"/v1/{signal.name.lower()}", uuid4(), batch, time.time_ns(), len(body)))
        await self._store.commit(group)
        self.items[signal] += sum(len(request.batch) for request in group)
        self._written = time.perf_counter()

    async def _compress(self, filled_to: datetime, *, everything: bool = False) -> None:
        ages = {lifecycle.table: lifecycle.compress_after for lifecycle in await self._maintenance.lifecycles()}
        now = datetime.now(UTC)
        for chunk in await self._maintenance.chunks():
            age = ages[chunk.table]
            if not chunk.is_compressed and chunk.end <= filled_to and age is not None and (everything or chunk.end <= now - age):
                await self._maintenance.compress(chunk)
        # Pieces of the attribute index are made blocks of as they come, or they would fill the disk.
        await self._finished(self._jobs()[0])
        if time.perf_counter() - self._told < _TELL_SECONDS:
            return
        self._told = time.perf_counter()
        done = ", ".join(f"{count:,} {signal.name.lower()}" for signal, count in self.items.items() if count)
        _say(f"{filled_to:%Y-%m-%d}: {done} after {time.perf_counter() - self._began:,.0f} s")

    async def finish(self, *, compress_all: bool) -> None:
        """What maintenance makes of it, the chunks left, statistics."""
        jobs: list[Job] = [RefreshJob(self._maintenance, _TURN_SECONDS, lambda: datetime.now(UTC)), *self._jobs()]
        for job in jobs:
            if isinstance(job, CompactAttributesJob):
                # It leaves to the writers what they have written just now.
                await asyncio.sleep(max(self._written + _FRESH_SECONDS - time.perf_counter(), 0))
            began = time.perf_counter()
            await self._finished(job)
            _say(f"{job.name}: {time.perf_counter() - began:,.0f} s")
        await self._compress(datetime.now(UTC), everything=compress_all)
        done: set[tuple[str, bool]] = set()
        while (task := next_task(await self._maintenance.relations(), done)) is not None:
            done.add((task.relation, task.vacuum))
            await self._maintenance.look_after(task)

    def _jobs(self) -> list[Job]:
        return [CompactAttributesJob(PostgresAttributeIndex(self.database)), ServiceMapJob(self._maintenance, _TURN_SECONDS)]

    async def _finished(self, job: Job) -> None:
        while (turn := await job.turn()) is not None:
            if turn.seconds >= _TELL_SECONDS:
                _say(f"{job.name}: {turn.what} in {turn.seconds:.1f} s")


def _make(messages: Queue[_Message], options: argparse.Namespace) -> None:
    """The maker's process: day by day, spans and points of each."""
    os.nice(1)
    now = time.time_ns() // _MINUTE_NS * _MINUTE_NS
    _Maker(messages, options, now).run()
    messages.put(None)


class _Maker:
    """Makes requests up to ``now``, in ns."""

    def __init__(self, messages: Queue[_Message], options: argparse.Namespace, now: int) -> None:
        chance = random.Random(options.seed)
        today = now // _DAY_NS * _DAY_NS
        self._messages = messages
        self._now = now
        self._start = today - (options.days - 1) * _DAY_NS
        self._first = min(self._start, today - 365 * _DAY_NS) if options.year_interval else self._start
        self._chance = chance
        self._shape = fill_spans.SHAPES[options.shape](options.services or fill_spans.SERVICES[options.shape], chance)
        self._traces, self._made = options.spans // fill_spans.SPANS_A_TRACE, 0
        self._fleet = fill_points.Fleet(options.series, chance, self._first) if options.series else None
        self._intervals = options.interval * _SECOND_NS, options.year_interval * _SECOND_NS

    def run(self) -> None:
        """All days."""
        for day in range(self._first, self._now, _DAY_NS):
            end = min(day + _DAY_NS, self._now)
            if day >= self._start:
                self._send(Signal.TRACES, _GROUP, self._spans(day, end))
            if self._fleet is not None:
                interval = self._intervals[0 if day >= self._start else 1]
                self._send(Signal.METRICS, 2 * _GROUP, fill_points.requests(self._fleet, day, end, interval))
            self._messages.put(end)

    def _spans(self, day: int, end: int) -> Iterator[bytes]:
        first, self._made = self._made, self._traces * (end - self._start) // (self._now - self._start)
        return fill_spans.requests(self._shape, first, self._made - first, day, end, _SPANS_A_REQUEST, self._chance)

    def _send(self, signal: Signal, group: int, bodies: Iterator[bytes]) -> None:
        while waiting := list(islice(bodies, group)):
            self._messages.put((signal, waiting))


def _say(text: str) -> None:
    print(text, flush=True)
