"""Frames of answers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tidegauge.client import Table, errors, rows, table

MOMENT = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
POINTS = [rows.Point(MOMENT, 1.5, {"service.name": "cart"}), rows.Point(MOMENT, None, {})]


def test_frames_have_the_records_values() -> None:
    found = Table(rows.Point, POINTS)
    pandas, polars, arrow = found.to_pandas(), found.to_polars(), found.to_arrow()
    assert list(pandas["time"]) == [MOMENT, MOMENT]
    assert pandas["value"].tolist()[0] == 1.5
    assert pandas["value"].isna().tolist() == [False, True]
    assert polars["value"].to_list() == [1.5, None]
    assert polars["time"].to_list() == [MOMENT, MOMENT]
    assert arrow.column("labels").to_pylist() == ['{"service.name":"cart"}', "{}"]


@pytest.mark.parametrize("row_type", [rows.Point, rows.Span, rows.Trace, rows.Metric, rows.LogRecord, rows.Rollup, rows.Application])
def test_frames_without_rows_have_the_same_types(row_type: type) -> None:
    empty = Table(row_type, [])
    arrow = empty.to_arrow()
    assert arrow.num_rows == 0
    assert arrow.column_names == list(empty.to_pandas().columns) == empty.to_polars().columns
    assert "null" not in {str(field.type) for field in arrow.schema}


def test_integers_stay_integers_where_some_are_missing() -> None:
    span = rows.Span(MOMENT, "00", "01", None, "cart", "GET", "SERVER", "OK", "", 2**53 + 1)
    frame = Table(rows.Span, [span]).to_pandas()
    assert frame["duration_ns"].tolist() == [2**53 + 1]
    assert frame["parent_span_id"].isna().tolist() == [True]


def test_a_missing_library_is_named() -> None:
    with pytest.raises(errors.MissingLibrary, match=r"no_such_library is not installed: pip install 'tidegauge\[client\]'"):
        table.library("no_such_library")
