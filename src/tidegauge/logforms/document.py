"""A log record as a JSON object, with the names that logging libraries and shippers give to its parts.

What has a meaning of its own becomes a field of the record; everything else becomes an attribute, objects within it as they are. Where
several names of one part are there, the first in its list that makes sense counts and the others stay attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from tidegauge.logforms import severity, times
from tidegauge.logforms.reading import Records
from tidegauge.logforms.trace_context import TraceContext, parse_traceparent, span_id, trace_id
from tidegauge.logforms.values import text_of, within
from tidegauge.model.query import CORRELATION_KEYS

TIMES = ("@timestamp", "timestamp", "time", "ts")
OBSERVED_TIMES = ("observed_timestamp", "event.created")
LEVELS = ("severity_text", "severity", "level", "log.level", "levelname")
MESSAGES = ("message", "msg", "body")
SERVICES = ("service.name", "service", "service_name")
LOGGERS = ("logger", "logger_name", "logger.name", "log.logger")
TRACE_IDS = ("trace_id", "traceId", "trace.id")
SPAN_IDS = ("span_id", "spanId", "span.id")
REQUEST_IDS = ("request_id", "requestId", "x-request-id")
_RESOURCE = ("service.namespace", "service.version", "service.instance.id", "deployment.environment.name", "deployment.environment")
_ORIGINS = 256
"""Characters of a name that a resource or scope is told apart by."""
Document = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What a request's headers say, for its records that do not say it themselves."""

    trace: TraceContext | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    """``correlation_id`` and ``request_id``"""


_NO_CONTEXT = RequestContext()


def add_document(records: Records, document: object, context: RequestContext = _NO_CONTEXT, more: Mapping[str, str] | None = None) -> None:
    """Add what a JSON value says as the next item; refuse it where that is no log record. ``more`` are attributes beside its own."""
    if not isinstance(document, dict):
        records.refuse("a log record must be an object", _text(document))
        return
    reader = _Reader(records, document, context, more or {})
    records.add(reader.fill, lambda: _text(document), reader.resource(), reader.scope())


class _Reader:
    """Reads one document. What is made a field of the record is in ``_used``, and no attribute then."""

    __slots__ = ("_context", "_document", "_more", "_records", "_used")

    def __init__(self, records: Records, document: dict[str, object], context: RequestContext, more: Mapping[str, str]) -> None:
        self._records = records
        self._document = document
        self._context = context
        self._more = more
        self._used: set[str] = set()

    def resource(self) -> Mapping[str, object]:
        """The resource's attributes: a service's name and what belongs to it, or an OTLP-like ``resource``."""
        document = self._document
        found: dict[str, object] = {}
        nested = within(document, "resource.attributes") if isinstance(document.get("resource"), dict) else None
        if isinstance(nested, dict):
            found |= nested
            self._used.add("resource")
        if name := self._name(SERVICES):
            found.setdefault("service.name", name)
        for key in _RESOURCE:
            value = within(document, key)
            if isinstance(value, str) and len(value) <= _ORIGINS:
                found.setdefault(key, value)
                self._used.add(key)
        return found

    def scope(self) -> str:
        """The name of what logged."""
        return self._name((*LOGGERS, "scope.name"))

    def fill(self, record: LogRecord) -> None:
        """Set the record's fields. Raises ValueError where one cannot be what it has to be."""
        record.time_unix_nano = self._time()
        record.observed_time_unix_nano = self._observed_time()
        self._severity(record)
        self._body(record)
        self._ids(record)
        self._attributes(record)

    def _name(self, names: tuple[str, ...]) -> str:
        for name in names:
            value = within(self._document, name)
            if isinstance(value, str) and value and len(value) <= _ORIGINS:
                self._used.add(name)
                return value
        return ""

    def _time(self) -> int:
        """0 where there is none; refused only where there are some, and none of them is a time."""
        wrong = ""
        for name in TIMES:
            value = self._document.get(name)
            if value is None:
                continue
            try:
                found = times.nanoseconds(value)
            except ValueError as error:
                wrong = wrong or f"{name}: {error}"
            else:
                self._used.add(name)
                return found
        if wrong:
            raise ValueError(wrong)
        return 0

    def _observed_time(self) -> int:
        for name in OBSERVED_TIMES:
            try:
                found = times.nanoseconds(within(self._document, name))
            except ValueError:
                continue
            self._used.add(name)
            return found
        return 0

    def _severity(self, record: LogRecord) -> None:
        number = self._document.get("severity_number")
        if isinstance(number, int) and not isinstance(number, bool) and 0 < number <= severity.MAX_NUMBER:
            record.severity_number = number  # type: ignore[assignment]
            self._used.add("severity_number")
        for name in LEVELS:
            level = within(self._document, name)
            if isinstance(level, str | int) and not isinstance(level, bool):
                record.severity_text = str(level)
                if not record.severity_number:
                    record.severity_number = severity.severity_number(level)  # type: ignore[assignment]
                self._used.add(name)
                return

    def _body(self, record: LogRecord) -> None:
        document = self._document
        for name in MESSAGES:
            value = document.get(name)
            if value is not None:
                self._used.add(name)
                text = value.get("text") if isinstance(value, dict) and len(value) == 1 else None
                self._records.values.set(record.body, text if isinstance(text, str) else value)
                return
        # What Docker and Fluent Bit call it; ECS has an object there.
        if isinstance(log := document.get("log"), str):
            self._used.add("log")
            record.body.string_value = log

    def _ids(self, record: LogRecord) -> None:
        """Ids that are none stay attributes."""
        document = self._document
        for name in TRACE_IDS:
            if found := trace_id(within(document, name)):
                record.trace_id = found
                self._used.add(name)
                break
        for name in SPAN_IDS:
            if found := span_id(within(document, name)):
                record.span_id = found
                self._used.add(name)
                break
        context = parse_traceparent(document.get("traceparent"))
        if context is not None:
            self._used.add("traceparent")
        context = context or self._context.trace
        if context is not None and not record.trace_id:
            record.trace_id, record.flags = context.trace_id, context.flags
            record.span_id = record.span_id or context.span_id

    def _attributes(self, record: LogRecord) -> None:
        document, values = self._document, self._records.values
        nested = document.get("attributes")
        if isinstance(nested, dict):
            self._used.add("attributes")
            for key, value in nested.items():
                values.set(record.attributes.add(key=key).value, value)
        for key, value in document.items():
            if key not in self._used:
                values.set(record.attributes.add(key=key).value, value)
        known = document if not isinstance(nested, dict) else {**nested, **document}
        for names, key in ((CORRELATION_KEYS, "correlation_id"), (REQUEST_IDS, "request_id")):
            if key in self._context.attributes and not any(name in known for name in names):
                record.attributes.add(key=key).value.string_value = self._context.attributes[key]
        for key, text in self._more.items():
            if key not in known:
                record.attributes.add(key=key).value.string_value = text


def _text(document: object) -> bytes:
    try:
        return text_of(document)
    except ValueError:
        return b""
