"""Use cases: percentiles of span durations, and quantiles of histograms, by step and group."""

from __future__ import annotations

from asyncio import gather
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

from tidegauge.errors import InvalidArgument, NotFound
from tidegauge.model.query import SeriesSelector, TimeRange
from tidegauge.model.records import Series
from tidegauge.model.tiers import Family, Level, Steps, TierState
from tidegauge.query.distributions import observed
from tidegauge.query.plan import Bound, Meta, plan
from tidegauge.query.quantiles import DURATION_ERROR, Quantile, Total, duration_quantiles
from tidegauge.storage.interface import MetricStore
from tidegauge.storage.percentile_interface import DurationCounts, DurationFilter, DurationKey, HistogramEpoch, PercentileStore
from tidegauge.storage.tier_interface import TierStore

MOST_QUANTILES = 10
_HOUR_NS = 3_600_000_000_000
_QUARTER_NS = 900_000_000_000
_MOST_ROWS = 500_000
# What increases start from is looked for this far before the range, from a full hour on: an hourly rollup or two.
_LOOKBACK_NS = _HOUR_NS
_LAST = (1 << 63) - 1
_HISTOGRAMS = {"histogram": False, "exponential_histogram": True}

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """Of an answer: ApiSettings.max_series and max_points."""

    series: int
    points: int


@dataclass(frozen=True, slots=True)
class DurationLine:
    """A group of spans, by columns: starts of steps in order, spans in them, and percentiles, a list for each quantile asked for."""

    key: DurationKey
    times_unix_nano: list[int]
    counts: list[int]
    durations_ns: list[list[int | None]]


@dataclass(frozen=True, slots=True)
class DurationsAnswer:
    """Groups of spans in order, the whole steps that were read, and what the answer is worth."""

    time: TimeRange
    lines: tuple[DurationLine, ...]
    meta: Meta


@dataclass(frozen=True, slots=True)
class QuantilePoint:
    """Quantiles of a step, in the order of those asked for. ``is_exact``: no observation is known to be missing."""

    time_unix_nano: int
    count: int
    values: Sequence[Quantile]
    is_exact: bool


@dataclass(frozen=True, slots=True)
class QuantileLine:
    """A group of series."""

    labels: Labels
    series_count: int
    points: tuple[QuantilePoint, ...]


@dataclass(frozen=True, slots=True)
class QuantilesAnswer:
    """Groups of series in order, the whole steps that were read, the metric's type and unit, and what the answer is worth."""

    time: TimeRange
    type: str
    unit: str
    lines: tuple[QuantileLine, ...]
    meta: Meta


def check_quantiles(quantiles: Sequence[float]) -> list[float]:
    """The quantiles themselves; raises InvalidArgument where there are none, too many, or one is not from 0 to 1."""
    if not 1 <= len(quantiles) <= MOST_QUANTILES or not all(0 <= q <= 1 for q in quantiles):
        raise InvalidArgument(
            "q is not a list of quantiles", hint=f"expected 1 to {MOST_QUANTILES} numbers from 0 to 1, such as q=0.5&q=0.99", parameter="q"
        )
    return list(quantiles)


async def read_durations(
    store: PercentileStore,
    tiers: TierStore,
    tenant_id: int,
    wanted: DurationFilter,
    steps: Steps,
    quantiles: Sequence[float],
    limits: Limits,
) -> DurationsAnswer:
    """Percentiles of span durations by step and group, within :data:`DURATION_ERROR` (and a nanosecond) of the exact ones.

    Raises:
        InvalidArgument: too many steps, groups or rows.

    """
    _check_steps(steps, limits)
    planned = plan(steps, await _duration_tiers(tiers, wanted))
    segments = [(one.level, one.time) for one in planned.segments]
    found = await store.durations(tenant_id, wanted, segments, steps.time.start_ns, _part(steps), _MOST_ROWS)
    _check_rows(len(found))
    groups: dict[DurationKey, list[DurationCounts]] = {}
    for row in found:
        groups.setdefault(row.key, []).append(row)
    if len(groups) > limits.series:
        raise InvalidArgument(
            f"more than {limits.series} groups match", hint="narrow them by service= or operation=, or group by less", parameter="group_by"
        )
    start_of = _starts(steps)
    lines = [_duration_line(key, rows, start_of, quantiles) for key, rows in groups.items()]
    lines.sort(key=lambda line: tuple([(part is None, str(part)) for part in line.key]))
    bound = Bound("durations are counted in buckets that grow by a tenth", relative=DURATION_ERROR)
    return DurationsAnswer(steps.time, tuple(lines), planned.meta.bounded(bound))


async def read_quantiles(
    metrics: MetricStore,
    store: PercentileStore,
    tiers: TierStore,
    tenant_id: int,
    wanted: SeriesSelector,
    steps: Steps,
    quantiles: Sequence[float],
    group_by: Sequence[str] | None,
    limits: Limits,
) -> QuantilesAnswer:
    """Quantiles of a histogram by step and group of series; ``group_by`` None makes every series a group, empty all of them one.

    Raises:
        InvalidArgument: too many steps, series or rows; the metric is no histogram, or two kinds of them; a malformed matcher.
        NotFound: there is no such metric.

    """
    _check_steps(steps, limits)
    series = await _histogram_series(metrics, tenant_id, wanted, group_by or (), limits)
    is_exponential = bool(series) and _HISTOGRAMS[series[0].type]
    states = await tiers.states(Family.EXPONENTIALS if is_exponential else Family.HISTOGRAMS)
    planned = plan(steps, states)
    scan_start = max(0, (steps.time.start_ns - _LOOKBACK_NS) // _HOUR_NS * _HOUR_NS)
    before = plan(Steps((scan_start, steps.time.start_ns)), states).segments if scan_start < steps.time.start_ns else ()
    segments = [(one.level, one.time) for one in (*before, *planned.segments)]
    ids = [one.series_id for one in series]
    found: Sequence[HistogramEpoch] = ()
    if ids:
        found = await store.histograms(ids, is_exponential, segments, steps.time.start_ns, _part(steps), _MOST_ROWS)
    _check_rows(len(found))
    lines, is_exact = _quantile_lines(series, found, steps, scan_start, quantiles, group_by)
    meta = planned.meta.bounded(Bound("the value lies somewhere in its bucket, which stands beside it as lower and upper"))
    if not is_exact:
        meta = meta.bounded(Bound("cumulative points without a start time, or whose start was not seen: observations may be missing"))
    types, units = {one.type for one in series}, {one.unit for one in series}
    return QuantilesAnswer(steps.time, _only(types), _only(units), lines, meta)


async def _duration_tiers(tiers: TierStore, wanted: DurationFilter) -> Sequence[TierState]:
    """Only spans tell their status. Elsewhere counts and extremes are read from two rollups, as far as both are made."""
    if wanted.status_code is not None:
        return [state for state in await tiers.states(Family.SPANS) if state.level is Level.RAW]
    counted, extremes = (
        (Family.SERVICE_PERCENTILES, Family.SERVICE_TOTALS) if wanted.is_of_services else (Family.SPAN_DURATIONS, Family.SPANS)
    )
    return both(*await gather(tiers.states(counted), tiers.states(extremes)))


def both(ones: Sequence[TierState], others: Sequence[TierState]) -> list[TierState]:
    """States of tiers that are made of two relations each."""
    by_level = {state.level: state for state in others}
    return [_both(state, by_level[state.level]) for state in ones if state.level in by_level]


def _both(one: TierState, other: TierState) -> TierState:
    return TierState(
        level=one.level,
        watermark_ns=min(one.watermark_ns, other.watermark_ns),
        dropped_through_ns=max(one.dropped_through_ns, other.dropped_through_ns),
        pending=_apart([*one.pending, *other.pending]),
    )


def _apart(ranges: Iterable[TimeRange]) -> tuple[TimeRange, ...]:
    found: list[TimeRange] = []
    for one in sorted(ranges, key=lambda one: one.start_ns):
        if found and one.start_ns <= found[-1].end_ns:
            found[-1] = TimeRange(found[-1].start_ns, max(one.end_ns, found[-1].end_ns))
        else:
            found.append(one)
    return tuple(found)


def _duration_line(
    key: DurationKey, rows: list[DurationCounts], start_of: Callable[[int], int], quantiles: Sequence[float]
) -> DurationLine:
    rows.sort(key=itemgetter(0))
    line = DurationLine(key, [], [], [[] for _ in quantiles])
    found = []
    for time, buckets, counts, least, greatest in _by_step([start_of(row[0]) for row in rows], rows):
        line.times_unix_nano.append(time)
        line.counts.append(sum(counts))
        found.append(duration_quantiles(buckets, counts, quantiles, least, greatest))
    for column, values in zip(line.durations_ns, zip(*found, strict=True), strict=False):
        column.extend(values)
    return line


_OfStep = tuple[int, Sequence[int], Sequence[int], int | None, int | None]


def _by_step(starts: Sequence[int], rows: list[DurationCounts]) -> Iterable[_OfStep]:
    """Where a step begins, and its buckets, counts, shortest and longest duration; ``starts`` are those of the rows' steps, in order."""
    if len(set(starts)) == len(rows):
        # The usual case of many steps.
        return ((start, *row[2:]) for start, row in zip(starts, rows, strict=True))
    together = groupby(zip(starts, rows, strict=True), key=itemgetter(0))
    return ((start, *_together([row for _, row in members])) for start, members in together)


def _together(rows: list[DurationCounts]) -> tuple[Sequence[int], Sequence[int], int | None, int | None]:
    """Buckets, counts, the shortest and the longest duration of a step."""
    if len(rows) == 1:
        return rows[0][2:]
    merged: defaultdict[int, int] = defaultdict(int)
    all_counts = chain.from_iterable([row[3] for row in rows])
    for bucket, count in zip(chain.from_iterable([row[2] for row in rows]), all_counts, strict=True):
        merged[bucket] += count
    buckets = sorted(merged)
    least, greatest = _extreme(min, [row[4] for row in rows]), _extreme(max, [row[5] for row in rows])
    return buckets, [merged[bucket] for bucket in buckets], least, greatest


def _extreme(of: Callable[[Iterable[Any]], int], values: Sequence[int | None]) -> int | None:
    """None where one of them is not known."""
    return None if None in values else of(values)


@dataclass(slots=True)
class _Step:
    total: Total = field(default_factory=Total)
    is_exact: bool = True


def _quantile_lines(
    series: Sequence[Series],
    epochs: Sequence[HistogramEpoch],
    steps: Steps,
    scan_start_ns: int,
    quantiles: Sequence[float],
    group_by: Sequence[str] | None,
) -> tuple[tuple[QuantileLine, ...], bool]:
    by_id = {one.series_id: one for one in series}
    start_of, groups = _starts(steps), dict[Labels, dict[int, _Step]]()
    members: dict[Labels, int] = {}
    for one in series:
        members[_labels(one, group_by)] = members.get(_labels(one, group_by), 0) + 1
    for series_id, own in groupby(epochs, key=lambda epoch: epoch.series_id):
        group = groups.setdefault(_labels(by_id[series_id], group_by), {})
        for part in observed(by_id[series_id], own, scan_start_ns, steps.time.start_ns):
            step = group.setdefault(start_of(part.time_unix_nano), _Step())
            step.total.add(part.distribution)
            step.is_exact &= part.is_exact
    lines = [
        QuantileLine(
            labels,
            members[labels],
            tuple(
                [
                    QuantilePoint(time, step.total.total, step.total.quantiles(quantiles), step.is_exact)
                    for time, step in sorted(found.items())
                    if step.total.total
                ]
            ),
        )
        for labels, found in groups.items()
    ]
    is_exact = all(step.is_exact for found in groups.values() for step in found.values())
    return tuple(sorted((line for line in lines if line.points), key=lambda line: line.labels)), is_exact


def _labels(one: Series, group_by: Sequence[str] | None) -> Labels:
    if group_by is None:
        return one.labels
    return tuple([(name, value) for name, value in zip(group_by, one.group, strict=True) if value])


async def _histogram_series(
    metrics: MetricStore, tenant_id: int, wanted: SeriesSelector, group_by: Sequence[str], limits: Limits
) -> Sequence[Series]:
    # Where they are grouped, more are read than are answered with.
    limit = limits.series * (20 if group_by else 1)
    series = await metrics.series(tenant_id, wanted, group_by, limit + 1)
    if len(series) > limit:
        raise InvalidArgument(
            f"more than {limit} series match", hint="narrow them by match= or service=, or group them by group_by=", parameter="match"
        )
    if not series and not await metrics.series(tenant_id, SeriesSelector(wanted.metric_name), (), 1):
        raise NotFound(f"there is no metric {wanted.metric_name}", hint="/api/v1/metrics lists the metrics")
    types = sorted({one.type for one in series})
    if any(type_ not in _HISTOGRAMS for type_ in types):
        raise InvalidArgument(
            f"{wanted.metric_name} is sent as {', '.join(types)}",
            hint="quantiles are those of histograms; where it is sent as one as well, choose it by type=",
            parameter="type",
        )
    if len(types) > 1:
        raise InvalidArgument(f"{wanted.metric_name} is sent as {', '.join(types)}", hint="choose one by type=", parameter="type")
    return series


def _part(steps: Steps) -> int:
    """Width of the parts that raw data is read by: a step, or what the edges of local days are multiples of."""
    edges = steps.edges
    if isinstance(edges, range):
        return edges.step
    return edges[1] - edges[0] if len(edges) == 2 else _QUARTER_NS


def _starts(steps: Steps) -> Callable[[int], int]:
    """Where the step begins that a moment lies in."""
    edges = steps.edges
    if isinstance(edges, range):
        first, width = edges.start, edges.step
        return lambda time: first + (time - first) // width * width
    return steps.start_of


def _check_steps(steps: Steps, limits: Limits) -> None:
    if len(steps.edges) - 1 > limits.points:
        raise InvalidArgument(
            f"the answer would have {len(steps.edges) - 1} steps",
            hint=f"at most {limits.points} are allowed: ask for a longer step or a shorter range",
            parameter="step",
        )


def _check_rows(rows: int) -> None:
    if rows > _MOST_ROWS:
        raise InvalidArgument(
            f"the answer would be made of more than {_MOST_ROWS} rows", hint="ask for a longer step, a shorter range or for less at once"
        )


def _only(values: set[str]) -> str:
    return values.pop() if len(values) == 1 else ""
