"""The log store on TimescaleDB: what is its own beside the suite of all log stores."""

from __future__ import annotations

import random
import uuid
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from tests.integration.query.conftest import HOUR_NS, Client, text
from tests.servers.timescaledb import TestDatabase
from tidegauge.config import Settings
from tidegauge.errors import InvalidArgument
from tidegauge.model.query import AttributeFilter, Cursor, LogField, LogFilter, Order, TimeRange
from tidegauge.model.text_search import words
from tidegauge.runtime import opened
from tidegauge.storage.postgres.logs import PostgresLogStore


@pytest_asyncio.fixture(scope="module")
async def store(database: TestDatabase, settings: Settings, client: Client) -> AsyncIterator[PostgresLogStore]:
    """The store that `client` fills."""
    async with opened(settings, database.owner_dsn) as opened_database:
        yield PostgresLogStore(opened_database)


def record(time_ns: int, body: str, **fields: Any) -> dict[str, Any]:
    return {"timeUnixNano": str(time_ns), "body": {"stringValue": body}} | fields


def of(name: str, base_ns: int, **fields: Any) -> LogFilter:
    return LogFilter(TimeRange(base_ns, base_ns + HOUR_NS), service=name, **fields)


async def run(database: TestDatabase, statement: str, parameters: Any = None) -> None:
    """Something in the database that nobody else does."""
    async with await psycopg.AsyncConnection.connect(database.owner_dsn, prepare_threshold=None, autocommit=True) as connection:
        await connection.execute(statement, parameters)  # type: ignore[call-overload]


@pytest_asyncio.fixture
async def twice(database: TestDatabase, client: Client, name: str, base_ns: int) -> str:
    """A service of ten records, each of which stands twice, as after a resend that nobody could recognise any more."""
    await client.send_logs(name, [record(base_ns + place // 2, f"n{place}", severityNumber=9) for place in range(10)])
    columns = (
        "timestamp, observed_timestamp, request_digest, ordinal, application_id, resource_id, scope_id, timestamp_ns, time_source, "
        "severity_number, body, attributes"
    )
    await run(
        database,
        f"INSERT INTO tidegauge.logs ({columns}) SELECT {columns} FROM tidegauge.logs "
        "WHERE application_id = (SELECT application_id FROM tidegauge.applications WHERE name = %s)",
        [name],
    )
    return name


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("limit", [1, 3, 9, 10, 50])
async def test_what_stands_twice_is_seen_once(store: PostgresLogStore, twice: str, base_ns: int, order: Order, limit: int) -> None:
    seen, after = [], None
    while True:
        page = await store.find_logs(0, of(twice, base_ns), limit, after, order)
        seen += [row.body for row in page.rows]
        assert len(page.rows) == limit or page.next is None
        after = page.next
        if after is None:
            break
    assert sorted(seen) == [f"n{place}" for place in range(10)]
    times = [int(str(body)[1:]) // 2 for body in seen]
    assert times == sorted(times, reverse=order is Order.NEWEST_FIRST)


async def test_what_stands_twice_counts_once(store: PostgresLogStore, twice: str, base_ns: int) -> None:
    (count,) = await store.count_logs(0, of(twice, base_ns), HOUR_NS)
    assert (count.time_unix_nano, count.severity_number, count.count) == (base_ns, 9, 10)
    assert [(top.value, top.count) for top in await store.top_values(0, of(twice, base_ns), LogField.SERVICE, 5)] == [(twice, 10)]
    assert await store.delete_logs(0, of(twice, base_ns)) == 10
    assert await store.count_logs(0, of(twice, base_ns), HOUR_NS) == []


async def test_records_of_the_columnstore_are_found_and_deleted(
    store: PostgresLogStore, database: TestDatabase, client: Client, name: str, base_ns: int
) -> None:
    old_ns = base_ns - 20 * 24 * HOUR_NS
    await client.send_logs(name, [record(old_ns + place * 1000, f"w{place % 2} x", severityNumber=9 + place % 2) for place in range(20)])
    await run(
        database,
        "SELECT compress_chunk(c.chunk) FROM show_chunks('tidegauge.logs', older_than => INTERVAL '18 days') AS c (chunk)",
    )
    wanted = of(name, old_ns)
    page = await store.find_logs(0, wanted, 50, None)
    assert len(page.rows) == 20
    found = await store.log(0, page.rows[3].log_id)
    assert found == page.rows[3]
    assert await store.delete_logs(0, of(name, old_ns, text="w1")) == 10
    assert [count.count for count in await store.count_logs(0, wanted, HOUR_NS)] == [10]
    assert await store.log(0, page.rows[0].log_id) is None
    assert await store.delete_logs(0, wanted) == 10


@pytest.mark.parametrize("character", ["x", "é", "中", "😀"])
async def test_long_values_are_compared_by_their_first_bytes(
    store: PostgresLogStore, client: Client, name: str, base_ns: int, character: str
) -> None:
    long = "-" + character * 10_000
    await client.send_logs(name, [record(base_ns, "long", attributes=[text("k", long), text("correlation_id", long)])])
    cut = long.encode()[:8191].decode(errors="ignore")
    for value, matches in ((long, True), (cut, True), (cut + character, True), (cut[:-1], False), (cut[:-1] + "!", False)):
        for wanted in (of(name, base_ns, attributes=(AttributeFilter("k", (value,)),)), of(name, base_ns, correlation_id=value)):
            assert len((await store.find_logs(0, wanted, 5, None)).rows) == matches, (len(value), wanted.correlation_id is None)
    (top,) = await store.top_values(0, of(name, base_ns), "k", 5)
    assert (top.value, top.count) == (cut, 1)


async def test_a_cursor_of_another_search_is_refused(store: PostgresLogStore, client: Client, name: str, base_ns: int) -> None:
    with pytest.raises(InvalidArgument):
        await store.find_logs(0, of(name, base_ns), 5, Cursor(base_ns, b"spans"))
    for wrong in ("", "x", uuid.uuid4().hex, f"{uuid.uuid4().hex}-", f"{uuid.uuid4().hex}-99999999999", f"{uuid.uuid4()}-1"):
        with pytest.raises(InvalidArgument):
            await store.log(0, wrong)


PIECES = (
    *"'\"!#$%()*,:;=>?@[]^`{|}~_<>&.-+/\\ \n\t0é中Ω",
    *(
        "foo",
        "Http",
        "www",
        "com",
        "e",
        "12",
        "1e5",
        "1e50d",
        "2E3E4",
        "&amp;",
        "&#x41;",
        "<b>",
        "</b>",
        "<!--",
        "-->",
        "http://",
        "mailto:",
    ),
)


async def test_the_database_cuts_words_as_they_are_defined(database: TestDatabase, client: Client, name: str, base_ns: int) -> None:
    chance = random.Random(5)
    bodies = ["".join(chance.choices(PIECES, k=chance.randint(1, 12))) for _ in range(2000)]
    await client.send_logs(name, [record(base_ns, body) for body in bodies])
    async with await psycopg.AsyncConnection.connect(database.owner_dsn, prepare_threshold=None) as connection:
        cursor = await connection.execute(
            """
            SELECT l.ordinal, w.lexeme, w.positions
            FROM tidegauge.logs l JOIN tidegauge.applications a USING (application_id), unnest(l.search) w
            WHERE a.name = %s
            """,
            [name],
        )
        found: dict[int, dict[int, str]] = {}
        for ordinal, lexeme, positions in await cursor.fetchall():
            found.setdefault(ordinal, {}).update(dict.fromkeys(positions, lexeme))
    for ordinal, body in enumerate(bodies):
        assert found.get(ordinal, {}) == dict(enumerate(words(body), start=1)), body
