"""A row that the database refuses takes no neighbour with it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import psycopg
import pytest
import pytest_asyncio
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.integration.ingest.test_exactly_once import count, ingestors, received, trace_request
from tests.servers.timescaledb import TestDatabase
from tidegauge.ingest.ingestor import Ingestor
from tidegauge.model.batch import Signal

__all__ = ["ingestors"]


CONSTRAINTS = {"applications": "name", "series": "metric_name", "traces": "name"}


@pytest_asyncio.fixture(scope="module", autouse=True)
async def _refusing(database: TestDatabase) -> AsyncIterator[None]:
    """A database that refuses what is called "refused…": a team's own constraint, as good as any of PostgreSQL's limits."""
    async with await psycopg.AsyncConnection.connect(database.owner_dsn, prepare_threshold=None, autocommit=True) as connection:
        for table, column in CONSTRAINTS.items():
            await connection.execute(f"ALTER TABLE tidegauge.{table} ADD CONSTRAINT refusing CHECK ({column} NOT LIKE 'refused%')")
        try:
            yield
        finally:
            for table in CONSTRAINTS:
                await connection.execute(f"ALTER TABLE tidegauge.{table} DROP CONSTRAINT refusing")


async def test_spans_of_a_service_that_is_refused(database: TestDatabase, ingestors: tuple[Ingestor, Ingestor], now_ns: int) -> None:
    good = ExportTraceServiceRequest.FromString(trace_request("good neighbour", now_ns, 10)[0])
    bad = ExportTraceServiceRequest.FromString(trace_request("refused 1", now_ns, 3)[0])
    trace_id = good.resource_spans[0].scope_spans[0].spans[0].trace_id
    good.MergeFrom(bad)
    body = good.SerializeToString()
    outcome = await ingestors[0].ingest(received(body))
    assert outcome.rejected == 3
    assert "refused_by_database" in outcome.message
    assert await count(database, trace_id) == 10
    again = await ingestors[1].ingest(received(body))
    assert (again.repeated, again.rejected, again.message) == (True, 3, outcome.message)


async def test_a_metric_that_is_refused(database: TestDatabase, ingestors: tuple[Ingestor, Ingestor], now_ns: int) -> None:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "metered"
    name = f"fine.{uuid.uuid4().hex}"
    for metric_name in (name, "refused 2", f"{name}.too"):
        metric = resource.scope_metrics.add().metrics.add(name=metric_name, description="d", unit="1")
        point = metric.gauge.data_points.add(time_unix_nano=now_ns, as_double=4.5)
        point.exemplars.add(time_unix_nano=now_ns, as_double=1.0)
    outcome = await ingestors[0].ingest(received(request.SerializeToString(), Signal.METRICS))
    assert outcome.rejected == 1
    async with await psycopg.AsyncConnection.connect(database.owner_dsn, prepare_threshold=None) as connection:
        cursor = await connection.execute(
            """SELECT s.metric_name, m.value, (SELECT count(*) FROM tidegauge.metric_exemplars e WHERE e.series_id = s.series_id)
               FROM tidegauge.metrics m JOIN tidegauge.series s USING (series_id) WHERE s.metric_name LIKE %s ORDER BY 1""",
            (f"{name}%",),
        )
        assert await cursor.fetchall() == [(name, 4.5, 1), (f"{name}.too", 4.5, 1)]


async def test_neighbours_in_the_same_commit(database: TestDatabase, ingestors: tuple[Ingestor, Ingestor], now_ns: int) -> None:
    import asyncio

    fine = [trace_request(f"neighbour {number}", now_ns, 2) for number in range(4)]
    bad = trace_request("refused 3", now_ns, 1)
    outcomes = await asyncio.gather(*(ingestors[0].ingest(received(body)) for body, _ in [*fine[:2], bad, *fine[2:]]))
    assert [outcome.rejected for outcome in outcomes] == [0, 0, 1, 0, 0]
    assert [await count(database, trace_id) for _, trace_id in fine] == [2, 2, 2, 2]


async def test_single_spans(database: TestDatabase, ingestors: tuple[Ingestor, Ingestor], now_ns: int) -> None:
    request = ExportTraceServiceRequest.FromString(trace_request("fine", now_ns, 20)[0])
    spans = request.resource_spans[0].scope_spans[0].spans
    spans[3].name = spans[17].name = "refused span"
    outcome = await ingestors[0].ingest(received(request.SerializeToString()))
    assert outcome.rejected == 2
    assert await count(database, spans[0].trace_id) == 18
    async with await psycopg.AsyncConnection.connect(database.owner_dsn, prepare_threshold=None) as connection:
        cursor = await connection.execute(
            "SELECT sum(span_count) FROM tidegauge.trace_index WHERE trace_id = %s", (uuid.UUID(bytes=spans[0].trace_id),)
        )
        assert await cursor.fetchone() == (18,)
        cursor = await connection.execute(
            """SELECT items, service, sample_json::jsonb ->> 'name' FROM analytics.rejections
               WHERE reason = 'refused_by_database' AND sample_json::jsonb ->> 'trace_id' = %s""",
            (spans[0].trace_id.hex(),),
        )
        assert await cursor.fetchall() == [(2, "fine", "refused span")]


@pytest.mark.parametrize("bad_rows", [1, 40])
async def test_bad_rows_among_many(database: TestDatabase, ingestors: tuple[Ingestor, Ingestor], now_ns: int, bad_rows: int) -> None:
    """Each bad row has a resource of its own, spread over the request."""
    request = ExportTraceServiceRequest()
    good_trace = b""
    for number in range(80):
        is_bad = number % (80 // bad_rows) == 0
        body, trace_id = trace_request(f"refused {number}" if is_bad else "many", now_ns, 1)
        request.MergeFromString(body)
        good_trace = good_trace if is_bad else trace_id
    outcome = await ingestors[0].ingest(received(request.SerializeToString()))
    assert outcome.rejected == bad_rows
    assert await count(database, good_trace) == 1
