"""Two traces, and two periods."""

from __future__ import annotations

from tests.unit.query.analysis.strategies import trees
from tidegauge.model.analysis import Red, SpanTimes
from tidegauge.model.query import TimeRange
from tidegauge.model.tiers import END_OF_TIME_NS, Level, TierState
from tidegauge.query.analysis.periods import Impact, compare
from tidegauge.query.analysis.self_time import self_times
from tidegauge.query.analysis.trees import Side
from tidegauge.query.analysis.trees import compare as compare_trees
from tidegauge.query.analysis.use_cases import both, map_states


def span(span_id: str, parent: str, name: str, start: int, end: int) -> SpanTimes:
    return SpanTimes(span_id, parent, "shop", name, 1, start, end)


def test_spans_are_matched_by_what_was_called_below_what() -> None:
    a = [span("1", "", "GET /", 0, 100), span("2", "1", "query", 10, 20), span("3", "1", "query", 30, 50), span("4", "1", "gone", 60, 61)]
    b = [span("7", "", "GET /", 0, 300), span("8", "7", "query", 10, 210), span("9", "8", "query", 20, 30)]
    places = compare_trees(trees(*a), self_times(a), trees(*b), self_times(b))
    assert [(place.name, place.depth, place.parent) for place in places] == [
        ("GET /", 0, None),
        ("query", 1, 0),
        ("query", 2, 1),
        ("gone", 1, 0),
    ]
    assert (places[1].a, places[1].b) == (Side(2, 0, 30, 30), Side(1, 0, 200, 190))
    assert (places[2].a, places[2].b) == (Side(), Side(1, 0, 10, 10))
    assert (places[3].a, places[3].b) == (Side(1, 0, 1, 1), Side())


def red(service: str, count: int, duration_sum_ns: int, errors: int = 0) -> Red:
    return Red(0, service, None, count, errors, duration_sum_ns, 0, duration_sum_ns)


def test_changes_come_by_their_impact() -> None:
    second = 1_000_000_000
    before = [red("slower", 10, 10 * second), red("more", 10, second), red("failing", 10, second), red("gone", 10, 5 * second)]
    after = [red("slower", 10, 20 * second), red("more", 1000, 100 * second), red("failing", 10, second, 10), red("new", 10, 3 * second)]
    by_time = compare(before, 10.0, after, 10.0, Impact.TIME)
    assert [change.service for change in by_time] == ["slower", "gone", "new", "failing", "more"]
    assert [round(change.impacts[Impact.TIME], 6) for change in by_time] == [1.0, -0.5, 0.3, 0.0, 0.0]
    assert compare(before, 10.0, after, 10.0, Impact.ERRORS)[0].service == "failing"
    assert compare(before, 10.0, after, 10.0, Impact.RATE)[0].service == "more"
    # Periods of different length: as many calls in a tenth of the time is ten times the rate.
    (change,) = compare([red("x", 10, second)], 10.0, [red("x", 10, second)], 1.0, Impact.RATE)
    assert (change.impacts[Impact.TIME], change.impacts[Impact.RATE]) == (0.0, 9.0)


def test_the_map_is_read_from_pairs_and_its_newest_minutes_from_spans() -> None:
    minute = 60_000_000_000
    late = TimeRange(3 * minute, 4 * minute)
    hourly = TierState(Level.HOURLY, 5 * minute)
    found = map_states([TierState(Level.RAW, END_OF_TIME_NS, minute), hourly], 10 * minute, [late], 12 * minute)
    assert found == [TierState(Level.MINUTELY, 10 * minute, minute, (late,)), hourly, TierState(Level.RAW, END_OF_TIME_NS, 10 * minute)]
    # Where pairing is far behind, not all of it is done for an answer: what is left out is missing there.
    assert map_states([], 0, [], 12 * minute) == [TierState(Level.RAW, END_OF_TIME_NS, 7 * minute)]


def test_of_two_families_what_both_have_counts() -> None:
    late = TimeRange(1, 2)
    ones = [TierState(Level.RAW), TierState(Level.HOURLY, 50, 10), TierState(Level.DAILY, 9)]
    assert both(ones, [TierState(Level.HOURLY, 40, 20, (late,)), TierState(Level.RAW)]) == [
        TierState(Level.RAW),
        TierState(Level.HOURLY, 40, 20, (late,)),
    ]
