"""Conditions of a span search as parameters write them, and which regular expressions they may hold."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tidegauge.errors import InvalidArgument
from tidegauge.model.query import AttributeFilter
from tidegauge.model.search import NUMERIC, AttributeCondition, Comparison, Where
from tidegauge.query import matchers

CONDITION_FORM = (
    "name=value, or with != =~ !~ < <= > >=; name alone for one that is present, !name for one that is not; before the name may stand "
    "span: (the default), resource:, scope:, event: or link:, as in resource:host.name=web-1. A value 200 or true finds the number or "
    'boolean and the text; "200" in quotes finds the text alone. A name that holds = ! < > ~ or begins with one of these prefixes is '
    "quoted as well"
)
TEXT_MAX = 200
_MAX_CONDITIONS = 16
_MAX_PATTERN = 256
_MAX_REPETITIONS = 1000
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_CONDITION = re.compile(
    rf"\s*(!)?(?:(span|resource|scope|event|link):)?(?:{_QUOTED}|([^=!<>~\"]+?))\s*(?:(=~|!~|!=|<=|>=|=|<|>)\s*(.*?)\s*)?", re.DOTALL
)
# Escapes that PostgreSQL's regular expressions share with most others; neither references nor constraints.
_ESCAPES = frozenset("dDsSwWntrfv")
_BRACES = re.compile(r"\{(\d{1,3})(?:,(\d{0,3}))?\}")


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
    match = _CONDITION.fullmatch(text)
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


def check_pattern(pattern: str, parameter: str) -> None:
    """Refuse what costs more than time in proportion to what is searched: references, constraints, large repetitions.

    Raises:
        InvalidArgument: it is such a pattern, too long, or none at all.

    """
    try:
        re.compile(pattern)
    except re.error as error:
        raise _refused(pattern, parameter, str(error)) from error
    if len(pattern) > _MAX_PATTERN:
        raise _refused(pattern, parameter, f"it is longer than {_MAX_PATTERN} characters")
    repetitions = 1
    at = 0
    while at < len(pattern):
        if pattern[at] == "\\":
            if pattern[at + 1].isalnum() and pattern[at + 1] not in _ESCAPES:
                raise _refused(pattern, parameter, f"\\{pattern[at + 1]} is not supported")
            at += 1
        elif pattern.startswith("(?", at) and not pattern.startswith("(?:", at):
            raise _refused(pattern, parameter, "of groups with (? only (?: is supported")
        elif (braces := _BRACES.match(pattern, at)) is not None:
            repetitions *= max(1, int(braces[2] or braces[1]))
        at += 1
    if repetitions > _MAX_REPETITIONS:
        raise _refused(pattern, parameter, f"its repetitions come to more than {_MAX_REPETITIONS}")


def _refused(pattern: str, parameter: str, why: str) -> InvalidArgument:
    return InvalidArgument(f"{parameter}: {pattern[:80]!r} is not a supported regular expression", hint=why, parameter=parameter)


def parse_text(text: str | None, parameter: str = "text") -> str | None:
    """The text itself.

    Raises:
        InvalidArgument: it is empty or too long.

    """
    if text is not None and not 1 <= len(text) <= TEXT_MAX:
        raise InvalidArgument(f"{parameter} has {len(text)} characters", hint=f"expected 1 to {TEXT_MAX}", parameter=parameter)
    return text
