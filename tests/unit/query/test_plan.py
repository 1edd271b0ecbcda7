"""Which tiers answer a question."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tidegauge.model.query import TimeRange
from tidegauge.model.tiers import Level, TierState
from tidegauge.query.plan import Bound, Exactness, Plan, Steps, fixed_steps, plan, raw_first
from tidegauge.query.times import DAY_NS, HOUR_NS, MINUTE_NS

RAW = TierState(Level.RAW)
NOW = 40 * DAY_NS + 10 * HOUR_NS + 30 * MINUTE_NS
HOURLY = TierState(Level.HOURLY, 40 * DAY_NS + 9 * HOUR_NS)
DAILY = TierState(Level.DAILY, 40 * DAY_NS)
TIERS = (RAW, HOURLY, DAILY)


def days(start: float, end: float) -> TimeRange:
    return TimeRange(round(start * DAY_NS), round(end * DAY_NS))


def shown(found: Plan) -> list[tuple[str, float, float]]:
    return [(one.level.value, one.time.start_ns / DAY_NS, one.time.end_ns / DAY_NS) for one in found.segments]


def test_whole_days_come_from_days_then_hours_then_raw_data() -> None:
    found = plan(fixed_steps(days(10, 41), DAY_NS), TIERS)
    assert shown(found) == [("daily", 10, 40), ("hourly", 40, 40.375), ("raw", 40.375, 41)]
    assert (found.meta.exactness, found.meta.missing) == (Exactness.EXACT, ())


def test_steps_of_hours_do_not_use_days_and_minutes_use_neither() -> None:
    assert shown(plan(fixed_steps(days(10, 12), HOUR_NS), TIERS)) == [("hourly", 10, 12)]
    assert shown(plan(fixed_steps(days(10, 12), MINUTE_NS), TIERS)) == [("raw", 10, 12)]


def test_one_step_uses_each_tier_from_its_middle_outwards() -> None:
    found = plan(Steps((round(9.99 * DAY_NS), round(12.1 * DAY_NS))), TIERS)
    assert [level for level, _, _ in shown(found)] == ["raw", "daily", "hourly", "raw"]


def test_what_is_pending_is_read_from_below_and_told() -> None:
    late = TimeRange(20 * DAY_NS + 1, 20 * DAY_NS + 2)
    tiers = (RAW, TierState(Level.HOURLY, HOURLY.watermark_ns, 0, (late,)), TierState(Level.DAILY, DAILY.watermark_ns, 0, (late,)))
    found = plan(fixed_steps(days(19, 22), DAY_NS), tiers)
    assert shown(found) == [("daily", 19, 20), ("raw", 20, 20 + 1 / 24), ("hourly", 20 + 1 / 24, 21), ("daily", 21, 22)]
    assert [one.pending for one in found.meta.freshness] == [(late,), (late,)]
    assert found.meta.exactness is Exactness.EXACT


def test_beyond_raw_retention_only_whole_buckets_are_left() -> None:
    tiers = (TierState(Level.RAW, dropped_through_ns=30 * DAY_NS), HOURLY, DAILY)
    assert plan(fixed_steps(days(10, 31), DAY_NS), tiers).meta.exactness is Exactness.EXACT
    found = plan(fixed_steps(TimeRange(29 * DAY_NS, 31 * DAY_NS), 90 * MINUTE_NS), tiers)
    assert found.meta.exactness is Exactness.PARTIAL
    assert sum(one.end_ns - one.start_ns for one in found.meta.missing) == 8 * HOUR_NS


def test_what_came_late_for_dropped_raw_data_makes_the_answer_partial() -> None:
    tiers = (TierState(Level.RAW, dropped_through_ns=30 * DAY_NS), TierState(Level.HOURLY, NOW, 0, (days(20, 20.5),)))
    found = plan(fixed_steps(days(19, 22), DAY_NS), tiers)
    assert shown(found) == [("hourly", 19, 22)]
    assert found.meta.exactness is Exactness.PARTIAL


def test_a_bound_makes_an_exact_answer_bounded_and_leaves_a_partial_one_partial() -> None:
    meta = plan(fixed_steps(days(10, 12), HOUR_NS), TIERS).meta.bounded(Bound("log buckets", relative=0.05))
    assert (meta.exactness, meta.bounds[0].relative) == (Exactness.BOUNDED, 0.05)
    gone = plan(fixed_steps(days(10, 12), HOUR_NS), (TierState(Level.RAW, dropped_through_ns=NOW),)).meta
    assert gone.bounded(Bound("", relative=0.05)).exactness is Exactness.PARTIAL


def test_values_that_rollups_only_bound_come_from_raw_data_as_far_as_it_is_there() -> None:
    tiers = (TierState(Level.RAW, dropped_through_ns=round(30.02 * DAY_NS)), HOURLY, DAILY)
    found = plan(fixed_steps(days(29, 32), DAY_NS), raw_first(tiers))
    assert shown(found) == [("daily", 29, 31), ("raw", 31, 32)]
    assert found.meta.exactness is Exactness.EXACT


RANGES = st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 300)), max_size=4).map(
    lambda found: tuple([TimeRange(start * MINUTE_NS, (start + length) * MINUTE_NS) for start, length in found])
)


@given(
    st.lists(st.integers(0, 4000), min_size=2, max_size=12, unique=True),
    st.tuples(RANGES, RANGES),
    st.tuples(st.integers(0, 4000), st.integers(0, 4000)),
    st.tuples(st.integers(0, 2000), st.integers(0, 2000)),
)
def test_every_moment_is_answered_once_by_a_bucket_that_may_answer(
    edges: list[int], pending: tuple[tuple[TimeRange, ...], ...], watermarks: tuple[int, int], dropped: tuple[int, int]
) -> None:
    steps = Steps(sorted(edge * MINUTE_NS for edge in edges))
    rollups = [
        TierState(level, watermark * MINUTE_NS, lost * MINUTE_NS, tuple(sorted(late, key=lambda one: one.start_ns)))
        for level, watermark, lost, late in zip((Level.HOURLY, Level.DAILY), watermarks, dropped, pending, strict=True)
    ]
    found = plan(steps, [RAW, *rollups])
    covered = [(one.time.start_ns, one.time.end_ns) for one in found.segments]
    assert covered[0][0] == steps.edges[0]
    assert covered[-1][1] == steps.edges[-1]
    assert all(one[1] == other[0] for one, other in pairwise(covered))
    for segment in found.segments:
        if segment.level is Level.RAW:
            continue
        (state,) = [one for one in rollups if one.level is segment.level]
        width = segment.level.width_ns
        for start in range(segment.time.start_ns, segment.time.end_ns, width):
            end = start + width
            assert start % width == 0
            assert end <= state.watermark_ns
            assert start >= state.dropped_through_ns
            assert steps.start_of(start) == steps.start_of(end - 1)
            assert not any(late.start_ns < end and late.end_ns > start for late in state.pending)
