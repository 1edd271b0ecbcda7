"""Epochs of a rollup to one point a bucket. A counter's increase is exact across any number of resets where start times are known.

An epoch is what a counter counts from one start time on. Its increase in a bucket is last minus the last of the bucket before; where
it began inside the range there is no bucket before, and it counted from 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from tidegauge.model.records import Epoch, Series

_EXACT = 2.0**53
"""From here on a float does not hold every integer: a counter of integers may have been rounded."""


@dataclass(frozen=True, slots=True)
class RollupPoint:
    """A bucket of a series. Of numbers ``count`` is that of points, of histograms that of observations; what does not apply is None.

    ``increase`` is what a sum rose by (of deltas: their sum). ``is_exact`` is False where it, or a histogram's count, sum and
    bucket counts, are only known to be at least that, and where a value it is made of is 2^53 or more, for it may be rounded.
    """

    bucket_unix_nano: int
    count: int
    sum: float | None
    min: float | None
    max: float | None
    first: float | None
    last: float | None
    increase: float | None
    bucket_counts: tuple[int, ...] | None
    is_exact: bool


@dataclass(slots=True)
class _Rise:
    """What cumulative values rose by in one epoch and bucket."""

    value: float
    is_exact: bool


def merge(series: Series, epochs: Sequence[Epoch], scan_start_ns: int, start_ns: int) -> tuple[RollupPoint, ...]:
    """The buckets from ``start_ns`` on, in order.

    ``epochs`` are the series' own by bucket, from ``scan_start_ns`` on: earlier by enough to know what came before the first bucket.
    """
    before: dict[int | None, Epoch] = {}
    points: list[RollupPoint] = []
    is_histogram = series.type in ("histogram", "exponential_histogram")
    for bucket, members in groupby(epochs, key=lambda epoch: epoch.bucket_unix_nano):
        # An epoch whose start is unknown comes first: among several it is likely to be the oldest.
        ordered = sorted(members, key=lambda epoch: (epoch.start_unix_nano is not None, epoch.start_unix_nano or 0))
        if bucket >= start_ns:
            make = _histogram_point if is_histogram else _number_point
            points.append(make(series, ordered, before, scan_start_ns))
        before.update({epoch.start_unix_nano: epoch for epoch in ordered})
    return tuple(points)


def _number_point(series: Series, epochs: Sequence[Epoch], before: dict[int | None, Epoch], scan_start_ns: int) -> RollupPoint:
    increase, is_exact = None, True
    total = _added(epoch.sum for epoch in epochs)
    if series.type == "sum" and series.temporality == "delta":
        increase, is_exact = total, _is_unrounded(total)
    elif series.type == "sum":
        rises = [_rise(epoch, before.get(epoch.start_unix_nano), scan_start_ns, bool(series.is_monotonic)) for epoch in epochs]
        counted = [value for epoch in epochs for value in (epoch.first, epoch.last)]
        counted += [before[epoch.start_unix_nano].last for epoch in epochs if epoch.start_unix_nano in before]
        increase = sum(rise.value for rise in rises)
        is_exact = all(rise.is_exact for rise in rises) and _is_unrounded(*counted)
    return RollupPoint(
        bucket_unix_nano=epochs[0].bucket_unix_nano,
        count=sum(epoch.count for epoch in epochs),
        sum=total,
        min=_least(epoch.min for epoch in epochs),
        max=_greatest(epoch.max for epoch in epochs),
        first=epochs[0].first,
        last=epochs[-1].last,
        increase=increase,
        bucket_counts=None,
        is_exact=is_exact,
    )


def _rise(epoch: Epoch, before: Epoch | None, scan_start_ns: int, is_monotonic: bool) -> _Rise:
    first, last = epoch.first or 0.0, epoch.last or 0.0
    known_start = epoch.start_unix_nano is not None
    if known_start and before is not None:
        previous = before.last or 0.0
        # Smaller within one epoch: the sender did not tell of the reset.
        return _Rise(last, False) if is_monotonic and last < previous else _Rise(last - previous, True)
    if epoch.start_unix_nano is not None and epoch.start_unix_nano >= scan_start_ns:
        return _Rise(last, True)
    if not is_monotonic:
        return _Rise(last - (first if before is None else before.last or 0.0), before is not None)
    # Nothing tells how often it was reset; a maximum above the last value tells that it was.
    peak = epoch.max if epoch.max is not None else max(first, last)
    within = (peak - first) + last if last < peak else last - first
    until_first = 0.0 if before is None else _step(before.last or 0.0, first)
    return _Rise(until_first + within, False)


def _step(previous: float, value: float) -> float:
    return value - previous if value >= previous else value


def _histogram_point(series: Series, epochs: Sequence[Epoch], before: dict[int | None, Epoch], scan_start_ns: int) -> RollupPoint:
    if series.temporality != "delta":
        deltas = [_observed(epoch, before.get(epoch.start_unix_nano), scan_start_ns) for epoch in epochs]
    else:
        deltas = [_Observed(epoch.count, epoch.sum, epoch.bucket_counts, True) for epoch in epochs]
    buckets: tuple[int, ...] | None = None
    for delta in deltas:
        buckets = _bucketwise(buckets, delta.bucket_counts, 1)
    return RollupPoint(
        bucket_unix_nano=epochs[0].bucket_unix_nano,
        count=sum(delta.count for delta in deltas),
        sum=_added(delta.sum for delta in deltas),
        min=_least(epoch.min for epoch in epochs),
        max=_greatest(epoch.max for epoch in epochs),
        first=None,
        last=None,
        increase=None,
        bucket_counts=buckets,
        is_exact=all(delta.is_exact for delta in deltas),
    )


@dataclass(slots=True)
class _Observed:
    count: int
    sum: float | None
    bucket_counts: tuple[int, ...] | None
    is_exact: bool


def _observed(epoch: Epoch, before: Epoch | None, scan_start_ns: int) -> _Observed:
    """What a cumulative histogram observed in one epoch and bucket."""
    last = _Observed(int(epoch.last or 0), epoch.last_sum, epoch.last_bucket_counts, True)
    if before is None and epoch.start_unix_nano is not None and epoch.start_unix_nano >= scan_start_ns:
        return last
    base, is_exact = (epoch, False) if before is None else (before, epoch.start_unix_nano is not None)
    count, total, buckets = (
        (epoch.first, epoch.first_sum, epoch.first_bucket_counts) if base is epoch else (base.last, base.last_sum, base.last_bucket_counts)
    )
    if last.count < int(count or 0):
        return _Observed(last.count, last.sum, last.bucket_counts, False)
    return _Observed(
        last.count - int(count or 0),
        None if last.sum is None else last.sum - (total or 0.0),
        _bucketwise(last.bucket_counts, buckets, -1),
        is_exact,
    )


def _bucketwise(a: tuple[int, ...] | None, b: tuple[int, ...] | None, sign: int) -> tuple[int, ...] | None:
    if a is None:
        return b if sign > 0 else None
    if b is None:
        return a
    return tuple([x + sign * y for x, y in zip(a, b, strict=True)]) if len(a) == len(b) else None


def _is_unrounded(*values: float | None) -> bool:
    return all(value is None or abs(value) < _EXACT for value in values)


def _added(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _least(values: Iterable[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _greatest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
