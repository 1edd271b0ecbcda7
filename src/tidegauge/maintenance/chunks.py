"""How long chunks should be, where to cut one that would grow too large, and which to compress. No I/O.

Without background workers whatever rewrites a chunk holds the database as long as the chunk is large: so chunks are kept small.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
# Divisors of a day and whole days: borders of old and new chunks meet at midnight.
_LENGTHS = tuple(_HOUR * hours for hours in (1, 2, 3, 4, 6, 8, 12, 24)) + tuple(_DAY * days for days in (2, 7, 14, 30))
# What rewriting a span's row takes, measured; a metric point takes a third of it.
REWRITE_SECONDS_A_ROW = 6e-6
# A chunk is planned this much smaller than allowed: load changes.
_HEADROOM = 0.7
_RECENT = 4
_YOUNGEST = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk of a hypertable of ours that holds raw data.

    Attributes:
        table: the hypertable's name, without schema.
        relation: the chunk's schema-qualified name.
        start, end: the time it covers, end excluded.
        filled_since: the earliest row at its last ANALYZE, else when it was made; None where neither is known.
        rows: estimate; None before its first ANALYZE and for compressed chunks.
        is_compressed: all of it lies in the columnstore.
        interval: how long the hypertable makes chunks now.

    """

    table: str
    relation: str
    start: datetime
    end: datetime
    filled_since: datetime | None
    rows: int | None
    is_compressed: bool
    interval: timedelta


@dataclass(frozen=True, slots=True)
class Cut:
    """Make two chunks of one, and drop the later one where it is empty: rows to come then get chunks of the new length."""

    chunk: Chunk
    at: datetime


def rows_per_second(chunks: Iterable[Chunk], now: datetime) -> float:
    """The densest of a table's latest chunks: rows for each second that it covers, or has covered so far."""
    latest = sorted((chunk for chunk in chunks if chunk.rows is not None and chunk.start <= now), key=lambda chunk: chunk.start)
    return max((_density(chunk, now) for chunk in latest[-_RECENT:]), default=0.0)


def _density(chunk: Chunk, now: datetime) -> float:
    begin = chunk.start
    if chunk.end > now and chunk.filled_since is not None:
        # A day's chunk that got its first row at 15:00 does not spread its rows from midnight.
        begin = max(begin, min(chunk.filled_since, now))
    covered = max(min(chunk.end, now) - begin, _YOUNGEST)
    return (chunk.rows or 0) / covered.total_seconds()


def fitting_interval(rate: float, max_rows: int, current: timedelta, ceiling: timedelta) -> timedelta:
    """The longest interval, an hour to ``ceiling``, whose chunks stay below ``max_rows`` at ``rate`` rows a second.

    A longer one than ``current`` is chosen only where it leaves half of the room free, or the interval would swing.
    """
    lengths = [length for length in _LENGTHS if length < ceiling] + [ceiling]
    room = max_rows * _HEADROOM
    fitting = lengths[0]
    for length in lengths:
        rows = rate * length.total_seconds()
        if rows <= (room if length <= current else room / 2):
            fitting = length
    return fitting


def cut(chunks: Iterable[Chunk], interval: timedelta, max_rows: int, now: datetime, affordable_rows: int) -> Cut | None:
    """Where to cut the chunk that is being filled, if at its rate it would exceed ``max_rows`` and has at most ``affordable_rows`` now."""
    for chunk in chunks:
        if not chunk.start <= now < chunk.end or chunk.is_compressed or chunk.rows is None:
            continue
        at = _border_after(now, interval)
        at_its_end = chunk.rows + _density(chunk, now) * (chunk.end - now).total_seconds()
        if at < chunk.end and at_its_end > max_rows and chunk.rows <= affordable_rows:
            return Cut(chunk, at)
    return None


def _border_after(moment: datetime, interval: timedelta) -> datetime:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + interval * ((moment - midnight) // interval + 1)


def to_compress(chunks: Sequence[Chunk], compress_after: timedelta, now: datetime, affordable_rows: int) -> Chunk | None:
    """The oldest chunk that is due for the columnstore and small enough to be rewritten at once; unknown sizes wait for ANALYZE."""
    due = [chunk for chunk in chunks if not chunk.is_compressed and chunk.end <= now - compress_after]
    affordable = [chunk for chunk in due if chunk.rows is not None and chunk.rows <= affordable_rows]
    return min(affordable, key=lambda chunk: chunk.end, default=None)
