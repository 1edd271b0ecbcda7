"""Columns of values cut into blocks and joined again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidegauge.model.tiers import StepColumn
from tidegauge.query.columns import cut, joined, place


@given(st.dictionaries(st.integers(0, 5), st.sets(st.integers(-50, 200), min_size=1), max_size=4), st.integers(1, 60))
def test_what_is_cut_lies_in_one_block_and_is_joined_as_it_was(groups: dict[int, set[int]], block: int) -> None:
    columns = [StepColumn(group, tuple(sorted(times)), tuple([float(time) for time in sorted(times)])) for group, times in groups.items()]
    columns.sort(key=place)
    parts = cut(columns, block)
    assert all(part.times[0] // block == part.times[-1] // block for part in parts)
    assert joined(sorted(parts, key=place)) == columns
