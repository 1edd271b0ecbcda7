"""From stored histograms to what was observed in a step, pure: deltas add up, cumulative ones rise from one moment to the next.

As for counters (``tidegauge.query.rollups``): an epoch is what a histogram counts from one start time on. What it observed in a bucket of
time is its last point less the last one before, bucket by bucket; where it began in sight there is none before, and it counted from 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tidegauge.model.records import Series
from tidegauge.query.quantiles import Distribution, Exponential, added
from tidegauge.storage.percentile_interface import HistogramBuckets, HistogramEpoch


@dataclass(frozen=True, slots=True)
class Observed:
    """Observations of one series in a part of a step; ``is_exact`` is False where there may have been more."""

    time_unix_nano: int
    distribution: Distribution
    is_exact: bool


def observed(series: Series, epochs: Iterable[HistogramEpoch], scan_start_ns: int, start_ns: int) -> Iterator[Observed]:
    """What a series observed from ``start_ns`` on, by time. ``epochs`` are its own by time, from ``scan_start_ns`` on.

    Exact across any number of resets where start times are known. Without them, and where an epoch began before the scan and has no
    point before its first one here, that first point only tells where counting goes on.
    """
    bounds = None if series.type == "exponential_histogram" else series.bounds or ()
    before: dict[int | None, HistogramEpoch] = {}
    for epoch in epochs:
        if epoch.time_unix_nano >= start_ns:
            if series.temporality == "delta":
                yield Observed(epoch.time_unix_nano, _distribution(epoch, epoch.count, epoch.added, bounds), True)
            else:
                yield _risen(epoch, before.get(epoch.start_unix_nano), bounds, scan_start_ns)
        before[epoch.start_unix_nano] = epoch


def _risen(epoch: HistogramEpoch, before: HistogramEpoch | None, bounds: tuple[float, ...] | None, scan_start_ns: int) -> Observed:
    time, last = epoch.time_unix_nano, _distribution(epoch, epoch.last_count, epoch.last, bounds)
    is_exact = epoch.start_unix_nano is not None
    if before is not None:
        base = _distribution(before, before.last_count, before.last, bounds)
    elif epoch.start_unix_nano is not None and epoch.start_unix_nano >= scan_start_ns:
        return Observed(time, last, True)
    else:
        base, is_exact = _distribution(epoch, epoch.first_count, epoch.first, bounds), False
    # Smaller within one epoch: the sender did not tell of the reset.
    if last.total < base.total:
        return Observed(time, last, False)
    rise, is_whole = _less(last, base)
    return Observed(time, rise, is_exact and is_whole)


def _less(last: Distribution, base: Distribution) -> tuple[Distribution, bool]:
    """What ``last`` has more than ``base``, and whether no bucket has less (merged buckets, or a zero bucket that grew)."""
    counts = [a - b for a, b in zip(last.counts, base.counts, strict=True)] if len(last.counts) == len(base.counts) else list(last.counts)
    positive, negative = added(last.positive, base.positive, -1), added(last.negative, base.negative, -1)
    zero_count = last.zero_count - base.zero_count
    sparse = [count for part in (positive, negative) if part is not None for count in part.counts.values()]
    rise = Distribution(
        total=last.total - base.total,
        bounds=last.bounds,
        counts=tuple([max(count, 0) for count in counts]),
        positive=positive,
        negative=negative,
        zero_count=max(zero_count, 0),
        zero_threshold=last.zero_threshold,
        least=last.least,
        greatest=last.greatest,
    )
    return rise, min([*counts, *sparse, zero_count], default=0) >= 0


def _distribution(epoch: HistogramEpoch, total: int, buckets: HistogramBuckets, bounds: tuple[float, ...] | None) -> Distribution:
    least, greatest = _known(epoch.least), _known(epoch.greatest)
    if bounds is None:
        threshold = epoch.zero_threshold if 0 <= epoch.zero_threshold < math.inf else 0.0
        positive, negative = _exponential(buckets.positive), _exponential(buckets.negative)
        return Distribution(total, None, (), positive, negative, buckets.zero_count, threshold, least, greatest)
    counts = buckets.counts or ()
    # Points of a series have its bounds, or no buckets at all.
    bounds = bounds if len(counts) == len(bounds) + 1 else ()
    return Distribution(total, bounds, tuple(counts) if bounds else (total,), least=least, greatest=greatest)


def _exponential(stored: Sequence[int] | None) -> Exponential | None:
    if stored is None or len(stored) < 3:
        return None
    scale, first_index = stored[0], stored[1]
    return Exponential(scale, {first_index + place: count for place, count in enumerate(stored[2:]) if count > 0})


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
