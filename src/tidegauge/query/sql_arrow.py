"""Answers as Arrow (IPC stream) and Parquet. Only what makes one imports pyarrow.

Types: numbers by their width; numeric(p, s) is decimal128 up to 38 digits, numeric without a size is text, or float64 where that was
asked for; timestamptz is timestamp[us, UTC]; date32, time64[us]; bytea is binary; json and jsonb, uuid, interval and all else are text;
arrays of one dimension are lists. Each field's metadata has PostgreSQL's name of its type under ``postgresql.type``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import time
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from tidegauge.errors import SqlFailed
from tidegauge.model.sql import Column, Kind, Row
from tidegauge.query import sql_values
from tidegauge.query.sql_forms import Ending

# Of Arrow's batches and Parquet's row groups: enough to be read fast, little enough to be held.
_BATCH_ROWS = 16_384
_BATCH_BYTES = 4 << 20
_MOST_DIGITS = 38

_TYPES = {
    Kind.BOOLEAN: pa.bool_(),
    Kind.INT16: pa.int16(),
    Kind.INT32: pa.int32(),
    Kind.INT64: pa.int64(),
    Kind.UINT32: pa.uint32(),
    Kind.FLOAT32: pa.float32(),
    Kind.FLOAT64: pa.float64(),
    Kind.TIMESTAMPTZ: pa.timestamp("us", "UTC"),
    Kind.TIMESTAMP: pa.timestamp("us"),
    Kind.DATE: pa.date32(),
    Kind.TIME: pa.time64("us"),
    Kind.BYTES: pa.binary(),
}


class _ParquetWriter(pq.ParquetWriter):  # type: ignore[misc]
    """Ended by who uses it alone: theirs writes its end, when it is forgotten, into the closed file of an answer that failed."""

    def __del__(self) -> None:
        """Nothing."""


class ArrowWriter:
    """An Arrow IPC stream, or a Parquet file.

    Args:
        file: where it goes.
        parquet: which of the two.
        numeric_as_double: numbers without a declared size as float64, in place of text.

    """

    def __init__(self, file: IO[bytes], *, parquet: bool, numeric_as_double: bool) -> None:
        self._file = file
        self._parquet = parquet
        self._numeric_as_double = numeric_as_double
        self._columns: Sequence[Column] = ()
        self._schema: Any = None
        self._writer: Any = None
        self._waiting: list[Row] = []
        self._bytes = 0

    def begin(self, columns: Sequence[Column]) -> None:
        """The schema."""
        self._columns = columns
        self._schema = pa.schema([pa.field(each.name, self._type(each), metadata={"postgresql.type": each.type}) for each in columns])
        # Not sink by name: what is written goes through Python's file, which may lie on disk.
        make = _ParquetWriter if self._parquet else pa.ipc.new_stream
        options = {"compression": "zstd"} if self._parquet else {}
        self._writer = make(pa.PythonFile(self._file, mode="w"), self._schema, **options)

    def rows(self, rows: Sequence[Row]) -> None:
        """Gathered until they make a batch."""
        self._waiting.extend(rows)
        self._bytes += sum(len(value) for row in rows for value in row if value is not None)
        if len(self._waiting) >= _BATCH_ROWS or self._bytes >= _BATCH_BYTES:
            self._write()

    def end(self, ending: Ending) -> None:
        """The last batch and the end mark."""
        if self._waiting:
            self._write()
        self._writer.close()

    def _write(self) -> None:
        values = list(zip(*self._waiting, strict=True)) or [() for _ in self._columns]
        arrays = [self._array(column, field.type, each) for column, field, each in zip(self._columns, self._schema, values, strict=True)]
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._waiting, self._bytes = [], 0

    def _type(self, column: Column) -> Any:
        one = self._decimal(column) if column.kind is Kind.DECIMAL else _TYPES.get(column.kind, pa.string())
        return pa.list_(one) if column.is_array else one

    def _decimal(self, column: Column) -> Any:
        if column.precision is not None and column.precision <= _MOST_DIGITS and 0 <= column.scale <= column.precision:
            return pa.decimal128(column.precision, column.scale)
        return pa.float64() if self._numeric_as_double else pa.string()

    def _array(self, column: Column, wanted: Any, values: Sequence[bytes | None]) -> Any:
        try:
            return _lists(column, wanted, values) if column.is_array else _scalars(column, wanted, values)
        except (pa.ArrowException, ValueError, OverflowError) as error:
            raise SqlFailed(
                f"the column {column.name!r} ({column.type}) has a value that Arrow has no form for: {str(error)[:200]}",
                hint="infinite times, years BC and arrays of several dimensions are such: cast the column to text",
            ) from error


def _scalars(column: Column, wanted: Any, values: Sequence[bytes | None]) -> Any:
    if column.kind is Kind.BYTES:
        return pa.array([None if value is None else bytes.fromhex(value[2:].decode()) for value in values], wanted)
    if column.kind is Kind.BOOLEAN:
        return pa.array([None if value is None else value == b"t" for value in values], wanted)
    if column.kind is Kind.TIME:
        return pa.array([None if value is None else time.fromisoformat(value.decode()) for value in values], wanted)
    make = _REWRITTEN.get(column.kind)
    texts = [None if value is None else (value if make is None else make(value)).decode(errors="replace") for value in values]
    found = pa.array(texts, pa.string())
    return found if pa.types.is_string(wanted) else found.cast(wanted)


def _lists(column: Column, wanted: Any, values: Sequence[bytes | None]) -> Any:
    offsets: list[int | None] = []
    flat: list[bytes | None] = []
    for value in values:
        offsets.append(None if value is None else len(flat))
        for element in () if value is None else sql_values.elements_of(value, column.delimiter.encode()):
            if isinstance(element, list):
                raise pa.ArrowInvalid("an array of several dimensions")
            flat.append(element)
    return pa.ListArray.from_arrays(pa.array([*offsets, len(flat)], pa.int32()), _scalars(column, wanted.value_type, flat), wanted)


_REWRITTEN: dict[Kind, Callable[[bytes], bytes]] = {Kind.TIMESTAMPTZ: sql_values.timestamptz, Kind.TIMESTAMP: sql_values.timestamp}
