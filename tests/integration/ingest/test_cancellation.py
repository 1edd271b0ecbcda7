"""Transactions that are cancelled: what their connections are afterwards, and what is stored of them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import psycopg
import pytest

from tests.servers.timescaledb import TestDatabase
from tidegauge.storage.postgres.database import Database

STEP_SECONDS = 0.0005
STEPS = 80


async def test_a_cancelled_transaction_is_all_or_nothing_and_its_connection_is_nobodys(
    database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever it is cancelled: at its begin, which is a pipeline, in COPY, at the commit, or not any more."""
    opened = Database(
        database.owner_dsn,
        pool_size=1,
        connect_timeout=timedelta(seconds=20),
        statement_timeout=timedelta(seconds=30),
        lock_timeout=timedelta(seconds=5),
    )
    told: set[int] = set()
    async with await psycopg.AsyncConnection.connect(database.owner_dsn, prepare_threshold=None, autocommit=True) as other, opened:
        await other.execute("CREATE TABLE tidegauge.cancelled (place integer, part integer)")
        try:
            for place in range(STEPS):
                storing = asyncio.create_task(_store(opened, place))
                await asyncio.wait([storing], timeout=place * STEP_SECONDS)
                storing.cancel()
                await asyncio.wait([storing])
                told |= set() if storing.cancelled() else {storing.result()}
                # There is one connection: this is the one of before, if that came back.
                assert await _store(opened, STEPS + place) == STEPS + place
            cursor = await other.execute("SELECT place, array_agg(part ORDER BY part) FROM tidegauge.cancelled GROUP BY place")
            stored = dict(await cursor.fetchall())
        finally:
            await other.execute("DROP TABLE tidegauge.cancelled")
    assert all(parts == [1, 2] for parts in stored.values())
    assert told | set(range(STEPS, 2 * STEPS)) <= stored.keys()
    assert "already in progress" not in caplog.text


async def _store(opened: Database, place: int) -> int:
    statement = "INSERT INTO tidegauge.cancelled VALUES (%(place)s, 1) RETURNING place"
    async with opened.writing_after(statement, {"place": place}) as (connection, rows):
        assert rows == [(place,)]
        async with connection.cursor().copy("COPY tidegauge.cancelled FROM STDIN") as copy:
            await copy.write(f"{place}\t2\n")
    return place
