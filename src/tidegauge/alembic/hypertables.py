"""Operations on hypertables: how they are made, divided into chunks and kept in columns.

Names are those of TimescaleDB's API reference (Hypertables, Hypercore).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alembic.operations import MigrateOperation

from tidegauge.alembic import statements as sql
from tidegauge.alembic.statements import Interval


class StatementOperation(MigrateOperation):
    """An operation that is one statement, in the revision's transaction or printed by ``--sql``."""

    def __init__(self, statement: str) -> None:
        self.statement = statement


class CreateHypertable(StatementOperation):
    """``op.create_hypertable``."""

    @classmethod
    def create_hypertable(
        cls,
        operations: Any,
        table_name: str,
        column: str,
        *,
        schema: str | None = None,
        chunk_interval: Interval | None = None,
        create_default_indexes: bool = True,
        if_not_exists: bool = False,
        migrate_data: bool = False,
    ) -> None:
        """Make a hypertable of a table, divided by the range of ``column``.

        Args:
            operations: Alembic's.
            table_name: of a table that exists.
            column: its time column, or an integer one.
            schema: of the table; otherwise the search path finds it.
            chunk_interval: how long a chunk is; TimescaleDB's default is 7 days. A number for an integer column.
            create_default_indexes: index the column, newest first, where no index begins with it.
            if_not_exists: a hypertable is left as it is.
            migrate_data: move rows that are there, which locks the table; otherwise it has to be empty.

        """
        width = None if chunk_interval is None else sql.interval(chunk_interval)
        dimension = sql.call("by_range", sql.literal(column), *([] if width is None else [width]))
        made = sql.call(
            "create_hypertable",
            sql.relation(table_name, schema),
            dimension,
            create_default_indexes=None if create_default_indexes else "false",
            if_not_exists="true" if if_not_exists else None,
            migrate_data="true" if migrate_data else None,
        )
        operations.invoke(cls(f"SELECT {made}"))


class AddDimension(StatementOperation):
    """``op.add_dimension``."""

    @classmethod
    def add_dimension(
        cls,
        operations: Any,
        table_name: str,
        column: str,
        *,
        schema: str | None = None,
        chunk_interval: Interval | None = None,
        number_partitions: int | None = None,
        if_not_exists: bool = False,
    ) -> None:
        """Divide an empty hypertable by a second column: by range (``chunk_interval``) or by hash (``number_partitions``).

        Raises:
            ValueError: neither or both are given.

        """
        if (chunk_interval is None) == (number_partitions is None):
            raise ValueError("either chunk_interval (by range) or number_partitions (by hash) is needed")
        if number_partitions is not None:
            dimension = sql.call("by_hash", sql.literal(column), str(number_partitions))
        else:
            assert chunk_interval is not None
            dimension = sql.call("by_range", sql.literal(column), sql.interval(chunk_interval))
        only_once = "true" if if_not_exists else None
        operations.invoke(cls("SELECT " + sql.call("add_dimension", sql.relation(table_name, schema), dimension, if_not_exists=only_once)))


class SetChunkTimeInterval(StatementOperation):
    """``op.set_chunk_time_interval``."""

    @classmethod
    def set_chunk_time_interval(cls, operations: Any, table_name: str, chunk_interval: Interval, *, schema: str | None = None) -> None:
        """How long chunks are that are made from now on. Also for continuous aggregates."""
        operations.invoke(
            cls("SELECT " + sql.call("set_chunk_time_interval", sql.relation(table_name, schema), sql.interval(chunk_interval)))
        )


class SetColumnstore(StatementOperation):
    """``op.set_columnstore``."""

    @classmethod
    def set_columnstore(
        cls,
        operations: Any,
        table_name: str,
        *,
        schema: str | None = None,
        segmentby: Sequence[str] = (),
        orderby: str | Sequence[str] = (),
        enabled: bool = True,
    ) -> None:
        """How compressed chunks are laid out from now on; those that are there stay as they are.

        Args:
            operations: Alembic's.
            table_name: a hypertable.
            schema: of the table.
            segmentby: columns whose values are kept by the segment: what queries ask for by equality.
            orderby: the order within a segment: ``"time DESC"``, or columns.
            enabled: False turns the columnstore off; no chunk may be compressed then.

        """
        table = sql.name(table_name, schema)
        if not enabled:
            operations.invoke(cls(f"ALTER TABLE {table} SET (timescaledb.compress = false)"))
            return
        order = orderby if isinstance(orderby, str) else sql.names(orderby)
        # By the name that all versions since 2.0 know: `enable_columnstore` is another for it since 2.18.
        laid_out = {"compress": True, "compress_segmentby": sql.names(segmentby), "compress_orderby": order or None}
        operations.invoke(cls(f"ALTER TABLE {table} SET ({sql.options(laid_out)})"))


class AddReorderPolicy(StatementOperation):
    """``op.add_reorder_policy``."""

    @classmethod
    def add_reorder_policy(cls, operations: Any, table_name: str, index_name: str, *, schema: str | None = None) -> None:
        """Keep the rows of complete chunks in an index' order."""
        operations.invoke(cls("SELECT " + sql.call("add_reorder_policy", sql.relation(table_name, schema), sql.literal(index_name))))


OPERATIONS: dict[str, type[StatementOperation]] = {
    "create_hypertable": CreateHypertable,
    "add_dimension": AddDimension,
    "set_chunk_time_interval": SetChunkTimeInterval,
    "set_columnstore": SetColumnstore,
    "add_reorder_policy": AddReorderPolicy,
}
