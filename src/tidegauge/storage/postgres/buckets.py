"""Which answers by step are a tier's buckets as they are, and columns of them put together."""

from __future__ import annotations

from collections.abc import Sequence

from tidegauge.model import columns
from tidegauge.model.query import Aggregation
from tidegauge.model.records import Series
from tidegauge.model.tiers import Level, Reading, StepColumn

_AGGREGATIONS = frozenset({Aggregation.AVG, Aggregation.SUM, Aggregation.MIN, Aggregation.MAX, Aggregation.COUNT})


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
    return columns.joined(sorted([*found, *rest], key=columns.place))
