"""Writers and a collector of dictionary rows against each other, while what was written is deleted again and again.

By hand, for as long as wanted, on a database that is there for it::

    python -m tests.integration.maintenance.stress postgresql://… 600
"""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import psycopg
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tidegauge import config
from tidegauge.config import Settings
from tidegauge.errors import RetryableError
from tidegauge.ingest.ingestor import Ingestor, Received
from tidegauge.model.batch import Signal
from tidegauge.otlp.encoding import Encoding
from tidegauge.runtime import Location, assembled

BASE = 1_000_000_000_000
SERVICES = 60
# Rows come with a number of their own, by which it is known which were acknowledged.
_DELETED = {
    "metrics": """
        WITH gone AS (DELETE FROM tidegauge.metrics WHERE value >= %(base)s AND abs(hashint8(series_id)) %% 3 = %(share)s
            RETURNING value::bigint AS number, series_id)
        SELECT g.number, s.series_id IS NOT NULL AND r.resource_id IS NOT NULL AND c.scope_id IS NOT NULL AND a.application_id IS NOT NULL
        FROM gone g
        LEFT JOIN tidegauge.series s USING (series_id)
        LEFT JOIN tidegauge.resources r USING (resource_id)
        LEFT JOIN tidegauge.scopes c ON c.scope_id = s.scope_id
        LEFT JOIN tidegauge.applications a ON a.application_id = s.application_id
    """,
    "traces": """
        WITH gone AS (DELETE FROM tidegauge.traces WHERE duration_ns >= %(base)s AND resource_id %% 3 = %(share)s
            RETURNING duration_ns, resource_id, scope_id, application_id)
        SELECT g.duration_ns, r.resource_id IS NOT NULL AND c.scope_id IS NOT NULL AND a.application_id IS NOT NULL
        FROM gone g
        LEFT JOIN tidegauge.resources r USING (resource_id)
        LEFT JOIN tidegauge.scopes c USING (scope_id)
        LEFT JOIN tidegauge.applications a ON a.application_id = g.application_id
    """,
}


@dataclass
class Tally:
    """What happened: numbers acknowledged and found, rows whose ids led nowhere, and what the collector did."""

    acknowledged: set[int] = field(default_factory=set)
    found: list[int] = field(default_factory=list)
    dangling: int = 0
    unavailable: int = 0
    collected: int = 0
    rounds: int = 0


async def run(dsn: str, settings: Settings, seconds: float, seed: int, *, writers: int = 3) -> Tally:
    """Run for a while; what is left is found, and deleted, at the end."""
    tally, numbers, over = Tally(), itertools.count(BASE + seed * 10**9), asyncio.Event()
    async with AsyncExitStack() as stack:
        ingestors = [
            (await stack.enter_async_context(assembled(settings, Location(dsn, None, embedded=False)))).ingestor for _ in range(writers)
        ]
        admin = await stack.enter_async_context(await psycopg.AsyncConnection.connect(dsn, prepare_threshold=None, autocommit=True))
        collector = await stack.enter_async_context(await psycopg.AsyncConnection.connect(dsn, prepare_threshold=None, autocommit=True))
        before = await _collected(admin)
        async with asyncio.TaskGroup() as group:
            for number, ingestor in enumerate(ingestors):
                group.create_task(_write(ingestor, tally, numbers, over, random.Random(seed * 100 + number)))
            group.create_task(_collect(collector, tally, over))
            ends_at = time.monotonic() + seconds
            # At least two rounds, however busy the machine is.
            while time.monotonic() < ends_at or (tally.rounds < 2 and time.monotonic() < ends_at + 60):
                await _delete(admin, tally, random.Random(seed).randrange(3))
                seed += 1
                await asyncio.sleep(0.02)
            over.set()
        for share in range(3):
            await _delete(admin, tally, share)
        tally.collected = await _collected(admin) - before
    return tally


async def _write(ingestor: Ingestor, tally: Tally, numbers: Iterator[int], over: asyncio.Event, chance: random.Random) -> None:
    while not over.is_set():
        number = next(numbers)
        make, signal = chance.choice(((_points, Signal.METRICS), (_span, Signal.TRACES)))
        body = make(number, f"stress {chance.randrange(SERVICES)}", chance.randrange(3))
        for _ in range(100):
            try:
                await ingestor.ingest(Received(0, signal, f"/v1/{signal.name.lower()}", Encoding.PROTOBUF, body))
            except RetryableError:
                tally.unavailable += 1
                await asyncio.sleep(0.05)
            else:
                tally.acknowledged.add(number)
                break


def _points(number: int, service: str, label: int) -> bytes:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.add(key="service.name").value.string_value = service
    scope = resource.scope_metrics.add()
    scope.scope.name = f"scope {label % 2}"
    metric = scope.metrics.add(name=f"stress.{label}", description="stress", unit=f"{label}")
    metric.gauge.data_points.add(time_unix_nano=time.time_ns(), as_int=number).attributes.add(key="l").value.int_value = label
    return request.SerializeToString()


def _span(number: int, service: str, label: int) -> bytes:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = service
    scope = resource.scope_spans.add()
    scope.scope.name = f"scope {label}"
    start = time.time_ns() - 2 * BASE
    scope.spans.add(
        trace_id=number.to_bytes(16), span_id=number.to_bytes(8), name=f"op {label}", start_time_unix_nano=start,
        end_time_unix_nano=start + number,
    )  # fmt: skip
    return request.SerializeToString()


async def _collect(connection: psycopg.AsyncConnection, tally: Tally, over: asyncio.Event) -> None:
    """No grace: every row is looked at, and those that nothing refers to go at once; what was in use a moment ago is looked at again."""
    while not over.is_set():
        row = await (await connection.execute("SELECT tidegauge.collect_turn(now() + INTERVAL '1 day', 1000)")).fetchone()
        did: str | None = row[0] if row else None
        if did is None or did.startswith("collected"):
            tally.rounds += did is not None
            for table in ("series", "resources", "scopes", "applications"):
                await connection.execute(f"UPDATE tidegauge.{table} SET referenced_at = NULL WHERE referenced_at IS NOT NULL")
            await asyncio.sleep(0.05)


async def _delete(connection: psycopg.AsyncConnection, tally: Tally, share: int) -> None:
    for statement in _DELETED.values():
        for number, is_whole in await (await connection.execute(statement, {"base": BASE, "share": share})).fetchall():
            tally.found.append(number)
            tally.dangling += not is_whole
    await connection.execute("DELETE FROM tidegauge.trace_index WHERE root_duration_ns >= %s", [BASE])


async def _collected(connection: psycopg.AsyncConnection) -> int:
    row = await (await connection.execute("SELECT sum(collected)::bigint FROM tidegauge.collections")).fetchone()
    return int(row[0]) if row else 0


def main(dsn: str, seconds: str) -> None:
    """Print what came of it."""
    settings = config.load({}, env_file=None)
    tally = asyncio.run(run(dsn, settings, float(seconds), seed=time.time_ns() % 1000))
    lost = tally.acknowledged.difference(tally.found)
    print(
        f"{len(tally.acknowledged)} requests acknowledged, {tally.unavailable} told to come again; {tally.rounds} rounds collected "
        f"{tally.collected} rows; {tally.dangling} dangling, {len(lost)} lost, {len(tally.found) - len(set(tally.found))} twice"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
