"""Analysts' SQL on a TimescaleDB: a few statements at a time, each on a connection of its own (ADR 25)."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tidegauge.config import SqlSettings
from tidegauge.errors import Busy, SqlNotReady
from tidegauge.model.sql import Bounds, Statement
from tidegauge.storage.postgres import sql_role
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.sql_run import Run
from tidegauge.storage.sql_interface import RowSink


@dataclass(frozen=True, slots=True)
class _Place:
    """Where statements are run, whether the role is what confines them there, and how long one may take there."""

    dsn: str
    role_is_boundary: bool
    seconds: float = math.inf


class PostgresSqlStore:
    """A :class:`tidegauge.storage.sql_interface.SqlStore`; a context manager, which ends what is under way.

    Args:
        database: the owner's.
        owner_dsn: its address.
        reader_dsn: of the reader of a database that confines readers itself; None: on a server.
        settings: the endpoint's.

    """

    def __init__(self, database: Database, owner_dsn: str, reader_dsn: str | None, settings: SqlSettings) -> None:
        self._database = database
        self._owner_dsn = owner_dsn
        self._reader_dsn = reader_dsn
        self._settings = settings
        self._threads = ThreadPoolExecutor(settings.concurrency, "sql")
        self._turns = asyncio.Semaphore(settings.concurrency)
        self._place: _Place | None = None
        self._closing = threading.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def run(self, statement: Statement, bounds: Bounds, sink: RowSink) -> None:
        """Run one SELECT; see :meth:`SqlStore.run`."""
        place = self._place
        if place is None:
            # Not kept before it is known: the database may be away now.
            place = self._place = await self._found()
        bounds = replace(bounds, seconds=min(bounds.seconds, place.seconds))
        try:
            async with asyncio.timeout(bounds.seconds):
                await self._turns.acquire()
        except TimeoutError as error:
            raise Busy(
                f"{self._settings.concurrency} other statements are being run", hint="TIDEGAUGE_SQL_CONCURRENCY says how many at a time"
            ) from error
        await self._in_thread(place, statement, bounds, sink)

    async def _in_thread(self, place: _Place, statement: Statement, bounds: Bounds, sink: RowSink) -> None:
        limits = {"milliseconds": str(int(bounds.seconds * 1000)), "work_mem": f"{self._settings.work_mem // 1024}kB"}
        run = Run(statement, bounds, limits if place.role_is_boundary else None)
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._threads, run.to_end, place.dsn, sink)
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            run.stop()
            # The statement is ended, and the sink left alone, before anyone goes on.
            await _over(work)
            raise
        finally:
            # Nobody waits for the server's side, but the turn is taken until it is gone.
            loop.run_in_executor(self._threads, run.leave, self._closing).add_done_callback(lambda _: self._turns.release())

    async def _found(self) -> _Place:
        abilities = await self._database.capabilities()
        if self._settings.database_url is not None:
            return _Place(self._signed(self._settings.database_url.get_secret_value()), role_is_boundary=True)
        if not abilities.role_is_boundary:
            if self._reader_dsn is None:
                raise SqlNotReady("the embedded database's reader is not known here", hint="run `tidegauge up`, which knows it")
            return _Place(self._signed(self._reader_dsn), False, self._settings.embedded_timeout.total_seconds())
        async with self._database.reading() as connection:
            # Wherever it is from: the address, PGPASSWORD, a password file.
            password = connection.info.password
        return _Place(self._signed(sql_role.address(self._owner_dsn, password, self._settings.role)), role_is_boundary=True)

    @staticmethod
    def _signed(dsn: str) -> str:
        wanted = {"application_name": "tidegauge sql", "connect_timeout": "5", "tcp_user_timeout": "20000", "keepalives_idle": "10"}
        given = conninfo_to_dict(dsn)
        return make_conninfo(dsn, **{name: value for name, value in wanted.items() if name not in given})


async def _over(work: Awaitable[None]) -> None:
    with suppress(Exception):
        await asyncio.shield(work)
