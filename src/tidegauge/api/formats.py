"""How values look in answers: times, ids of enums, attributes."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum

from tidegauge.model.attributes import AnyValue, KeyValues
from tidegauge.model.records import Resource, Scope
from tidegauge.otlp import typed_json

_SPAN_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUS_CODES = ("UNSET", "OK", "ERROR")

Json = dict[str, object]


class AttributesForm(Enum):
    """How attributes are written."""

    TYPED = "typed"
    MAP = "map"

    def attributes(self, pairs: KeyValues) -> object:
        """A list of OTLP/JSON KeyValues, or an object."""
        return typed_json.typed_attributes(pairs) if self is AttributesForm.TYPED else typed_json.plain_attributes(pairs)

    def any_value(self, value: AnyValue) -> object:
        """An OTLP/JSON AnyValue, or plain JSON."""
        return typed_json.typed_value(value) if self is AttributesForm.TYPED else typed_json.plain_value(value)


def time(unix_nano: int) -> str:
    """RFC 3339 in UTC with nanoseconds."""
    seconds, rest = divmod(unix_nano, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def span_kind(number: int) -> str:
    """SpanKind by name; a number that has none as digits."""
    return _SPAN_KINDS[number] if 0 <= number < len(_SPAN_KINDS) else str(number)


def status_code(number: int) -> str:
    """Status.StatusCode by name; a number that has none as digits."""
    return _STATUS_CODES[number] if 0 <= number < len(_STATUS_CODES) else str(number)


def number(value: float | None) -> float | str | None:
    """A float as JSON has it; NaN and infinities as strings."""
    return None if value is None else typed_json.json_float(value)


def resource(record: Resource, form: AttributesForm) -> Json:
    """A resource."""
    return {
        "attributes": form.attributes(record.attributes),
        "dropped_attributes_count": record.dropped_attributes_count,
        "schema_url": record.schema_url,
        "entity_refs": record.entity_refs,
    }


def scope(record: Scope, form: AttributesForm) -> Json:
    """An instrumentation scope."""
    return {
        "name": record.name,
        "version": record.version,
        "attributes": form.attributes(record.attributes),
        "dropped_attributes_count": record.dropped_attributes_count,
        "schema_url": record.schema_url,
    }
