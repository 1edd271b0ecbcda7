"""The two encodings of OTLP over HTTP."""

from __future__ import annotations

from enum import Enum


class Encoding(Enum):
    """How a request's body is encoded, by its media type; the response uses the same."""

    PROTOBUF = "application/x-protobuf"
    JSON = "application/json"
