"""The measure of all others: rows that stand ready as binary buffers, written by COPY on one connection, a transaction a group."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from tidegauge.model.batch import Signal
from tidegauge.storage import sqlfiles

_TABLES = {Signal.TRACES: "traces", Signal.METRICS: "metrics", Signal.LOGS: "logs"}
_STAGE = sql.Identifier("tidegauge_bench_rows")
# Ids that were never there, so that indexes grow as they do with new telemetry; times of now. The other columns stay as they are.
_FRESH_ID = sql.SQL("md5({}::text || {})::uuid")
_FRESH = {"trace_id": _FRESH_ID, "request_digest": _FRESH_ID}
_TIMES = frozenset({"start_time", "timestamp", "observed_timestamp"})


@dataclass(frozen=True)
class Written:
    """What a round wrote, and how long that took."""

    rows: int
    seconds: float

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds


class BareCopy:
    """Rows that the product stored, to be stored again without it: into the same table, with all its indexes, triggers and aggregates.

    A round writes ``rows`` rows, in groups of ``group``: copies of what the table holds when this is made, repeated where that is less.
    """

    def __init__(self, connection: psycopg.Connection, signal: Signal, rows: int, group: int) -> None:
        self._connection = connection
        self._copy = sqlfiles.queries("ingest")[f"copy_{_TABLES[signal]}"]
        self._group = group
        self.table = f"tidegauge.{_TABLES[signal]}"
        self._columns = _columns(self._copy)
        connection.execute(
            sql.SQL("CREATE TABLE public.{} AS SELECT row_number() OVER () - 1 AS bench_row, {} FROM {} LIMIT {}").format(
                _STAGE, _list(self._columns), sql.SQL(self.table), sql.Literal(rows)
            )
        )
        self._kept = self.count(f"public.{_STAGE.as_string(None)}") // group * group
        self.rows = max(rows // group, 1) * group if self._kept else 0

    def count(self, table: str | None = None) -> int:
        """Rows of the table."""
        row = self._connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.SQL(table or self.table))).fetchone()
        assert row is not None
        return int(row[0])

    def buffers(self) -> list[bytes]:
        """A round's groups, encoded."""
        salt = secrets.token_hex(8)
        return [self._encoded(first % self._kept, f"{salt}{first // self._kept}") for first in range(0, self.rows, self._group)]

    def run(self, buffers: Sequence[bytes]) -> Written:
        """Write a round and say what that took."""
        begin = time.perf_counter()
        for buffer in buffers:
            with self._connection.transaction(), self._connection.cursor() as cursor, cursor.copy(self._copy) as stream:
                stream.write(buffer)
        return Written(self.rows, time.perf_counter() - begin)

    def _encoded(self, first: int, salt: str) -> bytes:
        query = sql.SQL("COPY (SELECT {} FROM public.{} WHERE bench_row >= {} AND bench_row < {} ORDER BY bench_row) TO STDOUT BINARY")
        composed = query.format(
            sql.SQL(", ").join(_expression(name, salt) for name in self._columns),
            _STAGE,
            sql.Literal(first),
            sql.Literal(first + self._group),
        )
        with self._connection.cursor() as cursor, cursor.copy(composed) as stream:
            return b"".join(bytes(part) for part in stream)


def _columns(copy: str) -> list[str]:
    found = re.search(r"\((.*?)\)", copy, re.DOTALL)
    assert found is not None
    return [name.strip() for name in found[1].split(",")]


def _list(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _expression(name: str, salt: str) -> sql.Composable:
    column = sql.Identifier(name)
    if name in _FRESH:
        return _FRESH[name].format(column, sql.Literal(salt))
    if name in _TIMES:
        # All rows move by as much, to a few seconds ago, where the product's own rows lie.
        newest = sql.SQL("(SELECT max({}) FROM public.{})").format(column, _STAGE)
        return sql.SQL("{} + (now() - INTERVAL '2 seconds' - {})").format(column, newest)
    return column
