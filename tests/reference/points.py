"""Metric points, exemplars, and the series they belong to."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.common.v1.common_pb2 import KeyValueList

from tests.reference.identity import series_identity
from tests.reference.items import TIME_END, Expected, Row, usable
from tests.reference.values import clean, faithful, pairs_of, plain

COUNT_END = 2**63
FLAGS_END = 2**31
NAME_LENGTH = 600
UNIT_LENGTH = 63
TEMPORALITIES = {0: "unspecified", 1: "delta", 2: "cumulative"}
TABLES = {
    "gauge": "numbers",
    "sum": "numbers",
    "histogram": "histograms",
    "exponential_histogram": "histograms",
    "summary": "summaries",
}


def add_metric(expected: Expected, metric: Any, resource: Row, scope: Row) -> None:
    """All points of a metric."""
    kind = metric.WhichOneof("data")
    if kind is None:
        # An empty metric is nothing; data of a kind that is not known is lost, and the sender hears of it.
        if len(UnknownFieldSet(metric)):
            expected.rejected["unsupported_metric_type"] += 1
        return
    data = getattr(metric, kind)
    if not data.data_points:
        return
    reason = metric_fault(metric, data)
    if reason:
        expected.rejected[reason] += len(data.data_points)
        return
    if metric.description or metric.metadata:
        key = (resource["identity"], metric.name, kind, metric.unit)
        metadata = plain(pairs_of(metric.metadata)) if metric.metadata else None
        expected.metadata.setdefault(key, {"description": clean(metric.description), "metadata": metadata})
    for point in data.data_points:
        add_point(expected, point, series_shape(metric, kind, data, point), resource, scope)


def metric_fault(metric: Any, data: Any) -> str | None:
    """Why none of a metric's points is stored."""
    if not 1 <= len(metric.name) <= NAME_LENGTH or "\0" in metric.name:
        return "invalid_metric_name"
    if len(metric.unit) > UNIT_LENGTH or "\0" in metric.unit:
        return "invalid_unit"
    if hasattr(data, "aggregation_temporality") and data.aggregation_temporality not in TEMPORALITIES:
        return "invalid_temporality"
    return None


def series_shape(metric: Any, kind: str, data: Any, point: Any) -> Row:
    """What makes a series, but for its labels and where it comes from."""
    return {
        "metric_name": metric.name,
        "type": kind,
        "unit": metric.unit,
        "temporality": TEMPORALITIES[data.aggregation_temporality] if hasattr(data, "aggregation_temporality") else None,
        "is_monotonic": data.is_monotonic if kind == "sum" else None,
        "bounds": tuple(point.explicit_bounds) if kind == "histogram" else None,
    }


def add_point(expected: Expected, point: Any, shape: Row, resource: Row, scope: Row) -> None:
    """One point, or its rejection."""
    kind = shape["type"]
    # A start time names the epoch of a counter; gauges and deltas have none.
    start = point.start_time_unix_nano if shape["temporality"] == "cumulative" or kind == "summary" else 0
    reason = point_fault(point, kind, start)
    if reason:
        expected.rejected[reason] += 1
        return
    labels = pairs_of(point.attributes)
    series = expected.entry(
        {
            **shape,
            "identity": series_identity(resource["identity"], scope["identity"], shape, labels),
            "resource": resource,
            "scope": scope,
            "labels": plain(labels),
            "original": None if faithful(labels) else KeyValueList(values=point.attributes).SerializeToString(),
        }
    )
    row = {"series": series, "time_unix_nano": point.time_unix_nano, "start_time_unix_nano": start or None, "flags": point.flags}
    expected.rows[TABLES[kind]].append({**row, **VALUES[kind](point)})
    for exemplar in point.exemplars if kind != "summary" else []:
        expected.rows["exemplars"].append({"series": series, **exemplar_row(exemplar, point.time_unix_nano)})


def point_fault(point: Any, kind: str, start: int) -> str | None:
    """Why a point is refused; of several reasons the first."""
    if TABLES[kind] == "numbers" and not point.flags & 1 and point.WhichOneof("value") is None:
        return "missing_value"
    if point.time_unix_nano == 0:
        return "missing_time"
    if point.time_unix_nano >= TIME_END or start >= TIME_END:
        return "time_out_of_range"
    if point.flags >= FLAGS_END:
        return "number_out_of_range"
    if kind == "histogram":
        return histogram_fault(point)
    if any(count >= COUNT_END for count in counts_of(point, kind)):
        return "count_out_of_range"
    return None


def counts_of(point: Any, kind: str) -> list[int]:
    """All counts of a point."""
    if kind == "summary":
        return [point.count]
    if kind == "exponential_histogram":
        return [point.count, point.zero_count, *point.positive.bucket_counts, *point.negative.bucket_counts]
    return []


def histogram_fault(point: Any) -> str | None:
    """Of a histogram's bounds and counts."""
    bounds, counts = list(point.explicit_bounds), list(point.bucket_counts)
    if any(math.isnan(bound) for bound in bounds) or not all(low < high for low, high in pairwise(bounds)):
        return "invalid_bounds"
    if any(count >= COUNT_END for count in counts):
        return "count_out_of_range"
    if (bounds or counts) and len(counts) != len(bounds) + 1:
        return "invalid_bucket_counts"
    return "count_out_of_range" if point.count >= COUNT_END else None


def number(message: Any) -> Row:
    """The value of a point or exemplar; ``value_int`` beside it where a float cannot hold it."""
    kind = message.WhichOneof("value")
    if kind is None:
        return {"value": None, "value_int": None}
    sent = getattr(message, kind)
    exact = kind == "as_double" or int(float(sent)) == sent
    return {"value": float(sent), "value_int": None if exact else sent}


def number_values(point: Any) -> Row:
    """Columns of a number point; bit 0 of its flags says that it has none."""
    return {"value": None, "value_int": None} if point.flags & 1 else number(point)


def optional(message: Any, name: str) -> Any:
    """A field, None where it was not sent."""
    return getattr(message, name) if message.HasField(name) else None


def distribution(point: Any) -> Row:
    """What all histograms have."""
    return {"count": point.count, **{name: optional(point, name) for name in ("sum", "min", "max")}}


def histogram_values(point: Any) -> Row:
    """Columns of a histogram with explicit bounds."""
    exponential = ("scale", "zero_count", "zero_threshold", "positive_offset", "negative_offset", "negative_bucket_counts")
    return {**distribution(point), "bucket_counts": tuple(point.bucket_counts) or None, **dict.fromkeys(exponential)}


def exponential_values(point: Any) -> Row:
    """Columns of an exponential histogram."""
    positive, negative = optional(point, "positive"), optional(point, "negative")
    return {
        **distribution(point),
        "bucket_counts": None if positive is None else tuple(positive.bucket_counts) or None,
        "scale": point.scale,
        "zero_count": point.zero_count,
        "zero_threshold": point.zero_threshold,
        "positive_offset": None if positive is None else positive.offset,
        "negative_offset": None if negative is None else negative.offset,
        "negative_bucket_counts": None if negative is None else tuple(negative.bucket_counts) or None,
    }


def summary_values(point: Any) -> Row:
    """Columns of a summary."""
    return {
        "count": point.count,
        "sum": point.sum,
        "quantiles": tuple(item.quantile for item in point.quantile_values),
        "quantile_values": tuple(item.value for item in point.quantile_values),
    }


VALUES = {
    "gauge": number_values,
    "sum": number_values,
    "histogram": histogram_values,
    "exponential_histogram": exponential_values,
    "summary": summary_values,
}


def exemplar_row(exemplar: Any, point_time: int) -> Row:
    """One without a usable time stands at its point's."""
    attributes = pairs_of(exemplar.filtered_attributes)
    timed = 0 < exemplar.time_unix_nano < TIME_END
    trace_id = exemplar.trace_id if usable(exemplar.trace_id, 16) else None
    span_id = exemplar.span_id if usable(exemplar.span_id, 8) else None
    lossless = faithful(attributes) and timed and (trace_id or b"") == exemplar.trace_id and (span_id or b"") == exemplar.span_id
    return {
        "time_unix_nano": exemplar.time_unix_nano if timed else point_time,
        **number(exemplar),
        "trace_id": trace_id,
        "span_id": span_id,
        "filtered_attributes": plain(attributes) if attributes else None,
        "original": None if lossless else exemplar.SerializeToString(),
    }
