"""What the SQL endpoint needs of a database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tidegauge.model.sql import Bounds, Column, Row, Statement


class RowSink(Protocol):
    """Takes an answer, in a thread of the store's."""

    def begin(self, columns: Sequence[Column], cost: float) -> None:
        """Called once, before any row; ``cost`` is the plan's."""

    def rows(self, rows: Sequence[Row]) -> bool:
        """Some rows, in order. False: no more are wanted, and the statement is to be ended."""


class SqlStore(Protocol):
    """Runs analysts' SQL as a role that may only read."""

    async def run(self, statement: Statement, bounds: Bounds, sink: RowSink) -> None:
        """Run one SELECT. Cancelled, it ends the statement before it returns.

        Raises:
            SqlFailed: the database does not take the statement, or cannot carry it out.
            SqlForbidden: it is not one SELECT, or reads what it may not.
            SqlTooCostly: its plan costs more than it may, it took too long, or a row is too large.
            SqlNotReady: there is no role that it could be run as.
            Busy: others' statements take all turns.
            Unavailable: the database is away.

        """
