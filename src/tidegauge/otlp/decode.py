"""OTLP requests to column batches."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tidegauge.errors import InvalidArgument
from tidegauge.model.batch import Batch, Signal
from tidegauge.otlp.encoding import Encoding
from tidegauge.otlp.json import JsonReader
from tidegauge.otlp.logs import decode_logs
from tidegauge.otlp.metrics import decode_metrics
from tidegauge.otlp.origins import Origins, ResourceCache, ScopeCache
from tidegauge.otlp.series import SeriesCache
from tidegauge.otlp.spans import decode_spans

__all__ = ["Decoder", "Encoding"]
Request = TypeVar("Request", bound=Message)


class Decoder:
    """Decodes requests and remembers the resources, scopes and series it has seen, within a budget of memory.

    One for a process is enough; it may be used from several threads at once.
    """

    def __init__(self, cache_bytes: int = 64 * 1024 * 1024) -> None:
        self._resources = ResourceCache(cache_bytes // 8)
        self._scopes = ScopeCache(cache_bytes // 8)
        self._series = SeriesCache(cache_bytes // 4 * 3)
        self._json = JsonReader()

    def decode(self, signal: Signal, body: bytes, encoding: Encoding) -> Batch:
        """Columns of all items of a request that can be stored, and rejections for those that cannot.

        Args:
            signal: which Export…ServiceRequest the body is.
            body: the request's body, decompressed.
            encoding: how it is encoded.

        Raises:
            InvalidArgument: the body as a whole cannot be read; the message says where.

        """
        origins = Origins(self._resources, self._scopes)
        if signal is Signal.TRACES:
            return decode_spans(self._request(ExportTraceServiceRequest, body, encoding), origins)
        if signal is Signal.METRICS:
            return decode_metrics(self._request(ExportMetricsServiceRequest, body, encoding), origins, self._series)
        return decode_logs(self._request(ExportLogsServiceRequest, body, encoding), origins)

    def _request(self, type_: type[Request], body: bytes, encoding: Encoding) -> Request:
        if encoding is Encoding.JSON:
            return self._json.read(type_, body)
        try:
            return type_.FromString(body)
        except DecodeError as error:
            raise InvalidArgument(f"the body of {len(body)} bytes is not a protobuf {type_.__name__}: {_cause(error)}") from error


def _cause(error: DecodeError) -> str:
    """What protobuf found wrong, without the message's name before it."""
    text = str(error)
    if "MaxDepth" in text:
        return "it is nested more than 100 levels deep"
    return text.rpartition(": ")[2]
