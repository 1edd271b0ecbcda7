"""Names of levels to OTLP's severity numbers (logs data model, "Mapping of SeverityNumber" and appendix B)."""

from __future__ import annotations

import re

_FAMILIES = (("trace", 1), ("debug", 5), ("info", 9), ("warn", 13), ("error", 17), ("fatal", 21))
_NUMBERS = {
    **dict.fromkeys(("trace", "verbose", "finest", "finer", "trc"), 1),
    **dict.fromkeys(("debug", "dbg", "fine", "d"), 5),
    **dict.fromkeys(("info", "information", "informational", "inf", "log", "i", "default"), 9),
    "notice": 10,
    **dict.fromkeys(("warn", "warning", "wrn", "w"), 13),
    **dict.fromkeys(("error", "err", "eror", "e", "severe", "failure"), 17),
    "crit": 18,
    "alert": 19,
    **dict.fromkeys(("fatal", "critical", "emerg", "emergency", "panic", "dpanic", "f", "ftl"), 21),
    **{f"{name}{step}": number + step - 1 for name, number in _FAMILIES for step in (1, 2, 3, 4)},
}
"""Syslog's, Python's, Java's, Go's and .NET's names, and OTLP's own with 1 to 4 behind."""
_NUMERIC = {10: 1, 20: 5, 30: 9, 40: 13, 50: 17, 60: 21}
"""What Pino and Bunyan write."""
_IN_LINE = re.compile(r"""(?:^|[\s{,;\["])(?:level|lvl|severity|detected_level)["']?\s*[=:]\s*["']?([A-Za-z]{1,13})\b""", re.IGNORECASE)
_LOOKED_AT = 1000
MAX_NUMBER = 24


def severity_number(level: object) -> int:
    """The number of a level by name, or by Pino's number; 0 for what is neither."""
    if isinstance(level, str):
        return _NUMBERS.get(level.strip().lower(), 0)
    return _NUMERIC.get(level, 0) if isinstance(level, int) and not isinstance(level, bool) else 0


def level_in(line: str) -> str:
    """What a line of JSON or logfmt says of its level within its first 1000 characters; "" where it says nothing that is a level."""
    for found in _IN_LINE.finditer(line, 0, _LOOKED_AT):
        if severity_number(found[1]):
            return found[1]
    return ""
