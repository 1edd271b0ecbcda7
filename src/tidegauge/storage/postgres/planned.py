"""What statements share that read tiers as planned: parameters of their parts, and columns of values without an object a row."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

from tidegauge.errors import InvalidArgument
from tidegauge.model.tiers import Level, Reading
from tidegauge.storage.postgres.reading import timestamp

# pg_type's of timestamptz[], float8[] and int8[], which never change.
TIMES_OID, FLOATS_OID, INTEGERS_OID = 1185, 1022, 1016
# Number of dimensions, flags, element type, length, lower bound: PostgreSQL's array_send().
_HEADER = struct.Struct(">iiIii")
# Microseconds from 1970 to 2000, where PostgreSQL's timestamps begin.
_EPOCH_US = 946_684_800_000_000


def tier_parameters(reading: Reading, levels: Sequence[Level]) -> dict[str, object]:
    """``<tier>_from`` and ``<tier>_to``, equal for nothing; where there are holes in between ``<tier>_parts``, starts and ends in turn."""
    found: dict[str, object] = {}
    for level in levels:
        ranges = reading.ranges(level)
        start, end = (ranges[0].start_ns, ranges[-1].end_ns) if ranges else (0, 0)
        # A level may go on where the first step begins.
        edges = [edge for one in ranges for edge in (one.start_ns, one.end_ns)]
        has_holes = any(one != other for one, other in zip(edges[1:-1:2], edges[2:-1:2], strict=True))
        found |= {
            f"{level.value}_from": timestamp(start),
            f"{level.value}_to": timestamp(end),
            f"{level.value}_parts": [timestamp(edge) for edge in edges] if has_holes else None,
        }
    return found


def too_many_values(limit: int) -> InvalidArgument:
    """The answer would have more than ``limit`` values."""
    return InvalidArgument(
        f"the answer would have more than {limit} points in all",
        hint="narrow the series by match= or service=, group them by group_by=, or ask for a longer step or a shorter range",
    )


class Microseconds(Loader):
    """timestamptz[] without NULLs as nanoseconds since the Unix epoch, which are whole microseconds."""

    format = Format.BINARY

    def load(self, data: Buffer) -> tuple[int, ...]:
        """The elements."""
        return tuple([(value + _EPOCH_US) * 1000 for value in _elements(data, "q")])


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
