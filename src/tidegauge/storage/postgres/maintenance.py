"""Maintenance of a TimescaleDB: what is due by its catalogues, and the statements that do it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row, dict_row

from tidegauge.errors import TidegaugeError, Unavailable
from tidegauge.maintenance import windows
from tidegauge.maintenance.chunks import Chunk, Cut
from tidegauge.maintenance.store import Lifecycle, Paired, Run
from tidegauge.maintenance.upkeep import Kind, Relation, Task
from tidegauge.maintenance.userjobs import UserJob
from tidegauge.maintenance.windows import Load, Rollup, Span
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres.database import Database

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Another session refreshes the same rollup, or a writer is in the way: it is over in a moment.
_IN_THE_WAY = ("55P03", "40001", "40P01")
_ATTEMPTS = 20
_PAUSE_SECONDS = 0.5


class PostgresMaintenance:
    """``MaintenanceStore`` on TimescaleDB, embedded or a server."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sqlfiles.queries("maintenance")
        self._collection = sqlfiles.queries("collection")

    async def rollups(self, now: datetime) -> Sequence[Rollup]:
        """Our continuous aggregates with what is out of date, those that others are made from first."""
        return [
            Rollup(
                view=row["view"],
                level=row["level"],
                root=row["root"],
                source_id=row["source_id"],
                bucket=row["bucket"],
                bounds=Span(row["window_start"], row["window_end"]),
                pending=tuple(Span(start, end) for start, end in row["pending"]),
                watermark=row["watermark"],
            )
            for row in await self._rows("rollups", {"now": now})
        ]

    async def loads(self, source_id: int, span: Span) -> Sequence[Load]:
        """What there is to read of a hypertable in ``span``, by chunk and finer where statistics tell."""
        parameters = {"source_id": source_id, "start": _moment(span.start), "end": _moment(span.end)}
        loads: list[Load] = []
        for row in await self._rows("loads", parameters):
            chunk = Span(row["start"], row["end"])
            loads += windows.spread(chunk, row["filled_to"], row["bytes"], row["analyzed_bytes"], row["bounds"])
        return loads

    async def refresh(self, view: str, window: Span) -> None:
        """Refresh a continuous aggregate.

        Raises:
            TidegaugeError: it failed; names the view.

        """
        parameters = {"view": view, "start": _moment(window.start), "end": _moment(window.end)}
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._call("refresh", parameters)
                return
            except psycopg.Error as error:
                if error.sqlstate not in _IN_THE_WAY or attempt == _ATTEMPTS:
                    raise _explained(error, f"refresh of {view}") from error
            await asyncio.sleep(_PAUSE_SECONDS)

    async def repaired(self, view: str, window: Span) -> None:
        """Count a refresh of what had been materialised before data for it came late."""
        relation = view.removeprefix("tidegauge.")
        await self._change("record_repair", {"relation": relation, "start": _moment(window.start), "end": _moment(window.end)})

    async def chunks(self) -> Sequence[Chunk]:
        """Chunks of raw data."""
        async with self._database.reading() as connection, connection.cursor(row_factory=class_row(Chunk)) as cursor:
            await cursor.execute(self._sql["chunks"], {})
            return await cursor.fetchall()

    async def lifecycles(self) -> Sequence[Lifecycle]:
        """How each table of raw data is kept."""
        async with self._database.reading() as connection, connection.cursor(row_factory=class_row(Lifecycle)) as cursor:
            await cursor.execute(self._sql["lifecycles"], {})
            return await cursor.fetchall()

    async def set_chunk_interval(self, table: str, interval: timedelta) -> None:
        """How long new chunks are."""
        await self._change("set_chunk_interval", {"table": f"tidegauge.{table}", "interval": interval})

    async def cut(self, cut: Cut) -> None:
        """Cut a chunk in two and drop the later part where it is empty.

        Raises:
            TidegaugeError: it failed; the chunk is as it was.

        """
        chunk = cut.chunk
        try:
            await self._call("split_chunk", {"chunk": chunk.relation, "at": cut.at})
        except psycopg.Error as error:
            raise _explained(error, f"cutting {chunk.relation}") from error
        await self._change("drop_empty_chunk", {"table": f"tidegauge.{chunk.table}", "at": cut.at, "end": chunk.end})

    async def compress(self, chunk: Chunk) -> None:
        """Move a chunk to the columnstore.

        Raises:
            TidegaugeError: it failed; the chunk is as it was.

        """
        await self._change("compress", {"chunk": chunk.relation})

    async def expired(self) -> Sequence[str]:
        """Tables and rollups, without schema, with chunks beyond their retention."""
        return [row["relation"] for row in await self._rows("expired", {})]

    async def drop_expired(self, relation: str) -> None:
        """Drop one such chunk; refreshes first what its rollups do not cover yet.

        Raises:
            TidegaugeError: a rollup does not cover it, so that it was kept.

        """
        try:
            await self._call("drop_expired", {"relation": relation})
        except psycopg.Error as error:
            raise _explained(error, f"retention of {relation}") from error

    async def collect(self, most: int) -> str | None:
        """One step of a collection; what it did, None where nothing is left to do.

        Raises:
            TidegaugeError: it failed; what earlier steps did is kept.

        """
        try:
            async with self._database.writing() as connection:
                row = await (await connection.execute(self._collection["turn"], {"before": None, "most": most})).fetchone()
        except psycopg.Error as error:
            raise _explained(error, "collection") from error
        return None if row is None or row[0] is None else str(row[0])

    async def relations(self) -> Sequence[Relation]:
        """Tables that may need ANALYZE or VACUUM."""
        return [Relation(**{**row, "kind": Kind(row["kind"])}) for row in await self._rows("relations", {})]

    async def look_after(self, task: Task) -> None:
        """ANALYZE or VACUUM (ANALYZE); nothing where the table is gone.

        Raises:
            TidegaugeError: it failed.

        """
        command = sql.SQL("VACUUM (ANALYZE) {}" if task.vacuum else "ANALYZE {}")
        try:
            async with self._database.autocommit() as connection:
                found = await (await connection.execute(self._sql["relation"], {"name": task.relation})).fetchone()
                if found is not None:
                    await connection.execute(command.format(sql.Identifier(*found)))
        except psycopg.errors.UndefinedTable:
            return
        except psycopg.Error as error:
            raise _explained(error, task.relation) from error

    async def user_jobs(self) -> Sequence[UserJob]:
        """Scheduled jobs that are not ours."""
        return [UserJob(**row) for row in await self._rows("user_jobs", {})]

    async def run_user_job(self, job: UserJob) -> None:
        """Run one.

        Raises:
            TidegaugeError: the job's own error.

        """
        try:
            await self._call("run_user_job", {"job_id": job.job_id})
        except psycopg.Error as error:
            raise _explained(error, job.title) from error

    async def refresh_service_map(self, most: int) -> Paired | None:
        """Compute the oldest minutes of the service map that are due.

        Raises:
            TidegaugeError: it failed; none of them is changed.

        """
        try:
            async with self._database.writing() as connection, connection.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(self._sql["refresh_service_map"], {"most": most})
                row = await cursor.fetchone()
        except psycopg.Error as error:
            raise _explained(error, "service map") from error
        return None if row is None else Paired(row["range_end"], row["spans"])

    async def runs(self) -> Mapping[str, Run]:
        """Job → its last run."""
        return {row["job"]: Run(**row) for row in await self._rows("runs", {})}

    async def record(self, run: Run) -> None:
        """Remember a run as its job's last."""
        await self._change("record_run", asdict(run))

    async def _rows(self, name: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
        async with self._database.reading() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(self._sql[name], parameters)
            return await cursor.fetchall()

    async def _change(self, name: str, parameters: Mapping[str, object]) -> None:
        try:
            async with self._database.writing() as connection:
                await connection.execute(self._sql[name], parameters)
        except psycopg.Error as error:
            raise _explained(error, name.replace("_", " ")) from error

    async def _call(self, name: str, parameters: Mapping[str, object]) -> None:
        async with self._database.autocommit() as connection:
            await connection.execute(self._sql[name], parameters)


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _explained(error: psycopg.Error, place: str) -> TidegaugeError:
    diagnostics = error.diag
    message = f"{place}: {diagnostics.message_primary or error}"
    if error.sqlstate in _IN_THE_WAY:
        return Unavailable(message, hint="another session is in the way; it is tried again")
    return TidegaugeError(message, hint=diagnostics.message_hint or "")
