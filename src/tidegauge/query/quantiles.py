"""Quantiles of counts in buckets, pure: of span durations in buckets that grow by a tenth, and of OpenTelemetry histograms.

Span durations: bucket b holds 1.1^b <= duration_ns < 1.1^(b+1). The answer is the whole nanosecond of the bucket that is the least wrong
whatever was in it, so that it is within :data:`DURATION_ERROR` of the exact percentile (nearest rank, PostgreSQL's percentile_disc); 0 and
1 ns share a bucket. Histograms: linear interpolation in the bucket as Prometheus' histogram_quantile does it (promql/quantile.go,
BucketQuantile), geometric in exponential buckets as Prometheus' for native histograms (HistogramQuantile); beside the value
stands the bucket that it was found in, so that how far off it may be is known.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate

DURATION_GROWTH = 1.1
DURATION_ERROR = 0.05
"""The largest relative error of a span's percentile, to which rounding to a whole nanosecond comes."""
MOST_BUCKETS = 320
"""Of an exponential histogram's sum on either side of zero, as in tidegauge.add_exponentials()."""
_LOG_GROWTH = math.log(DURATION_GROWTH)
_LAST_NS = (1 << 63) - 1
_FARTHEST_EXPONENT = 1100.0


@dataclass(frozen=True, slots=True)
class Quantile:
    """A value and the bucket it was found in, (lower, upper]; None: not known, of ``upper`` and ``lower`` that the bucket is open."""

    value: float | None
    lower: float | None
    upper: float | None


NO_QUANTILE = Quantile(None, None, None)


def duration_bucket(duration_ns: int) -> int:
    """The bucket of a duration, as the rollups number them; below 1 ns it counts as 1."""
    return math.floor(math.log(max(duration_ns, 1)) / _LOG_GROWTH)


@lru_cache(maxsize=1024)
def duration_bounds(bucket: int) -> tuple[int, int]:
    """The least and the greatest whole number of nanoseconds in a bucket. Bucket 0 holds 0 as well."""
    if bucket <= 0:
        return 0, 1
    least = min(math.ceil(DURATION_GROWTH**bucket), _LAST_NS)
    return least, max(least, min(math.ceil(DURATION_GROWTH ** (bucket + 1)) - 1, _LAST_NS))


@lru_cache(maxsize=1024)
def duration_middle(bucket: int) -> int:
    """The duration in a bucket (nanoseconds) whose relative error is the smallest, whichever of the bucket's durations was meant."""
    if bucket <= 0:
        return 1
    least, greatest = duration_bounds(bucket)
    return min(max(round(2 * least * greatest / (least + greatest)), least), greatest)


def duration_quantiles(
    buckets: Sequence[int], counts: Sequence[int], quantiles: Sequence[float], least: int | None = None, greatest: int | None = None
) -> list[int | None]:
    """Percentiles of durations in nanoseconds, None where there are no spans.

    Args:
        buckets: numbers of duration buckets, ascending.
        counts: of spans in them.
        quantiles: from 0 to 1.
        least: the shortest duration there was, if it is known: no answer is below it.
        greatest: the longest one likewise.

    """
    up_to = list(accumulate(counts))
    if not up_to or up_to[-1] <= 0:
        return [None] * len(quantiles)
    total = up_to[-1]
    found: list[int | None] = []
    for q in quantiles:
        value = duration_middle(buckets[bisect_left(up_to, math.ceil(q * total) or 1)])
        if least is not None and value < least:
            value = least
        if greatest is not None and value > greatest:
            value = greatest
        found.append(value)
    return found


@dataclass(frozen=True, slots=True)
class Exponential:
    """Counts by bucket index: index i holds (base^i, base^(i+1)], base = 2^(2^-scale). OTLP, ExponentialHistogramDataPoint.Buckets."""

    scale: int
    counts: Mapping[int, int]

    def at(self, scale: int) -> Mapping[int, int]:
        """The counts at a lower scale: buckets merge by pairs for each step of scale (OpenTelemetry, data model, "Merge of scale")."""
        shift = min(self.scale - scale, 64)
        if shift <= 0:
            return self.counts
        merged: dict[int, int] = {}
        for index, count in self.counts.items():
            merged[index >> shift] = merged.get(index >> shift, 0) + count
        return merged

    def narrowed(self) -> Exponential:
        """At most as many buckets as rollups keep of a sum: so it is the same whatever tiers it was added up from."""
        held = [index for index, count in self.counts.items() if count > 0]
        low, high, shift = min(held, default=0), max(held, default=0), 0
        while (high >> shift) - (low >> shift) >= MOST_BUCKETS:
            shift += 1
        return Exponential(self.scale - shift, self.at(self.scale - shift)) if shift else self


@dataclass(frozen=True, slots=True)
class Distribution:
    """Observations in buckets: ``bounds`` and ``counts`` of an explicit histogram, or the rest of an exponential one.

    ``least`` and ``greatest`` are the smallest and largest observation where they are known.
    """

    total: int
    bounds: tuple[float, ...] | None = None
    counts: tuple[int, ...] = ()
    positive: Exponential | None = None
    negative: Exponential | None = None
    zero_count: int = 0
    zero_threshold: float = 0.0
    least: float | None = None
    greatest: float | None = None

    @property
    def is_exponential(self) -> bool:
        """Whether it has no bounds of its own."""
        return self.bounds is None


@dataclass(slots=True)
class Total:
    """Distributions added up. Explicit ones of different bounds meet at the bounds that all of them have, where counts are exact."""

    total: int = 0
    least: float | None = None
    greatest: float | None = None
    _least_known: bool = True
    _greatest_known: bool = True
    _explicit: dict[tuple[float, ...], list[int]] = field(default_factory=dict)
    _positive: Exponential | None = None
    _negative: Exponential | None = None
    _zero_count: int = 0
    _zero_threshold: float = 0.0

    def add(self, one: Distribution) -> None:
        """Add one; of one without observations nothing is taken."""
        if one.total <= 0:
            return
        self.total += one.total
        self._add_extremes(one)
        if one.bounds is not None:
            held = self._explicit.get(one.bounds)
            self._explicit[one.bounds] = list(one.counts) if held is None else [a + b for a, b in zip(held, one.counts, strict=True)]
        self._positive = added(self._positive, one.positive)
        self._negative = added(self._negative, one.negative)
        self._zero_count += one.zero_count
        self._zero_threshold = max(self._zero_threshold, one.zero_threshold)

    @property
    def is_widened(self) -> bool:
        """Whether bounds differed, so that the buckets are wider than those that were sent."""
        return len(self._explicit) > 1

    def quantiles(self, quantiles: Sequence[float]) -> list[Quantile]:
        """Values at ``quantiles`` (0 to 1); all None where there are no observations or no buckets."""
        if self._explicit:
            bounds, counts = at_common_bounds(self._explicit.items())
            return [self._within(explicit_quantile(bounds, counts, q)) if bounds else self._anywhere(q) for q in quantiles]
        positive, negative = (None if side is None else side.narrowed() for side in (self._positive, self._negative))
        found = _exponential_buckets(positive, negative, self._zero_count, self._zero_threshold)
        return [self._within(_exponential_quantile(found, q)) for q in quantiles]

    def _add_extremes(self, one: Distribution) -> None:
        self._least_known &= one.least is not None
        self._greatest_known &= one.greatest is not None
        self.least = None if not self._least_known else _least(self.least, one.least)
        self.greatest = None if not self._greatest_known else _greatest(self.greatest, one.greatest)

    def _anywhere(self, q: float) -> Quantile:
        """Buckets that tell nothing: one for everything."""
        if self.least is None or self.greatest is None:
            return NO_QUANTILE
        return Quantile(_between(self.least, self.greatest, q), self.least, self.greatest)

    def _within(self, found: Quantile) -> Quantile:
        """Inside of the smallest and largest observation, where they are known."""
        return _clamped(found, self.least, self.greatest)


def _clamped(found: Quantile, least: float | None, greatest: float | None) -> Quantile:
    """What lies outside of [least, greatest] is brought inside; not the bucket, where all of it lies outside."""
    value, lower, upper = found.value, found.lower, found.upper
    if value is None:
        return found
    if least is not None and (upper is None or least <= upper):
        value, lower = max(value, least), least if lower is None else max(lower, least)
    if greatest is not None and (lower is None or greatest >= lower):
        value, upper = min(value, greatest), greatest if upper is None else min(upper, greatest)
    return Quantile(value, lower, upper)


def added(a: Exponential | None, b: Exponential | None, sign: int = 1) -> Exponential | None:
    """``a + sign * b`` at the lower of their scales."""
    if b is None or not b.counts:
        return a
    if a is None or not a.counts:
        return b if sign > 0 else Exponential(b.scale, {index: -count for index, count in b.counts.items()})
    scale = min(a.scale, b.scale)
    merged = dict(a.at(scale))
    for index, count in b.at(scale).items():
        merged[index] = merged.get(index, 0) + sign * count
    return Exponential(scale, merged)


def at_common_bounds(histograms: Iterable[tuple[tuple[float, ...], Sequence[int]]]) -> tuple[tuple[float, ...], list[int]]:
    """Bounds that all have, and the counts between them added up: exact, for no bucket is split."""
    found = list(histograms)
    if len(found) == 1:
        return found[0][0], list(found[0][1])
    shared = sorted(set(found[0][0]).intersection(*(bounds for bounds, _ in found[1:])))
    sums = [0] * (len(shared) + 1)
    for bounds, counts in found:
        for place, count in enumerate(counts):
            sums[len(shared) if place == len(bounds) else bisect_left(shared, bounds[place])] += count
    return tuple(shared), sums


def explicit_quantile(bounds: Sequence[float], counts: Sequence[int], q: float) -> Quantile:
    """The value at ``q`` (0 to 1) by linear interpolation in its bucket (bounds[i-1], bounds[i]].

    As Prometheus: a first bucket that ends above 0 begins at 0, one that ends at or below 0 answers with its end; the last bucket, which
    has no end, answers with its beginning. Without observations, or without bounds, there is no answer.
    """
    up_to = list(accumulate(counts))
    if not bounds or not up_to or up_to[-1] <= 0:
        return NO_QUANTILE
    place = bisect_left(up_to, max(q * up_to[-1], sys.float_info.min))
    place = min(place, len(bounds))
    lower = None if place == 0 else _finite(bounds[place - 1])
    upper = None if place == len(bounds) else _finite(bounds[place])
    if upper is None:
        return Quantile(lower, lower, None)
    begin = min(0.0, upper) if lower is None else lower
    if begin == upper and lower is None:
        return Quantile(upper, None, upper)
    before = up_to[place - 1] if place else 0
    return Quantile(_between(begin, upper, (q * up_to[-1] - before) / counts[place]), lower, upper)


_Bucket = tuple[float, float, int]


def _exponential_buckets(
    positive: Exponential | None, negative: Exponential | None, zero_count: int, zero_threshold: float
) -> list[_Bucket]:
    """(lower, upper, count) in the order of values; empty buckets are left out."""
    found: list[_Bucket] = []
    if negative is not None:
        indexes = sorted((index for index, count in negative.counts.items() if count > 0), reverse=True)
        found += [(-edge(negative.scale, i + 1), -edge(negative.scale, i), negative.counts[i]) for i in indexes]
    above = [] if positive is None else sorted(index for index, count in positive.counts.items() if count > 0)
    if zero_count > 0:
        # As Prometheus: where all else is on one side of zero, so is what is in the zero bucket.
        found.append((0.0 if above and not found else -zero_threshold, 0.0 if found and not above else zero_threshold, zero_count))
    if positive is not None:
        found += [(edge(positive.scale, i), edge(positive.scale, i + 1), positive.counts[i]) for i in above]
    return found


def _exponential_quantile(buckets: Sequence[_Bucket], q: float) -> Quantile:
    up_to = list(accumulate(count for _, _, count in buckets))
    if not up_to:
        return NO_QUANTILE
    place = min(bisect_left(up_to, max(q * up_to[-1], sys.float_info.min)), len(up_to) - 1)
    lower, upper, count = buckets[place]
    share = min(max((q * up_to[-1] - (up_to[place] - count)) / count, 0.0), 1.0)
    if lower > 0:
        value = lower * (upper / lower) ** share if upper / lower < math.inf else 2 ** _between(math.log2(lower), math.log2(upper), share)
    elif upper < 0:
        value = -(-lower * (upper / lower) ** share) if lower > -math.inf else lower
    else:
        value = _between(lower, upper, share)
    return Quantile(min(max(value, lower), upper), lower, upper)


def edge(scale: int, index: int) -> float:
    """The lower bound of a bucket, 2^(index * 2^-scale); what a float does not hold is the largest one, or 0."""
    try:
        exponent = math.ldexp(float(index), -scale)
    except OverflowError:
        exponent = math.copysign(math.inf, index)
    if exponent >= 1024:
        return sys.float_info.max
    return 0.0 if exponent < -_FARTHEST_EXPONENT else float(2.0**exponent)


def _between(lower: float, upper: float, share: float) -> float:
    # Not lower + (upper - lower) * share, which may overflow.
    return lower * (1 - share) + upper * share


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _least(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else min(a, b)


def _greatest(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else max(a, b)
