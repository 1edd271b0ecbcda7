"""OTLP in JSON to the same protobuf messages, by their descriptors.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: the protobuf JSON mapping, but trace and span ids are hexadecimal, enums
are numbers only, and keys are lowerCamelCase only. Unknown keys are ignored, null is absence, integers of 64 bits may be strings, and of a
key that stands twice in an object the last counts. What is no text in a string is read as U+FFFD. What cannot be read inside one span, log
record or data point costs that item alone.
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
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    NumberDataPoint,
    SummaryDataPoint,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tidegauge.errors import InvalidArgument
from tidegauge.otlp.jsontext import repaired
from tidegauge.otlp.rejections import REPLACED, Rejections

Request = TypeVar("Request", bound=Message)
REQUESTS = (ExportTraceServiceRequest, ExportMetricsServiceRequest, ExportLogsServiceRequest)
Convert = Callable[[object], Any]
_ITEMS = {
    type_.DESCRIPTOR.full_name
    for type_ in (Span, LogRecord, NumberDataPoint, HistogramDataPoint, ExponentialHistogramDataPoint, SummaryDataPoint)
}
_DOUBLES = {"int_value": "double_value", "as_int": "as_double"}
"""Integer fields that have a sibling for what is beyond 64 bits."""
_NUMBERS = (int, float)
_HEX_FIELDS = {"trace_id", "span_id", "parent_span_id"}
_PATH_LENGTH = 300
_DEPTH = 100
"""Messages within messages; protobuf's own limit, so that what is read can also be written and read again."""
_INTEGER = re.compile(r"-?[0-9]{1,20}\Z")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z")
_SPECIAL = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


LIST_ITEMS = 1 << 17
"""Elements of a list inside an item, or of a resource's attributes."""
# Python's objects take up to 300 bytes for an object or array of JSON. OTLP's smallest attribute has one in 18 bytes.
_UNCOUNTED_BYTES = 1 << 18
_CONTAINERS = 1 << 17
_CONTAINER_BYTES = 16


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
    """How one field is read. ``convert`` for scalars, ``fields`` for messages; ``oneof`` where it excludes others.

    ``around`` where items are somewhere in the message, ``item`` where it is one; ``double`` is the sibling of an integer.
    """

    name: str
    repeated: bool
    convert: Convert | None
    fields: Mapping[str, _Field]
    oneof: str | None
    around: bool
    item: bool
    double: str | None


class JsonReader:
    """Reads requests. Stateless once made; making one walks the descriptors."""

    def __init__(self) -> None:
        self._plans: dict[str, dict[str, _Field]] = {}
        for type_ in REQUESTS:
            self._plan(type_.DESCRIPTOR)

    def read(self, type_: type[Request], body: bytes, rejections: Rejections) -> Request:
        """The message of a body, without items that cannot be read: these are added to ``rejections``.

        Raises:
            InvalidArgument: it is no JSON, or a value outside of items cannot be one of its field; the message says at which path.

        """
        _check_containers(body)
        document = _document(body, rejections)
        message = type_()
        try:
            _fill_around(message, document, self._plans[type_.DESCRIPTOR.full_name], _DEPTH, "", rejections)
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
            nested is not None and _holds_items(nested),
            nested is not None and nested.full_name in _ITEMS,
            _DOUBLES.get(field.name),
        )


def _holds_items(descriptor: Descriptor) -> bool:
    """Whether an item is in a message, at whatever depth; not in itself, and AnyValue is in itself."""
    if descriptor.full_name in _ITEMS or descriptor.file.package == "opentelemetry.proto.common.v1":
        return False
    nested = [field.message_type for field in descriptor.fields if field.message_type]
    return any(message.full_name in _ITEMS or _holds_items(message) for message in nested)


def _check_containers(body: bytes) -> None:
    """Refuse what would take far more memory than OTLP does. Braces in strings count too."""
    if len(body) > _UNCOUNTED_BYTES:
        most = _CONTAINERS + len(body) // _CONTAINER_BYTES
        if body.count(b"{") + body.count(b"[") > most:
            raise InvalidArgument(f"the body of {len(body)} bytes has more than {most} objects and arrays", hint="send smaller batches")


def _document(body: bytes, rejections: Rejections) -> object:
    """What the body says; a warning where strings of it are not all text."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        refused = error
    if found := repaired(body):
        text, sample = found
        try:
            document = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            refused = error
        else:
            rejections.add("invalid_text", REPLACED, sample, 0)
            return document
    raise InvalidArgument(f"the body is not JSON: {refused}") from refused


def _fill_around(message: Message, document: object, plan: Mapping[str, _Field], depth: int, path: str, rejections: Rejections) -> None:
    """Set the fields of a message that has items in it; ``path`` leads to it and ends with a dot, if it is not empty."""
    if not isinstance(document, dict):
        raise _Bad(f"must be an object, not {_shown(document)}")
    for key, value in document.items():
        field = plan.get(key)
        if field is None or value is None:
            continue
        if not (field.around or field.item):
            _fill(message, {key: value}, plan, depth)
            continue
        try:
            if field.repeated:
                _extend_around(getattr(message, field.name), value, field, depth, path + key, rejections)
            else:
                _fill_around(_nested(message, field), value, field.fields, depth - 1, f"{path}{key}.", rejections)
        except _Bad as bad:
            raise bad.within(key) from None


def _extend_around(container: Any, values: object, field: _Field, depth: int, path: str, rejections: Rejections) -> None:
    if not isinstance(values, list):
        raise _Bad(f"must be an array, not {_shown(values)}")
    for index, value in enumerate(values):
        try:
            if field.item:
                _fill(container.add(), value, field.fields, depth - 1)
            else:
                _fill_around(container.add(), value, field.fields, depth - 1, f"{path}[{index}].", rejections)
        except _Bad as bad:
            if not field.item:
                raise bad.within(f"[{index}]") from None
            del container[-1]
            rejections.malformed.append(rejections.read + index)
            where = f"{path}[{index}].{bad.path}" if bad.path else f"{path}[{index}]"
            rejections.add("malformed_item", f"{where[:_PATH_LENGTH]}: {bad.message}", _sample(value))
    if field.item:
        rejections.read += len(values)


def _nested(message: Message, field: _Field) -> Message:
    """A message in a message, which is then there even if nothing is in it."""
    if field.oneof and message.WhichOneof(field.oneof):
        raise _Bad(f"stands beside {message.WhichOneof(field.oneof)}, but only one of them can be set")
    nested: Message = getattr(message, field.name)
    nested.SetInParent()
    return nested


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
            if field.double and type(value) in _NUMBERS and not -(2**63) <= value < 2**63:
                # JavaScript has no integers: its exporter takes 1e300, which has no fraction, for one.
                setattr(message, field.double, float(value))
                continue
            raise bad.within(key) from None


def _extend(container: Any, values: object, field: _Field, depth: int) -> None:
    if not isinstance(values, list):
        raise _Bad(f"must be an array, not {_shown(values)}")
    if len(values) > LIST_ITEMS:
        raise _Bad(f"has more than {LIST_ITEMS} elements")
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


def _sample(value: object) -> bytes:
    """JSON of an item, or nothing where it is nested deeper than orjson writes."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return b""


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    text = orjson.dumps(value).decode()
    return text if len(text) <= 60 else text[:57] + "..."
