"""Attribute values as OTLP defines them (opentelemetry/proto/common/v1/common.proto, AnyValue), without protobuf.

A value is ``None`` (empty), ``bool``, ``int`` (64 bits), ``float``, ``str``, ``bytes``, a ``tuple`` of values (array) or a
:class:`KeyValues` (kvlist). ``1``, ``1.0``, ``True`` and ``"1"`` are four different values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias


class KeyValues(tuple["KeyValue", ...]):
    """Pairs of key and value in the order sent; a key may stand twice."""

    __slots__ = ()

    @classmethod
    def of(cls, items: Mapping[str, AnyValue] | Iterable[KeyValue]) -> KeyValues:
        """From a mapping or pairs."""
        return cls(items.items() if isinstance(items, Mapping) else items)


KeyValue: TypeAlias = "tuple[str, AnyValue]"
AnyValue: TypeAlias = "None | bool | int | float | str | bytes | tuple[AnyValue, ...] | KeyValues"
