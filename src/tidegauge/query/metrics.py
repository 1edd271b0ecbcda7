"""Use cases: metrics by name, values by step, and rollups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from tidegauge.errors import InvalidArgument, NotFound
from tidegauge.model.query import Aggregation, SeriesSelector, Tier, TimeRange
from tidegauge.model.records import Series
from tidegauge.query.rollups import RollupPoint, merge
from tidegauge.query.times import DAY_NS, HOUR_NS, SECOND_NS
from tidegauge.storage.interface import MetricStore

MIN_STEP_NS = 1_000_000
# A query may read many series to answer with few; this is where reading ends all the same.
_SERIES_READ_PER_ANSWERED = 20
_POINTS_IN_ANSWER = 500_000
_NICE_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_POINTS_BY_DEFAULT = 250
_BUCKET_NS = {Tier.HOURLY: HOUR_NS, Tier.DAILY: DAY_NS}
# How far before the range is read, for the values that increases start from.
_LOOKBACK_NS = {Tier.HOURLY: DAY_NS, Tier.DAILY: 7 * DAY_NS}
_KINDS = {"gauge": "numbers", "sum": "numbers", "histogram": "histograms", "exponential_histogram": "histograms", "summary": "summaries"}
_RISING = frozenset({Aggregation.INCREASE, Aggregation.RATE})
_OF_GAUGES = frozenset(Aggregation) - _RISING
_OF_HISTOGRAMS = frozenset(Aggregation) - {Aggregation.FIRST, Aggregation.LAST}
_ALLOWED = {
    "numbers": frozenset(Aggregation),
    "histograms": _OF_HISTOGRAMS,
    "summaries": _OF_HISTOGRAMS - {Aggregation.MIN, Aggregation.MAX},
}

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """Of an answer: ApiSettings.max_series and max_points."""

    series: int
    points: int


@dataclass(frozen=True, slots=True)
class Line:
    """The values of a group of series: (start of the step, value) in order."""

    labels: Labels
    series_count: int
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class RangeAnswer:
    """Lines, the whole steps that were read, and the metric's type and unit."""

    time: TimeRange
    step_ns: int
    type: str
    unit: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class SeriesRollups:
    """A series' buckets in order."""

    series: Series
    points: tuple[RollupPoint, ...]


@dataclass(frozen=True, slots=True)
class RollupsAnswer:
    """Series with their buckets, and the whole buckets that were read."""

    time: TimeRange
    series: tuple[SeriesRollups, ...]


async def read_range(
    store: MetricStore,
    tenant_id: int,
    wanted: SeriesSelector,
    time: TimeRange,
    step_ns: int | None,
    aggregation: Aggregation,
    group_by: Sequence[str] | None,
    limits: Limits,
) -> RangeAnswer:
    """One value per step and group of series; ``group_by`` None makes every series a group, empty all of them one.

    Raises:
        InvalidArgument: too many series or points, an aggregation that the metric's type does not have, a malformed matcher.
        NotFound: there is no such metric.

    """
    step = step_ns or default_step(time)
    steps = whole_steps(time, step)
    _check_points((steps.end_ns - steps.start_ns) // step, limits, "step", "ask for a longer step or a shorter range")
    series = await _series(store, tenant_id, wanted, group_by or (), limits.series * _SERIES_READ_PER_ANSWERED)
    if not series:
        return RangeAnswer(steps, step, "", "", ())
    series = _that_have(series, aggregation)
    groups, labels = number_groups(series, group_by)
    if len(labels) > limits.series:
        raise _too_many_series(limits.series)
    values = await store.steps(tenant_id, series, groups, steps, step, aggregation, _POINTS_IN_ANSWER + 1)
    _check_answer(len(values))
    members = Counter(groups)
    points = {
        index: tuple([(value.time_unix_nano, value.value) for value in found]) for index, found in groupby(values, key=lambda v: v.group)
    }
    lines = [Line(labels[index], members[index], found) for index, found in points.items()]
    lines.sort(key=lambda line: line.labels)
    return RangeAnswer(steps, step, _only({one.type for one in series}), _only({one.unit for one in series}), tuple(lines))


async def read_rollups(
    store: MetricStore, tenant_id: int, wanted: SeriesSelector, time: TimeRange, tier: Tier, limits: Limits
) -> RollupsAnswer:
    """Every series' buckets of a tier.

    Raises:
        InvalidArgument: too many series or buckets, or a malformed matcher.
        NotFound: there is no such metric.

    """
    width = _BUCKET_NS[tier]
    buckets = whole_steps(time, width)
    _check_points((buckets.end_ns - buckets.start_ns) // width, limits, "start", "ask for a shorter range")
    series = await _series(store, tenant_id, wanted, (), limits.series)
    if any(one.type == "summary" for one in series):
        raise InvalidArgument(f"{wanted.metric_name} is a summary, which has no rollups", hint="its points are read by /range")
    scanned = TimeRange(max(0, buckets.start_ns - _LOOKBACK_NS[tier]), buckets.end_ns)
    epochs = await store.epochs(tenant_id, series, scanned, tier, _POINTS_IN_ANSWER + 1) if series else ()
    _check_answer(len(epochs))
    by_id = {one.series_id: one for one in series}
    found = [
        SeriesRollups(by_id[series_id], merge(by_id[series_id], list(members), scanned.start_ns, buckets.start_ns))
        for series_id, members in groupby(epochs, key=lambda epoch: epoch.series_id)
    ]
    found = [one for one in found if one.points]
    found.sort(key=lambda one: one.series.labels)
    return RollupsAnswer(buckets, tuple(found))


def default_step(time: TimeRange) -> int:
    """The shortest round step that gives at most some 250 points."""
    least = (time.end_ns - time.start_ns) / _POINTS_BY_DEFAULT / SECOND_NS
    return next((step for step in _NICE_STEPS if step >= least), int(least / 86_400 + 1) * 86_400) * SECOND_NS


def whole_steps(time: TimeRange, step_ns: int) -> TimeRange:
    """The range widened to whole steps, which begin at multiples of the step since the Unix epoch."""
    return TimeRange(time.start_ns // step_ns * step_ns, -(-time.end_ns // step_ns) * step_ns)


def check_step(step_ns: int) -> int:
    """The step itself.

    Raises:
        InvalidArgument: it is below a millisecond or no multiple of a microsecond.

    """
    if step_ns < MIN_STEP_NS or step_ns % 1000:
        raise InvalidArgument("step is too short", hint="expected 1ms or longer, in whole microseconds", parameter="step")
    return step_ns


def number_groups(series: Sequence[Series], group_by: Sequence[str] | None) -> tuple[list[int], list[Labels]]:
    """A group's number for each series, and the labels of each group. Labels that are absent are left out."""
    if group_by is None:
        return list(range(len(series))), [one.labels for one in series]
    numbers: dict[tuple[str, ...], int] = {}
    groups = [numbers.setdefault(one.group, len(numbers)) for one in series]
    return groups, [tuple([(name, value) for name, value in zip(group_by, key, strict=True) if value]) for key in numbers]


async def _series(store: MetricStore, tenant_id: int, wanted: SeriesSelector, group_by: Sequence[str], limit: int) -> Sequence[Series]:
    series = await store.series(tenant_id, wanted, group_by, limit + 1)
    if len(series) > limit:
        raise _too_many_series(limit)
    # Looked up as series and not in the list of metrics, where a * in a name stands for any characters.
    if not series and not await store.series(tenant_id, SeriesSelector(wanted.metric_name), (), 1):
        raise NotFound(f"there is no metric {wanted.metric_name}", hint="/api/v1/metrics lists the metrics")
    if len({_KINDS[one.type] for one in series}) > 1:
        types = ", ".join(sorted({one.type for one in series}))
        raise InvalidArgument(f"{wanted.metric_name} is sent as {types}", hint="choose one by type=", parameter="type")
    return series


def _that_have(series: Sequence[Series], aggregation: Aggregation) -> Sequence[Series]:
    """The series that the aggregation is for: of gauges and sums under one name only sums rise."""
    kind, type_ = _KINDS[series[0].type], series[0].type
    allowed = _ALLOWED[kind] if any(one.type != "gauge" for one in series) else _OF_GAUGES
    if aggregation not in allowed:
        names = ", ".join(one.value for one in Aggregation if one in allowed)
        raise InvalidArgument(
            f"aggregation={aggregation.value} is not one that a {type_} has", hint=f"expected one of {names}", parameter="aggregation"
        )
    return [one for one in series if one.type != "gauge"] if aggregation in _RISING else series


def _check_points(points: int, limits: Limits, parameter: str, hint: str) -> None:
    if points > limits.points:
        raise InvalidArgument(
            f"the answer would have {points} points a series", hint=f"at most {limits.points} are allowed: {hint}", parameter=parameter
        )


def _check_answer(points: int) -> None:
    if points > _POINTS_IN_ANSWER:
        raise InvalidArgument(
            f"the answer would have more than {_POINTS_IN_ANSWER} points in all",
            hint="narrow the series by match= or service=, group them by group_by=, or ask for a longer step or a shorter range",
        )


def _too_many_series(limit: int) -> InvalidArgument:
    return InvalidArgument(
        f"more than {limit} series match", hint="narrow them by match= or service=, or group them by group_by=", parameter="match"
    )


def _only(values: set[str]) -> str:
    return values.pop() if len(values) == 1 else ""
