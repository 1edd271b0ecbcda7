"""Requests that nobody should send: the right status, an error that can be read, and memory that stays where it was."""

import gzip
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

MIB = 1 << 20
PROTOBUF, JSON = "application/x-protobuf", "application/json"
# google/rpc/code.proto
INVALID_ARGUMENT, RESOURCE_EXHAUSTED = 3, 8


def status_of(answer: httpx.Response, encoding: str) -> tuple[int, str]:
    """Code and message of a google.rpc.Status in the encoding that the request had."""
    assert answer.headers["content-type"].split(";")[0] == encoding, answer.text
    if encoding == JSON:
        body = answer.json()
        return body["code"], body["message"]
    status = Status.FromString(answer.content)
    return status.code, status.message


def zipped(size: int) -> bytes:
    """`size` bytes as gzip, made without holding them."""
    target = io.BytesIO()
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=9) as file:
        for _ in range(size // MIB):
            file.write(bytes(MIB))
    return target.getvalue()


def nested_protobuf(depth: int) -> bytes:
    """A log record whose body is an array in an array in an array …, by hand: a protobuf library would refuse to build it."""
    value = AnyValue(string_value="bottom").SerializeToString()
    for _ in range(depth):
        value = field(5, field(1, value))  # AnyValue.array_value = 5, ArrayValue.values = 1
    record = LogRecord(time_unix_nano=1).SerializeToString() + field(5, value)  # LogRecord.body = 5
    return field(1, field(2, field(2, record)))  # resource_logs, scope_logs, log_records


def field(number: int, payload: bytes) -> bytes:
    """A protobuf field of a string or message."""
    return bytes([number << 3 | 2]) + varint(len(payload)) + payload


def varint(number: int) -> bytes:
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


MALFORMED: dict[str, tuple[str, bytes, str, dict[str, str]]] = {
    "text as protobuf": ("traces", b"this is not protobuf", PROTOBUF, {}),
    "truncated protobuf": ("traces", b"\x0a\x10\x0a", PROTOBUF, {}),
    "length beyond the body": ("metrics", b"\x0a" + varint(2**31 - 1) + b"x", PROTOBUF, {}),
    "length of 64 bits": ("logs", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", PROTOBUF, {}),
    "varint without end": ("traces", b"\x0a" + b"\xff" * 40, PROTOBUF, {}),
    "half of a JSON": ("traces", b'{"resourceSpans": [{', JSON, {}),
    "JSON of another shape": ("metrics", b'{"resourceMetrics": 7}', JSON, {}),
    "JSON that is a list": ("logs", b"[]", JSON, {}),
    "JSON in UTF-16": ("logs", '{"resourceLogs": []}'.encode("utf-16"), JSON, {}),
    "empty JSON": ("traces", b"", JSON, {}),
    "not gzip": ("traces", b"plainly not gzip", PROTOBUF, {"content_encoding": "gzip"}),
    "truncated gzip": ("metrics", gzip.compress(b"\x0a\x00" * 999)[:-9], PROTOBUF, {"content_encoding": "gzip"}),
    "broken gzip checksum": ("logs", gzip.compress(b"\x0a\x00")[:-8] + b"\x00" * 8, JSON, {"content_encoding": "gzip"}),
    "rubbish behind gzip": ("traces", gzip.compress(b"{}") + b"rubbish", JSON, {"content_encoding": "gzip"}),
    "deeply nested protobuf": ("logs", nested_protobuf(5000), PROTOBUF, {}),
    "deeply nested JSON": (
        "logs",
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":' + b'{"arrayValue":{"values":[' * 5000 + b"]}}" * 5000 + b"}]}]}]}",
        JSON,
        {},
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_bodies_get_400(product, name) -> None:
    path, body, content_type, headers = MALFORMED[name]
    answer = product.post(path, body, content_type, **headers)
    code, message = status_of(answer, content_type)
    assert (answer.status_code, code) == (400, INVALID_ARGUMENT), message
    assert message
    assert "Traceback" not in message
    assert "DecodeError" not in message
    assert len(message) < 500


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "", "application/grpc"])
def test_other_media_types_get_415(product, content_type) -> None:
    answer = product.post("traces", b"<spans/>", content_type)
    assert answer.status_code == 415
    assert "application/x-protobuf" in status_of(answer, JSON)[1]


@pytest.mark.parametrize("encoding", ["zstd", "br", "gzip, gzip", "rot13"])
def test_other_content_encodings_get_415(product, encoding) -> None:
    answer = product.post("traces", b"x", PROTOBUF, content_encoding=encoding)
    assert answer.status_code == 415
    assert "gzip" in status_of(answer, PROTOBUF)[1]


def test_another_path_or_method_is_refused(product) -> None:
    assert product.post("spans", b"", PROTOBUF).status_code == 404
    got = httpx.get(f"{product.otlp_url}/v1/traces")
    assert (got.status_code, got.headers["allow"]) == (405, "POST")


def test_what_is_too_large_gets_413_and_costs_no_memory(product) -> None:
    bomb, plain = zipped(256 * MIB), bytes(65 * MIB)
    assert len(bomb) < MIB
    product.post("traces", zipped(63 * MIB), PROTOBUF, content_encoding="gzip")  # the most that is read at all, once
    before = product.rss_bytes()
    for path, content_type in (("traces", PROTOBUF), ("metrics", JSON), ("logs", PROTOBUF), ("traces", JSON)):
        for body, headers in ((bomb, {"content_encoding": "gzip"}), (plain, {})):
            for _ in range(3 if body is bomb else 1):
                answer = product.post(path, body, content_type, **headers)
                code, message = status_of(answer, content_type)
                assert (answer.status_code, code) == (413, RESOURCE_EXHAUSTED)
                assert "67108864" in message or "64" in message
    answer = httpx.post(f"{product.otlp_url}/v1/logs", content=_unsized(plain), headers={"content-type": JSON}, timeout=60)
    assert answer.status_code == 413
    assert product.rss_bytes() - before < 150 * MIB


def _unsized(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), MIB):
        yield body[start : start + MIB]


def test_malformed_bodies_cost_no_memory_and_the_product_lives_on(product) -> None:
    before = product.rss_bytes()
    with httpx.Client(base_url=product.otlp_url, timeout=60) as client:
        for _ in range(20):
            for path, body, content_type, headers in MALFORMED.values():
                sent = {"content-type": content_type, **{key.replace("_", "-"): value for key, value in headers.items()}}
                assert client.post(f"/v1/{path}", content=body, headers=sent).status_code == 400
    assert product.rss_bytes() - before < 150 * MIB
    assert product.post("traces", ExportTraceServiceRequest().SerializeToString()).status_code == 200


N = 2 * MIB
SPAN = field(1, b"t" * 16) + field(2, b"s" * 8) + b"\x39" + (1_790_000_000 * 10**9).to_bytes(8, "little")
AMPLIFYING: dict[str, tuple[str, bytes, str]] = {
    "empty spans": ("traces", field(1, field(2, b"\x12\x00" * N)), PROTOBUF),
    "empty resources": ("metrics", b"\x0a\x00" * N, PROTOBUF),
    "a span of empty events": ("traces", field(1, field(2, field(2, SPAN + b"\x5a\x00" * N))), PROTOBUF),
    "spans of empty events": ("traces", field(1, field(2, field(2, SPAN + b"\x5a\x00" * 999) * (N // 999))), PROTOBUF),
    "empty log records": ("logs", field(1, field(2, b"\x12\x00" * (N // 4))), PROTOBUF),
    "a body that is an array of nothing": ("logs", field(1, field(2, field(2, field(5, field(5, b"\x0a\x00" * N))))), PROTOBUF),
    "empty points": ("metrics", field(1, field(2, field(2, b"\x0a\x01m" + field(5, b"\x0a\x00" * (N // 4))))), PROTOBUF),
    "empty spans in JSON": ("traces", b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b",".join([b"{}"] * N) + b"]}]}]}", JSON),
    "JSON of another kind": ("logs", b'{"x":[' + b",".join([b'{"y":[]}'] * N) + b"]}", JSON),
}


@pytest.mark.parametrize("name", AMPLIFYING)
def test_what_would_grow_in_memory_is_refused_before_it_does(product, name) -> None:
    path, body, content_type = AMPLIFYING[name]
    before = product.rss_bytes()
    for _ in range(2):
        answer = product.post(path, gzip.compress(body, 1), content_type, content_encoding="gzip")
        code, message = status_of(answer, content_type)
        assert (answer.status_code, code) in {(400, INVALID_ARGUMENT), (413, RESOURCE_EXHAUSTED)}
        assert "send smaller batches" in message
    assert product.rss_bytes() - before < 150 * MIB


def test_a_span_that_cannot_be_read_in_json_does_not_take_its_neighbours_with_it(product) -> None:
    import time

    def span(**fields: object) -> dict[str, object]:
        start = str(time.time_ns())
        return {"traceId": "a1" * 16, "spanId": "b2" * 8, "startTimeUnixNano": start, "endTimeUnixNano": start, **fields}

    spans = [span(name="json neighbour"), span(traceId="not hexadecimal"), span(kind="SERVER")]
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()
    answer = product.post("traces", body, JSON)
    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedSpans"] == "2"
    assert "resourceSpans[0].scopeSpans[0].spans[1].traceId: must be a string of hexadecimal digits" in partial["errorMessage"]
    assert product.query("SELECT name FROM traces WHERE name = %s", "json neighbour") == [{"name": "json neighbour"}]


def test_text_that_is_not_utf8_is_stored_as_far_as_it_can_be_read(product) -> None:
    import time

    record = b"\x09" + time.time_ns().to_bytes(8, "little") + field(5, field(1, b"latin-1: caf\xe9"))
    answer = product.post("logs", field(1, field(2, field(2, record))), PROTOBUF)
    assert answer.status_code == 200
    partial = ExportLogsServiceResponse.FromString(answer.content).partial_success
    assert partial.rejected_log_records == 0
    assert "not UTF-8" in partial.error_message
    assert product.query("SELECT body FROM logs WHERE body LIKE %s", "latin-1: %") == [{"body": "latin-1: caf\ufffd"}]


def test_a_bad_item_does_not_take_its_neighbours_with_it(product) -> None:
    def log(body: str, time_unix_nano: int) -> LogRecord:
        return LogRecord(time_unix_nano=time_unix_nano, body=AnyValue(string_value=body))

    import time

    now = time.time_ns()
    records = [log("good neighbour", now), log("from the year 1971", 10**9 * 86_400 * 500), log("from 2100", 4_102_444_800 * 10**9)]
    body = ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=records)])])
    answer = product.post("logs", json.dumps(_json(body)).encode(), JSON)
    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedLogRecords"] == "2"
    assert partial["errorMessage"]
    found = product.query("SELECT body FROM logs WHERE body IN (%s, %s, %s)", *[record.body.string_value for record in records])
    assert found == [{"body": "good neighbour"}]


def _json(message: Any) -> dict[str, Any]:
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(message, use_integers_for_enums=True)
