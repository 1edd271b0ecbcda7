"""Operations on policies: what TimescaleDB does by itself with old chunks and with continuous aggregates."""

from __future__ import annotations

from typing import Any

from tidegauge.alembic import statements as sql
from tidegauge.alembic.hypertables import StatementOperation
from tidegauge.alembic.statements import Interval


def _interval(value: Interval | None) -> str | None:
    return None if value is None else sql.interval(value)


def _flag(value: bool) -> str | None:
    return "true" if value else None


class AddCompressionPolicy(StatementOperation):
    """``op.add_compression_policy``."""

    @classmethod
    def add_compression_policy(
        cls,
        operations: Any,
        relation_name: str,
        compress_after: Interval,
        *,
        schema: str | None = None,
        schedule_interval: Interval | None = None,
        if_not_exists: bool = False,
    ) -> None:
        """Compress chunks that are older than ``compress_after``; the table needs ``op.set_columnstore`` before.

        Also for continuous aggregates that were made with a columnstore.
        """
        # Not add_columnstore_policy(), which is a procedure that older versions do not have; both make the same job.
        made = sql.call(
            "add_compression_policy",
            sql.relation(relation_name, schema),
            compress_after=sql.interval(compress_after),
            schedule_interval=_interval(schedule_interval),
            if_not_exists=_flag(if_not_exists),
        )
        operations.invoke(cls(f"SELECT {made}"))


class RemoveCompressionPolicy(StatementOperation):
    """``op.remove_compression_policy``."""

    @classmethod
    def remove_compression_policy(cls, operations: Any, relation_name: str, *, schema: str | None = None, if_exists: bool = False) -> None:
        """Compress no further chunks."""
        operations.invoke(
            cls("SELECT " + sql.call("remove_compression_policy", sql.relation(relation_name, schema), if_exists=_flag(if_exists)))
        )


class AddRetentionPolicy(StatementOperation):
    """``op.add_retention_policy``."""

    @classmethod
    def add_retention_policy(
        cls,
        operations: Any,
        relation_name: str,
        drop_after: Interval,
        *,
        schema: str | None = None,
        schedule_interval: Interval | None = None,
        if_not_exists: bool = False,
    ) -> None:
        """Drop chunks that are older than ``drop_after``, of a hypertable or of a continuous aggregate.

        A continuous aggregate loses what is refreshed after its source was dropped: let its policy's ``start_offset`` be shorter.
        """
        made = sql.call(
            "add_retention_policy",
            sql.relation(relation_name, schema),
            drop_after=sql.interval(drop_after),
            schedule_interval=_interval(schedule_interval),
            if_not_exists=_flag(if_not_exists),
        )
        operations.invoke(cls(f"SELECT {made}"))


class RemoveRetentionPolicy(StatementOperation):
    """``op.remove_retention_policy``."""

    @classmethod
    def remove_retention_policy(cls, operations: Any, relation_name: str, *, schema: str | None = None, if_exists: bool = False) -> None:
        """Drop no further chunks."""
        operations.invoke(
            cls("SELECT " + sql.call("remove_retention_policy", sql.relation(relation_name, schema), if_exists=_flag(if_exists)))
        )


class AddContinuousAggregatePolicy(StatementOperation):
    """``op.add_continuous_aggregate_policy``."""

    @classmethod
    def add_continuous_aggregate_policy(
        cls,
        operations: Any,
        view_name: str,
        *,
        start_offset: Interval | None,
        end_offset: Interval | None,
        schedule_interval: Interval,
        schema: str | None = None,
        if_not_exists: bool = False,
    ) -> None:
        """Refresh what has changed between ``start_offset`` and ``end_offset`` before now.

        None is no limit. A ``start_offset`` beyond the source's retention erases what can no longer be computed; an ``end_offset``
        of None materialises up to the newest row, and one far in the future then hides what comes before it.
        """
        made = sql.call(
            "add_continuous_aggregate_policy",
            sql.relation(view_name, schema),
            start_offset=sql.constant(None) if start_offset is None else sql.interval(start_offset),
            end_offset=sql.constant(None) if end_offset is None else sql.interval(end_offset),
            schedule_interval=sql.interval(schedule_interval),
            if_not_exists=_flag(if_not_exists),
        )
        operations.invoke(cls(f"SELECT {made}"))


class RemoveContinuousAggregatePolicy(StatementOperation):
    """``op.remove_continuous_aggregate_policy``."""

    @classmethod
    def remove_continuous_aggregate_policy(
        cls, operations: Any, view_name: str, *, schema: str | None = None, if_exists: bool = False
    ) -> None:
        """Refresh no more by itself."""
        operations.invoke(
            cls("SELECT " + sql.call("remove_continuous_aggregate_policy", sql.relation(view_name, schema), if_exists=_flag(if_exists)))
        )


OPERATIONS: dict[str, type[StatementOperation]] = {
    "add_compression_policy": AddCompressionPolicy,
    "remove_compression_policy": RemoveCompressionPolicy,
    "add_retention_policy": AddRetentionPolicy,
    "remove_retention_policy": RemoveRetentionPolicy,
    "add_continuous_aggregate_policy": AddContinuousAggregatePolicy,
    "remove_continuous_aggregate_policy": RemoveContinuousAggregatePolicy,
}
