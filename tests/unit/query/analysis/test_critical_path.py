"""Critical paths of traces that are known, and what holds for all."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given

from tests.unit.query.analysis.strategies import any_traces, sequential_traces, span, trees
from tidegauge.model.analysis import SpanTimes
from tidegauge.query.analysis.critical_path import critical_path, main_root
from tidegauge.query.analysis.self_time import self_times
from tidegauge.query.trace_tree import build


def path(*spans: SpanTimes) -> list[tuple[str, int, int]]:
    """The parts of the main root's path."""
    root = main_root(trees(*spans))
    assert root is not None
    return [(part.span.span_id, part.start_ns, part.end_ns) for part in critical_path(root)]


def test_of_calls_side_by_side_the_last_to_end_is_on_it() -> None:
    # CRISP, figure 3: the longer of two parallel calls; what it waited for before; the caller between them.
    spans = (span("r", 0, 100), span("a", 10, 40, "r"), span("b", 45, 70, "r"), span("c", 45, 90, "r"), span("d", 60, 80, "c"))
    assert path(*spans) == [("r", 0, 10), ("a", 10, 40), ("r", 40, 45), ("c", 45, 60), ("d", 60, 80), ("c", 80, 90), ("r", 90, 100)]


def test_a_call_that_still_ran_when_the_chosen_one_began_is_passed_over() -> None:
    assert path(span("r", 0, 100), span("a", 0, 60, "r"), span("b", 40, 90, "r")) == [("r", 0, 40), ("b", 40, 90), ("r", 90, 100)]


def test_work_that_outlives_its_parent_counts_up_to_the_parents_end() -> None:
    assert path(span("r", 0, 50), span("async", 30, 500, "r"), span("below", 40, 450, "async")) == [
        ("r", 0, 30),
        ("async", 30, 40),
        ("below", 40, 50),
    ]


def test_what_lies_outside_its_parent_is_not_on_it() -> None:
    assert path(span("r", 100, 200), span("skewed", 0, 50, "r"), span("message", 300, 400, "r")) == [("r", 100, 200)]


def test_a_clock_that_is_ahead_is_clipped() -> None:
    assert path(span("r", 100, 200), span("a", 90, 150, "r")) == [("a", 100, 150), ("r", 150, 200)]


def test_the_trace_is_told_by_its_longest_root() -> None:
    assert path(span("orphan", 0, 900, "gone"), span("short", 0, 10), span("long", 5, 25)) == [("long", 5, 25)]
    assert path(span("orphan", 0, 9, "gone"), span("a", 0, 99, "b"), span("b", 0, 99, "a")) == [("orphan", 0, 9)]
    assert path(span("a", 0, 9, "b"), span("b", 2, 5, "a")) == [("a", 0, 2), ("b", 2, 5), ("a", 5, 9)]


def test_of_no_spans_there_is_none() -> None:
    assert main_root([]) is None


@given(any_traces())
def test_parts_lie_apart_and_cover_the_root(spans: list[SpanTimes]) -> None:
    roots = build(spans, len(spans) + 1)
    for root in roots:
        parts = critical_path(root)
        assert all(before.end_ns == after.start_ns for before, after in pairwise(parts))
        assert sum(part.end_ns - part.start_ns for part in parts) == root.span.duration_ns
        assert all(part.span.start_ns <= part.start_ns < part.end_ns <= part.span.end_ns for part in parts)


@given(sequential_traces())
def test_of_a_synchronous_trace_all_self_time_is_on_it(spans: list[SpanTimes]) -> None:
    (root,) = build(spans, len(spans) + 1)
    on_path: dict[str, int] = {}
    for part in critical_path(root):
        on_path[part.span.span_id] = on_path.get(part.span.span_id, 0) + part.end_ns - part.start_ns
    assert on_path == {span_id: taken for span_id, taken in self_times(spans).items() if taken}


def test_depth_and_width_do_not_matter() -> None:
    deep = [span(f"{depth:016x}", depth, 200_000 - depth, f"{depth - 1:016x}" if depth else "") for depth in range(20_000)]
    wide = [span("r", 0, 20_000), *(span(f"w{number}", number, number + 1, "r") for number in range(20_000))]
    for spans in (deep, wide):
        (root,) = build(spans, len(spans) + 1)
        assert len(critical_path(root)) >= 20_000
        assert sum(self_times(spans).values()) == root.span.duration_ns
