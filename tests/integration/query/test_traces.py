"""Traces and spans through the API."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.integration.query.conftest import Client, resource, span, text

ONE_TRACE = "/api/v1/traces/{trace_id}"
SPANS = "/api/v1/traces"


async def search(client: Client, base_ns: int, **parameters: Any) -> list[str]:
    """Span ids that a search in the two hours from ``base_ns`` finds, in its order."""
    parameters = {"start": str(base_ns), "end": str(base_ns + 7_200_000_000_000)} | parameters
    return [row["span_id"].lstrip("0") for row in (await client.get(SPANS, **parameters))["spans"]]


async def test_a_trace_is_a_tree_with_children_by_start(client: Client, name: str, trace_id: str, base_ns: int) -> None:
    await client.send_spans(
        name,
        [
            span(trace_id, 3, base_ns + 30, parentSpanId=f"{1:016x}"),
            span(trace_id, 2, base_ns + 20, parentSpanId=f"{1:016x}"),
            span(trace_id, 1, base_ns + 10),
            span(trace_id, 0xFFFFFFFFFFFFFFFF, base_ns + 25, parentSpanId=f"{2:016x}"),
        ],
    )
    trace = await client.get(f"/api/v1/traces/{trace_id.upper()}", ONE_TRACE)
    (root,) = trace["spans"]
    assert [child["span_id"] for child in root["children"]] == [f"{2:016x}", f"{3:016x}"]
    assert root["children"][0]["children"][0]["span_id"] == "f" * 16
    assert trace["start_time_unix_nano"] == str(base_ns + 10)
    assert (trace["span_count"], trace["truncated"], trace["services"]) == (4, False, [name])


async def test_every_field_comes_back_equal(client: Client, name: str, trace_id: str, base_ns: int) -> None:
    values = [
        {"stringValue": "nul \0 and ünïcode"},
        {"boolValue": False},
        {"intValue": "9223372036854775807"},
        {"intValue": "0"},
        {"doubleValue": 1.0},
        {"doubleValue": 1e300},
        {"doubleValue": "NaN"},
        {"bytesValue": "AP8="},
        {"arrayValue": {"values": [{"intValue": "1"}, {}, {"stringValue": "1"}]}},
        {"kvlistValue": {"values": [{"key": "a", "value": {"doubleValue": 0.5}}]}},
        {},
    ]
    attributes = [{"key": f"k{index}", "value": value} for index, value in enumerate(values)]
    sent = span(
        trace_id,
        1,
        base_ns + 123_456_789,
        name="GET /cart",
        parentSpanId=f"{9:016x}",
        endTimeUnixNano=str(base_ns + 987_654_321),
        traceState="vendor=1",
        flags=0x301,
        kind=3,
        attributes=attributes,
        droppedAttributesCount=1,
        events=[{"timeUnixNano": str(base_ns + 1), "name": "e", "attributes": attributes[:3], "droppedAttributesCount": 2}],
        droppedEventsCount=3,
        links=[
            {
                "traceId": "ab" * 16,
                "spanId": "cd" * 8,
                "traceState": "x=y",
                "attributes": attributes[:1],
                "droppedAttributesCount": 4,
                "flags": 1,
            }
        ],
        droppedLinksCount=5,
        status={"code": 2, "message": "declined"},
    )
    scope = {"name": "lib", "version": "1.2", "attributes": attributes[1:4], "droppedAttributesCount": 6}
    group = {
        "resource": {
            "attributes": [text("service.name", name), *attributes],
            "droppedAttributesCount": 7,
            "entityRefs": [{"schemaUrl": "u", "type": "service", "idKeys": ["service.name"], "descriptionKeys": ["k0", "k1"]}],
        },
        "schemaUrl": "https://example.org/r\0",
        "scopeSpans": [{"scope": scope, "schemaUrl": "https://example.org/s\0", "spans": [sent]}],
    }
    await client.send("traces", [group])
    answer = await client.http.get(f"/api/v1/traces/{trace_id}", params={"format": "otlp"})
    assert answer.json() == {"resourceSpans": [group]}

    trace = await client.get(f"/api/v1/traces/{trace_id}", ONE_TRACE)
    (shown,) = trace["spans"]
    assert shown["attributes"] == attributes
    assert shown["detached"] == "orphan"
    assert (shown["kind"], shown["status"]) == ("CLIENT", {"code": "ERROR", "message": "declined"})
    assert shown["duration_ns"] == 864_197_532
    assert trace["resources"][shown["resource"]]["attributes"] == group["resource"]["attributes"]
    (entity,) = trace["resources"][shown["resource"]]["entity_refs"]
    assert entity == {"schema_url": "u", "type": "service", "id_keys": ["service.name"], "description_keys": ["k0", "k1"]}
    assert trace["scopes"][shown["scope"]]["version"] == "1.2"

    plain = await client.get(f"/api/v1/traces/{trace_id}", ONE_TRACE, attributes="map")
    assert plain["spans"][0]["attributes"]["k9"] == {"a": 0.5}


async def test_resources_and_scopes_that_differ_in_what_was_dropped(client: Client, name: str, trace_id: str, base_ns: int) -> None:
    groups = [
        {
            "resource": {"attributes": [text("service.name", name)], "droppedAttributesCount": number},
            "scopeSpans": [
                {"scope": {"name": "lib", "droppedAttributesCount": number + 10}, "spans": [span(trace_id, number, base_ns + number)]}
            ],
        }
        for number in (1, 2)
    ]
    await client.send("traces", groups)
    answer = await client.http.get(f"/api/v1/traces/{trace_id}", params={"format": "otlp"})
    assert answer.json() == {"resourceSpans": groups}


async def test_a_span_sent_twice_stands_once(client: Client, name: str, trace_id: str, base_ns: int) -> None:
    one, two = span(trace_id, 1, base_ns), span(trace_id, 2, base_ns + 5, parentSpanId=f"{1:016x}")
    await client.send_spans(name, [one])
    await client.send_spans(name, [one, two])  # regrouped: other bytes, the same spans
    trace = await client.get(f"/api/v1/traces/{trace_id}", ONE_TRACE)
    assert trace["span_count"] == 2
    found = await client.get(SPANS, service=name, start=str(base_ns))
    assert [row["span_id"] for row in found["spans"]] == [f"{2:016x}", f"{1:016x}"]
    assert [root["span_id"] for root in trace["spans"]] == [f"{1:016x}"]


async def test_spans_sent_over_hours_are_one_trace(client: Client, name: str, trace_id: str, base_ns: int) -> None:
    late = base_ns + 3 * 3_600_000_000_000
    await client.send_spans(name, [span(trace_id, 2, late, parentSpanId=f"{1:016x}")])
    await client.send_spans(f"{name}-2", [span(trace_id, 1, base_ns)])
    trace = await client.get(f"/api/v1/traces/{trace_id}", ONE_TRACE)
    assert trace["services"] == [name, f"{name}-2"]
    assert trace["spans"][0]["children"][0]["start_time_unix_nano"] == str(late)


async def test_spans_that_never_end_or_end_before_they_start(client: Client, name: str, trace_id: str, base_ns: int) -> None:
    never, earlier = "0", str(base_ns - 5)
    spans = [span(trace_id, 1, base_ns, endTimeUnixNano=never), span(trace_id, 2, base_ns + 9_000_000, endTimeUnixNano=earlier)]
    await client.send_spans(name, spans)
    trace = await client.get(f"/api/v1/traces/{trace_id}", ONE_TRACE)
    assert [one["end_time_unix_nano"] for one in trace["spans"]] == [never, earlier]
    (listed,) = (await client.get(SPANS, view="traces", service=name, start=str(base_ns)))["traces"]
    # No span ends before it starts, so that the trace lasts from the first start to the last one.
    assert listed["duration_ns"] == 9_000_000


async def test_a_trace_that_its_index_ends_before_it_starts(
    client: Client, database_dsn: str, name: str, trace_id: str, base_ns: int
) -> None:
    await client.send_spans(name, [span(trace_id, 1, base_ns, endTimeUnixNano="0"), span(trace_id, 2, base_ns + 9_000_000)])
    async with await psycopg.AsyncConnection.connect(database_dsn) as connection:
        # As a row was written by a version that believed what spans say.
        await connection.execute("UPDATE tidegauge.trace_index SET end_time = 'epoch' WHERE trace_id = %s", [trace_id])
    trace = await client.get(f"/api/v1/traces/{trace_id}", ONE_TRACE)
    assert [one["span_id"] for one in trace["spans"]] == [f"{1:016x}", f"{2:016x}"]


async def test_a_trace_longer_than_an_answer_says_so(client: Client, name: str, trace_id: str, base_ns: int) -> None:
    await client.send_spans(name, [span(trace_id, number, base_ns + number) for number in range(1, 202)])
    trace = await client.get(f"/api/v1/traces/{trace_id}", ONE_TRACE)
    assert (trace["truncated"], trace["span_count"], len(trace["spans"])) == (True, 201, 200)
    problem = await client.refused(f"/api/v1/traces/{trace_id}", 413, format="otlp")
    assert problem["detail"] == "the trace has 201 spans, the limit is 200"
    assert "TIDEGAUGE_API_MAX_TRACE_SPANS" in problem["hint"]


async def test_a_trace_that_is_not_there(client: Client, trace_id: str) -> None:
    assert trace_id in (await client.refused(f"/api/v1/traces/{trace_id}", 404))["detail"]
    assert (await client.refused("/api/v1/traces/xyz"))["errors"][0]["parameter"] == "trace_id"


async def test_filters(client: Client, name: str, trace_id: str, base_ns: int) -> None:
    attributes = [text("http.route", "/cart"), {"key": "http.status_code", "value": {"intValue": "200"}}, text("port", "200")]
    await client.send_spans(
        name,
        [
            span(trace_id, 1, base_ns + 1, name="GET", attributes=attributes),
            span(trace_id, 2, base_ns + 2, kind=3, endTimeUnixNano=str(base_ns + 2_000_000_002)),
            span(trace_id, 3, base_ns + 3, status={"code": 2}, attributes=[{"key": "ok", "value": {"boolValue": True}}]),
        ],
    )
    for parameters, found in (
        ({}, ["3", "2", "1"]),
        ({"operation": "GET"}, ["1"]),
        ({"kind": "client"}, ["2"]),
        ({"status": "error"}, ["3"]),
        ({"min_duration": "1.5s"}, ["2"]),
        ({"max_duration": "1000us"}, ["3", "1"]),
        ({"attribute": "http.route=/cart"}, ["1"]),
        ({"attribute": "http.status_code=200"}, ["1"]),
        ({"attribute": "port=200"}, ["1"]),
        ({"attribute": 'http.status_code="200"'}, []),
        ({"attribute": ["http.status_code=200", "port=200"]}, ["1"]),
        ({"attribute": ["http.status_code=200", "ok=true"]}, []),
        ({"attribute": ["port=200", "port=201"]}, []),
        ({"attribute": "ok"}, ["3"]),
        ({"attribute": "ok=true"}, ["3"]),
        ({"start": str(base_ns + 2_000), "end": "now"}, []),
    ):
        assert await search(client, base_ns, service=name, **parameters) == found, parameters


async def test_pages_neither_repeat_nor_skip_at_equal_times(client: Client, name: str, base_ns: int) -> None:
    start = base_ns + 5_000
    sent = [
        span(f"{trace:032x}", number, start + extra)
        for trace in (1, 0xF << 124)
        for number in (1, 2, 0xF << 60)
        for extra in (0, 1, 999)
        if (number + extra) % 3
    ]
    await client.send_spans(name, sent)
    seen, cursor = [], None
    while True:
        page = await client.get(SPANS, service=name, start=str(base_ns), limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [(row["trace_id"], row["span_id"], row["start_time_unix_nano"]) for row in page["spans"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == sorted((one["traceId"], one["spanId"], one["startTimeUnixNano"]) for one in sent)
    assert [int(time) for _, _, time in seen] == sorted((int(time) for _, _, time in seen), reverse=True)


async def test_traces_are_listed_by_their_index(client: Client, name: str, trace_id: str, base_ns: int) -> None:
    other = trace_id[::-1]
    await client.send(
        "traces",
        [
            {
                "resource": resource(service),
                "scopeSpans": [
                    {
                        "spans": [
                            span(trace_id, number, base_ns + number * 1_000_000, status={"code": status}, **parent),
                        ]
                    }
                ],
            }
            for service, number, status, parent in ((name, 1, 0, {}), (f"{name}-2", 2, 2, {"parentSpanId": f"{1:016x}"}))
        ],
    )
    await client.send_spans(name, [span(other, 7, base_ns, parentSpanId=f"{8:016x}")])
    listed = await client.get(SPANS, view="traces", service=name, start=str(base_ns))
    first, second = listed["traces"]
    assert (first["trace_id"], first["span_count"], first["error_count"]) == (trace_id, 2, 1)
    assert first["services"] == [name, f"{name}-2"]
    assert first["root"] == {"span_id": f"{1:016x}", "service": name, "name": "work", "duration_ns": 1_000_000}
    assert first["duration_ns"] == 2_000_000
    assert (second["trace_id"], second["root"]) == (other, None)

    page = await client.get(SPANS, view="traces", service=name, start=str(base_ns), limit=1)
    rest = await client.get(SPANS, view="traces", service=name, start=str(base_ns), limit=1, cursor=page["next_cursor"])
    assert [one["trace_id"] for one in page["traces"] + rest["traces"]] == [trace_id, other]
    assert rest["next_cursor"] is None

    failed = await client.get(SPANS, view="traces", service=f"{name}-2", start=str(base_ns), status="error")
    assert [one["trace_id"] for one in failed["traces"]] == [trace_id]
    both = {"view": "traces", "service": name, "start": str(base_ns)}
    assert [one["trace_id"] for one in (await client.get(SPANS, operation="work", kind="server", **both))["traces"]] == [trace_id, other]
    assert (await client.get(SPANS, operation="GET", **both))["traces"] == []
    problem = await client.refused(SPANS, errors="true")
    assert problem["errors"][0]["parameter"] == "errors"


@pytest.mark.parametrize("parameters", [{"servce": "x"}, {"limit": "51"}, {"kind": "sideways"}, {"start": "soon"}, {"cursor": "zzz"}])
async def test_what_cannot_be_read_is_named(client: Client, parameters: dict[str, str]) -> None:
    problem = await client.refused(SPANS, **parameters)
    assert [fault["parameter"] for fault in problem["errors"]] == list(parameters)
