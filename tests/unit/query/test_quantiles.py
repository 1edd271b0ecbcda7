"""Quantiles from buckets against exact ones, over random data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge.query.quantiles import (
    DURATION_ERROR,
    NO_QUANTILE,
    Distribution,
    Exponential,
    Quantile,
    Total,
    added,
    duration_bounds,
    duration_bucket,
    duration_quantiles,
    edge,
    explicit_quantile,
)

QUANTILES = (0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0)
MOST_NS = (1 << 63) - 1

LOG_NORMAL = st.builds(lambda mean, deviation: min(int(math.exp(mean + deviation)), MOST_NS), st.floats(0, 35), st.floats(-3, 3))
BIMODAL = st.one_of(st.integers(900, 1_100), st.integers(10**9, 2 * 10**9))
DURATIONS = st.one_of(
    st.lists(LOG_NORMAL, min_size=1, max_size=200),
    st.lists(BIMODAL, min_size=1, max_size=200),
    st.builds(lambda value, count: [value] * count, st.integers(0, MOST_NS), st.integers(1, 50)),
    st.lists(st.integers(-5, 20), min_size=1, max_size=100),
    st.lists(st.integers(MOST_NS - 10**18, MOST_NS), min_size=1, max_size=50),
)
FLOATS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: 0.0 if abs(value) < 1e-6 else value)
BOUNDS = st.lists(st.sampled_from([-1000.0, -1.0, 0.0, 0.5, 1.0, 2.5, 10.0, 1e3, 1e5]), min_size=1, max_size=9, unique=True).map(sorted)


def exact(values: Sequence[float], q: float) -> float:
    """The nearest rank, as PostgreSQL's percentile_disc."""
    return sorted(values)[max(1, math.ceil(q * len(values))) - 1]


def counted(durations: Sequence[int]) -> tuple[list[int], list[int]]:
    """Durations as the rollups keep them."""
    counts = Counter(duration_bucket(duration) for duration in durations)
    return sorted(counts), [counts[bucket] for bucket in sorted(counts)]


@given(DURATIONS)
def test_durations_are_within_the_stated_error(durations: list[int]) -> None:
    """Five per cent, and rounding to a nanosecond; what is negative counts as 0."""
    known = [max(duration, 0) for duration in durations]
    for q, found in zip(QUANTILES, duration_quantiles(*counted(durations), QUANTILES), strict=True):
        assert found is not None
        assert abs(found - exact(known, q)) <= DURATION_ERROR * exact(known, q) + 1


@given(DURATIONS)
def test_durations_lie_within_the_shortest_and_the_longest(durations: list[int]) -> None:
    """However they are counted, and constant ones are exact."""
    known = [max(duration, 0) for duration in durations]
    found = duration_quantiles(*counted(durations), QUANTILES, min(known), max(known))
    assert all(value is not None and min(known) <= value <= max(known) for value in found)


def test_every_short_duration_is_in_its_bucket_and_within_the_error() -> None:
    """All of them up to 30 µs."""
    for duration in range(1, 30_000):
        least, greatest = duration_bounds(duration_bucket(duration))
        assert least <= duration <= greatest
        (found,) = duration_quantiles([duration_bucket(duration)], [1], [0.5])
        assert found is not None
        assert abs(found - duration) <= DURATION_ERROR * duration + 1


def test_no_spans_have_no_percentile() -> None:
    """Not 0."""
    assert duration_quantiles([], [], [0.5, 1.0]) == [None, None]


def explicit(values: Sequence[float], bounds: Sequence[float], *, extremes: bool = True) -> Distribution:
    """An explicit histogram of values: bucket i holds (bounds[i-1], bounds[i]]."""
    counts = [0] * (len(bounds) + 1)
    for value in values:
        counts[sum(bound < value for bound in bounds)] += 1
    least, greatest = (min(values), max(values)) if extremes and values else (None, None)
    return Distribution(len(values), tuple(bounds), tuple(counts), least=least, greatest=greatest)


def exponential(values: Sequence[float], scale: int) -> Distribution:
    """An exponential histogram of values: bucket i holds (base^i, base^(i+1)]."""
    sides: list[Counter[int]] = [Counter(), Counter()]
    for value in values:
        if value:
            index = math.ceil(math.log2(abs(value)) * 2.0**scale) - 1
            # Logarithms round; edges are what counts.
            index += (edge(scale, index + 1) < abs(value)) - (edge(scale, index) >= abs(value))
            sides[value < 0][index] += 1
    positive, negative = (Exponential(scale, side) if side else None for side in sides)
    return Distribution(len(values), None, (), positive, negative, sum(value == 0 for value in values))


def total(*parts: Distribution) -> Total:
    """All of them."""
    found = Total()
    for part in parts:
        found.add(part)
    return found


def holds(found: Quantile, value: float) -> bool:
    """Whether a value lies in the bucket of an answer, and the answer as well."""
    assert found.value is not None
    ends = (-math.inf if found.lower is None else found.lower, math.inf if found.upper is None else found.upper)
    return ends[0] <= value <= ends[1] and ends[0] <= found.value <= ends[1]


@given(st.lists(FLOATS, min_size=1, max_size=100), BOUNDS, st.booleans())
def test_explicit_histograms_answer_with_the_bucket_of_the_exact_quantile(values: list[float], bounds: list[float], extremes: bool) -> None:
    """With and without min and max."""
    found = total(explicit(values, bounds, extremes=extremes)).quantiles(QUANTILES)
    for q, one in zip(QUANTILES, found, strict=True):
        assert one.value is None or holds(one, exact(values, q))


@given(st.lists(st.tuples(st.lists(FLOATS, max_size=40), BOUNDS), min_size=2, max_size=4))
def test_explicit_histograms_of_different_bounds_meet_at_those_they_share(parts: list[tuple[list[float], list[float]]]) -> None:
    """Their buckets are wider then, and hold the exact quantile all the same."""
    values = [value for part, _ in parts for value in part]
    merged = total(*(explicit(part, bounds) for part, bounds in parts))
    for q, one in zip(QUANTILES, merged.quantiles(QUANTILES), strict=True):
        assert (one == NO_QUANTILE) if not values else holds(one, exact(values, q))


@given(st.lists(st.tuples(st.lists(FLOATS, max_size=40), st.integers(-4, 8)), min_size=1, max_size=4))
def test_exponential_histograms_of_different_scales_hold_the_exact_quantile(parts: list[tuple[list[float], int]]) -> None:
    """At the lowest of the scales."""
    values = [value for part, _ in parts for value in part]
    merged = total(*(exponential(part, scale) for part, scale in parts))
    for q, one in zip(QUANTILES, merged.quantiles(QUANTILES), strict=True):
        assert (one == NO_QUANTILE) if not values else holds(one, exact(values, q))


@given(st.lists(st.floats(1, 2), min_size=1, max_size=100), st.integers(0, 8))
def test_an_exponential_bucket_is_as_narrow_as_its_scale_says(values: list[float], scale: int) -> None:
    """base = 2^(2^-scale)."""
    for one in total(exponential(values, scale)).quantiles(QUANTILES):
        assert one.lower is not None
        assert one.upper is not None
        assert one.upper / one.lower == pytest.approx(2 ** (2.0**-scale))


def test_a_sum_has_as_many_buckets_as_rollups_keep() -> None:
    """Whatever order and tiers it was added up in; beyond, its scale is lower."""
    wide = Exponential(8, dict.fromkeys(range(-500, 500, 7), 1)).narrowed()
    assert wide.scale == 6
    assert max(wide.counts) - min(wide.counts) < 320
    assert sum(wide.counts.values()) == 143
    assert Exponential(8, {-160: 1, 159: 1}).narrowed().scale == 8


@given(st.lists(FLOATS, max_size=60), st.lists(FLOATS, max_size=60), st.integers(-4, 8), st.integers(-4, 8))
def test_what_was_added_can_be_taken_away(ones: list[float], others: list[float], scale: int, other_scale: int) -> None:
    """At the lower scale."""
    a, b = exponential(ones, scale).positive, exponential(others, other_scale).positive
    both = added(a, b)
    if a is None or both is None:
        return
    rest = added(both, b, -1)
    assert rest is not None
    lowest = min(scale, rest.scale)
    assert {i: n for i, n in rest.at(lowest).items() if n} == dict(a.at(lowest))


@pytest.mark.parametrize(
    ("bounds", "counts", "q", "value", "lower", "upper"),
    [
        # Linear in the bucket.
        ([1.0, 2.0, 4.0], [0, 10, 10, 0], 0.25, 1.5, 1.0, 2.0),
        ([1.0, 2.0, 4.0], [0, 10, 10, 0], 0.75, 3.0, 2.0, 4.0),
        # A first bucket that ends above 0 begins there.
        ([1.0, 2.0], [10, 0, 0], 0.5, 0.5, None, 1.0),
        # One that ends at or below 0 answers with its end.
        ([-1.0, 2.0], [10, 0, 0], 0.5, -1.0, None, -1.0),
        # The last one with its beginning.
        ([1.0, 2.0], [0, 0, 10], 0.5, 2.0, 2.0, None),
    ],
)
def test_explicit_buckets_are_interpolated_as_prometheus_does(
    bounds: list[float], counts: list[int], q: float, value: float, lower: float | None, upper: float | None
) -> None:
    """promql/quantile.go, BucketQuantile."""
    assert explicit_quantile(bounds, counts, q) == Quantile(value, lower, upper)


def test_exponential_buckets_are_interpolated_geometrically() -> None:
    """The middle of (4, 16] is 8."""
    (found,) = total(Distribution(10, positive=Exponential(-1, {1: 10}))).quantiles([0.5])
    assert found == Quantile(pytest.approx(8.0), 4.0, 16.0)


@pytest.mark.parametrize("scale", [-(1 << 31), -11, -10, 20, 1000, (1 << 31) - 1])
@pytest.mark.parametrize("index", [-(1 << 31), -1, 0, (1 << 31) - 1])
def test_no_scale_or_offset_is_too_much(scale: int, index: int) -> None:
    """All that int32 holds, with counts at the end of int64."""
    wild = Distribution(MOST_NS, positive=Exponential(scale, {index: MOST_NS}), negative=Exponential(20, {1 << 31: MOST_NS}))
    for one in total(wild, exponential([1.0, -2.0, 0.0], 3)).quantiles(QUANTILES):
        assert one.value is not None
        assert math.isfinite(one.value)
