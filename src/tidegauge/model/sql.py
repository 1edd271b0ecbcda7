"""Analysts' SQL: what is asked, what the answer's columns are, and what it may cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """How a column's values are to be read from PostgreSQL's text form of them."""

    BOOLEAN = "boolean"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT32 = "uint32"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    DECIMAL = "decimal"
    TIMESTAMPTZ = "timestamptz"
    TIMESTAMP = "timestamp"
    DATE = "date"
    TIME = "time"
    BYTES = "bytes"
    JSON = "json"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Column:
    """Of an answer.

    Attributes:
        name: as the statement names it; need not be unique.
        type: as PostgreSQL writes it, such as ``numeric(10,2)`` or ``text[]``.
        kind: of its values, or of an array's elements.
        is_array: values are arrays of ``kind``.
        delimiter: between elements.
        precision: digits of a DECIMAL of declared size, with ``scale`` of them behind the point; None: any number.

    """

    name: str
    type: str
    kind: Kind
    is_array: bool = False
    delimiter: str = ","
    precision: int | None = None
    scale: int = 0


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value for ``$n``: PostgreSQL's text form (None: NULL) and the oid of its type; 0: as a quoted constant, its place says."""

    text: str | None
    type_oid: int = 0


@dataclass(frozen=True, slots=True)
class Statement:
    """One SELECT with ``$1`` … in place of values."""

    text: str
    parameters: Sequence[Parameter] = ()


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one statement: seconds it may take, cost of its plan in EXPLAIN's units, most rows, most bytes of the answer and of one row."""

    seconds: float
    cost: float
    rows: int
    bytes: int


# A row as PostgreSQL writes its values; None is NULL.
Row = Sequence[bytes | None]
