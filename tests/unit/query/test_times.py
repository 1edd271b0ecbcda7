"""Times and durations as parameters write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge.errors import InvalidArgument
from tidegauge.model.query import TimeRange
from tidegauge.query.times import DAY_NS, HOUR_NS, parse_duration, parse_range, parse_time, parse_zone, steps_of

NOW = 1_769_860_800_123_456_789
NOON = 1_769_860_800_000_000_000  # 2026-01-31T12:00:00Z


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31t12:00:00z", NOON),
        ("2026-01-31T12:00:00.000000001Z", NOON + 1),
        ("2026-01-31T12:00:00.5+02:00", NOON - 7_200_000_000_000 + 500_000_000),
        ("2026-01-31T12:00:00 02:00", NOON - 7_200_000_000_000),  # an unescaped + of a query string
        ("2026-01-31 12:00:00-00:30", NOON + 1_800_000_000_000),
        ("2026-01-31", NOON - 43_200_000_000_000),
        ("1769860800", NOON),
        ("1769860800.000000001", NOON + 1),
        ("1769860800001", NOON + 1_000_000),
        ("1769860800000001", NOON + 1_000),
        ("1769860800000000001", NOON + 1),
        ("0", 0),
        ("now", NOW),
        ("now-1h", NOW - 3_600_000_000_000),
        ("now - 1h30m", NOW - 5_400_000_000_000),
        ("now+250ms", NOW + 250_000_000),
        ("now 250ms", NOW + 250_000_000),
        ("now-100ns", NOW - 100),
    ],
)
def test_forms_of_a_time(text: str, expected: int) -> None:
    assert parse_time(text, NOW, "start") == expected


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "now-", "now-1", "now-1y", "2026-01-31T12:00:00", "2026-13-31", "2026-02-30T00:00:00Z", "12:00", "-1", "1e9", "nan",
     "1769860800.1234567891", "2300-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "99999999999999999999", "now-90000w", "²"],
)  # fmt: skip
def test_what_is_no_time_is_named(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_time(text, NOW, "start")
    assert caught.value.parameter == "start"
    assert repr(text) in caught.value.message


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(2261, 12, 31)),  # noqa: DTZ001 - the zone is added below
    st.integers(0, 999),
    st.integers(-23 * 60, 23 * 60),
)
def test_every_moment_reads_back_to_the_nanosecond(moment: datetime, nanoseconds: int, offset_minutes: int) -> None:
    zone = timezone(timedelta(minutes=offset_minutes))
    local = moment.replace(tzinfo=UTC).astimezone(zone)
    offset = local.strftime("%z")
    text = f"{local:%Y-%m-%dT%H:%M:%S}.{local.microsecond:06d}{nanoseconds:03d}{offset[:3]}:{offset[3:]}"
    expected = (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1) * 1000 + nanoseconds  # noqa: DTZ001
    assert parse_time(text, NOW, "t") == expected


@given(st.text(max_size=40))
def test_no_text_breaks_the_parsers(text: str) -> None:
    for parse in (lambda: parse_time(text, NOW, "t"), lambda: parse_duration(text, "d")):
        try:
            assert 0 <= parse() < 1 << 63
        except InvalidArgument:
            continue


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1.5s", 1_500_000_000), ("250ms", 250_000_000), ("10us", 10_000), ("10µs", 10_000), ("7ns", 7), ("1h30m", 5_400_000_000_000),
     ("0.1s", 100_000_000), ("2w", 1_209_600_000_000_000), ("0s", 0)],
)  # fmt: skip
def test_forms_of_a_duration(text: str, expected: int) -> None:
    assert parse_duration(text, "step") == expected


@pytest.mark.parametrize("text", ["", "5", "-1s", "1 s", "s", "1y", "1.s", "300000w"])
def test_what_is_no_duration_is_named(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse_duration(text, "step")
    assert caught.value.parameter == "step"


def test_a_range_begins_before_it_ends() -> None:
    assert parse_range("now-1s", "now", NOW) == TimeRange(NOW - 1_000_000_000, NOW)
    with pytest.raises(InvalidArgument):
        parse_range("now", "now", NOW)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
        ("Asia/Kolkata", "2026-03-29", 24),
        # Clocks skip midnight itself.
        ("Asia/Beirut", "2026-03-29", 23),
        # Clocks show it twice.
        ("America/Havana", "2026-11-01", 25),
    ],
)
def test_a_local_day_is_as_long_as_it_is(zone: str, day: str, hours: float) -> None:
    noon = datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=ZoneInfo(zone))
    noon_ns = int(noon.timestamp()) * 1_000_000_000
    edges = steps_of(TimeRange(noon_ns, noon_ns + 1), DAY_NS, ZoneInfo(zone)).edges
    assert [(edges[1] - edges[0]) / HOUR_NS] == [hours]
    before, after = (datetime.fromtimestamp(moment, ZoneInfo(zone)) for moment in (edges[0] / 1e9 - 1, edges[0] / 1e9))
    assert (before.date() < after.date(), str(after.date())) == (True, day)


@given(
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
    st.integers(0, 80 * 365),
    st.integers(1, 60 * DAY_NS),
    st.integers(1, 10),
)
def test_steps_of_local_days_widen_any_range_and_do_not_depend_on_it(zone: str, day: int, length: int, days: int) -> None:
    start = day * DAY_NS + 12345
    steps = steps_of(TimeRange(start, start + length), days * DAY_NS, ZoneInfo(zone))
    edges = list(steps.edges)
    assert edges[0] <= start < edges[1]
    assert edges[-2] < start + length <= edges[-1]
    assert all(abs(end - begin - days * DAY_NS) <= HOUR_NS for begin, end in pairwise(edges))
    later = steps_of(TimeRange(edges[-2], edges[-1]), days * DAY_NS, ZoneInfo(zone))
    assert list(later.edges) == edges[-2:]


def test_steps_shorter_than_a_day_are_the_same_everywhere() -> None:
    asked = TimeRange(20_000 * DAY_NS + 1, 20_001 * DAY_NS)
    assert steps_of(asked, HOUR_NS, ZoneInfo("Asia/Kolkata")) == steps_of(asked, HOUR_NS, ZoneInfo("UTC"))


def test_zones_have_names() -> None:
    assert parse_zone("Asia/Kolkata").key == "Asia/Kolkata"
    for name in ("", "Mars/Olympus", "../../etc/passwd"):
        with pytest.raises(InvalidArgument):
            parse_zone(name)
