"""Analysts' SQL over HTTP: refused or run, and its answer written into a file of bounded size.

The answer is written whole before it is sent. So the database is done with a statement as soon as it can be, however slowly its client
reads; an error is an error and no answer that breaks off; and what cut an answer short is said in front of it. In memory are a mebibyte
of it and what a batch takes, the rest lies in a temporary file.
"""

from __future__ import annotations

import asyncio
import importlib.util
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from tidegauge.errors import InvalidArgument, SqlTooCostly
from tidegauge.model.sql import Bounds, Column, Row
from tidegauge.query import sql_parameters, sql_text
from tidegauge.query.sql_forms import CsvWriter, Ending, Form, JsonWriter, Truncated, Writer
from tidegauge.storage.sql_interface import SqlStore

_IN_MEMORY = 1 << 20


@dataclass(frozen=True, slots=True)
class Question:
    """A statement, values for its parameters, and the form of its answer.

    ``numeric_as_double`` is for Arrow and Parquet: numbers of no declared size as float64, in place of text.
    """

    text: str
    parameters: Mapping[str, object] | Sequence[object] = ()
    form: Form = Form.JSON
    rows: int | None = None
    numeric_as_double: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A file, at its beginning, of ``size`` bytes; who gets it closes it."""

    file: IO[bytes]
    size: int
    ending: Ending


@dataclass(frozen=True, slots=True)
class SqlEndpoint:
    """Where statements are run, and what each may cost."""

    store: SqlStore
    bounds: Bounds

    async def ask(self, question: Question) -> Answer:
        """Run a statement; raises as :func:`ask`."""
        return await ask(self.store, question, self.bounds)


async def ask(store: SqlStore, question: Question, bounds: Bounds) -> Answer:
    """Run a statement. Cancelled, it has ended the statement before it returns.

    Raises:
        InvalidArgument: the request cannot be read.
        SqlFailed, SqlForbidden, SqlTooCostly, Unavailable: as :meth:`SqlStore.run` says.

    """
    sql_text.refuse_by_name(question.text)
    statement = sql_parameters.statement(question.text, question.parameters)
    rows = bounds.rows if question.rows is None else question.rows
    if not 1 <= rows <= bounds.rows:
        raise InvalidArgument(f"max_rows={rows} is not possible here", hint=f"from 1 to {bounds.rows}", parameter="max_rows")
    file = tempfile.SpooledTemporaryFile(_IN_MEMORY, prefix="tidegauge-sql-")  # noqa: SIM115  (the answer's to close)
    try:
        sink = _Sink(_writer(question, file), rows, bounds.bytes)
        await store.run(statement, bounds, sink)
        ending = await asyncio.to_thread(sink.end)
        size = file.seek(0, 2)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return Answer(file, size, ending)


def _writer(question: Question, file: IO[bytes]) -> Writer:
    match question.form:
        case Form.JSON:
            return JsonWriter(file)
        case Form.CSV:
            return CsvWriter(file)
        case form:
            if importlib.util.find_spec("pyarrow") is None:
                raise InvalidArgument(f"format={form.value} needs pyarrow", hint="pip install 'tidegauge[arrow]'", parameter="format")
            from tidegauge.query.sql_arrow import ArrowWriter

            return ArrowWriter(file, parquet=form is Form.PARQUET, numeric_as_double=question.numeric_as_double)


class _Sink:
    """Takes rows until there are enough."""

    def __init__(self, writer: Writer, most_rows: int, most_bytes: int) -> None:
        self._writer = writer
        self._rows_left = most_rows
        self._bytes_left = most_bytes
        self._rows = 0
        self._cost = 0.0
        self._truncated: Truncated | None = None
        self._began_ns = time.monotonic_ns()

    def begin(self, columns: Sequence[Column], cost: float) -> None:
        """Names and types."""
        self._cost = cost
        self._writer.begin(columns)

    def rows(self, rows: Sequence[Row]) -> bool:
        """As many of these as there is room for."""
        taken = rows[: self._rows_left]
        if len(taken) < len(rows):
            self._truncated = Truncated.ROWS
        for place, row in enumerate(taken):
            self._bytes_left -= sum([len(value) for value in row if value is not None])
            if self._bytes_left < 0:
                taken, self._truncated = taken[:place], Truncated.BYTES
                break
        if self._truncated is Truncated.BYTES and not self._rows + len(taken):
            raise SqlTooCostly(
                "the first row is too large for an answer",
                hint="select fewer columns, or left() of long ones; TIDEGAUGE_SQL_MAX_BYTES is the limit",
            )
        self._rows_left -= len(taken)
        self._rows += len(taken)
        self._writer.rows(taken)
        return self._truncated is None

    def end(self) -> Ending:
        """Once the store is done."""
        ending = Ending(self._rows, self._truncated, self._cost, time.monotonic_ns() - self._began_ns)
        self._writer.end(ending)
        return ending
