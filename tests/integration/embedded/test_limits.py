"""Limits that really end a statement, a transaction or a result, and leave everybody else alone."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection, errors
from psycopg.pq import TransactionStatus
from pydantic import ByteSize

from tidegauge.config import EmbeddedSettings
from tidegauge.embedded import EmbeddedDatabase

Connection = AsyncConnection[Any]

# Reads a large temporary file: can be interrupted. Computes only: the database has to be closed and opened again.
SOFT = "SELECT count(*) FROM generate_series(1, 1000000000000)"
HARD = "SELECT count(*) FROM pg_class a, pg_class b, pg_class c, pg_class d"


async def value(connection: Connection, sql: str) -> Any:
    row = await (await connection.execute(sql)).fetchone()
    return None if row is None else row[0]


def memory_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


async def test_a_statement_over_its_limit_ends_and_the_others_get_their_answers(connect: Any, table: str) -> None:
    clients = [await connect() for _ in range(5)]
    slow, *others = clients
    running = asyncio.create_task(slow.execute(SOFT))
    answers = await asyncio.gather(*(value(other, f"SELECT count(*) FROM {table}") for other in others))
    assert answers == [0, 0, 0, 0]
    with pytest.raises(errors.QueryCanceled, match=r"(?s)3 s.*TIDEGAUGE_EMBEDDED_STATEMENT_TIMEOUT_SECONDS"):
        await running
    assert await value(slow, "SELECT 1") == 1


async def test_a_statement_that_can_only_be_ended_hard(connect: Any, owner: Connection, table: str) -> None:
    client, other, prepared = await connect(autocommit=False), await connect(), await connect(prepare_threshold=0)
    await prepared.execute("SELECT %s::int", (1,))
    await owner.execute(f"INSERT INTO {table} VALUES (1)")
    await client.execute(f"INSERT INTO {table} VALUES (2)")
    running = asyncio.create_task(client.execute(HARD))
    assert await value(other, f"SELECT count(*) FROM {table}") == 1
    with pytest.raises(errors.QueryCanceled, match="statement timeout"):
        await running
    # The transaction went with the database; until its client ends it, it looks like a failed one.
    assert client.info.transaction_status is TransactionStatus.INERROR
    with pytest.raises(errors.InFailedSqlTransaction):
        await client.execute("SELECT 1")
    await client.rollback()
    assert await value(client, f"SELECT count(*) FROM {table}") == 1
    await client.rollback()
    assert (await (await prepared.execute("SELECT %s::int", (5,))).fetchone()) == (5,)


async def test_a_commit_of_a_lost_transaction_says_rollback(connect: Any) -> None:
    client = await connect(autocommit=False, options="-c statement_timeout=200")
    with pytest.raises(errors.QueryCanceled):
        await client.execute(HARD)
    assert client.pgconn.exec_(b"COMMIT").command_status == b"ROLLBACK"
    assert client.info.transaction_status is TransactionStatus.IDLE


async def test_a_client_may_lower_its_limit(connect: Any, owner: Connection) -> None:
    client = await connect(options="-c statement_timeout=100")
    with pytest.raises(errors.QueryCanceled, match=r"0\.1 s"):
        await client.execute(SOFT)
    await owner.execute("SET statement_timeout = '150ms'")
    with pytest.raises(errors.QueryCanceled, match=r"0\.15 s"):
        await owner.execute(SOFT)
    async with owner.transaction():
        await owner.execute("SET LOCAL statement_timeout = '50ms'")
        with pytest.raises(errors.QueryCanceled, match=r"0\.05 s"):
            async with owner.transaction():
                await owner.execute(SOFT)
    with pytest.raises(errors.QueryCanceled, match=r"0\.15 s"):
        await owner.execute(SOFT)


LIMIT = "SELECT set_config('lock_timeout', %s, true), pg_catalog.set_config('statement_timeout', %s, true)"


@pytest.mark.parametrize("pipeline", [False, True])
async def test_a_transaction_may_lower_its_limit_by_a_function(owner: Connection, pipeline: bool) -> None:
    for given, shown in (("50", r"0\.05 s"), ("100ms", r"0\.1 s")):
        with pytest.raises(errors.QueryCanceled, match=shown):
            async with owner.transaction(), owner.pipeline() if pipeline else nullcontext():
                await owner.execute(LIMIT, ("1000", given))
                await owner.execute(SOFT)
    async with owner.transaction():
        await owner.execute(LIMIT.replace("%s", "'150'"))
        with pytest.raises(errors.QueryCanceled, match=r"0\.15 s"):
            async with owner.transaction():
                await owner.execute(SOFT)
        assert (await value(owner, "SHOW statement_timeout"), await value(owner, "SHOW lock_timeout")) == ("150ms", "150ms")


async def test_a_transactions_limit_is_never_above_the_databases_and_ends_with_it(owner: Connection) -> None:
    async with owner.transaction():
        await owner.execute(LIMIT, ("1000", "50"))
    with pytest.raises(errors.QueryCanceled, match="of 3 s"):
        async with owner.transaction():
            await owner.execute(LIMIT, ("1000", "60s"))
            await owner.execute(SOFT)


@pytest.mark.parametrize("bind", [b"\0\0\0\0\0\xff", b"\0\0\x7f\xff", b"\0\0\0\0\0\x01\x7f\xff\xff\xff50", b"\0\0\0\0"])
async def test_a_bind_message_that_is_cut_off(database: EmbeddedDatabase, owner: Connection, bind: bytes) -> None:
    async with await AsyncConnection.connect(database.owner_dsn, autocommit=True) as client:
        with socket.socket(fileno=os.dup(client.pgconn.socket)) as wire:
            text = b"\0SELECT set_config('statement_timeout', $1, true)\0\0\0"
            wire.setblocking(True)
            for kind, body in ((b"P", text), (b"B", bind), (b"E", b"\0\0\0\0\0"), (b"S", b"")):
                wire.sendall(kind + struct.pack("!i", len(body) + 4) + body)
        assert await value(owner, "SELECT 1") == 1
        client.pgconn.finish()


async def test_an_idle_transaction_is_ended(connect: Any, owner: Connection, table: str) -> None:
    idle = await connect(autocommit=False)
    await idle.execute(f"INSERT INTO {table} VALUES (1)")
    assert await value(owner, f"SELECT count(*) FROM {table}") == 0  # waits until the limit ends the other
    with pytest.raises(errors.IdleInTransactionSessionTimeout, match="2 s"):
        await idle.execute("SELECT 1")
    assert idle.closed


@pytest.mark.parametrize("who", ["owner", "reader"])
async def test_a_busy_transaction_does_not_starve_the_others(connect: Any, owner: Connection, table: str, who: str) -> None:
    busy = await connect(autocommit=False, reader=who == "reader")
    await busy.execute("SELECT 1" if who == "reader" else f"INSERT INTO {table} VALUES (1)")
    waiting = asyncio.create_task(value(owner, f"SELECT count(*) FROM {table}"))
    limit, setting = ("2.5 s", "READER_TRANSACTION_TIMEOUT") if who == "reader" else ("3.5 s", "EMBEDDED_TRANSACTION_TIMEOUT")
    with pytest.raises(errors.TransactionTimeout, match=f"(?s){limit}.*{setting}_SECONDS"):
        while True:  # always busy, so never idle for long
            await busy.execute("SELECT 1")
    assert busy.closed
    assert await waiting == 0


async def test_a_transaction_that_computes_is_ended_for_the_others_too(connect: Any, owner: Connection, table: str) -> None:
    busy = await connect(autocommit=False)
    await busy.execute(f"INSERT INTO {table} VALUES (1)")
    waiting = asyncio.create_task(value(owner, f"SELECT count(*) FROM {table}"))
    with pytest.raises(errors.TransactionTimeout):
        while True:
            with suppress(errors.QueryCanceled):
                async with busy.transaction():  # each within its own limit
                    await busy.execute("SET LOCAL statement_timeout = '1500ms'")
                    await busy.execute(SOFT)
    assert await waiting == 0


async def test_a_transaction_that_nobody_waits_for_goes_on(connect: Any, table: str) -> None:
    alone = await connect(autocommit=False, options="-c statement_timeout=1200")
    await alone.execute(f"INSERT INTO {table} VALUES (1)")
    for _ in range(3):  # takes longer than the limit of transactions
        with pytest.raises(errors.QueryCanceled):
            async with alone.transaction():
                await alone.execute(SOFT)
    await alone.commit()
    assert await value(alone, f"SELECT count(*) FROM {table}") == 1
    await alone.rollback()


async def test_a_large_result_ends_before_it_piles_up(owner: Connection, reader: Connection, database: EmbeddedDatabase) -> None:
    sql = "SELECT g, repeat('x', 10000) FROM generate_series(1, 100000) g"  # 1 GB
    before = memory_mib(database.node_pid)
    with pytest.raises(errors.ProgramLimitExceeded, match=r"(?s)8 MiB.*TIDEGAUGE_EMBEDDED_RESULT_BYTES_LIMIT"):
        await owner.execute(sql)
    with pytest.raises(errors.ProgramLimitExceeded, match=r"(?s)2 MiB.*TIDEGAUGE_EMBEDDED_READER_RESULT_BYTES_LIMIT"):
        await reader.execute(sql)
    with pytest.raises(errors.ProgramLimitExceeded):
        async with reader.cursor() as cursor, cursor.copy(f"COPY ({sql}) TO STDOUT") as copy:
            async for _ in copy:
                pass
    assert memory_mib(database.node_pid) - before < 100
    assert len(await (await owner.execute("SELECT repeat('x', 10000) FROM generate_series(1, 500)")).fetchall()) == 500


async def test_memory_of_a_huge_statement_is_given_back(tmp_path: Path) -> None:
    """On a database of its own: 200 MB may take longer than the shared one's 3 s, and would end for another reason."""
    settings = EmbeddedSettings(data_dir=tmp_path / "data", result_bytes_limit=ByteSize(8 << 20))
    async with EmbeddedDatabase(settings) as database, await AsyncConnection.connect(database.owner_dsn, autocommit=True) as owner:
        await owner.execute("CREATE TABLE public.kept AS SELECT 1 AS id")
        await owner.execute("SET application_name = 'kept'")
        with pytest.raises(errors.ProgramLimitExceeded):
            await owner.execute("SELECT repeat('x', 200000000)")
        huge = memory_mib(database.node_pid)
        async with asyncio.timeout(60):
            while "trimming" not in database.last_events:  # noqa: ASYNC110 - another process makes it true
                await asyncio.sleep(0.05)
        assert await value(owner, "SELECT count(*) FROM public.kept") == 1
        assert await value(owner, "SHOW application_name") == "kept"
        assert memory_mib(database.node_pid) < huge - 300


async def test_a_client_that_does_not_read_is_waited_for_within_bounds(connect: Any, owner: Connection, database: EmbeddedDatabase) -> None:
    before = memory_mib(database.node_pid)
    lazy = await connect()
    cursor = lazy.cursor()
    context = cursor.copy("COPY (SELECT repeat('x', 10000) FROM generate_series(1, 100000)) TO STDOUT")
    copy = await context.__aenter__()
    assert await copy.read()
    assert await value(owner, "SELECT 1") == 1  # after the statement limit has ended the other
    assert memory_mib(database.node_pid) - before < 100
    with pytest.raises(errors.QueryCanceled, match="statement timeout"):
        while await copy.read():
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_an_export_may_be_larger_than_the_result_limit(owner: Connection, database: EmbeddedDatabase) -> None:
    size = 0
    async with owner.cursor() as cursor, cursor.copy("COPY (SELECT repeat('x', 10000) FROM generate_series(1, 2000)) TO STDOUT") as copy:
        async for part in copy:
            size += len(part)
    assert size == 2000 * 10001


async def test_a_client_that_vanishes_while_its_statement_runs(connect: Any, owner: Connection, table: str) -> None:
    client = await connect()
    client.pgconn.send_query(f"INSERT INTO {table} SELECT g FROM generate_series(1, 1000000000000) g".encode())
    client.pgconn.finish()
    assert await value(owner, f"SELECT count(*) FROM {table}") == 0


NESTED = {
    "sums": "SELECT " + "1+" * 3000 + "1",
    "calls": "SELECT " + "abs(" * 1000 + "1" + ")" * 1000,
    "subqueries": "SELECT * FROM " + "(SELECT * FROM " * 150 + "(SELECT 1) a" + ") a" * 150,
    "jsonb": "SELECT ('" + '{"a":' * 5000 + "1" + "}" * 5000 + "')::jsonb IS NOT NULL",
    "functions": "SELECT public.count_down(500)",
}


@pytest.mark.parametrize("kind", NESTED)
async def test_deeply_nested_statements_overrun_no_stack(owner: Connection, kind: str) -> None:
    body = "BEGIN IF i = 0 THEN RETURN 0; END IF; RETURN public.count_down(i - 1); END"
    await owner.execute(f"CREATE FUNCTION public.count_down(i int) RETURNS int LANGUAGE plpgsql AS '{body}'")
    try:
        assert await value(owner, NESTED[kind]) in {3001, 1, 0}
    finally:
        await owner.execute("DROP FUNCTION public.count_down(int)")


async def test_the_database_opens_again_when_it_broke(connect: Any, owner: Connection, table: str) -> None:
    await owner.execute(f"INSERT INTO {table} VALUES (1)")
    client = await connect(autocommit=False)
    await client.execute(f"INSERT INTO {table} VALUES (2)")
    with pytest.raises(errors.CrashShutdown):
        await client.execute("SELECT repeat('[', 3000000)::jsonb")
    assert await value(owner, f"SELECT count(*) FROM {table}") == 1
