"""Values as PostgreSQL writes them (text form) as JSON, and arrays taken apart.

JSON is what PostgreSQL's own ``to_json`` makes: numbers stay numbers, digit for digit (``numeric`` too), json and jsonb stand as they are,
arrays are arrays, all else is text. Times are RFC 3339.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import orjson

from tidegauge.errors import SqlFailed
from tidegauge.model.sql import Column, Kind

Elements = list["bytes | None | Elements"]
ToJson = Callable[[bytes], bytes]

_NUMBERS = frozenset({Kind.INT16, Kind.INT32, Kind.INT64, Kind.UINT32, Kind.FLOAT32, Kind.FLOAT64, Kind.DECIMAL})


def _number(value: bytes) -> bytes:
    # Infinity and NaN are no JSON numbers.
    return b'"' + value + b'"' if value[-1:] in b"yN" else value


def _boolean(value: bytes) -> bytes:
    return b"true" if value == b"t" else b"false"


def _text(value: bytes) -> bytes:
    return orjson.dumps(value.decode(errors="replace"))


def timestamptz(value: bytes) -> bytes:
    """``2026-01-31 12:00:00+00`` (ISO, in UTC) as RFC 3339; what has no such form (infinity, years BC) as it is."""
    return value[:-3].replace(b" ", b"T", 1) + b"Z" if value.endswith(b"+00") else value


def timestamp(value: bytes) -> bytes:
    """Without a zone."""
    return value if value.endswith(b"BC") else value.replace(b" ", b"T", 1)


def plain(column: Column) -> Callable[[bytes], bytes] | None:
    """How a value is written where everything is text (CSV); None: as it is."""
    if column.is_array:
        return None
    return {Kind.TIMESTAMPTZ: timestamptz, Kind.TIMESTAMP: timestamp, Kind.BOOLEAN: _boolean}.get(column.kind)


def to_json(column: Column) -> ToJson:
    """What makes JSON of a column's values."""
    one = _of_kind(column.kind)
    return partial(_array, one, column.delimiter.encode()) if column.is_array else one


def _of_kind(kind: Kind) -> ToJson:
    if kind in _NUMBERS:
        return _number
    match kind:
        case Kind.BOOLEAN:
            return _boolean
        case Kind.JSON:
            return bytes
        case Kind.TIMESTAMPTZ:
            return lambda value: b'"' + timestamptz(value) + b'"'
        case Kind.TIMESTAMP:
            return lambda value: b'"' + timestamp(value) + b'"'
        case _:
            return _text


def _array(one: ToJson, delimiter: bytes, value: bytes) -> bytes:
    def written(elements: Elements) -> bytes:
        parts = [
            b"null" if each is None else written(each) if isinstance(each, list) else one(each)
            for each in elements
        ]  # fmt: skip
        return b"[" + b",".join(parts) + b"]"

    return written(elements_of(value, delimiter))


def elements_of(value: bytes, delimiter: bytes = b",") -> Elements:
    """An array's elements; arrays of more dimensions hold lists.

    Source: PostgreSQL's manual, 8.15.6 (Array Input and Output Syntax).

    Raises:
        SqlFailed: this is no array.

    """
    text = value.decode()
    if text.startswith("["):
        # Bounds that do not begin at 1: [2:3]={…}. The elements are the same.
        text = text[text.index("=") + 1 :]
    tokens = _tokens(text, delimiter.decode())
    if next(tokens, None) != ("{", False):
        raise SqlFailed("an array cannot be read")
    return _elements(tokens, 0)


def _elements(tokens: Iterator[tuple[str, bool]], depth: int) -> Elements:
    found: Elements = []
    # PostgreSQL's arrays have six dimensions at the most.
    for part, quoted in tokens:
        if not quoted and part == "}":
            return found
        if not quoted and part == "{" and depth < 6:
            found.append(_elements(tokens, depth + 1))
        else:
            found.append(None if part == "NULL" and not quoted else part.encode())
    return found


def _tokens(text: str, delimiter: str) -> Iterator[tuple[str, bool]]:
    """Braces and elements; whether an element was quoted."""
    at, end = 0, len(text)
    while at < end:
        char = text[at]
        if char in "{}":
            yield char, False
            at += 1
        elif char == delimiter:
            at += 1
        elif char == '"':
            token, at = _quoted(text, at + 1)
            yield token, True
        else:
            start = at
            while at < end and text[at] not in "{}" and text[at] != delimiter:
                at += 2 if text[at] == "\\" else 1
            yield text[start:at], False


def _quoted(text: str, at: int) -> tuple[str, int]:
    parts = []
    while text[at] != '"':
        if text[at] == "\\":
            at += 1
        parts.append(text[at])
        at += 1
    return "".join(parts), at + 1
