"""What statements share that read tiers as planned: parameters of their parts, and columns of values without an object a row."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

from psycopg import AsyncConnection, AsyncCursor
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

from tidegauge.errors import InvalidArgument
from tidegauge.model.query import TimeRange
from tidegauge.model.tiers import Level, Reading
from tidegauge.storage.postgres.reading import timestamp

# pg_type's of timestamptz[], float8[] and int8[], which never change.
_TIMES_OID, _FLOATS_OID, _INTEGERS_OID = 1185, 1022, 1016
# Number of dimensions, flags, element type, length, lower bound: PostgreSQL's array_send().
_HEADER = struct.Struct(">iiIii")
# Microseconds from 1970 to 2000, where PostgreSQL's timestamps begin.
_EPOCH_US = 946_684_800_000_000


def of_columns(connection: AsyncConnection) -> AsyncCursor[Any]:
    """A cursor for ``Database.read`` whose arrays are tuples: of times, floats and integers, without NULLs."""
    cursor = connection.cursor(binary=True)
    cursor.adapters.register_loader(_TIMES_OID, Microseconds)
    cursor.adapters.register_loader(_FLOATS_OID, Floats)
    cursor.adapters.register_loader(_INTEGERS_OID, Integers)
    return cursor


def of_bytes(connection: AsyncConnection) -> AsyncCursor[Any]:
    """A cursor for ``Database.read`` of rows for :func:`unpacked`."""
    return connection.cursor(binary=True)


def unpacked(rows: Sequence[tuple[int, bytes | None, bytes]]) -> Iterator[tuple[int, tuple[int, ...], tuple[float, ...]]]:
    """Groups, times (nanoseconds since the Unix epoch) and values of rows that have both as bytes; no times: those of the row before."""
    times: tuple[int, ...] = ()
    for group, steps, values in rows:
        if steps is not None:
            times = tuple([(value + _EPOCH_US) * 1000 for value in struct.unpack(f">{len(steps) // 8}q", steps)])
        yield group, times, struct.unpack(f">{len(values) // 8}d", values)


def step_parameters(reading: Reading) -> dict[str, object]:
    """``start``, and of steps of one width ``step``, of others ``edges``."""
    edges = reading.steps.edges
    is_fixed = isinstance(edges, range)
    return {
        "start": timestamp(edges[0]),
        "step": timedelta(microseconds=edges.step // 1000) if isinstance(edges, range) else None,
        "edges": None if is_fixed else [timestamp(edge) for edge in edges],
    }


def tier_parameters(reading: Reading, neighbourhoods: Mapping[Level, int]) -> dict[str, object]:
    """What bounds each tier's part of a statement, which reads each in so many neighbourhoods, numbered from 1.

    ``<tier><n>_from`` and ``<tier><n>_to``, equal for nothing; of rollups, where there are holes in between, ``<tier><n>_parts``, starts
    and ends in turn; of raw data ``raw<n>_starts`` and ``raw<n>_ends``.
    """
    found: dict[str, object] = {}
    for level, most in neighbourhoods.items():
        for number, ranges in enumerate(_neighbourhoods(reading.ranges(level), most), 1):
            name = f"{level.value}{number}"
            found |= _bounds(name, ranges) | (_raw_parts if level is Level.RAW else _parts)(name, ranges)
    return found


def _parts(name: str, ranges: Sequence[TimeRange]) -> dict[str, object]:
    edges = [edge for one in ranges for edge in (one.start_ns, one.end_ns)]
    # A level may go on where the first step begins.
    has_holes = any(one != other for one, other in zip(edges[1:-1:2], edges[2:-1:2], strict=True))
    return {f"{name}_parts": [timestamp(edge) for edge in edges] if has_holes else None}


def _raw_parts(name: str, ranges: Sequence[TimeRange]) -> dict[str, object]:
    return {f"{name}_starts": [timestamp(one.start_ns) for one in ranges], f"{name}_ends": [timestamp(one.end_ns) for one in ranges]}


def _bounds(name: str, ranges: Sequence[TimeRange]) -> dict[str, object]:
    start, end = (ranges[0].start_ns, ranges[-1].end_ns) if ranges else (0, 0)
    return {f"{name}_from": timestamp(start), f"{name}_to": timestamp(end)}


def _neighbourhoods(ranges: Sequence[TimeRange], most: int) -> list[Sequence[TimeRange]]:
    """The ranges cut at the widest gaps between them into ``most`` parts, of which the last may be empty."""
    gaps = sorted(range(1, len(ranges)), key=lambda place: ranges[place - 1].end_ns - ranges[place].start_ns)
    parts = [ranges[start:end] for start, end in pairwise([0, *sorted(gaps[: most - 1]), len(ranges)])]
    return parts + [()] * (most - len(parts))


def too_many_values(limit: int) -> InvalidArgument:
    """The answer would have more than ``limit`` values."""
    return InvalidArgument(
        f"the answer would have more than {limit} points in all",
        hint="narrow the series by match= or service=, group them by group_by=, or ask for a longer step or a shorter range",
    )


class Microseconds(Loader):
    """timestamptz[] without NULLs as nanoseconds since the Unix epoch, which are whole microseconds."""

    format = Format.BINARY
    # The row before nearly always has the same ones.
    _before: tuple[bytes, tuple[int, ...]] = b"", ()

    def load(self, data: Buffer) -> tuple[int, ...]:
        """The elements; the same tuple as before where they are the same."""
        text = bytes(data)
        if text != self._before[0]:
            self._before = text, tuple([(value + _EPOCH_US) * 1000 for value in _elements(text, "q")])
        return self._before[1]


class Floats(Loader):
    """float8[] without NULLs."""

    format = Format.BINARY

    def load(self, data: Buffer) -> tuple[float, ...]:
        """The elements."""
        return _elements(data, "d")


class Integers(Loader):
    """int8[] without NULLs."""

    format = Format.BINARY

    def load(self, data: Buffer) -> tuple[int, ...]:
        """The elements."""
        return _elements(data, "q")


def _elements(data: Buffer, kind: str) -> tuple[int, ...]:
    if len(data) < _HEADER.size:
        return ()
    # Each stands behind its length, 8.
    return struct.unpack_from(">" + f"4x{kind}" * _HEADER.unpack_from(data)[3], data, _HEADER.size)
