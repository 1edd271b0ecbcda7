"""OTLP requests to column batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tidegauge.errors import InvalidArgument
from tidegauge.model.batch import Batch, Signal
from tidegauge.otlp.attributes import AttributeCache
from tidegauge.otlp.budget import Budget
from tidegauge.otlp.encoding import Encoding
from tidegauge.otlp.items import Alone, Checked, Part
from tidegauge.otlp.json import REQUESTS, JsonReader
from tidegauge.otlp.lean import Lean
from tidegauge.otlp.logs import decode_logs
from tidegauge.otlp.metrics import decode_metrics
from tidegauge.otlp.origins import Origins, ResourceCache, ScopeCache
from tidegauge.otlp.rejections import REPLACED, Rejections
from tidegauge.otlp.series import SeriesCache
from tidegauge.otlp.spans import decode_spans
from tidegauge.otlp.utf8 import Repair
from tidegauge.otlp.wire import LOG_RECORDS, METRICS, PART_BYTES, SPANS, Levels, parts, shape_of

__all__ = ["Decoder", "Encoding"]
Request = TypeVar("Request", bound=Message)
_ITEMS: Mapping[type[Message], str] = {
    ExportTraceServiceRequest: "Span",
    ExportMetricsServiceRequest: "Metric",
    ExportLogsServiceRequest: "LogRecord",
}


class Decoder:
    """Decodes requests and remembers the resources, scopes and series it has seen, within a budget of memory.

    One for a process is enough; it may be used from several threads at once. It reads by the compiled part as far as that was built,
    unless ``compiled`` is false; the columns are the same.
    """

    def __init__(self, cache_bytes: int = 64 * 1024 * 1024, *, compiled: bool = True) -> None:
        self._compiled = compiled
        self._resources = ResourceCache(cache_bytes // 8)
        self._scopes = ScopeCache(cache_bytes // 8)
        self._attributes = AttributeCache(cache_bytes // 8)
        self._series = SeriesCache(cache_bytes // 8 * 5)
        self._lean = Lean()
        self._json = JsonReader()
        self._shapes = {type_.DESCRIPTOR.full_name: shape_of(type_.DESCRIPTOR) for type_ in REQUESTS}

    def decode(self, signal: Signal, body: bytes, encoding: Encoding, budget: Budget | None = None) -> Batch:
        """Columns of all items of a request that can be stored, and rejections for those that cannot.

        Args:
            signal: which Export…ServiceRequest the body is.
            body: the request's body, decompressed.
            encoding: how it is encoded.
            budget: of the body; counts what the batch takes.

        Raises:
            InvalidArgument: the body as a whole cannot be read; the message says where.
            PayloadTooLarge: it takes far more memory than its bytes.

        """
        budget = budget or Budget(len(body))
        origins = Origins(self._resources, self._scopes, budget)
        rejections = Rejections()
        if signal is Signal.TRACES:
            traces = self._parts(ExportTraceServiceRequest, self._lean.traces, SPANS, body, encoding, rejections)
            return decode_spans(traces, origins, rejections, budget, self._attributes)
        if signal is Signal.METRICS:
            metrics = self._parts(ExportMetricsServiceRequest, self._lean.metrics, METRICS, body, encoding, rejections)
            return decode_metrics(metrics, origins, rejections, budget, self._series)
        logs = self._parts(ExportLogsServiceRequest, self._lean.logs, LOG_RECORDS, body, encoding, rejections)
        return decode_logs(logs, origins, rejections, budget, self._attributes)

    def _parts(
        self,
        type_: type[Request],
        lean: type[Any],
        levels: Levels,
        body: bytes,
        encoding: Encoding,
        rejections: Rejections,
    ) -> Iterator[Part]:
        """The request, in parts where it is large."""
        if encoding is Encoding.JSON:
            request = self._json.read(type_, body, rejections)
            yield Part(request.SerializeToString(), lean, partial(Checked, request), scanned=self._compiled)
            return
        for part in parts(body, levels, self._shapes[type_.DESCRIPTOR.full_name]):
            check = partial(_checked, type_, lean, part, rejections, len(body))
            alone = Alone(type_, self._lean.raw, part) if len(part) <= 2 * PART_BYTES else None
            found = Part(part, lean, check, alone, scanned=self._compiled)
            del part, check, alone  # it may be as large as the body
            yield found


def _checked(type_: type[Request], lean: type[Any], part: bytes, rejections: Rejections, body_bytes: int) -> Checked:
    """The official message of a part; strings that are not UTF-8 are replaced."""
    try:
        try:
            return Checked(type_.FromString(part))
        except DecodeError as error:
            if "UTF-8" not in str(error):
                raise
        request, sent = Repair(type_).read(part)
    except DecodeError as error:
        raise InvalidArgument(f"the body of {body_bytes} bytes is not a protobuf {type_.__name__}: {_cause(error)}") from error
    rejections.service = ""
    # The first item that was changed; none was where it is its resource or scope.
    sample, sample_type = next(((item, _ITEMS[type_]) for item in sent if item is not None), (part, type_.DESCRIPTOR.name))
    rejections.add("invalid_text", REPLACED, sample, 0, sample_type)
    return Checked(request, lean.FromString(request.SerializeToString()), sent)


def _cause(error: DecodeError) -> str:
    """What protobuf found wrong, without the message's name before it."""
    text = str(error)
    if "MaxDepth" in text:
        return "it is nested more than 100 levels deep"
    return text.rpartition(": ")[2]
