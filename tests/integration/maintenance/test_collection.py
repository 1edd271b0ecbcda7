"""Unused dictionary rows go, rows in use stay, and no writer is left with an id that leads nowhere."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import psycopg
import pytest
import pytest_asyncio
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.integration.maintenance import stress
from tests.servers.timescaledb import TestDatabase
from tidegauge.config import LifecycleSettings, Settings
from tidegauge.ingest.ingestor import Ingestor, Received
from tidegauge.maintenance import Maintenance
from tidegauge.model.batch import Signal
from tidegauge.otlp.encoding import Encoding
from tidegauge.runtime import Location, assembled
from tidegauge.storage.postgres import integrity
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.maintenance import PostgresMaintenance

RAISED = "raised the epoch of dictionaries"
YEAR = timedelta(days=365)


class WithoutWorkers:
    has_background_workers = False
    parallel_writers = False


@pytest_asyncio.fixture
async def ingestor(own: TestDatabase, settings: Settings) -> AsyncIterator[Ingestor]:
    async with assembled(settings, Location(own.owner_dsn, None, embedded=False)) as parts:
        yield parts.ingestor


async def ask(database: Database, statement: LiteralString, **parameters: object) -> list[tuple[Any, ...]]:
    async with database.writing() as connection:
        cursor = await connection.execute(statement, parameters)
        return await cursor.fetchall() if cursor.description else []


async def turn(database: Database) -> str | None:
    ((did,),) = await ask(database, "SELECT tidegauge.collect_turn(now() + INTERVAL '1 day', 10000)")
    return did  # type: ignore[no-any-return]


async def collect(database: Database, until: str | None = None) -> list[str]:
    done: list[str] = []
    while (did := await turn(database)) is not None:
        done.append(did)
        if did == until:
            break
    return done


def points(service: str, metric: str = "m", age: timedelta = timedelta(0)) -> Received:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.add(key="service.name").value.string_value = service
    scope = resource.scope_metrics.add()
    scope.scope.name = f"scope of {service}"
    point = scope.metrics.add(name=metric, description=f"{metric} of {service}").gauge.data_points.add(as_double=1)
    point.time_unix_nano = int((datetime.now(UTC) - age).timestamp() * 1e9)
    point.attributes.add(key="id").value.string_value = str(uuid.uuid4())
    return Received(0, Signal.METRICS, "/v1/metrics", Encoding.PROTOBUF, request.SerializeToString())


async def delete_points(database: Database, service: str) -> None:
    await ask(
        database,
        "DELETE FROM tidegauge.metrics WHERE series_id IN (SELECT series_id FROM tidegauge.series s "
        "JOIN tidegauge.applications a USING (application_id) WHERE a.name = %(service)s)",
        service=service,
    )


async def rows(database: Database, service: str) -> tuple[int, ...]:
    (counts,) = await ask(
        database,
        "SELECT "
        "(SELECT count(*) FROM tidegauge.series s JOIN tidegauge.applications a USING (application_id) WHERE a.name = %(service)s), "
        "(SELECT count(*) FROM tidegauge.resources r JOIN tidegauge.applications a USING (application_id) WHERE a.name = %(service)s), "
        "(SELECT count(*) FROM tidegauge.scopes WHERE name = 'scope of ' || %(service)s), "
        "(SELECT count(*) FROM tidegauge.applications WHERE name = %(service)s), "
        "(SELECT count(*) FROM tidegauge.metric_metadata m JOIN tidegauge.applications a USING (application_id) "
        "WHERE a.name = %(service)s)",
        service=service,
    )
    return counts


async def test_what_nothing_refers_to_goes_with_all_that_describes_it(connected: Database, ingestor: Ingestor) -> None:
    for service in ("unused", "in use"):
        await ingestor.ingest(points(service))
    await delete_points(connected, "unused")
    await collect(connected)
    assert await rows(connected, "unused") == (0, 0, 0, 0, 0)
    assert await rows(connected, "in use") == (1, 1, 1, 1, 1)
    # The writer had the ids in its caches.
    await ingestor.ingest(points("unused"))
    assert await rows(connected, "unused") == (1, 1, 1, 1, 1)
    assert await dangling(connected) == 0


async def test_a_rollup_row_alone_keeps_all_that_it_needs(connected: Database, ingestor: Ingestor) -> None:
    """Raw points are gone for long; what the daily rollup says has to stay readable."""
    await ingestor.ingest(points("rolled up", age=timedelta(days=3)))
    maintenance = Maintenance(PostgresMaintenance(connected), LifecycleSettings(), WithoutWorkers(), lambda: True)
    await maintenance.refresh_range(datetime.now(UTC) - timedelta(days=4), datetime.now(UTC))
    await delete_points(connected, "rolled up")
    await collect(connected)
    assert await rows(connected, "rolled up") == (1, 1, 1, 1, 1)
    ((days,),) = await ask(
        connected,
        "SELECT count(*) FROM tidegauge.metrics_daily d JOIN tidegauge.series s USING (series_id) "
        "JOIN tidegauge.applications a USING (application_id) WHERE a.name = 'rolled up'",
    )
    assert days == 1


async def test_a_teams_own_foreign_key_keeps_a_row(connected: Database, ingestor: Ingestor) -> None:
    await ingestor.ingest(points("of a team"))
    await ask(connected, "CREATE TABLE public.owners (application_id integer REFERENCES tidegauge.applications, owner text)")
    try:
        await ask(connected, "INSERT INTO public.owners SELECT application_id, 'us' FROM tidegauge.applications WHERE name = 'of a team'")
        await delete_points(connected, "of a team")
        await collect(connected)
        assert await rows(connected, "of a team") == (0, 0, 0, 1, 0)
    finally:
        await ask(connected, "DROP TABLE public.owners")


async def test_a_marked_row_that_a_writer_needs_again_stays(connected: Database, ingestor: Ingestor) -> None:
    """Between the mark and the deletion the writer comes back; it gets the same rows, and no second ones."""
    await ingestor.ingest(points("comes back", "first"))
    ((before,),) = await ask(
        connected,
        "SELECT resource_id FROM tidegauge.resources r JOIN tidegauge.applications a USING (application_id) WHERE a.name = 'comes back'",
    )
    await delete_points(connected, "comes back")
    assert (await collect(connected, until=RAISED))[-1] == RAISED
    await ingestor.ingest(points("comes back", "second"))
    await collect(connected)
    assert await rows(connected, "comes back") == (1, 1, 1, 1, 1)
    found = await ask(
        connected,
        "SELECT r.resource_id, s.metric_name FROM tidegauge.series s JOIN tidegauge.resources r USING (resource_id) "
        "JOIN tidegauge.applications a ON a.application_id = s.application_id WHERE a.name = 'comes back'",
    )
    assert found == [(before, "second")]


async def test_a_transaction_that_knows_an_id_is_waited_for(own: TestDatabase, connected: Database, ingestor: Ingestor) -> None:
    """It has read the epoch, writes only after everything else of a collection is over, and its row leads somewhere."""
    if own.kind == "embedded":
        pytest.skip("transactions are serialised there")
    await ingestor.ingest(points("slow"))
    ((series,),) = await ask(
        connected, "SELECT series_id FROM tidegauge.series s JOIN tidegauge.applications a USING (application_id) WHERE a.name = 'slow'"
    )
    await delete_points(connected, "slow")
    async with await psycopg.AsyncConnection.connect(own.owner_dsn) as slow:
        await slow.execute("SELECT * FROM tidegauge.enter_requests('{}', '{}', '{}', '{}', '{}', '{}', '{}', '1 day')")
        assert RAISED not in await collect(connected)
        await slow.execute("INSERT INTO tidegauge.metrics (timestamp, series_id, value) VALUES (now(), %s, 1)", [series])
    assert RAISED in await collect(connected)
    assert (await rows(connected, "slow"))[0] == 1
    assert await dangling(connected) == 0


async def test_who_waits_for_the_epoch_reads_the_new_one(own: TestDatabase) -> None:
    """A statement has its lock before its snapshot, also where the function's plan was made before."""
    if own.kind == "embedded":
        pytest.skip("transactions are serialised there")
    enter = "SELECT epoch FROM tidegauge.enter_requests('{}', '{}', '{}', '{}', '{}', '{}', '{}', '1 day')"
    async with (
        await psycopg.AsyncConnection.connect(own.owner_dsn, prepare_threshold=None) as writer,
        await psycopg.AsyncConnection.connect(own.owner_dsn) as raising,
    ):
        for statement in (enter, enter, "SELECT epoch FROM tidegauge.dictionary_epoch"):
            await raising.execute("LOCK TABLE tidegauge.dictionary_epoch IN ACCESS EXCLUSIVE MODE")
            reading = asyncio.create_task(writer.execute(statement))
            async with asyncio.timeout(20):
                waits = "SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted"
                while not await (await raising.execute(waits, [writer.info.backend_pid])).fetchone():  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.01)
            raised = await (await raising.execute("UPDATE tidegauge.dictionary_epoch SET epoch = epoch + 1 RETURNING epoch")).fetchone()
            await raising.commit()
            assert await (await reading).fetchone() == raised
            await writer.rollback()


async def test_maintenance_collects_what_was_not_seen_for_longer_than_anything_is_kept(connected: Database) -> None:
    age = LifecycleSettings().daily_retention + timedelta(days=90) + LifecycleSettings().collection_grace
    for name, seen in (("long ago", age + YEAR), ("not so long ago", age - YEAR)):
        await ask(
            connected,
            "INSERT INTO tidegauge.applications (name, last_seen) VALUES (%(name)s, now() - %(seen)s::interval)",
            name=name,
            seen=seen,
        )
    await Maintenance(PostgresMaintenance(connected), LifecycleSettings(), WithoutWorkers(), lambda: True).run_once()
    found = await ask(connected, "SELECT name FROM tidegauge.applications WHERE name LIKE '%%long ago'")
    assert found == [("not so long ago",)]


async def test_writers_and_a_collector_against_each_other(own: TestDatabase, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are deleted and their dictionary rows collected while writers write on with what they know; caches are small."""
    from tidegauge.storage.postgres.intern import Dictionaries

    monkeypatch.setattr(Dictionaries.__init__, "__kwdefaults__", {"cache_limit": 40})
    tally = await stress.run(own.owner_dsn, settings, 6, seed=7)
    assert tally.collected > 0
    assert tally.dangling == 0
    assert tally.acknowledged - set(tally.found) == set()
    assert len(tally.found) == len(set(tally.found))
    found = await asyncio.to_thread(integrity.check, own.owner_dsn, settings, timedelta(days=1))
    # Other tests' rows are of nobody.
    assert [each for each in found if each.problem.startswith(("resource", "series", "metric"))] == []


async def dangling(database: Database) -> int:
    """Points of now whose series is gone; other tests write points without any, a while ago."""
    ((count,),) = await ask(
        database,
        "SELECT count(*) FROM tidegauge.metrics m WHERE m.timestamp > now() - INTERVAL '5 minutes' AND m.series_id < 100 "
        "AND NOT EXISTS (SELECT FROM tidegauge.series s WHERE s.series_id = m.series_id)",
    )
    return int(count)
