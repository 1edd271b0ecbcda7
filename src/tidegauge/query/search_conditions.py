"""Conditions of a span search as parameters write them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tidegauge.errors import InvalidArgument
from tidegauge.model.query import AttributeFilter
from tidegauge.model.search import NUMERIC, AttributeCondition, Comparison, Where
from tidegauge.query import matchers
from tidegauge.query.patterns import check_pattern

CONDITION_FORM = (
    "name=value, or with != =~ !~ < <= > >=; name alone for one that is present, !name for one that is not; before the name may stand "
    "span: (the default), resource:, scope:, event: or link:, as in resource:host.name=web-1. A value 200 or true finds the number or "
    'boolean and the text; "200" in quotes finds the text alone. A name that holds = ! < > ~ or begins with one of these prefixes is '
    "quoted as well"
)
TEXT_MAX = 200
_MAX_CONDITIONS = 16
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
# Of stripped texts; as in matchers.py, no two parts can take the same spaces.
_CONDITION = re.compile(
    rf"(!)?\s*(?:(span|resource|scope|event|link):)?\s*(?:{_QUOTED}|([^=!<>~\"\s](?:[^=!<>~\"]*[^=!<>~\"\s])?))\s*"
    r"(?:(=~|!~|!=|<=|>=|=|<|>)\s*(.*))?",
    re.DOTALL,
)


def parse_conditions(
    texts: Sequence[str], parameter: str = "attribute"
) -> tuple[tuple[AttributeFilter, ...], tuple[AttributeCondition, ...]]:
    """A span's own attributes that are equal or present, and all other conditions; see :data:`CONDITION_FORM`.

    Raises:
        InvalidArgument: one is malformed, or there are too many.

    """
    if len(texts) > _MAX_CONDITIONS:
        raise InvalidArgument(f"{parameter} stands {len(texts)} times", hint=f"at most {_MAX_CONDITIONS} are allowed", parameter=parameter)
    filters, conditions = [], []
    for one in [_condition(text, parameter) for text in texts]:
        if one.where is Where.SPAN and one.comparison in (Comparison.EQUAL, Comparison.PRESENT):
            filters.append(AttributeFilter(one.name, one.values))
        else:
            conditions.append(one)
    return tuple(filters), tuple(conditions)


def _condition(text: str, parameter: str) -> AttributeCondition:
    match = _CONDITION.fullmatch(text.strip())
    if match is None or "\0" in text or (match[1] and match[5]):
        raise InvalidArgument(f"{parameter}={text!r} is not a condition", hint=f"expected {CONDITION_FORM}", parameter=parameter)
    absent, prefix, quoted, bare, operator, value = match.groups()
    where = Where(prefix or "span")
    name = bare if quoted is None else matchers.unescaped(quoted)
    if operator is None:
        return AttributeCondition(where, name, Comparison.ABSENT if absent else Comparison.PRESENT)
    return AttributeCondition(where, name, Comparison(operator), _values(Comparison(operator), value, parameter))


def _values(comparison: Comparison, text: str, parameter: str) -> tuple[bool | int | float | str, ...]:
    unquoted = matchers.unquoted(text)
    if comparison in (Comparison.REGEX, Comparison.NOT_REGEX):
        pattern = text if unquoted is None else unquoted
        check_pattern(pattern, parameter)
        return (pattern,)
    readings = matchers.readings(text) if unquoted is None else (unquoted,)
    if comparison not in NUMERIC:
        return readings
    if isinstance(readings[0], (bool, str)):
        raise InvalidArgument(f"{parameter}: {text!r} is not a number", hint=f"{comparison.value} compares numbers", parameter=parameter)
    return readings[:1]


def parse_text(text: str | None, parameter: str = "text") -> str | None:
    """The text itself.

    Raises:
        InvalidArgument: it is empty or too long.

    """
    if text is not None and not 1 <= len(text) <= TEXT_MAX:
        raise InvalidArgument(f"{parameter} has {len(text)} characters", hint=f"expected 1 to {TEXT_MAX}", parameter=parameter)
    return text
