"""Logs through the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.query.conftest import Client, span, text

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


async def read_all(client: Client, path: str = LOGS, **parameters: Any) -> list[Any]:
    seen, cursor = [], None
    while True:
        template = None if path == LOGS else "/api/v1/traces/{trace_id}/logs"
        page = await client.get(path, template, attributes="map", **parameters, **({"cursor": cursor} if cursor else {}))
        seen += [row["body"] for row in page["logs"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return seen


async def test_both_orders_and_back_again(client: Client, name: str, base_ns: int) -> None:
    await client.send_logs(name, [record(base_ns + place // 3, f"n{place}") for place in range(12)])
    options = {"service": name, "start": str(base_ns), "limit": 5}
    oldest_first = await read_all(client, order="asc", **options)
    assert sorted(oldest_first) == sorted(f"n{place}" for place in range(12))
    assert await read_all(client, **options) == oldest_first[::-1]
    first = await client.get(LOGS, order="asc", attributes="map", **options)
    back = await client.get(LOGS, order="desc", attributes="map", **(options | {"cursor": first["next_cursor"]}))
    assert [row["body"] for row in back["logs"]] == [row["body"] for row in first["logs"]][:-1][::-1]


async def test_a_record_by_its_id_leads_to_its_trace_and_back(client: Client, name: str, trace_id: str, base_ns: int) -> None:
    await client.send_spans(name, [span(trace_id, 7, base_ns)])
    fields = {"traceId": trace_id, "spanId": f"{7:016x}"}
    await client.send_logs(name, [record(base_ns + 2, "second", **fields), record(base_ns + 1, "first", traceId=trace_id)])
    await client.send_logs(name, [record(base_ns + 3, "elsewhere")])
    (found,) = (await client.get(LOGS, start=str(base_ns), span_id=f"{7:016x}", trace_id=trace_id))["logs"]
    alone = await client.get(found["links"]["self"], f"{LOGS}/{{log_id}}")
    assert alone["log"] == found
    trace = await client.get(found["links"]["trace"], "/api/v1/traces/{trace_id}")
    assert trace["spans"][0]["span_id"] == found["span_id"]
    assert await read_all(client, found["links"]["trace_logs"], limit=1) == ["first", "second"]
    assert await read_all(client, found["links"]["trace_logs"], order="desc", text="first") == ["first"]
    of_span = await client.get(found["links"]["span_logs"], "/api/v1/traces/{trace_id}/spans/{span_id}/logs")
    assert of_span["logs"] == [found]
    await client.refused(f"{LOGS}/{'0' * 32}-1", 404)
    assert (await client.refused(f"{LOGS}/abc"))["errors"][0]["parameter"] == "log_id"


async def test_counts_over_time_by_severity(client: Client, name: str, base_ns: int) -> None:
    minute = 60_000_000_000
    times = [(0, 9), (1, 17), (minute - 1, 17), (minute, 17), (3 * minute, 0)]
    await client.send_logs(name, [record(base_ns + offset, "x", severityNumber=severity) for offset, severity in times])
    options = {"service": name, "start": str(base_ns + 1), "end": str(base_ns + 4 * minute), "step": "1m"}
    answer = await client.get(f"{LOGS}/count", **options)
    assert (answer["count"], answer["step_seconds"]) == (5, 60)
    start = base_ns / 1e9
    assert {one["severity"]: one["points"] for one in answer["severities"]} == {
        "UNSPECIFIED": [[start + 180, 1]],
        "INFO": [[start, 1]],
        "ERROR": [[start, 2], [start + 60, 1]],
    }
    narrowed = await client.get(f"{LOGS}/count", min_severity="error", text="x", **options)
    assert [(one["severity_number"], one["count"]) for one in narrowed["severities"]] == [(17, 3)]
    assert (await client.get(f"{LOGS}/count", text="nothing", **options))["severities"] == []
    assert (await client.refused(f"{LOGS}/count", step="1us"))["errors"][0]["parameter"] == "step"
    assert (await client.refused(f"{LOGS}/count", start="2020-01-01", step="1s"))["errors"][0]["parameter"] == "step"


async def test_top_values(client: Client, name: str, trace_id: str, base_ns: int) -> None:
    values: list[dict[str, Any]] = [
        {"stringValue": "b"},
        {"stringValue": "b"},
        {"stringValue": "é"},
        {"stringValue": "B"},
        {"intValue": "5"},
        {"boolValue": True},
        {"arrayValue": {"values": [{"stringValue": "b"}]}},
        {"kvlistValue": {"values": []}},
        {"stringValue": ""},
        {},
    ]
    fields = {"severityNumber": 18, "eventName": "e.v", "traceId": trace_id}
    await client.send_logs(name, [record(base_ns, "x", attributes=[{"key": "k.1", "value": value}], **fields) for value in values])
    await client.send_logs(name, [record(base_ns + 1, "x")])

    async def top(field: str, **more: Any) -> list[tuple[str, int]]:
        answer = await client.get(f"{LOGS}/top", field=field, start=str(base_ns), service=name, **more)
        return [(one["value"], one["count"]) for one in answer["values"]]

    assert await top("attributes.k.1") == [("b", 2), ("5", 1), ("B", 1), ("true", 1), ("é", 1)]
    assert await top("attributes.k.1", limit=1) == [("b", 2)]
    assert await top("service") == [(name, 11)]
    assert await top("severity") == [("ERROR2", 10), ("UNSPECIFIED", 1)]
    assert await top("event_name") == [("e.v", 10)]
    assert await top("trace_id") == [(trace_id, 10)]
    assert await top("scope") == []
    assert await top("attributes.absent") == []
    for wrong in ("level", "attributes."):
        assert (await client.refused(f"{LOGS}/top", field=wrong))["errors"][0]["parameter"] == "field"


async def test_what_stands_before_and_after(client: Client, name: str, base_ns: int) -> None:
    await client.send_logs(name, [record(base_ns + 500 + place // 2, f"n{place}", severityNumber=9 + place % 2) for place in range(9)])
    page = await client.get(LOGS, start=str(base_ns), service=name, order="asc", attributes="map")
    order = [row["body"] for row in page["logs"]]
    for place, row in enumerate(page["logs"]):
        found = await client.get(row["links"]["context"], f"{LOGS}/{{log_id}}/context", service=name, before=2, after=3, attributes="map")
        assert [one["body"] for one in found["before"]] == order[max(0, place - 2) : place]
        assert found["log"]["body"] == row["body"]
        assert [one["body"] for one in found["after"]] == order[place + 1 : place + 4]
    middle = await client.get(
        page["logs"][4]["links"]["context"], f"{LOGS}/{{log_id}}/context", service=name, severity="info2", attributes="map"
    )
    assert {row["severity_number"] for row in middle["before"] + middle["after"]} == {10}
    await client.refused(f"{LOGS}/{'0' * 32}-1/context", 404)


async def test_deletion_needs_a_time_range_and_says_how_many(client: Client, name: str, base_ns: int) -> None:
    await client.send_logs(name, [record(base_ns + place, f"n {place}") for place in range(6)])
    for parameters in ({}, {"start": str(base_ns)}, {"end": "now"}):
        refused = await client.http.delete(LOGS, params={"service": name, **parameters})
        assert refused.status_code == 400, refused.text
    gone = await client.http.delete(LOGS, params={"service": name, "start": str(base_ns), "end": "now", "text": "0 or 5"})
    assert (gone.status_code, gone.json()) == (200, {"deleted": 2})
    assert sorted(await bodies(client, base_ns, service=name)) == [f"n {place}" for place in range(1, 5)]


@pytest.mark.parametrize("key", ["correlation_id", "correlation.id", "x-correlation-id"])
async def test_correlation_ids(client: Client, name: str, base_ns: int, key: str) -> None:
    attributes = [[text(key, name)], [text(key, name + "x")], [text("other", name)], [{"key": key, "value": {"intValue": "5"}}]]
    await client.send_logs(name, [record(base_ns, f"n{place}", attributes=each) for place, each in enumerate(attributes)])
    assert await bodies(client, base_ns, correlation_id=name) == ["n0"]
    assert await bodies(client, base_ns, service=name, correlation_id="5") == []


SENTENCES = ["user_id=42 failed", "payment failed", "failed payment, retried", "GET /cart/7 10.0.0.1", "MÜNCHEN <b>fett</b> &amp; 1-2", ""]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("payment failed", {1, 2}),
        ('"payment failed"', {1}),
        ("user_id", {0}),
        ("10.0.0.1", {3}),
        ("10.0.1", set()),
        ("cart/7 or münchen", {3, 4}),
        ("failed -payment", {0}),
        ("-failed", {3, 4, 5}),
        ("amp b 1", {4}),
        ("***", set()),
        ('payment -"failed payment"', {1}),
    ],
)
async def test_text(client: Client, name: str, base_ns: int, query: str, found: set[int]) -> None:
    await client.send_logs(name, [record(base_ns + place, body) for place, body in enumerate(SENTENCES)])
    page = await client.get(LOGS, start=str(base_ns), service=name, text=query)
    assert {int(row["time_unix_nano"]) - base_ns for row in page["logs"]} == found
