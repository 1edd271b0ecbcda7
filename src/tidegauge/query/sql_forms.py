"""Forms of an answer: JSON and CSV. Each writes its rows into a file as they come, and knows how to end it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import IO, Protocol

import orjson

from tidegauge.model.sql import Column, Row
from tidegauge.query import sql_values

_QUOTED = (b",", b'"', b"\r", b"\n")


class Form(Enum):
    """How an answer is written."""

    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"
    PARQUET = "parquet"


MEDIA_TYPES = {
    Form.JSON: "application/json",
    Form.CSV: "text/csv; charset=utf-8; header=present",
    # https://www.iana.org/assignments/media-types/application/vnd.apache.arrow.stream
    Form.ARROW: "application/vnd.apache.arrow.stream",
    Form.PARQUET: "application/vnd.apache.parquet",
}


class Truncated(Enum):
    """Which limit cut an answer short."""

    ROWS = "rows"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Ending:
    """What is known once all rows are written. ``truncated``: None where these are all rows."""

    rows: int
    truncated: Truncated | None
    cost: float
    elapsed_ns: int


class Writer(Protocol):
    """Writes an answer into a file."""

    def begin(self, columns: Sequence[Column]) -> None:
        """Before any row."""

    def rows(self, rows: Sequence[Row]) -> None:
        """Some rows."""

    def end(self, ending: Ending) -> None:
        """Behind the last row; the file stays open."""


class JsonWriter:
    """``{"columns": […], "rows": [[…], …], "row_count": …, "truncated": …}``."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._to_json: Sequence[sql_values.ToJson] = ()
        self._first = True

    def begin(self, columns: Sequence[Column]) -> None:
        """Names and types."""
        self._to_json = [sql_values.to_json(column) for column in columns]
        described = [{"name": column.name, "type": column.type} for column in columns]
        self._file.write(b'{"columns":' + orjson.dumps(described) + b',"rows":[')

    def rows(self, rows: Sequence[Row]) -> None:
        """Each an array."""
        written = [
            b"[" + b",".join([b"null" if value is None else make(value) for make, value in zip(self._to_json, row, strict=True)]) + b"]"
            for row in rows
        ]
        if written:
            self._file.write((b"\n" if self._first else b",\n") + b",\n".join(written))
            self._first = False

    def end(self, ending: Ending) -> None:
        """Close the document."""
        told = {
            "row_count": ending.rows,
            "truncated": None if ending.truncated is None else ending.truncated.value,
            "cost": ending.cost,
            "elapsed_ns": ending.elapsed_ns,
        }
        self._file.write(b"]," + orjson.dumps(told)[1:])


class CsvWriter:
    """RFC 4180, with a header line. As COPY writes it: NULL is nothing, an empty text is ``""``."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._plain: Sequence[object] = ()

    def begin(self, columns: Sequence[Column]) -> None:
        """The header."""
        self._plain = [sql_values.plain(column) or bytes for column in columns]
        self._line([column.name.encode() for column in columns])

    def rows(self, rows: Sequence[Row]) -> None:
        """A line each."""
        for row in rows:
            self._line([None if value is None else make(value) for make, value in zip(self._plain, row, strict=True)])  # type: ignore[operator]

    def end(self, ending: Ending) -> None:
        """Nothing: it is said in headers."""

    def _line(self, values: Sequence[bytes | None]) -> None:
        self._file.write(b",".join([b"" if value is None else _field(value) for value in values]) + b"\r\n")


def _field(value: bytes) -> bytes:
    if value and not any(mark in value for mark in _QUOTED):
        return value
    return b'"' + value.replace(b'"', b'""') + b'"'
