"""Trace analysis on a real database: the API and the analysts' functions, against what plain Python says."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from tests.integration.query.conftest import HOUR_NS, Client, span, text
from tests.servers.timescaledb import TestDatabase
from tidegauge.model.analysis import SpanTimes
from tidegauge.query.analysis.critical_path import critical_path, main_root
from tidegauge.query.analysis.self_time import self_times
from tidegauge.query.trace_tree import build

MINUTE_NS = 60_000_000_000
SERVER, CLIENT, PRODUCER, CONSUMER, INTERNAL = 2, 3, 4, 5, 1


def moment(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat()


@pytest.fixture
def sql(database: TestDatabase) -> Any:
    with psycopg.connect(database.owner_dsn, autocommit=True, prepare_threshold=None) as connection:
        yield connection


def random_trace(seed: int, start_ns: int) -> list[dict[str, Any]]:
    """Spans of whole microseconds with children that outlive their parents, begin before them or are circles; orphans, duplicates."""
    chance = random.Random(seed)
    trace_id, count = uuid.UUID(int=chance.getrandbits(128)).hex, chance.randint(1, 40)
    spans = []
    for number in range(1, count + 1):
        parent = chance.choice([0, 0, *range(1, number), chance.randint(1, count), 999]) if number > 1 else 0
        begin = start_ns + chance.randint(0, 5000) * 1000
        end = begin + chance.randint(0, 3000) * 1000
        fields: dict[str, Any] = {"kind": INTERNAL, "name": f"op{chance.randint(0, 3)}", "endTimeUnixNano": str(end)}
        if parent:
            fields["parentSpanId"] = f"{parent:016x}"
        spans.append(span(trace_id, number, begin, **fields))
    return spans


def times(spans: Sequence[dict[str, Any]], service: str) -> list[SpanTimes]:
    made = [
        SpanTimes(
            one["spanId"], one.get("parentSpanId", ""), service, one["name"], 1, int(one["startTimeUnixNano"]), int(one["endTimeUnixNano"])
        )
        for one in spans
    ]
    return sorted(made, key=lambda one: (one.start_ns, one.span_id))


async def test_api_and_sql_say_of_any_trace_what_the_definition_says(client: Client, name: str, sql: Any, base_ns: int) -> None:
    traces = [random_trace(seed, base_ns + seed * 1_000_000) for seed in range(5)]
    await client.send_spans(name, [one for spans in traces for one in spans])
    # The same in other requests are the same spans.
    await client.send_spans(name, [one for spans in traces for one in spans[:3]])
    for spans in traces:
        wanted = times(spans, name)
        roots = build(wanted, len(wanted) + 1)
        root = main_root(roots)
        assert root is not None
        own = self_times(wanted)
        trace_id = spans[0]["traceId"]
        found = await client.get(f"/api/v1/traces/{trace_id}/analysis", "/api/v1/traces/{trace_id}/analysis")
        assert found["root_span_id"] == root.span.span_id
        path = [(part.span.span_id, part.end_ns - part.start_ns) for part in critical_path(root)]
        assert [(part["span_id"], part["duration_ns"]) for part in found["critical_path"]] == path
        assert {one["span_id"]: one["self_time_ns"] for one in found["spans"]} == own
        rows = sql.execute("SELECT span_id, duration_ms FROM analytics.trace_critical_path(%s)", (trace_id,)).fetchall()
        assert [(span_id, round(duration * 1e6)) for span_id, duration in rows] == path
        rows = sql.execute("SELECT span_id, self_time_ms FROM analytics.trace_self_times(%s)", (trace_id,)).fetchall()
        assert {span_id: round(self_time * 1e6) for span_id, self_time in rows} == own
    await client.refused(f"/api/v1/traces/{uuid.uuid4().hex}/analysis", 404)
    await client.refused(f"/api/v1/traces/{trace_id}/analysis", 400, depth=3)


async def test_two_traces_are_compared_by_path(client: Client, name: str, sql: Any, base_ns: int) -> None:
    ids = [uuid.uuid4().hex, uuid.uuid4().hex]
    for trace_id, calls in zip(ids, (1, 3), strict=True):
        below = [
            span(trace_id, 2 + call, base_ns + call * 1_000_000, name="query", parentSpanId=f"{1:016x}",
                 endTimeUnixNano=str(base_ns + call * 1_000_000 + 500_000))
            for call in range(calls)
        ]  # fmt: skip
        await client.send_spans(name, [span(trace_id, 1, base_ns, name="GET /", endTimeUnixNano=str(base_ns + 10_000_000)), *below])
    found = await client.get("/api/v1/traces/compare", a=ids[0], b=ids[1])
    assert [(one["name"], one["a"]["count"], one["b"]["count"], one["duration_difference_ns"]) for one in found["places"]] == [
        ("GET /", 1, 1, 0),
        ("query", 1, 3, 1_000_000),
    ]
    rows = sql.execute("SELECT operation, count_a, count_b, difference_ms FROM analytics.compare_traces(%s, %s)", ids).fetchall()
    assert rows == [("GET /", 1, 1, 0.0), ("  query", 1, 3, 1.0)]
    assert (await client.refused("/api/v1/traces/compare", a="x", b=ids[1]))["errors"][0]["parameter"] == "a"


Pair = tuple[str, dict[str, Any]]


def calls_of(seed: int, names: Sequence[str], start_ns: int, count: int) -> list[Pair]:
    """(service, span) of traces that cross services, minutes and clocks; some parents never come."""
    chance = random.Random(seed)
    made: list[Pair] = []
    for _ in range(count):
        trace_id = uuid.UUID(int=chance.getrandbits(128)).hex
        at = start_ns + chance.randrange(4 * MINUTE_NS) // 1000 * 1000
        parent, caller = 0, chance.choice(names)
        for number in range(1, chance.randint(2, 9)):
            kind = chance.choice([SERVER, CLIENT, PRODUCER, CONSUMER, INTERNAL, 0])
            fields: dict[str, Any] = {"kind": kind, "name": "op", "endTimeUnixNano": str(at + chance.randrange(10**9))}
            fields["status"] = {"code": chance.choice([0, 0, 2])}
            if parent:
                fields["parentSpanId"] = f"{parent:016x}"
            if kind in (CLIENT, PRODUCER) and chance.random() < 0.4:
                fields["attributes"] = chance.choice(
                    [[text("db.system", "postgresql"), text("db.name", "shop")], [text("messaging.system", "kafka")],
                     [text("peer.service", "outside")], [text("peer.service", names[0])]]
                )  # fmt: skip
            if chance.random() > 0.05:
                made.append((caller, span(trace_id, number, at, **fields)))
            if chance.random() < 0.8:
                parent = number
                # Clocks differ by up to a second; messages wait for minutes.
                at += chance.choice([1, 1, 1, -1]) * chance.randrange(10**9) // 1000 * 1000
                at += chance.choice([0, 0, 0, 0, 2 * MINUTE_NS])
                caller = chance.choice(names)
    chance.shuffle(made)
    return made


def edges_of(pairs: Sequence[Pair]) -> Counter[tuple[str, str, str, str]]:
    """(client, server, peer, call) → how many, by a plain join."""
    by_id = {(one["traceId"], one["spanId"]): (service, one) for service, one in pairs}
    services = {service for service, _ in pairs}
    found: Counter[tuple[str, str, str, str]] = Counter()
    for service, one in by_id.values():
        attributes = {each["key"]: each["value"]["stringValue"] for each in one.get("attributes", ())}
        parent = by_id.get((one["traceId"], one.get("parentSpanId", "")))
        if one["kind"] in (SERVER, CONSUMER, 0) and parent and (parent[0] != service or parent[1]["kind"] in (CLIENT, PRODUCER)):
            message = one["kind"] == CONSUMER or parent[1]["kind"] == PRODUCER
            found[parent[0], service, "", "message" if message else "request"] += 1
        if one["kind"] in (CLIENT, PRODUCER):
            if "db.system" in attributes:
                found[service, "", "postgresql:shop", "database"] += 1
            elif "messaging.system" in attributes:
                found[service, "", "kafka", "message"] += 1
            elif attributes.get("peer.service", "") not in {"", *services}:
                found[service, "", "outside", "request"] += 1
    return found


async def send(client: Client, pairs: Sequence[Pair]) -> None:
    for service in sorted({service for service, _ in pairs}):
        await client.send_spans(service, [one for each, one in pairs if each == service])


def pair_all(sql: Any) -> None:
    while sql.execute("SELECT * FROM tidegauge.refresh_service_map(2000)").fetchone():
        pass


async def test_the_service_map_is_a_join_of_all_spans_however_they_came(client: Client, name: str, sql: Any, base_ns: int) -> None:
    names = [f"{name}-{letter}" for letter in "abc"]
    start = base_ns + HOUR_NS + 57 * MINUTE_NS
    pairs = calls_of(7, names, start, 120)
    # Late, out of order, some twice; the map is computed in between, at whatever stage its rollups are.
    rounds = [pairs[:300], pairs[250:450], pairs[430:]]
    for number, part in enumerate(rounds):
        await send(client, part)
        if number != 1:
            await client.refresh(start - HOUR_NS, start + HOUR_NS)
        pair_all(sql)
    await client.refresh(start - HOUR_NS, start + HOUR_NS)
    pair_all(sql)
    await client.refresh(start - HOUR_NS, start + HOUR_NS)

    wanted = edges_of(pairs)
    assert len(wanted) > 15
    # Only what one of these services takes part in: others' tests share the database.
    question = {"start": moment(start - HOUR_NS), "end": moment(start + HOUR_NS)}
    found: dict[tuple[str, str, str, str], int] = {}
    for service in names:
        answer = await client.get("/api/v1/service-map", service=service, **question)
        for step in answer["steps"]:
            for edge in step["edges"]:
                found[edge["client"], edge["server"] or "", edge["peer"] or "", edge["call"]] = edge["count"]
                assert 0 <= edge["errors"] <= edge["count"]
                assert edge["p50_ns"] <= edge["p99_ns"] <= edge["duration_max_ns"]
    assert found == dict(wanted)
    assert "missing" in answer["meta"]["coverage"]
    rows = sql.execute(
        "SELECT client, coalesce(server, ''), coalesce(peer, ''), call, count FROM analytics.service_map(%s, %s) WHERE client = ANY (%s)",
        (question["start"], question["end"], names),
    ).fetchall()
    assert {tuple(row[:4]): row[4] for row in rows} == dict(wanted)
    by_minute = await client.get("/api/v1/service-map", service=names[0], step="1m", **question)
    totals = sum(edge["count"] for step in by_minute["steps"] for edge in step["edges"])
    assert totals == sum(count for edge, count in wanted.items() if names[0] in edge[:2])


async def test_rates_are_those_of_the_spans_on_rollups_and_at_their_edges(client: Client, name: str, sql: Any, base_ns: int) -> None:
    chance = random.Random(3)
    start = base_ns + 30 * MINUTE_NS
    spans = []
    for number in range(1, 400):
        at = start + chance.randrange(90 * MINUTE_NS) // 1000 * 1000
        fields = {"name": chance.choice(["read", "write"]), "kind": chance.choice([SERVER, SERVER, CONSUMER, INTERNAL])}
        fields |= {"status": {"code": chance.choice([0, 0, 0, 2])}, "endTimeUnixNano": str(at + int(chance.lognormvariate(15, 1)))}
        spans.append(span(uuid.uuid4().hex, number, at, **fields))
    await client.send_spans(name, spans[:350])
    await client.refresh(base_ns, base_ns + 3 * HOUR_NS)
    await client.send_spans(name, spans[350:])
    low, high = start + 7_654_321_000, start + 83 * MINUTE_NS + 21_000
    inside = [one for one in spans if low <= int(one["startTimeUnixNano"]) < high and one["kind"] in (SERVER, CONSUMER)]
    answer = await client.get("/api/v1/services/red", service=name, by="operation", start=f"{low / 1e9:.6f}", end=f"{high / 1e9:.6f}")
    (step,) = answer["steps"]
    assert [one["operation"] for one in step["services"]] == ["read", "write"]
    for one in step["services"]:
        own = [each for each in inside if each["name"] == one["operation"]]
        durations = sorted(int(each["endTimeUnixNano"]) - int(each["startTimeUnixNano"]) for each in own)
        assert (one["count"], one["errors"]) == (len(own), sum(each["status"]["code"] == 2 for each in own))
        assert (one["duration_min_ns"], one["duration_max_ns"]) == (durations[0], durations[-1])
        assert one["duration_avg_ns"] == sum(durations) // len(durations)
        for share, field in ((0.5, "p50_ns"), (0.9, "p90_ns"), (0.99, "p99_ns")):
            assert one[field] == pytest.approx(durations[max(-(-int(share * 100) * len(durations) // 100), 1) - 1], rel=0.05)
    await client.refresh(base_ns, base_ns + 3 * HOUR_NS)
    whole = {"start": moment(base_ns), "end": moment(base_ns + 3 * HOUR_NS)}
    by_hour = await client.get("/api/v1/services/red", service=name, kind="any", step="1h", **whole)
    assert sum(step["services"][0]["count"] for step in by_hour["steps"]) == len(spans)
    rows = sql.execute("SELECT operation, count, errors FROM analytics.red(%s, %s, %s)", (whole["start"], whole["end"], name)).fetchall()
    requests = [one for one in spans if one["kind"] != INTERNAL]
    assert [(operation, count) for operation, count, _ in rows] == sorted(Counter(one["name"] for one in requests).items())
    middle = {"before_start": moment(start), "before_end": moment(start + 45 * MINUTE_NS)}
    middle |= {"after_start": moment(start + 45 * MINUTE_NS), "after_end": moment(start + 90 * MINUTE_NS)}
    compared = await client.get("/api/v1/services/compare", service=name, **middle)
    counted = [change["before"]["count"] + change["after"]["count"] for change in compared["changes"]]
    assert sorted(counted) == sorted(Counter(one["name"] for one in requests).values())
    impacts = [abs(change["impacts"]["time"]) for change in compared["changes"]]
    assert impacts == sorted(impacts, reverse=True)
    rows = sql.execute("SELECT operation, impact FROM analytics.compare_periods(%s, %s, %s, %s, %s)", (*middle.values(), name)).fetchall()
    assert [operation for operation, _ in rows] == [change["operation"] for change in compared["changes"]]
    assert [impact for _, impact in rows] == pytest.approx([change["impacts"]["time"] for change in compared["changes"]], rel=1e-6)


async def test_examples_and_their_traces_outlive_the_spans(client: Client, name: str, trace_id: str, sql: Any, base_ns: int) -> None:
    def example(number: int, trace: str, at: int, milliseconds: int, **fields: Any) -> dict[str, Any]:
        return span(trace, number, at, name="pay", endTimeUnixNano=str(at + milliseconds * 1_000_000), **fields)

    failed = uuid.uuid4().hex
    await client.send_spans(name, [example(number, uuid.uuid4().hex, base_ns + number * MINUTE_NS, number) for number in range(1, 90)])
    slow = [
        example(1, trace_id, base_ns + 5_000_000, 60_000),
        span(trace_id, 2, base_ns + 6_000_000, parentSpanId=f"{1:016x}", name="below"),
    ]
    await client.send_spans(name, slow)
    error = {"code": 2, "message": "declined"}
    await client.send_spans(name, [example(1, uuid.uuid4().hex, base_ns + MINUTE_NS, 1, status={"code": 2, "message": "older"})])
    await client.send_spans(name, [example(1, failed, base_ns + 2 * MINUTE_NS, 1, status=error)])
    question = {"service": name, "operation": "pay", "start": moment(base_ns), "end": moment(base_ns + 2 * HOUR_NS)}

    async def the_examples() -> list[tuple[str, int, str | None]]:
        answer = await client.get("/api/v1/traces/examples", **question)
        return [
            (one["slowest"]["trace_id"], one["slowest"]["duration_ns"], one["error"] and one["error"]["trace_id"])
            for step in answer["steps"]
            for one in step["examples"]
        ]

    assert await the_examples() == [(trace_id, 60_000_000_000, failed)]
    await client.refresh(base_ns, base_ns + 2 * HOUR_NS)
    assert await the_examples() == [(trace_id, 60_000_000_000, failed)]
    answer = await client.get("/api/v1/traces/examples", **question, step="1h")
    assert [step["examples"][0]["slowest"]["duration_ns"] for step in answer["steps"]] == [60_000_000_000, 89_000_000]
    assert answer["steps"][0]["examples"][0]["error"]["status_message"] == "declined"
    rows = sql.execute(
        "SELECT slowest_trace_id, error_message FROM analytics.trace_examples(%s, %s, %s, 'pay')",
        (question["start"], question["end"], name),
    ).fetchall()
    assert rows == [(trace_id, "declined")]

    # Before spans are dropped, the day's examples are copied with all of their traces.
    before = await client.get(f"/api/v1/traces/{trace_id}/analysis", "/api/v1/traces/{trace_id}/analysis")
    start, end = moment(base_ns), moment(base_ns + HOUR_NS)
    with sql.transaction():
        sql.execute("SET LOCAL search_path = public")
        sql.execute("SELECT tidegauge.keep_before_drop('traces', %s, %s)", (start, end))
        for table in ("traces", "trace_index"):
            sql.execute(f"DELETE FROM tidegauge.{table} WHERE trace_id = %s", (uuid.UUID(trace_id),))
    kept = await client.get(f"/api/v1/traces/{trace_id}/analysis", "/api/v1/traces/{trace_id}/analysis")
    assert kept == before | {"kept": True}
    rows = sql.execute("SELECT span_id FROM analytics.trace_self_times(%s)", (trace_id,)).fetchall()
    assert len(rows) == 2
    whole = await client.get(f"/api/v1/traces/{trace_id}", "/api/v1/traces/{trace_id}")
    assert [one["name"] for one in whole["spans"][0]["children"]] == ["below"]
