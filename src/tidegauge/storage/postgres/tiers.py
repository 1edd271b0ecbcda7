"""States of tiers, from TimescaleDB's own records."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import AsyncConnection

from tidegauge.model.query import TimeRange
from tidegauge.model.tiers import END_OF_TIME_NS, Family, Level, TierState
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.reading import Row, by_name, rows


class PostgresTierStore:
    """``TierStore`` on ``tidegauge.tier_states()``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sqlfiles.queries("tiers")

    async def states(self, family: Family) -> Sequence[TierState]:
        """See ``TierStore``."""
        return [tier_state(row) for row in await self._database.read(self._sql["states"], {"family": family.value}, by_name)]


async def read_states(connection: AsyncConnection, family: Family) -> Sequence[TierState]:
    """The states in a transaction that is there already."""
    return [tier_state(row) for row in await rows(connection, sqlfiles.queries("tiers")["states"], {"family": family.value})]


def tier_state(row: Row) -> TierState:
    """From a row of ``tidegauge.tier_states()``."""
    edges = row["pending_us"]
    return TierState(
        level=Level(row["level"]),
        watermark_ns=min(row["watermark_us"] * 1000, END_OF_TIME_NS),
        dropped_through_ns=row["dropped_us"] * 1000,
        pending=_merged([(start * 1000, end * 1000) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end]),
    )


def _merged(ranges: list[tuple[int, int]]) -> tuple[TimeRange, ...]:
    """In order and apart."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return tuple([TimeRange(*one) for one in found])
