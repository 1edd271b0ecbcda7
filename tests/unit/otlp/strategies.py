"""Whole OTLP requests, with everything that is awkward in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from google.protobuf.message import Message
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
    Summary,
    SummaryDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

M = TypeVar("M", bound=Message)
NOW = 1_760_000_000_123_456_789


def message(type_: type[M], always: Mapping[str, object], sometimes: Mapping[str, object]) -> st.SearchStrategy[M]:
    """Messages of a type; of the fields in ``sometimes`` any number is left out."""
    return st.fixed_dictionaries(always, optional=sometimes).map(lambda fields: type_(**fields))


def several(items: st.SearchStrategy[object], most: int, least: int = 0) -> st.SearchStrategy[list[object]]:
    return st.lists(items, min_size=least, max_size=most)


def seldom(rare: st.SearchStrategy[object], common: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.integers(0, 15).flatmap(lambda number: rare if number == 15 else common)


texts = st.sampled_from(["", "a", "b", "é😀", "NaN", "\0", "a\0", "\\u0000", "\\\0\0\\\\\0", '"\\', "\ufffd", "\uffff"]) | st.text(
    max_size=4
)
int64s = st.sampled_from([0, 1, -1, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]) | st.integers(-(2**63), 2**63 - 1)
floats = st.sampled_from(
    [0.0, -0.0, 1.0, -1.0, 1e15, 9999999999999998.0, 1e16, -1e16, 1e22, 1e300, 1e-7, 5e-324, float("nan"), float("inf"), float("-inf")]
) | st.floats(allow_nan=False)
uint32s = st.sampled_from([0, 0, 1, 2**31, 2**32 - 1])
times = st.sampled_from([0, 1, NOW, NOW + 1, 2**63 - 1, 2**63, 2**64 - 1]) | st.integers(NOW, NOW + 10**9)
usual_times = seldom(times, st.sampled_from([NOW, NOW + 1]))
counts = seldom(st.sampled_from([2**63, 2**64 - 1]), st.sampled_from([0, 1, 2**63 - 1]) | st.integers(0, 100))
enums = st.sampled_from([0, 1, 2, 3, 7, -1, 2**15 - 1, 2**15, 2**31 - 1, -(2**31)])
scalars = st.one_of(
    texts.map(lambda value: AnyValue(string_value=value)),
    int64s.map(lambda value: AnyValue(int_value=value)),
    floats.map(lambda value: AnyValue(double_value=value)),
    st.booleans().map(lambda value: AnyValue(bool_value=value)),
    st.binary(max_size=3).map(lambda value: AnyValue(bytes_value=value)),
    st.just(AnyValue()),
)


def key_values(values: st.SearchStrategy[AnyValue]) -> st.SearchStrategy[KeyValue]:
    return message(KeyValue, {"key": texts}, {"value": values})


values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        several(inner, 3).map(lambda items: AnyValue(array_value=ArrayValue(values=items))),
        several(key_values(inner), 3).map(lambda items: AnyValue(kvlist_value=KeyValueList(values=items))),
    ),
    max_leaves=4,
)
plain_attributes = st.just([KeyValue(key="http.route", value=AnyValue(string_value="/")), KeyValue(key="n", value=AnyValue(int_value=1))])
attributes = several(key_values(values), 3) | plain_attributes
application_attributes = several(
    message(
        KeyValue,
        {
            "key": st.sampled_from(
                ["service.name", "service.namespace", "deployment.environment.name", "deployment.environment", "service.version"]
            )
        },
        {"value": values},
    ),
    4,
)
resources = message(Resource, {}, {"attributes": attributes | application_attributes, "dropped_attributes_count": uint32s})
scopes = message(InstrumentationScope, {}, {"name": texts, "version": texts, "attributes": attributes, "dropped_attributes_count": uint32s})
trace_ids = st.sampled_from([bytes(range(16)), b"\xff" * 16]) | st.sampled_from([b"", bytes(16), b"short", bytes(range(17))])
span_ids = st.sampled_from([bytes(range(8)), b"\xff" * 8]) | st.sampled_from([b"", bytes(8), b"no", bytes(range(9))])
good_trace_ids = st.sampled_from([bytes(range(16)), b"\xff" * 16, b"\0" * 15 + b"\1"])
good_span_ids = st.sampled_from([bytes(range(8)), b"\xff" * 8, b"\0" * 7 + b"\1"])
events = message(Span.Event, {}, {"time_unix_nano": times, "name": texts, "attributes": attributes, "dropped_attributes_count": uint32s})
links = message(
    Span.Link,
    {},
    {
        "trace_id": trace_ids,
        "span_id": span_ids,
        "trace_state": texts,
        "attributes": attributes,
        "flags": uint32s,
        "dropped_attributes_count": uint32s,
    },
)
span_details = {
    "name": texts,
    "trace_state": texts,
    "kind": enums,
    "flags": uint32s,
    "end_time_unix_nano": times,
    "attributes": attributes,
    "dropped_attributes_count": uint32s,
    "events": several(events, 2),
    "dropped_events_count": uint32s,
    "links": several(links, 2),
    "dropped_links_count": uint32s,
    "status": message(Status, {}, {"code": enums, "message": texts}),
}
good_spans = message(
    Span,
    {"trace_id": good_trace_ids, "span_id": good_span_ids, "start_time_unix_nano": st.just(NOW)},
    {**span_details, "parent_span_id": st.just(bytes(8)) | good_span_ids, "end_time_unix_nano": st.just(NOW + 5) | st.just(0)},
)
bad_spans = message(
    Span,
    {"trace_id": seldom(trace_ids, good_trace_ids), "span_id": seldom(span_ids, good_span_ids)},
    {**span_details, "parent_span_id": span_ids, "start_time_unix_nano": times},
)
spans = seldom(bad_spans, good_spans) | good_spans
log_records = message(
    LogRecord,
    {},
    {
        "time_unix_nano": usual_times,
        "observed_time_unix_nano": usual_times,
        "severity_number": enums,
        "severity_text": texts,
        "event_name": texts,
        "body": values | scalars,
        "attributes": attributes,
        "dropped_attributes_count": uint32s,
        "flags": uint32s,
        "trace_id": trace_ids,
        "span_id": span_ids,
    },
)
number_values = st.one_of(floats.map(lambda value: {"as_double": value}), int64s.map(lambda value: {"as_int": value}), st.just({}))
exemplars = st.builds(
    lambda fields, value: Exemplar(**fields, **value),
    st.fixed_dictionaries(
        {}, optional={"time_unix_nano": times, "filtered_attributes": attributes, "trace_id": trace_ids, "span_id": span_ids}
    ),
    number_values,
)
point_flags = seldom(st.sampled_from([2**31 - 1, 2**31, 2**32 - 1]), st.sampled_from([0, 0, 1, 2, 3]))
point_details = {"attributes": attributes, "start_time_unix_nano": usual_times, "flags": point_flags}
number_points = st.builds(
    lambda fields, value: NumberDataPoint(**fields, **value),
    st.fixed_dictionaries({"time_unix_nano": usual_times}, optional={**point_details, "exemplars": several(exemplars, 2)}),
    number_values,
)
bounds = st.sampled_from([[], [1.0], [0.0, 1.0], [-0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [float("nan")], [1.0, float("inf")]])
bucket_counts = st.sampled_from([[], [3], [1, 2], [1, 2, 3]]) | several(counts, 3)
distribution = {**point_details, "count": counts, "sum": floats, "min": floats, "max": floats}
shapes = st.sampled_from([([], []), ([], [3]), ([1.0], [1, 2]), ([0.0, 1.0], [1, 2, 3]), ([-0.0, 1.0], [2**63 - 1, 2, 3])])
histogram_points = st.builds(
    lambda fields, shape: HistogramDataPoint(**fields, explicit_bounds=shape[0], bucket_counts=shape[1]),
    st.fixed_dictionaries({"time_unix_nano": usual_times}, optional={**distribution, "exemplars": several(exemplars, 1)}),
    seldom(st.tuples(bounds, bucket_counts), shapes),
)
int32s = st.sampled_from([0, 0, 1, 2**31, 2**32 - 1])
times = st.sampled_from([0, 1, NOW, NOW + 1, 2**63 - 1, 2**63, 2**64 - 1]) | st.integers(NOW, NOW + 10**9)
counts = seldom(st.sampled_from([2**63, 2**64 - 1]), st.sampled_from([0, 1, 2**63 - 1]) | st.integers(0, 100))
enums = st.sampled_from([0, 1, 2, 3, 7, -1, 2**15 - 1, 2**15, 2**31 - 1, -(2**31)])
scalars = st.one_of(
    texts.map(lambda value: AnyValue(string_value=value)),
    int64s.map(lambda value: AnyValue(int_value=value)),
    floats.map(lambda value: AnyValue(double_value=value)),
    st.booleans().map(lambda value: AnyValue(bool_value=value)),
    st.binary(max_size=3).map(lambda value: AnyValue(bytes_value=value)),
    st.just(AnyValue()),
)


def key_values(values: st.SearchStrategy[AnyValue]) -> st.SearchStrategy[KeyValue]:
    return message(KeyValue, {"key": texts}, {"value": values})


values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        several(inner, 3).map(lambda items: AnyValue(array_value=ArrayValue(values=items))),
        several(key_values(inner), 3).map(lambda items: AnyValue(kvlist_value=KeyValueList(values=items))),
    ),
    max_leaves=4,
)
plain_attributes = st.just([KeyValue(key="http.route", value=AnyValue(string_value="/")), KeyValue(key="n", value=AnyValue(int_value=1))])
attributes = several(key_values(values), 3) | plain_attributes
application_attributes = several(
    message(
        KeyValue,
        {
            "key": st.sampled_from(
                ["service.name", "service.namespace", "deployment.environment.name", "deployment.environment", "service.version"]
            )
        },
        {"value": values},
    ),
    4,
)
resources = message(Resource, {}, {"attributes": attributes | application_attributes, "dropped_attributes_count": uint32s})
scopes = message(InstrumentationScope, {}, {"name": texts, "version": texts, "attributes": attributes, "dropped_attributes_count": uint32s})
trace_ids = st.sampled_from([bytes(range(16)), b"\xff" * 16]) | st.sampled_from([b"", bytes(16), b"short", bytes(range(17))])
span_ids = st.sampled_from([bytes(range(8)), b"\xff" * 8]) | st.sampled_from([b"", bytes(8), b"no", bytes(range(9))])
good_trace_ids = st.sampled_from([bytes(range(16)), b"\xff" * 16, b"\0" * 15 + b"\1"])
good_span_ids = st.sampled_from([bytes(range(8)), b"\xff" * 8, b"\0" * 7 + b"\1"])
events = message(Span.Event, {}, {"time_unix_nano": times, "name": texts, "attributes": attributes, "dropped_attributes_count": uint32s})
links = message(
    Span.Link,
    {},
    {
        "trace_id": trace_ids,
        "span_id": span_ids,
        "trace_state": texts,
        "attributes": attributes,
        "flags": uint32s,
        "dropped_attributes_count": uint32s,
    },
)
span_details = {
    "name": texts,
    "trace_state": texts,
    "kind": enums,
    "flags": uint32s,
    "end_time_unix_nano": times,
    "attributes": attributes,
    "dropped_attributes_count": uint32s,
    "events": several(events, 2),
    "dropped_events_count": uint32s,
    "links": several(links, 2),
    "dropped_links_count": uint32s,
    "status": message(Status, {}, {"code": enums, "message": texts}),
}
good_spans = message(
    Span,
    {"trace_id": good_trace_ids, "span_id": good_span_ids, "start_time_unix_nano": st.just(NOW)},
    {**span_details, "parent_span_id": st.just(bytes(8)) | good_span_ids, "end_time_unix_nano": st.just(NOW + 5) | st.just(0)},
)
bad_spans = message(
    Span,
    {"trace_id": seldom(trace_ids, good_trace_ids), "span_id": seldom(span_ids, good_span_ids)},
    {**span_details, "parent_span_id": span_ids, "start_time_unix_nano": times},
)
spans = seldom(bad_spans, good_spans) | good_spans
log_records = message(
    LogRecord,
    {},
    {
        "time_unix_nano": usual_times,
        "observed_time_unix_nano": usual_times,
        "severity_number": enums,
        "severity_text": texts,
        "event_name": texts,
        "body": values | scalars,
        "attributes": attributes,
        "dropped_attributes_count": uint32s,
        "flags": uint32s,
        "trace_id": trace_ids,
        "span_id": span_ids,
    },
)
usual_times = seldom(times, st.sampled_from([NOW, NOW + 1]))
number_values = st.one_of(floats.map(lambda value: {"as_double": value}), int64s.map(lambda value: {"as_int": value}), st.just({}))
exemplars = st.builds(
    lambda fields, value: Exemplar(**fields, **value),
    st.fixed_dictionaries(
        {}, optional={"time_unix_nano": times, "filtered_attributes": attributes, "trace_id": trace_ids, "span_id": span_ids}
    ),
    number_values,
)
point_flags = seldom(st.sampled_from([2**31 - 1, 2**31, 2**32 - 1]), st.sampled_from([0, 0, 1, 2, 3]))
point_details = {"attributes": attributes, "start_time_unix_nano": usual_times, "flags": point_flags}
number_points = st.builds(
    lambda fields, value: NumberDataPoint(**fields, **value),
    st.fixed_dictionaries({"time_unix_nano": usual_times}, optional={**point_details, "exemplars": several(exemplars, 2)}),
    number_values,
)
bounds = st.sampled_from([[], [1.0], [0.0, 1.0], [-0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [float("nan")], [1.0, float("inf")]])
bucket_counts = st.sampled_from([[], [3], [1, 2], [1, 2, 3]]) | several(counts, 3)
distribution = {**point_details, "count": counts, "sum": floats, "min": floats, "max": floats}
histogram_points = message(
    HistogramDataPoint,
    {"time_unix_nano": usual_times},
    {**distribution, "explicit_bounds": bounds, "bucket_counts": bucket_counts, "exemplars": several(exemplars, 1)},
)
int32s = st.sampled_from([0, 1, -1, 20, 2**31 - 1, -(2**31)])
buckets = message(ExponentialHistogramDataPoint.Buckets, {}, {"offset": int32s, "bucket_counts": bucket_counts})
exponential_points = message(
    ExponentialHistogramDataPoint,
    {"time_unix_nano": usual_times},
    {
        **distribution,
        "scale": int32s,
        "zero_count": counts,
        "zero_threshold": floats,
        "positive": buckets,
        "negative": buckets,
        "exemplars": several(exemplars, 1),
    },
)
quantiles = message(SummaryDataPoint.ValueAtQuantile, {}, {"quantile": floats, "value": floats})
summary_points = message(
    SummaryDataPoint,
    {"time_unix_nano": usual_times},
    {**point_details, "count": counts, "sum": floats, "quantile_values": several(quantiles, 2)},
)
temporalities = seldom(st.sampled_from([0, 3]), st.sampled_from([1, 2]))
gauges = message(Gauge, {}, {"data_points": several(number_points, 3, 1)})
sums = message(
    Sum, {}, {"data_points": several(number_points, 3, 1), "aggregation_temporality": temporalities, "is_monotonic": st.booleans()}
)
histograms = message(Histogram, {}, {"data_points": several(histogram_points, 3, 1), "aggregation_temporality": temporalities})
exponential_histograms = message(
    ExponentialHistogram, {}, {"data_points": several(exponential_points, 2, 1), "aggregation_temporality": temporalities}
)
summaries = message(Summary, {}, {"data_points": several(summary_points, 2, 1)})
metric_data = st.one_of(
    gauges.map(lambda data: {"gauge": data}),
    sums.map(lambda data: {"sum": data}),
    histograms.map(lambda data: {"histogram": data}),
    exponential_histograms.map(lambda data: {"exponential_histogram": data}),
    summaries.map(lambda data: {"summary": data}),
    st.just({}),
)
metrics = st.builds(
    lambda fields, data: Metric(**fields, **data),
    st.fixed_dictionaries(
        {"name": seldom(st.sampled_from(["m\0", "", "m" * 600, "m" * 601]), st.sampled_from(["http.server.request.duration", "m"]))},
        optional={
            "unit": seldom(st.sampled_from(["\0", "u" * 63, "u" * 64]), st.sampled_from(["s", ""])),
            "description": texts,
            "metadata": attributes,
        },
    ),
    metric_data,
)
schema_urls = st.sampled_from(["", "https://opentelemetry.io/schemas/1.40.0", "\0"])


def _request(
    request: type[M], outer: type, inner: type, outer_name: str, inner_name: str, items: dict[str, object]
) -> st.SearchStrategy[M]:
    scoped = message(inner, items, {"scope": scopes, "schema_url": schema_urls})
    resourced = message(outer, {inner_name: several(scoped, 2)}, {"resource": resources, "schema_url": schema_urls})
    return message(request, {outer_name: several(resourced, 2)}, {})


trace_requests = _request(
    ExportTraceServiceRequest, ResourceSpans, ScopeSpans, "resource_spans", "scope_spans", {"spans": several(spans, 3, 1)}
)
log_requests = _request(
    ExportLogsServiceRequest, ResourceLogs, ScopeLogs, "resource_logs", "scope_logs", {"log_records": several(log_records, 3, 1)}
)
metric_requests = _request(
    ExportMetricsServiceRequest, ResourceMetrics, ScopeMetrics, "resource_metrics", "scope_metrics", {"metrics": several(metrics, 3, 1)}
)
