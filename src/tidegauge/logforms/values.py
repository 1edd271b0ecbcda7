"""Values of JSON to AnyValue (opentelemetry/proto/common/v1/common.proto)."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from tidegauge.otlp.budget import Budget

_VALUE_BYTES = 64
_DEPTH = 20
"""Objects and arrays within each other; each takes up to three of the hundred messages that protobuf reads within each other."""


class Values:
    """Sets values, and counts what they take."""

    __slots__ = ("_budget",)

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def set(self, target: AnyValue, value: object, depth: int = _DEPTH) -> None:
        """Set ``target`` to a value of JSON. What is nested deeper than 20 levels is kept as its JSON text.

        Raises:
            PayloadTooLarge: all values take too much.
            ValueError: it is nested too deep to be written as text.

        """
        # JSON's reader makes nothing but these types, and no subclasses.
        kind = type(value)
        if kind is str:
            target.string_value = value  # type: ignore[assignment]
        elif kind is int:
            self._integer(target, value)  # type: ignore[arg-type]
        elif kind is bool:
            target.bool_value = value  # type: ignore[assignment]
        elif kind is float:
            target.double_value = value  # type: ignore[assignment]
        elif isinstance(value, (list, dict)):
            self._nested(target, value, depth)

    def _integer(self, target: AnyValue, value: int) -> None:
        if -(2**63) <= value < 2**63:
            target.int_value = value
        else:
            target.double_value = float(value)

    def _nested(self, target: AnyValue, value: list[object] | dict[str, object], depth: int) -> None:
        self._budget.spend(_VALUE_BYTES * (1 + len(value)))
        if not depth:
            target.string_value = text_of(value).decode()
        elif isinstance(value, list):
            target.array_value.SetInParent()
            for item in value:
                self.set(target.array_value.values.add(), item, depth - 1)
        else:
            target.kvlist_value.SetInParent()
            for key, item in value.items():
                self.set(target.kvlist_value.values.add(key=key).value, item, depth - 1)


def text_of(value: object) -> bytes:
    """JSON of a value that was read from JSON.

    Raises:
        ValueError: it is nested deeper than can be written.

    """
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise ValueError("is nested too deep") from None


def within(document: Mapping[str, object], name: str) -> object:
    """What stands under a dotted name, as one key or as objects within each other; None where nothing does."""
    found = document.get(name)
    if found is not None:
        return found
    head, dot, rest = name.partition(".")
    inner = document.get(head) if dot else None
    return within(inner, rest) if isinstance(inner, dict) else None
