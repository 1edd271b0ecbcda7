"""Epochs of counters to increases."""

from __future__ import annotations

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from tidegauge.model.records import Epoch, Series
from tidegauge.query.rollups import merge

COUNTER = Series(1, "sum", "1", "cumulative", True, None, ())
SIZE = 10


def epoch(bucket: int, start: int | None, first: float, last: float, top: float | None = None) -> Epoch:
    return Epoch(1, bucket, start, 2, first + last, min(first, last), max(first, last) if top is None else top, first, last)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 7), st.integers(0, 5)), min_size=1, max_size=60),
    st.booleans(),
)
def test_increases_add_up_to_what_was_counted_across_any_resets(steps: list[tuple[bool, int, int]], seen_before: bool) -> None:
    """A source counts; now and then it restarts. Its increases add up to all that it counted from the range's start on."""
    time, value, start = 0, 0, 0
    points: list[tuple[int, int, int]] = []
    counted = 0
    for restarts, wait, added in steps:
        if restarts:
            start, value = time + 1, 0
        time += 1 + wait
        value += added
        counted += added
        points.append((time, start, value))
    epochs = [
        Epoch(1, bucket, started, len(found), 0.0, 0.0, float(found[-1][2]), float(found[0][2]), float(found[-1][2]))
        for (bucket, started), members in groupby(points, key=lambda point: (point[0] // SIZE * SIZE, point[1]))
        for found in [list(members)]
    ]
    # Either everything is in the range, or its first bucket lies before it and tells where counting stood.
    first_shown = epochs[0].bucket_unix_nano + SIZE if seen_before else 0
    before = max((point for point in points if point[0] < first_shown), default=None)
    found = merge(COUNTER, epochs, 0, first_shown)
    expected = counted
    if before is not None:
        expected -= sum(added for (point, (_, _, added)) in zip(points, steps, strict=True) if point[0] < first_shown)
    assert sum(point.increase or 0 for point in found) == expected
    assert all(point.is_exact for point in found)


def test_an_epoch_that_began_before_what_is_known_is_a_lower_bound() -> None:
    (point,) = merge(COUNTER, [epoch(100, 5, 40, 70)], scan_start_ns=50, start_ns=100)
    assert (point.increase, point.is_exact) == (30, False)


def test_without_start_times_a_peak_above_the_last_value_tells_of_a_reset() -> None:
    (point,) = merge(COUNTER, [epoch(100, None, 40, 3, top=90)], 50, 100)
    assert (point.increase, point.is_exact) == (50 + 3, False)
    _, second = merge(COUNTER, [epoch(100, None, 1, 40), epoch(110, None, 5, 9)], 100, 100)
    assert (second.increase, second.is_exact) == (5 + 4, False)


def test_a_sum_that_may_fall_has_a_negative_increase() -> None:
    up_and_down = Series(1, "sum", "1", "cumulative", False, None, ())
    _, second = merge(up_and_down, [epoch(100, 1, 1, 40), epoch(110, 1, 30, 20)], 0, 100)
    assert (second.increase, second.is_exact) == (-20, True)


def test_a_gauge_has_no_increase() -> None:
    gauge = Series(1, "gauge", "1", None, None, None, ())
    (point,) = merge(gauge, [epoch(100, None, 4, 2)], 0, 100)
    assert (point.count, point.sum, point.min, point.max, point.first, point.last, point.increase) == (2, 6, 2, 4, 4, 2, None)


def test_deltas_add_up() -> None:
    deltas = Series(1, "sum", "1", "delta", True, None, ())
    (point,) = merge(deltas, [epoch(100, None, 4, 2)], 0, 100)
    assert (point.increase, point.is_exact) == (6, True)


def test_integers_that_a_float_rounds_are_not_exact() -> None:
    limit = 2.0**53
    deltas = Series(1, "sum", "1", "delta", True, None, ())
    for top, is_exact in ((limit - 1, True), (limit, False)):
        assert [point.is_exact for point in merge(COUNTER, [epoch(100, 60, top - 1, top)], 50, 100)] == [is_exact]
        assert [point.is_exact for point in merge(deltas, [epoch(100, None, 1, top - 1)], 50, 100)] == [is_exact]
    _, second = merge(COUNTER, [epoch(100, 60, 1, limit), epoch(110, 60, 2, 3)], 50, 100)
    assert not second.is_exact


def test_histograms_with_other_buckets_than_before_have_no_bucket_counts() -> None:
    histogram = Series(1, "histogram", "s", "cumulative", None, (1.0,), ())
    epochs = [
        Epoch(
            1,
            bucket,
            5,
            1,
            1,
            None,
            None,
            first,
            last,
            first_sum=1.0,
            last_sum=last * 1.0,
            first_bucket_counts=counts,
            last_bucket_counts=counts,
        )
        for bucket, first, last, counts in ((100, 1, 3, (1, 2)), (110, 4, 9, (3, 3, 3)))
    ]
    first, second = merge(histogram, epochs, 0, 100)
    assert (first.count, first.sum, first.bucket_counts) == (3, 3.0, (1, 2))
    assert (second.count, second.sum, second.bucket_counts, second.is_exact) == (6, 6.0, None, True)
