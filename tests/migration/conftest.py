"""A database of these tests' own: they take the schema down and up again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from psycopg.rows import tuple_row

from tests.servers import timescaledb
from tests.servers.timescaledb import TestDatabase
from tidegauge.config import Settings
from tidegauge.storage.postgres import migrate

CATALOGUE = (Path(__file__).parent / "catalogue.sql").read_text()
GOLDEN = Path(__file__).parent / "golden" / "catalogue.txt"

Rows = list[tuple[Any, ...]]
Ask = Callable[..., Rows]


@pytest_asyncio.fixture(scope="package")
async def own_database(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestDatabase]:
    """An empty database at first; each test brings it to the revision that it needs."""
    async with timescaledb.database(tmp_path_factory.mktemp("migration") / "data") as found:
        yield found


@pytest.fixture(scope="package")
def dsn(own_database: TestDatabase) -> str:
    return own_database.owner_dsn


@pytest.fixture
def ask(dsn: str) -> Iterator[Ask]:
    """Run a statement in a transaction of its own, or without one; returns its rows."""
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:

        def run(statement: str, parameters: object = None) -> Rows:
            cursor = connection.cursor(row_factory=tuple_row)
            cursor.execute(statement, parameters)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

        yield run


Migrate = Callable[..., Any]


@pytest.fixture
def upgrade(dsn: str, settings: Settings) -> Migrate:
    """``await upgrade(revision)``; returns what was reported."""
    return _reporting(migrate.upgrade, dsn, settings)


@pytest.fixture
def downgrade(dsn: str, settings: Settings) -> Migrate:
    return _reporting(migrate.downgrade, dsn, settings)


def _reporting(function: Callable[..., None], dsn: str, settings: Settings) -> Migrate:
    async def call(*revision: str, settings: Settings = settings, dsn: str = dsn, **options: bool) -> list[str]:
        said: list[str] = []
        # The embedded database is supervised by this loop.
        await asyncio.to_thread(function, dsn, settings, said.append, *revision, **options)
        return said

    return call
