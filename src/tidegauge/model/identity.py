"""Identity of resources, scopes and series: blake2b-128 over a type-tagged, key-sorted canonical encoding.

Never over JSON text: 1, 1.0, "1" and b"1" differ, the order of attributes does not matter. The encoding is version 1 and fixed; a
change of it is a new version with a migration. docs/data-model.md has the test vectors.

Encoding, all integers big-endian::

    value   := 0x00                              empty
             | 0x01 byte                         bool (0 or 1)
             | 0x02 int64                        integer
             | 0x03 float64                      IEEE 754 bits; every NaN is 7ff8000000000000
             | 0x04 len32 utf-8                  string (lone surrogates as three bytes each)
             | 0x05 len32 bytes                  bytes
             | 0x06 len32 value*                 array, len32 = number of values
             | 0x07 len32 (len32 utf-8 value)*   key-values, sorted by (key, encoded value)
    record  := 0x01 kind value                   version, kind of record ("r", "s", "m"), a key-values of its fields

All fields stand in a record, also those that have their default. A resource's entity references are a set: an array of key-values,
sorted by their encoding.
"""

from __future__ import annotations

import struct
from hashlib import blake2b
from uuid import UUID

from tidegauge.model.attributes import AnyValue, KeyValues
from tidegauge.model.records import EntityRef, Resource, Scope

VERSION = 1
_LENGTH = struct.Struct(">I").pack
_INT = struct.Struct(">q").pack
_FLOAT = struct.Struct(">d").pack
_NAN = bytes.fromhex("7ff8000000000000")


def encode_value(value: AnyValue) -> bytes:
    """Canonical bytes of one value. Raises ``struct.error`` for an integer beyond 64 bits."""
    if value is None:
        return b"\x00"
    if isinstance(value, bool):
        return b"\x01\x01" if value else b"\x01\x00"
    if isinstance(value, int):
        return b"\x02" + _INT(value)
    if isinstance(value, float):
        return b"\x03" + (_NAN if value != value else _FLOAT(value))
    if isinstance(value, str):
        raw = value.encode("utf-8", "surrogatepass")
        return b"\x04" + _LENGTH(len(raw)) + raw
    if isinstance(value, bytes):
        return b"\x05" + _LENGTH(len(value)) + value
    if isinstance(value, KeyValues):
        return b"\x07" + _LENGTH(len(value)) + encode_pairs(value)
    return b"\x06" + _LENGTH(len(value)) + b"".join([encode_value(item) for item in value])


def encode_pairs(pairs: KeyValues) -> bytes:
    """Canonical bytes of key-values without tag and count: sorted by key, then by encoded value."""
    encoded = sorted((key.encode("utf-8", "surrogatepass"), encode_value(value)) for key, value in pairs)
    return b"".join([_LENGTH(len(key)) + key + value for key, value in encoded])


def digest(kind: bytes, fields: KeyValues) -> UUID:
    """The identity of a record of ``kind`` (one byte)."""
    return UUID(bytes=blake2b(bytes([VERSION]) + kind + encode_value(fields), digest_size=16).digest())


def resource_identity(resource: Resource) -> UUID:
    """Identity of a resource within its tenant."""
    return digest(
        b"r",
        KeyValues.of(
            {
                "attributes": resource.attributes,
                "dropped_attributes_count": resource.dropped_attributes_count,
                "entity_refs": tuple(sorted(map(_entity, resource.entity_refs), key=encode_value)),
                "schema_url": resource.schema_url,
            }
        ),
    )


def scope_identity(scope: Scope) -> UUID:
    """Identity of an instrumentation scope within its tenant."""
    return digest(
        b"s",
        KeyValues.of(
            {
                "attributes": scope.attributes,
                "dropped_attributes_count": scope.dropped_attributes_count,
                "name": scope.name,
                "schema_url": scope.schema_url,
                "version": scope.version,
            }
        ),
    )


def _entity(reference: EntityRef) -> KeyValues:
    return KeyValues.of(
        {
            "description_keys": reference.description_keys,
            "id_keys": reference.id_keys,
            "schema_url": reference.schema_url,
            "type": reference.type,
        }
    )


def series_identity(
    resource: UUID,
    scope: UUID,
    metric_name: str,
    type_: str,
    unit: str,
    temporality: str | None,
    is_monotonic: bool | None,
    bounds: tuple[float, ...] | None,
    labels: KeyValues,
) -> UUID:
    """Identity of a series within its tenant: who measures (resource, scope), what (metric and its shape), and the labels."""
    return digest(
        b"m",
        KeyValues.of(
            {
                "bounds": bounds,
                "is_monotonic": is_monotonic,
                "labels": labels,
                "metric_name": metric_name,
                "resource": resource.bytes,
                "scope": scope.bytes,
                "temporality": temporality,
                "type": type_,
                "unit": unit,
            }
        ),
    )
