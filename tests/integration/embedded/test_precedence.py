"""Who goes first: ingest before a queue of slow queries, and queries in between where ingest never rests."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection, errors

from tidegauge.config import EmbeddedSettings
from tidegauge.embedded import EmbeddedDatabase

Connection = AsyncConnection[Any]

SLOW = "SELECT count(*) FROM generate_series(1, 1000000000000)"


async def test_ingest_does_not_wait_for_a_queue_of_readers(connect: Any, owner: Connection, table: str) -> None:
    ended: list[str] = []
    first = asyncio.Event()

    async def read(name: str, reader: Connection) -> None:
        with pytest.raises(errors.QueryCanceled):
            await reader.execute(SLOW)
        ended.append(name)
        first.set()

    readers = [await connect(reader=True) for _ in range(3)]
    async with asyncio.TaskGroup() as group:
        for number, reader in enumerate(readers):
            group.create_task(read(f"reader {number}", reader))
        await first.wait()  # then the second one runs and the third waits
        await owner.execute(f"INSERT INTO {table} VALUES (1)")
        ended.append("ingest")
    # Which reader comes first is the system's to choose.
    assert ended[2] == "ingest"
    assert sorted(ended) == ["ingest", "reader 0", "reader 1", "reader 2"]


async def test_readers_get_turns_while_ingest_never_rests(connect: Any, reader: Connection, table: str) -> None:
    owners = [await connect() for _ in range(3)]
    done = asyncio.Event()
    went_on = asyncio.Event()

    async def ingest(owner: Connection) -> None:
        while not done.is_set():
            await owner.execute(f"INSERT INTO {table} SELECT g FROM generate_series(1, 1000) g")
            went_on.set()

    async with asyncio.TaskGroup() as group:
        for owner in owners:
            group.create_task(ingest(owner))
        for _ in range(2):
            went_on.clear()
            async with asyncio.timeout(30):
                await reader.execute("SELECT 1")
                await went_on.wait()
        done.set()


async def test_a_slow_reader_has_less_time_while_ingest_waits(tmp_path: Path) -> None:
    async with EmbeddedDatabase(EmbeddedSettings(data_dir=tmp_path)) as database:
        owner = await AsyncConnection.connect(database.owner_dsn, autocommit=True)
        reader = await AsyncConnection.connect(database.reader_dsn, autocommit=True)
        async with owner, reader, asyncio.TaskGroup() as group:
            await reader.execute("BEGIN")  # from here on it has the database
            writing = group.create_task(owner.execute("CREATE TABLE public.written (id int)"))
            assert "limit of 5 s for readers while the owner waits" in await refused(reader, SLOW)
            await reader.execute("ROLLBACK")
            await writing
            assert await (await reader.execute("SELECT 1")).fetchone() == (1,)


async def refused(reader: Connection, sql: str) -> str:
    with pytest.raises(errors.QueryCanceled) as caught:
        await reader.execute(sql)
    return str(caught.value)
