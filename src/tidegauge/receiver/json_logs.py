"""``POST /api/v1/logs``: for applications without OTLP."""

from __future__ import annotations

from http import HTTPStatus

import orjson

from tidegauge.errors import TidegaugeError, UnsupportedMediaType
from tidegauge.logforms.document import RequestContext
from tidegauge.logforms.json_logs import parse_json_logs
from tidegauge.logforms.reading import Records
from tidegauge.logforms.trace_context import parse_traceparent
from tidegauge.receiver.log_intake import Headers, Intake, Receive, Scope, Send, Stored, answer, error_headers, media_type, method_is

ENDPOINT = "/api/v1/logs"
_LINES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/json-lines"})
_PROBLEM = "application/problem+json"
_ID_LENGTH = 256
_TOLD = 100
"""Faults that an answer names."""


class JsonLogs:
    """The endpoint. Other media types than JSON's are refused: a web page could send them to a server on its visitor's machine."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def __call__(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        """One request."""
        method_is(scope, "POST")
        type_ = media_type(headers)
        if type_ not in _LINES and type_ != "application/json":
            raise UnsupportedMediaType(
                f"Content-Type {type_[:100]!r} is not supported", hint="send application/json or application/x-ndjson"
            )
        context = _context(headers)

        def parse(body: bytes, records: Records) -> None:
            parse_json_logs(body, records, context, lines=type_ in _LINES)

        stored = await self._intake.store(ENDPOINT, headers, receive, parse)
        status, content_type, body = _answer(stored, scope["path"])
        await answer(send, status, content_type, orjson.dumps(body))


def problem_of(error: TidegaugeError, scope: Scope) -> tuple[int, str, bytes, list[tuple[bytes, bytes]]]:
    """An error as a problem document (RFC 9457): status, media type, body, headers."""
    document = {"type": "about:blank", "title": error.title, "status": error.http_status, "detail": error.message}
    document |= {"hint": error.hint} if error.hint else {}
    return error.http_status, _PROBLEM, orjson.dumps(document | {"instance": scope["path"][:500]}), error_headers(error)


def _context(headers: Headers) -> RequestContext:
    given = ((b"x-correlation-id", "correlation_id"), (b"x-request-id", "request_id"))
    attributes = {key: headers[name].decode("utf-8", "replace")[:_ID_LENGTH] for name, key in given if headers.get(name)}
    return RequestContext(parse_traceparent(headers.get(b"traceparent", b"").decode("latin-1")), attributes)


def _answer(stored: Stored, path: str) -> tuple[int, str, dict[str, object]]:
    """200 where anything was stored, else 400 with the same members."""
    rejected = max(stored.outcome.rejected, len(stored.faults)) if not stored.outcome.repeated else stored.outcome.rejected
    accepted = max(stored.items - rejected, 0)
    body: dict[str, object] = {"accepted": accepted, "rejected": rejected}
    if stored.outcome.repeated:
        body["repeated"] = True
    if stored.faults:
        body["errors"] = [fault._asdict() for fault in stored.faults[:_TOLD]]
    if stored.outcome.message:
        body["message"] = stored.outcome.message
    if accepted or not rejected:
        return 200, "application/json", body
    said = stored.faults[0].message if stored.faults else stored.outcome.message
    problem = {"type": "about:blank", "title": HTTPStatus.BAD_REQUEST.phrase, "status": 400, "detail": f"nothing was stored: {said}"}
    return 400, _PROBLEM, {**problem, "instance": path, **body}
