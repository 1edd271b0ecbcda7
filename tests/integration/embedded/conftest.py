"""One embedded database for the whole folder, with limits short enough to be reached in a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection

from tidegauge.config import EmbeddedSettings
from tidegauge.embedded import EmbeddedDatabase

LIMITS: dict[str, Any] = {
    "statement_timeout_seconds": 3.0,
    "reader_statement_timeout_seconds": 1.5,
    "idle_in_transaction_timeout_seconds": 2.0,
    "transaction_timeout_seconds": 3.5,
    "reader_transaction_timeout_seconds": 2.5,
    "result_bytes_limit": 8 << 20,
    "reader_result_bytes_limit": 2 << 20,
    "copy_bytes_limit": 8 << 20,
    "max_connections": 24,
}

Connect = Callable[..., Awaitable[AsyncConnection[Any]]]


@pytest.fixture(scope="package")
async def database(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedDatabase]:
    """A running database that the tests of this folder share; each makes its own tables."""
    settings = EmbeddedSettings(data_dir=tmp_path_factory.mktemp("embedded") / "data", **LIMITS)
    async with EmbeddedDatabase(settings) as running, await AsyncConnection.connect(running.owner_dsn, autocommit=True) as owner:
        await owner.execute("CREATE SCHEMA analytics")
        await owner.execute("GRANT USAGE ON SCHEMA analytics TO tidegauge_reader")
        await owner.close()
        yield running


@pytest.fixture
async def connect(database: EmbeddedDatabase) -> AsyncIterator[Connect]:
    """Opens connections of the owner (or with ``reader=True`` of the reader) that the end of the test closes."""
    async with AsyncExitStack() as stack:

        async def open_one(*, reader: bool = False, autocommit: bool = True, **kwargs: Any) -> AsyncConnection[Any]:
            dsn = database.reader_dsn if reader else database.owner_dsn
            connection = await AsyncConnection.connect(dsn, autocommit=autocommit, **kwargs)
            stack.push_async_callback(connection.close)
            return connection

        yield open_one


@pytest.fixture
async def owner(connect: Connect) -> AsyncConnection[Any]:
    """A connection of the owner, in autocommit mode."""
    return await connect()


@pytest.fixture
async def reader(connect: Connect) -> AsyncConnection[Any]:
    """A connection of the reader, in autocommit mode."""
    return await connect(reader=True)


@pytest.fixture
async def table(owner: AsyncConnection[Any]) -> AsyncIterator[str]:
    """An empty table (id int, name text)."""
    await owner.execute("CREATE TABLE public.rows_of_a_test (id int, name text)")
    yield "public.rows_of_a_test"
    await owner.rollback()
    await owner.execute("DROP TABLE public.rows_of_a_test")


@pytest.fixture
def settings(tmp_path: Path) -> EmbeddedSettings:
    """Settings for a database of the test's own."""
    return EmbeddedSettings(data_dir=tmp_path / "data", **LIMITS)
