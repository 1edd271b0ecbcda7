"""Which times are accepted."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegauge.ingest.limits import TimeLimits, enforce
from tidegauge.model.batch import LogBatch, MetricBatch, ResourceEntry, SeriesEntry, SpanBatch

NOW = 1_790_000_000_000_000_000
SECOND = 1_000_000_000
CART = ResourceEntry(UUID(int=1), "cart", "", "", "", b"{}")
LIMITS = TimeLimits(past=timedelta(hours=1), future=timedelta(minutes=10))
OLDEST, NEWEST = NOW - 3600 * SECOND, NOW + 600 * SECOND


def spans(starts: list[int]) -> SpanBatch:
    """A batch whose every column tells the row it belongs to."""
    batch = SpanBatch()
    for column in dataclasses.fields(batch):
        if column.name not in {"resources", "scopes", "rejections"}:
            getattr(batch, column.name).extend(f"{column.name} {row}" for row in range(len(starts)))
    batch.resources.append(CART)
    batch.resource[:] = [0] * len(starts)
    batch.attributes[:] = [b'{"row":%d}' % row for row in range(len(starts))]
    batch.events[:] = batch.links[:] = [None] * len(starts)
    batch.start_time_unix_nano[:] = starts
    batch.end_time_unix_nano[:] = [start + 1 for start in starts]
    return batch


@given(st.lists(st.integers(OLDEST - 5, OLDEST + 5) | st.integers(NEWEST - 5, NEWEST + 5) | st.just(NOW), max_size=12))
def test_exactly_what_is_out_of_range_goes_and_rows_stay_whole(starts: list[int]) -> None:
    batch = spans(starts)
    enforce(batch, LIMITS, NOW)
    kept = [row for row, start in enumerate(starts) if OLDEST <= start <= NEWEST]
    assert batch.start_time_unix_nano == [starts[row] for row in kept]
    assert [str(name) for name in batch.name] == [f"name {row}" for row in kept]
    assert [str(original) for original in batch.original] == [f"original {row}" for row in kept]
    counted = {rejection.reason: rejection.items for rejection in batch.rejections}
    assert counted.get("too_old", 0) == sum(start < OLDEST for start in starts)
    assert counted.get("too_far_ahead", 0) == sum(start > NEWEST for start in starts)
    for rejection in batch.rejections:
        sample = json.loads(rejection.sample or b"")
        assert (rejection.service, rejection.sample_type, sample["service"]) == ("cart", "json", "cart")
        assert int(sample["start_time_unix_nano"]) in starts
        assert sample["attributes"]["row"] not in kept


@pytest.mark.parametrize(
    ("time", "observed", "kept"),
    [(NOW, 0, True), (0, NOW, True), (0, 0, True), (OLDEST - 1, NOW, False), (0, NEWEST + 1, False)],
    ids=["time", "observed only", "neither", "old", "observed ahead"],
)
def test_a_record_is_judged_by_the_time_it_is_stored_under(time: int, observed: int, kept: bool) -> None:
    batch = LogBatch(resources=[CART])
    for column in dataclasses.fields(batch):
        if column.name not in {"resources", "scopes", "rejections"}:
            getattr(batch, column.name).append(0)
    batch.attributes[0] = b"{}"
    batch.time_unix_nano[0], batch.observed_time_unix_nano[0] = time, observed
    enforce(batch, LIMITS, NOW)
    assert len(batch) == int(kept)


def test_an_exemplar_out_of_range_is_counted_but_its_point_is_no_rejected_item() -> None:
    batch = MetricBatch(resources=[CART], series=[SeriesEntry(UUID(int=2), 0, 0, "m", "gauge", "", None, None, None, b"{}")])
    for column in dataclasses.fields(batch.exemplars):
        getattr(batch.exemplars, column.name).append(None)
    batch.exemplars.series[0] = 0
    batch.exemplars.time_unix_nano[0] = OLDEST - 1
    enforce(batch, LIMITS, NOW)
    assert len(batch.exemplars) == 0
    assert [(rejection.reason, rejection.refuses_items) for rejection in batch.rejections] == [("exemplar_too_old", False)]
