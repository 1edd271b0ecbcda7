"""What the ledger promises, on a real database."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from hashlib import blake2b

import psycopg
import pytest
import pytest_asyncio
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.servers.timescaledb import TestDatabase
from tidegauge.config import Settings
from tidegauge.ingest.ingestor import Ingestor, Received
from tidegauge.model.batch import Signal
from tidegauge.otlp.encoding import Encoding
from tidegauge.runtime import Location, assembled


def trace_request(service: str, now_ns: int, spans: int, *, broken: int = 0) -> tuple[bytes, bytes]:
    """(body, trace id) of a request with ``spans`` good spans and ``broken`` ones with a span id of three bytes."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    attribute = resource.resource.attributes.add(key="service.name")
    attribute.value.string_value = service
    scope = resource.scope_spans.add()
    trace_id = uuid.uuid4().bytes
    for number in range(spans + broken):
        scope.spans.add(
            trace_id=trace_id,
            span_id=(number + 1).to_bytes(8) if number < spans else b"bad",
            name=f"span {number}",
            start_time_unix_nano=now_ns,
            end_time_unix_nano=now_ns + 1000,
        )
    return request.SerializeToString(), trace_id


@pytest_asyncio.fixture(scope="module")
async def ingestors(database: TestDatabase, settings: Settings) -> AsyncIterator[tuple[Ingestor, Ingestor]]:
    """Two ingest paths on one database, as two workers are."""
    location = Location(database.owner_dsn, None, embedded=False)
    async with assembled(settings, location) as one, assembled(settings, location) as other:
        yield one.ingestor, other.ingestor


async def count(database: TestDatabase, trace_id: bytes) -> int:
    async with await psycopg.AsyncConnection.connect(database.owner_dsn, prepare_threshold=None) as connection:
        cursor = await connection.execute("SELECT count(*) FROM tidegauge.traces WHERE trace_id = %s", (uuid.UUID(bytes=trace_id),))
        row = await cursor.fetchone()
        assert row is not None
        return int(row[0])


def received(body: bytes, signal: Signal = Signal.TRACES) -> Received:
    return Received(tenant_id=0, signal=signal, endpoint=f"/v1/{signal.name.lower()}", encoding=Encoding.PROTOBUF, body=body)


async def test_a_resend_is_stored_once_and_answered_alike(
    database: TestDatabase, ingestors: tuple[Ingestor, Ingestor], now_ns: int
) -> None:
    body, trace_id = trace_request("resend", now_ns, 3, broken=2)
    first = await ingestors[0].ingest(received(body))
    again = await ingestors[1].ingest(received(body))
    assert await count(database, trace_id) == 3
    assert (first.rejected, first.repeated) == (2, False)
    assert (again.rejected, again.message, again.repeated) == (2, first.message, True)


async def test_the_same_body_many_times_at_once_on_two_workers(
    database: TestDatabase, ingestors: tuple[Ingestor, Ingestor], now_ns: int
) -> None:
    body, trace_id = trace_request("at once", now_ns, 5, broken=2)
    outcomes = await asyncio.gather(*(ingestors[number % 2].ingest(received(body)) for number in range(12)))
    assert await count(database, trace_id) == 5
    assert {(outcome.rejected, outcome.message) for outcome in outcomes} == {(2, outcomes[0].message)}


async def test_a_request_that_another_worker_is_storing_leaves_the_group(
    database: TestDatabase, ingestors: tuple[Ingestor, Ingestor], now_ns: int
) -> None:
    """That worker hangs in its transaction; neighbours of the same request are stored meanwhile, and the request gets its answer."""
    if database.kind == "embedded":
        pytest.skip("transactions are serialised there: nobody waits for a row")
    body, _ = trace_request("held", now_ns, 1)
    fine = [trace_request(f"beside {number}", now_ns, 2) for number in range(3)]
    async with await psycopg.AsyncConnection.connect(database.owner_dsn, prepare_threshold=None) as other:
        await other.execute(
            """INSERT INTO tidegauge.ingest_requests (slot, digest, tenant_id, signal, endpoint, items, rejected, message)
               SELECT public.time_bucket(INTERVAL '4 hours', now()), %s, 0, 1, '/v1/traces', 1, 1, 'of the other worker'""",
            (uuid.UUID(bytes=blake2b(body, digest_size=16).digest()),),
        )
        held = asyncio.create_task(ingestors[0].ingest(received(body)))
        outcomes = await asyncio.gather(*(ingestors[0].ingest(received(each)) for each, _ in fine))
        assert [outcome.rejected for outcome in outcomes] == [0, 0, 0]
        assert not held.done()
        await other.commit()
    outcome = await held
    assert (outcome.rejected, outcome.message, outcome.repeated) == (1, "of the other worker", True)


async def test_equal_bytes_of_two_signals_are_two_requests(
    database: TestDatabase, ingestors: tuple[Ingestor, Ingestor], now_ns: int
) -> None:
    """A span without a name reads as a log record without anything: its fields are unknown ones there."""
    request = ExportTraceServiceRequest.FromString(trace_request("two signals", now_ns, 1)[0])
    request.resource_spans[0].scope_spans[0].spans[0].name = ""
    body = request.SerializeToString()
    assert len(ExportLogsServiceRequest.FromString(body).resource_logs[0].scope_logs[0].log_records) == 1
    as_trace = await ingestors[0].ingest(received(body, Signal.TRACES))
    as_logs = await ingestors[0].ingest(received(body, Signal.LOGS))
    assert (as_trace.repeated, as_logs.repeated) == (False, False)
    assert await count(database, request.resource_spans[0].scope_spans[0].spans[0].trace_id) == 1
    async with await psycopg.AsyncConnection.connect(database.owner_dsn, prepare_threshold=None) as connection:
        cursor = await connection.execute(
            "SELECT count(*) FROM tidegauge.logs l JOIN tidegauge.applications a USING (application_id) WHERE a.name = 'two signals'"
        )
        assert await cursor.fetchone() == (1,)


@pytest.mark.parametrize(("times", "stored"), [({}, 3), ({"observed_time_unix_nano": 1}, 1), ({"time_unix_nano": 1}, 1)], ids=str)
async def test_equal_logs_are_a_resend_only_where_they_carry_their_time(
    database: TestDatabase, ingestors: tuple[Ingestor, Ingestor], now_ns: int, times: dict[str, int], stored: int
) -> None:
    logs = ExportLogsServiceRequest()
    fields = dict.fromkeys(times, now_ns)
    record = logs.resource_logs.add().scope_logs.add().log_records.add(**fields)
    record.body.string_value = f"said again {now_ns}"
    for ingestor in (*ingestors, ingestors[0]):
        assert (await ingestor.ingest(received(logs.SerializeToString(), Signal.LOGS))).rejected == 0
    async with await psycopg.AsyncConnection.connect(database.owner_dsn, prepare_threshold=None) as connection:
        cursor = await connection.execute("SELECT count(*) FROM tidegauge.logs WHERE body = %s", (f"said again {now_ns}",))
        assert await cursor.fetchone() == (stored,)


async def test_ids_of_a_schema_that_was_made_anew_are_not_used(
    database: TestDatabase, ingestors: tuple[Ingestor, Ingestor], now_ns: int
) -> None:
    """What `db reset` does beside a running server: dictionary rows go, and their ids come again for others."""
    await ingestors[0].ingest(received(trace_request("known before", now_ns, 1)[0]))
    async with await psycopg.AsyncConnection.connect(database.owner_dsn, prepare_threshold=None, autocommit=True) as connection:
        await connection.execute("UPDATE tidegauge.applications SET name = 'somebody else' WHERE name = 'known before'")
        await connection.execute(
            'UPDATE tidegauge.resources SET identity = gen_random_uuid() WHERE attributes @> \'{"service.name": "known before"}\''
        )
        await connection.execute("UPDATE tidegauge.dictionary_epoch SET epoch = epoch + 1")
        body, trace_id = trace_request("known before", now_ns + 1, 1)
        assert (await ingestors[0].ingest(received(body))).rejected == 0
        cursor = await connection.execute(
            "SELECT a.name FROM tidegauge.traces t JOIN tidegauge.applications a USING (application_id) WHERE trace_id = %s",
            (uuid.UUID(bytes=trace_id),),
        )
        assert await cursor.fetchone() == ("known before",)


@pytest.mark.parametrize(
    ("offset", "reason"), [(timedelta(days=-31), "too_old"), (timedelta(hours=1), "too_far_ahead")], ids=["too old", "too far ahead"]
)
async def test_items_out_of_range_are_rejected_one_by_one(
    database: TestDatabase, ingestors: tuple[Ingestor, Ingestor], now_ns: int, offset: timedelta, reason: str
) -> None:
    request = ExportTraceServiceRequest.FromString(trace_request(reason, now_ns, 2)[0])
    span = request.resource_spans[0].scope_spans[0].spans[1]
    span.start_time_unix_nano += int(offset.total_seconds()) * 1_000_000_000
    outcome = await ingestors[0].ingest(received(request.SerializeToString()))
    assert outcome.rejected == 1
    assert reason in outcome.message
    assert await count(database, request.resource_spans[0].scope_spans[0].spans[0].trace_id) == 1
    async with await psycopg.AsyncConnection.connect(database.owner_dsn, prepare_threshold=None) as connection:
        cursor = await connection.execute(
            "SELECT items FROM tidegauge.ingest_rejections WHERE reason = %s ORDER BY rejected_at DESC LIMIT 1", (reason,)
        )
        assert await cursor.fetchone() == (1,)
