"""Columns of an answer, from what PostgreSQL says about them."""

from __future__ import annotations

import re
from types import MappingProxyType

from tidegauge.model.sql import Column, Kind

# By the name in pg_type; every other type is text.
_KINDS = MappingProxyType(
    {
        "bool": Kind.BOOLEAN,
        "int2": Kind.INT16,
        "int4": Kind.INT32,
        "int8": Kind.INT64,
        "oid": Kind.UINT32,
        "xid": Kind.UINT32,
        "float4": Kind.FLOAT32,
        "float8": Kind.FLOAT64,
        "numeric": Kind.DECIMAL,
        "timestamptz": Kind.TIMESTAMPTZ,
        "timestamp": Kind.TIMESTAMP,
        "date": Kind.DATE,
        "time": Kind.TIME,
        "bytea": Kind.BYTES,
        "json": Kind.JSON,
        "jsonb": Kind.JSON,
    }
)
_DECLARED = re.compile(r"numeric\((\d+),(-?\d+)\)")


def column(name: str, type_name: str, base_name: str, delimiter: str, *, is_array: bool) -> Column:
    """A column whose type is written ``type_name``; ``base_name`` is in pg_type, of elements where it is an array."""
    declared = _DECLARED.match(type_name)
    return Column(
        name,
        type_name,
        _KINDS.get(base_name, Kind.TEXT),
        is_array,
        delimiter,
        int(declared[1]) if declared else None,
        int(declared[2]) if declared else 0,
    )
