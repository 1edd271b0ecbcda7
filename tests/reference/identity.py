"""Identities, from the encoding in docs/data-model.md, "Identity"."""

from __future__ import annotations

import hashlib
import math
import uuid
from typing import Any

from tests.reference.values import Meaningless, Pairs, pairs_of


def encoded(value: Any) -> bytes:
    """Canonical bytes of a value."""
    if value is None or isinstance(value, Meaningless):
        return bytes([0x00])
    if isinstance(value, bool):
        return bytes([0x01, int(value)])
    if isinstance(value, int):
        return bytes([0x02]) + value.to_bytes(8, "big", signed=True)
    if isinstance(value, float):
        return bytes([0x03]) + (bytes.fromhex("7ff8000000000000") if math.isnan(value) else _bits(value))
    if isinstance(value, str):
        return bytes([0x04]) + _counted(value.encode())
    if isinstance(value, bytes):
        return bytes([0x05]) + _counted(value)
    if isinstance(value, Pairs):
        members = sorted((key.encode(), encoded(item)) for key, item in value)
        return bytes([0x07]) + _len32(len(value)) + b"".join(_counted(key) + item for key, item in members)
    return bytes([0x06]) + _len32(len(value)) + b"".join(encoded(item) for item in value)


def _bits(value: float) -> bytes:
    """IEEE 754, computed: hex() of a float is exact, and tells sign, exponent and fraction."""
    sign = 0x8000000000000000 if math.copysign(1.0, value) < 0 else 0
    if math.isinf(value):
        return (sign | 0x7FF0000000000000).to_bytes(8, "big")
    whole, _, power = abs(value).hex().removeprefix("0x").partition("p")
    leading, _, fraction = whole.partition(".")
    exponent = int(power) + 1023 if leading != "0" else 0
    return (sign | exponent << 52 | int(fraction.ljust(13, "0"), 16)).to_bytes(8, "big")


def _len32(length: int) -> bytes:
    return length.to_bytes(4, "big")


def _counted(raw: bytes) -> bytes:
    return _len32(len(raw)) + raw


def _identity(kind: bytes, fields: dict[str, Any]) -> uuid.UUID:
    record = b"\x01" + kind + encoded(Pairs(fields.items()))
    return uuid.UUID(bytes=hashlib.blake2b(record, digest_size=16).digest())


def resource_identity(resource: Any, schema_url: str) -> uuid.UUID:
    """Of a Resource message."""
    entities = [
        Pairs(
            {
                "description_keys": list(reference.description_keys),
                "id_keys": list(reference.id_keys),
                "schema_url": reference.schema_url,
                "type": reference.type,
            }.items()
        )
        for reference in resource.entity_refs
    ]
    fields = {
        "attributes": pairs_of(resource.attributes),
        "dropped_attributes_count": resource.dropped_attributes_count,
        "entity_refs": sorted(entities, key=encoded),
        "schema_url": schema_url,
    }
    return _identity(b"r", fields)


def scope_identity(scope: Any, schema_url: str) -> uuid.UUID:
    """Of an InstrumentationScope message."""
    fields = {
        "attributes": pairs_of(scope.attributes),
        "dropped_attributes_count": scope.dropped_attributes_count,
        "name": scope.name,
        "schema_url": schema_url,
        "version": scope.version,
    }
    return _identity(b"s", fields)


def series_identity(resource: uuid.UUID, scope: uuid.UUID, shape: dict[str, Any], labels: Pairs) -> uuid.UUID:
    """``shape`` has the series' other fields by the names of its columns."""
    bounds = shape["bounds"]
    fields = {
        **shape,
        "bounds": None if bounds is None else list(bounds),
        "labels": labels,
        "resource": resource.bytes,
        "scope": scope.bytes,
    }
    return _identity(b"m", fields)
