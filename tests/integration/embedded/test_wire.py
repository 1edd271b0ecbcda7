"""Bytes that no driver sends: the server answers by the protocol or hangs up, and serves everybody else."""

from __future__ import annotations

import asyncio
import shutil
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection

from tidegauge.embedded import EmbeddedDatabase


async def still_serves(owner: AsyncConnection[Any]) -> bool:
    return await (await owner.execute("SELECT 1")).fetchone() == (1,)


async def say(database: EmbeddedDatabase, *parts: bytes) -> bytes:
    """Send the parts, then read until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", database.port)
    for part in parts:
        writer.write(part)
    writer.write_eof()
    try:
        return await asyncio.wait_for(reader.read(), 30)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def startup(**parameters: str) -> bytes:
    body = b"".join(name.encode() + b"\0" + value.encode() + b"\0" for name, value in parameters.items()) + b"\0"
    return struct.pack("!ii", len(body) + 8, 196608) + body


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        struct.pack("!i", 0x7FFFFFFF),
        struct.pack("!i", -1),
        struct.pack("!ii", 8, 2 << 16),
        startup(user="tidegauge") + b"Q" + struct.pack("!i", 0x7FFFFFFF),
        startup(user="tidegauge") + b"p" + struct.pack("!i", 4),
        startup(user="tidegauge") + b"p" + struct.pack("!i", 30) + b"SCRAM-SHA-256\0" + struct.pack("!i", 8) + b"n,,n=,r=",
        startup(user="tidegauge") + b"p" + struct.pack("!i", 9) + b"PLAIN\0\0\0\0"[:5],
        startup(user="tidegauge", replication="true"),
        b"\0" * 100,
        b"",
    ],
)
async def test_hostile_beginnings(database: EmbeddedDatabase, owner: AsyncConnection[Any], data: bytes) -> None:
    answer = await say(database, data)
    assert answer[:1] in {b"", b"E", b"R"}
    assert b"\0\0\0\x08\0\0\0\0" not in answer  # AuthenticationOk
    assert await still_serves(owner)


async def test_encryption_is_declined(database: EmbeddedDatabase) -> None:
    for code in (80877103, 80877104):
        assert await say(database, struct.pack("!ii", 8, code)) == b"N"


async def test_a_cancellation_with_a_wrong_key_does_nothing(database: EmbeddedDatabase, owner: AsyncConnection[Any]) -> None:
    running = asyncio.create_task(owner.execute("SELECT count(*) FROM generate_series(1, 300000)"))
    assert await say(database, struct.pack("!iiii", 16, 80877102, owner.pgconn.backend_pid, 12345)) == b""
    assert await (await running).fetchone() == (300000,)


@pytest.mark.parametrize(
    "data",
    [
        b"Q" + struct.pack("!i", 0x7FFFFFFF),
        b"Q" + struct.pack("!i", 12) + b"SELECT 1",
        b"Q" + struct.pack("!i", 22) + b"SELECT 1\0SELECT 2\0",
        b"P" + struct.pack("!i", 8) + b"abcd",
        b"B" + struct.pack("!i", 4),
        b"z" + struct.pack("!i", 4),
        b"F" + struct.pack("!i", 4),
        b"d" + struct.pack("!i", 4) + b"X" + struct.pack("!i", 4),
    ],
)
async def test_hostile_messages(connect: Any, owner: AsyncConnection[Any], data: bytes) -> None:
    for role in (False, True):
        client = await connect(reader=role)
        loop = asyncio.get_running_loop()
        with socket.socket(fileno=socket.dup(client.pgconn.socket)) as raw:
            await loop.sock_sendall(raw, data + b"X" + struct.pack("!i", 4))
            answer = await asyncio.wait_for(loop.sock_recv(raw, 65536), 30)
            assert answer[:1] in {b"E", b""}
        assert await still_serves(owner)


async def test_a_connection_that_says_nothing_holds_nobody_up(database: EmbeddedDatabase, owner: AsyncConnection[Any]) -> None:
    connections = [await asyncio.open_connection("127.0.0.1", database.port) for _ in range(40)]
    assert await still_serves(owner)
    for _, writer in connections:
        writer.close()


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not on PATH")
async def test_javascript() -> None:
    """The tests of the modules that need no database."""
    files = sorted(str(path) for path in Path(__file__).with_name("js").glob("*.test.mjs"))
    process = await asyncio.create_subprocess_exec(
        "node", "--test", *files, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
