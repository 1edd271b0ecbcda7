"""Column batches → buffers for ``COPY … FROM STDIN (FORMAT binary)``.

Format: PostgreSQL documentation, COPY, "Binary Format"; values in the types' send/recv form. A buffer holds rows only; :func:`framed`
adds header and trailer, so that the rows of many requests go out as one COPY. The column order is that of the statements in
sql/queries/ingest.sql.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from struct import Struct
from uuid import UUID

from tidegauge.model.batch import ExemplarColumns, HistogramColumns, LogBatch, NumberColumns, Rejection, SpanBatch, SummaryColumns

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_EPOCH_US = 946_684_800_000_000  # 2000-01-01, PostgreSQL's zero, in Unix microseconds
_JSONB_VERSION = 1
_OID_INT4, _OID_INT8, _OID_FLOAT8 = 23, 20, 701

_length = Struct(">i").pack
_int8 = Struct(">iq").pack
_float8 = Struct(">id").pack
_int4 = Struct(">ii").pack
_jsonb_head = Struct(">ib").pack
# fields; start_time, duration_ns; trace_id; span_id; then parent_span_id
_span_head = Struct(">hiqiqi16si8s").pack
_SPAN_FIELDS = 23
# application, resource, scope; flags, dropped ×3; tenant, start_time_ns, kind, status_code
_span_middle = Struct(">iiiiiiiqiqiqiqihihihih").pack
_number_head = Struct(">hiqiq").pack
_NUMBER_FIELDS = 6
_HISTOGRAM_FIELDS = 15
_SUMMARY_FIELDS = 8
_EXEMPLAR_FIELDS = 8
_log_head = Struct(">hiq").pack
_LOG_FIELDS = 21
_INT32_MAX = 2**31 - 1


def framed(rows: Iterable[bytes]) -> bytes:
    """A whole COPY stream of buffers of rows."""
    return b"".join((_HEADER, *rows, _TRAILER))


def text(value: str) -> bytes:
    """A text value with its length."""
    raw = value.encode()
    return _length(len(raw)) + raw


def spans(batch: SpanBatch, tenant_id: int, resource_ids: Sequence[tuple[int, int]], scope_ids: Sequence[int]) -> bytes:
    """Rows of ``tidegauge.traces``.

    ``resource_ids`` holds (resource_id, application_id) and ``scope_ids`` the id for each of the batch's own entries.
    """
    out: list[bytes] = []
    add = out.append
    texts = _Texts()
    for (
        start, end, trace_id, span_id, parent, resource, scope, flags, dropped_attributes, dropped_events, dropped_links,
        kind, status_code, name, status_message, trace_state, attributes, events, links, original,
    ) in zip(
        batch.start_time_unix_nano, batch.end_time_unix_nano, batch.trace_id, batch.span_id, batch.parent_span_id, batch.resource,
        batch.scope, batch.flags, batch.dropped_attributes_count, batch.dropped_events_count, batch.dropped_links_count, batch.kind,
        batch.status_code, batch.name, batch.status_message, batch.trace_state, batch.attributes, batch.events, batch.links,
        batch.original, strict=True,
    ):  # fmt: skip
        resource_id, application_id = resource_ids[resource]
        add(_span_head(_SPAN_FIELDS, 8, start // 1000 - _EPOCH_US, 8, end - start, 16, trace_id, 8, span_id))
        add(b"\0\0\0\x08" + parent if parent is not None else _NULL)
        add(_span_middle(4, application_id, 4, resource_id, 4, scope_ids[scope], 8, flags, 8, dropped_attributes, 8, dropped_events,
                         8, dropped_links, 2, tenant_id, 2, start % 1000, 2, kind, 2, status_code))  # fmt: skip
        add(texts[name])
        add(texts[status_message])
        add(texts[trace_state])
        add(_jsonb_head(len(attributes) + 1, _JSONB_VERSION))
        add(attributes)
        add(_jsonb(events))
        add(_jsonb(links))
        add(_bytea(original))
    return b"".join(out)


@dataclass(slots=True)
class _Trace:
    start: int
    end: int
    spans: int = 0
    errors: int = 0
    applications: set[int] = field(default_factory=set)
    root: tuple[bytes, int, int, str] | None = None


_STATUS_ERROR = 2


def trace_index(batch: SpanBatch, tenant_id: int, resource_ids: Sequence[tuple[int, int]]) -> bytes:
    """Rows of ``tidegauge.trace_index``: what this batch knows of each of its traces."""
    traces: dict[bytes, _Trace] = {}
    for start, end, trace_id, span_id, parent, resource, status_code, name in zip(
        batch.start_time_unix_nano, batch.end_time_unix_nano, batch.trace_id, batch.span_id, batch.parent_span_id, batch.resource,
        batch.status_code, batch.name, strict=True,
    ):  # fmt: skip
        # A span that never ended, or whose clock went back, must not make its trace end before it starts.
        latest = max(start, end)
        trace = traces.get(trace_id)
        if trace is None:
            trace = traces[trace_id] = _Trace(start, latest)
        elif start < trace.start:
            trace.start = start
        if latest > trace.end:
            trace.end = latest
        trace.spans += 1
        application_id = resource_ids[resource][1]
        trace.applications.add(application_id)
        if status_code == _STATUS_ERROR:
            trace.errors += 1
        if parent is None:
            trace.root = (span_id, application_id, end - start, name)
    out: list[bytes] = []
    for trace_id, trace in traces.items():
        out += (
            b"\0\x0b",
            _timestamp(trace.start),
            _timestamp(trace.end),
            b"\0\0\0\x10",
            trace_id,
            Struct(">ihiiii").pack(2, tenant_id, 4, trace.spans, 4, trace.errors),
            _array(_OID_INT4, ">" + "ii" * len(trace.applications), 4, sorted(trace.applications)),
        )
        if trace.root is None:
            out.append(_NULL * 4)
        else:
            span_id, application_id, duration, name = trace.root
            out += (b"\0\0\0\x08", span_id, _int4(4, application_id), _int8(8, duration), text(name))
    return b"".join(out)


def numbers(columns: NumberColumns, series_ids: Sequence[int]) -> bytes:
    """Rows of ``tidegauge.metrics``."""
    out: list[bytes] = []
    add = out.append
    for series, time, start, value, value_int, flags in zip(
        columns.series, columns.time_unix_nano, columns.start_time_unix_nano, columns.value, columns.value_int, columns.flags, strict=True
    ):
        add(_number_head(_NUMBER_FIELDS, 8, _us(time), 8, series_ids[series]))
        add(_int8(8, _us(start)) if start is not None else _NULL)
        add(_float8(8, value) if value is not None else _NULL)
        add(_int8(8, value_int) if value_int is not None else _NULL)
        add(_int4(4, _as_int4(flags)))
    return b"".join(out)


def histograms(columns: HistogramColumns, series_ids: Sequence[int]) -> bytes:
    """Rows of ``tidegauge.metric_histograms``."""
    out: list[bytes] = []
    for (
        series, time, start, count, sum_, min_, max_, bucket_counts, flags, scale, zero_count, zero_threshold, positive_offset,
        negative_offset, negative_bucket_counts,
    ) in zip(
        columns.series, columns.time_unix_nano, columns.start_time_unix_nano, columns.count, columns.sum, columns.min, columns.max,
        columns.bucket_counts, columns.flags, columns.scale, columns.zero_count, columns.zero_threshold, columns.positive_offset,
        columns.negative_offset, columns.negative_bucket_counts, strict=True,
    ):  # fmt: skip
        out += (
            _number_head(_HISTOGRAM_FIELDS, 8, _us(time), 8, series_ids[series]),
            _optional_time(start),
            _int8(8, count),
            _optional_float(sum_),
            _optional_float(min_),
            _optional_float(max_),
            _counts(bucket_counts),
            _int4(4, _as_int4(flags)),
            _int4(4, scale) if scale is not None else _NULL,
            _int8(8, zero_count) if zero_count is not None else _NULL,
            _optional_float(zero_threshold),
            _int4(4, positive_offset) if positive_offset is not None else _NULL,
            _int4(4, negative_offset) if negative_offset is not None else _NULL,
            _counts(negative_bucket_counts),
        )
    return b"".join(out)


def summaries(columns: SummaryColumns, series_ids: Sequence[int]) -> bytes:
    """Rows of ``tidegauge.metric_summaries``."""
    out: list[bytes] = []
    for series, time, start, count, sum_, quantiles, values, flags in zip(
        columns.series, columns.time_unix_nano, columns.start_time_unix_nano, columns.count, columns.sum, columns.quantiles,
        columns.quantile_values, columns.flags, strict=True,
    ):  # fmt: skip
        out += (
            _number_head(_SUMMARY_FIELDS, 8, _us(time), 8, series_ids[series]),
            _optional_time(start),
            _int8(8, count),
            _optional_float(sum_),
            _array(_OID_FLOAT8, ">" + "id" * len(quantiles), 8, quantiles),
            _array(_OID_FLOAT8, ">" + "id" * len(values), 8, values),
            _int4(4, _as_int4(flags)),
        )
    return b"".join(out)


def exemplars(columns: ExemplarColumns, series_ids: Sequence[int]) -> bytes:
    """Rows of ``tidegauge.metric_exemplars``."""
    out: list[bytes] = []
    for series, time, value, value_int, trace_id, span_id, attributes, original in zip(
        columns.series, columns.time_unix_nano, columns.value, columns.value_int, columns.trace_id, columns.span_id,
        columns.filtered_attributes, columns.original, strict=True,
    ):  # fmt: skip
        out += (
            _number_head(_EXEMPLAR_FIELDS, 8, _us(time), 8, series_ids[series]),
            _optional_float(value),
            _int8(8, value_int) if value_int is not None else _NULL,
            _bytea(trace_id),
            _bytea(span_id),
            _jsonb(attributes),
            _bytea(original),
        )
    return b"".join(out)


def logs(
    batch: LogBatch,
    tenant_id: int,
    resource_ids: Sequence[tuple[int, int]],
    scope_ids: Sequence[int],
    digest: UUID,
    received_at_unix_nano: int,
) -> bytes:
    """Rows of ``tidegauge.logs``; a record without any time gets the moment its request was received."""
    out: list[bytes] = []
    add = out.append
    texts = _Texts()
    key = b"\0\0\0\x10" + digest.bytes
    tail = Struct(">iqiqiiiiiiiiihihihihih").pack
    for (
        time, observed, trace_id, span_id, flags, dropped, ordinal, resource, scope, severity, severity_text, event_name, body,
        attributes, original,
    ) in zip(
        batch.time_unix_nano, batch.observed_time_unix_nano, batch.trace_id, batch.span_id, batch.flags,
        batch.dropped_attributes_count, batch.ordinal, batch.resource, batch.scope, batch.severity_number, batch.severity_text,
        batch.event_name, batch.body, batch.attributes, batch.original, strict=True,
    ):  # fmt: skip
        effective = time or observed or received_at_unix_nano
        source = 0 if time else 1 if observed else 2
        resource_id, application_id = resource_ids[resource]
        add(_log_head(_LOG_FIELDS, 8, _us(effective)))
        add(_int8(8, _us(observed)) if observed else _NULL)
        add(key)
        add(_bytea(trace_id))
        add(_bytea(span_id))
        add(tail(8, flags, 8, dropped, 4, ordinal, 4, application_id, 4, resource_id, 4, scope_ids[scope], 2, tenant_id,
                 2, effective % 1000, 2, observed % 1000, 2, source, 2, severity))  # fmt: skip
        add(texts[severity_text])
        add(texts[event_name])
        add(text(body) if body is not None else _NULL)
        add(_jsonb(attributes))
        add(_bytea(original))
    return b"".join(out)


def rejections(found: Sequence[Rejection], tenant_id: int, signal: int, digest: UUID) -> bytes:
    """Rows of ``tidegauge.ingest_rejections``."""
    out: list[bytes] = []
    for rejection in found:
        out += (
            Struct(">hihih").pack(7, 2, tenant_id, 2, signal),
            text(rejection.reason),
            text(rejection.message),
            _int8(8, rejection.items),
            _bytea(digest.bytes),
            _bytea(rejection.sample),
        )
    return b"".join(out)


class _Texts(dict[str, bytes]):
    """Encoded texts of one buffer: names repeat."""

    def __missing__(self, value: str) -> bytes:
        encoded = self[value] = text(value)
        return encoded


def _us(nanoseconds: int) -> int:
    return nanoseconds // 1000 - _EPOCH_US


def _timestamp(nanoseconds: int) -> bytes:
    return _int8(8, _us(nanoseconds))


def _optional_time(nanoseconds: int | None) -> bytes:
    return _int8(8, _us(nanoseconds)) if nanoseconds is not None else _NULL


def _optional_float(value: float | None) -> bytes:
    return _float8(8, value) if value is not None else _NULL


def _as_int4(unsigned: int) -> int:
    """An unsigned 32-bit number in a signed column, bits unchanged."""
    return unsigned if unsigned <= _INT32_MAX else unsigned - (1 << 32)


def _bytea(value: bytes | None) -> bytes:
    return _length(len(value)) + value if value is not None else _NULL


def _jsonb(value: bytes | None) -> bytes:
    return _jsonb_head(len(value) + 1, _JSONB_VERSION) + value if value is not None else _NULL


def _counts(values: tuple[int, ...] | None) -> bytes:
    return _NULL if values is None else _array(_OID_INT8, ">" + "iq" * len(values), 8, values)


def _array(oid: int, layout: str, width: int, values: Sequence[float]) -> bytes:
    """A one-dimensional array without nulls (array_recv in PostgreSQL's arrayfuncs.c)."""
    if not values:
        return Struct(">iiii").pack(12, 0, 0, oid)
    flat = [part for value in values for part in (width, value)]
    body = Struct(">iiiii").pack(1, 0, oid, len(values), 1) + Struct(layout).pack(*flat)
    return _length(len(body)) + body
