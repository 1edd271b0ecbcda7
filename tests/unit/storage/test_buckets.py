"""Columns of a tier's buckets, and what finer parts add to them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidegauge.model.columns import is_rising
from tidegauge.model.query import TimeRange
from tidegauge.model.tiers import Level, Reading, Segment, StepColumn, Steps
from tidegauge.storage.postgres.buckets import is_stretch, merged

HOUR = 3_600_000_000_000
PARTS = st.dictionaries(st.integers(0, 40), st.tuples(st.booleans(), st.floats(-1e9, 1e9)), max_size=30)


@given(st.lists(PARTS, min_size=1, max_size=4))
def test_parts_become_one_column_a_group_in_the_order_of_time(groups: list[dict[int, tuple[bool, float]]]) -> None:
    def column(number: int, is_rest: bool) -> StepColumn:
        mine = sorted((time, value) for time, (of_rest, value) in groups[number].items() if of_rest is is_rest)
        return StepColumn(number, tuple(time for time, _ in mine), tuple(value for _, value in mine))

    sides = [[one for number in range(len(groups)) if (one := column(number, rest)).times] for rest in (False, True)]
    columns = merged(*sides)
    found = {one.group: dict(zip(one.times, one.values, strict=True)) for one in columns}
    assert found == {number: {time: value for time, (_, value) in one.items()} for number, one in enumerate(groups) if one}
    assert all(is_rising(one.times) for one in columns)


def test_a_step_that_stands_in_both_parts_is_seen_not_to_rise() -> None:
    (found,) = merged([StepColumn(0, (1, 2), (1.0, 2.0))], [StepColumn(0, (2, 3), (3.0, 4.0))])
    assert not is_rising(found.times)


def test_what_is_finer_is_a_stretch_only_behind_the_buckets() -> None:
    def reading(*levels: Level) -> Reading:
        segments = [Segment(level, TimeRange(place * HOUR, (place + 1) * HOUR)) for place, level in enumerate(levels)]
        return Reading(Steps(range(0, (len(levels) + 1) * HOUR, HOUR)), tuple(segments))

    daily, hourly, raw = Level.DAILY, Level.HOURLY, Level.RAW
    assert is_stretch(reading(hourly, raw), hourly)
    assert is_stretch(reading(daily, daily, hourly, raw), daily)
    assert not is_stretch(reading(raw, hourly, raw), hourly)
    assert not is_stretch(reading(daily, raw, hourly), daily)
    assert not is_stretch(reading(daily, hourly, daily), daily)
