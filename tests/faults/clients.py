"""Ways to send a request: OTLP over HTTP in protobuf (plain and gzip) and JSON, and over gRPC. One attempt each, no retries."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import grpc

from tests.faults.payload import REJECTED, RESPONSES, Request

# The time after which OpenTelemetry's SDKs give up on an answer.
TIMEOUT_SECONDS = 10.0
RETRIED_STATUS = frozenset({429, 502, 503, 504})  # OTLP specification, "Retryable Response Codes"
# OTLP specification, "Failures": RESOURCE_EXHAUSTED is retried too, but only with RetryInfo.
_RETRIED_CODES = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
_METHODS = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}


class TryAgain(Exception):
    """No answer, or one that says: later."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Refused(Exception):
    """An answer that no resend can change. Nothing these tests send deserves one."""


@dataclass(frozen=True)
class Answer:
    """An acknowledgement. ``message`` is partial success's."""

    rejected: int
    message: str


class Client(Protocol):
    """One connection's worth of sending. For one thread."""

    def send(self, request: Request) -> Answer:
        """Send once; raises TryAgain or Refused."""

    def hang_up(self, request: Request) -> None:
        """Send, and go away before the answer comes."""

    def close(self) -> None:
        """Let the connection go."""


class HttpClient:
    """OTLP/HTTP on a connection that is kept."""

    def __init__(self, url: str, *, as_json: bool, compressed: bool) -> None:
        self._address = urlsplit(url).netloc
        self._as_json = as_json
        self._compressed = compressed
        self._headers: Mapping[str, str] = {
            "Content-Type": "application/json" if as_json else "application/x-protobuf",
            **({"Content-Encoding": "gzip"} if compressed else {}),
        }
        self._connection: http.client.HTTPConnection | None = None

    def send(self, request: Request) -> Answer:
        try:
            self._post(request)
            assert self._connection is not None
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise TryAgain(type(error).__name__) from error
        if response.status in RETRIED_STATUS:
            if response.headers["Retry-After"] is None:
                raise Refused(f"{response.status} without Retry-After")
            raise TryAgain(str(response.status))
        if response.status != 200:
            raise Refused(f"{request.signal}: {response.status} {body[:300]!r}")
        return self._read(request.signal, body)

    def hang_up(self, request: Request) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            self._post(request)
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(self, request: Request) -> None:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._address, timeout=TIMEOUT_SECONDS)
        body = gzip.compress(request.body, 1) if self._compressed else request.body
        self._connection.request("POST", f"/v1/{request.signal}", body, self._headers)

    def _read(self, signal: str, body: bytes) -> Answer:
        if not self._as_json:
            return _read_protobuf(signal, body)
        partial = json.loads(body).get("partialSuccess", {})
        counts = [int(value) for name, value in partial.items() if name.startswith("rejected")]
        return Answer(sum(counts), partial.get("errorMessage", ""))


class GrpcClient:
    """OTLP/gRPC on a channel that is kept."""

    def __init__(self, address: str) -> None:
        # A server that was started again is found soon, and no channel shares another's connection.
        options = {"grpc.initial_reconnect_backoff_ms": 100, "grpc.max_reconnect_backoff_ms": 500, "grpc.use_local_subchannel_pool": 1}
        self._channel = grpc.insecure_channel(address, options=list(options.items()))
        self._calls: dict[str, Any] = {signal: self._channel.unary_unary(method) for signal, method in _METHODS.items()}

    def send(self, request: Request) -> Answer:
        try:
            body = self._calls[request.signal](request.body, timeout=TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            code = error.code()
            has_retry_info = any(key == "grpc-status-details-bin" for key, _ in error.trailing_metadata() or ())
            if code in _RETRIED_CODES or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and has_retry_info):
                raise TryAgain(code.name) from error
            raise Refused(f"{request.signal}: {code.name} {error.details()}") from error
        return _read_protobuf(request.signal, body)

    def hang_up(self, request: Request) -> None:
        self._calls[request.signal].future(request.body, timeout=TIMEOUT_SECONDS).cancel()

    def close(self) -> None:
        self._channel.close()


def _read_protobuf(signal: str, body: bytes) -> Answer:
    partial = RESPONSES[signal].FromString(body).partial_success
    return Answer(getattr(partial, REJECTED[signal]), partial.error_message)
