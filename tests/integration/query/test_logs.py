"""Logs through the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.query.conftest import Client, text

LOGS = "/api/v1/logs"


def record(time_ns: int, body: Any, **fields: Any) -> dict[str, Any]:
    return {"timeUnixNano": str(time_ns), "body": {"stringValue": body} if isinstance(body, str) else body} | fields


async def bodies(client: Client, base_ns: int, **parameters: Any) -> list[Any]:
    found = await client.get(LOGS, **({"start": str(base_ns), "attributes": "map"} | parameters))
    return [row["body"] for row in found["logs"]]


async def test_filters(client: Client, name: str, trace_id: str, base_ns: int) -> None:
    await client.send_logs(
        name,
        [
            record(base_ns + 1, "payment declined", severityNumber=17, severityText="ERROR", traceId=trace_id, spanId=f"{5:016x}"),
            record(base_ns + 2, "payment accepted", severityNumber=9, attributes=[text("user", "u1")]),
            record(base_ns + 3, "cart emptied", severityNumber=18, attributes=[{"key": "n", "value": {"intValue": "3"}}]),
        ],
    )
    for parameters, found in (
        ({}, ["cart emptied", "payment accepted", "payment declined"]),
        ({"text": "payment"}, ["payment accepted", "payment declined"]),
        ({"text": "declined payment"}, ["payment declined"]),
        ({"text": "payment -declined"}, ["payment accepted"]),
        ({"severity": "error"}, ["cart emptied", "payment declined"]),
        ({"severity": "17"}, ["payment declined"]),
        ({"min_severity": "error2"}, ["cart emptied"]),
        ({"trace_id": trace_id}, ["payment declined"]),
        ({"trace_id": trace_id, "span_id": f"{6:016x}"}, []),
        ({"attribute": "user=u1"}, ["payment accepted"]),
        ({"attribute": "n=3"}, ["cart emptied"]),
        ({"start": "now-1m"}, []),
    ):
        assert await bodies(client, base_ns, service=name, **parameters) == found, parameters
    # Without a service, too.
    assert await bodies(client, base_ns, trace_id=trace_id) == ["payment declined"]
    assert await bodies(client, base_ns, service=f"{name}-none") == []


async def test_every_field_comes_back_equal(client: Client, name: str, trace_id: str, base_ns: int) -> None:
    body = {"kvlistValue": {"values": [text("a", "\0"), {"key": "b", "value": {"bytesValue": "AP8="}}]}}
    sent = record(
        base_ns + 123_456_789,
        body,
        observedTimeUnixNano=str(base_ns + 987_654_321),
        severityNumber=13,
        severityText="Warning",
        eventName="checkout",
        attributes=[text("k", "v"), {"key": "d", "value": {"doubleValue": 1e300}}],
        droppedAttributesCount=2,
        flags=1,
        traceId=trace_id,
        spanId=f"{7:016x}",
    )
    await client.send_logs(name, [sent])
    answer = await client.get(LOGS, service=name, start=str(base_ns))
    (found,) = answer["logs"]
    assert found["body"] == body
    assert found["attributes"] == sent["attributes"]
    assert (found["time_unix_nano"], found["observed_time_unix_nano"]) == (sent["timeUnixNano"], sent["observedTimeUnixNano"])
    assert found["timestamp"].endswith(".123456789Z")
    assert (found["severity_number"], found["severity_text"], found["event_name"]) == (13, "Warning", "checkout")
    assert (found["trace_id"], found["span_id"], found["flags"], found["dropped_attributes_count"]) == (trace_id, f"{7:016x}", 1, 2)
    assert answer["resources"][found["resource"]]["attributes"] == [text("service.name", name)]


async def test_a_record_without_times_of_its_own(client: Client, name: str, base_ns: int) -> None:
    await client.send_logs(name, [{"observedTimeUnixNano": str(base_ns + 5), "body": {"stringValue": "observed"}}])
    (found,) = (await client.get(LOGS, service=name, start=str(base_ns)))["logs"]
    assert (found["time_unix_nano"], found["observed_time_unix_nano"]) == ("0", str(base_ns + 5))
    assert found["timestamp"].endswith("000000005Z")


@pytest.mark.parametrize("by_service", [True, False])
async def test_pages_neither_repeat_nor_skip_at_equal_times(
    client: Client, name: str, trace_id: str, base_ns: int, by_service: bool
) -> None:
    filters = {"service": name} if by_service else {"trace_id": trace_id}
    for request in range(3):
        records = [record(base_ns + 7_000 + number % 2, f"{request}-{number}", traceId=trace_id) for number in range(5)]
        await client.send_logs(name, records)
    seen, cursor = [], None
    while True:
        page = await client.get(LOGS, start=str(base_ns), limit=2, attributes="map", **filters, **({"cursor": cursor} if cursor else {}))
        seen += [row["body"] for row in page["logs"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(f"{request}-{number}" for request in range(3) for number in range(5))


@pytest.mark.parametrize(
    "parameters", [{"levle": "x"}, {"severity": "loud"}, {"trace_id": "12"}, {"span_id": "12"}, {"text": " "}, {"attribute": "=x"}]
)
async def test_what_cannot_be_read_is_named(client: Client, parameters: dict[str, str]) -> None:
    problem = await client.refused(LOGS, **parameters)
    assert [fault["parameter"] for fault in problem["errors"]] == list(parameters)
