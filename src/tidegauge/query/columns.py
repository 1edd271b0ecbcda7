"""Columns of values by step, cut into blocks of time and joined again."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from operator import attrgetter
from typing import TypeAlias

from tidegauge.model.tiers import StepColumn

_Times: TypeAlias = tuple[int, ...]


def cut(found: Sequence[StepColumn], edges: Sequence[int]) -> Iterator[tuple[int, StepColumn]]:
    """Columns that lie between two of the ``edges`` each, which are in order, and the place of the first of these; -1 before all."""
    # Most have the very same steps: what is made of these is made once. As long as ``found`` lasts an id is one object's.
    known: dict[int, list[tuple[int, slice, _Times]]] = {}
    for column in found:
        if id(column.times) not in known:
            known[id(column.times)] = [(number, part, column.times[part]) for number, part in _parts(column.times, edges)]
        for number, part, times in known[id(column.times)]:
            yield number, StepColumn(column.group, times, column.values[part], column.untold, column.below)


def _parts(times: _Times, edges: Sequence[int]) -> Iterator[tuple[int, slice]]:
    start = 0
    while start < len(times):
        number = bisect_right(edges, times[start])
        end = bisect_left(times, edges[number], start) if number < len(edges) else len(times)
        yield number - 1, slice(start, end)
        start = end


def place(column: StepColumn) -> tuple[int, _Times]:
    """What columns are sorted by: group and time, where they have one."""
    return column.group, column.times[:1]


def joined(parts: Sequence[StepColumn]) -> list[StepColumn]:
    """One column a group; ``parts`` are in order."""
    known: dict[tuple[int, ...], _Times] = {}
    return [_join(list(members), known) for _, members in groupby(parts, key=attrgetter("group"))]


def _join(parts: list[StepColumn], known: dict[tuple[int, ...], _Times]) -> StepColumn:
    if len(parts) == 1:
        return parts[0]
    same = tuple([id(part.times) for part in parts])
    if same not in known:
        known[same] = tuple(chain.from_iterable([part.times for part in parts]))
    return StepColumn(
        parts[0].group,
        known[same],
        tuple(chain.from_iterable([part.values for part in parts])),
        max([part.untold for part in parts]),
        max([part.below for part in parts]),
    )
