"""OTLP over HTTP (OTLP specification 1.x, "OTLP/HTTP"): POST /v1/traces, /v1/metrics and /v1/logs as a plain ASGI application.

Plain ASGI, because a framework's request handling costs as much as decoding a small request.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from tidegauge.errors import (
    InvalidArgument,
    MethodNotAllowed,
    NotFound,
    RetryableError,
    TidegaugeError,
    UnsupportedMediaType,
)
from tidegauge.ingest.ingestor import Ingestor, Received
from tidegauge.model.batch import Signal
from tidegauge.otlp import respond
from tidegauge.otlp.encoding import Encoding
from tidegauge.receiver.body import ClientGone, announced, decompressed, read

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PATHS = {"/v1/traces": Signal.TRACES, "/v1/metrics": Signal.METRICS, "/v1/logs": Signal.LOGS}
_ENCODINGS = {b"application/x-protobuf": Encoding.PROTOBUF, b"application/protobuf": Encoding.PROTOBUF, b"application/json": Encoding.JSON}
_logger = logging.getLogger(__name__)


class OtlpHttp:
    """The ASGI application of the OTLP/HTTP receiver."""

    def __init__(self, ingestor: Ingestor, max_body_bytes: int) -> None:
        self._ingestor = ingestor
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        encoding = _ENCODINGS.get(_media_type(headers))
        try:
            outcome = await self._export(scope, headers, encoding, receive)
        except ClientGone:
            return
        except TidegaugeError as error:
            if error.http_status == TidegaugeError.http_status:
                _logger.error("%s could not be stored: %s", scope["path"], error, exc_info=error.__cause__)
            await _send_error(send, error, encoding)
        except Exception:
            _logger.exception("%s failed", scope["path"])
            await _send_error(send, TidegaugeError("internal error"), encoding)
        else:
            signal, used, result = outcome
            await _send(send, 200, used, respond.encode_response(signal, used, result.rejected, result.message))

    async def _export(self, scope: Scope, headers: dict[bytes, bytes], encoding: Encoding | None, receive: Receive) -> Any:
        signal = PATHS.get(scope["path"])
        if signal is None:
            raise NotFound(f"{scope['path'][:200]} is not an OTLP endpoint", hint="POST to /v1/traces, /v1/metrics or /v1/logs")
        if scope["method"] != "POST":
            raise MethodNotAllowed(f"{scope['method']} is not allowed here", hint="OTLP is sent by POST", allowed="POST")
        length = announced(headers.get(b"content-length"))
        # Bytes count from the first one: many slow uploads hold as much memory as a few large ones.
        with self._ingestor.admission(length, signal) as share:
            body = await read(receive, length, self._max_body_bytes, share.hold)
            if encoding is None:
                given = headers.get(b"content-type", b"").decode("latin-1")[:100]
                raise UnsupportedMediaType(
                    f"Content-Type {given!r} is not supported", hint="send application/x-protobuf or application/json"
                )
            coding = headers.get(b"content-encoding", b"").decode("latin-1")
            body = await decompressed(body, coding, self._max_body_bytes, share.hold)
            if not body and encoding is Encoding.JSON:
                raise InvalidArgument("the body is empty", hint="the smallest JSON request is {}")
            received = Received(tenant_id=0, signal=signal, endpoint=scope["path"], encoding=encoding, body=body)
            return signal, encoding, await self._ingestor.ingest(received, share)


def refusal(error: TidegaugeError, scope: Mapping[str, Any]) -> tuple[str, bytes]:
    """Media type and body of an answer to a request that was not let in, in the request's encoding."""
    used = _ENCODINGS.get(_media_type(dict(scope["headers"])), Encoding.JSON)
    return used.value, respond.encode_error(error, used)


def _media_type(headers: dict[bytes, bytes]) -> bytes:
    return headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower()


async def _send_error(send: Send, error: TidegaugeError, encoding: Encoding | None) -> None:
    # A client whose Content-Type we do not know reads JSON more likely than protobuf.
    used = encoding or Encoding.JSON
    extra = []
    if isinstance(error, RetryableError):
        extra.append((b"retry-after", str(max(1, math.ceil(error.retry_after_seconds))).encode()))
    if isinstance(error, MethodNotAllowed):
        extra.append((b"allow", error.allowed.encode()))
    await _send(send, error.http_status, used, respond.encode_error(error, used), extra)


async def _send(send: Send, status: int, encoding: Encoding, body: bytes, extra: list[tuple[bytes, bytes]] | None = None) -> None:
    content_type = b"application/json" if encoding is Encoding.JSON else b"application/x-protobuf"
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode()), *(extra or [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return
