"""A database of maintenance's own: its jobs work on all of a database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import psycopg
import pytest
import pytest_asyncio

from tests.servers import timescaledb
from tests.servers.timescaledb import TestDatabase
from tidegauge.config import Settings
from tidegauge.storage.postgres import migrate
from tidegauge.storage.postgres.database import Database


@pytest_asyncio.fixture(scope="package")
async def own(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> AsyncIterator[TestDatabase]:
    """A migrated database."""
    async with timescaledb.database(tmp_path_factory.mktemp("maintenance") / "data") as found:
        await asyncio.to_thread(migrate.upgrade, found.owner_dsn, settings, lambda _: None)
        async with await psycopg.AsyncConnection.connect(found.owner_dsn, prepare_threshold=None) as connection:
            # A server's own workers would do the same at the same time.
            await connection.execute(
                "SELECT alter_job(job_id, scheduled => false) FROM timescaledb_information.jobs WHERE job_id >= 1000 AND scheduled"
            )
        yield found


@pytest_asyncio.fixture(scope="package")
async def connected(own: TestDatabase) -> AsyncIterator[Database]:
    """Its pool."""
    seconds = timedelta(seconds=1)
    async with Database(
        own.owner_dsn, pool_size=3, connect_timeout=10 * seconds, statement_timeout=60 * seconds, lock_timeout=5 * seconds
    ) as database:
        yield database
