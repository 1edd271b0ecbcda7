"""Cursors and the size of pages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge.errors import InvalidArgument
from tidegauge.model.query import Cursor, TimeRange
from tidegauge.query.paging import Listing, decode_cursor, encode_cursor, page_size

NANOSECONDS = st.integers(0, (1 << 63) - 2)


@given(st.sampled_from(Listing), NANOSECONDS, NANOSECONDS, NANOSECONDS, st.binary(max_size=40))
def test_a_cursor_reads_back(listing: Listing, one: int, other: int, time_ns: int, tie: bytes) -> None:
    time = TimeRange(min(one, other), max(one, other) + 1)
    text = encode_cursor(listing, time, Cursor(time_ns, tie))
    assert text.replace("-", "").replace("_", "").isalnum()
    place = decode_cursor(listing, text)
    assert (place.time, place.after) == (time, Cursor(time_ns, tie))
    with pytest.raises(InvalidArgument):
        decode_cursor(next(another for another in Listing if another is not listing), text)


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.hex()))
def test_what_is_no_cursor_is_named(text: str) -> None:
    try:
        decode_cursor(Listing.SPANS, text)
    except InvalidArgument as error:
        assert error.parameter == "cursor"  # noqa: PT017 - a text may happen to be a cursor


@pytest.mark.parametrize("text", ["", "zzz", "ü", "AAAA", "A" * 44, "A"])
def test_texts_that_are_no_cursor(text: str) -> None:
    with pytest.raises(InvalidArgument):
        decode_cursor(Listing.LOGS, text)


def test_page_sizes() -> None:
    assert [page_size(limit, 500) for limit in (None, 1, 500)] == [100, 1, 500]
    assert page_size(None, 20) == 20
    for limit in (0, -1, 501):
        with pytest.raises(InvalidArgument, match=str(limit)):
            page_size(limit, 500)
