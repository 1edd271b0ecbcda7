"""The client against a running product: what was sent comes back, as records and frames."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from tests.servers.product import Product
from tidegauge.client import AsyncTidegaugeClient, Retries, TidegaugeClient, errors, queries

STEP_NS = 60 * 10**9
SPANS = 25


@pytest_asyncio.fixture(scope="module")
async def service(product: Product) -> str:
    """A service with spans, a gauge and log records, and its name."""
    name = f"client-{uuid4().hex[:8]}"
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": name}}]}
    first = (time.time_ns() // STEP_NS - 5) * STEP_NS
    spans = [
        {
            "traceId": f"{uuid4().int:032x}",
            "spanId": f"{number + 1:016x}",
            "name": "GET /cart",
            "kind": 2,
            "startTimeUnixNano": str(first + number * 10**9),
            "endTimeUnixNano": str(first + number * 10**9 + (number + 1) * 10**6),
            "status": {"code": 2, "message": "no such cart"} if number % 5 == 0 else {},
        }
        for number in range(SPANS)
    ]
    points = [{"timeUnixNano": str(first + number * STEP_NS), "asDouble": number + 0.5} for number in range(4)]
    records = [{"timeUnixNano": str(first), "severityNumber": 17, "severityText": "ERROR", "body": {"stringValue": "declined"}}]
    async with httpx.AsyncClient(base_url=product.otlp_url, timeout=30) as sender:
        for path, key, scopes, items in (
            ("traces", "resourceSpans", "scopeSpans", {"spans": spans}),
            ("metrics", "resourceMetrics", "scopeMetrics", {"metrics": [{"name": name, "unit": "1", "gauge": {"dataPoints": points}}]}),
            ("logs", "resourceLogs", "scopeLogs", {"logRecords": records}),
        ):
            answer = await sender.post(f"/v1/{path}", json={key: [{"resource": resource, scopes: [items]}]})
            assert answer.status_code == 200, answer.text
    return name


@pytest_asyncio.fixture
async def client(product: Product) -> AsyncIterator[AsyncTidegaugeClient]:
    async with AsyncTidegaugeClient(product.api_url) as client:
        yield client


async def test_metrics_come_as_frames(client: AsyncTidegaugeClient, service: str) -> None:
    points = await client.run(queries.metric_range(service, step="1m", start="now-1h"))
    frame = points.to_pandas()
    assert frame["value"].tolist() == [0.5, 1.5, 2.5, 3.5]
    assert (frame["time"].diff().dropna().dt.total_seconds() == 60).all()
    assert points.meta["exactness"]["kind"] == "exact"
    assert points.to_polars()["value"].to_list() == [0.5, 1.5, 2.5, 3.5]
    (described,) = await client.run(queries.metrics(service))
    assert (described.type, described.services) == ("gauge", [service])


async def test_all_pages_of_spans_are_read(client: AsyncTidegaugeClient, service: str) -> None:
    found = [row async for row in client.rows(queries.spans(service=service, limit=7, start="now-1h"))]
    assert [row.duration_ns for row in found] == [(number + 1) * 10**6 for number in reversed(range(SPANS))]
    failed = await client.run(queries.spans(service=service, status="error", start="now-1h"))
    assert {row.status_message for row in failed} == {"no such cart"}
    assert len(failed) == 5


async def test_traces_and_their_spans(client: AsyncTidegaugeClient, service: str) -> None:
    found = await client.run(queries.traces(service=service, start="now-1h", limit=3))
    assert [row.root_name for row in found] == ["GET /cart"] * 3
    whole = await client.run(queries.trace(found[0].trace_id))
    assert whole["spans"][0]["service"] == service


async def test_logs(client: AsyncTidegaugeClient, service: str) -> None:
    (record,) = await client.run(queries.logs(service=service, start="now-1h"))
    assert (record.body, record.severity_number, record.severity_text) == ("declined", 17, "ERROR")


async def test_sql_comes_as_arrow(client: AsyncTidegaugeClient, service: str) -> None:
    statement = """
    SELECT status, count(*) AS spans, max(duration_ms) AS longest, max(start_time) AS newest
    FROM traces WHERE application = :service AND start_time > now() - interval '1 hour' GROUP BY status ORDER BY status
    """
    answer = await client.run(queries.sql(statement, {"service": service}))
    assert answer.truncated is None
    assert [(row["status"], row["spans"], row["longest"]) for row in answer.rows()] == [("ERROR", 5, 21.0), ("UNSET", 20, 25.0)]
    assert str(answer.to_arrow().schema.field("newest").type) == "timestamp[us, tz=UTC]"
    assert answer.to_polars()["spans"].to_list() == [5, 20]
    assert (await client.run(queries.sql("SELECT $1::int + 1 AS n", [41]))).rows() == [{"n": 42}]


async def test_what_services_do(client: AsyncTidegaugeClient, service: str) -> None:
    assert service in await client.run(queries.services(service))
    assert [each.name for each in await client.run(queries.operations(service))] == ["GET /cart"]
    (rate,) = await client.run(queries.service_rates(service=service, start="now-1h"))
    assert (rate.service, rate.count, rate.errors, rate.duration_max_ns) == (service, SPANS, 5, SPANS * 10**6)
    percentiles = await client.run(queries.duration_percentiles([0.5, 0.99], service=service, start="now-1h"))
    assert percentiles.to_pandas()["duration_ns"].tolist() == pytest.approx([13e6, 25e6], rel=0.05)
    examples = await client.run(queries.trace_examples(service=service, start="now-1h"))
    assert [each["slowest"]["duration_ns"] for step in examples["steps"] for each in step["examples"]] == [SPANS * 10**6]
    assert list(await client.run(queries.service_map(service=service, start="now-1h"))) == []


async def test_a_trace_is_analysed(client: AsyncTidegaugeClient, service: str) -> None:
    first, second, *_ = await client.run(queries.traces(service=service, start="now-1h"))
    analysis = await client.run(queries.trace_analysis(first.trace_id))
    assert [each["duration_ns"] for each in analysis["critical_path"]] == [first.duration_ns]
    compared = await client.run(queries.compare_traces(first.trace_id, second.trace_id))
    assert [place["duration_difference_ns"] for place in compared["places"]] == [second.duration_ns - first.duration_ns]


async def test_refusals_say_why(client: AsyncTidegaugeClient) -> None:
    with pytest.raises(errors.BadRequest, match="is not a duration"):
        await client.run(queries.metric_range("x", step="soon"))
    with pytest.raises(errors.NotFound, match="there is no metric"):
        await client.run(queries.metric_range("no.such.metric"))
    with pytest.raises(errors.BadRequest) as refused:
        await client.run(queries.sql("SELECT * FROM nowhere"))
    assert "nowhere" in refused.value.detail


async def test_both_clients_say_the_same(product: Product, client: AsyncTidegaugeClient, service: str) -> None:
    calls = [
        queries.applications(),
        queries.spans(service=service, start="now-1h"),
        queries.metric_rollups(service, "daily", start="now-1d"),
    ]

    def waiting() -> list[list[object]]:
        with TidegaugeClient(product.api_url) as other:
            return [list(other.run(call)) for call in calls]

    assert await asyncio.to_thread(waiting) == [list(await client.run(call)) for call in calls]


async def test_nobody_there_is_said() -> None:
    async with AsyncTidegaugeClient("http://127.0.0.1:9", retries=Retries(attempts=1)) as client:
        with pytest.raises(errors.ConnectionFailed, match=r"http://127\.0\.0\.1:9/api/v1/applications did not answer"):
            await client.run(queries.applications())
