"""What an OTLP client is answered: Export…ServiceResponse, or google.rpc.Status for an error, in the request's encoding.

https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

from __future__ import annotations

import orjson
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tidegauge.errors import InvalidArgument, RetryableError, TidegaugeError
from tidegauge.model.batch import Signal
from tidegauge.otlp.encoding import Encoding

# Of a partial success; a client may refuse answers over 4 MiB, and nobody reads more than this.
_MESSAGE_BYTES = 64 << 10
# Of an error: over gRPC it stands in headers, several times and escaped, and clients take 8 KiB of headers.
_ERROR_BYTES = 1000
ExportResponse = ExportTraceServiceResponse | ExportMetricsServiceResponse | ExportLogsServiceResponse


def export_response(signal: Signal, rejected: int, message: str) -> ExportResponse:
    """The response to a request that was stored. ``partial_success`` is set only if items were rejected or there is a message.

    With ``rejected`` 0 a message is a warning (trace_service.proto, ExportTracePartialSuccess).
    """
    response: ExportResponse
    if signal is Signal.TRACES:
        response = ExportTraceServiceResponse()
        if rejected:
            response.partial_success.rejected_spans = rejected
    elif signal is Signal.METRICS:
        response = ExportMetricsServiceResponse()
        if rejected:
            response.partial_success.rejected_data_points = rejected
    else:
        response = ExportLogsServiceResponse()
        if rejected:
            response.partial_success.rejected_log_records = rejected
    if message:
        response.partial_success.error_message = _shortened(message, _MESSAGE_BYTES)
    return response


def error_status(error: TidegaugeError) -> Status:
    """google.rpc.Status of an error; with RetryInfo if the same request may succeed later, with BadRequest if it is malformed."""
    status = Status(code=error.grpc_code, message=_shortened(str(error), _ERROR_BYTES))
    if isinstance(error, InvalidArgument):
        bad = BadRequest()
        bad.field_violations.add(field=error.parameter or "", description=status.message)
        status.details.add().Pack(bad)
    if isinstance(error, RetryableError):
        status.details.add().Pack(retry_info(error))
    return status


def retry_info(error: RetryableError) -> RetryInfo:
    """google.rpc.RetryInfo: when to come back."""
    retry = RetryInfo()
    retry.retry_delay.FromNanoseconds(round(error.retry_after_seconds * 1e9))
    return retry


def _shortened(text: str, limit: int) -> str:
    """At most ``limit`` bytes of UTF-8; what is left out is marked."""
    encoded = text.encode(errors="replace")
    return encoded.decode() if len(encoded) <= limit else encoded[: limit - 3].decode(errors="ignore") + "…"


def encode_message(message: Message, encoding: Encoding) -> bytes:
    """A response's body."""
    if encoding is Encoding.PROTOBUF:
        return message.SerializeToString()
    return orjson.dumps(MessageToDict(message))


def encode_response(signal: Signal, encoding: Encoding, rejected: int = 0, message: str = "") -> bytes:
    """Body of the response to a request that was stored."""
    return encode_message(export_response(signal, rejected, message), encoding)


def encode_error(error: TidegaugeError, encoding: Encoding) -> bytes:
    """Body of the response to a request that failed."""
    return encode_message(error_status(error), encoding)
