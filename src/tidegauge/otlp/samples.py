"""Samples of rejected items as people read them: OTLP/JSON where the message can be read, wholly or as far as it was kept."""

from __future__ import annotations

from base64 import b64decode, b64encode
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1 import metrics_pb2 as metrics
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tidegauge.errors import InvalidArgument
from tidegauge.otlp.utf8 import Repair
from tidegauge.otlp.wire import field_end

JSON = "json"
OTLP_JSON = "otlp_json"
TEXT = "text"
BASE64 = "base64"
_TYPES: tuple[type[Message], ...] = (
    Span,
    LogRecord,
    metrics.Metric,
    metrics.NumberDataPoint,
    metrics.HistogramDataPoint,
    metrics.ExponentialHistogramDataPoint,
    metrics.SummaryDataPoint,
    metrics.Exemplar,
)
# Bytes that OTLP/JSON writes as hex (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).
_HEX = frozenset({"traceId", "spanId", "parentSpanId"})


@dataclass(frozen=True, slots=True)
class Shown:
    """A sample. ``format`` is ``json`` or ``otlp_json`` (then ``value`` is the document), ``text`` or ``base64``.

    ``message`` names the protobuf message, "" for none. ``is_whole`` is false where it was cut.
    """

    format: str
    message: str
    value: object
    is_whole: bool


def shown(sample: bytes, sample_type: str, limit: int) -> Shown:
    """A sample of a type (``model.batch.Rejection``); one of ``limit`` bytes was cut."""
    is_whole = len(sample) < limit
    if sample_type == JSON:
        return _json(sample, is_whole)
    type_ = {type_.DESCRIPTOR.name: type_ for type_ in _TYPES}.get(sample_type)
    found = None if type_ is None else _document(type_, sample if is_whole else _whole_fields(sample))
    if found is None:
        return Shown(BASE64, sample_type, b64encode(sample).decode(), is_whole)
    return Shown(OTLP_JSON, sample_type, found, is_whole)


def _json(sample: bytes, is_whole: bool) -> Shown:
    try:
        return Shown(JSON, "", orjson.loads(sample), True)
    except orjson.JSONDecodeError:
        return Shown(TEXT, "", sample.decode("utf-8", "replace"), is_whole)


def _document(type_: type[Message], sample: bytes) -> object:
    try:
        message = type_.FromString(sample)
    except DecodeError:
        try:
            message = Repair(type_).read(sample)[0]
        except DecodeError:
            return None
    return _hex_ids(MessageToDict(message, use_integers_for_enums=True))


def _hex_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: b64decode(held).hex() if key in _HEX and isinstance(held, str) else _hex_ids(held) for key, held in value.items()}
    return [_hex_ids(held) for held in value] if isinstance(value, list) else value


def _whole_fields(sample: bytes) -> bytes:
    """A message that was cut, without the field that the cut goes through."""
    end = 0
    # Ends in the middle of a field's head, or at bytes that are no field.
    with suppress(IndexError, InvalidArgument):
        while end < len(sample) and (place := field_end(sample, end)) <= len(sample):
            end = place
    return sample[:end]
