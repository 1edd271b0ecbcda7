"""Single values in PostgreSQL's binary send/recv form, each with its length before it (documentation of COPY, "Binary Format")."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct, pack

NULL = b"\xff\xff\xff\xff"
EPOCH_US = 946_684_800_000_000  # 2000-01-01, PostgreSQL's zero, in Unix microseconds
JSONB_VERSION = 1
OID_INT4, OID_INT8, OID_FLOAT8 = 23, 20, 701
_INT32_MAX = 2**31 - 1

length = Struct(">i").pack
int8 = Struct(">iq").pack
float8 = Struct(">id").pack
int4 = Struct(">ii").pack
jsonb_head = Struct(">ib").pack
_empty_array = Struct(">iiii").pack


def text(value: str) -> bytes:
    """A text value with its length."""
    raw = value.encode()
    return length(len(raw)) + raw


class Texts(dict[str, bytes]):
    """Encoded texts of one buffer: names repeat."""

    def __missing__(self, value: str) -> bytes:
        encoded = self[value] = text(value)
        return encoded


def us(nanoseconds: int) -> int:
    """Microseconds since PostgreSQL's epoch, of nanoseconds since Unix' (rounded down)."""
    return nanoseconds // 1000 - EPOCH_US


def optional_time(nanoseconds: int | None) -> bytes:
    """A timestamptz or NULL."""
    return int8(8, us(nanoseconds)) if nanoseconds is not None else NULL


def optional_float(value: float | None) -> bytes:
    """A double precision or NULL."""
    return float8(8, value) if value is not None else NULL


def as_int4(unsigned: int) -> int:
    """An unsigned 32-bit number in a signed column, bits unchanged."""
    return unsigned if unsigned <= _INT32_MAX else unsigned - (1 << 32)


def bytea(value: bytes | None) -> bytes:
    """A bytea or NULL."""
    return length(len(value)) + value if value is not None else NULL


def jsonb(value: bytes | None) -> bytes:
    """A jsonb, of JSON in UTF-8, or NULL."""
    return jsonb_head(len(value) + 1, JSONB_VERSION) + value if value is not None else NULL


def counts(values: tuple[int, ...] | None) -> bytes:
    """A bigint[] or NULL."""
    return NULL if values is None else array(OID_INT8, "q", 8, values)


def array(oid: int, kind: str, width: int, values: Sequence[float]) -> bytes:
    """A one-dimensional array without nulls (array_recv in PostgreSQL's arrayfuncs.c)."""
    size = len(values)
    if not size:
        return _empty_array(12, 0, 0, oid)
    flat: list[float] = [width] * (2 * size)
    flat[1::2] = values
    # The module keeps the structures of the last hundred formats.
    return pack(f">iiiiii{('i' + kind) * size}", 20 + (4 + width) * size, 1, 0, oid, size, 1, *flat)
