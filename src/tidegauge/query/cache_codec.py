"""Rows of answers as bytes, exactly: what is read back equals what was kept."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Protocol, TypeVar

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

    def time_ns(self, row: Row) -> int:
        """When the row's step begins."""
        ...


class StepCodec:
    """Values by step, column after column: group, number of values, untold points, bound; times; values. Little endian."""

    _HEADER = struct.Struct("<IIqd")

    def encode(self, rows: Sequence[StepColumn]) -> bytes:
        """See ``Codec``."""
        parts = [_COUNT.pack(len(rows))]
        for row in rows:
            count = len(row.times)
            parts += [
                self._HEADER.pack(row.group, count, row.untold, row.below),
                struct.pack(f"<{count}q{count}d", *row.times, *row.values),
            ]
        return b"".join(parts)

    def decode(self, value: bytes) -> Sequence[StepColumn] | None:
        """See ``Codec``."""
        try:
            (left,) = _COUNT.unpack_from(value)
            offset, rows = _COUNT.size, []
            for _ in range(left):
                group, count, untold, below = self._HEADER.unpack_from(value, offset)
                offset += self._HEADER.size
                found = struct.unpack_from(f"<{count}q{count}d", value, offset)
                offset += 16 * count
                rows.append(StepColumn(group, found[:count], found[count:], untold, below))
        except struct.error:
            return None
        return rows if offset == len(value) else None

    def time_ns(self, row: StepColumn) -> int:
        """See ``Codec``."""
        return row.times[0]


class CountCodec:
    """Counts of log records: three integers of 8 bytes each, little endian."""

    def encode(self, rows: Sequence[LogCount]) -> bytes:
        """See ``Codec``."""
        return b"".join(struct.pack("<qqq", row.time_unix_nano, row.severity_number, row.count) for row in rows)

    def decode(self, value: bytes) -> Sequence[LogCount] | None:
        """See ``Codec``."""
        return [LogCount(*row) for row in struct.iter_unpack("<qqq", value)] if len(value) % 24 == 0 else None

    def time_ns(self, row: LogCount) -> int:
        """See ``Codec``."""
        return row.time_unix_nano


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

    def time_ns(self, row: Epoch) -> int:
        """See ``Codec``."""
        return row.bucket_unix_nano
