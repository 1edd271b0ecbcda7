"""The batches of the service map."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from tidegauge.maintenance import edges
from tidegauge.maintenance.edges import ServiceMapJob
from tidegauge.maintenance.store import MaintenanceStore, Paired


class Store:
    """Has ``waiting`` spans, which it pairs at a speed, on a clock of its own."""

    def __init__(self, waiting: int, spans_per_second: float) -> None:
        self.waiting = waiting
        self.asked: list[int] = []
        self.now = 0.0
        self._speed = spans_per_second

    async def refresh_service_map(self, most: int) -> Paired | None:
        if not self.waiting:
            return None
        self.asked.append(most)
        spans = min(most, self.waiting)
        self.waiting -= spans
        self.now += spans / self._speed
        return Paired(datetime(2026, 1, 1, tzinfo=UTC), spans)


@pytest.mark.parametrize(("speed", "expected"), [(100_000.0, 50_000), (4_000.0, 2_000)])
async def test_a_turns_spans_follow_from_what_they_take(speed: float, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(1_000_000, speed)
    monkeypatch.setattr(cast("Any", edges).time, "perf_counter", lambda: store.now)
    job = ServiceMapJob(cast("MaintenanceStore", store), turn_seconds=1.0)
    for _ in range(6):
        turn = await job.turn()
        assert turn is not None
    assert store.asked[-1] == pytest.approx(expected, rel=0.01)
    assert turn.seconds == pytest.approx(0.5, rel=0.01)
    store.waiting = 0
    assert await job.turn() is None
