"""The attribute index and the catalogue on a real database: whatever is stored is found, before and after blocks are made."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from tests.integration.query.conftest import Client, span, text
from tests.servers.timescaledb import TestDatabase
from tidegauge.config import Settings
from tidegauge.model.query import TimeRange
from tidegauge.model.search import AttributeCondition, Comparison, Where
from tidegauge.runtime import opened
from tidegauge.storage.postgres import attribute_index
from tidegauge.storage.postgres.attribute_hashes import merged, packed
from tidegauge.storage.postgres.attribute_index import PostgresAttributeIndex

SECOND_NS = 1_000_000_000
Scalar = bool | int | float | str


@pytest_asyncio.fixture(scope="module")
async def index(database: TestDatabase, settings: Settings) -> AsyncIterator[PostgresAttributeIndex]:
    """The index; it makes blocks of what was stored just now."""
    async with opened(settings, database.owner_dsn, pool_size=2) as connections:
        yield PostgresAttributeIndex(connections, grace=timedelta(0), block_spans=1)


async def scalar(database: TestDatabase, statement: str, *parameters: object) -> Any:
    async with await psycopg.AsyncConnection.connect(database.owner_dsn, prepare_threshold=None, autocommit=True) as connection:
        row = await (await connection.execute(statement, parameters)).fetchone()  # type: ignore[arg-type]
    return None if row is None else row[0]


async def application_of(database: TestDatabase, service: str) -> int:
    found: int = await scalar(database, "SELECT application_id FROM tidegauge.applications WHERE name = %s", service)
    return found


def attribute(key: str, value: Scalar) -> dict[str, Any]:
    kind = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}[type(value)]
    return {"key": key, "value": {kind: value}}


def equal(key: str, *values: Scalar, where: Where = Where.SPAN) -> AttributeCondition:
    return AttributeCondition(where, key, Comparison.EQUAL, values)


async def holding(index: PostgresAttributeIndex, application: int, time: TimeRange, *conditions: AttributeCondition) -> list[TimeRange]:
    """Where the index says that they may be."""
    found = await index.attribute_candidates(0, time, [application], conditions)
    assert found is not None
    assert all(one == application for one, _ in found)
    return [each for _, each in found]


async def compact(index: PostgresAttributeIndex) -> None:
    while await index.compact():
        pass


@pytest.mark.parametrize("is_compacted", [False, True])
async def test_every_attribute_is_where_the_index_says(
    client: Client, database: TestDatabase, index: PostgresAttributeIndex, name: str, trace_id: str, base_ns: int, is_compacted: bool
) -> None:
    """Spans over two hours, in several requests; each has an id of its own, a common attribute, and one of every type."""
    chance = random.Random(7)
    spans: list[tuple[int, dict[str, Scalar]]] = []
    for number in range(300):
        values: list[Scalar] = [chance.choice([200, 200.0, "200", True, 0.1, -5, 1e-9, 'a"b\\c', "é😀"]), f"order-{number}", "all"]
        spans.append((base_ns + number * 24 * SECOND_NS, dict(zip(["mixed", "order.id", "common"], values, strict=True))))
    sent = [
        span(trace_id, number + 1, start, attributes=[attribute(key, value) for key, value in attributes.items()])
        for number, (start, attributes) in enumerate(spans)
    ]
    chance.shuffle(sent)
    for first in range(0, 300, 100):
        await client.send_spans(name, sent[first : first + 100])
    application = await application_of(database, name)
    if is_compacted:
        await compact(index)
        assert not await scalar(database, "SELECT count(*) FROM tidegauge.attribute_pieces WHERE application_id = %s", application)
    everything = TimeRange(base_ns - SECOND_NS, base_ns + 7300 * SECOND_NS)
    for start, attributes in spans[::7]:
        for key, value in attributes.items():
            # Any way to write a number that is equal finds it.
            for wanted in {value, float(value) if isinstance(value, int) else value}:
                slices = await holding(index, application, everything, equal(key, wanted), equal("common", "no", "all"))
                assert any(one.start_ns <= start < one.end_ns for one in slices)
    assert await holding(index, application, everything, AttributeCondition(Where.SPAN, "order.id", Comparison.PRESENT))
    assert not await holding(index, application, everything, AttributeCondition(Where.SPAN, "nothing", Comparison.REGEX, (".*",)))
    assert not await holding(index, application, everything, equal("common", "all", where=Where.EVENT))
    assert not await holding(index, application, TimeRange(base_ns - 9 * SECOND_NS, base_ns), equal("common", "all"))


async def test_of_a_long_piece_every_hash_is_found(database: TestDatabase) -> None:
    """Only a part of it is read, about where the hash should be; and all where that cannot be told."""
    chance = random.Random(11)
    even = {chance.randrange(1, 1 << 32) for _ in range(30_000)}
    halves = [packed(set(list(even)[first::2])) for first in range(2)]
    uneven = {chance.randrange(1, 1 << 20) for _ in range(5000)}
    for hashes, held in ((merged(halves), even), (merged([packed(uneven)]), uneven)):
        tried = [*chance.sample(sorted(held), 300), min(held), max(held)]
        found = await scalar(
            database,
            "SELECT count(*) FROM unnest(%s::bytea[]) AS w (one) WHERE tidegauge.attribute_hashes_may_match(%s, ARRAY[w.one], ARRAY[1])",
            [one.to_bytes(4, "big") for one in tried],
            hashes,
        )
        assert found == len(tried)


async def test_space_that_pieces_leave_behind_is_given_back(
    database: TestDatabase, index: PostgresAttributeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attribute_index, "_LARGE_BYTES", 1 << 20)
    fill = """
        INSERT INTO tidegauge.attribute_pieces (start_time, end_time, application_id, span_count, tenant_id, hashes)
        SELECT now(), now(), -1, 1, 0, decode(repeat('0a', 100000), 'hex') FROM generate_series(1, 40) RETURNING 1
    """
    await scalar(database, fill)
    await scalar(database, "DELETE FROM tidegauge.attribute_pieces WHERE application_id = -1 RETURNING 1")
    before = await scalar(database, "SELECT pg_total_relation_size('tidegauge.attribute_pieces')")
    assert await index.tidy() > 1 << 20
    assert await scalar(database, "SELECT pg_total_relation_size('tidegauge.attribute_pieces')") < before - (1 << 20)
    assert await index.tidy() == 0


async def test_late_spans_join_blocks_that_are_made_already(
    client: Client, database: TestDatabase, index: PostgresAttributeIndex, name: str, trace_id: str, base_ns: int
) -> None:
    time = TimeRange(base_ns, base_ns + 60 * SECOND_NS)
    for number in range(2):
        await client.send_spans(name, [span(trace_id, number + 1, base_ns + number, attributes=[attribute("n", number)])])
        await compact(index)
    application = await application_of(database, name)
    for number in range(2):
        (found,) = await holding(index, application, time, equal("n", number))
        assert found.start_ns <= base_ns + number < found.end_ns
    assert await index.attribute_candidates(0, time, [application], [AttributeCondition(Where.SPAN, "n", Comparison.ABSENT)]) is None


async def test_spans_of_before_the_index_are_candidates_and_are_indexed_later(
    client: Client, database: TestDatabase, index: PostgresAttributeIndex, name: str, trace_id: str, base_ns: int
) -> None:
    """As after a migration: nothing is known of the hour, then it is indexed from the spans as they are stored."""
    hour = base_ns - 3 * 24 * 3600 * SECOND_NS
    event = {"timeUnixNano": str(hour), "name": "exception", "attributes": [text("exception.type", "Late")]}
    await client.send_spans(name, [span(trace_id, 1, hour + 5, attributes=[attribute("kept", 1.5)], events=[event])])
    application = await application_of(database, name)
    time = TimeRange(hour, hour + 3600 * SECOND_NS)
    await scalar(database, "DELETE FROM tidegauge.attribute_pieces WHERE application_id = %s RETURNING 1", application)
    assert await holding(index, application, time, equal("kept", 1.5)) == []
    before = await scalar(database, "SELECT complete_from::text FROM tidegauge.attribute_index_state")
    try:
        await scalar(
            database,
            "UPDATE tidegauge.attribute_index_state SET made_at = '-infinity', complete_from = to_timestamp(%s) RETURNING 1",
            hour // SECOND_NS + 3600,
        )
        assert await index.attribute_candidates(0, time, [application], [equal("no", "matter")]) is None
        longer = TimeRange(time.start_ns, time.end_ns + SECOND_NS)
        assert await holding(index, application, longer, equal("no", "matter")) == [time]
        assert await index.backfill()
    finally:
        await scalar(database, "UPDATE tidegauge.attribute_index_state SET complete_from = %s RETURNING 1", before)
    assert len(await holding(index, application, time, equal("kept", 1.5))) == 1
    assert len(await holding(index, application, time, equal("exception.type", "Late", where=Where.EVENT))) == 1
    assert await holding(index, application, time, equal("kept", 2.5)) == []


async def test_keys_and_values_are_suggested(
    client: Client, database: TestDatabase, index: PostgresAttributeIndex, name: str, trace_id: str, base_ns: int
) -> None:
    event = {"timeUnixNano": str(base_ns), "name": "exception", "attributes": [text(f"{name}.type", "Boom")]}
    routes: list[Scalar] = ["/cart", "/cart", "/checkout", 7]
    spans = [
        span(trace_id, n + 1, base_ns + n, attributes=[attribute(f"{name}/route", route)], events=[event]) for n, route in enumerate(routes)
    ]
    await client.send(
        "traces", [{"resource": {"attributes": [text("service.name", name), text(f"{name}.host", "h1")]}, "scopeSpans": [{"spans": spans}]}]
    )
    while await index.sample():
        pass
    listed = (await client.get("/api/v1/attributes", prefix=name))["attributes"]
    assert [(one["key"].removeprefix(name), one["where"], one["types"], one["values"]) for one in listed] == [
        (".host", "resource", ["string"], 1),
        (".type", "event", ["string"], None),
        ("/route", "span", ["string", "int"], 3),
    ]
    assert (await client.get("/api/v1/attributes", prefix=name, where="event", service="another"))["attributes"] == []
    path, template = f"/api/v1/attributes/{name}%2Froute/values", "/api/v1/attributes/{key}/values"
    found = await client.get(path, template, start=str(base_ns // SECOND_NS - 1))
    assert (found["sampled"], found["distinct"]) == (4, 3)
    assert [(one["value"], one["count"]) for one in found["values"]] == [("/cart", 2), ("/checkout", 1), (7, 1)]
    found = await client.get(path, template, start=str(base_ns // SECOND_NS - 1), prefix="/ch", service=name)
    assert [one["value"] for one in found["values"]] == ["/checkout"]
    found = await client.get(f"/api/v1/attributes/{name}.type/values", template, where="event", start=str(base_ns // SECOND_NS - 1))
    assert found["values"] == [{"value": "Boom", "count": 4}]
    found = await client.get(f"/api/v1/attributes/{name}.host/values", template, where="resource")
    assert found["values"] == [{"value": "h1", "count": 1}]
    assert (await client.refused("/api/v1/attributes", where="nowhere"))["errors"][0]["parameter"] == "where"


async def test_keys_that_never_repeat_do_not_fill_the_catalogue(
    client: Client, database: TestDatabase, index: PostgresAttributeIndex, name: str, trace_id: str, base_ns: int
) -> None:
    """An application has 1000 keys by default; spans with others are stored, and found by them."""
    for request in range(4):
        sent = [
            span(
                trace_id, request * 10 + number + 1, base_ns, attributes=[attribute(f"{request}.{number}.{key}", key) for key in range(40)]
            )
            for number in range(10)
        ]
        await client.send_spans(name, sent)
    application = await application_of(database, name)
    assert await scalar(database, "SELECT count(*) FROM tidegauge.attribute_keys WHERE application_id = %s", application) == 1000
    everything = TimeRange(base_ns - SECOND_NS, base_ns + SECOND_NS)
    for key in ("0.0.0", "3.9.39"):
        assert await holding(index, application, everything, AttributeCondition(Where.SPAN, key, Comparison.PRESENT))
