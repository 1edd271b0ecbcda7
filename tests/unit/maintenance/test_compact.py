"""The attribute index' job does one thing a turn, what is asked for most first."""

from __future__ import annotations

from dataclasses import dataclass, field

from tidegauge.maintenance.compact import CompactAttributesJob


@dataclass
class Store:
    """Has so many turns' work of each kind."""

    pieces: list[int] = field(default_factory=list)
    hours: list[int] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)

    async def compact(self) -> int:
        return self.pieces.pop() if self.pieces else 0

    async def backfill(self) -> int:
        return self.hours.pop() if self.hours else 0

    async def sample(self) -> int:
        return self.keys.pop() if self.keys else 0


async def test_blocks_come_before_history_and_that_before_samples() -> None:
    job = CompactAttributesJob(Store([64], [7], [3]))
    said = []
    while (turn := await job.turn()) is not None:
        said.append(turn.what)
    assert said == ["made blocks of 64 pieces", "indexed 7 spans", "counted the values of 3 attributes"]
