"""Self times."""

from __future__ import annotations

from hypothesis import given

from tests.unit.query.analysis.strategies import any_traces, sequential_traces, span
from tidegauge.model.analysis import SpanTimes
from tidegauge.query.analysis.self_time import self_times


def test_what_children_cover_together_is_taken_once() -> None:
    found = self_times([span("r", 0, 100), span("a", 10, 40, "r"), span("b", 30, 60, "r"), span("c", 35, 38, "a")])
    assert found == {"r": 50, "a": 27, "b": 30, "c": 3}


def test_children_count_within_their_parent_alone() -> None:
    spans = [span("r", 10, 50), span("early", 0, 20, "r"), span("late", 40, 900, "r"), span("outside", 60, 70, "r")]
    assert self_times(spans) == {"r": 20, "early": 20, "late": 860, "outside": 10}


def test_a_span_that_is_its_own_parent_has_all_its_time() -> None:
    assert self_times([span("r", 0, 9, "r")]) == {"r": 9}


@given(any_traces())
def test_no_self_time_is_negative_or_longer_than_its_span(spans: list[SpanTimes]) -> None:
    found = self_times(spans)
    for one in spans:
        inside = {
            moment
            for child in spans
            if child.parent_span_id == one.span_id != child.span_id
            for moment in range(child.start_ns, child.end_ns)
        }
        assert found[one.span_id] == len(set(range(one.start_ns, one.end_ns)) - inside)


@given(sequential_traces())
def test_of_a_synchronous_trace_they_add_up_to_its_duration(spans: list[SpanTimes]) -> None:
    root = next(one for one in spans if not one.parent_span_id)
    assert sum(self_times(spans).values()) == root.duration_ns
