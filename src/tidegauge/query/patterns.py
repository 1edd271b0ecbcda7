"""Which regular expressions a search may hold: those that PostgreSQL runs in time proportional to what is searched."""

from __future__ import annotations

import re

from tidegauge.errors import InvalidArgument

_LONGEST = 256
_MAX_REPETITIONS = 1000
# Escapes that PostgreSQL's regular expressions share with most others; neither references nor constraints.
_ESCAPES = frozenset("dDsSwWntrfv")
_BRACES = re.compile(r"\{(\d{1,3})(?:,(\d{0,3}))?\}")


def check_pattern(pattern: str, parameter: str, longest: int = _LONGEST) -> None:
    """Refuse what costs more than time in proportion to what is searched: references, constraints, large repetitions.

    Args:
        pattern: the regular expression.
        parameter: that it is from.
        longest: most characters; the longer it is, the fewer repetitions it may have.

    Raises:
        InvalidArgument: it is such a pattern, too long, or none at all.

    """
    if len(pattern) > longest:
        raise _refused(pattern, parameter, f"it is longer than {longest} characters")
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise _refused(pattern, parameter, str(error)) from error
    most = _MAX_REPETITIONS * _LONGEST // max(len(pattern), _LONGEST)
    if _repetitions(pattern, parameter) > most:
        raise _refused(pattern, parameter, f"its repetitions come to more than {most}")


def _repetitions(pattern: str, parameter: str) -> int:
    """As if each stood in the one before: their product."""
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
    return repetitions


def _refused(pattern: str, parameter: str, why: str) -> InvalidArgument:
    return InvalidArgument(f"{parameter}: {pattern[:80]!r} is not a supported regular expression", hint=why, parameter=parameter)
