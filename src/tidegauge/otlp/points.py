"""Data points of all metric types, and their exemplars, to columns."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

from google.protobuf.message import Message
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    NumberDataPoint,
    SummaryDataPoint,
)

from tidegauge.model.batch import MetricBatch
from tidegauge.otlp.budget import (
    COUNT_BYTES,
    EXEMPLAR_BYTES,
    HISTOGRAM_BYTES,
    NUMBER_BYTES,
    QUANTILE_BYTES,
    SUMMARY_BYTES,
    Budget,
)
from tidegauge.otlp.limits import INT32_MAX, INT64_MAX, TIME_END, valid_span_id, valid_trace_id
from tidegauge.otlp.rejections import Rejections
from tidegauge.otlp.series import MetricSeries
from tidegauge.otlp.values import JsonColumns

Row = tuple[Any, ...]
Buckets = ExponentialHistogramDataPoint.Buckets
_EXACT = 2**53
"""Every integer up to here is a float."""
_NO_VALUE = 1
"""DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK"""
NUMBERS = ("series", "time_unix_nano", "start_time_unix_nano", "value", "value_int", "flags")
HISTOGRAMS = (
    *("series", "time_unix_nano", "start_time_unix_nano", "count", "sum", "min", "max", "bucket_counts", "flags"),
    *("scale", "zero_count", "zero_threshold", "positive_offset", "negative_offset", "negative_bucket_counts"),
)
SUMMARIES = ("series", "time_unix_nano", "start_time_unix_nano", "count", "sum", "quantiles", "quantile_values", "flags")
EXEMPLARS = ("series", "time_unix_nano", "value", "value_int", "trace_id", "span_id", "filtered_attributes", "original")
NOT_EXPONENTIAL = (None,) * 6
_ROW_BYTES = {
    "gauge": NUMBER_BYTES,
    "sum": NUMBER_BYTES,
    "histogram": HISTOGRAM_BYTES,
    "exponential_histogram": HISTOGRAM_BYTES,
    "summary": SUMMARY_BYTES,
}


class _Refused(Exception):
    """A point cannot be stored."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message


class AsSent(NamedTuple):
    """What is asked of a point's lean twin, where it was read without one."""

    attributes: Sequence[bytes]


class PointDecoder:
    """Gathers the points of a batch: rows, which are handed over to its columns all at once."""

    def __init__(self, batch: MetricBatch, rejections: Rejections, budget: Budget) -> None:
        self._budget = budget
        self._batch = batch
        self._rejections = rejections
        self.numbers: list[Row] = []
        self.histograms: list[Row] = []
        self.summaries: list[Row] = []
        self.exemplars: list[Row] = []
        self._columns = JsonColumns()
        self._by_kind: dict[str, Callable[[Any, Any, MetricSeries], None]] = {
            "gauge": self._add_numbers,
            "sum": self._add_numbers,
            "histogram": self._add_histograms,
            "exponential_histogram": self._add_exponential_histograms,
            "summary": self._add_summaries,
        }

    def add(self, kind: str, points: Sequence[Message], lean: Collection[Any], series: MetricSeries) -> None:
        """Points of one metric and their lean twins; ``kind`` is the name of its field in the Metric message."""
        self._budget.spend(len(points) * _ROW_BYTES[kind])
        self._by_kind[kind](points, lean, series)

    def add_odd(self, kind: str, point: Any, sent: AsSent, series: MetricSeries) -> None:
        """One of the points of a metric, for which the budget is spent already."""
        if kind in ("gauge", "sum"):
            self._add_number([point], 0, sent, series)
        else:
            self._by_kind[kind]([point], [sent], series)

    def hand_over(self) -> None:
        """Add all rows to the batch's columns."""
        batch = self._batch
        for names, rows, target in (
            (NUMBERS, self.numbers, batch.numbers),
            (HISTOGRAMS, self.histograms, batch.histograms),
            (SUMMARIES, self.summaries, batch.summaries),
            (EXEMPLARS, self.exemplars, batch.exemplars),
        ):
            for name, column in zip(names, zip(*rows, strict=True), strict=False):
                getattr(target, name).extend(column)
            rows.clear()

    def _add_numbers(self, points: Sequence[NumberDataPoint], lean: Iterable[Any], series: MetricSeries) -> None:
        """The hot path: what is out of the ordinary is read from the point's message."""
        add = self.numbers.append
        index_of = series.with_bounds(None).index
        cumulative = series.cumulative
        for place, point in enumerate(lean):
            time, value = point.time_unix_nano, point.as_double
            if not value:
                integer = point.as_int
                if integer:
                    value = float(integer)
                if not -_EXACT <= integer <= _EXACT or point.WhichOneof("value") is None:
                    self._add_number(points, place, point, series)
                    continue
            start = point.start_time_unix_nano if cumulative else 0
            if not 0 < time < TIME_END or start >= TIME_END or point.WhichOneof("other"):
                self._add_number(points, place, point, series)
                continue
            add((index_of(tuple(point.attributes), points, place), time, start or None, value, None, 0))

    def _add_number(self, points: Sequence[NumberDataPoint], place: int, lean: Any, series: MetricSeries) -> None:
        """Any point."""
        point = points[place]
        time, flags, kind = point.time_unix_nano, point.flags, point.WhichOneof("value")
        start = point.start_time_unix_nano if series.cumulative else 0
        if kind is None and not flags & _NO_VALUE:
            self._refuse(_Refused("missing_value", "a point must have a value or the flag for none"), point, series)
            return
        if not 0 < time < TIME_END or start >= TIME_END or flags > INT32_MAX:
            self._refuse(_fault(time, start, flags), point, series)
            return
        value, value_int = (None, None) if kind is None or flags & _NO_VALUE else _value(getattr(point, kind))
        index = series.with_bounds(None).index(tuple(lean.attributes), points, place)
        self.numbers.append((index, time, start or None, value, value_int, flags))
        if point.exemplars:
            self._add_exemplars(point.exemplars, index, time)

    def _add_histograms(self, points: Sequence[HistogramDataPoint], lean: Iterable[Any], series: MetricSeries) -> None:
        add = self.histograms.append
        cumulative = series.cumulative
        for place, (point, twin) in enumerate(zip(points, lean, strict=True)):
            try:
                time, start, flags = _times(point, cumulative)
                bounds = _bounds(point.explicit_bounds)
                counts = _counts(point.bucket_counts)
                if len(counts) != len(bounds) + 1 and (counts or bounds):
                    raise _Refused(
                        "invalid_bucket_counts", "there must be one more of bucket_counts than of explicit_bounds, or none of both"
                    )
                count = _count(point.count)
            except _Refused as refused:
                self._refuse(refused, point, series)
                continue
            self._budget.spend(len(counts) * COUNT_BYTES)
            index = series.with_bounds(bounds.tobytes()).index(tuple(twin.attributes), points, place)
            add((index, time, start, count, *_sum_min_max(point), counts or None, flags, *NOT_EXPONENTIAL))
            if point.exemplars:
                self._add_exemplars(point.exemplars, index, time)

    def _add_exponential_histograms(
        self, points: Sequence[ExponentialHistogramDataPoint], lean: Iterable[Any], series: MetricSeries
    ) -> None:
        add = self.histograms.append
        cumulative = series.cumulative
        index_of = series.with_bounds(None).index
        for place, (point, twin) in enumerate(zip(points, lean, strict=True)):
            try:
                time, start, flags = _times(point, cumulative)
                count, zero_count = _count(point.count), _count(point.zero_count)
                positive_offset, positive = _buckets(point.positive) if point.HasField("positive") else (None, None)
                negative_offset, negative = _buckets(point.negative) if point.HasField("negative") else (None, None)
            except _Refused as refused:
                self._refuse(refused, point, series)
                continue
            self._budget.spend((len(positive or ()) + len(negative or ())) * COUNT_BYTES)
            index = index_of(tuple(twin.attributes), points, place)
            exponential = (point.scale, zero_count, point.zero_threshold, positive_offset, negative_offset, negative)
            add((index, time, start, count, *_sum_min_max(point), positive, flags, *exponential))
            if point.exemplars:
                self._add_exemplars(point.exemplars, index, time)

    def _add_summaries(self, points: Sequence[SummaryDataPoint], lean: Iterable[Any], series: MetricSeries) -> None:
        """Summaries have no temporality; their counts are cumulative as Prometheus' are, so the start time is kept."""
        index_of = series.with_bounds(None).index
        for place, (point, twin) in enumerate(zip(points, lean, strict=True)):
            try:
                time, start, flags = _times(point, cumulative=True)
                count = _count(point.count)
            except _Refused as refused:
                self._refuse(refused, point, series)
                continue
            quantiles = tuple([item.quantile for item in point.quantile_values])
            values = tuple([item.value for item in point.quantile_values])
            self._budget.spend(len(values) * QUANTILE_BYTES)
            index = index_of(tuple(twin.attributes), points, place)
            self.summaries.append((index, time, start, count, point.sum, quantiles, values, flags))

    def _add_exemplars(self, exemplars: Collection[Exemplar], series: int, point_time: int) -> None:
        """An exemplar without a usable time stands at its point's; ``original`` tells."""
        columns = self._columns
        self._budget.spend(len(exemplars) * EXEMPLAR_BYTES)
        for exemplar in exemplars:
            time = exemplar.time_unix_nano
            if not 0 < time < TIME_END:
                time, columns.lossy = point_time, True
            kind = exemplar.WhichOneof("value")
            value, value_int = (None, None) if kind is None else _value(getattr(exemplar, kind))
            trace_id, span_id = exemplar.trace_id or None, exemplar.span_id or None
            if trace_id is not None and not valid_trace_id(trace_id):
                trace_id, columns.lossy = None, True
            if span_id is not None and not valid_span_id(span_id):
                span_id, columns.lossy = None, True
            attributes = columns.attributes(exemplar.filtered_attributes) if exemplar.filtered_attributes else None
            original = exemplar.SerializeToString() if columns.lossy else None
            columns.lossy = False
            self._budget.spend(len(attributes or b"") + len(original or b""))
            self.exemplars.append((series, time, value, value_int, trace_id, span_id, attributes, original))

    def _refuse(self, refused: _Refused, point: Message, series: MetricSeries) -> None:
        self._rejections.add(refused.reason, f"{series.metric_name[:100]!r}: {refused.message}", point)


def _fault(time: int, start: int, flags: int) -> _Refused:
    if time == 0:
        return _Refused("missing_time", "a point must have a time_unix_nano")
    if time >= TIME_END or start >= TIME_END:
        return _Refused("time_out_of_range", "a point's times must be before 2262-04-11 (2^63 nanoseconds)")
    return _Refused("number_out_of_range", f"flags must be at most {INT32_MAX}, not {flags}")


def _times(point: Any, cumulative: bool) -> tuple[int, int | None, int]:
    """time_unix_nano, start_time_unix_nano where it is kept, flags."""
    time, flags = point.time_unix_nano, point.flags
    start = point.start_time_unix_nano if cumulative else 0
    if not 0 < time < TIME_END or start >= TIME_END or flags > INT32_MAX:
        raise _fault(time, start, flags)
    return time, start or None, flags


def _value(sent: float | int) -> tuple[float, int | None]:
    """A number as a float, and as an integer where it is one that no float is equal to."""
    value = float(sent)
    return value, None if isinstance(sent, float) or int(value) == sent else sent


def _count(value: int) -> int:
    if value > INT64_MAX:
        raise _Refused("count_out_of_range", f"counts must be at most {INT64_MAX}")
    return value


def _counts(values: Collection[int]) -> tuple[int, ...]:
    counts = tuple(values)
    if counts and max(counts) > INT64_MAX:
        raise _Refused("count_out_of_range", f"counts must be at most {INT64_MAX}")
    return counts


def _bounds(values: Iterable[float]) -> array[float]:
    """Bounds in strictly increasing order, as metrics.proto demands; NaN is in no order."""
    bounds = array("d", values)
    previous = None
    for bound in bounds:
        if bound != bound or (previous is not None and bound <= previous):
            raise _Refused("invalid_bounds", "explicit_bounds must be strictly increasing numbers")
        previous = bound
    return bounds


def _buckets(buckets: Buckets) -> tuple[int, tuple[int, ...] | None]:
    return buckets.offset, _counts(buckets.bucket_counts) or None


def _sum_min_max(point: Any) -> tuple[float | None, float | None, float | None]:
    has = point.HasField
    return point.sum if has("sum") else None, point.min if has("min") else None, point.max if has("max") else None
