"""Which answers by step are a tier's buckets as they are, and columns of them put together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter, lt
from typing import TypeAlias

from tidegauge.model.query import Aggregation
from tidegauge.model.records import Series
from tidegauge.model.tiers import Level, Reading, StepColumn

_AGGREGATIONS = frozenset({Aggregation.AVG, Aggregation.SUM, Aggregation.MIN, Aggregation.MAX, Aggregation.COUNT})
# Times in their order, and from where in parts one behind the other each of them comes; None: they are in order.
_Order: TypeAlias = tuple[tuple[int, ...], list[int] | None]


def as_they_are(series: Sequence[Series], groups: Sequence[int], reading: Reading, aggregation: Aggregation, limit: int) -> Level | None:
    """The tier whose buckets are the steps, of gauges of which each is a group; None where there is none, or values beyond ``limit``."""
    edges = reading.steps.edges
    if aggregation not in _AGGREGATIONS or not isinstance(edges, range) or len(set(groups)) < len(groups):
        return None
    level = next((one for one in (Level.HOURLY, Level.DAILY) if one.width_ns == edges.step and edges.start % edges.step == 0), None)
    if level is None or not reading.ranges(level) or len(series) * len(edges) > limit:
        return None
    return level if all(one.type == "gauge" for one in series) else None


def is_stretch(reading: Reading, level: Level) -> bool:
    """Whether a tier's buckets are followed by hours and points alone, in this order."""
    order = list(dict.fromkeys((level, Level.HOURLY, Level.RAW)))
    levels = [one.level for one in reading.segments]
    return set(levels) <= set(order) and levels == sorted(levels, key=order.index)


def merged(found: Sequence[StepColumn], rest: Sequence[StepColumn]) -> list[StepColumn]:
    """One column a group, in order of groups, of columns without a step in common."""
    ordered = sorted([*found, *rest], key=attrgetter("group"))
    # Most have the very same steps, and have them still.
    known: dict[tuple[int, ...], _Order] = {}
    return [_merge(list(members), known) for _, members in groupby(ordered, key=attrgetter("group"))]


def _merge(parts: list[StepColumn], known: dict[tuple[int, ...], _Order]) -> StepColumn:
    if len(parts) == 1:
        return parts[0]
    key = tuple([id(part.times) for part in parts])
    if key not in known:
        known[key] = _order([time for part in parts for time in part.times])
    times, places = known[key]
    values = [value for part in parts for value in part.values]
    return StepColumn(parts[0].group, times, tuple(values if places is None else [values[place] for place in places]))


def _order(times: list[int]) -> _Order:
    if is_rising(times):
        return tuple(times), None
    places = sorted(range(len(times)), key=times.__getitem__)
    return tuple([times[place] for place in places]), places


def is_rising(times: Sequence[int]) -> bool:
    """Whether each is later than the one before."""
    return all(map(lt, times, times[1:]))
