"""The Protocol of what plans are made from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from tidegauge.model.span_rates import RateColumn, RateFilter, RateKey
from tidegauge.model.tiers import Family, Reading, TierState


class TierStore(Protocol):
    """Knows how far each tier can be trusted at this moment."""

    async def states(self, family: Family) -> Sequence[TierState]:
        """Of a family's raw data (of durations: spans) and its rollups; raises Unavailable."""
        ...


class SpanRateStore(Protocol):
    """Counts spans by step."""

    async def rates(
        self, tenant_id: int, wanted: RateFilter, reading: Reading, group_by: Collection[RateKey], limit: int
    ) -> Sequence[RateColumn]:
        """Groups by service, operation, kind and status, whose steps are read as ``reading`` says.

        Raises:
            InvalidArgument: there are more than ``limit`` steps in all.

        """
        ...


class NoSpanRates:
    """A ``SpanRateStore`` without spans."""

    async def rates(
        self, tenant_id: int, wanted: RateFilter, reading: Reading, group_by: Collection[RateKey], limit: int
    ) -> Sequence[RateColumn]:
        """See ``SpanRateStore``."""
        return ()
