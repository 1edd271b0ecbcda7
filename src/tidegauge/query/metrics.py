"""Use cases: metrics by name, values by step, and rollups."""

from __future__ import annotations

from asyncio import gather
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from zoneinfo import ZoneInfo

from tidegauge.errors import InvalidArgument, NotFound
from tidegauge.model.query import Aggregation, SeriesSelector, Tier, TimeRange
from tidegauge.model.records import Series
from tidegauge.model.tiers import Family, Level, StepColumn, Steps, TierState
from tidegauge.query.plan import Bound, Exactness, Meta, plan, raw_first
from tidegauge.query.rollups import RollupPoint, merge
from tidegauge.query.times import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, steps_of
from tidegauge.storage.interface import MetricStore
from tidegauge.storage.tier_interface import TierStore

MIN_STEP_NS = 1_000_000
# A query may read many series to answer with few; this is where reading ends all the same.
_SERIES_READ_PER_ANSWERED = 20
MOST_VALUES = 500_000
_NICE_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_POINTS_BY_DEFAULT = 250
_BUCKET_NS = {Tier.HOURLY: HOUR_NS, Tier.DAILY: DAY_NS}
# How far before the range is read, for the values that increases start from.
_LOOKBACK_NS = {Tier.HOURLY: DAY_NS, Tier.DAILY: 7 * DAY_NS}
# Before the first step, for the values that its increases start from: a step, or this where that is longer.
_LEAST_LOOKBACK_NS = 15 * MINUTE_NS
# So many points that rollups do not tell all of are read instead; of more the answer is bounded.
_RAW_POINTS = 2_000_000
_LEVELS = (Level.RAW, Level.HOURLY, Level.DAILY)
_OF_ORDER = (Aggregation.FIRST, Aggregation.LAST)
_ORDER_BOUND = Bound("which series of a group came first or last within a bucket is not kept: the value is one of theirs")
_UNTOLD = "resets without start times within buckets whose raw data is gone or too much to read: what was counted is at least the value"
_FAMILIES = {"numbers": Family.NUMBERS, "histograms": Family.HISTOGRAMS, "summaries": Family.SUMMARIES}
_KINDS = {"gauge": "numbers", "sum": "numbers", "histogram": "histograms", "exponential_histogram": "histograms", "summary": "summaries"}
_RISING = frozenset({Aggregation.INCREASE, Aggregation.RATE})
_OF_GAUGES = frozenset(Aggregation) - _RISING
_OF_HISTOGRAMS = frozenset(Aggregation) - {Aggregation.FIRST, Aggregation.LAST}
_ALLOWED = {
    "numbers": frozenset(Aggregation),
    "histograms": _OF_HISTOGRAMS,
    "summaries": _OF_HISTOGRAMS - {Aggregation.MIN, Aggregation.MAX},
}

_UTC = ZoneInfo("UTC")

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """Of an answer: ApiSettings.max_series and max_points."""

    series: int
    points: int


@dataclass(frozen=True, slots=True)
class Line:
    """The values of a group of series: where steps start, in order, and as many values.

    ``below``: the true values may be greater by at most this.
    """

    labels: Labels
    series_count: int
    times: tuple[int, ...]
    values: tuple[float, ...]
    below: float = 0.0


@dataclass(frozen=True, slots=True)
class RangeAnswer:
    """Lines, the whole steps that were read, the metric's type and unit, and what the answer is worth."""

    steps: Steps
    type: str
    unit: str
    lines: tuple[Line, ...]
    meta: Meta


@dataclass(frozen=True, slots=True)
class RangeQuestion:
    """One value per step and group of series.

    Attributes:
        wanted: the series.
        time: the range, which is widened to whole steps.
        step_ns: a step's length; None for a round one.
        aggregation: how points become a value.
        group_by: labels that make groups; None makes every series a group, none at all all of them one.
        zone: where steps of whole days begin at midnight.

    """

    wanted: SeriesSelector
    time: TimeRange
    step_ns: int | None
    aggregation: Aggregation
    group_by: Sequence[str] | None = None
    zone: ZoneInfo = _UTC


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


async def read_range(store: MetricStore, tiers: TierStore, tenant_id: int, question: RangeQuestion, limits: Limits) -> RangeAnswer:
    """The values, from the coarsest tiers that give the same ones as raw data.

    Raises:
        InvalidArgument: too many series or points, an aggregation that the metric's type does not have, a malformed matcher.
        NotFound: there is no such metric.

    """
    steps = question_steps(question, limits)
    wanted, group_by, aggregation = question.wanted, question.group_by, question.aggregation
    # Most metrics are numbers: how far their rollups are made is asked at the same time.
    series, of_numbers = await gather(
        _series(store, tenant_id, wanted, group_by or (), limits.series * _SERIES_READ_PER_ANSWERED), tiers.states(Family.NUMBERS)
    )
    if not series:
        return RangeAnswer(steps, "", "", (), plan(steps, ()).meta)
    series = _that_have(series, aggregation)
    groups, labels = number_groups(series, group_by)
    if len(labels) > limits.series:
        raise _too_many_series(limits.series)
    members = Counter(groups)
    states = await _states(tiers, series, of_numbers)
    planner = StepReader(store, tenant_id, series, groups, aggregation)
    found, meta = await planner.read(steps, states, is_single=max(members.values()) == 1)
    _check_answer(sum(len(one.times) for one in found))
    is_rate = aggregation is Aggregation.RATE
    lines = [
        Line(labels[one.group], members[one.group], one.times, _rates(steps, one) if is_rate else one.values, one.below) for one in found
    ]
    lines.sort(key=lambda line: line.labels)
    return RangeAnswer(steps, _only({one.type for one in series}), _only({one.unit for one in series}), tuple(lines), meta)


def question_steps(question: RangeQuestion, limits: Limits) -> Steps:
    """The steps; raises InvalidArgument where they are too many."""
    time, step_ns = question.time, question.step_ns or default_step(question.time)
    # Before they are counted out: of a millisecond there are billions.
    check_points((time.end_ns - time.start_ns) // step_ns, limits)
    steps = steps_of(time, step_ns, question.zone)
    check_points(len(steps.edges) - 1, limits)
    return steps


def check_points(steps: int, limits: Limits) -> None:
    """Nothing, or InvalidArgument where an answer has too many steps."""
    _check_points(steps, limits, "step", "ask for a longer step or a shorter range")


async def _states(tiers: TierStore, series: Sequence[Series], of_numbers: Sequence[TierState]) -> Sequence[TierState]:
    family = _FAMILIES[_KINDS[series[0].type]]
    states = of_numbers if family is Family.NUMBERS else await tiers.states(family)
    return [state for state in states if state.level in _LEVELS]


@dataclass(frozen=True, slots=True)
class StepReader:
    """Reads the values of series that are planned, and once more from raw data where rollups turn out not to tell them."""

    store: MetricStore
    tenant_id: int
    series: Sequence[Series]
    groups: Sequence[int]
    aggregation: Aggregation

    async def read(self, steps: Steps, states: Sequence[TierState], *, is_single: bool) -> tuple[Sequence[StepColumn], Meta]:
        """Values, and what they are worth. ``is_single``: no group has several series."""
        if self.aggregation in _OF_ORDER and not is_single:
            # Rollups do not keep when in a bucket a series' first and last point were.
            found, meta = await self._columns(steps, raw_first(states))
            return found, meta.bounded(_ORDER_BOUND) if any(one.level is not Level.RAW for one in meta.segments) else meta
        found, meta = await self._columns(steps, states)
        if 0 < sum(one.untold for one in found) <= _RAW_POINTS and plan(steps, raw_first(states)).segments != meta.segments:
            # A bucket does not tell of every reset where the source gives no start times: raw data does, as far as it is there.
            found, meta = await self._columns(steps, raw_first(states))
        if any(one.untold for one in found):
            return found, meta.bounded(Bound(_UNTOLD, below=max(one.below for one in found)))
        return found, meta

    async def _columns(self, steps: Steps, states: Sequence[TierState]) -> tuple[Sequence[StepColumn], Meta]:
        planned, edges = plan(steps, states), steps.edges
        reading, meta = replace(planned.reading, scan_start_ns=edges[0]), planned.meta
        if self.aggregation in _RISING or any(one.type not in ("gauge", "sum") for one in self.series):
            scan_start = edges[0] - max(edges[1] - edges[0], _LEAST_LOOKBACK_NS)
            before = plan(Steps((scan_start, edges[0])), states)
            reading = replace(reading, before=before.segments, scan_start_ns=scan_start)
            meta = _with_missing(meta, before.meta.missing)
        found = await self.store.steps(self.tenant_id, self.series, self.groups, reading, self.aggregation, MOST_VALUES)
        return found, meta


def _with_missing(meta: Meta, missing: tuple[TimeRange, ...]) -> Meta:
    """What rises misses what it rose from."""
    return replace(meta, missing=(*missing, *meta.missing), exactness=Exactness.PARTIAL) if missing else meta


def _rates(steps: Steps, column: StepColumn) -> tuple[float, ...]:
    edges = steps.edges
    if isinstance(edges, range):
        seconds = edges.step / 1e9
        return tuple([value / seconds for value in column.values])
    lengths = dict(zip(edges, steps.seconds(), strict=False))
    return tuple([value / lengths[time] for time, value in zip(column.times, column.values, strict=True)])


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
    epochs = await store.epochs(tenant_id, series, scanned, tier, MOST_VALUES + 1) if series else ()
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
    if points > MOST_VALUES:
        raise InvalidArgument(
            f"the answer would have more than {MOST_VALUES} points in all",
            hint="narrow the series by match= or service=, group them by group_by=, or ask for a longer step or a shorter range",
        )


def _too_many_series(limit: int) -> InvalidArgument:
    return InvalidArgument(
        f"more than {limit} series match", hint="narrow them by match= or service=, or group them by group_by=", parameter="match"
    )


def _only(values: set[str]) -> str:
    return values.pop() if len(values) == 1 else ""
