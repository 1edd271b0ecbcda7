"""Rows of answers as bytes, exactly: what is read back equals what was kept."""

from __future__ import annotations

import json
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Protocol, TypeVar

from tidegauge.model import columns
from tidegauge.model.records import Epoch, LogCount
from tidegauge.model.tiers import StepColumn

Row = TypeVar("Row")

_COUNT = struct.Struct("<I")


class Codec(Protocol[Row]):
    """Of one kind of row."""

    def encode(self, rows: Sequence[Row]) -> bytes:
        """Rows to bytes."""
        ...

    def decode(self, value: bytes) -> Sequence[Row] | None:
        """The rows; None for bytes that are none of :meth:`encode`: then they are read anew."""
        ...

    def cut(self, rows: Sequence[Row], edges: Sequence[int]) -> Iterable[tuple[int, Row]]:
        """Rows that lie between two of the ``edges`` each, which are in order, and the place of the first of these; -1 before all."""
        ...


class StepCodec:
    """Values by step, column after column: group, number of values, of times, untold points, bound; times; values. Little endian.

    A column without times has those of the one before, as most have.
    """

    _HEADER = struct.Struct("<IIIqd")

    def encode(self, rows: Sequence[StepColumn]) -> bytes:
        """See ``Codec``."""
        parts = [_COUNT.pack(len(rows))]
        before: tuple[int, ...] = ()
        for row in rows:
            times = () if row.times == before else row.times
            parts += [
                self._HEADER.pack(row.group, len(row.values), len(times), row.untold, row.below),
                struct.pack(f"<{len(times)}q{len(row.values)}d", *times, *row.values),
            ]
            before = row.times
        return b"".join(parts)

    def decode(self, value: bytes) -> Sequence[StepColumn] | None:
        """See ``Codec``."""
        try:
            (left,) = _COUNT.unpack_from(value)
            offset, rows = _COUNT.size, []
            times: tuple[int, ...] = ()
            for _ in range(left):
                group, count, own, untold, below = self._HEADER.unpack_from(value, offset)
                offset += self._HEADER.size
                if own or not count:
                    times = struct.unpack_from(f"<{own}q", value, offset)
                    offset += 8 * own
                values = struct.unpack_from(f"<{count}d", value, offset)
                offset += 8 * count
                if len(values) != len(times):
                    return None
                rows.append(StepColumn(group, times, values, untold, below))
        except struct.error:
            return None
        return rows if offset == len(value) else None

    def cut(self, rows: Sequence[StepColumn], edges: Sequence[int]) -> Iterable[tuple[int, StepColumn]]:
        """See ``Codec``."""
        return columns.cut(rows, edges)


class CountCodec:
    """Counts of log records: three integers of 8 bytes each, little endian."""

    def encode(self, rows: Sequence[LogCount]) -> bytes:
        """See ``Codec``."""
        return b"".join(struct.pack("<qqq", row.time_unix_nano, row.severity_number, row.count) for row in rows)

    def decode(self, value: bytes) -> Sequence[LogCount] | None:
        """See ``Codec``."""
        return [LogCount(*row) for row in struct.iter_unpack("<qqq", value)] if len(value) % 24 == 0 else None

    def cut(self, rows: Sequence[LogCount], edges: Sequence[int]) -> Iterable[tuple[int, LogCount]]:
        """See ``Codec``."""
        return _placed(rows, edges, attrgetter("time_unix_nano"))


class EpochCodec:
    """Epochs of rollups, as JSON with NaN and Infinity; floats are written so that they are read back as they were."""

    _FIELDS = attrgetter(*Epoch.__slots__)
    _COUNTS = slice(-3, None)

    def encode(self, rows: Sequence[Epoch]) -> bytes:
        """See ``Codec``."""
        return json.dumps([self._FIELDS(row) for row in rows], separators=(",", ":")).encode()

    def decode(self, value: bytes) -> Sequence[Epoch] | None:
        """See ``Codec``."""
        try:
            return [self._epoch(row) for row in json.loads(value)]
        except (ValueError, TypeError):
            return None

    def _epoch(self, row: list[Any]) -> Epoch:
        row[self._COUNTS] = [None if counts is None else tuple(counts) for counts in row[self._COUNTS]]
        return Epoch(*row)

    def cut(self, rows: Sequence[Epoch], edges: Sequence[int]) -> Iterable[tuple[int, Epoch]]:
        """See ``Codec``."""
        return _placed(rows, edges, attrgetter("bucket_unix_nano"))


def _placed(rows: Sequence[Row], edges: Sequence[int], time_ns: Callable[[Row], int]) -> Iterable[tuple[int, Row]]:
    """``Codec.cut`` for rows of one step each, which begins at ``time_ns``."""
    return [(bisect_right(edges, time_ns(row)) - 1, row) for row in rows]
