"""Columns of values by step, cut into blocks of time and joined again."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from operator import attrgetter, lt
from typing import TypeAlias

from tidegauge.model.tiers import StepColumn

_Times: TypeAlias = tuple[int, ...]
# Times in their order, and from where in parts one behind the other each of them comes; None: they are in order.
_Order: TypeAlias = tuple[_Times, list[int] | None]


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
    """One column a group; ``parts`` are sorted by :func:`place`. Where they lie within one another their steps are put in order."""
    known: dict[tuple[int, ...], _Order] = {}
    return [_join(list(members), known) for _, members in groupby(parts, key=attrgetter("group"))]


def _join(parts: list[StepColumn], known: dict[tuple[int, ...], _Order]) -> StepColumn:
    if len(parts) == 1:
        return parts[0]
    same = tuple([id(part.times) for part in parts])
    if same not in known:
        known[same] = _order(tuple(chain.from_iterable([part.times for part in parts])))
    times, places = known[same]
    values = tuple(chain.from_iterable([part.values for part in parts]))
    return StepColumn(
        parts[0].group,
        times,
        values if places is None else tuple([values[place] for place in places]),
        max([part.untold for part in parts]),
        max([part.below for part in parts]),
    )


def _order(times: _Times) -> _Order:
    if is_rising(times):
        return times, None
    places = sorted(range(len(times)), key=times.__getitem__)
    return tuple([times[place] for place in places]), places


def is_rising(times: Sequence[int]) -> bool:
    """Whether each is later than the one before."""
    return all(map(lt, times, times[1:]))
