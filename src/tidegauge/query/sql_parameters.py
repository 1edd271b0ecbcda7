"""JSON values as parameters of SQL: bound, never put into its text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from tidegauge.errors import InvalidArgument
from tidegauge.model.sql import Parameter, Statement
from tidegauge.query.sql_text import with_numbers

MAX_PARAMETERS = 1000
# Types by oid (pg_type.dat). Text, null and lists have none: their place gives them their type, as it does a quoted constant.
_BOOL, _INT4, _INT8, _FLOAT8, _NUMERIC = 16, 23, 20, 701, 1700


def statement(text: str, given: Mapping[str, object] | Sequence[object]) -> Statement:
    """A statement with values for its ``:names`` (an object), or for ``$1`` … (an array).

    Raises:
        InvalidArgument: a value cannot be one, or stands for nothing.

    """
    if len(given) > MAX_PARAMETERS:
        raise InvalidArgument(f"there are {len(given)} parameters", hint=f"{MAX_PARAMETERS} are the most", parameter="parameters")
    try:
        return _statement(text, given)
    except (RecursionError, orjson.JSONEncodeError) as error:
        raise InvalidArgument(
            "a parameter is nested too deeply", hint="give a document as a string: $1::jsonb", parameter="parameters"
        ) from error


def _statement(text: str, given: Mapping[str, object] | Sequence[object]) -> Statement:
    if isinstance(given, Mapping):
        numbered, names = with_numbers(text, given) if given else (text, [])
        return Statement(numbered, [_parameter(given[name]) for name in names])
    return Statement(text, [_parameter(value) for value in given])


def _parameter(value: object) -> Parameter:
    match value:
        case None:
            return Parameter(None)
        case bool():
            return Parameter("true" if value else "false", _BOOL)
        case int():
            return Parameter(str(value), _INT4 if -(1 << 31) <= value < 1 << 31 else _INT8 if -(1 << 63) <= value < 1 << 63 else _NUMERIC)
        case float():
            return Parameter(repr(value), _FLOAT8)
        case str():
            return Parameter(_text(value))
        case list():
            return Parameter(_array(value))
        case _:
            # An object: for jsonb.
            return Parameter(_text(orjson.dumps(value).decode()))


def _text(value: str) -> str:
    if "\0" in value:
        raise InvalidArgument("no NUL character is expected in a parameter", parameter="parameters")
    return value


def _array(values: Sequence[object]) -> str:
    """PostgreSQL's text form of an array (its manual, 8.15.6); lists in lists are further dimensions."""
    return f"{{{','.join(map(_element, values))}}}"


def _element(value: object) -> str:
    if isinstance(value, list):
        return _array(value)
    text = _parameter(value).text
    if text is None:
        return "NULL"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
