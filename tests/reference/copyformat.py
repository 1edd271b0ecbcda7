"""Reads binary COPY (PostgreSQL documentation, COPY, "Binary Format"); values in the types' send/recv form."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Read = Callable[[bytes], Any]
STATEMENTS = Path(__file__).parents[2] / "sql/queries/ingest.sql"
POSTGRES_EPOCH_US = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000


def column_names(table: str) -> list[str]:
    """The columns of a table in the order of its COPY statement."""
    found = re.search(rf"COPY tidegauge\.{table} \(([^)]*)\)", STATEMENTS.read_text(encoding="utf-8"))
    assert found is not None
    return [name.strip() for name in found[1].split(",")]


def read_rows(table: str, stream: bytes, types: dict[str, Read]) -> list[dict[str, Any]]:
    """The rows of a whole stream for a table; each column by the reader of its name."""
    names = column_names(table)
    found = []
    for values in _rows(stream):
        assert len(values) == len(names)
        found.append({name: None if raw is None else types[name](raw) for name, raw in zip(names, values, strict=True)})
    return found


def _rows(stream: bytes) -> Iterator[list[bytes | None]]:
    signature, flags, extension = struct.unpack_from(">11sii", stream)
    assert (signature, flags, extension) == (b"PGCOPY\n\xff\r\n\0", 0, 0)
    place = 19
    while (count := struct.unpack_from(">h", stream, place)[0]) != -1:
        place += 2
        values: list[bytes | None] = []
        for _ in range(count):
            (length,) = struct.unpack_from(">i", stream, place)
            place += 4
            assert -1 <= length <= len(stream) - place
            values.append(None if length == -1 else stream[place : place + length])
            place += max(length, 0)
        yield values
    assert place + 2 == len(stream)


def whole(size: int) -> Read:
    """smallint, integer or bigint, of so many bytes."""

    def read(raw: bytes) -> int:
        assert len(raw) == size
        return int.from_bytes(raw, "big", signed=True)

    return read


def float8(raw: bytes) -> float:
    """double precision."""
    return float(struct.unpack(">d", raw)[0])


def timestamptz(raw: bytes) -> int:
    """Microseconds since 1970."""
    return whole(8)(raw) + POSTGRES_EPOCH_US


def text(raw: bytes) -> str:
    """text: NUL is none of its characters."""
    assert b"\0" not in raw
    return raw.decode()


def jsonb(raw: bytes) -> Any:
    """jsonb, version 1: no NUL in its strings either."""
    assert raw[0] == 1
    found = json.loads(raw[1:])
    assert not _has_nul(found)
    return found


def _has_nul(value: Any) -> bool:
    if isinstance(value, dict):
        return any("\0" in key or _has_nul(item) for key, item in value.items())
    return any(map(_has_nul, value)) if isinstance(value, list) else isinstance(value, str) and "\0" in value


def array(oid: int, element: Read) -> Read:
    """A one-dimensional array without NULLs, of elements of the type with this OID."""

    def read(raw: bytes) -> tuple[Any, ...]:
        dimensions, nulls, found_oid = struct.unpack_from(">iii", raw)
        assert (nulls, found_oid) == (0, oid)
        if dimensions == 0:
            assert len(raw) == 12
            return ()
        size, lower = struct.unpack_from(">ii", raw, 12)
        assert (dimensions, lower) == (1, 1)
        elements, place = [], 20
        for _ in range(size):
            (length,) = struct.unpack_from(">i", raw, place)
            elements.append(element(raw[place + 4 : place + 4 + length]))
            place += 4 + length
        assert place == len(raw)
        return tuple(elements)

    return read
