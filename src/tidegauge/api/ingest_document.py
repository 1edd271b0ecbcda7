"""What the API's document says of ``POST /api/v1/logs``, which a receiver answers and not the API (``receiver/json_logs.py``)."""

from __future__ import annotations

from typing import Any

PATH = "/api/v1/logs"
_ERROR = {
    "type": "object",
    "required": ["place", "reason", "message"],
    "properties": {
        "place": {"type": "integer", "description": "of the record in the request, from 0"},
        "reason": {"type": "string", "description": "as in rejections"},
        "message": {"type": "string"},
    },
}
_STORED = {
    "type": "object",
    "required": ["accepted", "rejected"],
    "properties": {
        "accepted": {"type": "integer", "description": "records that are stored, for good"},
        "rejected": {"type": "integer"},
        "repeated": {"type": "boolean", "description": "a request with this Idempotency-Key was stored before; this is its answer"},
        "errors": {"type": "array", "items": _ERROR, "description": "the first hundred rejected records"},
        "message": {"type": "string"},
    },
}
_RECORDS = {
    "oneOf": [
        {"type": "object", "additionalProperties": True},
        {"type": "array", "items": {"type": "object", "additionalProperties": True}},
    ],
    "examples": [
        {"timestamp": "2026-01-31T12:00:00.5Z", "level": "error", "message": "payment declined", "service": "checkout", "order": 7}
    ],
}
_HEADERS = {
    "Idempotency-Key": "a request with the key of an earlier one is not stored again, whatever it holds",
    "x-correlation-id": "becomes the attribute correlation_id of records that have none",
    "x-request-id": "becomes the attribute request_id of records that have none",
    "traceparent": "trace and span of records that name none (W3C Trace Context)",
}


def operation(problems: dict[int | str, dict[str, Any]]) -> dict[str, Any]:
    """The operation, to stand beside the API's own; ``problems`` are the responses that endpoints share."""
    return {
        "operationId": "post_logs",
        "tags": ["logs"],
        "summary": "Send log records",
        "description": (
            "For applications without OTLP: an object, an array of objects, or one object a line (application/x-ndjson). `timestamp` "
            "(also `time`, `@timestamp`: RFC 3339, or a number of seconds, milliseconds, microseconds or nanoseconds), `level` "
            "(`severity`), `message` (`msg`, `body`), `service`, `logger`, `trace_id`, `span_id` and `traceparent` are understood; "
            "everything else becomes attributes. "
            "Answered when the records are stored; those that cannot be are named, and the others stored. docs/ways-in.md has it all."
        ),
        "parameters": [
            {"name": name, "in": "header", "required": False, "description": said, "schema": {"type": "string"}}
            for name, said in _HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _RECORDS}, "application/x-ndjson": {"schema": {"type": "string"}}},
        },
        "responses": {
            "200": {"description": "What is stored and what is not.", "content": {"application/json": {"schema": _STORED}}},
            **{str(status): response for status, response in problems.items()},
        },
    }
