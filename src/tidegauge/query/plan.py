"""Which tiers answer a question by time steps: the coarsest that do it exactly, raw data at the edges. Pure.

A rollup's bucket may stand for its points in a step where it lies wholly within the step. So of every step the inner part is read
from the coarsest tier, what is left at its edges from the next finer one, and the last edges from raw data. A bucket counts only where
its tier is made (before the watermark), is what its raw data says (not pending: late data), and is still there (retention). Where
retention left no finer tier for what is pending, the coarser one answers all the same, as ``partial``.

Use: ``plan(fixed_steps(time, step_ns), await tiers.states(Family.SPANS))``; read each of ``plan.segments`` from the relation of its
level; ``plan.meta`` goes into the answer, changed by :meth:`Meta.bounded` where the values read are not exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from tidegauge.model.query import TimeRange
from tidegauge.model.tiers import END_OF_TIME_NS, Level, Reading, Segment, Steps, TierState

# Buckets that do not fit the steps are worth their edges only in steps of that many of them, or where there are few steps.
_BUCKETS_IN_STEP = 6
_FEW_STEPS = 16

Span = tuple[int, int]

__all__ = ["Bound", "Exactness", "Freshness", "Meta", "Plan", "Segment", "Steps", "fixed_steps", "plan", "raw_first"]


class Exactness(Enum):
    """How far an answer's values are those that all data that was ever sent would give.

    ``exact``: they are (floats but for the order they are added up in). ``bounded``: they may differ, by no more than the bound says.
    ``partial``: retention has dropped some of what the answer would be made of.
    """

    EXACT = "exact"
    BOUNDED = "bounded"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True)
class Bound:
    """By how much values may be off.

    Attributes:
        relative: at most this part of the value.
        below: the true value may be greater by at most this, in the value's unit (the worst of all values); infinite for unknown.
        reason: why.

    """

    reason: str
    relative: float | None = None
    below: float | None = None


@dataclass(frozen=True, slots=True)
class Freshness:
    """Of a tier that was read: how far it is made, and where in the range late data kept it from being read."""

    level: Level
    watermark_ns: int
    pending: tuple[TimeRange, ...]


@dataclass(frozen=True, slots=True)
class Meta:
    """How an answer was made, and what it is worth.

    Attributes:
        segments: tiers and the ranges that they were read for, by time.
        exactness: see :class:`Exactness`.
        bounds: where it is bounded, by how much.
        missing: parts of the range that retention left nothing of that could be read.
        dropped_through: per tier, what is older was dropped; 0 for nothing.
        freshness: of the rollups among the tiers that could be read.

    """

    segments: tuple[Segment, ...]
    exactness: Exactness = Exactness.EXACT
    bounds: tuple[Bound, ...] = ()
    missing: tuple[TimeRange, ...] = ()
    dropped_through: tuple[tuple[Level, int], ...] = ()
    freshness: tuple[Freshness, ...] = ()

    def bounded(self, bound: Bound) -> Meta:
        """The same of values that a bound belongs to."""
        exactness = Exactness.PARTIAL if self.exactness is Exactness.PARTIAL else Exactness.BOUNDED
        return replace(self, exactness=exactness, bounds=(*self.bounds, bound))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be read: ``segments`` lie apart, in order of time; what none covers is ``meta.missing``."""

    steps: Steps
    segments: tuple[Segment, ...]
    meta: Meta

    @property
    def reading(self) -> Reading:
        """What a store is told of it."""
        return Reading(self.steps, self.segments)

    def ranges(self, level: Level) -> list[TimeRange]:
        """The segments of one level."""
        return self.reading.ranges(level)


def fixed_steps(time: TimeRange, step_ns: int) -> Steps:
    """Steps of one width, which begin at its multiples since the Unix epoch; ``time`` consists of whole ones."""
    return Steps(range(time.start_ns, time.end_ns + 1, step_ns))


def plan(steps: Steps, tiers: Sequence[TierState]) -> Plan:
    """The coarsest segments that answer every step.

    Args:
        steps: the question's.
        tiers: what there is to read from, in any order; raw data is one of them. Leave out those that the values cannot be made of.

    """
    coarse = sorted(tiers, key=lambda tier: -tier.level.width_ns)
    left: list[Span] = [(steps.edges[0], steps.edges[-1])]
    found: list[tuple[Level, Span]] = []
    for tier in coarse:
        if _is_worth_it(steps, tier.level.width_ns):
            left = _take(found, tier, left, steps, _spans(tier.pending))
    stale: list[tuple[Level, Span]] = []
    for tier in coarse:
        left = _take(stale, tier, left, steps, [])
    segments = _segments(found + stale)
    is_partial = bool(left or stale)
    meta = Meta(
        segments=segments,
        exactness=Exactness.PARTIAL if is_partial else Exactness.EXACT,
        missing=tuple([TimeRange(*span) for span in left]),
        dropped_through=tuple([(tier.level, tier.dropped_through_ns) for tier in coarse]),
        freshness=tuple([_freshness(tier, steps.time) for tier in coarse if tier.level is not Level.RAW]),
    )
    return Plan(steps, segments, meta)


def raw_first(tiers: Sequence[TierState]) -> list[TierState]:
    """The same tiers for values that rollups only bound: rollups are read for nothing but what raw data no longer holds."""
    kept = min((tier.dropped_through_ns for tier in tiers if tier.level is Level.RAW), default=END_OF_TIME_NS)
    return [
        tier if tier.level is Level.RAW else replace(tier, watermark_ns=min(tier.watermark_ns, _up(kept, tier.level.width_ns)))
        for tier in tiers
    ]


def _is_worth_it(steps: Steps, width_ns: int) -> bool:
    if steps.fits(width_ns) or len(steps.edges) <= _FEW_STEPS:
        return True
    return (steps.edges[-1] - steps.edges[0]) / (len(steps.edges) - 1) >= _BUCKETS_IN_STEP * width_ns


def _take(found: list[tuple[Level, Span]], tier: TierState, left: list[Span], steps: Steps, pending: list[Span]) -> list[Span]:
    """Add to ``found`` what the tier covers of ``left``; what is left then."""
    width = tier.level.width_ns
    if not left:
        return left
    held = [(_up(tier.dropped_through_ns, width), tier.watermark_ns // width * width if width > 1 else END_OF_TIME_NS)]
    whole = _without(held, [(start // width * width, _up(end, width)) for start, end in pending])
    covered = _common(_common(left, whole), _inner(left, steps, width))
    if width > 1:
        covered = [(start, end) for start, end in ((_up(start, width), end // width * width) for start, end in covered) if start < end]
    found += [(tier.level, span) for span in covered]
    return _without(left, covered)


def _inner(left: list[Span], steps: Steps, width_ns: int) -> list[Span]:
    """The whole buckets within steps."""
    if steps.fits(width_ns):
        return left
    inner = ((_up(start, width_ns), end // width_ns * width_ns) for start, end in zip(steps.edges, steps.edges[1:], strict=False))
    return [(start, end) for start, end in inner if start < end]


def _segments(found: Iterable[tuple[Level, Span]]) -> tuple[Segment, ...]:
    """By time, with neighbours of one level as one."""
    merged: list[tuple[Level, int, int]] = []
    for level, (start, end) in sorted(found, key=lambda one: one[1]):
        if merged and merged[-1][0] is level and merged[-1][2] == start:
            merged[-1] = level, merged[-1][1], end
        else:
            merged.append((level, start, end))
    return tuple([Segment(level, TimeRange(start, end)) for level, start, end in merged])


def _freshness(tier: TierState, time: TimeRange) -> Freshness:
    pending = _common(_spans(tier.pending), [(time.start_ns, time.end_ns)])
    return Freshness(tier.level, tier.watermark_ns, tuple([TimeRange(*span) for span in pending]))


def _spans(ranges: Iterable[TimeRange]) -> list[Span]:
    return [(one.start_ns, one.end_ns) for one in ranges]


def _up(time_ns: int, width_ns: int) -> int:
    return -(-time_ns // width_ns) * width_ns


def _common(ones: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """What lies in both; each is in order and apart."""
    found: list[Span] = []
    i = j = 0
    while i < len(ones) and j < len(others):
        start, end = max(ones[i][0], others[j][0]), min(ones[i][1], others[j][1])
        if start < end:
            found.append((start, end))
        if ones[i][1] < others[j][1]:
            i += 1
        else:
            j += 1
    return found


def _without(ranges: Sequence[Span], cuts: Iterable[Span]) -> list[Span]:
    """What is left of ranges, which are in order and apart; ``cuts`` may overlap and be in any order."""
    ordered = sorted(cuts)
    edges: list[Span] = []
    position = -math.inf
    for start, end in ordered:
        if start > position:
            edges.append((int(position) if position > -math.inf else -END_OF_TIME_NS, start))
        position = max(position, end)
    edges.append((int(position) if position > -math.inf else -END_OF_TIME_NS, END_OF_TIME_NS))
    return _common(ranges, edges)
