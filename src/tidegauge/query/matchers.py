"""Conditions on labels and attributes, as parameters write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite

from tidegauge.errors import InvalidArgument
from tidegauge.model.query import AttributeFilter, Matcher, MatchOperator
from tidegauge.query.patterns import check_pattern

MATCH_FORM = (
    'name, one of = != =~ !~, and a value, quoted or not: http.route="/cart", status=~5.. (regular expressions match the whole value)'
)
ATTRIBUTE_FORM = (
    "name=value, or a name alone for one that is present: http.route=/cart. A value 200 or true finds the number or boolean and the "
    'text; "200" in quotes finds the text alone. A name that holds = is quoted as well'
)
_MAX_CONDITIONS = 16
# Dashboards write all the values that were chosen, one behind the other.
_LONGEST_PATTERN = 4096
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
# Of stripped texts. No two parts can take the same spaces: else a thousand of them take minutes.
_MATCHER = re.compile(rf"(?:{_QUOTED}|([^=!~\"\s](?:[^=!~\"]*[^=!~\"\s])?))\s*(=~|!~|!=|=)\s*(.*)", re.DOTALL)
_ATTRIBUTE = re.compile(rf"(?:{_QUOTED}|([^=\"\s](?:[^=\"]*[^=\"\s])?))\s*(?:(=)\s*(.*))?", re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def parse_matchers(texts: Sequence[str], parameter: str = "match") -> tuple[Matcher, ...]:
    """Label matchers; see :data:`MATCH_FORM`.

    Raises:
        InvalidArgument: one is malformed, or there are too many.

    """
    _bounded(texts, parameter)
    return tuple([_matcher(text, parameter) for text in texts])


def parse_attributes(texts: Sequence[str], parameter: str = "attribute") -> tuple[AttributeFilter, ...]:
    """Attribute conditions; see :data:`ATTRIBUTE_FORM`.

    Raises:
        InvalidArgument: one is malformed, or there are too many.

    """
    _bounded(texts, parameter)
    return tuple([_attribute(text, parameter) for text in texts])


def _bounded(texts: Sequence[str], parameter: str) -> None:
    if len(texts) > _MAX_CONDITIONS:
        raise InvalidArgument(f"{parameter} stands {len(texts)} times", hint=f"at most {_MAX_CONDITIONS} are allowed", parameter=parameter)
    for text in texts:
        if "\0" in text:
            raise InvalidArgument(f"{parameter} holds a NUL character", hint="no stored value has one", parameter=parameter)


def _matcher(text: str, parameter: str) -> Matcher:
    match = _MATCHER.fullmatch(text.strip())
    if match is None:
        raise InvalidArgument(f"{parameter}={text!r} is not a matcher", hint=f"expected {MATCH_FORM}", parameter=parameter)
    quoted, bare, operator, value = match.groups()
    text_alone = unquoted(value)
    wanted = value if text_alone is None else text_alone
    if MatchOperator(operator) in (MatchOperator.REGEX, MatchOperator.NOT_REGEX):
        check_pattern(wanted, parameter, _LONGEST_PATTERN)
    return Matcher(bare if quoted is None else unescaped(quoted), MatchOperator(operator), wanted)


def _attribute(text: str, parameter: str) -> AttributeFilter:
    match = _ATTRIBUTE.fullmatch(text.strip())
    if match is None:
        raise InvalidArgument(f"{parameter}={text!r} is not a condition", hint=f"expected {ATTRIBUTE_FORM}", parameter=parameter)
    quoted, bare, equals, value = match.groups()
    name = bare if quoted is None else unescaped(quoted)
    if equals is None:
        return AttributeFilter(name)
    text_alone = unquoted(value)
    return AttributeFilter(name, (text_alone,) if text_alone is not None else readings(value))


def readings(text: str) -> tuple[bool | int | float | str, ...]:
    """What an unquoted value may mean."""
    if text in ("true", "false"):
        return (text == "true", text)
    if _NUMBER.fullmatch(text) and len(text) <= 40:
        whole = text.lstrip("-").isdigit() and abs(int(text)) < 1 << 63
        number = int(text) if whole else float(text)
        return (number, text) if isfinite(number) else (text,)
    return (text,)


def unquoted(value: str) -> str | None:
    """The text of a quoted value; None if it is not quoted."""
    match = re.fullmatch(_QUOTED, value, re.DOTALL)
    return None if match is None else unescaped(match[1])


def unescaped(text: str) -> str:
    """What stands between quotes."""
    return _ESCAPE.sub(lambda match: {"n": "\n", "t": "\t", "r": "\r"}.get(match[1], match[1]), text)
