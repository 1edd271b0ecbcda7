"""The write path alone: groups of decoded requests through the product's store, beside ready-made COPY of the same rows, in turns.

The store's part is all of it: ids from caches, ledger, encoding, COPY into every table, trace index, commit. COPY writes the rows alone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from benchmarks import databases, fleet, usage
from benchmarks.bare import BareCopy, Written
from benchmarks.report import Report, arguments, signal_of
from benchmarks.turns import DATABASE, Turns
from tidegauge import config
from tidegauge.config import Settings
from tidegauge.otlp.decode import Decoder
from tidegauge.otlp.encoding import Encoding
from tidegauge.runtime import Location, database_location, opened
from tidegauge.storage.interface import IngestRequest
from tidegauge.storage.postgres import migrate
from tidegauge.storage.postgres.ingest import PostgresIngestStore


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command line."""
    arguments(parser, "signal", "items", "url", "rounds", "group", "rows")
    parser.add_argument("--parallel", type=int, default=1, help="groups at a time through the store (1)")


def measure(options: argparse.Namespace) -> Report:
    """Alternate COPY and store for some rounds."""
    with asyncio.Runner() as runner, contextlib.ExitStack() as stack:
        contexts = contextlib.AsyncExitStack()
        stack.callback(lambda: runner.run(contexts.aclose()))
        settings, location = runner.run(contexts.enter_async_context(_database(options.url)))
        opening = opened(settings, location.owner_dsn, pool_size=options.parallel + 1)
        database = runner.run(contexts.enter_async_context(opening))
        store = PostgresIngestStore(database, time.time_ns, settings.ingest.dedup_window, settings.cardinality)
        return _measured(options, runner, store, location)


@contextlib.asynccontextmanager
async def _database(url: str | None) -> AsyncIterator[tuple[Settings, Location]]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidegauge-bench-")), "data")
        dsn = stack.enter_context(databases.scratch(url)) if url else None
        overrides: dict[str, dict[str, object]] = {"embedded": {"data_dir": folder}, "database": {"url": dsn}}
        settings = config.load({}, env_file=None, overrides=overrides)
        async with database_location(settings, _quiet) as location:
            await asyncio.to_thread(migrate.upgrade, location.owner_dsn, settings, _quiet)
            yield settings, location


@dataclass
class _Requests:
    """Makes decoded requests, as many as a round writes."""

    options: argparse.Namespace

    def __post_init__(self) -> None:
        self._signal = signal_of(self.options.signal)
        self._templates = itertools.cycle(fleet.templates(self._signal, self.options.items))
        self._decoder = Decoder()

    def groups(self, rows: int) -> list[list[IngestRequest]]:
        """Enough for so many rows."""
        group = self.options.group
        return [[self._request() for _ in range(group)] for _ in range(rows // (group * self.options.items))]

    def _request(self) -> IngestRequest:
        body = next(self._templates).stamped()
        batch = self._decoder.decode(self._signal, body, Encoding.PROTOBUF)
        return IngestRequest(0, self._signal, f"/v1/{self.options.signal}", uuid4(), batch, time.time_ns(), len(body))


def _measured(options: argparse.Namespace, runner: asyncio.Runner, store: PostgresIngestStore, location: Location) -> Report:
    requests = _Requests(options)

    def prepare(rows: int, parallel: int) -> Callable[[], Written]:
        groups = requests.groups(rows)
        return lambda: runner.run(_stored(store, groups, parallel))

    # Twice: the first makes the dictionaries' entries.
    for parallel in (1, options.parallel):
        prepare(options.rows, parallel)()
    with databases.connect(location.owner_dsn) as connection:
        bare = BareCopy(connection, signal_of(options.signal), options.rows, options.group * options.items)
        turns = Turns(bare, lambda: {"product": [os.getpid()], DATABASE: usage.node(os.getpid()) or usage.database(connection)})
        turns.run(options.rounds, lambda: prepare(bare.rows, options.parallel))
    report = Report(
        f"writing of decoded {options.signal}",
        f"{databases.machine(location.owner_dsn, embedded=location.embedded)}\n"
        f"{options.rounds} rounds of {bare.rows:,} rows, {options.group} requests of {options.items} items a transaction",
    )
    turns.tell(report, f"store, {options.parallel} group(s) at a time")
    return report


async def _stored(store: PostgresIngestStore, groups: list[list[IngestRequest]], parallel: int) -> Written:
    waiting = iter(groups)

    async def run() -> None:
        for group in waiting:
            await store.commit(group)

    rows = sum(len(request.batch) for group in groups for request in group)
    begin = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(parallel):
            tasks.create_task(run())
    return Written(rows, time.perf_counter() - begin)


def _quiet(_: str) -> None:
    pass
