"""Times and durations as people and programs write them, exactly: integers of nanoseconds, no floats on the way."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from tidegauge.errors import InvalidArgument
from tidegauge.model.query import TimeRange
from tidegauge.model.tiers import Steps

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
TIME_FORMS = (
    "RFC 3339 (2026-01-31T12:00:00Z), Unix seconds (1769860800.5; 13 digits are milliseconds, 16 microseconds, 19 nanoseconds) or now-1h"
)
DURATION_FORMS = "a number and a unit, such as 1.5s, 250ms, 10us, 100ns, 5m, 2h, 7d or 1h30m"

_UNITS = {"ns": 1, "us": 1000, "µs": 1000, "ms": 1_000_000, "s": SECOND_NS, "m": MINUTE_NS, "h": HOUR_NS, "d": DAY_NS, "w": 7 * DAY_NS}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d|w)")
_RELATIVE = re.compile(r"now(?:\s*([+-]|\s)\s*(\S+))?")
_UNIX = re.compile(r"(\d{1,20})(?:\.(\d{1,9}))?")
# A "+" that was not escaped in a query string arrives as a space.
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z|[+ -]\d\d:\d\d))?", re.IGNORECASE)
_LAST_NS = (1 << 63) - 1
_FIRST_DAY = date(1970, 1, 1)
# Characters. What is longer is none of these forms, and would take long to be told from them.
_LONGEST = 100


def parse_time(text: str, now_ns: int, parameter: str) -> int:
    """Nanoseconds since the Unix epoch of :data:`TIME_FORMS`; a date alone is its midnight in UTC.

    Raises:
        InvalidArgument: not one of the forms, or not between 1970 and 2262.

    """
    stripped = text.strip()
    found = None
    if len(stripped) <= _LONGEST:
        found = _relative(stripped, now_ns) if stripped.startswith("now") else _unix(stripped)
        if found is None:
            found = _rfc3339(stripped)
    if found is None:
        raise InvalidArgument(f"{parameter}={text!r} is not a time", hint=f"expected {TIME_FORMS}", parameter=parameter)
    if not 0 <= found <= _LAST_NS:
        raise InvalidArgument(f"{parameter}={text!r} is out of range", hint="expected a time from 1970 to 2262", parameter=parameter)
    return found


def parse_duration(text: str, parameter: str) -> int:
    """Nanoseconds of :data:`DURATION_FORMS`.

    Raises:
        InvalidArgument: not such a text, or longer than 292 years.

    """
    found = _duration(text.strip()) if len(text) <= _LONGEST else None
    if found is None or found > _LAST_NS:
        raise InvalidArgument(f"{parameter}={text!r} is not a duration", hint=f"expected {DURATION_FORMS}", parameter=parameter)
    return found


def parse_range(start: str, end: str, now_ns: int) -> TimeRange:
    """The range of the parameters ``start`` and ``end``.

    Raises:
        InvalidArgument: one of them is no time, or start is not before end.

    """
    start_ns, end_ns = parse_time(start, now_ns, "start"), parse_time(end, now_ns, "end")
    if start_ns >= end_ns:
        raise InvalidArgument(f"start={start!r} is not before end={end!r}", hint="start is inclusive, end exclusive", parameter="start")
    return TimeRange(start_ns, end_ns)


@lru_cache(maxsize=64)
def parse_zone(text: str) -> ZoneInfo:
    """The time zone of an IANA name.

    Raises:
        InvalidArgument: there is none of that name.

    """
    # Asked first: ZoneInfo() opens files by name. It reads folders, which takes milliseconds: what is known is kept.
    if text not in available_timezones():
        raise InvalidArgument(f"timezone={text!r} is not known", hint="expected a name such as UTC or Europe/Berlin", parameter="timezone")
    return ZoneInfo(text)


def steps_of(time: TimeRange, step_ns: int, zone: ZoneInfo) -> Steps:
    """The range widened to whole steps.

    Steps begin at multiples of ``step_ns`` since the Unix epoch, in UTC; those of whole days begin at the zone's midnights, as many days
    after 1 January 1970 there, and are as long as those days are.

    Raises:
        InvalidArgument: local days beyond the calendar's end.

    """
    start, end = time.start_ns // step_ns, -(-time.end_ns // step_ns)
    if step_ns % DAY_NS or zone.key == "UTC":
        return Steps(range(start * step_ns, end * step_ns + 1, step_ns))
    days = step_ns // DAY_NS
    try:
        first = (datetime.fromtimestamp(time.start_ns // SECOND_NS, zone).date() - _FIRST_DAY).days // days * days
        edges = [_midnight(first, zone)]
        while edges[-1] < time.end_ns:
            first += days
            edges.append(_midnight(first, zone))
    except (ValueError, OverflowError) as error:
        raise InvalidArgument("steps that long leave the calendar", parameter="step") from error
    return Steps(tuple(edges))


def one_step(time: TimeRange) -> Steps:
    """The whole range as one step, widened to whole microseconds, which is what is stored."""
    start, end = time.start_ns // 1000 * 1000, -(-time.end_ns // 1000) * 1000
    return Steps(range(start, end + 1, end - start))


def _midnight(day: int, zone: ZoneInfo) -> int:
    """Where a local day begins: at the moment of a change where clocks skip midnight, at the first one where they show it twice."""
    local = date.fromordinal(_FIRST_DAY.toordinal() + day)
    return int(datetime(local.year, local.month, local.day, tzinfo=zone).timestamp()) * SECOND_NS


def _duration(text: str) -> int | None:
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return int(sum(Decimal(number) * _UNITS[unit] for number, unit in parts))


def _relative(text: str, now_ns: int) -> int | None:
    match = _RELATIVE.fullmatch(text)
    if match is None:
        return None
    sign, distance = match.groups()
    if distance is None:
        return now_ns
    nanoseconds = _duration(distance)
    if nanoseconds is None:
        return None
    return now_ns - nanoseconds if sign == "-" else now_ns + nanoseconds


def _unix(text: str) -> int | None:
    match = _UNIX.fullmatch(text)
    if match is None:
        return None
    whole, fraction = match.groups()
    if len(whole) <= 11:
        return int(whole) * SECOND_NS + int((fraction or "0").ljust(9, "0"))
    unit = 1_000_000 if len(whole) <= 14 else 1000 if len(whole) <= 17 else 1
    return int(Decimal(f"{whole}.{fraction or 0}") * unit)


def _rfc3339(text: str) -> int | None:
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    date, time, fraction, offset = match.groups()
    zone = "+00:00" if offset is None or offset in "Zz" else offset.replace(" ", "+")
    try:
        moment = datetime.fromisoformat(f"{date}T{time or '00:00:00'}{zone}")
        seconds = (moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    except (ValueError, OverflowError):
        return None
    return int(seconds) * SECOND_NS + int((fraction or "0").ljust(9, "0"))
