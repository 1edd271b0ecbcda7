"""Groups that are written straight into the columnstore: where TimescaleDB does it, and that nobody can tell from what is read."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import LiteralString

import psycopg
import pytest
import pytest_asyncio
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.integration.ingest.test_exactly_once import count, received, trace_request
from tests.servers.timescaledb import TestDatabase
from tidegauge.config import Settings
from tidegauge.ingest.ingestor import Ingestor
from tidegauge.model.batch import Signal
from tidegauge.runtime import Location, assembled

DENSE, SPARSE = 100, 99


@pytest_asyncio.fixture(scope="module")
async def ingestor(database: TestDatabase, settings: Settings) -> AsyncIterator[Ingestor]:
    asked = settings.model_copy(update={"ingest": settings.ingest.model_copy(update={"direct_compress": True})})
    async with assembled(asked, Location(database.owner_dsn, None, embedded=False)) as runtime:
        yield runtime.ingestor


@pytest.fixture
def day_ns(now_ns: int) -> int:
    """A day that no other test writes to, and that the columnstore's policy has reached."""
    return now_ns - int(timedelta(days=17).total_seconds()) * 1_000_000_000


def logs(service: str, time_ns: int, records: int) -> bytes:
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.attributes.add(key="service.name").value.string_value = service
    scope = resource.scope_logs.add()
    for number in range(records):
        record = scope.log_records.add(time_unix_nano=time_ns + number * 1000, severity_number=9)
        record.body.string_value = f"{service} {number}"
        record.attributes.add(key="n").value.int_value = number
    return request.SerializeToString()


async def query(database: TestDatabase, statement: LiteralString, *values: object) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(database.owner_dsn, prepare_threshold=None, autocommit=True) as connection:
        return await (await connection.execute(statement, values)).fetchall()


async def in_columnstore(database: TestDatabase, hypertable: str, time_ns: int) -> bool:
    """Whether the chunk of that time has a part in the columnstore."""
    found = await query(
        database,
        """SELECT is_compressed FROM timescaledb_information.chunks
           WHERE hypertable_schema = 'tidegauge' AND hypertable_name = %s
               AND to_timestamp(%s) >= range_start AND to_timestamp(%s) < range_end""",
        hypertable,
        time_ns / 1e9,
        time_ns / 1e9,
    )
    return found == [(True,)]


async def stored(database: TestDatabase, service: str) -> list[tuple[object, ...]]:
    return await query(
        database,
        """SELECT l.body, l.attributes, l.timestamp FROM tidegauge.logs l JOIN tidegauge.applications a USING (application_id)
           WHERE a.name = %s ORDER BY l.timestamp""",
        service,
    )


async def test_dense_groups_go_into_the_columnstore_and_are_recompacted(database: TestDatabase, ingestor: Ingestor, day_ns: int) -> None:
    sparse, dense = f"sparse {uuid.uuid4()}", f"dense {uuid.uuid4()}"
    assert (await ingestor.ingest(received(logs(sparse, day_ns, SPARSE), Signal.LOGS))).rejected == 0
    assert not await in_columnstore(database, "logs", day_ns)
    body = logs(dense, day_ns, DENSE)
    for _ in range(2):
        assert (await ingestor.ingest(received(body, Signal.LOGS))).rejected == 0
    # A second, overlapping one: what is written straight is not in order.
    assert (await ingestor.ingest(received(logs(dense, day_ns + 500, DENSE), Signal.LOGS))).rejected == 0
    assert await in_columnstore(database, "logs", day_ns) == (database.kind != "embedded")
    before = await stored(database, sparse), await stored(database, dense)
    assert (len(before[0]), len(before[1])) == (SPARSE, 2 * DENSE)
    assert [row[:2] for row in before[0]] == [(f"{sparse} {number}", {"n": number}) for number in range(SPARSE)]
    if database.kind == "embedded":
        return
    await compress(database)
    assert (await stored(database, sparse), await stored(database, dense)) == before
    # 1 is compressed, without the marks of unordered or partly written chunks.
    assert await query(
        database,
        """SELECT c.status FROM _timescaledb_catalog.chunk c JOIN timescaledb_information.chunks i
               ON (i.chunk_schema, i.chunk_name) = (c.schema_name, c.table_name)
           WHERE i.hypertable_schema = 'tidegauge' AND i.hypertable_name = 'logs'
               AND to_timestamp(%s) >= i.range_start AND to_timestamp(%s) < i.range_end""",
        day_ns / 1e9,
        day_ns / 1e9,
    ) == [(1,)]


async def compress(database: TestDatabase) -> None:
    """What TimescaleDB's own policy does when its time comes."""
    job = await query(
        database,
        """SELECT job_id FROM timescaledb_information.jobs
           WHERE proc_name = 'policy_compression' AND hypertable_schema = 'tidegauge' AND hypertable_name = 'logs'""",
    )
    async with await psycopg.AsyncConnection.connect(database.owner_dsn, prepare_threshold=None, autocommit=True) as connection:
        await connection.execute("CALL run_job(%s)", job[0])


async def test_spans_are_stored_as_ever(database: TestDatabase, ingestor: Ingestor, day_ns: int) -> None:
    """TimescaleDB 2.23 leaves out hypertables with continuous aggregates; whether or not, the spans are there."""
    body, trace_id = trace_request("dense spans", day_ns, DENSE)
    assert (await ingestor.ingest(received(body))).rejected == 0
    assert await count(database, trace_id) == DENSE
    again = ExportTraceServiceRequest.FromString(body).SerializeToString()
    assert (await ingestor.ingest(received(again))).repeated
    assert await count(database, trace_id) == DENSE


async def test_what_the_database_refuses_is_refused_there_too(database: TestDatabase, ingestor: Ingestor, day_ns: int) -> None:
    service = f"constrained {uuid.uuid4()}"
    async with await psycopg.AsyncConnection.connect(database.owner_dsn, prepare_threshold=None, autocommit=True) as connection:
        await connection.execute(
            "ALTER TABLE tidegauge.logs ADD CONSTRAINT refusing CHECK (body IS NULL OR body NOT LIKE 'constrained% 7')"
        )
        try:
            outcome = await ingestor.ingest(received(logs(service, day_ns, DENSE + 1), Signal.LOGS))
        finally:
            await connection.execute("ALTER TABLE tidegauge.logs DROP CONSTRAINT refusing")
    assert outcome.rejected == 1
    assert len(await stored(database, service)) == DENSE
