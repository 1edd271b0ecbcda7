"""COPY FROM STDIN, which our server carries out, and COPY TO STDOUT."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg import AsyncConnection, errors
from psycopg.pq import ExecStatus, TransactionStatus

from tidegauge.embedded import EmbeddedDatabase

Connection = AsyncConnection[Any]


async def copy_in(connection: Connection, sql: str, data: bytes) -> int:
    async with connection.cursor() as cursor:
        async with cursor.copy(sql) as copy:
            await copy.write(data)
        return cursor.rowcount


async def rows(connection: Connection, table: str) -> list[tuple[Any, ...]]:
    return await (await connection.execute(f"SELECT id, name FROM {table} ORDER BY id")).fetchall()


@pytest.mark.parametrize(
    ("sql", "data"),
    [
        ("COPY {} FROM STDIN", b"1\tone\n2\t\\N\n"),
        ("copy {} (id, name) from stdin with (format csv, header)", b"id,name\n1,one\n2,\n"),
        ("Copy {}(name,id) From StdIn CSV DELIMITER ';' NULL 'nil';", b"one;1\nnil;2\n"),
        ("/* FROM x */ COPY {} -- FROM STDIN\n FROM /* a /* nested */ one */ STDIN (FORMAT text, DELIMITER '|')", b"1|one\n2|\\N\n"),
        ("COPY {} FROM STDIN (FORMAT csv) WHERE id < 3 AND name IS DISTINCT FROM 'from stdin'", b"1,one\n2,\n3,three\n"),
    ],
)
async def test_forms_of_copy(owner: Connection, table: str, sql: str, data: bytes) -> None:
    assert await copy_in(owner, sql.format(table), data) == 2
    assert await rows(owner, table) == [(1, "one"), (2, None)]


async def test_names_that_look_like_syntax(owner: Connection) -> None:
    await owner.execute('CREATE TABLE public."from stdin" ("from" int, "STDIN" text)')
    try:
        assert await copy_in(owner, 'COPY public."from stdin" ("from", "STDIN") FROM STDIN', b"1\tx\n") == 1
    finally:
        await owner.execute('DROP TABLE public."from stdin"')


async def test_binary_and_back(owner: Connection, table: str) -> None:
    count = 50_000
    async with owner.cursor() as cursor:
        async with cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            for number in range(count):
                await copy.write_row((number, None if number % 7 == 0 else "ä" * (number % 40)))
        assert cursor.rowcount == count
        async with cursor.copy(f"COPY {table} TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            back = [row async for row in copy.rows()]
    assert sorted(back) == [(number, None if number % 7 == 0 else "ä" * (number % 40)) for number in range(count)]


async def test_bad_data_names_the_line_and_stores_nothing(owner: Connection, table: str) -> None:
    with pytest.raises(errors.InvalidTextRepresentation, match="line 2"):
        await copy_in(owner, f"COPY {table} FROM STDIN", b"1\tone\nx\ttwo\n")
    with pytest.raises(errors.UndefinedTable):
        await copy_in(owner, "COPY public.nowhere FROM STDIN", b"1\tone\n")
    assert await rows(owner, table) == []


async def test_a_copy_that_the_client_gives_up(owner: Connection, table: str) -> None:
    with pytest.raises(ZeroDivisionError):
        async with owner.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
            await copy.write(b"1\tone\n")
            raise ZeroDivisionError
    assert owner.info.transaction_status is TransactionStatus.IDLE
    assert await rows(owner, table) == []


async def test_copy_belongs_to_its_transaction(connect: Any, table: str) -> None:
    client = await connect(autocommit=False)
    assert await copy_in(client, f"COPY {table} FROM STDIN", b"1\tone\n") == 1
    assert await rows(client, table) == [(1, "one")]
    await client.rollback()
    await copy_in(client, f"COPY {table} FROM STDIN", b"2\ttwo\n")
    with pytest.raises(errors.InvalidTextRepresentation):
        await copy_in(client, f"COPY {table} FROM STDIN", b"x\tthree\n")
    with pytest.raises(errors.InFailedSqlTransaction):
        await copy_in(client, f"COPY {table} FROM STDIN", b"4\tfour\n")
    await client.rollback()
    assert await rows(client, table) == []
    await client.rollback()


async def test_copy_by_the_extended_protocol(owner: Connection, table: str) -> None:
    connection = owner.pgconn
    assert connection.exec_params(f"COPY {table} FROM STDIN".encode(), None).status == ExecStatus.COPY_IN
    connection.put_copy_data(b"1\tone\n")
    connection.put_copy_end()
    result = connection.get_result()
    assert result is not None
    assert (result.status, result.command_tuples) == (ExecStatus.COMMAND_OK, 1)
    while connection.get_result() is not None:
        pass
    assert await rows(owner, table) == [(1, "one")]


async def test_a_copy_over_the_limit(owner: Connection, table: str, database: EmbeddedDatabase) -> None:
    line = b"1\t" + b"x" * 1000 + b"\n"
    with pytest.raises(errors.ProgramLimitExceeded, match="TIDEGAUGE_EMBEDDED_COPY_BYTES_LIMIT"):
        await copy_in(owner, f"COPY {table} FROM STDIN", line * 20_000)
    assert await rows(owner, table) == []
    assert await copy_in(owner, f"COPY {table} FROM STDIN", line * 100) == 100


async def test_a_client_that_vanishes_while_copying(connect: Any, owner: Connection, table: str) -> None:
    for autocommit in (True, False):
        client = await connect(autocommit=autocommit)
        cursor = client.cursor()
        copy = cursor.copy(f"COPY {table} FROM STDIN")
        await (await copy.__aenter__()).write(b"1\tone\n" * 10_000)
        client.pgconn.finish()
    assert await rows(owner, table) == []
