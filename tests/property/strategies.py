"""Whole OTLP requests with everything that is awkward in them, as official messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList
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

Strategy = st.SearchStrategy[Any]
NOW = 1_790_000_000_123_456_789


def message(type_: type, always: Mapping[str, Strategy], sometimes: Mapping[str, Strategy]) -> Strategy:
    """Messages of a type; of the fields in ``sometimes`` any number is left out."""
    return st.fixed_dictionaries(dict(always), optional=dict(sometimes)).map(lambda given: type_(**given))


def several(items: Strategy, most: int, least: int = 0) -> Strategy:
    return st.lists(items, min_size=least, max_size=most)


def seldom(rare: Strategy, common: Strategy) -> Strategy:
    """What is rare in one of 16; what costs an item would otherwise leave none."""
    return st.integers(0, 15).flatmap(lambda number: rare if number == 15 else common)


# --- values ---

texts = st.sampled_from(
    [
        "",
        "a",
        "b",
        "é😀",
        "NaN",
        "\0",
        "a\0",
        "\\u0000",
        "\\\0\0\\\\\0",
        '"\\',
        "\ufffd",
        "\uffff",
        "\n,\n",
        "\x7f\x85\u2028",
        "service.name",
    ]
) | st.text(max_size=4)
int64s = st.sampled_from([0, 1, -1, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]) | st.integers(-(2**63), 2**63 - 1)
floats = st.sampled_from(
    [0.0, -0.0, 1.0, -1.0, 1e15, 9999999999999998.0, 1e16, -1e16, 1e22, 1e300, 1e-7, 5e-324, *map(float, ["nan", "inf", "-inf"])]
) | st.floats(allow_nan=False)
uint32s = st.sampled_from([0, 0, 1, 2**31, 2**32 - 1])
int32s = st.sampled_from([0, 1, -1, 20, 2**31 - 1, -(2**31)])
times = st.sampled_from([0, 1, NOW, NOW + 1, 2**63 - 1, 2**63, 2**64 - 1]) | st.integers(NOW, NOW + 10**9)
usual_times = seldom(times, st.sampled_from([NOW, NOW + 1, NOW - 999]))
counts = seldom(st.sampled_from([2**63, 2**64 - 1]), st.sampled_from([0, 1, 2**63 - 1]) | st.integers(0, 300))
enums = st.sampled_from([0, 1, 2, 3, 7, -1, 2**15 - 1, 2**15, 2**31 - 1, -(2**31)])
scalars = st.one_of(
    texts.map(lambda value: AnyValue(string_value=value)),
    int64s.map(lambda value: AnyValue(int_value=value)),
    floats.map(lambda value: AnyValue(double_value=value)),
    st.booleans().map(lambda value: AnyValue(bool_value=value)),
    st.binary(max_size=4).map(lambda value: AnyValue(bytes_value=value)),
    st.sampled_from([AnyValue(), AnyValue(array_value=ArrayValue()), AnyValue(kvlist_value=KeyValueList())]),
    st.just(AnyValue(string_value_strindex=3)),
)


def key_values(values: Strategy) -> Strategy:
    return message(KeyValue, {"key": texts}, {"value": values})


values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        several(inner, 3).map(lambda items: AnyValue(array_value=ArrayValue(values=items))),
        several(key_values(inner), 3).map(lambda items: AnyValue(kvlist_value=KeyValueList(values=items))),
    ),
    max_leaves=4,
)
usual_attributes = st.just(
    [
        KeyValue(key="http.route", value=AnyValue(string_value="/pay")),
        KeyValue(key="http.response.status_code", value=AnyValue(int_value=200)),
        KeyValue(key="sampled", value=AnyValue(bool_value=False)),
    ]
)
attributes = st.one_of(several(key_values(values), 3), usual_attributes, st.permutations([1, 2, 3]).map(
    lambda numbers: [KeyValue(key=f"k{number}", value=AnyValue(int_value=number)) for number in numbers]
))  # fmt: skip
application_attributes = several(
    message(
        KeyValue,
        {
            "key": st.sampled_from(
                ["service.name", "service.namespace", "deployment.environment.name", "deployment.environment", "service.version"]
            )
        },
        {"value": values | st.just(AnyValue(string_value="n" * 201))},
    ),
    4,
)

# --- where items come from ---

entity_refs = message(
    EntityRef, {}, {"schema_url": texts, "type": texts, "id_keys": several(texts, 2), "description_keys": several(texts, 2)}
)
resources = message(
    Resource,
    {"attributes": attributes | application_attributes},
    {"dropped_attributes_count": uint32s, "entity_refs": seldom(several(entity_refs, 2), st.just([]))},
)
scopes = message(InstrumentationScope, {}, {"name": texts, "version": texts, "attributes": attributes, "dropped_attributes_count": uint32s})
schema_urls = st.sampled_from(["", "https://opentelemetry.io/schemas/1.40.0", "\0"])
good_trace_ids = st.sampled_from([bytes(range(16)), b"\xff" * 16, b"\0" * 15 + b"\1"])
good_span_ids = st.sampled_from([bytes(range(8)), b"\xff" * 8, b"\0" * 7 + b"\1"])
trace_ids = good_trace_ids | st.sampled_from([0, 7, 8, 9, 15, 16, 17]).flatmap(lambda size: st.sampled_from([bytes(size), b"\x61" * size]))
span_ids = good_span_ids | st.sampled_from([0, 7, 8, 9, 15, 16, 17]).flatmap(lambda size: st.sampled_from([bytes(size), b"\x61" * size]))

# --- spans ---

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
    {**span_details, "parent_span_id": st.just(bytes(8)) | good_span_ids, "end_time_unix_nano": st.sampled_from([0, NOW - 1, NOW + 5])},
)
bad_spans = message(
    Span,
    {"trace_id": seldom(trace_ids, good_trace_ids), "span_id": seldom(span_ids, good_span_ids)},
    {**span_details, "parent_span_id": span_ids, "start_time_unix_nano": times, "end_time_unix_nano": times},
)
spans = good_spans | bad_spans

# --- log records ---

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

# --- metrics ---

number_values = st.one_of(floats.map(lambda value: {"as_double": value}), int64s.map(lambda value: {"as_int": value}), st.just({}))
exemplars = st.builds(
    lambda given, value: Exemplar(**given, **value),
    st.fixed_dictionaries(
        {}, optional={"time_unix_nano": times, "filtered_attributes": attributes, "trace_id": trace_ids, "span_id": span_ids}
    ),
    number_values,
)
point_flags = seldom(st.sampled_from([2**31 - 1, 2**31, 2**32 - 1]), st.sampled_from([0, 0, 0, 1, 2, 3]))
point_details = {"attributes": attributes, "start_time_unix_nano": usual_times, "flags": point_flags}
number_points = st.builds(
    lambda given, value: NumberDataPoint(**given, **value),
    st.fixed_dictionaries({"time_unix_nano": usual_times}, optional={**point_details, "exemplars": several(exemplars, 2)}),
    number_values,
)
distribution = {**point_details, "count": counts, "sum": floats, "min": floats, "max": floats}
bucket_counts = st.sampled_from([[], [3], [1, 2], [1, 2, 3], [0] * 20]) | several(counts, 3)
bounds = st.sampled_from([[], [1.0], [0.0, 1.0], [-0.0, 1.0], [0.0, -0.0], [1.0, 1.0], [2.0, 1.0], [float("nan")], [1.0, float("inf")]])
shapes = st.sampled_from(
    [
        ([], []),
        ([], [3]),
        ([1.0], [1, 2]),
        ([0.0, 1.0], [1, 2, 3]),
        ([-0.0, 1.0], [2**63 - 1, 2, 3]),
        ([float("-inf"), 5e-324], [0, 0, 300]),
    ]
)
histogram_points = st.builds(
    lambda given, shape: HistogramDataPoint(**given, explicit_bounds=shape[0], bucket_counts=shape[1]),
    st.fixed_dictionaries({"time_unix_nano": usual_times}, optional={**distribution, "exemplars": several(exemplars, 1)}),
    seldom(st.tuples(bounds, bucket_counts), shapes),
)
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
temporalities = seldom(st.sampled_from([0, 3, -1]), st.sampled_from([1, 2]))
metric_data = st.one_of(
    several(number_points, 3, 1).map(lambda points: {"gauge": Gauge(data_points=points)}),
    message(
        Sum,
        {"data_points": several(number_points, 3, 1), "aggregation_temporality": temporalities},
        {"is_monotonic": st.booleans()},
    ).map(lambda data: {"sum": data}),
    message(Histogram, {"data_points": several(histogram_points, 3, 1), "aggregation_temporality": temporalities}, {}).map(
        lambda data: {"histogram": data}
    ),
    message(ExponentialHistogram, {"data_points": several(exponential_points, 2, 1), "aggregation_temporality": temporalities}, {}).map(
        lambda data: {"exponential_histogram": data}
    ),
    several(summary_points, 2, 1).map(lambda points: {"summary": Summary(data_points=points)}),
    st.sampled_from([{}, {"gauge": Gauge()}, {"sum": Sum(aggregation_temporality=7)}]),
)
metrics = st.builds(
    lambda given, data: Metric(**given, **data),
    st.fixed_dictionaries(
        {"name": seldom(st.sampled_from(["m\0", "", "é" * 600, "m" * 601]), st.sampled_from(["http.server.request.duration", "m"]))},
        optional={
            "unit": seldom(st.sampled_from(["\0", "µ" * 63, "u" * 64]), st.sampled_from(["s", "By", ""])),
            "description": texts,
            "metadata": attributes,
        },
    ),
    metric_data,
)

# --- requests ---


def _requests(request: type, outer: type, inner: type, name: str, items: str, item: Strategy) -> Strategy:
    scoped = message(inner, {items: several(item, 3)}, {"scope": scopes, "schema_url": schema_urls})
    resourced = message(outer, {f"scope_{name}": several(scoped, 2)}, {"resource": resources, "schema_url": schema_urls})
    # The same resource, or scope with its items, again: within a request as collectors send them.
    doubled = st.lists(resourced, max_size=2).flatmap(lambda found: st.sampled_from([found, found + found[:1]]))
    return doubled.map(lambda found: request(**{f"resource_{name}": found}))


requests = {
    "traces": _requests(ExportTraceServiceRequest, ResourceSpans, ScopeSpans, "spans", "spans", spans),
    "metrics": _requests(ExportMetricsServiceRequest, ResourceMetrics, ScopeMetrics, "metrics", "metrics", metrics),
    "logs": _requests(ExportLogsServiceRequest, ResourceLogs, ScopeLogs, "logs", "log_records", log_records),
}
