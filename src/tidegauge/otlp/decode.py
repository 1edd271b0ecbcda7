"""OTLP requests to column batches."""

from __future__ import annotations

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tidegauge.errors import InvalidArgument
from tidegauge.model.batch import Batch, Signal
from tidegauge.otlp.encoding import Encoding
from tidegauge.otlp.origins import Origins, ResourceCache, ScopeCache
from tidegauge.otlp.spans import decode_spans

__all__ = ["Decoder", "Encoding"]


class Decoder:
    """Decodes requests and remembers the resources, scopes and series it has seen, within a budget of memory.

    One for a process is enough; it may be used from several threads at once.
    """

    def __init__(self, cache_bytes: int = 64 * 1024 * 1024) -> None:
        self._resources = ResourceCache(cache_bytes // 4)
        self._scopes = ScopeCache(cache_bytes // 8)

    def decode(self, signal: Signal, body: bytes, encoding: Encoding) -> Batch:
        """Columns of all items of a request that can be stored, and rejections for those that cannot.

        Args:
            signal: which Export…ServiceRequest the body is.
            body: the request's body, decompressed.
            encoding: how it is encoded.

        Raises:
            InvalidArgument: the body as a whole cannot be read.

        """
        try:
            request = ExportTraceServiceRequest.FromString(body)
        except DecodeError as error:
            raise InvalidArgument(f"the body is no ExportTraceServiceRequest: {error}") from error
        return decode_spans(request, Origins(self._resources, self._scopes))
