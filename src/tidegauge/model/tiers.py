"""What answers are read from: raw data and its rollups, and how far each of them can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
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
