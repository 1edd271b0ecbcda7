"""The encoders of binary COPY against a slow reader of the format, written from PostgreSQL's documentation alone."""

from __future__ import annotations

import dataclasses
import struct
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidegauge.model.batch import ExemplarColumns, HistogramColumns, LogBatch, NumberColumns, SpanBatch, SummaryColumns
from tidegauge.storage.postgres import copy

Field = Callable[[bytes], object]
NS = st.integers(0, 2**62)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
INT64 = st.integers(-(2**63), 2**63 - 1)
FLOAT = st.floats(allow_nan=False)


def rows(stream: bytes) -> Iterator[list[bytes | None]]:
    """The fields of each row of a whole COPY stream."""
    assert stream[:11] == b"PGCOPY\n\xff\r\n\0"
    flags, extension = struct.unpack_from(">ii", stream, 11)
    assert (flags, extension) == (0, 0)
    place = 19
    while True:
        (count,) = struct.unpack_from(">h", stream, place)
        place += 2
        if count == -1:
            assert place == len(stream)
            return
        fields: list[bytes | None] = []
        for _ in range(count):
            (length,) = struct.unpack_from(">i", stream, place)
            place += 4
            fields.append(None if length == -1 else stream[place : place + length])
            place += max(length, 0)
        yield fields


def integer(raw: bytes) -> int:
    return int.from_bytes(raw, signed=True)


def number(raw: bytes) -> float:
    return float(struct.unpack(">d", raw)[0])


def microseconds(raw: bytes) -> int:
    assert len(raw) == 8
    return integer(raw) + 946_684_800_000_000


def jsonb(raw: bytes) -> bytes:
    assert raw[0] == 1
    return raw[1:]


def array(element: Field) -> Field:
    def read(raw: bytes) -> tuple[object, ...]:
        dimensions, nulls, _ = struct.unpack_from(">iii", raw)
        assert nulls == 0
        if dimensions == 0:
            assert len(raw) == 12
            return ()
        size, lower = struct.unpack_from(">ii", raw, 12)
        assert (dimensions, lower) == (1, 1)
        found, place = [], 20
        for _ in range(size):
            (length,) = struct.unpack_from(">i", raw, place)
            found.append(element(raw[place + 4 : place + 4 + length]))
            place += 4 + length
        assert place == len(raw)
        return tuple(found)

    return read


def read_rows(buffer: bytes, *fields: Field) -> list[tuple[object, ...]]:
    """Rows of a framed buffer, each field by its reader."""
    found = []
    for row in rows(copy.framed([buffer])):
        assert len(row) == len(fields)
        found.append(tuple(None if raw is None else read(raw) for read, raw in zip(fields, row, strict=True)))
    return found


def columns(of: type, **strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects of column lists from a strategy for each column."""

    def build(table: list[tuple[Any, ...]]) -> Any:
        built = of()
        for place, name in enumerate(strategies):
            getattr(built, name).extend(row[place] for row in table)
        return built

    return st.lists(st.tuples(*strategies.values()), max_size=5).map(build)


def lists(built: Any, *names: str) -> list[tuple[object, ...]]:
    return list(zip(*(getattr(built, name) for name in names), strict=True))


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


SPANS = columns(
    SpanBatch,
    resource=st.integers(0, 1), scope=st.integers(0, 1), start_time_unix_nano=NS, end_time_unix_nano=NS,
    trace_id=st.binary(min_size=16, max_size=16), span_id=st.binary(min_size=8, max_size=8),
    parent_span_id=optional(st.binary(min_size=8, max_size=8)), name=TEXT, kind=st.integers(0, 5), status_code=st.integers(0, 2),
    status_message=TEXT, trace_state=TEXT, flags=st.integers(0, 2**32 - 1), attributes=st.just(b'{"a": 1}'),
    events=optional(st.just(b"[]")), links=optional(st.just(b"[]")), dropped_attributes_count=st.integers(0, 2**32 - 1),
    dropped_events_count=st.integers(0, 2**32 - 1), dropped_links_count=st.integers(0, 2**32 - 1), original=optional(st.binary(max_size=9)),
)  # fmt: skip
RESOURCES, SCOPES = [(7, 70), (8, 80)], [5, 6]


@given(SPANS, st.integers(0, 2**15 - 1), st.booleans())
def test_spans(batch: SpanBatch, tenant: int, with_rollup_names: bool) -> None:
    i, t = integer, bytes.decode
    rollup_names = ["_other" if row % 2 else name for row, name in enumerate(batch.name)] if with_rollup_names else batch.name
    found = read_rows(
        copy.spans(batch, tenant, RESOURCES, SCOPES, rollup_names if with_rollup_names else None),
        i, i, i, i, t, microseconds, i, i, i, i, i, bytes, bytes, bytes, jsonb, t, t, i, i, i, jsonb, jsonb, t, bytes,
    )  # fmt: skip
    assert found == [
        (
            RESOURCES[resource][1], RESOURCES[resource][0], SCOPES[scope], tenant, shown, start // 1000, end - start, start % 1000, kind,
            status, flags, trace_id, span_id, parent, attributes, message, state, dropped_attributes, dropped_events, dropped_links,
            events, links, None if shown == name else name, original,
        )
        for (
            start, end, trace_id, span_id, parent, resource, scope, flags, dropped_attributes, dropped_events, dropped_links, kind,
            status, name, message, state, attributes, events, links, original,
        ), shown in zip(lists(
            batch, "start_time_unix_nano", "end_time_unix_nano", "trace_id", "span_id", "parent_span_id", "resource", "scope", "flags",
            "dropped_attributes_count", "dropped_events_count", "dropped_links_count", "kind", "status_code", "name",
            "status_message", "trace_state", "attributes", "events", "links", "original",
        ), rollup_names, strict=True)
    ]  # fmt: skip


@given(SPANS)
def test_trace_index_says_of_each_trace_what_its_spans_say(batch: SpanBatch) -> None:
    i = integer
    found = read_rows(
        copy.trace_index(batch, 0, RESOURCES),
        microseconds, microseconds, bytes, i, i, i, array(i), i, i, i, bytes.decode,
    )  # fmt: skip
    spans: dict[bytes, list[int]] = {}
    for row, trace_id in enumerate(batch.trace_id):
        spans.setdefault(trace_id, []).append(row)
    assert {entry[2] for entry in found} == spans.keys()
    assert len(found) == len(spans)
    for start, end, trace_id, _, count, errors, applications, root_span, root_application, root_duration, root_name in found:
        members = spans[trace_id]  # type: ignore[index]
        assert start == min(batch.start_time_unix_nano[row] for row in members) // 1000
        assert end == max(max(batch.start_time_unix_nano[row], batch.end_time_unix_nano[row]) for row in members) // 1000
        assert count == len(members)
        assert errors == sum(batch.status_code[row] == 2 for row in members)
        assert applications == tuple(sorted({RESOURCES[batch.resource[row]][1] for row in members}))
        roots = [row for row in members if batch.parent_span_id[row] is None]
        described = (root_span, root_application, root_duration, root_name)
        assert described in [
            (
                integer(batch.span_id[row]),
                RESOURCES[batch.resource[row]][1],
                batch.end_time_unix_nano[row] - batch.start_time_unix_nano[row],
                batch.name[row],
            )
            for row in roots
        ] + ([] if roots else [(None,) * 4])


NUMBERS = columns(
    NumberColumns, series=st.integers(0, 2), time_unix_nano=NS, start_time_unix_nano=optional(NS), value=optional(FLOAT),
    value_int=optional(INT64), flags=st.integers(0, 2**32 - 1),
)  # fmt: skip
SERIES = [11, 2**40, 13]


@given(NUMBERS)
def test_numbers(batch: NumberColumns) -> None:
    found = read_rows(copy.numbers(batch, SERIES), microseconds, integer, microseconds, number, integer, integer)
    assert found == [
        (time // 1000, SERIES[series], None if start is None else start // 1000, value, value_int, flags - (flags >> 31 << 32))
        for series, time, start, value, value_int, flags in lists(
            batch, "series", "time_unix_nano", "start_time_unix_nano", "value", "value_int", "flags"
        )
    ]


COUNTS = optional(st.lists(st.integers(0, 2**63 - 1), max_size=4).map(tuple))
INT32 = st.integers(-(2**31), 2**31 - 1)
HISTOGRAMS = columns(
    HistogramColumns, series=st.integers(0, 2), time_unix_nano=NS, start_time_unix_nano=optional(NS), count=st.integers(0, 2**63 - 1),
    sum=optional(FLOAT), min=optional(FLOAT), max=optional(FLOAT), bucket_counts=COUNTS, flags=st.integers(0, 1), scale=optional(INT32),
    zero_count=optional(st.integers(0, 2**63 - 1)), zero_threshold=optional(FLOAT), positive_offset=optional(INT32),
    negative_offset=optional(INT32), negative_bucket_counts=COUNTS,
)  # fmt: skip


@given(HISTOGRAMS)
def test_histograms(batch: HistogramColumns) -> None:
    i, n, a = integer, number, array(integer)
    found = read_rows(copy.histograms(batch, SERIES), microseconds, i, microseconds, i, n, n, n, a, i, i, i, n, i, i, a)
    names = [column.name for column in dataclasses.fields(batch)][3:]
    assert [row[3:] for row in found] == lists(batch, *names)
    assert [row[:3] for row in found] == [
        (time // 1000, SERIES[series], None if start is None else start // 1000)
        for series, time, start in lists(batch, "series", "time_unix_nano", "start_time_unix_nano")
    ]


QUANTILES = st.lists(FLOAT, max_size=3).map(tuple)
SUMMARIES = columns(
    SummaryColumns, series=st.integers(0, 2), time_unix_nano=NS, start_time_unix_nano=optional(NS), count=st.integers(0, 2**63 - 1),
    sum=optional(FLOAT), quantiles=QUANTILES, quantile_values=QUANTILES, flags=st.integers(0, 1),
)  # fmt: skip


@given(SUMMARIES)
def test_summaries(batch: SummaryColumns) -> None:
    a = array(number)
    found = read_rows(copy.summaries(batch, SERIES), microseconds, integer, microseconds, integer, number, a, a, integer)
    assert [row[3:] for row in found] == lists(batch, "count", "sum", "quantiles", "quantile_values", "flags")


EXEMPLARS = columns(
    ExemplarColumns, series=st.integers(0, 2), time_unix_nano=NS, value=optional(FLOAT), value_int=optional(INT64),
    trace_id=optional(st.binary(min_size=16, max_size=16)), span_id=optional(st.binary(min_size=8, max_size=8)),
    filtered_attributes=optional(st.just(b"{}")), original=optional(st.binary(max_size=9)),
)  # fmt: skip


@given(EXEMPLARS)
def test_exemplars(batch: ExemplarColumns) -> None:
    found = read_rows(copy.exemplars(batch, SERIES), microseconds, integer, number, integer, bytes, bytes, jsonb, bytes)
    names = [column.name for column in dataclasses.fields(batch)][2:]
    assert [row[2:] for row in found] == lists(batch, *names)


LOGS = columns(
    LogBatch, resource=st.integers(0, 1), scope=st.integers(0, 1), ordinal=st.integers(0, 2**31 - 1), time_unix_nano=st.just(0) | NS,
    observed_time_unix_nano=st.just(0) | NS, severity_number=st.integers(0, 24), severity_text=TEXT, event_name=TEXT, body=optional(TEXT),
    attributes=st.just(b"{}"), trace_id=optional(st.binary(min_size=16, max_size=16)),
    span_id=optional(st.binary(min_size=8, max_size=8)), flags=st.integers(0, 2**32 - 1),
    dropped_attributes_count=st.integers(0, 2**32 - 1), original=optional(st.binary(max_size=9)),
)  # fmt: skip
RECEIVED = 1_790_000_000_123_456_789


@given(LOGS, st.uuids())
def test_logs(batch: LogBatch, digest: uuid.UUID) -> None:
    i, t = integer, bytes.decode
    found = read_rows(
        copy.logs(batch, 3, RESOURCES, SCOPES, digest, RECEIVED),
        i, i, i, i, bytes, microseconds, i, microseconds, i, i, i, i, i, i, bytes, bytes, t, t, t, jsonb, bytes,
    )  # fmt: skip
    for row, time, observed, resource, scope in zip(
        found, batch.time_unix_nano, batch.observed_time_unix_nano, batch.resource, batch.scope, strict=True
    ):
        effective, source = (time, 0) if time else (observed, 1) if observed else (RECEIVED, 2)
        assert row[:5] == (RESOURCES[resource][1], RESOURCES[resource][0], SCOPES[scope], 3, digest.bytes)
        assert row[5:7] == (effective // 1000, effective % 1000)
        assert row[7:10] == (observed // 1000 if observed else None, observed % 1000, source)
    assert [row[10:] for row in found] == lists(
        batch, "ordinal", "flags", "dropped_attributes_count", "severity_number", "trace_id", "span_id", "severity_text", "event_name",
        "body", "attributes", "original",
    )  # fmt: skip
