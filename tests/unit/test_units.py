"""Durations and sizes as people write them."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from pydantic import ByteSize, TypeAdapter

from tidegauge import units


@given(st.timedeltas(timedelta(microseconds=1), timedelta(days=40_000)))
def test_a_duration_that_is_shown_reads_back(value: timedelta) -> None:
    assert units.parse_duration(units.format_duration(value)) == value


@given(st.integers(0, 1 << 50) | st.integers(0, 1 << 20).map(lambda n: n << 30) | st.integers(0, 1 << 20).map(lambda n: n << 10))
def test_a_size_that_is_shown_reads_back(value: int) -> None:
    assert TypeAdapter(ByteSize).validate_python(units.format_size(value)) == value
