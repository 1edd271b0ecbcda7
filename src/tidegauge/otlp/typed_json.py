"""The model's values as JSON-able structures: typed as in OTLP/JSON (lossless), or plain (for people)."""

from __future__ import annotations

from base64 import b64encode
from math import isfinite, isnan

from tidegauge.model.attributes import AnyValue, KeyValues

Json = dict[str, object]


def typed_attributes(pairs: KeyValues) -> list[Json]:
    """OTLP/JSON KeyValues: ``[{"key": "k", "value": {"stringValue": "v"}}]``."""
    return [{"key": key, "value": typed_value(value)} for key, value in pairs]


def typed_value(value: AnyValue) -> Json:
    """OTLP/JSON AnyValue; integers as strings, bytes as base64, NaN and infinities as strings, an empty value as ``{}``."""
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": json_float(value)}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bytes):
        return {"bytesValue": b64encode(value).decode()}
    if isinstance(value, KeyValues):
        return {"kvlistValue": {"values": typed_attributes(value)}}
    return {"arrayValue": {"values": [typed_value(item) for item in value]}}


def plain_attributes(pairs: KeyValues) -> Json:
    """A JSON object; of a key that stands twice the last counts."""
    return {key: plain_value(value) for key, value in pairs}


def plain_value(value: AnyValue) -> object:
    """What JSON has for a value: bytes as base64, NaN and infinities as strings."""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, float):
        return json_float(value)
    if isinstance(value, KeyValues):
        return plain_attributes(value)
    if isinstance(value, tuple):
        return [plain_value(item) for item in value]
    return value


def json_float(value: float) -> float | str:
    """A float as JSON has it, NaN and infinities as the strings of the protobuf JSON mapping."""
    if isfinite(value):
        return value
    if isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
