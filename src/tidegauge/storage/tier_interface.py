"""The Protocol of what plans are made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tidegauge.model.tiers import Family, TierState


class TierStore(Protocol):
    """Knows how far each tier can be trusted at this moment."""

    async def states(self, family: Family) -> Sequence[TierState]:
        """Of a family's raw data (of durations: spans) and its rollups; raises Unavailable."""
        ...
