"""Conditions of a span search that stand beside its fields: on attributes of a span, its resource, scope, events or links."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Where(Enum):
    """Whose attribute it is."""

    SPAN = "span"
    RESOURCE = "resource"
    SCOPE = "scope"
    EVENT = "event"
    LINK = "link"


class Comparison(Enum):
    """What an attribute is held against."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    REGEX = "=~"
    NOT_REGEX = "!~"
    PRESENT = "present"
    ABSENT = "absent"


NUMERIC = frozenset({Comparison.LESS, Comparison.LESS_OR_EQUAL, Comparison.GREATER, Comparison.GREATER_OR_EQUAL})


@dataclass(frozen=True, slots=True)
class AttributeCondition:
    """A condition on one attribute.

    ``values`` are what an equal one may be (a number and its text, say), the number of a numeric comparison, or the pattern of a
    regular expression, which matches the whole of a text. All but ``ABSENT`` need the attribute; conditions on events hold of one event,
    those on links of one link.
    """

    where: Where
    name: str
    comparison: Comparison
    values: tuple[bool | int | float | str, ...] = ()


class SearchOrder(Enum):
    """Which spans come first; of equally slow ones the newest."""

    NEWEST = "newest"
    SLOWEST = "slowest"
