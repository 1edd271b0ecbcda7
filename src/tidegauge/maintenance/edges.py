"""Pairs calls between services for the service map, batch by batch; what a minute is computed from: sql/policies/analysis.sql."""

from __future__ import annotations

import time
from datetime import timedelta

from tidegauge.maintenance.store import MaintenanceStore
from tidegauge.maintenance.turn import Turn

_FIRST_BATCH = 20_000
_SMALLEST_BATCH = 1_000
_LARGEST_BATCH = 1_000_000
_GROWTH = 2.0


class ServiceMapJob:
    """Computes the minutes of the service map that are due; the number of spans of a turn follows from what the last ones took.

    A minute is computed whole: one that has more spans than a turn's time is enough for takes longer.
    """

    name = "service map"
    period = timedelta(seconds=60)

    def __init__(self, store: MaintenanceStore, turn_seconds: float) -> None:
        self._store = store
        self._turn_seconds = turn_seconds
        self._batch = _FIRST_BATCH

    async def turn(self) -> Turn | None:
        """Compute the oldest batch of minutes."""
        began = time.perf_counter()
        done = await self._store.refresh_service_map(self._batch)
        took = time.perf_counter() - began
        if done is None:
            return None
        if done.spans:
            fitting = done.spans * self._turn_seconds / max(took, 1e-6) * 0.5
            self._batch = int(min(max(min(fitting, self._batch * _GROWTH), _SMALLEST_BATCH), _LARGEST_BATCH))
        return Turn(took, f"service map to {done.end:%Y-%m-%d %H:%M}")
