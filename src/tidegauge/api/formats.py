"""How values look in answers: times, ids of enums, typed attributes."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tidegauge.model.attributes import AnyValue, KeyValues

_SPAN_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUS_CODES = ("UNSET", "OK", "ERROR")

AttributeForm = Callable[[KeyValues], Any]


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


def typed(pairs: KeyValues) -> list[dict[str, Any]]:
    """Lossless: OTLP/JSON's list of KeyValue (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding)."""
    return [{"key": key, "value": typed_value(value)} for key, value in pairs]


def typed_value(value: AnyValue) -> dict[str, Any]:
    """OTLP/JSON's AnyValue."""
    match value:
        case None:
            return {}
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": _double(value)}
        case str():
            return {"stringValue": value}
        case bytes():
            return {"bytesValue": b64encode(value).decode()}
        case KeyValues():
            return {"kvlistValue": {"values": typed(value)}}
        case _:
            return {"arrayValue": {"values": [typed_value(item) for item in value]}}


def plain(pairs: KeyValues) -> dict[str, Any]:
    """A JSON object, for convenience: bytes are base64, of a key that stands twice the last counts."""
    return {key: plain_value(value) for key, value in pairs}


def plain_value(value: AnyValue) -> Any:
    """What JSON has for a value."""
    match value:
        case float():
            return _double(value)
        case bytes():
            return b64encode(value).decode()
        case KeyValues():
            return plain(value)
        case tuple():
            return [plain_value(item) for item in value]
        case _:
            return value


def _double(value: float) -> float | str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return value
