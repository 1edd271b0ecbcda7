"""What answers are read from: raw data and its rollups, and how far each of them can be trusted."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from tidegauge.model.query import TimeRange

# Beyond every time that is stored (2262).
END_OF_TIME_NS = (1 << 63) - 1


class Level(Enum):
    """Raw data, or a rollup by the width of its buckets, which are UTC's."""

    RAW = "raw"
    MINUTELY = "minutely"
    HOURLY = "hourly"
    DAILY = "daily"

    @property
    def width_ns(self) -> int:
        """A bucket's width; 1 of raw data, which can be cut anywhere."""
        return _WIDTH_NS[self]


_MINUTE_NS = 60_000_000_000
_WIDTH_NS = {Level.RAW: 1, Level.MINUTELY: _MINUTE_NS, Level.HOURLY: 60 * _MINUTE_NS, Level.DAILY: 24 * 60 * _MINUTE_NS}


class Family(Enum):
    """Raw data that has rollups, by the rollups' name without their width."""

    NUMBERS = "metrics"
    HISTOGRAMS = "metric_histograms"
    SUMMARIES = "metric_summaries"
    SPANS = "traces"
    SPAN_DURATIONS = "trace_durations"
    SERVICE_DURATIONS = "service_durations"
    SERVICE_PERCENTILES = "service_percentiles"
    SERVICE_TOTALS = "service_totals"
    EXPONENTIALS = "metric_exponentials"
    SERVICE_EDGES = "service_edges"
    TRACE_EXAMPLES = "trace_examples"


@dataclass(frozen=True, slots=True)
class TierState:
    """What one tier holds of its data at this moment.

    Attributes:
        level: which one.
        watermark_ns: a rollup is made up to here, and no tier that it is made from less far; of raw data :data:`END_OF_TIME_NS`.
        dropped_through_ns: what is older was dropped by retention; 0 for nothing.
        pending: where, before the watermark, it is not what the raw data says (late data since the last refresh); in order, apart.

    """

    level: Level
    watermark_ns: int = END_OF_TIME_NS
    dropped_through_ns: int = 0
    pending: tuple[TimeRange, ...] = ()


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps of time: each from one edge to the next. ``edges`` are in order, at least two."""

    edges: Sequence[int]

    @property
    def time(self) -> TimeRange:
        """From the first edge to the last."""
        return TimeRange(self.edges[0], self.edges[-1])

    def fits(self, width_ns: int) -> bool:
        """Whether every edge is one of buckets of that width, which begin at multiples of it since the Unix epoch."""
        edges = self.edges
        if isinstance(edges, range):
            return edges.start % width_ns == 0 and edges.step % width_ns == 0
        return all(edge % width_ns == 0 for edge in edges)

    def start_of(self, time_ns: int) -> int:
        """Where the step begins that a moment of :attr:`time` lies in."""
        return self.edges[bisect_right(self.edges, time_ns) - 1]

    def seconds(self) -> Sequence[float]:
        """How long each step is."""
        return [(end - start) / 1e9 for start, end in zip(self.edges, self.edges[1:], strict=False)]


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the range and the tier it is read from."""

    level: Level
    time: TimeRange


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read for steps of time: ``segments`` lie apart, in order, each within or over whole steps as its tier's buckets allow.

    ``before`` is read for the values that the first step's increases start from, back to ``scan_start_ns``.
    """

    steps: Steps
    segments: tuple[Segment, ...]
    before: tuple[Segment, ...] = ()
    scan_start_ns: int = 0

    def ranges(self, level: Level) -> list[TimeRange]:
        """The segments of one level, those before the first step as well, in order."""
        return [one.time for one in (*self.before, *self.segments) if one.level is level]

    def part(self, time: TimeRange) -> Reading:
        """The same for some of the steps, which ``time`` consists of; nothing is read before them."""
        edges = self.steps.edges
        steps = Steps(edges[bisect_left(edges, time.start_ns) : bisect_left(edges, time.end_ns) + 1])
        clipped = ((one.level, max(one.time.start_ns, time.start_ns), min(one.time.end_ns, time.end_ns)) for one in self.segments)
        segments = tuple([Segment(level, TimeRange(start, end)) for level, start, end in clipped if start < end])
        return replace(self, steps=steps, segments=segments, before=(), scan_start_ns=time.start_ns)


@dataclass(frozen=True, slots=True)
class StepColumn:
    """The values of a group of series: ``times`` are the starts of steps in order, a step without data has none.

    Attributes:
        group: its number.
        times: nanoseconds since the Unix epoch.
        values: as many.
        untold: points that stand in rollups which do not tell all that the values are made of, such as resets without start times.
        below: the true values may be greater by at most this.

    """

    group: int
    times: tuple[int, ...]
    values: tuple[float, ...]
    untold: int = 0
    below: float = 0.0
