"""OTLP in JSON to the same protobuf messages, by their descriptors.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: the protobuf JSON mapping, but trace and span ids are hexadecimal, enums
are numbers only, and keys are lowerCamelCase only. Unknown keys are ignored, null is absence, integers of 64 bits may be strings, and of a
key that stands twice in an object the last counts.
"""

from __future__ import annotations

import re
from base64 import b64decode, urlsafe_b64decode
from binascii import Error as Base64Error
from binascii import unhexlify
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tidegauge.errors import InvalidArgument

Request = TypeVar("Request", bound=Message)
Convert = Callable[[object], Any]
_HEX_FIELDS = {"trace_id", "span_id", "parent_span_id"}
_DEPTH = 100
"""Messages within messages; protobuf's own limit, so that what is read can also be written and read again."""
_INTEGER = re.compile(r"-?[0-9]{1,20}\Z")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z")
_SPECIAL = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class _Bad(Exception):
    """Something in the body cannot be read; ``path`` grows on the way out."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.path = ""

    def within(self, step: str) -> _Bad:
        self.path = f"{step}.{self.path}" if self.path and not self.path.startswith("[") else step + self.path
        return self


@dataclass(frozen=True, slots=True)
class _Field:
    """How one field is read. ``convert`` for scalars, ``fields`` for messages; ``oneof`` where it excludes others."""

    name: str
    repeated: bool
    convert: Convert | None
    fields: Mapping[str, _Field]
    oneof: str | None


class JsonReader:
    """Reads requests. Stateless once made; making one walks the descriptors."""

    def __init__(self) -> None:
        self._plans: dict[str, dict[str, _Field]] = {}
        for type_ in (ExportTraceServiceRequest, ExportMetricsServiceRequest, ExportLogsServiceRequest):
            self._plan(type_.DESCRIPTOR)

    def read(self, type_: type[Request], body: bytes) -> Request:
        """The message of a body.

        Raises:
            InvalidArgument: it is no JSON, or a value in it cannot be one of its field; the message says at which path.

        """
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise InvalidArgument(f"the body is not JSON: {error}") from error
        message = type_()
        try:
            _fill(message, document, self._plans[type_.DESCRIPTOR.full_name], _DEPTH)
        except _Bad as bad:
            raise InvalidArgument(f"the body is not an {type_.__name__} in JSON: {bad.path or 'the body'}: {bad.message}") from bad
        return message

    def _plan(self, descriptor: Descriptor) -> dict[str, _Field]:
        plan = self._plans.get(descriptor.full_name)
        if plan is None:
            plan = self._plans[descriptor.full_name] = {}
            for field in descriptor.fields:
                plan[field.json_name] = self._field(field)
        return plan

    def _field(self, field: FieldDescriptor) -> _Field:
        nested = field.message_type
        oneof = field.containing_oneof
        return _Field(
            field.name,
            field.is_repeated,
            None if nested else _converter(field),
            self._plan(nested) if nested else {},
            oneof.name if oneof and len(oneof.fields) > 1 else None,
        )


def _fill(message: Message, document: object, plan: Mapping[str, _Field], depth: int) -> None:
    """Set a message's fields from a JSON object. A function and not a method: this runs for every object of a request."""
    if not isinstance(document, dict):
        raise _Bad(f"must be an object, not {_shown(document)}")
    if not depth:
        raise _Bad(f"is nested more than {_DEPTH} levels deep")
    for key, value in document.items():
        field = plan.get(key)
        if field is None or value is None:
            continue
        try:
            if field.oneof and message.WhichOneof(field.oneof):
                raise _Bad(f"stands beside {message.WhichOneof(field.oneof)}, but only one of them can be set")
            if field.repeated:
                _extend(getattr(message, field.name), value, field, depth)
            elif field.convert:
                setattr(message, field.name, field.convert(value))
            else:
                nested = getattr(message, field.name)
                nested.SetInParent()
                _fill(nested, value, field.fields, depth - 1)
        except _Bad as bad:
            raise bad.within(key) from None


def _extend(container: Any, values: object, field: _Field, depth: int) -> None:
    if not isinstance(values, list):
        raise _Bad(f"must be an array, not {_shown(values)}")
    index = 0
    convert = field.convert
    try:
        for index, value in enumerate(values):  # noqa: B007 (the handler needs it)
            if convert:
                container.append(convert(value))
            else:
                _fill(container.add(), value, field.fields, depth - 1)
    except _Bad as bad:
        raise bad.within(f"[{index}]") from None


def _converter(field: FieldDescriptor) -> Convert:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _hexadecimal if field.name in _HEX_FIELDS else _base64
    if field.type == FieldDescriptor.TYPE_ENUM:
        return _enum
    return {
        FieldDescriptor.CPPTYPE_STRING: _string,
        FieldDescriptor.CPPTYPE_BOOL: _boolean,
        FieldDescriptor.CPPTYPE_DOUBLE: _double,
        FieldDescriptor.CPPTYPE_INT32: _integer(-(2**31), 2**31 - 1),
        FieldDescriptor.CPPTYPE_INT64: _integer(-(2**63), 2**63 - 1),
        FieldDescriptor.CPPTYPE_UINT32: _integer(0, 2**32 - 1),
        FieldDescriptor.CPPTYPE_UINT64: _integer(0, 2**64 - 1),
    }[field.cpp_type]


def _integer(low: int, high: int) -> Convert:
    def convert(value: object) -> int:
        if (isinstance(value, str) and _INTEGER.match(value)) or (isinstance(value, float) and value.is_integer()):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _Bad(f"must be an integer or a string of one, not {_shown(value)}")
        if not low <= value <= high:
            raise _Bad(f"must be between {low} and {high}, not {value}")
        return value

    return convert


def _enum(value: object) -> int:
    if isinstance(value, str):
        raise _Bad(f"must be the enum's number, not {_shown(value)} (OTLP/JSON has no enum names)")
    number: int = _integer(-(2**31), 2**31 - 1)(value)
    return number


def _double(value: object) -> float:
    if isinstance(value, str):
        if value in _SPECIAL:
            return _SPECIAL[value]
        if _NUMBER.match(value):
            value = float(value)
            if value in (float("inf"), float("-inf")):
                raise _Bad("is beyond the range of a double")
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _Bad(f'must be a number, "NaN", "Infinity" or "-Infinity", not {_shown(value)}')
    return float(value)


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise _Bad(f"must be a string, not {_shown(value)}")
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise _Bad(f"must be true or false, not {_shown(value)}")
    return value


def _hexadecimal(value: object) -> bytes:
    if isinstance(value, str):
        try:
            return unhexlify(value)
        except ValueError:
            pass
    raise _Bad(f"must be a string of hexadecimal digits, two for each byte, not {_shown(value)}")


def _base64(value: object) -> bytes:
    """Standard or URL-safe alphabet, with or without padding (protobuf JSON mapping)."""
    if isinstance(value, str):
        padded = value.rstrip("=")
        padded += "=" * (-len(padded) % 4)
        try:
            if "-" in padded or "_" in padded:
                return urlsafe_b64decode(padded) if re.fullmatch(r"[A-Za-z0-9_=-]*", padded) else _not_base64(value)
            return b64decode(padded, validate=True)
        except (Base64Error, ValueError):
            pass
    return _not_base64(value)


def _not_base64(value: object) -> bytes:
    raise _Bad(f"must be a string of base64, not {_shown(value)}")


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    text = orjson.dumps(value).decode()
    return text if len(text) <= 60 else text[:57] + "..."
