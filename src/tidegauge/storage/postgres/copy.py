"""Column batches → buffers for ``COPY … FROM STDIN (FORMAT binary)``.

Format: PostgreSQL documentation, COPY, "Binary Format"; values in the types' send/recv form. A buffer holds rows only; :func:`framed`
adds header and trailer, so that the rows of many requests go out as one COPY. The column order is that of the statements in
sql/queries/ingest.sql.

What is compiled (``_rows.pyx``, ``_rows_points.pyx``) writes the same bytes; ``compiled=False`` is for comparing the two.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from itertools import chain, compress
from operator import ne
from struct import Struct
from typing import Any
from uuid import UUID

from tidegauge.compiled import module as compiled_module
from tidegauge.model.batch import ExemplarColumns, HistogramColumns, LogBatch, NumberColumns, SpanBatch, SummaryColumns
from tidegauge.storage.postgres.copy_values import (
    EPOCH_US,
    JSONB_VERSION,
    NULL,
    OID_FLOAT8,
    OID_INT4,
    Texts,
    array,
    as_int4,
    bytea,
    counts,
    int4,
    int8,
    jsonb,
    jsonb_head,
    length,
    optional_float,
    optional_time,
    text,
    us,
)

_rows = compiled_module("tidegauge.storage.postgres._rows")
_rows_points = compiled_module("tidegauge.storage.postgres._rows_points")
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"

_SPAN_FIELDS = 24
# application, resource, scope, tenant
_span_origin = Struct(">hiiiiiiih").pack
# start_time, duration_ns, start_time_ns; the codes; trace_id, span_id, parent_span_id; how long the attributes are
_child_span = Struct(">iqiqih28s16si8si8sib").pack
_root_span = Struct(">iqiqih28s16si8siib").pack
# kind, status_code, flags; what stands before a trace_id
_span_codes = Struct(">ihihiqi").pack
_NO_TEXT = bytes(4)
_NO_COUNT = int8(8, 0)
# status_message, trace_state, dropped ×3, events, links, full_name, original of a span that has none of them
_NO_SPAN_TAIL = _NO_TEXT * 2 + _NO_COUNT * 3 + NULL * 4
_TRACE_FIELDS = 11
_STATUS_ERROR = 2
_trace_head = Struct(">hiqiqi16sihiiii").pack
_root_head = Struct(">i8siiiqi").pack
_NO_ROOT = NULL * 4
_NUMBER_FIELDS = 6
_number_head = Struct(">hiqiq").pack
# timestamp, series, start_timestamp, value; value_int and flags where they are NULL and 0
_sum = Struct(">hiqiqiqid12s").pack
_gauge = Struct(">hiqiqiid12s").pack
_NO_INT_NO_FLAGS = NULL + int4(4, 0)
_HISTOGRAM_FIELDS = 15
# scale, zero_count, zero_threshold, offsets, negative_bucket_counts
_NONES = (None,) * 6
_NOT_EXPONENTIAL = NULL * 6
_SUMMARY_FIELDS = 8
_EXEMPLAR_FIELDS = 8
_LOG_FIELDS = 21
# application, resource, scope, tenant, request_digest
_log_origin = Struct(">hiiiiiiihi16s").pack
# timestamp, timestamp_ns, observed_timestamp, observed_timestamp_ns, time_source, ordinal, flags, dropped, severity_number
_log_observed = Struct(">iqihiqihihiiiqiqih").pack
_log_unobserved = Struct(">iqihiihihiiiqiqih").pack
_both_ids = Struct(">i16si8s").pack
_NO_IDS = NULL * 2


def framed(rows: Iterable[bytes]) -> bytes:
    """A whole COPY stream of buffers of rows."""
    return b"".join((_HEADER, *rows, _TRAILER))


def spans(
    batch: SpanBatch,
    tenant_id: int,
    resource_ids: Sequence[tuple[int, int]],
    scope_ids: Sequence[int],
    rollup_names: Sequence[str] | None = None,
    *,
    compiled: bool = True,
) -> bytes:
    """Rows of ``tidegauge.traces``.

    ``resource_ids`` holds (resource_id, application_id) and ``scope_ids`` the id for each of the batch's own entries; ``rollup_names`` the
    names that rollups know the spans by, where one differs from the span's own.
    """
    if compiled and _rows is not None:
        names = batch.name if rollup_names is None else list(rollup_names)
        found: bytes | None = _rows.spans(batch, tenant_id, resource_ids, scope_ids, names)
        if found is not None:
            return found
    out: list[bytes] = []
    texts, codes = Texts(), _Codes()
    resource = scope = -1
    origin = b""
    for (
        start, end, trace_id, span_id, parent, new_resource, new_scope, code, name, attributes, tail,
    ) in zip(
        batch.start_time_unix_nano, batch.end_time_unix_nano, batch.trace_id, batch.span_id, batch.parent_span_id, batch.resource,
        batch.scope, map(codes.__getitem__, zip(batch.kind, batch.status_code, batch.flags, strict=True)),
        map(texts.__getitem__, batch.name if rollup_names is None else rollup_names), batch.attributes, _span_tails(batch, rollup_names),
        strict=True,
    ):  # fmt: skip
        if new_scope != scope or new_resource != resource:
            resource, scope = new_resource, new_scope
            resource_id, application_id = resource_ids[resource]
            origin = _span_origin(_SPAN_FIELDS, 4, application_id, 4, resource_id, 4, scope_ids[scope], 2, tenant_id)
        if parent is not None:
            head = _child_span(8, start // 1000 - EPOCH_US, 8, end - start, 2, start % 1000, code, trace_id, 8, span_id, 8, parent,
                               len(attributes) + 1, JSONB_VERSION)  # fmt: skip
        else:
            head = _root_span(8, start // 1000 - EPOCH_US, 8, end - start, 2, start % 1000, code, trace_id, 8, span_id, -1,
                              len(attributes) + 1, JSONB_VERSION)  # fmt: skip
        out += (origin, name, head, attributes, tail)
    return b"".join(out)


class _Codes(dict[tuple[int, int, int], bytes]):
    """Encoded (kind, status_code, flags): there are few."""

    def __missing__(self, codes: tuple[int, int, int]) -> bytes:
        kind, status_code, flags = codes
        encoded = self[codes] = _span_codes(2, kind, 2, status_code, 8, flags, 16)
        return encoded


def _span_tails(batch: SpanBatch, rollup_names: Sequence[str] | None) -> list[bytes]:
    """The fields that few spans have, of each span."""
    tails = [_NO_SPAN_TAIL] * len(batch)
    rows = range(len(batch))
    values: tuple[list[Any], ...] = (
        batch.status_message, batch.trace_state, batch.dropped_attributes_count, batch.dropped_events_count, batch.dropped_links_count,
    )  # fmt: skip
    nullable: tuple[list[Any], ...] = (batch.events, batch.links, batch.original)
    found = set(chain.from_iterable(compress(rows, column) for column in values))
    for column in nullable:
        if column.count(None) < len(column):
            found.update(row for row in rows if column[row] is not None)
    if rollup_names is not None:
        found.update(compress(rows, map(ne, batch.name, rollup_names)))
    for row in found:
        message, state, attributes, events_count, links_count, events, links, original = [column[row] for column in values + nullable]
        name = batch.name[row]
        tails[row] = b"".join(
            (
                text(message),
                text(state),
                int8(8, attributes),
                int8(8, events_count),
                int8(8, links_count),
                jsonb(events),
                jsonb(links),
                NULL if rollup_names is None or rollup_names[row] == name else text(name),
                bytea(original),
            )
        )
    return tails


def trace_index(batch: SpanBatch, tenant_id: int, resource_ids: Sequence[tuple[int, int]], *, compiled: bool = True) -> bytes:
    """Rows of ``tidegauge.trace_index``: what this batch knows of each of its traces."""
    if compiled and _rows is not None:
        found: bytes | None = _rows.trace_index(batch, tenant_id, resource_ids)
        if found is not None:
            return found
    # Of a trace: start, end, spans, errors, resources as bits, row of its root.
    traces: dict[bytes, list[int]] = {}
    find = traces.get
    bits = [1 << resource for resource in range(len(resource_ids))]
    for row, start, end, trace_id, parent, resource, status_code in zip(
        itertools.count(), batch.start_time_unix_nano, batch.end_time_unix_nano, batch.trace_id, batch.parent_span_id, batch.resource,
        batch.status_code,
    ):  # fmt: skip
        trace = find(trace_id)
        if trace is None:
            trace = traces[trace_id] = [start, start, 0, 0, 0, -1]
        elif start < trace[0]:
            trace[0] = start
        # A span that never ended, or whose clock went back, must not make its trace end before it starts.
        elif start > trace[1]:
            trace[1] = start
        if end > trace[1]:
            trace[1] = end
        trace[2] += 1
        trace[4] |= bits[resource]
        if parent is None:
            trace[5] = row
        if status_code == _STATUS_ERROR:
            trace[3] += 1
    out: list[bytes] = []
    applications = _Applications(resource_ids)
    for trace_id, (start, end, spans, errors, resources, root) in traces.items():
        out += (
            _trace_head(
                _TRACE_FIELDS, 8, start // 1000 - EPOCH_US, 8, end // 1000 - EPOCH_US, 16, trace_id, 2, tenant_id, 4, spans, 4, errors
            ),
            applications[resources],
            _NO_ROOT if root < 0 else _root(batch, root, resource_ids),
        )
    return b"".join(out)


class _Applications(dict[int, bytes]):
    """Arrays of the applications of resources, whose indexes are bits: few traces have other ones than the trace before."""

    def __init__(self, resource_ids: Sequence[tuple[int, int]]) -> None:
        self._resource_ids = resource_ids

    def __missing__(self, resources: int) -> bytes:
        ids = {application for index, (_, application) in enumerate(self._resource_ids) if resources >> index & 1}
        encoded = self[resources] = array(OID_INT4, "i", 4, sorted(ids))
        return encoded


def _root(batch: SpanBatch, row: int, resource_ids: Sequence[tuple[int, int]]) -> bytes:
    name = batch.name[row].encode()
    duration = batch.end_time_unix_nano[row] - batch.start_time_unix_nano[row]
    return _root_head(8, batch.span_id[row], 4, resource_ids[batch.resource[row]][1], 8, duration, len(name)) + name


def numbers(columns: NumberColumns, series_ids: Sequence[int], *, compiled: bool = True) -> bytes:
    """Rows of ``tidegauge.metrics``."""
    if compiled and _rows_points is not None:
        return _rows_points.numbers(columns, series_ids)  # type: ignore[no-any-return]
    out: list[bytes] = []
    add = out.append
    for series, time, start, value, value_int, flags in zip(
        columns.series, columns.time_unix_nano, columns.start_time_unix_nano, columns.value, columns.value_int, columns.flags, strict=True
    ):
        rest = _NO_INT_NO_FLAGS
        if flags or value_int is not None:
            rest = (int8(8, value_int) if value_int is not None else NULL) + int4(4, as_int4(flags))
        series_id = series_ids[series]
        if value is None or len(rest) != 12:
            add(_number_head(_NUMBER_FIELDS, 8, time // 1000 - EPOCH_US, 8, series_id))
            add(optional_time(start) + optional_float(value) + rest)
        elif start is None:
            add(_gauge(_NUMBER_FIELDS, 8, time // 1000 - EPOCH_US, 8, series_id, -1, 8, value, rest))
        else:
            add(_sum(_NUMBER_FIELDS, 8, time // 1000 - EPOCH_US, 8, series_id, 8, start // 1000 - EPOCH_US, 8, value, rest))
    return b"".join(out)


def histograms(columns: HistogramColumns, series_ids: Sequence[int], *, compiled: bool = True) -> bytes:
    """Rows of ``tidegauge.metric_histograms``."""
    if compiled and _rows_points is not None:
        return _rows_points.histograms(columns, series_ids)  # type: ignore[no-any-return]
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
            _number_head(_HISTOGRAM_FIELDS, 8, us(time), 8, series_ids[series]),
            optional_time(start),
            int8(8, count),
            optional_float(sum_),
            optional_float(min_),
            optional_float(max_),
            counts(bucket_counts),
            int4(4, as_int4(flags)),
        )
        if (scale, zero_count, zero_threshold, positive_offset, negative_offset, negative_bucket_counts) == _NONES:
            out.append(_NOT_EXPONENTIAL)
        else:
            out += (
                int4(4, scale) if scale is not None else NULL,
                int8(8, zero_count) if zero_count is not None else NULL,
                optional_float(zero_threshold),
                int4(4, positive_offset) if positive_offset is not None else NULL,
                int4(4, negative_offset) if negative_offset is not None else NULL,
                counts(negative_bucket_counts),
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
            _number_head(_SUMMARY_FIELDS, 8, us(time), 8, series_ids[series]),
            optional_time(start),
            int8(8, count),
            optional_float(sum_),
            array(OID_FLOAT8, "d", 8, quantiles),
            array(OID_FLOAT8, "d", 8, values),
            int4(4, as_int4(flags)),
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
            _number_head(_EXEMPLAR_FIELDS, 8, us(time), 8, series_ids[series]),
            optional_float(value),
            int8(8, value_int) if value_int is not None else NULL,
            bytea(trace_id),
            bytea(span_id),
            jsonb(attributes),
            bytea(original),
        )
    return b"".join(out)


def logs(
    batch: LogBatch,
    tenant_id: int,
    resource_ids: Sequence[tuple[int, int]],
    scope_ids: Sequence[int],
    digest: UUID,
    received_at_unix_nano: int,
    *,
    compiled: bool = True,
) -> bytes:
    """Rows of ``tidegauge.logs``; a record without any time gets the moment its request was received."""
    if compiled and _rows_points is not None:
        return _rows_points.logs(batch, tenant_id, resource_ids, scope_ids, digest, received_at_unix_nano)  # type: ignore[no-any-return]
    out: list[bytes] = []
    texts = Texts()
    resource = scope = -1
    origin, key = b"", digest.bytes
    for (
        time, observed, trace_id, span_id, flags, dropped, ordinal, new_resource, new_scope, severity, severity_text, event_name, body,
        attributes, original,
    ) in zip(
        batch.time_unix_nano, batch.observed_time_unix_nano, batch.trace_id, batch.span_id, batch.flags,
        batch.dropped_attributes_count, batch.ordinal, batch.resource, batch.scope, batch.severity_number,
        map(texts.__getitem__, batch.severity_text), map(texts.__getitem__, batch.event_name), batch.body, batch.attributes,
        batch.original, strict=True,
    ):  # fmt: skip
        if new_scope != scope or new_resource != resource:
            resource, scope = new_resource, new_scope
            resource_id, application_id = resource_ids[resource]
            origin = _log_origin(_LOG_FIELDS, 4, application_id, 4, resource_id, 4, scope_ids[scope], 2, tenant_id, 16, key)
        effective = time or observed or received_at_unix_nano
        source = 0 if time else 1 if observed else 2
        if observed:
            times = _log_observed(8, effective // 1000 - EPOCH_US, 2, effective % 1000, 8, observed // 1000 - EPOCH_US, 2,
                                  observed % 1000, 2, source, 4, ordinal, 8, flags, 8, dropped, 2, severity)  # fmt: skip
        else:
            times = _log_unobserved(8, effective // 1000 - EPOCH_US, 2, effective % 1000, -1, 2, 0,
                                    2, source, 4, ordinal, 8, flags, 8, dropped, 2, severity)  # fmt: skip
        raw = body.encode() if body is not None else None
        out += (
            origin,
            times,
            _ids(trace_id, span_id),
            severity_text,
            event_name,
            NULL if raw is None else length(len(raw)),
            raw or b"",
            jsonb_head(len(attributes) + 1, JSONB_VERSION),
            attributes,
            NULL if original is None else bytea(original),
        )
    return b"".join(out)


def _ids(trace_id: bytes | None, span_id: bytes | None) -> bytes:
    """A record's trace and span: nearly always both or none."""
    if trace_id is None and span_id is None:
        return _NO_IDS
    if trace_id is not None and span_id is not None:
        return _both_ids(16, trace_id, 8, span_id)
    return bytea(trace_id) + bytea(span_id)
