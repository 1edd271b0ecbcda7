"""Loki's push requests: protobuf (logproto, push.proto) and JSON.

https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs. A line is the record's body as it is. Labels and structured
metadata become attributes, with the usual names of a service, a level, a trace and a span among them understood.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from tidegauge.errors import InvalidArgument
from tidegauge.logforms import severity, times
from tidegauge.logforms.json_logs import loaded
from tidegauge.logforms.reading import Records
from tidegauge.logforms.trace_context import span_id, trace_id

SERVICE_LABELS = (
    *("service_name", "service.name", "service", "app", "application", "app_name", "name", "app_kubernetes_io_name", "container"),
    *("container_name", "k8s_container_name", "component", "workload", "job", "k8s_job_name"),
)
"""As Loki itself finds a service's name (its setting discover_service_name)."""
LEVEL_LABELS = ("level", "severity", "severity_text", "detected_level", "lvl")
_LABEL = re.compile(r'\s*([a-zA-Z_:][a-zA-Z0-9_:.]*)\s*=\s*("(?:[^"\\\n]|\\.)*"|`[^`]*`)\s*(,|\Z)')
_ESCAPE = re.compile(r"\\(?:([abfnrtv\\\"'])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))")
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_LABELS = 1000
_PACKAGE = "tidegauge.loki"
_KINDS = FieldDescriptorProto


class _Entry(NamedTuple):
    time: object
    line: str
    metadata: Mapping[str, str]


class LokiReader:
    """Parses push requests. Stateless once made; making one builds the messages."""

    def __init__(self) -> None:
        pool = DescriptorPool()
        file = FileDescriptorProto(name="tidegauge/loki.proto", package=_PACKAGE, syntax="proto3")
        for name, fields in _MESSAGES.items():
            _declare(file.message_type.add(name=name), fields)
        pool.AddSerializedFile(file.SerializeToString())
        self._push, self._stream, self._entry = [
            cast("type[Any]", GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")))
            for name in ("PushRequest", "Stream", "Entry")
        ]

    def parse_protobuf(self, body: bytes, records: Records) -> None:
        """Add every entry of a PushRequest, without its compression.

        Raises:
            InvalidArgument: it is malformed.
            PayloadTooLarge: it takes far more memory than its bytes.

        """
        try:
            for raw in self._push.FromString(body).streams:
                stream = self._stream.FromString(raw)
                sink = _Stream(_text(stream.labels), records)
                for entry in stream.entries:
                    sink.add(self._read(entry))
        except DecodeError as error:
            raise InvalidArgument("the body is not a protobuf PushRequest") from error

    def _read(self, raw: bytes) -> _Entry:
        entry = self._entry.FromString(raw)
        time = entry.timestamp
        metadata = {_text(pair.name): _text(pair.value) for pair in entry.metadata}
        return _Entry(time.seconds * 10**9 + time.nanos, _text(entry.line), metadata)

    def parse_json(self, body: bytes, records: Records) -> None:
        """Add every entry of a push request in JSON: ``stream`` and ``values``, or, as before Loki 1.0, ``labels`` and ``entries``.

        Raises:
            InvalidArgument: it is malformed.
            PayloadTooLarge: it takes far more memory than its bytes.

        """
        try:
            document = loaded(body, records)
        except ValueError as error:
            raise InvalidArgument(f"the body is not JSON: {error}") from error
        streams = document.get("streams") if isinstance(document, dict) else None
        if not isinstance(streams, list):
            raise InvalidArgument("the body has no array streams")
        for number, stream in enumerate(streams):
            labels = stream.get("stream", stream.get("labels")) if isinstance(stream, dict) else None
            entries = stream.get("values", stream.get("entries")) if isinstance(stream, dict) else None
            if not isinstance(labels, str | dict) or not isinstance(entries, list):
                raise InvalidArgument(f"streams[{number}] must have an object stream and an array values")
            sink = _Stream(labels, records)
            for entry in entries:
                sink.add(_json_entry(entry))


class _Stream:
    """The labels of a stream, and its entries on their way to records. What is wrong with its labels is wrong with each entry."""

    def __init__(self, labels: str | Mapping[str, object], records: Records) -> None:
        self._records = records
        self._wrong = ""
        self._labels: Mapping[str, str] = {}
        try:
            self._labels = parse_labels(labels) if isinstance(labels, str) else _strings(labels, "a label")
        except ValueError as error:
            self._wrong = str(error)
        service = next((self._labels[name] for name in SERVICE_LABELS if self._labels.get(name)), "")
        self._resource = {"service.name": service} if service else {}

    def add(self, entry: _Entry | str) -> None:
        """The next entry, or what is wrong with it."""
        wrong = self._wrong or (entry if isinstance(entry, str) else "")
        if wrong or isinstance(entry, str):
            self._records.refuse(wrong, b"" if isinstance(entry, str) else entry.line[:4096].encode())
            return
        service = entry.metadata.get("service_name") or entry.metadata.get("service.name")
        resource = {"service.name": service} if service else self._resource

        def fill(record: LogRecord) -> None:
            self._fill(record, entry)

        self._records.add(fill, entry.line[:4096].encode(), resource)

    def _fill(self, record: LogRecord, entry: _Entry) -> None:
        found = {**self._labels, **entry.metadata}
        record.time_unix_nano = _time(entry.time)
        record.body.string_value = entry.line
        level = next((found[name] for name in LEVEL_LABELS if found.get(name)), "") or severity.level_in(entry.line)
        record.severity_text = level
        record.severity_number = severity.severity_number(level)  # type: ignore[assignment]
        record.trace_id = trace_id(found.get("trace_id") or found.get("traceID") or found.get("traceid"))
        record.span_id = span_id(found.get("span_id") or found.get("spanID") or found.get("spanid"))
        self._records.budget.spend(sum(map(len, found)) + sum(map(len, found.values())) + 64 * len(found))
        for name, value in found.items():
            record.attributes.add(key=name).value.string_value = value


def parse_labels(text: str) -> dict[str, str]:
    """Labels in Prometheus' notation, ``{job="api", host="a"}``.

    Raises:
        ValueError: they are not in it, or too many.

    """
    inner = text.strip()
    if not (inner.startswith("{") and inner.endswith("}") and len(inner) > 1):
        raise ValueError(f"labels {text[:100]!r} are not in braces")
    inner = inner[1:-1].rstrip(" ,")
    found: dict[str, str] = {}
    place = 0
    while place < len(inner):
        label = _LABEL.match(inner, place)
        if label is None or len(found) >= _LABELS:
            raise ValueError(f"labels {text[:100]!r} cannot be read from {inner[place : place + 40]!r} on")
        quoted = label[2]
        found[label[1]] = quoted[1:-1] if quoted[0] == "`" else _ESCAPE.sub(_unescaped, quoted[1:-1])
        place = label.end()
    return found


def _unescaped(found: re.Match[str]) -> str:
    """One of Go's escapes (https://go.dev/ref/spec#Rune_literals); what is no character is U+FFFD."""
    simple, *numbers, octal = found.groups()
    if simple:
        return _ESCAPED.get(simple, simple)
    code = int(octal, 8) if octal else int(next(filter(None, numbers)), 16)
    return "\ufffd" if code > 0x10FFFF or 0xD800 <= code < 0xE000 else chr(code)


def _json_entry(entry: object) -> _Entry | str:
    """``[time, line]`` or ``[time, line, {metadata}]``, or an object of ``ts`` and ``line``; or what is wrong with it."""
    if isinstance(entry, list) and len(entry) in (2, 3) and isinstance(entry[1], str):
        time, line, metadata = entry[0], entry[1], entry[2] if len(entry) == 3 else {}
        if not isinstance(time, str) or not time.isdigit() or len(time) > 19:
            return "the time must be a string of nanoseconds since 1970"
        time = int(time)
    elif isinstance(entry, dict) and isinstance(entry.get("line"), str):
        time, line, metadata = entry.get("ts"), entry["line"], entry.get("structuredMetadata", {})
    else:
        return "an entry must be [time, line] or [time, line, metadata]"
    try:
        return _Entry(time, line, _strings(metadata, "structured metadata"))
    except ValueError as error:
        return str(error)


def _strings(found: object, what: str) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError(f"{what} must be a string")
    return found


def _time(value: object) -> int:
    """Nanoseconds; a string is RFC 3339 (the older JSON form). 0, which means no time, where a client set none."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value < 2**63:
            raise ValueError(f"time {value} is not between 1970 and 2262")
        return value
    return times.nanoseconds(value)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


_BYTES, _INT64, _INT32 = _KINDS.TYPE_BYTES, _KINDS.TYPE_INT64, _KINDS.TYPE_INT32
# Strings and messages within are of bytes here: strings need not be UTF-8, and entries are read one by one, so that they can be counted.
_MESSAGES: Mapping[str, list[tuple[int, str, int | str, bool]]] = {
    "Timestamp": [(1, "seconds", _INT64, False), (2, "nanos", _INT32, False)],
    "LabelPair": [(1, "name", _BYTES, False), (2, "value", _BYTES, False)],
    "Entry": [(1, "timestamp", "Timestamp", False), (2, "line", _BYTES, False), (3, "metadata", "LabelPair", True)],
    "Stream": [(1, "labels", _BYTES, False), (2, "entries", _BYTES, True)],
    "PushRequest": [(1, "streams", _BYTES, True)],
}


def _declare(message: DescriptorProto, fields: list[tuple[int, str, int | str, bool]]) -> None:
    for number, name, kind, repeated in fields:
        field = message.field.add(name=name, number=number)
        field.label = _KINDS.LABEL_REPEATED if repeated else _KINDS.LABEL_OPTIONAL
        if isinstance(kind, str):
            field.type, field.type_name = _KINDS.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
        else:
            field.type = kind  # type: ignore[assignment]
