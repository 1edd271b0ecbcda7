"""SQL of the operations: names and literals quoted, so that it can be executed and printed (``--sql``) alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TypeAlias

from sqlalchemy import TextClause, text
from sqlalchemy.dialects import postgresql

Interval: TypeAlias = str | timedelta | int
"""PostgreSQL's interval as text (``"1 day"``) or a timedelta; a number where the time column is an integer."""

_PREPARER = postgresql.dialect().identifier_preparer  # type: ignore[no-untyped-call]


def name(table: str, schema: str | None = None) -> str:
    """A relation's name, quoted where it has to be."""
    quoted: str = _PREPARER.quote(table)
    return quoted if schema is None else f"{_PREPARER.quote(schema)}.{quoted}"


def names(columns: Sequence[str]) -> str:
    """Columns' names, for use between parentheses."""
    return ", ".join(_PREPARER.quote(column) for column in columns)


def literal(value: str) -> str:
    """A string constant (PostgreSQL, 4.1.2.1): quotes doubled, and the escaped form where there is a backslash."""
    quoted = value.replace("'", "''")
    return f"E'{quoted}'".replace("\\", "\\\\") if "\\" in value else f"'{quoted}'"


def relation(table: str, schema: str | None = None) -> str:
    """A relation as an argument of a function."""
    return f"{literal(name(table, schema))}::regclass"


def interval(value: Interval) -> str:
    """An interval, or an integer."""
    if isinstance(value, timedelta):
        return f"INTERVAL '{value.days} days {value.seconds}.{value.microseconds:06d} seconds'"
    return str(value) if isinstance(value, int) else f"INTERVAL {literal(value)}"


def constant(value: object) -> str:
    """An argument: None, a truth value, an interval (timedelta, int) or a string."""
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value).lower()
        case timedelta() | int():
            return interval(value)
        case _:
            return literal(str(value))


def call(function: str, *arguments: str, **named: str | None) -> str:
    """``function(a, b, name => c)``; named arguments that are None are left out."""
    given = [*arguments, *(f"{key} => {value}" for key, value in named.items() if value is not None)]
    return f"{function}({', '.join(given)})"


def options(values: Mapping[str, object]) -> str:
    """Storage parameters ``timescaledb.key = value``, for WITH and SET; None is left out."""
    return ", ".join(f"timescaledb.{key} = {constant(value)}" for key, value in values.items() if value is not None)


def statement(sql: str) -> TextClause:
    """The statement as it is: no colon in it is a parameter's."""
    return text(sql.replace(":", "\\:"))
