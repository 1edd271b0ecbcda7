"""AnyValue (opentelemetry/proto/common/v1/common.proto) to what a JSON column holds, and to the model's values.

A JSON column is *faithful* if its values come back from PostgreSQL's jsonb as they were sent. jsonb refuses NUL, keeps one of duplicate
keys, has no bytes, NaN or infinities, and knows numbers as decimals: 1e300 comes back as an integer of 301 digits and -0.0 without its
sign. A float below 1e16 keeps its decimal point ("1.0"), which tells it from an integer.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Collection
from math import copysign

import orjson
from opentelemetry.proto.common.v1.common_pb2 import AnyValue as AnyValueMessage
from opentelemetry.proto.common.v1.common_pb2 import KeyValue as KeyValueMessage

from tidegauge.model.attributes import AnyValue, KeyValues

REPLACEMENT = "\ufffd"
"""Stands in columns where NUL was sent."""
FLOAT_LIMIT = 1e16
_ESCAPED_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
_NUL_REPLACED = rb"\1" + REPLACEMENT.encode()


class JsonColumns:
    """Makes JSON columns. ``lossy`` is set, and never reset, by the first value that the column does not hold faithfully.

    ``written`` counts the bytes of all JSON made.
    """

    __slots__ = ("lossy", "written")

    def __init__(self) -> None:
        self.lossy = False
        self.written = 0

    def attributes(self, pairs: Collection[KeyValueMessage]) -> bytes:
        """JSON object of key-values. Of a key that stands twice the last counts, as in jsonb."""
        return self.dumps(self.mapping(pairs))

    def mapping(self, pairs: Collection[KeyValueMessage]) -> dict[str, object]:
        """Key-values as what JSON has. Most values are non-empty strings or integers other than 0: they need no look at the oneof."""
        other = self.value
        mapping = {pair.key: (value := pair.value).string_value or value.int_value or other(value) for pair in pairs}
        if len(mapping) != len(pairs):
            self.lossy = True
        return mapping

    def dumps(self, value: object) -> bytes:
        """JSON without NUL."""
        text = orjson.dumps(value)
        self.written += len(text)
        if b"\\u0000" not in text:
            return text
        text, replaced = _ESCAPED_NUL.subn(_NUL_REPLACED, text)
        if replaced:
            self.lossy = True
        return text

    def text(self, value: str) -> str:
        """A text column's value, without NUL."""
        if "\0" in value:
            self.lossy = True
            return value.replace("\0", REPLACEMENT)
        return value

    def value(self, value: AnyValueMessage) -> object:
        """One value as what JSON has. A reference into a profile's dictionary (string_value_strindex) has no meaning here: null."""
        kind = value.WhichOneof("value")
        if kind is None:
            return None
        if kind == "double_value":
            return self._double(value.double_value)
        if kind == "array_value":
            other = self.value
            return [item.string_value or item.int_value or other(item) for item in value.array_value.values]
        if kind == "kvlist_value":
            return self.mapping(value.kvlist_value.values)
        if kind == "bytes_value":
            self.lossy = True
            return b64encode(value.bytes_value).decode()
        if kind == "string_value_strindex":
            self.lossy = True
            return None
        return getattr(value, kind)

    def _double(self, value: float) -> object:
        if -FLOAT_LIMIT < value < FLOAT_LIMIT:
            if value == 0.0 and copysign(1.0, value) < 0:
                self.lossy = True
            return value
        self.lossy = True
        if value != value:
            return "NaN"
        if value in (float("inf"), float("-inf")):
            return "Infinity" if value > 0 else "-Infinity"
        return value


def model_value(value: AnyValueMessage) -> AnyValue:
    """The model's value of a message, exactly; None for a reference into a profile's dictionary."""
    kind = value.WhichOneof("value")
    if kind is None or kind == "string_value_strindex":
        return None
    if kind == "array_value":
        return tuple([model_value(item) for item in value.array_value.values])
    if kind == "kvlist_value":
        return model_pairs(value.kvlist_value.values)
    result: AnyValue = getattr(value, kind)
    return result


def model_pairs(pairs: Collection[KeyValueMessage]) -> KeyValues:
    """The model's key-values of a repeated KeyValue field, in its order."""
    return KeyValues([(pair.key, model_value(pair.value)) for pair in pairs])
