"""What was rejected, through the API, as SQL and as the sender hears it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import psycopg
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.integration.query.conftest import Client, resource, span, text
from tests.servers.timescaledb import TestDatabase

REJECTIONS = "/api/v1/rejections"
DAY_NS = 86_400_000_000_000


async def post(client: Client, signal: str, body: dict[str, Any] | bytes) -> str:
    """Export something that is not stored wholly; returns what the sender hears."""
    if isinstance(body, bytes):
        answer = await client.http.post(f"/v1/{signal}", content=body, headers={"content-type": "application/x-protobuf"})
    else:
        answer = await client.http.post(f"/v1/{signal}", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["partialSuccess"].get("errorMessage", "")) if answer.headers["content-type"] == "application/json" else ""


def spans(service: str, *found: dict[str, Any]) -> dict[str, Any]:
    return {"resourceSpans": [{"resource": resource(service), "scopeSpans": [{"spans": found}]}]}


async def test_every_way_in_which_data_is_lost_or_changed(client: Client, name: str, trace_id: str, base_ns: int) -> None:
    request = ExportTraceServiceRequest()
    sent = request.resource_spans.add()
    sent.resource.attributes.add(key="service.name").value.string_value = name
    bad = sent.scope_spans.add().spans.add(trace_id=b"short", span_id=bytes(range(8)), name="bad ids", start_time_unix_nano=base_ns)
    bad.attributes.add(key="route").value.string_value = "/cart"
    await post(client, "traces", request.SerializeToString())
    points = ExportMetricsServiceRequest()
    of = points.resource_metrics.add()
    of.resource.attributes.add(key="service.name").value.string_value = name
    of.scope_metrics.add().metrics.add(name="m").gauge.data_points.add(time_unix_nano=base_ns)
    await post(client, "metrics", points.SerializeToString())
    await post(client, "traces", spans(name, span(trace_id, 1, base_ns - 60 * DAY_NS, attributes=[text("route", "/old")])))
    await post(client, "traces", spans(name, span(trace_id, 2, base_ns + DAY_NS)))
    replaced = ExportTraceServiceRequest.FromString(request.SerializeToString())
    fine = replaced.resource_spans[0].scope_spans[0].spans[0]
    fine.trace_id, fine.name = bytes.fromhex(trace_id), "REPLACED"
    await post(client, "traces", replaced.SerializeToString().replace(b"REPLACED", b"caf\xe9 \xff\xfe\xfd"))

    page = await client.get(REJECTIONS, service=name)
    found = {row["reason"]: row for row in page["rejections"]}
    assert set(found) == {"invalid_trace_id", "missing_value", "too_old", "too_far_ahead"}
    assert {row["items"] for row in found.values()} == {1}
    assert {reason: row["signal"] for reason, row in found.items()}["missing_value"] == "metrics"
    sample = found["invalid_trace_id"]["sample"]
    assert (sample["format"], sample["message"], sample["is_whole"]) == ("otlp_json", "Span", True)
    assert sample["value"]["traceId"] == b"short".hex()
    assert sample["value"]["spanId"] == bytes(range(8)).hex()
    assert sample["value"]["attributes"] == [text("route", "/cart")]
    assert found["missing_value"]["sample"]["message"] == "NumberDataPoint"
    assert found["missing_value"]["sample"]["value"]["timeUnixNano"] == str(base_ns)
    old = found["too_old"]["sample"]
    assert old["format"] == "json"
    assert (old["value"]["service"], old["value"]["trace_id"], old["value"]["attributes"]) == (name, trace_id, {"route": "/old"})
    # Whose strings cannot be read is not known: its name may be among them. Nothing was refused.
    changed = [row for row in (await client.get(REJECTIONS, reason="invalid_text", service=""))["rejections"] if row["items"] == 0]
    assert any(row["sample"]["value"].get("traceId") == trace_id for row in changed)

    summary = await client.get(f"{REJECTIONS}/summary", service=name, start="now-5m", end="now+5m")
    assert [(row["signal"], row["reason"], row["items"]) for row in summary["counts"]] == [
        ("traces", "invalid_trace_id", 1),
        ("traces", "too_far_ahead", 1),
        ("traces", "too_old", 1),
        ("metrics", "missing_value", 1),
    ]
    assert summary["counts"][0]["services"] == [{"service": name, "items": 1}]
    assert [row["reason"] for row in (await client.get(f"{REJECTIONS}/summary", service=name, signal="metrics"))["counts"]] == [
        "missing_value"
    ]


async def test_an_item_of_json_that_cannot_be_read(client: Client, database: TestDatabase, name: str, trace_id: str, base_ns: int) -> None:
    said = await post(client, "traces", spans(name, span(trace_id, 1, base_ns, kind="NO_SUCH_KIND", name=name)))
    rows = (await client.get(REJECTIONS, reason="malformed_item", limit=50))["rejections"]
    (row,) = [row for row in rows if row["sample"]["value"]["name"] == name]
    assert row["message"] in said
    assert (row["items"], row["service"], row["sample"]["format"], row["sample"]["value"]["kind"]) == (1, None, "json", "NO_SUCH_KIND")
    async with await psycopg.AsyncConnection.connect(database.reader_dsn or database.owner_dsn, prepare_threshold=None) as connection:
        cursor = await connection.execute(
            """SELECT signal, reason, items, service, sample_type, sample_json::jsonb ->> 'name'
               FROM analytics.rejections WHERE rejection_id = %s""",
            (row["rejection_id"],),
        )
        assert await cursor.fetchone() == ("traces", "malformed_item", 1, None, "json", name)


async def test_a_flood_makes_few_rows_and_every_item_is_counted(client: Client, database: TestDatabase, name: str, base_ns: int) -> None:
    def bad(number: int) -> dict[str, Any]:
        ids = (f"{request:08x}{number:024x}" for request in (number, number + 1))
        return spans(name, *(span(trace_id, 1, base_ns - 60 * DAY_NS, attributes=[text("padding", "x" * 500)]) for trace_id in ids))

    await asyncio.gather(*(post(client, "traces", bad(number)) for number in range(1, 151)))
    rows = (await client.get(REJECTIONS, service=name, limit=50))["rejections"]
    assert sum(row["items"] for row in rows) == 300
    own, sums = [row for row in rows if not row["is_sum"]], [row for row in rows if row["is_sum"]]
    # The minute may have turned meanwhile; one worker has a few connections.
    assert 10 <= len(own) <= 20 + 10
    assert 1 <= len(sums) <= 12
    assert all(row["sample"] and row["digest"] for row in own)
    assert not any(row["sample"] or row["digest"] for row in sums)
    (count,) = (await client.get(f"{REJECTIONS}/summary", service=name, start="now-5m"))["counts"]
    assert (count["reason"], count["items"]) == ("too_old", 300)


async def test_pages_neither_repeat_nor_skip(client: Client, name: str, trace_id: str, base_ns: int) -> None:
    faults = [{"traceId": ""}, {"spanId": "00"}, {"startTimeUnixNano": "0"}, {"parentSpanId": "ab"}]
    for number in range(2):
        found = [span(trace_id, 9, base_ns + number) | fault for fault in faults]
        await post(client, "traces", spans(name, *found))
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await client.get(REJECTIONS, service=name, limit=3, **cursor)
        seen += [row["rejection_id"] for row in page["rejections"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert len(seen) == len(set(seen)) == 8
    problem = await client.refused("/api/v1/logs", cursor=cursor["cursor"])
    assert "cursor" in json.dumps(problem)


@pytest.mark.parametrize("parameters", [{"signal": "profiles"}, {"start": "never"}, {"cursor": "x"}, {"reasons": "too_old"}])
async def test_what_cannot_be_read_is_named(client: Client, parameters: dict[str, str]) -> None:
    problem = await client.refused(REJECTIONS, **parameters)
    assert [fault["parameter"] for fault in problem["errors"]] == list(parameters)
