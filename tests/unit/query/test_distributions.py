"""What histograms observed, from points as they are stored."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from tidegauge.model.records import Series
from tidegauge.query.distributions import observed
from tidegauge.storage.percentile_interface import HistogramBuckets, HistogramEpoch

COUNTS = st.lists(st.integers(0, 20), min_size=3, max_size=3)
MINUTE = 60_000_000_000
SCAN = 100 * MINUTE


def series(temporality: str, type_: str = "histogram") -> Series:
    """A histogram with bounds 1 and 2."""
    return Series(1, type_, "s", temporality, None, (1.0, 2.0), ())


def epoch(minute: int, start: int | None, first: list[int], last: list[int], added: list[int]) -> HistogramEpoch:
    """A minute of one start time."""
    buckets = [HistogramBuckets(tuple(counts)) for counts in (added, first, last)]
    start_ns = None if start is None else SCAN + start * MINUTE
    return HistogramEpoch(1, SCAN + minute * MINUTE, start_ns, sum(added), sum(first), sum(last), None, None, 0.0, *buckets)


@given(st.lists(st.lists(COUNTS, min_size=1, max_size=5), min_size=1, max_size=4))
def test_cumulative_and_delta_tell_the_same_across_resets(epochs: list[list[list[int]]]) -> None:
    """Each inner list is what an epoch observed by minute; the next one begins at 0 again."""
    deltas: list[HistogramEpoch] = []
    risen: list[HistogramEpoch] = []
    minute = 0
    for minutes in epochs:
        start = minute
        for counts, up_to in zip(minutes, accumulate(minutes, lambda a, b: [x + y for x, y in zip(a, b, strict=True)]), strict=True):
            deltas.append(epoch(minute, None, counts, counts, counts))
            risen.append(epoch(minute, start, up_to, up_to, up_to))
            minute += 1
    told = [
        [
            (one.time_unix_nano, one.distribution.total, one.distribution.counts, one.is_exact)
            for one in observed(series(temporality), found, SCAN, SCAN)
        ]
        for temporality, found in (("delta", deltas), ("cumulative", risen))
    ]
    assert told[0] == told[1]
    assert all(is_exact for *_, is_exact in told[1])


def test_an_epoch_that_began_out_of_sight_counts_from_its_first_point() -> None:
    """And says that there may have been more."""
    (one,) = observed(series("cumulative"), [epoch(0, -200, [5, 5, 5], [6, 8, 5], [])], SCAN, SCAN)
    assert (one.distribution.total, one.distribution.counts, one.is_exact) == (4, (1, 3, 0), False)


def test_a_point_before_the_range_is_where_counting_goes_on() -> None:
    """It is not in the answer itself."""
    before, inside = epoch(0, -200, [5, 5, 5], [6, 6, 6], []), epoch(1, -200, [7, 7, 7], [9, 9, 9], [])
    (one,) = observed(series("cumulative"), [before, inside], SCAN, SCAN + MINUTE)
    assert (one.time_unix_nano, one.distribution.counts, one.is_exact) == (SCAN + MINUTE, (3, 3, 3), True)


def test_a_reset_that_nobody_told_of_counts_from_0_and_is_not_exact() -> None:
    """Fewer observations than before within one epoch."""
    *_, one = observed(series("cumulative"), [epoch(0, 0, [5, 5, 5], [9, 9, 9], []), epoch(1, 0, [1, 0, 0], [2, 1, 0], [])], SCAN, SCAN)
    assert (one.distribution.total, one.distribution.counts, one.is_exact) == (3, (2, 1, 0), False)


def test_cumulative_exponential_histograms_rise_at_the_lower_scale() -> None:
    """A sender lowers its scale as its range of values grows."""
    ends = (HistogramBuckets(positive=(3, 8, 4, 4)), HistogramBuckets(positive=(2, 4, 9, 0, 2), zero_count=1))
    made = [
        HistogramEpoch(1, SCAN + minute * MINUTE, SCAN, 0, count, count, None, None, 0.0, HistogramBuckets(), end, end)
        for minute, (count, end) in enumerate(zip((8, 12), ends, strict=True))
    ]
    *_, one = observed(series("cumulative", "exponential_histogram"), made, SCAN, SCAN)
    assert one.distribution.positive is not None
    assert {index: count for index, count in one.distribution.positive.counts.items() if count} == {4: 1, 6: 2}
    assert (one.distribution.total, one.distribution.zero_count, one.is_exact) == (4, 1, True)
