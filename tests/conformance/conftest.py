"""Every way in, so that a requirement is shown on each: OTLP/HTTP with protobuf, OTLP/HTTP with JSON, OTLP/gRPC; plain and gzipped."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from google.protobuf.json_format import MessageToDict, Parse
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

from tests.servers.product import Product

PROTOBUF, JSON = "application/x-protobuf", "application/json"
RESPONSES: dict[str, Any] = {
    "traces": ExportTraceServiceResponse,
    "metrics": ExportMetricsServiceResponse,
    "logs": ExportLogsServiceResponse,
}
REQUESTS: dict[str, Any] = {"traces": ExportTraceServiceRequest, "metrics": ExportMetricsServiceRequest, "logs": ExportLogsServiceRequest}
METHODS = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
_IDS = {"traceId", "spanId", "parentSpanId"}


@dataclass
class Answer:
    """What a client was told. ``code`` is the HTTP status or gRPC's name of it; ``response`` is there if it succeeded, else ``status``."""

    code: int | str
    response: Any = None
    status: Status | None = None
    headers: httpx.Headers | None = None
    body: bytes = b""

    @property
    def is_retryable(self) -> bool:
        """As the specification's tables have it."""
        if isinstance(self.code, int):
            return self.code in {429, 502, 503, 504}
        return self.code in {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"} or (
            self.code == "RESOURCE_EXHAUSTED"
            and self.status is not None
            and any("RetryInfo" in one.type_url for one in self.status.details)
        )


class Way:
    """A way in."""

    name: str

    async def send(self, signal: str, body: bytes, *, zipped: bool = False) -> Answer:
        """Send a request that is encoded already."""
        raise NotImplementedError

    def encoded(self, request: Message) -> bytes:
        """A request as this way carries it."""
        return request.SerializeToString()

    async def export(self, signal: str, request: Message, *, zipped: bool = False) -> Answer:
        """Send a request."""
        return await self.send(signal, self.encoded(request), zipped=zipped)


class Http(Way):
    """OTLP/HTTP."""

    def __init__(self, client: httpx.AsyncClient, media_type: str) -> None:
        self.client = client
        self.media_type = media_type
        self.name = "HTTP " + media_type

    def encoded(self, request: Message) -> bytes:
        """By the media type."""
        return request.SerializeToString() if self.media_type == PROTOBUF else json.dumps(otlp_json(request)).encode()

    async def send(self, signal: str, body: bytes, *, zipped: bool = False, **headers: str) -> Answer:
        """POST; more headers by their names with underscores."""
        sent = {"content-type": self.media_type, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if zipped:
            sent["content-encoding"] = "gzip"
        got = await self.client.post(f"/v1/{signal}", content=gzip.compress(body, 1) if zipped else body, headers=sent)
        return read_answer(got, RESPONSES.get(signal))


class Grpc(Way):
    """OTLP/gRPC."""

    name = "gRPC"

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel

    async def send(self, signal: str, body: bytes, *, zipped: bool = False) -> Answer:
        """Call Export."""
        compression = grpc.Compression.Gzip if zipped else grpc.Compression.NoCompression
        try:
            got = await self.channel.unary_unary(METHODS[signal])(body, compression=compression, timeout=60)
        except grpc.aio.AioRpcError as error:
            found = [value for name, value in error.trailing_metadata() or () if name == "grpc-status-details-bin"]
            return Answer(error.code().name, status=Status.FromString(found[0]) if found else None)
        return Answer("OK", RESPONSES[signal].FromString(got), body=got)


def read_answer(got: httpx.Response, response: Any) -> Answer:
    """The message of an HTTP answer, by its own Content-Type."""
    message = response() if got.status_code == 200 else Status()
    if got.headers["content-type"] == PROTOBUF:
        message.ParseFromString(got.content)
    else:
        assert got.headers["content-type"] == JSON
        Parse(got.content, message)
    ok = got.status_code == 200
    return Answer(got.status_code, message if ok else None, None if ok else message, got.headers, got.content)


def otlp_json(message: Message) -> Any:
    """OTLP's JSON: protobuf's, but for ids, which are hexadecimal, and enums, which are integers."""

    def fixed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: base64.b64decode(item).hex() if key in _IDS else fixed(item) for key, item in value.items()}
        return [fixed(item) for item in value] if isinstance(value, list) else value

    return fixed(MessageToDict(message, use_integers_for_enums=True))


@pytest_asyncio.fixture(scope="session")
async def ways(product: Product) -> AsyncIterator[dict[str, Way]]:
    """All of them, to the product that the session shares; each with connections of its own."""
    address = product.otlp_grpc_url.removeprefix("http://")
    options = [("grpc.max_send_message_length", -1)]
    async with (
        httpx.AsyncClient(base_url=product.otlp_url, timeout=60) as client,
        grpc.aio.insecure_channel(address, options=options) as channel,
    ):
        yield {"http/protobuf": Http(client, PROTOBUF), "http/json": Http(client, JSON), "grpc": Grpc(channel)}


@pytest.fixture(params=["http/protobuf", "http/json", "grpc"])
def way(request: pytest.FixtureRequest, ways: dict[str, Way]) -> Way:
    """Each of them."""
    return ways[request.param]


@pytest.fixture
def protobuf(ways: dict[str, Way]) -> Http:
    """OTLP/HTTP with protobuf."""
    found = ways["http/protobuf"]
    assert isinstance(found, Http)
    return found


@pytest.fixture
def as_json(ways: dict[str, Way]) -> Http:
    """OTLP/HTTP with JSON."""
    found = ways["http/json"]
    assert isinstance(found, Http)
    return found
