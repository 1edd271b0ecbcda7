"""Ids of traces and spans in text, and W3C's traceparent (https://www.w3.org/TR/trace-context/#traceparent-header)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tidegauge.otlp.limits import valid_span_id, valid_trace_id

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?\Z")
_HEX = re.compile(r"[0-9a-fA-F]+\Z")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A span that something belongs to."""

    trace_id: bytes
    span_id: bytes
    flags: int


def parse_traceparent(text: object) -> TraceContext | None:
    """The context that a traceparent names; None where it is none."""
    found = _TRACEPARENT.match(text.strip()) if isinstance(text, str) else None
    if found is None or found[1] == "ff":
        return None
    context = TraceContext(bytes.fromhex(found[2]), bytes.fromhex(found[3]), int(found[4], 16))
    return context if valid_trace_id(context.trace_id) and valid_span_id(context.span_id) else None


def trace_id(text: object) -> bytes:
    """A trace's id of 32 hexadecimal digits; empty where it is none."""
    return _id(text, 32)


def span_id(text: object) -> bytes:
    """A span's id of 16 hexadecimal digits; empty where it is none."""
    return _id(text, 16)


def _id(text: object, digits: int) -> bytes:
    if not isinstance(text, str) or len(text) != digits or not _HEX.match(text):
        return b""
    found = bytes.fromhex(text)
    return found if any(found) else b""
