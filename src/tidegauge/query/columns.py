"""Columns of values by step, cut into blocks of time and joined again."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import chain, groupby
from operator import attrgetter

from tidegauge.model.tiers import StepColumn


def cut(found: Sequence[StepColumn], block_ns: int) -> list[StepColumn]:
    """Columns that lie within one block each, which begin at multiples of ``block_ns`` since the Unix epoch."""
    parts: list[StepColumn] = []
    for column in found:
        start = 0
        while start < len(column.times):
            end = bisect_left(column.times, (column.times[start] // block_ns + 1) * block_ns, start)
            parts.append(StepColumn(column.group, column.times[start:end], column.values[start:end], column.untold, column.below))
            start = end
    return parts


def place(column: StepColumn) -> tuple[int, int]:
    """What columns are sorted by: group and time."""
    return column.group, column.times[0]


def joined(parts: Sequence[StepColumn]) -> list[StepColumn]:
    """One column a group; ``parts`` are in order."""
    # Most have the very same steps: what is made of these is made once.
    known: dict[tuple[int, ...], tuple[int, ...]] = {}
    return [_join(list(members), known) for _, members in groupby(parts, key=attrgetter("group"))]


def _join(parts: list[StepColumn], known: dict[tuple[int, ...], tuple[int, ...]]) -> StepColumn:
    times = tuple(chain.from_iterable([part.times for part in parts]))
    return StepColumn(
        parts[0].group,
        known.setdefault(times, times),
        tuple(chain.from_iterable([part.values for part in parts])),
        max(part.untold for part in parts),
        max(part.below for part in parts),
    )
