"""What Jaeger's published tests of a trace store ask for (its repository, internal/storage/integration), asked of this one.

The scenarios are theirs: services, operations, a trace by id, a large trace, spans that came twice, search by service, operation, tags in
each of the places where they may stand and in several at once, durations, bounds of time, limits, and several of these together. The spans
and questions are our own. Jaeger's tags of a process are attributes of the resource here, its logs are events; where it looks for a tag in
every place, a condition here says which is meant. Its operations have a kind, ours are names.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.query.conftest import HOUR_NS, Client, span, text

SEARCH = "/api/v1/traces"
MINUTE_NS = HOUR_NS // 60


@dataclass(frozen=True)
class Shop:
    """Traces of a small shop by a name each; services have a prefix of their own."""

    prefix: str
    start_ns: int
    ids: dict[str, str]


def _sent(trace_id: str, number: int, start_ns: int, duration_ns: int = 1_000_000, **fields: Any) -> dict[str, Any]:
    parent = {} if number == 1 else {"parentSpanId": f"{1:016x}"}
    return span(trace_id, number, start_ns, endTimeUnixNano=str(start_ns + duration_ns), **parent, **fields)


async def _send(
    client: Client, service: str, spans: list[dict[str, Any]], *process: dict[str, Any], scope: dict[str, Any] | None = None
) -> None:
    attributes = {"attributes": [text("service.name", service), *process]}
    await client.send("traces", [{"resource": attributes, "scopeSpans": [{"scope": scope or {}, "spans": spans}]}])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(client: Client, base_ns: int) -> Shop:
    """Traces a minute apart."""
    prefix = f"j{uuid.uuid4().hex[:8]}"
    names = [
        "tag",
        "log",
        "process",
        "scattered",
        "types",
        "slow",
        "across",
        "late",
        "twice",
        "scope",
        "link",
        "star",
        "starred",
        "elsewhere",
    ]
    ids = {one: uuid.uuid4().hex for one in names}
    at = {one: base_ns + number * MINUTE_NS for number, one in enumerate(names)}
    colour = text("colour", "green")
    event = {"timeUnixNano": str(base_ns), "name": "checked", "attributes": [colour]}
    number, flag = {"key": "size", "value": {"intValue": "42"}}, {"key": "fresh", "value": {"boolValue": True}}
    orders = f"{prefix}-orders"
    await _send(client, orders, [_sent(ids["tag"], 1, at["tag"], attributes=[colour])])
    await _send(client, orders, [_sent(ids["log"], 1, at["log"], events=[event])])
    await _send(client, orders, [_sent(ids["process"], 1, at["process"])], colour)
    await _send(
        client,
        orders,
        [_sent(ids["scattered"], 1, at["scattered"], attributes=[text("size", "small")], events=[event])],
        text("rack", "r1"),
    )
    await _send(client, orders, [_sent(ids["types"], 1, at["types"], attributes=[number, flag, text("empty", "")])])
    await _send(client, orders, [_sent(ids["slow"], 1, at["slow"], 3_000_000_000, name="pay")])
    await _send(client, orders, [_sent(ids["across"], 1, at["across"], 500_000_000, name="buy", attributes=[colour])])
    await _send(client, f"{prefix}-stock", [_sent(ids["across"], 2, at["across"] + 1000, 400_000_000, name="reserve")])
    await _send(client, orders, [_sent(ids["late"], 1, at["late"] + 2 * HOUR_NS, name="buy")])
    double = _sent(ids["twice"], 1, at["twice"], name="twice")
    await _send(client, f"{prefix}-copies", [double])
    await _send(client, f"{prefix}-copies", [double, _sent(ids["twice"], 2, at["twice"] + 1000, name="once")])
    places = f"{prefix}-places"
    scope = {"name": "till", "version": "2", "attributes": [colour, number, flag]}
    await _send(client, places, [_sent(ids["scope"], 1, at["scope"])], scope=scope)
    links = [
        {"traceId": ids["tag"], "spanId": f"{1:016x}", "attributes": [colour, number]},
        {"traceId": ids["log"], "spanId": f"{1:016x}", "attributes": [flag]},
    ]
    await _send(client, places, [_sent(ids["link"], 1, at["link"], links=links)])
    for one, value in (("star", "green*"), ("starred", "greenish")):
        await _send(client, places, [_sent(ids[one], 1, at[one], attributes=[text("colour", value), text(prefix, "yes")])])
    await _send(client, f"{prefix}-elsewhere", [_sent(ids["elsewhere"], 1, at["elsewhere"], attributes=[text(prefix, "yes")])])
    return Shop(prefix, base_ns, ids)


async def _found(client: Client, shop: Shop, **parameters: Any) -> list[str]:
    """Names of the traces that a search finds, in its order."""
    service = f"{shop.prefix}-{parameters.pop('service', 'orders')}"
    time = {"start": str(shop.start_ns), "end": str(shop.start_ns + HOUR_NS)}
    page = await client.get(SEARCH, view="traces", **(time | parameters), service=service)
    names = {trace_id: name for name, trace_id in shop.ids.items()}
    return [names[one["trace_id"]] for one in page["traces"]]


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, ["across", "slow", "types", "scattered", "process", "log", "tag"]),
        ({"service": "stock"}, ["across"]),
        ({"service": "nobody"}, []),
        ({"operation": "buy"}, ["across"]),
        ({"operation": "reserve"}, []),
        ({"operation": "reserve", "service": "stock"}, ["across"]),
        ({"attribute": "colour=green"}, ["across", "tag"]),
        ({"attribute": "event:colour=green"}, ["scattered", "log"]),
        ({"attribute": "resource:colour=green"}, ["process"]),
        ({"attribute": ["size=small", "event:colour=green", "resource:rack=r1"]}, ["scattered"]),
        ({"attribute": ["size=small", "colour=green"]}, []),
        ({"attribute": "colour=red"}, []),
        ({"attribute": ["size=42", "fresh=true"]}, ["types"]),
        ({"attribute": "empty="}, ["types"]),
        ({"min_duration": "1s"}, ["slow"]),
        ({"max_duration": "1ms"}, ["types", "scattered", "process", "log", "tag"]),
        ({"min_duration": "100ms", "max_duration": "1s"}, ["across"]),
        ({"operation": "pay", "min_duration": "2s", "max_duration": "4s"}, ["slow"]),
        ({"operation": "buy", "attribute": "colour=green", "min_duration": "100ms", "max_duration": "1s"}, ["across"]),
        ({"operation": "pay", "attribute": "colour=green"}, []),
        ({"limit": 2}, ["across", "slow"]),
        ({"service": "places", "attribute": ["scope:colour=green", "scope:size=42", "scope:fresh=true"]}, ["scope"]),
        ({"service": "places", "attribute": ["link:colour=green", "link:size=42"]}, ["link"]),
        ({"service": "places", "attribute": ["link:colour=green", "link:fresh=true"]}, []),
        ({"service": "places", "attribute": r"colour=green*"}, ["star"]),
        ({"service": "places", "attribute": r"colour=~green\*"}, ["star"]),
        ({"service": "places", "attribute": "colour=~green.*"}, ["starred", "star"]),
    ],
)
async def test_search(client: Client, shop: Shop, parameters: dict[str, Any], found: list[str]) -> None:
    assert await _found(client, shop, **parameters) == found


async def test_bounds_of_time_are_the_first_moment_and_the_one_behind(client: Client, shop: Shop) -> None:
    first, behind = str(shop.start_ns + MINUTE_NS), str(shop.start_ns + 3 * MINUTE_NS)
    assert await _found(client, shop, start=first, end=behind) == ["process", "log"]
    assert await _found(client, shop, start=str(shop.start_ns + HOUR_NS), end=str(shop.start_ns + 4 * HOUR_NS)) == ["late"]


async def test_services_and_their_operations(client: Client, shop: Shop) -> None:
    services = await client.get("/api/v1/services", prefix=f"{shop.prefix}-")
    assert services == {
        "services": [f"{shop.prefix}-{one}" for one in ("copies", "elsewhere", "orders", "places", "stock")],
        "truncated": False,
    }
    operations = (await client.get("/api/v1/operations", service=f"{shop.prefix}-orders"))["operations"]
    assert [one["name"] for one in operations] == ["buy", "pay", "work"]
    assert {one["service"] for one in operations} == {f"{shop.prefix}-orders"}
    operations = (await client.get("/api/v1/operations", service=f"{shop.prefix}-orders", prefix="p"))["operations"]
    assert [one["name"] for one in operations] == ["pay"]
    assert (await client.get("/api/v1/operations", service="nobody"))["operations"] == []


async def test_a_trace_over_services_is_read_whole(client: Client, shop: Shop) -> None:
    trace = await client.get(f"{SEARCH}/{shop.ids['across']}", f"{SEARCH}/{{trace_id}}")
    (root,) = trace["spans"]
    assert (root["name"], [one["name"] for one in root["children"]]) == ("buy", ["reserve"])
    assert trace["services"] == [f"{shop.prefix}-orders", f"{shop.prefix}-stock"]


async def test_spans_that_came_twice_stand_once(client: Client, shop: Shop) -> None:
    trace = await client.get(f"{SEARCH}/{shop.ids['twice']}", f"{SEARCH}/{{trace_id}}")
    assert (trace["span_count"], len(trace["spans"]), len(trace["spans"][0]["children"])) == (2, 1, 1)
    assert await _found(client, shop, service="copies") == ["twice"]


async def test_traces_of_several_services_are_found_without_naming_one(client: Client, shop: Shop) -> None:
    time = {"start": str(shop.start_ns), "end": str(shop.start_ns + HOUR_NS)}
    page = await client.get(SEARCH, view="traces", attribute=f"{shop.prefix}=yes", **time)
    assert [one["trace_id"] for one in page["traces"]] == [shop.ids[one] for one in ("elsewhere", "starred", "star")]


async def test_a_trace_that_nobody_sent(client: Client) -> None:
    await client.refused(f"{SEARCH}/{uuid.uuid4().hex}", 404)


async def test_a_trace_over_days_is_found_and_read_whole(client: Client, shop: Shop) -> None:
    trace_id, service, first = uuid.uuid4().hex, f"{shop.prefix}-days", shop.start_ns - 30 * HOUR_NS
    await _send(client, service, [_sent(trace_id, number, first + number * 10 * HOUR_NS) for number in (1, 2, 3)])
    found = await client.get(SEARCH, view="traces", service=service, start=str(first), end=str(shop.start_ns + HOUR_NS))
    assert [(one["trace_id"], one["span_count"]) for one in found["traces"]] == [(trace_id, 3)]
    assert (await client.get(f"{SEARCH}/{trace_id}", f"{SEARCH}/{{trace_id}}"))["span_count"] == 3


async def test_spans_that_share_an_id_but_not_their_time_are_all_found(client: Client, shop: Shop) -> None:
    # Jaeger's own tests want all of them in the trace as well. An id is one span's there (OpenTelemetry's data model has it so).
    trace_id, service = uuid.uuid4().hex, f"{shop.prefix}-shared"
    await _send(client, service, [_sent(trace_id, 7, shop.start_ns + number * MINUTE_NS) for number in range(3)])
    found = await client.get(SEARCH, service=service, start=str(shop.start_ns), end=str(shop.start_ns + HOUR_NS))
    assert len(found["spans"]) == 3
    assert (await client.get(f"{SEARCH}/{trace_id}", f"{SEARCH}/{{trace_id}}"))["span_count"] == 1


async def test_a_large_trace(client: Client, shop: Shop) -> None:
    trace_id, service = uuid.uuid4().hex, f"{shop.prefix}-large"
    spans = [_sent(trace_id, number, shop.start_ns + number * 1000) for number in range(1, 200)]
    for part in range(0, 199, 50):
        await _send(client, service, spans[part : part + 50])
    trace = await client.get(f"{SEARCH}/{trace_id}", f"{SEARCH}/{{trace_id}}")
    assert (trace["span_count"], len(trace["spans"][0]["children"])) == (199, 198)
    (listed,) = (await client.get(SEARCH, view="traces", service=service, start=str(shop.start_ns)))["traces"]
    assert (listed["span_count"], listed["root"]["span_id"]) == (199, f"{1:016x}")
