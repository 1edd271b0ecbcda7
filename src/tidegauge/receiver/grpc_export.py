"""The Export methods of OTLP over gRPC: bytes in, bytes out, so that both transports share one decoder.

A client sends one message and gets one. The methods are declared as streams of requests, which look the same on the wire: then a message
is received when we ask for it and not before. A call without the token, or one for which there is no room, costs no more than its
flow-control window.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc  # type: ignore[import-untyped]

from tidegauge.clients import ClientOf
from tidegauge.errors import InvalidArgument, Overloaded, RequestTimeout, RetryableError, TidegaugeError
from tidegauge.ingest.admission import Share
from tidegauge.ingest.ingestor import Ingestor, Received
from tidegauge.model.batch import Signal
from tidegauge.otlp import respond
from tidegauge.otlp.encoding import Encoding
from tidegauge.receiver.body import decompressed
from tidegauge.receiver.grpc_token import Token
from tidegauge.receiver.senders import note_caller

SERVICES = {
    "opentelemetry.proto.collector.trace.v1.TraceService": Signal.TRACES,
    "opentelemetry.proto.collector.metrics.v1.MetricsService": Signal.METRICS,
    "opentelemetry.proto.collector.logs.v1.LogsService": Signal.LOGS,
}
# As over HTTP: the ledger knows a request that comes once each way as one.
ENDPOINTS = {Signal.TRACES: "/v1/traces", Signal.METRICS: "/v1/metrics", Signal.LOGS: "/v1/logs"}
# How long a call waits for others' messages to arrive before it is told to come again.
_TURN_SECONDS = 2
# Two bytes that no protobuf message begins with: field 3 of a wire type that does not exist.
_GZIP_MAGIC = b"\x1f\x8b"
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_logger = logging.getLogger(__name__)


class Reading:
    """Receives messages: at most so many at a time, each of at most so many bytes.

    ``read_seconds`` is how long one may take; an SDK gives up after 10 s.
    """

    def __init__(self, max_bytes: int, max_reads: int, read_seconds: float) -> None:
        self._max_bytes = max_bytes
        self._max_reads = max_reads
        self._read_seconds = read_seconds
        self._turns = asyncio.Semaphore(max_reads)

    async def read(self, context: grpc.aio.ServicerContext, share: Share) -> bytes:
        """The call's message, decompressed; what it takes is held of ``share``.

        Raises:
            InvalidArgument: there is none, or it is not sound gzip.
            Overloaded: there is no room for it.
            PayloadTooLarge: it is too large when decompressed. (One too large on the wire is refused by gRPC itself.)
            RequestTimeout: it did not arrive in time.

        """
        message = await self._received(context, share)
        share.hold(len(message))
        if not message.startswith(_GZIP_MAGIC):
            return message
        return await decompressed(message, "gzip", self._max_bytes, share.hold)

    async def _received(self, context: grpc.aio.ServicerContext, share: Share) -> bytes:
        await self._turn()
        try:
            # Where nothing more can be held, nothing more is received.
            share.hold(1)
            async with asyncio.timeout(self._read_seconds):
                message = await context.read()
        except TimeoutError:
            raise RequestTimeout(
                f"the message did not arrive within {self._read_seconds:g} s", hint="send smaller batches, or compress them"
            ) from None
        finally:
            self._turns.release()
        if message is grpc.aio.EOF:
            # No message at all, or one that gRPC refused: then its own answer stands.
            raise InvalidArgument("the call has no message", hint="even an empty request is a message, of no bytes")
        received: bytes = message
        return received

    async def _turn(self) -> None:
        if not self._turns.locked():
            await self._turns.acquire()
            return
        try:
            async with asyncio.timeout(_TURN_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise Overloaded(f"{self._max_reads} messages are arriving already", hint="send slower") from None


class Exports:
    """The three Export methods."""

    def __init__(self, ingestor: Ingestor, reading: Reading, token: Token, client_of: ClientOf | None = None) -> None:
        """``client_of`` names callers, where what they send is limited."""
        self._client_of = client_of
        self._ingestor = ingestor
        self._reading = reading
        self._token = token

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        """What a server is given."""
        return [
            grpc.method_handlers_generic_handler(service, {"Export": grpc.stream_unary_rpc_method_handler(self._method(service, signal))})
            for service, signal in SERVICES.items()
        ]

    def _method(self, service: str, signal: Signal) -> Callable[[Any, grpc.aio.ServicerContext], Awaitable[bytes]]:
        name = f"/{service}/Export"

        async def export(_: Any, context: grpc.aio.ServicerContext) -> bytes:
            try:
                return await self._export(signal, context)
            except TidegaugeError as error:
                if error.http_status == TidegaugeError.http_status:
                    _logger.error("%s could not be stored: %s", name, error, exc_info=error.__cause__)
                # Without the way it came: its frames would keep the message until the client has taken the answer.
                failure = error.with_traceback(None)
            except Exception:
                _logger.exception("%s failed", name)
                failure = TidegaugeError("internal error")
            await refuse(context, failure)
            raise AssertionError("unreachable: refusing raises")

        return export

    async def _export(self, signal: Signal, context: grpc.aio.ServicerContext) -> bytes:
        self._token.check(context.invocation_metadata())
        if self._client_of is not None:
            note_caller(context, self._client_of)
        with self._ingestor.admission(signal=signal) as share:
            body = await self._reading.read(context, share)
            received = Received(tenant_id=0, signal=signal, endpoint=ENDPOINTS[signal], encoding=Encoding.PROTOBUF, body=body)
            outcome = await self._ingestor.ingest(received, share)
            return respond.encode_response(signal, Encoding.PROTOBUF, outcome.rejected, outcome.message)


async def refuse(context: grpc.aio.ServicerContext, error: TidegaugeError) -> None:
    """End a call with an error's code and message, and its google.rpc.Status for clients that look for RetryInfo.

    Does not return: gRPC raises what it ends the call with.
    """
    status = respond.error_status(error)
    trailers = [("grpc-status-details-bin", status.SerializeToString())]
    if isinstance(error, RetryableError):
        # The SDK for Python looks for it here alone.
        trailers.append(("google.rpc.retryinfo-bin", respond.retry_info(error).SerializeToString()))
    await context.abort(_CODES[status.code], status.message, tuple(trailers))
