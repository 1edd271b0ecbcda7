"""A pool of connections to one TimescaleDB, embedded or a server."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import Any, Self, TypeVar

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from tidegauge.errors import Busy, StatementTimeout, Unavailable
from tidegauge.health.circuits import Guard, unguarded
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres.capabilities import Capabilities, from_facts
from tidegauge.storage.postgres.observed import Named, ObservedCursor

# What a server says when it is starting, stopping, full, read-only after a fail-over or too busy for an open transaction: the statement
# had nothing to do with it.
_AWAY = ("57P01", "57P02", "57P03", "57P05", "53", "08", "58", "25P03", "25P04", "25006")
_IDLE_SECONDS = 1.0
_Told = TypeVar("_Told")
# A statement's limit is the server's to see to; one that hangs does not. Turns and large answers may take a little longer.
_GRACE_SECONDS = 5.0


class _Connection(AsyncConnection):
    """Knows when something on it succeeded last; breaks where an answer takes longer than ``patience`` (seconds; None: any time)."""

    used = float("-inf")
    patience: float | None = None

    async def wait(self, gen: PQGen[_Told], *args: Any, **options: Any) -> _Told:
        """One exchange with the server."""
        if self.patience is None:
            return await super().wait(gen, *args, **options)
        giving_up = asyncio.get_running_loop().call_later(self.patience, self._hang_up)
        try:
            return await super().wait(gen, *args, **options)
        finally:
            giving_up.cancel()

    def _hang_up(self) -> None:
        # Cancelling would wait for the server. The descriptor stays libpq's, which finds its connection at an end.
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self.pgconn.socket)) as theirs:
            theirs.shutdown(socket.SHUT_RDWR)


async def _observe(named: Named, connection: AsyncConnection) -> None:
    connection.cursor_factory = partial(ObservedCursor, named)  # type: ignore[assignment]


class Database:
    """Transactions on pooled connections, with limits that hold for the transaction alone.

    Session state is shared by all clients of the embedded database, so nothing here sets any: limits and the search path are set by
    each transaction for itself. The search path holds TimescaleDB's functions; tables are always qualified.
    """

    def __init__(
        self,
        dsn: str,
        *,
        pool_size: int,
        connect_timeout: timedelta,
        statement_timeout: timedelta,
        lock_timeout: timedelta,
        guard: Guard = unguarded,
        statements: Guard | None = None,
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            dsn: libpq's.
            pool_size: most connections.
            connect_timeout: how long to wait for one.
            statement_timeout: of each transaction's statements.
            lock_timeout: likewise.
            guard: stands around each read-only transaction.
            statements: stands around each statement of sql/queries, by its name; None: nothing does.

        """
        self._guard = guard
        self._named = None if statements is None else Named(statements)
        self._in_use = 0
        self._pool_size = pool_size
        self._sql = sqlfiles.queries("session")
        self._limits = {
            "statement_timeout": _milliseconds(statement_timeout),
            "lock_timeout": _milliseconds(lock_timeout),
            "search_path": "public",
        }
        self._connect_timeout = connect_timeout
        self._statement_timeout = statement_timeout
        self._patience = statement_timeout.total_seconds() + _GRACE_SECONDS
        self._pool = AsyncConnectionPool(
            make_conninfo(dsn, **{name: value for name, value in self._connection_defaults().items() if name not in conninfo_to_dict(dsn)}),
            min_size=1,
            max_size=pool_size,
            open=False,
            timeout=connect_timeout.total_seconds(),
            # The pool asks a server that is away ever more seldom, for minutes in the end. Given up, it begins anew with who comes next.
            reconnect_timeout=connect_timeout.total_seconds(),
            # A named statement would outlive its client on the embedded database; pgbouncer does not like them either.
            kwargs={"prepare_threshold": None, "autocommit": True},
            connection_class=_Connection,
            check=self._check,
            configure=None if self._named is None else partial(_observe, self._named),
        )

    def _connection_defaults(self) -> dict[str, str]:
        """What a DSN that says nothing else gets: a peer that vanished without a word is noticed within half a minute."""
        return {
            "application_name": "tidegauge",
            "connect_timeout": str(max(2, round(self._connect_timeout.total_seconds()))),
            "keepalives_idle": "10",
            "keepalives_interval": "5",
            "keepalives_count": "3",
            "tcp_user_timeout": "20000",
        }

    async def __aenter__(self) -> Self:
        try:
            await self._pool.open()
            async with self._connection() as connection, self._errors():
                cursor = await connection.execute(self._sql["extension_schema"])
                row = await cursor.fetchone()
        except BaseException:
            # A task of the pool's that is connecting does not notice that it is cancelled: untold to stop, it keeps the process alive.
            await self._pool.close(timeout=0)
            raise
        if row is not None:
            self._limits["search_path"] = str(row[0])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close(timeout=5)

    @asynccontextmanager
    async def reading(self, limit: timedelta | None = None) -> AsyncIterator[AsyncConnection]:
        """A read-only transaction; its statements are ended after ``limit``, where that is less than any statement's.

        Raises:
            CircuitOpen: the database was away so often that it is not asked.
            Unavailable: the database is away, or the statement ran into its limit.

        """
        with self._guard("read"):
            async with self._connection() as connection, self._errors():
                with self._patient(connection):
                    async with self._ended(connection):
                        # Not set_read_only(): on a pooled connection of the embedded database the session's state is not ours.
                        await self._begin(connection, "BEGIN READ ONLY", limit=limit)
                        yield connection

    async def read(
        self,
        statement: str,
        parameters: Mapping[str, Any],
        prepared: Callable[[AsyncConnection], AsyncCursor[Any]],
        limit: timedelta | None = None,
    ) -> list[Any]:
        """All rows of one statement in a read-only transaction of its own: one round trip, where :meth:`reading` takes three.

        Args:
            statement: bounds its rows by LIMIT.
            parameters: its.
            prepared: makes the cursor that reads it.
            limit: how long it may take, where that is less than any statement may.

        Raises:
            CircuitOpen: the database was away so often that it is not asked.
            Unavailable: the database is away, or the statement ran into its limit.

        """
        with self._guard("read"):
            async with self._connection() as connection, self._errors():
                with self._patient(connection), self._observed(statement):
                    try:
                        async with connection.pipeline(), prepared(connection) as cursor:
                            await connection.execute("BEGIN READ ONLY")
                            await connection.execute(self._sql["begin_limits"], self._limited(limit))
                            await cursor.execute(statement, parameters)
                            await connection.execute("COMMIT")
                            return await cursor.fetchall()
                    except Exception:
                        if not connection.closed and not connection.broken:
                            await connection.rollback()
                        raise

    def _observed(self, statement: str) -> AbstractContextManager[object]:
        """What stands around a statement that goes through a pipeline, where its cursor waits for nothing."""
        return (None if self._named is None else self._named(statement)) or nullcontext()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A read-write transaction, committed where the block ends without an exception.

        Raises:
            Unavailable: the database is away.

        """
        async with self._connection() as connection, self._errors(), self._ended(connection):
            await self._begin(connection, "BEGIN")
            yield connection

    @asynccontextmanager
    async def writing_after(self, statement: str, parameters: Mapping[str, Any]) -> AsyncIterator[tuple[AsyncConnection, list[Any]]]:
        """A read-write transaction that begins with a statement, all in one round trip; the connection and the statement's rows.

        Raises:
            Unavailable: the database is away.

        """
        async with self._connection() as connection, self._errors(), self._ended(connection):
            yield connection, await self._begin(connection, "BEGIN", statement, parameters)

    async def _begin(
        self,
        connection: AsyncConnection,
        begin: str,
        statement: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        *,
        limit: timedelta | None = None,
    ) -> list[Any]:
        async with connection.pipeline():
            await connection.execute(begin)
            cursor = await connection.execute(self._sql["begin_limits"], self._limited(limit))
            if statement is not None:
                cursor = await connection.execute(statement, parameters)
        return await cursor.fetchall()

    def _limited(self, limit: timedelta | None) -> Mapping[str, str]:
        if limit is None or limit >= self._statement_timeout:
            return self._limits
        return self._limits | {"statement_timeout": _milliseconds(limit)}

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[AsyncConnection]:
        """No transaction: for VACUUM and for calls of procedures that commit. No limits are set; statements should be short.

        Raises:
            Unavailable: the database is away.

        """
        # Set for the session only where it has to be, which is never on the embedded database: its session is everyone's.
        search_path = self._limits["search_path"]
        async with self._connection() as connection, self._errors():
            if search_path == "public":
                yield connection
                return
            await connection.execute(self._sql["set_search_path"], {"search_path": search_path})
            try:
                yield connection
            finally:
                if not connection.closed and not connection.broken:
                    await connection.execute(self._sql["reset_search_path"])

    @property
    def limit(self) -> int:
        """Most connections."""
        return self._pool_size

    def usage(self) -> tuple[int, int, int]:
        """Connections (in use, idle), and who waits for one."""
        said = self._pool.get_stats()
        return self._in_use, said.get("pool_available", 0), said.get("requests_waiting", 0)

    async def capabilities(self) -> Capabilities:
        """What this database can do; raises Unavailable."""
        async with self.reading() as connection:
            cursor = await connection.cursor(row_factory=dict_row).execute(sqlfiles.queries("migrations")["facts"])
            row = await cursor.fetchone()
        assert row is not None
        return from_facts(row)

    async def revision(self) -> str | None:
        """The schema's revision, None where it was never migrated; raises Unavailable."""
        try:
            async with self.reading() as connection:
                row = await (await connection.execute(sqlfiles.queries("migrations")["version"])).fetchone()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            return None
        return None if row is None else str(row[0])

    async def ping(self) -> None:
        """Return if the database answers; raises Unavailable."""
        async with self._connection() as connection, self._errors():
            await connection.execute(self._sql["ping"])

    async def _check(self, connection: _Connection) -> None:
        # One that was used a moment ago most likely works, and asking costs as much as a small statement.
        if monotonic() - connection.used > _IDLE_SECONDS:
            with self._patient(connection):
                await connection.execute(self._sql["ping"])

    @contextmanager
    def _patient(self, connection: _Connection) -> Iterator[None]:
        """A server that hangs is waited for as long as a statement may take."""
        connection.patience = self._patience
        try:
            yield
        finally:
            connection.patience = None

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[_Connection]:
        try:
            async with self._pool.connection() as connection:
                self._in_use += 1
                try:
                    yield connection
                except Exception:
                    raise
                except BaseException:
                    # Cancelled in the middle of something, perhaps in pipeline mode: nobody may get it again. Its transaction ends with it.
                    await connection.close()
                    raise
                finally:
                    self._in_use -= 1
                connection.used = monotonic()
        except PoolTimeout as error:
            if self._in_use >= self._pool_size:
                raise Busy("every connection to the database is in use", hint="ask less at a time, or for shorter time ranges") from error
            raise Unavailable("the database does not answer", hint="it is starting, stopping or out of connections") from error

    @asynccontextmanager
    async def _ended(self, connection: AsyncConnection) -> AsyncIterator[None]:
        try:
            yield
        except Exception:
            # A connection that broke has no transaction to roll back; the pool replaces it.
            if not connection.closed and not connection.broken:
                await connection.rollback()
            raise
        await connection.commit()

    @asynccontextmanager
    async def _errors(self) -> AsyncIterator[None]:
        try:
            yield
        except psycopg.errors.QueryCanceled as error:
            raise StatementTimeout("a statement ran into its time limit", hint="ask for a shorter time range") from error
        except psycopg.Error as error:
            if (error.sqlstate or "").startswith(_AWAY) or (error.sqlstate is None and isinstance(error, psycopg.OperationalError)):
                raise Unavailable("the database is away") from error
            raise


def _milliseconds(value: timedelta) -> str:
    return str(int(value.total_seconds() * 1000))
