"""Cardinality guards: what they keep out, what they leave alone, and what a sender and an operator hear of it."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.integration.ingest.test_exactly_once import received
from tests.servers.timescaledb import TestDatabase
from tidegauge.config import CardinalitySettings, Settings
from tidegauge.ingest.ingestor import Ingestor
from tidegauge.model.batch import Signal
from tidegauge.runtime import Location, assembled

LIMITS = CardinalitySettings(max_series_per_metric=5, max_resources_per_application=3, max_span_names_per_application=4)


@pytest_asyncio.fixture(scope="module")
async def workers(database: TestDatabase, settings: Settings) -> AsyncIterator[tuple[Ingestor, Ingestor]]:
    """Two ingest paths on one database, as two workers are."""
    location = Location(database.owner_dsn, None, embedded=False)
    limited = settings.model_copy(update={"cardinality": LIMITS})
    async with assembled(limited, location, maintains=False) as one, assembled(limited, location, maintains=False) as other:
        yield one.ingestor, other.ingestor


@pytest.fixture
def service() -> str:
    return f"guarded-{uuid.uuid4().hex[:12]}"


async def rows(database: TestDatabase, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(database.owner_dsn, prepare_threshold=None, autocommit=True) as connection:
        cursor = await connection.execute(statement, parameters)  # type: ignore[call-overload]
        return await cursor.fetchall() if cursor.description else []


def points(service: str, now_ns: int, labels: Sequence[str], *, metric: str = "requests", hosts: Sequence[str] = ("h",)) -> bytes:
    """A request with a point for each host and label."""
    request = ExportMetricsServiceRequest()
    for host in hosts:
        resource = request.resource_metrics.add()
        for key, value in (("service.name", service), ("host.name", host)):
            resource.resource.attributes.add(key=key).value.string_value = value
        gauge = resource.scope_metrics.add().metrics.add(name=metric, description="d").gauge
        for label in labels:
            point = gauge.data_points.add(time_unix_nano=now_ns, as_int=1)
            point.attributes.add(key="route").value.string_value = label
            point.exemplars.add(time_unix_nano=now_ns, as_int=1)
    return request.SerializeToString()


def spans(service: str, now_ns: int, names: Sequence[str]) -> tuple[bytes, str]:
    """(body, trace id) of a trace whose first span is its root."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = service
    trace_id = uuid.uuid4()
    scope = resource.scope_spans.add()
    for number, name in enumerate(names, 1):
        span = scope.spans.add(trace_id=trace_id.bytes, span_id=number.to_bytes(8), name=name, start_time_unix_nano=now_ns)
        span.end_time_unix_nano = now_ns + number
        if number > 1:
            span.parent_span_id = (1).to_bytes(8)
    return request.SerializeToString(), trace_id.hex


def metrics(body: bytes) -> Any:
    return received(body, Signal.METRICS)


async def series_of(database: TestDatabase, service: str) -> list[str]:
    found = await rows(database, "SELECT labels ->> 'route' FROM analytics.series WHERE application = %s ORDER BY 1", service)
    return [label for (label,) in found]


async def test_series_beyond_the_limit(
    database: TestDatabase, workers: tuple[Ingestor, Ingestor], settings: Settings, service: str, now_ns: int
) -> None:
    assert (await workers[0].ingest(metrics(points(service, now_ns, ["a", "b", "c"])))).rejected == 0
    body = points(service, now_ns, ["a", "b", *"defgh"])
    outcome = await workers[1].ingest(metrics(body))
    assert outcome.rejected == 3
    for part in ("3 × too_many_series", "'requests'", repr(service), "has 5 series", "TIDEGAUGE_CARDINALITY_MAX_SERIES_PER_METRIC"):
        assert part in outcome.message
    # What is known goes on, on either worker and after a restart; nothing else comes in, and no dictionary row is made for it.
    for worker in workers:
        again = await worker.ingest(metrics(points(service, now_ns + 1000, ["a", "b", "c", "d", "e", "x"])))
        assert again.rejected == 1
        now_ns += 1000
    limited = settings.model_copy(update={"cardinality": LIMITS})
    async with assembled(limited, Location(database.owner_dsn, None, embedded=False), maintains=False) as restarted:
        assert (await restarted.ingestor.ingest(metrics(points(service, now_ns + 2000, ["a", "e", "f"])))).rejected == 1
    assert await series_of(database, service) == ["a", "b", "c", "d", "e"]
    # A resend gets its answer again, also from the other worker; another metric has room of its own.
    resent = await workers[0].ingest(metrics(body))
    assert (resent.repeated, resent.rejected, resent.message) == (True, 3, outcome.message)
    assert (await workers[0].ingest(metrics(points(service, now_ns, ["a"], metric="other")))).rejected == 0
    ((items, sample),) = await rows(
        database,
        "SELECT items, sample_json FROM analytics.rejections WHERE service = %s AND reason = 'too_many_series' AND items = 3",
        service,
    )
    assert items == 3
    shown = json.loads(sample)
    assert (shown["metric"], shown["labels"], shown["service"]) == ("requests", {"route": "f"}, service)
    # No point of a refused series, and no exemplar either.
    ((stored, exemplars),) = await rows(
        database,
        """SELECT (SELECT count(*) FROM tidegauge.metrics m WHERE m.series_id = ANY (array_agg(s.series_id))),
                  (SELECT count(*) FROM tidegauge.metric_exemplars e WHERE e.series_id = ANY (array_agg(s.series_id)))
           FROM analytics.series s WHERE s.application = %s AND s.metric_name = 'requests'""",
        service,
    )
    assert stored == exemplars == 3 + 4 + 5 + 5 + 2


async def test_series_not_seen_for_a_day_do_not_count(
    database: TestDatabase, workers: tuple[Ingestor, Ingestor], service: str, now_ns: int
) -> None:
    await workers[0].ingest(metrics(points(service, now_ns, list("abcde"))))
    await rows(
        database,
        """UPDATE tidegauge.series s SET last_seen = now() - INTERVAL '26 hours' FROM tidegauge.applications a
           WHERE a.application_id = s.application_id AND a.name = %s AND s.labels ->> 'route' <> 'a'""",
        service,
    )
    assert (await workers[1].ingest(metrics(points(service, now_ns, list("vwxyz"))))).rejected == 1
    # Known again, though the metric is full: what is in the dictionary is never refused.
    assert (await workers[0].ingest(metrics(points(service, now_ns, list("bcde"))))).rejected == 0


async def test_resources_beyond_the_limit(database: TestDatabase, workers: tuple[Ingestor, Ingestor], service: str, now_ns: int) -> None:
    outcome = await workers[0].ingest(metrics(points(service, now_ns, ["a"], hosts=["1", "2", "3", "4", "5"])))
    assert outcome.rejected == 2
    for part in ("2 × too_many_resources", repr(service), "has 3 resources", "TIDEGAUGE_CARDINALITY_MAX_RESOURCES_PER_APPLICATION"):
        assert part in outcome.message
    request = ExportTraceServiceRequest.FromString(spans(service, now_ns, ["one", "two"])[0])
    assert (await workers[1].ingest(received(request.SerializeToString()))).rejected == 2
    request.resource_spans[0].resource.attributes.add(key="host.name").value.string_value = "2"
    assert (await workers[1].ingest(received(request.SerializeToString()))).rejected == 0
    found = await rows(database, "SELECT attributes ->> 'host.name' FROM analytics.resources WHERE application = %s ORDER BY 1", service)
    assert found == [("1",), ("2",), ("3",)]


async def test_many_new_series_at_once_on_two_workers(
    database: TestDatabase, workers: tuple[Ingestor, Ingestor], service: str, now_ns: int
) -> None:
    await workers[0].ingest(metrics(points(service, now_ns, ["known"])))
    bodies = [points(service, now_ns + number, ["known", f"r{number}"]) for number in range(40)]
    outcomes = await asyncio.gather(*(workers[number % 2].ingest(metrics(body)) for number, body in enumerate(bodies)))
    stored = await series_of(database, service)
    # Each counts what the other has committed: they may both have filled what was left.
    assert LIMITS.max_series_per_metric <= len(stored) <= 2 * LIMITS.max_series_per_metric
    assert sum(outcome.rejected for outcome in outcomes) == 40 + 1 - len(stored)


async def test_span_names_beyond_the_limit_are_one_name_in_rollups(
    database: TestDatabase, workers: tuple[Ingestor, Ingestor], service: str, now_ns: int
) -> None:
    assert (await workers[0].ingest(received(spans(service, now_ns, ["a", "b", "c"])[0]))).rejected == 0
    body, trace_id = spans(service, now_ns, ["GET /item/7", "a", "GET /item/8", "x" * 5000, "b"])
    assert (await workers[1].ingest(received(body))).rejected == 0
    # Nothing is lost where spans are read.
    names = await rows(database, "SELECT name FROM analytics.traces WHERE trace_id = %s ORDER BY span_id", trace_id)
    assert [name for (name,) in names] == ["GET /item/7", "a", "GET /item/8", "x" * 5000, "b"]
    assert await rows(database, "SELECT root_name FROM analytics.trace_index WHERE trace_id = %s", trace_id) == [("GET /item/7",)]
    # Rollups and their names are bounded, whichever worker it was.
    for number in range(20):
        assert (await workers[number % 2].ingest(received(spans(service, now_ns, [f"GET /item/{number}"])[0]))).rejected == 0
    found = await rows(
        database, "SELECT name, sum(count)::int FROM analytics.traces_minutely WHERE application = %s GROUP BY name ORDER BY name", service
    )
    # There was room for the first of the new names.
    assert dict(found) == {"a": 2, "b": 2, "c": 1, "GET /item/7": 2, "_other": 1 + 1 + 19}
    known = await rows(
        database,
        "SELECT n.name FROM tidegauge.span_names n JOIN tidegauge.applications a USING (application_id) WHERE a.name = %s",
        service,
    )
    assert {name for (name,) in known} == {"a", "b", "c", "GET /item/7"}


async def test_a_span_name_that_no_index_holds_is_stored(
    database: TestDatabase, workers: tuple[Ingestor, Ingestor], service: str, now_ns: int
) -> None:
    """1000 characters of three bytes, of which none comes twice: nothing to compress."""
    name = "".join(map(chr, range(0x4E00, 0x4E00 + 1000)))
    body, trace_id = spans(service, now_ns, [name])
    outcome = await workers[0].ingest(received(body))
    assert (outcome.rejected, outcome.message) == (0, "")
    assert await rows(database, "SELECT name, full_name FROM tidegauge.traces WHERE trace_id = %s", trace_id) == [("_other", name)]


async def test_span_names_not_seen_for_a_day_make_room(
    database: TestDatabase, workers: tuple[Ingestor, Ingestor], service: str, settings: Settings, now_ns: int
) -> None:
    await workers[0].ingest(received(spans(service, now_ns, ["a", "b", "c", "d"])[0]))
    await rows(
        database,
        """UPDATE tidegauge.span_names n SET last_seen = now() - INTERVAL '26 hours' FROM tidegauge.applications a
           WHERE a.application_id = n.application_id AND a.name = %s AND n.name <> 'a'""",
        service,
    )
    await workers[1].ingest(received(spans(service, now_ns, ["e", "f"])[0]))
    found = await rows(database, "SELECT DISTINCT name FROM analytics.traces_minutely WHERE application = %s ORDER BY name", service)
    assert [name for (name,) in found] == ["a", "b", "c", "d", "e", "f"]


async def test_what_is_sent_again_is_marked_as_seen(
    database: TestDatabase, workers: tuple[Ingestor, Ingestor], service: str, settings: Settings, now_ns: int
) -> None:
    """Also where it is the only request after a start: nobody may take such rows for unused."""
    of_metrics, of_spans = metrics(points(service, now_ns, ["a", "b"])), received(spans(service, now_ns, ["one", "two"])[0])
    for request in (of_metrics, of_spans):
        await workers[0].ingest(request)
    tables = ("applications", "resources", "scopes", "series", "span_names")
    for table in tables:
        await rows(database, f"UPDATE tidegauge.{table} SET last_seen = last_seen - INTERVAL '5 hours'")
    for body in (points(service, now_ns + 1, ["a", "b"]), spans(service, now_ns, ["one", "two"])[0]):
        async with assembled(settings, Location(database.owner_dsn, None, embedded=False), maintains=False) as restarted:
            await restarted.ingestor.ingest(metrics(body) if b"requests" in body else received(body))
    of_service = {
        "applications": "t.name = %s",
        "resources": "t.application_id IN (SELECT application_id FROM tidegauge.applications WHERE name = %s)",
        "series": "t.application_id IN (SELECT application_id FROM tidegauge.applications WHERE name = %s)",
        "span_names": "t.application_id IN (SELECT application_id FROM tidegauge.applications WHERE name = %s)",
    }
    for table, condition in of_service.items():
        found = await rows(database, f"SELECT last_seen >= now() - INTERVAL '2 hours' FROM tidegauge.{table} t WHERE {condition}", service)
        assert found, table
        assert all(is_recent for (is_recent,) in found), table
    assert (True,) in await rows(database, "SELECT last_seen >= now() - INTERVAL '2 hours' FROM tidegauge.scopes")
