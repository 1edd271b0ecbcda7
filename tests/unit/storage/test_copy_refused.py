"""What no column can hold is refused by both encoders of COPY: neither writes something else in its place."""

from __future__ import annotations

from struct import error
from typing import Any
from uuid import UUID

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tidegauge.model.batch import Signal
from tidegauge.otlp.decode import Decoder
from tidegauge.otlp.encoding import Encoding
from tidegauge.storage.postgres import copy

IDS, NOW = [(1, 2)], 1_790_000_000_000_000_000
REFUSED = (AttributeError, IndexError, OverflowError, TypeError, UnicodeEncodeError, error)
BOTH = pytest.mark.parametrize("compiled", [True, False])


def spans() -> Any:
    request = ExportTraceServiceRequest()
    for number in (1, 2):
        request.resource_spans.add().scope_spans.add().spans.add(
            trace_id=b"\1" * 16, span_id=bytes([number]) * 8, name="n", start_time_unix_nano=NOW, end_time_unix_nano=NOW + number
        )
    return Decoder().decode(Signal.TRACES, request.SerializeToString(), Encoding.PROTOBUF)


def records() -> Any:
    request = ExportLogsServiceRequest()
    for _ in range(2):
        request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=NOW, severity_text="INFO", body={"string_value": "x"})
    return Decoder().decode(Signal.LOGS, request.SerializeToString(), Encoding.PROTOBUF)


@BOTH
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("attributes", None),
        ("name", None),
        ("name", "\ud800"),
        ("kind", 2**15),
        ("status_code", -(2**15) - 1),
        ("flags", 2**63),
        ("dropped_links_count", -(2**63) - 1),
        ("start_time_unix_nano", 2**64),
        ("end_time_unix_nano", None),
        ("resource", 1),
    ],
)
def test_spans(column: str, value: object, compiled: bool) -> None:
    batch = spans()
    assert copy.spans(batch, 1, IDS, [3], compiled=compiled)
    getattr(batch, column)[1] = value
    with pytest.raises(REFUSED):
        copy.spans(batch, 1, IDS, [3], compiled=compiled)


@BOTH
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("attributes", None),
        ("severity_text", None),
        ("event_name", None),
        ("body", "\ud800"),
        ("severity_number", 2**15),
        ("ordinal", 2**31),
        ("flags", 2**63),
        ("scope", 1),
    ],
)
def test_records(column: str, value: object, compiled: bool) -> None:
    batch = records()
    assert copy.logs(batch, 1, IDS, [3], UUID(int=1), NOW, compiled=compiled)
    getattr(batch, column)[1] = value
    with pytest.raises(REFUSED):
        copy.logs(batch, 1, IDS, [3], UUID(int=1), NOW, compiled=compiled)


@BOTH
def test_columns_of_different_lengths(compiled: bool) -> None:
    batch = spans()
    batch.flags.pop()
    with pytest.raises(ValueError, match=r"length|shorter"):
        copy.spans(batch, 1, IDS, [3], compiled=compiled)
