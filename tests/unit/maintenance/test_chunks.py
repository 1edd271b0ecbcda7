"""How long chunks are, where they are cut, which are compressed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tidegauge.maintenance import chunks
from tidegauge.maintenance.chunks import Chunk

NOON = datetime(2025, 3, 10, 12, tzinfo=UTC)
MIDNIGHT = NOON.replace(hour=0)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MOST = 700_000


def chunk(
    rows: int | None,
    start: datetime = MIDNIGHT,
    length: timedelta = DAY,
    since: datetime | None = None,
    *,
    compressed: bool = False,
    interval: timedelta = DAY,
) -> Chunk:
    return Chunk("traces", f"chunk {start:%d %H}", start, start + length, since, rows, compressed, interval)


def test_the_rate_is_that_of_the_time_a_chunk_has_been_filled() -> None:
    assert chunks.rows_per_second([chunk(3600, since=NOON - HOUR)], NOON) == 1
    assert chunks.rows_per_second([chunk(43_200)], NOON) == 1


def test_the_rate_is_the_densest_of_the_latest_chunks() -> None:
    days = [chunk(rows, MIDNIGHT - n * DAY) for n, rows in ((1, 86_400), (2, 2 * 86_400), (9, 99 * 86_400), (5, 1), (4, 1))]
    assert chunks.rows_per_second([*days, chunk(100)], NOON) == 2


def test_unknown_sizes_say_nothing_about_the_rate() -> None:
    assert chunks.rows_per_second([chunk(None)], NOON) == 0
    assert chunks.rows_per_second([], NOON) == 0


@pytest.mark.parametrize(
    ("rate", "current", "expected"),
    [
        (0, DAY, DAY),
        (5, DAY, DAY),
        (10, DAY, 12 * HOUR),
        (40, DAY, 3 * HOUR),
        (10_000, DAY, HOUR),
        (1, HOUR, DAY),
        (4, 12 * HOUR, 12 * HOUR),
    ],
)
def test_an_interval_holds_what_arrives_and_does_not_swing(rate: float, current: timedelta, expected: timedelta) -> None:
    assert chunks.fitting_interval(rate, MOST, current, DAY) == expected


def test_the_setting_is_the_longest_interval() -> None:
    assert chunks.fitting_interval(0, MOST, 6 * HOUR, 6 * HOUR) == 6 * HOUR
    assert chunks.fitting_interval(0, MOST, DAY, 10 * DAY) == 10 * DAY


def test_a_chunk_that_would_grow_too_large_is_cut_at_the_next_border() -> None:
    filling = chunk(100_000, since=NOON - timedelta(minutes=10))
    cut = chunks.cut([chunk(5, MIDNIGHT - DAY), filling], HOUR, MOST, NOON + timedelta(minutes=20), 200_000)
    assert cut is not None
    assert (cut.chunk, cut.at) == (filling, NOON + HOUR)


def test_no_chunk_is_cut_that_fits_or_is_too_large_to_rewrite_or_ends_by_then() -> None:
    assert chunks.cut([chunk(100_000)], HOUR, MOST, NOON, 200_000) is None
    assert chunks.cut([chunk(600_000)], HOUR, MOST, NOON, 200_000) is None
    assert chunks.cut([chunk(150_000, NOON, HOUR, since=NOON)], HOUR, 100_000, NOON + HOUR / 2, 200_000) is None


def test_the_oldest_due_chunk_is_compressed_first() -> None:
    old, older, done = chunk(1, MIDNIGHT - 9 * DAY), chunk(1, MIDNIGHT - 10 * DAY), chunk(None, MIDNIGHT - 11 * DAY, compressed=True)
    assert chunks.to_compress([old, older, done, chunk(1)], 7 * DAY, NOON, MOST) == older


def test_recent_unknown_and_oversized_chunks_are_not_compressed() -> None:
    found = [chunk(1, MIDNIGHT - 7 * DAY), chunk(None, MIDNIGHT - 9 * DAY), chunk(MOST + 1, MIDNIGHT - 9 * DAY)]
    assert chunks.to_compress(found, 7 * DAY, NOON, MOST) is None
