"""Conditions on attributes as SQL/JSON paths (ISO/IEC 9075-2, 9.39; PostgreSQL's ``jsonpath``), which travel as parameters.

Paths are lax: an absent key is nothing. An array would be taken apart in comparisons, hence the tests of types.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from tidegauge.model.search import NUMERIC, AttributeCondition, Comparison, Where

_EXCEPTION = ("exception.type", "exception.message")


def object_path(conditions: Sequence[AttributeCondition]) -> str | None:
    """For ``@@`` on a jsonb object of attributes: all hold; None for no condition."""
    return " && ".join([_predicate("$", one) for one in conditions]) or None


def member_path(conditions: Sequence[AttributeCondition]) -> str | None:
    """For ``@?`` on a span's events or links: all hold of one of them; None for no condition."""
    predicates = " && ".join([_predicate('@."attributes"', one) for one in conditions])
    return f"$[*] ? ({predicates})" if predicates else None


def text_path(text: str) -> str:
    """For ``@?`` on a span's events: one has the text in its name, exception type or exception message."""
    fields = ['@."name"', *[f'@."attributes".{_quoted(key)}' for key in _EXCEPTION]]
    predicates = [f'{one} like_regex {_quoted(text)} flag "iq"' for one in fields]
    return f"$[*] ? ({' || '.join(predicates)})"


def of(conditions: Sequence[AttributeCondition], where: Where) -> list[AttributeCondition]:
    """Those on that one's attributes."""
    return [one for one in conditions if one.where is where]


def _predicate(base: str, condition: AttributeCondition) -> str:
    key = f"{base}.{_quoted(condition.name)}"
    match condition.comparison:
        case Comparison.PRESENT:
            return f"exists({key})"
        case Comparison.ABSENT:
            return f"!exists({key})"
        case Comparison.EQUAL:
            return _equal(key, condition.values)
        case Comparison.NOT_EQUAL:
            return _present_but_not(key, _equal(key, condition.values))
        case Comparison.REGEX:
            return _regex(key, condition.values)
        case Comparison.NOT_REGEX:
            return _present_but_not(key, _regex(key, condition.values))
        case comparison if comparison in NUMERIC:
            return f'({key}.type() == "number" && {key} {comparison.value} {_literal(condition.values[0])})'
    raise AssertionError(condition.comparison)


def _equal(key: str, values: Sequence[bool | int | float | str]) -> str:
    alternatives = " || ".join([f"{key} == {_literal(value)}" for value in values])
    return f'({key}.type() != "array" && ({alternatives}))'


def _regex(key: str, values: Sequence[object]) -> str:
    # A line break is a character as any other; without "s" a dot would not match it.
    pattern = _quoted(f"^(?:{values[0]})$")
    return f'({key}.type() == "string" && {key} like_regex {pattern} flag "s")'


def _present_but_not(key: str, predicate: str) -> str:
    # Values of different types are not comparable: neither equal nor unequal.
    return f"(exists({key}) && (!{predicate} || ({predicate}) is unknown))"


def _literal(value: object) -> str:
    return orjson.dumps(value).decode()


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()
