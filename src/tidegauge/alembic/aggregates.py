"""Operations on continuous aggregates."""

from __future__ import annotations

from typing import Any

from alembic.operations import MigrateOperation
from sqlalchemy import ClauseElement
from sqlalchemy.dialects import postgresql

from tidegauge.alembic import statements as sql
from tidegauge.alembic.hypertables import StatementOperation
from tidegauge.alembic.statements import Interval


class CreateContinuousAggregate(StatementOperation):
    """``op.create_continuous_aggregate``."""

    @classmethod
    def create_continuous_aggregate(
        cls,
        operations: Any,
        view_name: str,
        query: str | ClauseElement,
        *,
        schema: str | None = None,
        materialized_only: bool = False,
        create_group_indexes: bool = True,
        chunk_interval: Interval | None = None,
    ) -> None:
        """Make a continuous aggregate, with nothing materialised yet: ``op.refresh_continuous_aggregate`` or a policy does that.

        Args:
            operations: Alembic's.
            view_name: of the new aggregate.
            query: a SELECT with ``time_bucket`` in its GROUP BY, as text or of SQLAlchemy.
            schema: where to make it.
            materialized_only: False computes what is not materialised yet when it is read (TimescaleDB's own default is True).
            create_group_indexes: an index for each column of the GROUP BY, with the bucket.
            chunk_interval: of what is materialised; TimescaleDB's default is 10 chunks of the source.

        """
        operations.invoke(
            cls(definition(view_name, _text(query), schema, materialized_only, create_group_indexes, _constant(chunk_interval)))
        )


def definition(
    view_name: str, query: str, schema: str | None, materialized_only: bool, create_group_indexes: bool, chunk_interval: str | None
) -> str:
    """CREATE MATERIALIZED VIEW; ``chunk_interval`` is an interval's text."""
    chosen = {
        "materialized_only": materialized_only,
        "create_group_indexes": create_group_indexes,
        "chunk_interval": chunk_interval,
    }
    made = f"timescaledb.continuous, {sql.options(chosen)}"
    return f"CREATE MATERIALIZED VIEW {sql.name(view_name, schema)} WITH ({made}) AS\n{query.strip().rstrip(';')}\nWITH NO DATA"


def _text(query: str | ClauseElement) -> str:
    if isinstance(query, str):
        return query
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    return str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True})).replace("%%", "%")


def _constant(value: Interval | None) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return f"{value.days} days {value.seconds} seconds" if not isinstance(value, int) else str(value)


class DropContinuousAggregate(StatementOperation):
    """``op.drop_continuous_aggregate``."""

    @classmethod
    def drop_continuous_aggregate(cls, operations: Any, view_name: str, *, schema: str | None = None, if_exists: bool = False) -> None:
        """Drop an aggregate with all that it has materialised."""
        operations.invoke(cls(f"DROP MATERIALIZED VIEW {'IF EXISTS ' if if_exists else ''}{sql.name(view_name, schema)}"))


class SetMaterializedOnly(StatementOperation):
    """``op.set_materialized_only``."""

    @classmethod
    def set_materialized_only(cls, operations: Any, view_name: str, materialized_only: bool, *, schema: str | None = None) -> None:
        """Whether what is not materialised yet is left out (True) or computed when it is read (False)."""
        chosen = sql.options({"materialized_only": materialized_only})
        operations.invoke(cls(f"ALTER MATERIALIZED VIEW {sql.name(view_name, schema)} SET ({chosen})"))


class RefreshContinuousAggregate(MigrateOperation):
    """``op.refresh_continuous_aggregate``."""

    def __init__(self, statement: str) -> None:
        self.statement = statement

    @classmethod
    def refresh_continuous_aggregate(
        cls, operations: Any, view_name: str, window_start: str | None = None, window_end: str | None = None, *, schema: str | None = None
    ) -> None:
        """Bring an aggregate up to date within a window; None is no limit. What the source has no rows for any more is erased.

        TimescaleDB allows it outside of transactions alone: the revision's is committed before it, and another begins behind.
        """
        window = [sql.constant(window_start), sql.constant(window_end)]
        operations.invoke(cls("CALL " + sql.call("refresh_continuous_aggregate", sql.relation(view_name, schema), *window)))


class AddCaggColumn(MigrateOperation):
    """``op.add_cagg_column``; :mod:`tidegauge.alembic.cagg_column` carries it out."""

    def __init__(
        self, view_name: str, column: str, expression: str, schema: str | None, definition: str | None, buckets_at_once: int
    ) -> None:
        self.view_name = view_name
        self.column = column
        self.expression = expression
        self.schema = schema
        self.definition = definition
        self.buckets_at_once = buckets_at_once

    @classmethod
    def add_cagg_column(
        cls,
        operations: Any,
        view_name: str,
        column: str,
        expression: str,
        *,
        schema: str | None = None,
        definition: str | None = None,
        buckets_at_once: int = 500,
    ) -> None:
        """Add a column to a continuous aggregate, which TimescaleDB has no statement for.

        A new aggregate is made beside the old, filled window by window, and takes the old one's name, indexes, grants, comments and
        policies; views that read the old one read the new. Each window is committed by itself: readers and writers are not kept
        waiting, and after a failure or a kill the same revision goes on where it was. What the source has no rows for any more is
        copied from the old aggregate, with NULL in the new column. (docs/alembic.md, "A column for a continuous aggregate")

        Args:
            operations: Alembic's.
            view_name: of the aggregate.
            column: the new column's name.
            expression: what it holds, in terms of the aggregate's source: ``"max(value)"``.
            schema: of the aggregate; otherwise the search path finds it.
            definition: the whole new SELECT, where ``expression`` cannot be put into the old one.
            buckets_at_once: the width of a window.

        Raises:
            alembic.util.CommandError: what stands in the way, and what to do.

        """
        operations.invoke(cls(view_name, column, expression, schema, definition, buckets_at_once))


OPERATIONS: dict[str, type[StatementOperation]] = {
    "create_continuous_aggregate": CreateContinuousAggregate,
    "drop_continuous_aggregate": DropContinuousAggregate,
    "set_materialized_only": SetMaterializedOnly,
}
