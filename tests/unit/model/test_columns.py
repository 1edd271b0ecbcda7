"""Columns of values cut into blocks and joined again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidegauge.model.columns import cut, joined, place
from tidegauge.model.tiers import StepColumn


@given(
    st.dictionaries(st.integers(0, 5), st.sets(st.integers(-50, 200), min_size=1), max_size=4),
    st.sets(st.integers(-60, 210), min_size=1),
)
def test_what_is_cut_lies_between_two_edges_and_is_joined_as_it_was(groups: dict[int, set[int]], where: set[int]) -> None:
    columns = [StepColumn(group, tuple(sorted(times)), tuple([float(time) for time in sorted(times)])) for group, times in groups.items()]
    columns.sort(key=place)
    edges = sorted(where)
    parts = list(cut(columns, edges))
    for number, part in parts:
        assert number == -1 or edges[number] <= part.times[0]
        assert number + 1 == len(edges) or part.times[-1] < edges[number + 1]
    assert joined(sorted([part for _, part in parts], key=place)) == columns
