"""Attributes of spans that get a column of their own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

# What a list in a variable can hold, and PostgreSQL can.
_KEY = re.compile(r"[^\s,\x00-\x1f\x7f\ud800-\udfff]{1,200}")


class AttributeType(Enum):
    """The column's."""

    TEXT = "text"
    BIGINT = "bigint"
    DOUBLE = "double"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class PromotedAttribute:
    """A key and its column's type."""

    key: str
    type: AttributeType = AttributeType.TEXT

    def __post_init__(self) -> None:
        if not _KEY.fullmatch(self.key):
            raise ValueError(f"{self.key!r} is not a key of 1 to 200 characters without spaces")

    def __str__(self) -> str:
        return self.key if self.type is AttributeType.TEXT and ":" not in self.key else f"{self.key}:{self.type.value}"


def parsed(said: str) -> PromotedAttribute:
    """Of ``key`` or ``key:type``.

    Raises:
        ValueError: it is neither.

    """
    key, colon, kind = said.rpartition(":")
    if not colon:
        return PromotedAttribute(said)
    if kind not in {one.value for one in AttributeType}:
        raise ValueError(f"{kind!r} of {said!r} is not a type: expected key or key:type, of text, bigint, double, boolean")
    return PromotedAttribute(key, AttributeType(kind))
