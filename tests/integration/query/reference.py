"""The answers that metric queries must give, from all points that were ever stored, slowly and by the rules of docs/data-model.md alone."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tidegauge.model.query import Aggregation, TimeRange
from tidegauge.model.records import Series

NO_VALUE = 1
_LEAST_LOOKBACK_NS = 15 * 60 * 1_000_000_000

Answer = dict[int, float]


@dataclass(frozen=True)
class Point:
    """A point. Of numbers ``value`` is the value and ``count`` 1, of the others they are the sum and the count."""

    time_ns: int
    start_ns: int | None
    value: float
    count: int = 1
    low: float | None = None
    high: float | None = None
    flags: int = 0


def answer(
    members: Sequence[tuple[Series, Sequence[Point]]], edges: Sequence[int], aggregation: Aggregation, missing: Sequence[TimeRange] = ()
) -> Answer:
    """Start of the step → value, of one group; ``missing`` is what need not be known."""
    kept = [(series, [point for point in points if _counts(point)]) for series, points in members]
    if kept[0][0].type in ("gauge", "sum"):
        rising = aggregation in (Aggregation.INCREASE, Aggregation.RATE)
        found = _risen(kept, edges, aggregation, _number_rise) if rising else _plain(kept, edges, aggregation, missing)
    elif aggregation in (Aggregation.MIN, Aggregation.MAX):
        found = _extremes(kept, edges, aggregation)
    elif aggregation is Aggregation.AVG:
        counts, sums = _risen(kept, edges, Aggregation.COUNT, _count_rise), _risen(kept, edges, aggregation, _sum_rise)
        found = {step: value / counts[step] for step, value in sums.items() if counts[step]}
    else:
        found = _risen(kept, edges, aggregation, _sum_rise if aggregation is Aggregation.SUM else _count_rise)
    if aggregation is Aggregation.RATE:
        return {step: value / ((edges[bisect_right(edges, step)] - step) / 1e9) for step, value in found.items()}
    return found


def _counts(point: Point) -> bool:
    return not point.flags & NO_VALUE and not math.isnan(point.value)


def _in_steps(points: Sequence[Point], edges: Sequence[int]) -> Iterator[tuple[int, Point]]:
    first, last = (bisect_left(points, edge, key=lambda point: point.time_ns) for edge in (edges[0], edges[-1]))
    for point in points[first:last]:
        yield edges[bisect_right(edges, point.time_ns) - 1], point


def _plain(
    members: Sequence[tuple[Series, list[Point]]], edges: Sequence[int], aggregation: Aggregation, missing: Sequence[TimeRange]
) -> Answer:
    steps: dict[int, list[Point]] = {}
    for _, points in members:
        for step, point in _in_steps(points, edges):
            if not any(gap.start_ns <= point.time_ns < gap.end_ns for gap in missing):
                steps.setdefault(step, []).append(point)
    of: dict[Aggregation, Callable[[list[Point]], float]] = {
        Aggregation.AVG: lambda found: math.fsum(point.value for point in found) / len(found),
        Aggregation.SUM: lambda found: math.fsum(point.value for point in found),
        Aggregation.MIN: lambda found: min(point.value for point in found),
        Aggregation.MAX: lambda found: max(point.value for point in found),
        Aggregation.COUNT: lambda found: float(len(found)),
        Aggregation.FIRST: lambda found: min(found, key=lambda point: point.time_ns).value,
        Aggregation.LAST: lambda found: max(found, key=lambda point: point.time_ns).value,
    }
    return {step: of[aggregation](found) for step, found in steps.items()}


def _extremes(members: Sequence[tuple[Series, list[Point]]], edges: Sequence[int], aggregation: Aggregation) -> Answer:
    lows = aggregation is Aggregation.MIN
    found: Answer = {}
    for _, points in members:
        for step, point in _in_steps(points, edges):
            value = point.low if lows else point.high
            if value is not None:
                found[step] = (min if lows else max)(found.get(step, value), value)
    return found


Rise = Callable[[Series, Point, Point | None, bool], float | None]


def _risen(members: Sequence[tuple[Series, list[Point]]], edges: Sequence[int], aggregation: Aggregation, rise: Rise) -> Answer:
    scan_start = edges[0] - max(edges[1] - edges[0], _LEAST_LOOKBACK_NS)
    found: Answer = {}
    for series, points in members:
        before: dict[int | None, Point] = {}
        first = bisect_left(points, scan_start, key=lambda point: point.time_ns)
        for point in points[first:]:
            if point.time_ns >= edges[-1]:
                break
            began = point.start_ns is not None and point.start_ns >= scan_start
            value = rise(series, point, before.get(point.start_ns), began)
            before[point.start_ns] = point
            if value is not None and point.time_ns >= edges[0]:
                step = edges[bisect_right(edges, point.time_ns) - 1]
                found[step] = found.get(step, 0.0) + value
    return found


def _number_rise(series: Series, point: Point, before: Point | None, began: bool) -> float | None:
    if series.temporality == "delta":
        return point.value
    if before is None:
        return point.value if began else None
    is_reset = series.is_monotonic and point.value < before.value
    return point.value if is_reset else point.value - before.value


def _count_rise(series: Series, point: Point, before: Point | None, began: bool) -> float | None:
    if series.temporality == "delta":
        return point.count
    if before is None:
        return point.count if began else None
    return point.count if point.count < before.count else point.count - before.count


def _sum_rise(series: Series, point: Point, before: Point | None, began: bool) -> float | None:
    if series.temporality == "delta":
        return point.value
    if before is None:
        return point.value if began else None
    return point.value if point.count < before.count else point.value - before.value
