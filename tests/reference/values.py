"""AnyValue in Python, what JSON has for it, and whether jsonb gives it back."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from decimal import Decimal
from typing import Any

REPLACEMENT = "\ufffd"
CONTAINER_KINDS = ("array_value", "kvlist_value")


class Pairs(list[tuple[str, Any]]):
    """Key-values in their order; a key may stand twice. (An array is a plain list.)"""


class Meaningless:
    """A reference into a profile's dictionary, of which a request of ours has none."""


def value_of(message: Any) -> Any:
    """AnyValue: None, bool, int, float, str, bytes, a list or Pairs."""
    kind = message.WhichOneof("value")
    if kind is None:
        return None
    if kind == "string_value_strindex":
        return Meaningless()
    if kind == "array_value":
        return [value_of(item) for item in message.array_value.values]
    if kind == "kvlist_value":
        return pairs_of(message.kvlist_value.values)
    return getattr(message, kind)


def pairs_of(messages: Any) -> Pairs:
    """A repeated KeyValue."""
    return Pairs((message.key, value_of(message.value)) for message in messages)


def clean(text: str) -> str:
    """A string in a text column."""
    return text.replace("\0", REPLACEMENT)


def plain(value: Any) -> Any:
    """A value in a JSON column."""
    if isinstance(value, Pairs):
        return {clean(key): plain(item) for key, item in value}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Meaningless):
        return None
    return value


def faithful(*values: Any) -> bool:
    """Whether values come back from jsonb as they went in. Not decided by rules but tried."""
    return all(_told_apart(_read_back(_through_jsonb(json.dumps(plain(value))))) == _told_apart(value) for value in values)


def _through_jsonb(text: str) -> Any:
    """What PostgreSQL gives back for JSON in a jsonb column: numbers are decimals written out, without a sign where they are zero."""

    def number(literal: str) -> Any:
        decimal = Decimal(literal)
        written = format(decimal or abs(decimal), "f")
        return float(written) if "." in written else int(written)

    return json.loads(text, parse_float=number, parse_int=number)


def _read_back(value: Any) -> Any:
    """JSON as values."""
    if isinstance(value, dict):
        return Pairs((key, _read_back(item)) for key, item in value.items())
    if isinstance(value, list):
        return [_read_back(item) for item in value]
    return value


def _told_apart(value: Any) -> str:
    """Equal texts for equal values: 1, 1.0 and True differ, 0.0 and -0.0 too; key-values have no order."""
    if isinstance(value, Pairs):
        return f"pairs {sorted((key, _told_apart(item)) for key, item in value)}"
    if isinstance(value, list):
        return f"array {[_told_apart(item) for item in value]}"
    return f"{type(value).__name__} {value!r}"
