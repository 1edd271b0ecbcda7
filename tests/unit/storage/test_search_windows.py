"""In which order time is searched."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tidegauge.storage.postgres.search_windows import HOUR_US, SHORTEST_US, Piece, Sweep, apart, gaps, hours, merged

TIMES = st.integers(0, 20 * HOUR_US)
RANGES = st.lists(st.tuples(TIMES, TIMES).map(lambda pair: (min(pair), max(pair))), max_size=8)


def swept(sweep: Sweep, seconds: float = 0.1) -> list[tuple[int, int, int]]:
    """(application, start, end) of all windows' pieces, in their order; windows go back without gaps that hold pieces."""
    found: list[tuple[int, int, int]] = []
    last = sweep.at_us
    while sweep.at_us > sweep.start_us:
        if (window := sweep.window()) is None:
            continue
        assert sweep.start_us <= window.start_us < window.end_us <= last
        assert all(window.start_us <= one.start_us < one.end_us <= window.end_us for one in window.pieces)
        found += [(one.application_id, one.start_us, one.end_us) for one in window.pieces]
        last = window.start_us
        sweep.passed(last, seconds, whole=True)
    return found


def covered(pieces: list[tuple[int, int, int]], application_id: int) -> list[tuple[int, int]]:
    """An application's time, in order; nothing of it is there twice."""
    mine = sorted((start, end) for one, start, end in pieces if one == application_id)
    assert all(before[1] <= after[0] for before, after in pairwise(mine))
    return merged(mine, 1, 0, 1 << 62)


def test_windows_reach_the_start_and_grow_by_what_they_cost() -> None:
    cheap, dear = Sweep(0, 1000 * HOUR_US, [1, 2], HOUR_US), Sweep(0, 1000 * HOUR_US, [1, 2], HOUR_US)
    few, many = swept(cheap, 0.001), swept(dear, 0.2)
    assert covered(few, 1) == covered(many, 2) == [(0, 1000 * HOUR_US)]
    assert len(few) < 12 < len(many)


@given(ranges=RANGES, other=RANGES, seconds=st.sampled_from([0.001, 0.1, 1.0]))
def test_pieces_are_all_searched_and_only_once(ranges: list[tuple[int, int]], other: list[tuple[int, int]], seconds: float) -> None:
    sweep = Sweep(0, 20 * HOUR_US, [1, 2], HOUR_US)
    wanted = {1: merged(ranges, 1, 0, 20 * HOUR_US), 2: merged(other, 1, 0, 20 * HOUR_US)}
    sweep.narrow([Piece(one, *part) for one, parts in wanted.items() for part in parts], 0)
    found = swept(sweep, seconds)
    assert {one: covered(found, one) for one in (1, 2)} == wanted


@given(
    ranges=st.lists(st.tuples(st.integers(0, 400 * HOUR_US), st.integers(1, 9 * HOUR_US)), max_size=8),
    seconds=st.sampled_from([0.001, 0.1, 1.0]),
)
def test_what_is_asked_about_in_stretches_is_searched_only_where_it_may_be(ranges: list[tuple[int, int]], seconds: float) -> None:
    end = 410 * HOUR_US
    wanted = merged([(start, start + length) for start, length in ranges], 1, 0, end)
    sweep = Sweep(0, end, [1], HOUR_US)
    found: list[tuple[int, int, int]] = []
    asked: list[int] = []
    while sweep.at_us > 0:
        if (from_us := sweep.ahead()) is not None:
            asked.append(from_us)
            known = [(max(low, from_us), min(high, sweep.at_us)) for low, high in wanted if high > from_us and low < sweep.at_us]
            sweep.narrow([Piece(1, *one) for one in known], from_us)
        if (window := sweep.window()) is not None:
            found += [(1, one.start_us, one.end_us) for one in window.pieces]
            sweep.passed(window.start_us, seconds, whole=True)
    # The last hour is not asked about.
    assert merged([*covered(found, 1), (0, HOUR_US)], 1, 0, end) == merged([*wanted, (0, HOUR_US)], 1, 0, end)
    assert asked == [386 * HOUR_US, 194 * HOUR_US, 0]


def test_a_window_that_took_too_long_is_followed_by_shorter_ones_until_there_are_none() -> None:
    for pieces in (None, [Piece(1, 0, 5 * HOUR_US)]):
        sweep = Sweep(0, 10 * HOUR_US, [1], HOUR_US)
        if pieces is not None:
            sweep.narrow(pieces, 0)
        lengths = [(window := sweep.window()) and window.end_us - window.start_us]
        while sweep.shrink():
            window = sweep.window()
            assert window is not None
            lengths.append(window.end_us - window.start_us)
        assert lengths == sorted(lengths, reverse=True)
        assert lengths[-1] <= SHORTEST_US


def test_pieces_of_one_application_that_overlap_become_one() -> None:
    found = apart([Piece(1, 5, 9), Piece(2, 0, 9), Piece(1, 0, 6), Piece(1, 9, 10)])
    assert sorted((one.application_id, one.start_us, one.end_us) for one in found) == [(1, 0, 9), (1, 9, 10), (2, 0, 9)]


def test_long_pieces_are_cut_at_full_hours() -> None:
    found = [(one.start_us, one.end_us) for one in hours([Piece(1, HOUR_US // 2, 2 * HOUR_US + 1)])]
    assert found == [(HOUR_US // 2, HOUR_US), (HOUR_US, 2 * HOUR_US), (2 * HOUR_US, 2 * HOUR_US + 1)]


@given(ranges=RANGES, step=st.sampled_from([1, 60, HOUR_US]))
def test_ranges_and_the_gaps_between_them_are_the_whole(ranges: list[tuple[int, int]], step: int) -> None:
    found = merged(ranges, step, 10, 20 * HOUR_US)
    assert merged([*found, *gaps(found, 10, 20 * HOUR_US)], 1, 0, 1 << 62) == [(10, 20 * HOUR_US)]
    assert all(any(low <= start and end <= high for low, high in found) for start, end in ranges if 10 <= start < end)
