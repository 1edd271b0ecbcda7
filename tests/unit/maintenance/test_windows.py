"""Which window is refreshed next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge.maintenance import windows
from tidegauge.maintenance.windows import Budget, Load, Rollup, Span

MINUTE = 60 * windows.SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


ALWAYS = Span(0, 100 * DAY)


def rollup(*pending: Span, bounds: Span = ALWAYS, bucket: int = HOUR) -> Rollup:
    return Rollup("tidegauge.metrics_hourly", 0, "metrics", 1, bucket, bounds, pending)


def test_only_whole_buckets_with_chunks_behind_them_are_due() -> None:
    wanted = rollup(Span(-(2**63), 2**63 - 1), bounds=Span(DAY + MINUTE, 5 * DAY - MINUTE))
    loads = [Load(Span(0, 2 * DAY), 10), Load(Span(3 * DAY, 9 * DAY), 10)]

    assert windows.due(wanted, loads) == [Span(DAY + HOUR, 2 * DAY), Span(3 * DAY, 5 * DAY - HOUR)]


def test_dropped_chunks_are_never_refreshed() -> None:
    assert windows.due(rollup(Span(0, 50 * DAY)), []) == []


def test_one_late_point_makes_its_bucket_due() -> None:
    late = 3 * DAY + 25 * MINUTE
    assert windows.due(rollup(Span(late, late + 1)), [Load(Span(3 * DAY, 4 * DAY), 100)]) == [Span(3 * DAY, 3 * DAY + HOUR)]


def test_a_window_too_narrow_for_a_bucket_has_nothing_due() -> None:
    assert windows.due(rollup(Span(0, DAY), bounds=Span(MINUTE, HOUR + MINUTE)), [Load(Span(0, DAY), 1)]) == []


def test_the_window_reads_no_more_than_the_budget() -> None:
    loads = [Load(Span(0, DAY), 2400), Load(Span(DAY, 2 * DAY), 24000)]
    window, size = windows.first_window([Span(0, 2 * DAY)], HOUR, loads, 4400) or pytest.fail("nothing due")

    assert window == Span(0, DAY + 2 * HOUR)
    assert size == 4400


def test_a_bucket_that_exceeds_the_budget_is_refreshed_alone() -> None:
    loads = [Load(Span(0, DAY), 24_000_000)]
    assert windows.first_window([Span(0, DAY)], HOUR, loads, 10) == (Span(0, HOUR), 1_000_000)


def test_the_oldest_stretch_comes_first_and_nothing_due_has_no_window() -> None:
    assert windows.first_window([Span(0, HOUR), Span(5 * HOUR, 9 * HOUR)], HOUR, [], 1 << 30) == (Span(0, HOUR), 0)
    assert windows.first_window([], HOUR, [], 1 << 30) is None


def test_statistics_show_where_in_a_chunk_its_rows_lie() -> None:
    """A day's chunk filled from 15:00 to 16:00, and a tenth of it since."""
    bounds = [15 * HOUR + n * 6 * MINUTE for n in range(11)]
    loads = windows.spread(Span(0, DAY), DAY, 1100, 1000, bounds)

    assert windows.weight(Span(0, 15 * HOUR), loads) == 0
    assert windows.weight(Span(15 * HOUR, 16 * HOUR), loads) == 1000
    assert windows.weight(Span(16 * HOUR, DAY), loads) == 100


def test_the_chunk_of_today_holds_nothing_of_tonight() -> None:
    loads = windows.spread(Span(0, DAY), 6 * HOUR, 600, 0, [])
    assert windows.weight(Span(0, HOUR), loads) == 100
    assert windows.weight(Span(6 * HOUR, DAY), loads) == 0


def test_many_rows_at_one_moment_weigh_there() -> None:
    loads = windows.spread(Span(0, DAY), DAY, 1000, 1000, [HOUR] * 9 + [2 * HOUR, 3 * HOUR])
    assert windows.weight(Span(HOUR, 2 * HOUR), loads) == 900


@given(
    st.integers(-10, 110),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
    st.lists(st.integers(-10, 110), max_size=12),
)
def test_bytes_are_spread_over_the_whole_chunk_and_none_lost(filled_to: int, size: int, analyzed: int, bounds: list[int]) -> None:
    chunk = Span(0, 100)
    loads = windows.spread(chunk, filled_to, size, analyzed, bounds)

    assert windows.merged(load.span for load in loads) == [chunk]
    assert sum(load.bytes for load in loads) == pytest.approx(size, abs=max(len(bounds), 1))


spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: Span(*pair)), max_size=8)


@given(spans, spans)
def test_set_operations_agree_with_sets(some: list[Span], others: list[Span]) -> None:
    def moments(found: list[Span]) -> set[int]:
        return {moment for span in found for moment in range(span.start, span.end)}

    merged = windows.merged(some)
    assert moments(merged) == moments(some)
    assert merged == sorted(merged)
    assert moments(windows.intersection(merged, windows.merged(others))) == moments(some) & moments(others)


def test_short_turns_double_the_budget_and_long_ones_cut_it() -> None:
    budget = Budget(1.0, bytes=1 << 20)
    budget.observe(0.1, 1 << 20)
    assert budget.bytes == 2 << 20
    budget.observe(0.3, 2 << 20)
    assert budget.bytes == 2 << 20
    budget.observe(0.45, 2 << 20)
    assert budget.bytes == 1 << 20
    budget.observe(4.0, 1 << 20)
    assert budget.bytes == 128 << 10


def test_a_turn_with_little_to_do_does_not_grow_the_budget() -> None:
    budget = Budget(1.0, bytes=1 << 20)
    budget.observe(0.001, 4096)
    assert budget.bytes == 1 << 20


def test_waiting_for_others_neither_grows_nor_cuts_the_budget() -> None:
    budget = Budget(1.0, bytes=1 << 20)
    budget.observe(0.9, 1 << 20, waited_seconds=0.8)
    assert budget.bytes == 1 << 20


@given(st.lists(st.floats(0.05, 3.0), min_size=30, max_size=60))
def test_turns_stay_below_the_limit_while_the_density_drifts(drift: list[float]) -> None:
    """Seconds a byte change by at most half from one turn to the next; the first turn is small."""
    budget = Budget(1.0)
    cost = 1e-7
    for factor in drift:
        took = budget.bytes * cost
        assert took <= 1.0
        budget.observe(took, budget.bytes)
        cost = min(max(cost * min(max(factor, 0.67), 1.5), 1e-9), 2e-6)
