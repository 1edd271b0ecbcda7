"""One statement of an analyst on a connection of its own, in a thread.

The connection is made for the statement and closed behind it: nothing that a statement could do to its session is there for the next, and
its transaction is never committed. What is read is counted before it is taken in, so that no row, however long, takes more memory than the
limit says.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, LiteralString

import orjson
import psycopg
from psycopg import pq

from tidegauge.errors import SqlForbidden, SqlNotReady, SqlTooCostly, TidegaugeError
from tidegauge.model.sql import Bounds, Column, Parameter, Statement
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres import sql_types
from tidegauge.storage.postgres.sql_errors import of_connecting, of_result, taken_too_long
from tidegauge.storage.postgres.sql_relay import Relay
from tidegauge.storage.sql_interface import RowSink

# Rows that libpq hands over at a time; what waits for more of them looks this often (seconds) whether it still should.
_ROWS = 10
_GLANCE = 0.1
_NOTHING_HIDDEN = ("ModifyTable", "LockRows")


class Stopped(Exception):
    """Nobody wants the answer any more."""


class Run:
    """A statement under way.

    Args:
        statement: what to run.
        bounds: what it may cost.
        limits: settings of the transaction, for a server whose roles are boundaries; None for a database that confines readers itself.

    """

    def __init__(self, statement: Statement, bounds: Bounds, limits: dict[str, str] | None) -> None:
        self._statement = statement
        self._bounds = bounds
        self._limits = limits
        self._queries = sqlfiles.queries("sql_endpoint")
        self._stopped = threading.Event()
        self._deadline = time.monotonic() + bounds.seconds
        self._connection: psycopg.Connection[Any] | None = None
        self._relay: Relay | None = None

    def stop(self) -> None:
        """End the statement soon; from any thread."""
        self._stopped.set()

    def to_end(self, dsn: str, sink: RowSink) -> None:
        """Connect, run the statement, hand its rows to the sink. Raises what :class:`SqlStore` says, and Stopped.

        Behind it :meth:`leave` is to be called, whatever came of it.
        """
        try:
            connection = self._connection = psycopg.connect(dsn, autocommit=True, prepare_threshold=None, client_encoding="utf8")
        except psycopg.Error as error:
            raise of_connecting(error) from error
        try:
            self._on(connection, sink)
        except psycopg.Error as error:
            raise of_connecting(error) from error
        finally:
            self._cancel(connection)

    def leave(self, closing: threading.Event) -> None:
        """End the session, and wait until the server has.

        PostgreSQL looks for a cancellation between the rows of a plan, not within an expression: a sum of products of numbers with 100,000
        digits goes on for hours, and nothing ends it. Whoever waits here keeps its turn, so that there are never more of these than turns.
        The embedded database is opened again instead.
        """
        if self._connection is None:
            return
        if self._relay is None or self._limits is None:
            self._connection.pgconn.finish()
        else:
            self._relay.part(closing)
        if self._relay is not None:
            self._relay.close()

    def _on(self, connection: psycopg.Connection[Any], sink: RowSink) -> None:
        connection.execute(self._queries["begin"])
        # In the embedded database others may have been waited for until now, or its opening.
        self._deadline = time.monotonic() + self._bounds.seconds
        if self._limits is not None:
            row = connection.execute(self._queries["powers"]).fetchone()
            if row is not None:
                raise SqlNotReady(
                    f"the SQL endpoint does not run as the role {connection.info.user}, which {row[0]}",
                    hint="TIDEGAUGE_SQL_DATABASE_URL has to name a role that may read the schema analytics and no more",
                )
            connection.execute(self._queries["limits"], self._limits)
        # More than an answer holds, for what PostgreSQL's protocol adds to a row.
        self._relay = Relay(connection.pgconn, 2 * self._bounds.bytes, _too_large)
        self._through(connection.pgconn, self._relay, sink)

    def _through(self, pgconn: pq.abc.PGconn, relay: Relay, sink: RowSink) -> None:
        text, parameters = self._statement.text, self._statement.parameters
        self._all(pgconn, relay, self._queries["declare"], text, parameters)
        cost = self._cost(self._all(pgconn, relay, self._queries["explain"], text, parameters))
        sink.begin(self._columns(pgconn, relay), cost)
        for result in self._results(pgconn, relay, self._queries["rows"], "", ()):
            rows = [[result.get_value(row, place) for place in range(result.nfields)] for row in range(result.ntuples)]
            if not sink.rows(rows):
                return

    def _cost(self, results: Sequence[pq.abc.PGresult]) -> float:
        text = b"".join(value for result in results for row in range(result.ntuples) if (value := result.get_value(row, 0)) is not None)
        plan = orjson.loads(text)[0]["Plan"]
        if (found := _hidden(plan)) is not None:
            raise SqlForbidden(f"the statement does more than read: its plan has {found}", hint="this takes one SELECT that only reads")
        cost = float(plan["Total Cost"])
        if cost > self._bounds.cost:
            raise SqlTooCostly(
                f"the statement's plan costs {cost:.0f}, more than the {self._bounds.cost:.0f} that are allowed",
                hint="ask for a shorter time range, filter by a column with an index (timestamp, start_time, service), or read a rollup "
                "(metrics_hourly, traces_hourly, …); TIDEGAUGE_SQL_MAX_COST sets the limit, EXPLAIN in psql shows the plan",
            )
        return cost

    def _columns(self, pgconn: pq.abc.PGconn, relay: Relay) -> Sequence[Column]:
        (described,) = self._all(pgconn, relay, self._queries["columns"], "", ())
        places = range(described.nfields)
        oids = ",".join(str(described.ftype(place)) for place in places)
        modifiers = ",".join(str(described.fmod(place)) for place in places)
        arrays = (Parameter(f"{{{oids}}}"), Parameter(f"{{{modifiers}}}"))
        found = [
            [(result.get_value(row, place) or b"").decode() for place in range(result.nfields)]
            for result in self._all(pgconn, relay, self._queries["types"], "", arrays)
            for row in range(result.ntuples)
        ]
        return [
            sql_types.column((described.fname(place) or b"").decode(), type_name, base, delimiter, is_array=is_array == "t")
            for place, (_, type_name, base, is_array, delimiter) in zip(places, found, strict=True)
        ]

    def _all(
        self, pgconn: pq.abc.PGconn, relay: Relay, ours: LiteralString, theirs: str, parameters: Sequence[Parameter]
    ) -> Sequence[pq.abc.PGresult]:
        return list(self._results(pgconn, relay, ours, theirs, parameters))

    def _results(
        self, pgconn: pq.abc.PGconn, relay: Relay, ours: LiteralString, theirs: str, parameters: Sequence[Parameter]
    ) -> Iterator[pq.abc.PGresult]:
        """Results of ``ours`` with the analyst's text behind it, as they come; raises what the database answers.

        By the extended protocol (PostgreSQL's manual, 53.2.3), which takes one statement: a second one behind a semicolon is refused.
        """
        head = f"{ours}\n" if theirs else ours
        texts = [None if each.text is None else each.text.encode() for each in parameters]
        pgconn.send_query_params((head + theirs).encode(), texts, [each.type_oid for each in parameters])
        pgconn.set_chunked_rows_mode(_ROWS)
        relay.send()
        while True:
            relay.wait(self._glance)
            result = pgconn.get_result()
            if result is None:
                return
            if result.status == pq.ExecStatus.FATAL_ERROR:
                raise of_result(result, len(head), theirs, self._bounds.seconds)
            yield result

    def _glance(self) -> float:
        """How long to wait before looking again; raises where nobody waits any more, or time is up."""
        if self._stopped.is_set():
            raise Stopped
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise taken_too_long(self._bounds.seconds)
        return min(left, _GLANCE)

    @staticmethod
    def _cancel(connection: psycopg.Connection[Any]) -> None:
        """End what still runs."""
        with suppress(psycopg.Error, TidegaugeError, OSError):
            if connection.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
                connection.cancel_safe(timeout=2.0)


def _too_large() -> SqlTooCostly:
    return SqlTooCostly(
        "rows of the answer are too large", hint="select fewer columns, or left() of long ones; TIDEGAUGE_SQL_MAX_BYTES is the limit"
    )


def _hidden(plan: Any) -> str | None:
    """What a plan does beside reading; walks without recursion."""
    parts = [plan]
    while parts:
        part = parts.pop()
        if part.get("Node Type") in _NOTHING_HIDDEN:
            return str(part["Node Type"])
        parts.extend(part.get("Plans", ()))
    return None
