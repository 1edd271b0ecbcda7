"""How far rollups lag, and how TimescaleDB's own jobs fare: for metrics."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.rows import class_row

from tidegauge.maintenance.store import Collected, JobCounts, RollupLag
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres.database import Database


class PostgresLag:
    """:class:`tidegauge.maintenance.store.LagStore` in TimescaleDB."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sqlfiles.queries("lag")

    async def rollups(self) -> Sequence[RollupLag]:
        """See ``LagStore``."""
        async with self._database.reading() as connection, connection.cursor(row_factory=class_row(RollupLag)) as cursor:
            await cursor.execute(self._sql["rollups"], {})
            return await cursor.fetchall()

    async def jobs(self) -> Sequence[JobCounts]:
        """See ``LagStore``."""
        async with self._database.reading() as connection, connection.cursor(row_factory=class_row(JobCounts)) as cursor:
            await cursor.execute(self._sql["jobs"], {})
            return await cursor.fetchall()

    async def collected(self) -> Sequence[Collected]:
        """See ``LagStore``."""
        async with self._database.reading() as connection, connection.cursor(row_factory=class_row(Collected)) as cursor:
            await cursor.execute(self._sql["collected"], {})
            return await cursor.fetchall()
