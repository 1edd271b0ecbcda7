"""Responses in both encodings."""

from __future__ import annotations

import json

import pytest
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tidegauge.errors import InvalidArgument, NotFound, Overloaded, PayloadTooLarge
from tidegauge.model.batch import Signal
from tidegauge.otlp.encoding import Encoding
from tidegauge.otlp.respond import encode_error, encode_response


@pytest.mark.parametrize("signal", Signal)
def test_complete_success_has_no_partial_success(signal: Signal) -> None:
    assert encode_response(signal, Encoding.PROTOBUF) == b""
    assert encode_response(signal, Encoding.JSON) == b"{}"


@pytest.mark.parametrize(
    ("signal", "field"),
    [(Signal.TRACES, "rejectedSpans"), (Signal.METRICS, "rejectedDataPoints"), (Signal.LOGS, "rejectedLogRecords")],
)
def test_partial_success(signal: Signal, field: str) -> None:
    found = json.loads(encode_response(signal, Encoding.JSON, 3, "why"))
    assert found == {"partialSuccess": {field: "3", "errorMessage": "why"}}


def test_a_message_alone_is_a_warning() -> None:
    response = ExportTraceServiceResponse.FromString(encode_response(Signal.TRACES, Encoding.PROTOBUF, 0, "mind"))
    assert (response.partial_success.rejected_spans, response.partial_success.error_message) == (0, "mind")


def test_errors_are_google_rpc_status() -> None:
    error = NotFound("no such endpoint")
    assert json.loads(encode_error(error, Encoding.JSON)) == {"code": 5, "message": "no such endpoint"}
    status = Status.FromString(encode_error(error, Encoding.PROTOBUF))
    assert (status.code, status.message, len(status.details)) == (5, "no such endpoint", 0)


def test_bad_data_is_described_by_a_bad_request() -> None:
    error = InvalidArgument("the body is not JSON")
    status = Status.FromString(encode_error(error, Encoding.PROTOBUF))
    bad = BadRequest()
    assert (status.code, status.message) == (3, "the body is not JSON")
    assert status.details[0].Unpack(bad)
    assert [violation.description for violation in bad.field_violations] == ["the body is not JSON"]
    assert json.loads(encode_error(error, Encoding.JSON))["details"] == [
        {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"description": "the body is not JSON"}]}
    ]


@pytest.mark.parametrize("letter", ["x", "é", "𝄞"])
def test_messages_are_shortened_to_whole_characters(letter: str) -> None:
    """gRPC sends an error in its headers, of which clients take 8 KiB; of any answer they take 4 MiB."""
    error = InvalidArgument(letter * 5000)
    status = Status.FromString(encode_error(error, Encoding.PROTOBUF))
    assert 990 < len(status.message.encode()) <= 1000
    assert set(status.message) == {letter, "…"}
    answer = encode_response(Signal.LOGS, Encoding.PROTOBUF, 7, letter * (4 << 20))
    assert len(answer) < 70_000
    assert ExportLogsServiceResponse.FromString(answer).partial_success.rejected_log_records == 7


def test_a_retryable_error_says_when() -> None:
    error = Overloaded("busy", retry_after_seconds=1.5)
    status = Status.FromString(encode_error(error, Encoding.PROTOBUF))
    retry = RetryInfo()
    assert status.details[0].Unpack(retry)
    assert retry.retry_delay.ToTimedelta().total_seconds() == 1.5
    assert json.loads(encode_error(error, Encoding.JSON))["details"] == [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.500s"}
    ]


def test_too_large_is_not_retryable() -> None:
    assert json.loads(encode_error(PayloadTooLarge("65 MiB"), Encoding.JSON)) == {"code": 8, "message": "65 MiB"}
