"""Spans by step on ``tidegauge.traces`` and its rollups."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tidegauge.model.span_rates import RateColumn, RateFilter, RateKey
from tidegauge.model.tiers import Level, Reading
from tidegauge.storage import sqlfiles
from tidegauge.storage.postgres.database import Database
from tidegauge.storage.postgres.planned import of_columns, step_parameters, tier_parameters, too_many_values

_NEIGHBOURHOODS = {Level.RAW: 3, Level.MINUTELY: 2, Level.HOURLY: 2, Level.DAILY: 1}


class PostgresSpanRateStore:
    """``SpanRateStore`` on TimescaleDB."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = sqlfiles.queries("span_rates")

    async def rates(
        self, tenant_id: int, wanted: RateFilter, reading: Reading, group_by: Collection[RateKey], limit: int
    ) -> Sequence[RateColumn]:
        """See ``SpanRateStore``."""
        parameters = {
            "tenant_id": tenant_id,
            "service": wanted.service,
            "operation": wanted.operation,
            "kind": wanted.kind,
            "status_code": wanted.status_code,
            **{f"by_{key.value}": key in group_by for key in RateKey},
            **step_parameters(reading),
            **tier_parameters(reading, _NEIGHBOURHOODS),
            "limit": limit + 1,
        }
        found = [RateColumn(*row) for row in await self._database.read(self._sql["rates"], parameters, of_columns)]
        if sum(len(one.times) for one in found) > limit:
            raise too_many_values(limit)
        return found
