"""From request to COPY: what PostgreSQL is sent is what the reference says of the request."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decoders import Decoder
from tests.property.profile import FEWER
from tests.property.strategies import NOW, requests
from tests.property.wire import Writer, oddities, seeds
from tests.reference import batches, copyformat
from tests.reference.copyformat import array, float8, jsonb, text, timestamptz, whole
from tests.reference.requests import Expected, from_protobuf
from tidegauge.model.batch import Signal
from tidegauge.otlp.encoding import Encoding
from tidegauge.storage.postgres import copy

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
Row = dict[str, Any]
TENANT = 7
DIGEST = UUID(int=2**127 + 5)
RECEIVED = NOW + 77
INT2, INT4, INT8 = whole(2), whole(4), whole(8)
TIMES = dict.fromkeys(["timestamp", "observed_timestamp", "start_time", "end_time", "start_timestamp"], timestamptz)
ITEMS = {
    **TIMES,
    **dict.fromkeys(["trace_id", "original", "request_digest"], bytes),
    **dict.fromkeys(["application_id", "resource_id", "scope_id", "ordinal"], INT4),
    **dict.fromkeys(["duration_ns", "flags", "dropped_attributes_count", "dropped_events_count", "dropped_links_count"], INT8),
    **dict.fromkeys(["tenant_id", "start_time_ns", "timestamp_ns", "observed_timestamp_ns", "time_source"], INT2),
    **dict.fromkeys(["kind", "status_code", "severity_number"], INT2),
    **dict.fromkeys(["name", "status_message", "trace_state", "severity_text", "event_name", "body", "full_name"], text),
    **dict.fromkeys(["attributes", "events", "links"], jsonb),
    # 8 bytes as they are: as a bigint in traces, in logs bytea.
    **dict.fromkeys(["span_id", "parent_span_id"], bytes),
}
POINTS = {
    **TIMES,
    **dict.fromkeys(["series_id", "value_int", "count", "zero_count"], INT8),
    **dict.fromkeys(["flags", "scale", "positive_offset", "negative_offset"], INT4),
    **dict.fromkeys(["value", "sum", "min", "max", "zero_threshold"], float8),
    **dict.fromkeys(["bucket_counts", "negative_bucket_counts"], array(20, INT8)),
    **dict.fromkeys(["quantiles", "quantile_values"], array(701, float8)),
    **dict.fromkeys(["trace_id", "span_id", "original"], bytes),
    "filtered_attributes": jsonb,
}


class Ids:
    """Ids of a batch's entries by identity, as a database would give them."""

    def __init__(self, batch: Any) -> None:
        self.resources = [(1000 + index, 2000 + index) for index in range(len(batch.resources))]
        self.scopes = [3000 + index for index in range(len(batch.scopes))]
        self.series = [2**40 + index for index in range(len(getattr(batch, "series", [])))]
        self.of = {
            entry.identity: number
            for entries, numbers in (
                (batch.resources, self.resources),
                (batch.scopes, self.scopes),
                (getattr(batch, "series", []), self.series),
            )
            for entry, number in zip(entries, numbers, strict=True)
        }


def decoded(signal: Signal, body: bytes) -> tuple[Any, Ids, Expected]:
    batch = Decoder().decode(signal, body, Encoding.PROTOBUF)
    return batch, Ids(batch), from_protobuf(signal.name.lower(), body)


def same(table: str, found: list[Row], expected: list[Row]) -> None:
    assert [batches.comparable(table, row) for row in found] == [batches.comparable(table, row) for row in expected]


def from_resource(row: Row, ids: Ids) -> Row:
    """What the entries of a row become."""
    resource_id, application_id = ids.of[row.pop("resource")["identity"]]
    scope_id = ids.of[row.pop("scope")["identity"]]
    return {"resource_id": resource_id, "application_id": application_id, "scope_id": scope_id, "tenant_id": TENANT, **row}


@settings(FEWER)
@given(requests["traces"], seeds, oddities, st.booleans())
def test_spans(request: Message, seed: int, odd: frozenset[str], guarded: bool) -> None:
    batch, ids, expected = decoded(Signal.TRACES, Writer(seed, odd, not_utf8=0.02).write(request))
    wanted = []
    for row in expected.rows["traces"]:
        start, end = row.pop("start_time_unix_nano"), row.pop("end_time_unix_nano")
        times = {"start_time": start // 1000, "start_time_ns": start % 1000, "duration_ns": end - start}
        # Rollups know some names as another; the span's own stands beside it then.
        name = row.pop("name")
        shown = rollup_name(name) if guarded else name
        names = {"name": shown, "full_name": None if shown == name else name}
        wanted.append({**times, **names, **from_resource(row, ids)})
    rollup_names = [rollup_name(as_text(name)) for name in batch.name] if guarded else None
    rows = copy.spans(batch, TENANT, ids.resources, ids.scopes, rollup_names)
    assert rows == copy.spans(batch, TENANT, ids.resources, ids.scopes, rollup_names, compiled=False)
    # Applications of several resources, in another order than theirs.
    applications = [(resource_id, -resource_id // 2) for resource_id, _ in ids.resources]
    assert copy.trace_index(batch, TENANT, applications) == copy.trace_index(batch, TENANT, applications, compiled=False)
    stream = copy.framed([rows])
    same("traces", copyformat.read_rows("traces", stream, ITEMS), wanted)


def rollup_name(name: str) -> str:
    return name if len(name) < 2 else "_other"


def as_text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


@settings(FEWER)
@given(requests["logs"], seeds, oddities)
def test_logs(request: Message, seed: int, odd: frozenset[str]) -> None:
    batch, ids, expected = decoded(Signal.LOGS, Writer(seed, odd, not_utf8=0.02).write(request))
    wanted = []
    for row in expected.rows["logs"]:
        own, observed = row.pop("time_unix_nano"), row.pop("observed_time_unix_nano")
        time = own or observed or RECEIVED
        wanted.append(
            {
                "timestamp": time // 1000,
                "timestamp_ns": time % 1000,
                "observed_timestamp": observed // 1000 if observed else None,
                "observed_timestamp_ns": observed % 1000,
                "time_source": 0 if own else 1 if observed else 2,
                "request_digest": DIGEST.bytes,
                **from_resource(row, ids),
            }
        )
    found = copy.logs(batch, TENANT, ids.resources, ids.scopes, DIGEST, RECEIVED)
    assert found == copy.logs(batch, TENANT, ids.resources, ids.scopes, DIGEST, RECEIVED, compiled=False)
    stream = copy.framed([found])
    same("logs", copyformat.read_rows("logs", stream, ITEMS), wanted)


@settings(FEWER)
@given(requests["metrics"], seeds, oddities)
def test_points(request: Message, seed: int, odd: frozenset[str]) -> None:
    batch, ids, expected = decoded(Signal.METRICS, Writer(seed, odd, not_utf8=0.02).write(request))
    for table, encode in (
        ("numbers", copy.numbers),
        ("histograms", copy.histograms),
        ("summaries", copy.summaries),
        ("exemplars", copy.exemplars),
    ):
        wanted = []
        for row in expected.rows[table]:
            wanted.append({"series_id": ids.of[row.pop("series")["identity"]], "timestamp": row.pop("time_unix_nano") // 1000, **row})
            if table != "exemplars":
                start = wanted[-1].pop("start_time_unix_nano")
                wanted[-1]["start_timestamp"] = None if start is None else start // 1000
        name = "metrics" if table == "numbers" else f"metric_{table}"
        rows = encode(getattr(batch, table), ids.series)
        if table in ("numbers", "histograms"):
            assert rows == encode(getattr(batch, table), ids.series, compiled=False)
        stream = copy.framed([rows])
        same(table, copyformat.read_rows(name, stream, POINTS), wanted)
