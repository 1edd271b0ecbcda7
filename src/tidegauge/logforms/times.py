"""Times as applications write them: RFC 3339, or a number since the Unix epoch whose size tells its unit."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

_NUMBER = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,18})?\Z")
_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,30}))?)?"
    r"\s?(Z|z|UTC|[+-][0-9]{2}:?[0-9]{2})?\Z"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END = 2**63
# Seconds reach year 5138 with 11 digits, and milliseconds with 11 are of 1973: no time that a log has is in two of these.
_UNITS = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3))
_SHOWN = 60


def nanoseconds(value: object) -> int:
    """Nanoseconds since the Unix epoch.

    A number below 1e11 is of seconds, below 1e14 of milliseconds, below 1e17 of microseconds, else of nanoseconds; as a string as well. A
    fraction is exact as far as its digits are (a JSON number of seconds has them to the microsecond). RFC 3339 may have a blank for
    the T, and is UTC without an offset.

    Raises:
        ValueError: it is none of these, or not between 1970 and 2262.

    """
    if isinstance(value, str):
        text = value.strip()[:_SHOWN]
        found = _number(Decimal(text)) if _NUMBER.match(text) else _rfc3339(text)
    elif isinstance(value, int) and not isinstance(value, bool):
        found = value * _factor(value)
    elif isinstance(value, float):
        found = _number(Decimal(repr(value)))
    else:
        raise ValueError("must be RFC 3339 or a number since 1970")  # noqa: TRY004 (of what a client sent)
    if not 0 <= found < _END:
        raise ValueError(f"{str(value)[:_SHOWN]!r} is not between 1970 and 2262")
    return found


def _number(value: Decimal) -> int:
    if not value.is_finite() or abs(value) >= _END:
        raise ValueError(f"{value:.6} is no time")
    return int(value * _factor(value))


def _factor(value: int | Decimal) -> int:
    return next((factor for end, factor in _UNITS if -end < value < end), 1)


def _rfc3339(text: str) -> int:
    found = _RFC3339.match(text)
    if found is None:
        raise ValueError(f"{text!r} is neither RFC 3339 nor a number since 1970")
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        # A leap second is the first moment of the next minute, as for everybody without leap seconds.
        leap = second == "60"
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), 59 if leap else int(second or 0), tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None
    passed = moment - _EPOCH
    seconds = passed.days * 86_400 + passed.seconds + leap - _offset(zone)
    return seconds * 10**9 + int(f"{fraction or 0:0<9}"[:9])


def _offset(zone: str | None) -> int:
    if zone is None or zone in "Zz" or zone == "UTC":
        return 0
    seconds = int(zone[1:3]) * 3600 + int(zone[-2:]) * 60
    return -seconds if zone[0] == "-" else seconds
