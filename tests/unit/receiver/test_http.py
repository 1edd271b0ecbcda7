"""OTLP over HTTP as a client sees it, on an ingest path whose store is in memory."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

from tests.servers.memory import NOW, MemoryStore, ingestor, writing
from tidegauge.api.auth import BearerAuth
from tidegauge.errors import TidegaugeError, Unavailable
from tidegauge.ingest.writer import Writer
from tidegauge.receiver.http import OtlpHttp, refusal

LIMIT = 100_000
PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}
PATHS = ["/v1/traces", "/v1/metrics", "/v1/logs"]
RESPONSES = {
    "/v1/traces": ExportTraceServiceResponse,
    "/v1/metrics": ExportMetricsServiceResponse,
    "/v1/logs": ExportLogsServiceResponse,
}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest_asyncio.fixture
async def writer(store: MemoryStore) -> AsyncIterator[Writer]:
    async with writing(store, LIMIT) as writer:
        yield writer


@pytest.fixture
def app(writer: Writer) -> OtlpHttp:
    return OtlpHttp(ingestor(writer), LIMIT)


@pytest_asyncio.fixture
async def client(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tidegauge") as client:
        yield client


def spans(good: int, bad: int = 0) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(good + bad):
        scope.spans.add(
            trace_id=bytes(15) + b"\1",
            span_id=(number + 1).to_bytes(8) if number < good else b"short",
            start_time_unix_nano=NOW,
            end_time_unix_nano=NOW,
        )
    return request


def problem(response: httpx.Response) -> tuple[int, str]:
    """(code, message) of the google.rpc.Status in the encoding the response names."""
    if response.headers["content-type"] == "application/json":
        status = response.json()
        return status["code"], status["message"]
    parsed = Status.FromString(response.content)
    return parsed.code, parsed.message


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [PROTOBUF, JSON], ids=["protobuf", "json"])
async def test_an_empty_request_succeeds_without_partial_success(
    client: httpx.AsyncClient, store: MemoryStore, path: str, headers: dict[str, str]
) -> None:
    response = await client.post(path, content=b"" if headers is PROTOBUF else b"{}", headers=headers)
    assert response.status_code == 200
    assert response.headers["content-type"] == headers["content-type"]
    assert response.content == (b"" if headers is PROTOBUF else b"{}")
    assert not RESPONSES[path]().HasField("partial_success")
    assert store.requests == []


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzip"])
async def test_spans_are_stored_before_they_are_acknowledged(client: httpx.AsyncClient, store: MemoryStore, compress: bool) -> None:
    store.gate.clear()
    body = spans(3).SerializeToString()
    headers = PROTOBUF | ({"content-encoding": "gzip"} if compress else {})
    answer = asyncio.create_task(client.post("/v1/traces", content=gzip.compress(body) if compress else body, headers=headers))
    done, _ = await asyncio.wait([answer], timeout=0.05)
    assert not done
    store.gate.set()
    assert (await answer).status_code == 200
    assert [len(request.batch) for request in store.requests] == [3]


@pytest.mark.parametrize("headers", [PROTOBUF, JSON], ids=["protobuf", "json"])
async def test_bad_items_are_a_partial_success(client: httpx.AsyncClient, store: MemoryStore, headers: dict[str, str]) -> None:
    if headers is PROTOBUF:
        body = spans(2, bad=1).SerializeToString()
    else:
        time = str(NOW)
        span = {"traceId": "0" * 31 + "1", "spanId": "0" * 15 + "1", "startTimeUnixNano": time, "endTimeUnixNano": time}
        items = [span, {**span, "spanId": "0" * 15 + "2"}, {**span, "spanId": "0" * 16}]
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": items}]}]}).encode()
    response = await client.post("/v1/traces", content=body, headers=headers)
    assert response.status_code == 200
    assert [len(request.batch) for request in store.requests] == [2]
    if headers is PROTOBUF:
        partial = ExportTraceServiceResponse.FromString(response.content).partial_success
        assert (partial.rejected_spans, partial.error_message) == (1, "invalid_span_id")
    else:
        assert response.json() == {"partialSuccess": {"rejectedSpans": "1", "errorMessage": "invalid_span_id"}}


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (b"\x0a\xff\xff", PROTOBUF, 400, "not a protobuf"),
        (b"{", JSON, 400, "JSON"),
        (b"", JSON, 400, "body is empty"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": {"traceId": "xyz"}}]}]}', JSON, 400, "scopeSpans[0].spans"),
        (b"not gzip", PROTOBUF | {"content-encoding": "gzip"}, 400, "gzip"),
        (b"x", PROTOBUF | {"content-encoding": "br"}, 415, "Content-Encoding"),
        (b"x", {"content-type": "text/plain"}, 415, "text/plain"),
        (b"x", {}, 415, "Content-Type"),
        (bytes(LIMIT + 1), PROTOBUF, 413, "more than 100000 bytes"),
        (gzip.compress(bytes(LIMIT + 1)), PROTOBUF | {"content-encoding": "gzip"}, 413, "after decompression"),
    ],
    ids=["protobuf", "json", "no json", "json id", "gzip", "encoding", "type", "no type", "large", "bomb"],
)
@pytest.mark.parametrize("path", ["/v1/traces"])
async def test_what_cannot_be_read_is_refused_in_the_encoding_of_the_request(
    client: httpx.AsyncClient, store: MemoryStore, path: str, body: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    response = await client.post(path, content=body, headers=headers)
    assert response.status_code == status
    expected = "application/x-protobuf" if headers.get("content-type") == PROTOBUF["content-type"] else "application/json"
    assert response.headers["content-type"] == expected
    code, message = problem(response)
    assert code in {3, 8}
    assert says in message
    assert "retry-after" not in response.headers
    assert store.requests == []


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", "application/x-protobuf;v=1"])
async def test_a_content_type_may_have_parameters_and_any_case(client: httpx.AsyncClient, content_type: str) -> None:
    body = b"{}" if "json" in content_type.lower() else b""
    assert (await client.post("/v1/traces", content=body, headers={"content-type": content_type})).status_code == 200


async def test_other_methods_and_paths(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/traces")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    response = await client.post("/v1/nothing", headers=JSON)
    assert response.status_code == 404
    assert "/v1/nothing" in problem(response)[1]


async def test_while_the_store_is_away_clients_are_told_to_come_back(client: httpx.AsyncClient, store: MemoryStore) -> None:
    store.failure = Unavailable("the database is away")
    response = await client.post("/v1/traces", content=spans(1).SerializeToString(), headers=PROTOBUF)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert problem(response) == (14, "the database is away")


async def test_too_much_pending_is_429(client: httpx.AsyncClient, store: MemoryStore, writer: Writer) -> None:
    store.gate.clear()
    large = spans(1)
    large.resource_spans[0].scope_spans[0].spans[0].name = "x" * (LIMIT - 1000)
    waiting = asyncio.create_task(client.post("/v1/traces", content=large.SerializeToString(), headers=PROTOBUF))
    async with asyncio.timeout(5):
        while not writer.pending_bytes:  # noqa: ASYNC110 - the writer has no event for it
            await asyncio.sleep(0)
    response = await client.post("/v1/traces", content=spans(50).SerializeToString(), headers=PROTOBUF)
    assert (response.status_code, response.headers["retry-after"]) == (429, "1")
    assert problem(response)[0] == 14
    store.gate.set()
    assert (await waiting).status_code == 200
    assert writer.pending_bytes == 0


@pytest.mark.parametrize("failure", [TidegaugeError("broken"), ZeroDivisionError("secret detail")])
async def test_a_defect_is_500_without_its_inside(client: httpx.AsyncClient, store: MemoryStore, failure: Exception) -> None:
    store.failure = failure
    response = await client.post("/v1/traces", content=spans(1).SerializeToString(), headers=PROTOBUF)
    assert response.status_code == 500
    assert problem(response)[0] == 13
    assert b"secret" not in response.content
    assert b"Traceback" not in response.content


async def test_a_token_is_asked_for_and_refused_in_the_encoding_of_the_request(app: OtlpHttp) -> None:
    guarded = BearerAuth(app, "0123456789abcdef", refusal)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url="http://tidegauge") as client:
        for given in ({}, {"authorization": "Bearer 0123456789abcdeX"}, {"authorization": "Basic 0123456789abcdef"}):
            response = await client.post("/v1/traces", content=b"", headers=PROTOBUF | given)
            assert response.status_code == 401
            assert response.headers["content-type"] == "application/x-protobuf"
            assert problem(response)[0] == 16
        right = PROTOBUF | {"authorization": "Bearer 0123456789abcdef"}
        assert (await client.post("/v1/traces", content=b"", headers=right)).status_code == 200
