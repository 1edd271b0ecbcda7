"""Times and durations as parameters write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge.errors import InvalidArgument
from tidegauge.model.query import TimeRange
from tidegauge.query.times import parse_duration, parse_range, parse_time

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
