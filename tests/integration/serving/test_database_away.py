"""One pool's view of a TimescaleDB that hangs, and of one that was away for long."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.servers.proxy import Relay, relay
from tests.servers.timescaledb import TestDatabase
from tidegauge.errors import Unavailable
from tidegauge.storage.postgres import database as postgres
from tidegauge.storage.postgres.database import Database

_SHORT = timedelta(seconds=0.4)


@asynccontextmanager
async def behind_relay(server: TestDatabase) -> AsyncIterator[tuple[Database, Relay]]:
    place = conninfo_to_dict(server.owner_dsn)
    async with relay(str(place["host"]), int(place["port"] or 0)) as passing:
        dsn = make_conninfo(server.owner_dsn, host="127.0.0.1", port=passing.port)
        limits = {"connect_timeout": _SHORT, "statement_timeout": _SHORT, "lock_timeout": _SHORT}
        async with Database(dsn, pool_size=1, **limits) as own:
            yield own, passing


async def test_a_database_that_hangs_is_given_up_on(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_GRACE_SECONDS", 0.2)
    async with behind_relay(database) as (own, passing):
        with pytest.raises(Unavailable):
            async with own.reading() as connection:
                await connection.execute("SELECT 1")
                passing.hang()
                await connection.execute("SELECT 1")
        # A connection that nobody has used for a while, too.
        with pytest.raises(Unavailable):
            async with own.reading() as connection:
                await connection.execute("SELECT 1")
        passing.go_on()
        async with own.reading() as connection:
            await connection.execute("SELECT 1")


async def test_a_database_that_was_away_for_long_is_found_at_once(database: TestDatabase) -> None:
    async with behind_relay(database) as (own, passing):
        await passing.cut()
        for _ in range(10):
            with pytest.raises(Unavailable):
                await own.ping()
        await passing.restore()
        # The attempt that is under way may be the last one's.
        for _ in range(2):
            try:
                await own.ping()
            except Unavailable:
                continue
            break
        else:
            pytest.fail("it is not asked again")


def test_a_process_ends_where_its_database_did_not_answer_at_the_start() -> None:
    async def start(port: int) -> None:
        second = timedelta(seconds=1)
        database = Database(
            f"postgresql://nobody@127.0.0.1:{port}/none", pool_size=2, connect_timeout=second, statement_timeout=second, lock_timeout=second
        )
        with pytest.raises(Unavailable):
            async with database:
                pass

    with socket.create_server(("127.0.0.1", 0)) as silent:
        # Connections are taken by the system, and nobody speaks. asyncio.run() waits for every task that it has cancelled.
        ending = threading.Thread(target=lambda: asyncio.run(start(silent.getsockname()[1])), daemon=True)
        ending.start()
        ending.join(30)
    assert not ending.is_alive()
