"""Makes the operations known to Alembic: on being called, not on import."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

from alembic.operations import Operations
from sqlalchemy import ClauseElement

from tidegauge.alembic import aggregates, hypertables, policies
from tidegauge.alembic.aggregates import AddCaggColumn, RefreshContinuousAggregate
from tidegauge.alembic.cagg_column import add_cagg_column
from tidegauge.alembic.hypertables import StatementOperation
from tidegauge.alembic.statements import Interval, statement


def register() -> None:
    """Give Alembic's ``op`` the operations of this package; to be called in ``env.py``. Once is enough, and more does no harm.

    Alembic keeps operations on its own class, for the whole process.
    """
    if hasattr(Operations, "create_hypertable"):
        return
    for name, operation in {**hypertables.OPERATIONS, **policies.OPERATIONS, **aggregates.OPERATIONS}.items():
        Operations.register_operation(name)(operation)
        Operations.implementation_for(operation)(_execute)
    Operations.register_operation("refresh_continuous_aggregate")(RefreshContinuousAggregate)
    Operations.implementation_for(RefreshContinuousAggregate)(_refresh)
    Operations.register_operation("add_cagg_column")(AddCaggColumn)
    Operations.implementation_for(AddCaggColumn)(add_cagg_column)


def _execute(operations: Operations, operation: StatementOperation) -> None:
    operations.execute(statement(operation.statement))


def _refresh(operations: Operations, operation: RefreshContinuousAggregate) -> None:
    with operations.get_context().autocommit_block():
        operations.execute(statement(operation.statement))


class TimescaleOperations(Protocol):
    """What :func:`register` adds to Alembic's ``op``. Names and types only: the docs stand at each operation's class."""

    def create_hypertable(
        self,
        table_name: str,
        column: str,
        *,
        schema: str | None = None,
        chunk_interval: Interval | None = None,
        create_default_indexes: bool = True,
        if_not_exists: bool = False,
        migrate_data: bool = False,
    ) -> None:
        """Make a hypertable of a table, divided by the range of ``column``."""
        ...

    def add_dimension(
        self,
        table_name: str,
        column: str,
        *,
        schema: str | None = None,
        chunk_interval: Interval | None = None,
        number_partitions: int | None = None,
        if_not_exists: bool = False,
    ) -> None:
        """Divide an empty hypertable by a second column: by range (``chunk_interval``) or by hash (``number_partitions``)."""
        ...

    def set_chunk_time_interval(self, table_name: str, chunk_interval: Interval, *, schema: str | None = None) -> None:
        """How long chunks are that are made from now on. Also for continuous aggregates."""
        ...

    def set_columnstore(
        self,
        table_name: str,
        *,
        schema: str | None = None,
        segmentby: Sequence[str] = (),
        orderby: str | Sequence[str] = (),
        enabled: bool = True,
    ) -> None:
        """How compressed chunks are laid out from now on; those that are there stay as they are."""
        ...

    def add_reorder_policy(self, table_name: str, index_name: str, *, schema: str | None = None) -> None:
        """Keep the rows of complete chunks in an index' order."""
        ...

    def add_compression_policy(
        self,
        relation_name: str,
        compress_after: Interval,
        *,
        schema: str | None = None,
        schedule_interval: Interval | None = None,
        if_not_exists: bool = False,
    ) -> None:
        """Compress chunks that are older than ``compress_after``; the table needs ``op.set_columnstore`` before."""
        ...

    def remove_compression_policy(self, relation_name: str, *, schema: str | None = None, if_exists: bool = False) -> None:
        """Compress no further chunks."""
        ...

    def add_retention_policy(
        self,
        relation_name: str,
        drop_after: Interval,
        *,
        schema: str | None = None,
        schedule_interval: Interval | None = None,
        if_not_exists: bool = False,
    ) -> None:
        """Drop chunks that are older than ``drop_after``, of a hypertable or of a continuous aggregate."""
        ...

    def remove_retention_policy(self, relation_name: str, *, schema: str | None = None, if_exists: bool = False) -> None:
        """Drop no further chunks."""
        ...

    def add_continuous_aggregate_policy(
        self,
        view_name: str,
        *,
        start_offset: Interval | None,
        end_offset: Interval | None,
        schedule_interval: Interval,
        schema: str | None = None,
        if_not_exists: bool = False,
    ) -> None:
        """Refresh what has changed between ``start_offset`` and ``end_offset`` before now."""
        ...

    def remove_continuous_aggregate_policy(self, view_name: str, *, schema: str | None = None, if_exists: bool = False) -> None:
        """Refresh no more by itself."""
        ...

    def create_continuous_aggregate(
        self,
        view_name: str,
        query: str | ClauseElement,
        *,
        schema: str | None = None,
        materialized_only: bool = False,
        create_group_indexes: bool = True,
        chunk_interval: Interval | None = None,
    ) -> None:
        """Make a continuous aggregate, with nothing materialised yet: ``op.refresh_continuous_aggregate`` or a policy does that."""
        ...

    def drop_continuous_aggregate(self, view_name: str, *, schema: str | None = None, if_exists: bool = False) -> None:
        """Drop an aggregate with all that it has materialised."""
        ...

    def set_materialized_only(self, view_name: str, materialized_only: bool, *, schema: str | None = None) -> None:
        """Whether what is not materialised yet is left out (True) or computed when it is read (False)."""
        ...

    def refresh_continuous_aggregate(
        self, view_name: str, window_start: str | None = None, window_end: str | None = None, *, schema: str | None = None
    ) -> None:
        """Bring an aggregate up to date within a window; None is no limit. What the source has no rows for any more is erased."""
        ...

    def add_cagg_column(
        self,
        view_name: str,
        column: str,
        expression: str,
        *,
        schema: str | None = None,
        definition: str | None = None,
        buckets_at_once: int = 500,
    ) -> None:
        """Add a column to a continuous aggregate, which TimescaleDB has no statement for."""
        ...


def operations(op: Any) -> TimescaleOperations:
    """Alembic's ``op`` (the module, or an ``Operations``) as type checkers are to see it; registers what is not registered yet."""
    register()
    return cast("TimescaleOperations", op)
