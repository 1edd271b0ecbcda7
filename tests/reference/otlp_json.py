"""OTLP/JSON (OTLP specification, "JSON Protobuf Encoding") to official messages.

lowerCamelCase keys alone; unknown ones and null are nothing; ids in hexadecimal, other bytes in base64; enums are numbers; integers may be
strings. What is no text in a string is U+FFFD. What is wrong inside an item costs that item, anything else the request.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

ITEMS = {"Span", "LogRecord", "NumberDataPoint", "HistogramDataPoint", "ExponentialHistogramDataPoint", "SummaryDataPoint"}
IDS = {"trace_id", "span_id", "parent_span_id"}
WIDER = {"int_value": "double_value", "as_int": "as_double"}
DEEPEST = 100
RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_ENUM: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
SPECIAL = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class Unreadable(Exception):
    """The request as a whole, or an item of it."""


class JsonRequest:
    """Reads one request; ``malformed`` are the places, among all items of the request, of those that are left out.

    ``is_replaced`` where something in a string was no text.
    """

    def __init__(self, type_: Any, body: bytes) -> None:
        self.malformed: list[int] = []
        self._items = 0
        self.message = type_()
        try:
            text = body.decode("utf-8", "replace")
            document = json.loads(text, parse_constant=self._no_constant, parse_float=self._finite, parse_int=self._integer)
        except ValueError as error:
            raise Unreadable from error
        readable = without_surrogates(document)
        self.is_replaced = readable != document or text.encode() != body
        self._fill(self.message, readable, 1)

    @staticmethod
    def _no_constant(name: str) -> None:
        raise ValueError(name)

    @staticmethod
    def _finite(text: str) -> float:
        if math.isinf(float(text)):
            raise ValueError(text)
        return float(text)

    @staticmethod
    def _integer(text: str) -> int | float:
        """Beyond 64 bits a number without a fraction is a double all the same."""
        return int(text) if -(2**63) <= int(text) < 2**64 else JsonRequest._finite(text)

    def _fill(self, message: Any, document: Any, level: int) -> None:
        if not isinstance(document, dict) or level > DEEPEST:
            raise Unreadable
        sent = [field for field in message.DESCRIPTOR.fields if document.get(field.json_name) is not None]
        groups = Counter(field.containing_oneof.name for field in sent if field.containing_oneof)
        if any(count > 1 for count in groups.values()):
            raise Unreadable
        for field in sent:
            self._set(message, field, document[field.json_name], level)

    def _set(self, message: Any, field: Any, value: Any, level: int) -> None:
        if field.is_repeated:
            if not isinstance(value, list):
                raise Unreadable
            container = getattr(message, field.name)
            for element in value:
                self._append(container, field, element, level)
        elif field.message_type:
            getattr(message, field.name).SetInParent()
            self._fill(getattr(message, field.name), value, level + 1)
        elif field.name in WIDER and isinstance(value, int | float) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
            setattr(message, WIDER[field.name], float(value))
        else:
            setattr(message, field.name, scalar(field, value))

    def _append(self, container: Any, field: Any, element: Any, level: int) -> None:
        if not field.message_type:
            container.append(scalar(field, element))
            return
        name = field.message_type.name
        try:
            self._fill(container.add(), element, level + 1)
        except Unreadable:
            if name not in ITEMS:
                raise
            del container[-1]
            self.malformed.append(self._items)
        self._items += name in ITEMS


def without_surrogates(value: Any) -> Any:
    """Surrogates that are left are alone, and no characters."""
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(held) for key, held in value.items()}
    if isinstance(value, list):
        return [without_surrogates(held) for held in value]
    return re.sub("[\ud800-\udfff]", "\ufffd", value) if isinstance(value, str) else value


def scalar(field: Any, value: Any) -> Any:
    """A value that is no message."""
    if field.type == FieldDescriptor.TYPE_BYTES:
        return hexadecimal(value) if field.name in IDS else from_base64(value)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING and isinstance(value, str):
        return value
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL and isinstance(value, bool):
        return value
    if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE:
        return double(value)
    if field.cpp_type in RANGES and not (field.cpp_type == FieldDescriptor.CPPTYPE_ENUM and isinstance(value, str)):
        return integer(value, *RANGES[field.cpp_type])
    raise Unreadable


def integer(value: Any, low: int, high: int) -> int:
    """A number without a fraction, or digits."""
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]{1,20}", value, re.ASCII):
        raise Unreadable
    if isinstance(value, float) and not value.is_integer():
        raise Unreadable
    if isinstance(value, bool) or not isinstance(value, int | float | str) or not low <= int(value) <= high:
        raise Unreadable
    return int(value)


def double(value: Any) -> float:
    """A number, a number as text, or the name of one that JSON lacks."""
    if isinstance(value, str) and value in SPECIAL:
        return SPECIAL[value]
    if isinstance(value, str):
        if not re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", value, re.ASCII) or float(value) in SPECIAL.values():
            raise Unreadable
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unreadable
    return float(value)


def hexadecimal(value: Any) -> bytes:
    """Digits in either case, two for each byte."""
    if not isinstance(value, str) or not re.fullmatch(r"([0-9a-fA-F]{2})*", value, re.ASCII):
        raise Unreadable
    return bytes.fromhex(value)


def from_base64(value: Any) -> bytes:
    """Either alphabet, with or without padding."""
    if not isinstance(value, str) or not re.fullmatch(r"([A-Za-z0-9+/]*|[A-Za-z0-9_-]*)=*", value, re.ASCII):
        raise Unreadable
    digits = value.rstrip("=").replace("-", "+").replace("_", "/")
    if len(digits) % 4 == 1:
        raise Unreadable
    return base64.b64decode(digits + "=" * (-len(digits) % 4))
