"""Many clients on one session: turns, transactions, settings, prepared statements, cancellation."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection, errors
from psycopg.pq import ExecStatus, TransactionStatus

from tidegauge.embedded import EmbeddedDatabase

Connection = AsyncConnection[Any]


async def value(connection: Connection, sql: str, *args: object) -> Any:
    row = await (await connection.execute(sql, args or None)).fetchone()
    return None if row is None else row[0]


async def until_waiting(owner: Connection, task: asyncio.Task[Any]) -> None:
    """The task's statement has reached the server, and waits because `owner` has the database."""
    for _ in range(3):
        await owner.execute("SELECT 1")
        await asyncio.sleep(0)
    assert not task.done()


async def test_many_clients_at_once(connect: Any, owner: Connection, table: str) -> None:
    await owner.execute(f"INSERT INTO {table} VALUES (0, 'counter')")

    async def work(client: Connection, number: int) -> None:
        for step in range(8):
            async with client.transaction():
                before = await value(client, f"SELECT id FROM {table} WHERE name = 'counter'")
                await client.execute(f"UPDATE {table} SET id = %s WHERE name = 'counter'", (before + 1,))
            async with client.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
                await copy.write_row((number, str(step)))

    clients = [await connect() for _ in range(12)]
    await asyncio.gather(*(work(client, number) for number, client in enumerate(clients)))
    assert await value(owner, f"SELECT id FROM {table} WHERE name = 'counter'") == 96
    assert await value(owner, f"SELECT count(DISTINCT (id, name)) FROM {table} WHERE name <> 'counter'") == 96


async def test_an_open_transaction_keeps_the_others_waiting(connect: Any, owner: Connection, table: str) -> None:
    other = await connect()
    async with owner.transaction():
        await owner.execute(f"INSERT INTO {table} VALUES (1)")
        waiting = asyncio.create_task(value(other, f"SELECT count(*) FROM {table}"))
        await until_waiting(owner, waiting)
    assert await waiting == 1


async def test_a_client_that_vanishes_leaves_nothing_behind(connect: Any, owner: Connection, table: str) -> None:
    gone = await connect(autocommit=False)
    await gone.execute(f"INSERT INTO {table} VALUES (1)")
    await gone.execute("SET timezone = 'Asia/Tokyo'")
    gone.pgconn.finish()  # no ROLLBACK, no Terminate that matters
    assert await value(owner, f"SELECT count(*) FROM {table}") == 0
    assert await value(owner, "SHOW timezone") == "UTC"


async def test_settings_are_each_clients_own(connect: Any, owner: Connection) -> None:
    tokyo, berlin = await connect(), await connect(options="-c timezone=Europe/Berlin -c search_path=pg_catalog", application_name="b")
    await tokyo.execute("SET timezone = 'Asia/Tokyo'")
    await tokyo.execute("SELECT set_config('search_path', 'analytics', false)")
    for _ in range(2):
        assert await value(owner, "SHOW timezone") == "UTC"
        assert await value(owner, "SHOW search_path") == '"$user", public'
        assert await value(tokyo, "SHOW timezone") == "Asia/Tokyo"
        assert await value(tokyo, "SHOW search_path") == "analytics"
        assert await value(berlin, "SHOW timezone") == "Europe/Berlin"
        assert await value(berlin, "SHOW search_path") == "pg_catalog"
        assert await value(berlin, "SHOW application_name") == "b"
    assert tokyo.pgconn.parameter_status(b"TimeZone") == b"Asia/Tokyo"
    assert berlin.pgconn.parameter_status(b"TimeZone") == b"Europe/Berlin"
    await tokyo.execute("RESET ALL")
    assert await value(tokyo, "SHOW timezone") == "UTC"


async def test_a_setting_of_a_rolled_back_transaction_is_gone(connect: Any) -> None:
    client = await connect(autocommit=False)
    await client.execute("SET timezone = 'Asia/Tokyo'")
    await client.execute("SET LOCAL work_mem = '8MB'")
    await client.rollback()
    assert (await value(client, "SHOW timezone"), await value(client, "SHOW work_mem")) == ("UTC", "4MB")


async def test_prepared_statements_of_two_clients_do_not_meet(connect: Any) -> None:
    one, two = await connect(prepare_threshold=0), await connect(prepare_threshold=0)
    for _ in range(3):
        assert await value(one, "SELECT %s::int + 1", 1) == 2
        assert await value(two, "SELECT %s::text || 'x'", "a") == "ax"
    for client, text in ((one, b"SELECT 'one'"), (two, b"SELECT 'two'")):
        client.pgconn.prepare(b"", text)
    assert one.pgconn.exec_prepared(b"", None).get_value(0, 0) == b"one"
    await one.execute("DEALLOCATE ALL")
    assert two.pgconn.exec_prepared(b"", None).get_value(0, 0) == b"two"
    assert await value(two, "SELECT %s::text || 'x'", "a") == "ax"


async def test_unknown_prepared_statement(connect: Any, owner: Connection) -> None:
    for name in (b"", b"nobody's"):
        result = owner.pgconn.exec_prepared(name, None)
        assert (result.status, result.error_field(psycopg.pq.DiagnosticField.SQLSTATE)) == (ExecStatus.FATAL_ERROR, b"26000")
    assert await value(owner, "SELECT 1") == 1


async def test_an_error_in_a_pipeline_undoes_all_of_it(owner: Connection, table: str) -> None:
    with pytest.raises(errors.DivisionByZero):
        async with owner.pipeline():
            await owner.execute(f"INSERT INTO {table} VALUES (1)")
            await owner.execute("SELECT 1/0")
            await owner.execute(f"INSERT INTO {table} VALUES (2)")
    assert await value(owner, f"SELECT count(*) FROM {table}") == 0


async def test_a_refused_statement_fails_its_transaction(connect: Any, owner: Connection, table: str) -> None:
    with pytest.raises(errors.FeatureNotSupported):
        async with owner.pipeline():
            await owner.execute(f"INSERT INTO {table} VALUES (1)")
            await owner.execute("LISTEN nothing")
    assert await value(owner, f"SELECT count(*) FROM {table}") == 0
    client = await connect(autocommit=False)
    with pytest.raises(errors.FeatureNotSupported):
        await client.execute("LISTEN nothing")
    assert client.info.transaction_status is TransactionStatus.INERROR
    await client.rollback()


@pytest.mark.parametrize(
    "sql",
    [
        "LISTEN x",
        "PREPARE x AS SELECT 1",
        "EXECUTE x",
        "CREATE TEMP TABLE x (a int)",
        "CREATE TEMPORARY VIEW x AS SELECT 1",
        "SELECT 1 INTO TEMP x",
        "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1",
        "SET ROLE tidegauge_reader",
        "SET client_encoding = 'SJIS'",
        "SELECT 1; COPY pg_class FROM STDIN",
    ],
)
async def test_what_one_session_cannot_give_to_many(owner: Connection, sql: str) -> None:
    with pytest.raises(errors.FeatureNotSupported):
        await owner.execute(sql)
    await owner.rollback()
    assert await value(owner, "SELECT 1") == 1


async def test_temporary_tables_of_a_transaction(owner: Connection) -> None:
    async with owner.transaction():
        await owner.execute("CREATE TEMP TABLE x (a int) ON COMMIT DROP")
        await owner.execute("INSERT INTO x VALUES (1)")
        assert await value(owner, "SELECT count(*) FROM x") == 1
    assert await value(owner, "SELECT to_regclass('x')") is None


async def test_cursors_notices_and_statements_in_one_message(owner: Connection, table: str) -> None:
    notices: list[str | None] = []
    owner.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    await owner.execute("DO $$ BEGIN RAISE NOTICE 'heard'; END $$")
    assert notices == ["heard"]
    await owner.execute(f"INSERT INTO {table} SELECT g, g::text FROM generate_series(1, 5000) g; SELECT 1")
    async with owner.transaction(), owner.cursor("a_cursor") as cursor:
        await cursor.execute(f"SELECT id FROM {table} ORDER BY id")
        assert len(await cursor.fetchmany(100)) == 100
        assert len(await cursor.fetchall()) == 4900


async def test_flush_brings_results_before_sync(owner: Connection) -> None:
    connection = owner.pgconn
    connection.enter_pipeline_mode()
    connection.send_query_params(b"SELECT 7", None)
    connection.send_flush_request()
    connection.nonblocking = 0
    connection.flush()
    result = connection.get_result()
    assert result is not None
    assert result.get_value(0, 0) == b"7"
    assert connection.get_result() is None
    connection.pipeline_sync()
    connection.flush()
    result = connection.get_result()
    assert result is not None
    assert result.status == ExecStatus.PIPELINE_SYNC
    connection.exit_pipeline_mode()
    assert await value(owner, "SELECT 1") == 1


async def test_cancelling_a_running_statement(connect: Any, owner: Connection) -> None:
    client = await connect()
    running = asyncio.create_task(client.execute("SELECT count(*) FROM generate_series(1, 1000000000000)"))
    while not running.done():  # it may not have begun when the first request comes
        await client.cancel_safe(timeout=5)
        await asyncio.wait([running], timeout=0.05)
    with pytest.raises(errors.QueryCanceled, match="user request"):
        await running
    assert await value(client, "SELECT 1") == 1
    assert await value(owner, "SELECT 1") == 1


@pytest.mark.parametrize("reader", [False, True])
async def test_cancelling_a_task_ends_its_statement(connect: Any, owner: Connection, reader: bool) -> None:
    client = await connect(reader=reader)
    running = asyncio.create_task(client.execute("SELECT count(*) FROM generate_series(1, %s::bigint)", (10**12,)))
    waiting = asyncio.create_task(value(owner, "SELECT 1"))
    while client.info.transaction_status is not TransactionStatus.ACTIVE:  # noqa: ASYNC110 - until it has been sent
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await waiting == 1
    assert await value(client, "SELECT 1") == 1


@pytest.mark.parametrize("way", ["simple", "extended", "task"])
async def test_cancelling_a_waiting_statement(connect: Any, owner: Connection, table: str, way: str) -> None:
    client = await connect()
    async with owner.transaction():
        await owner.execute("SELECT 1")
        sql, given = (f"INSERT INTO {table} VALUES (1)", None) if way == "simple" else (f"INSERT INTO {table} VALUES (%s)", (1,))
        waiting = asyncio.create_task(client.execute(sql, given))
        await until_waiting(owner, waiting)
        while not waiting.done():
            if way == "task":
                waiting.cancel()
            else:
                await client.cancel_safe(timeout=5)
            await owner.execute("SELECT 1")
            await asyncio.wait([waiting], timeout=0.05)
        with pytest.raises(asyncio.CancelledError if way == "task" else errors.QueryCanceled):
            await waiting
    assert await value(client, f"SELECT count(*) + %s FROM {table}", 0) == 0  # it has left the queue, and does not run later


@pytest.mark.parametrize("reader", [False, True])
async def test_connecting_waits_for_nobody(connect: Any, owner: Connection, reader: bool) -> None:
    async with owner.transaction():
        await owner.execute("SELECT 1")
        client = await connect(reader=reader, application_name="it's \\ me")  # while another has the database
        assert client.pgconn.parameter_status(b"application_name") == b"it's \\ me"
    assert await value(client, "SHOW application_name") == "it's \\ me"


async def test_too_many_clients(connect: Any) -> None:
    with pytest.raises(psycopg.OperationalError, match="too many clients"):
        for _ in range(30):
            await connect()


@pytest.mark.parametrize("change", [("tidegauge:", "nobody:"), ("tidegauge:", "tidegauge:x")])
async def test_wrong_user_or_password(database: EmbeddedDatabase, change: tuple[str, str]) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        await AsyncConnection.connect(database.owner_dsn.replace(*change))


async def test_start_up_settings_that_postgresql_refuses(connect: Any, owner: Connection) -> None:
    with pytest.raises(psycopg.OperationalError, match="TimeZone"):
        await connect(options="-c timezone=Nowhere")
    with pytest.raises(psycopg.OperationalError, match="replication"):
        await connect(replication="database")
    with pytest.raises(psycopg.OperationalError, match="UTF8"):
        await connect(client_encoding="SJIS")
    assert await value(owner, "SHOW timezone") == "UTC"
