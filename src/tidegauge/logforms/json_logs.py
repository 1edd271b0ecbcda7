"""Bodies of ``POST /api/v1/logs``: a JSON object, an array of them, or one a line (https://github.com/ndjson/ndjson-spec)."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from tidegauge.errors import InvalidArgument
from tidegauge.logforms.document import RequestContext, add_document
from tidegauge.logforms.reading import Records
from tidegauge.otlp.jsontext import repaired
from tidegauge.otlp.rejections import REPLACED

# Python's objects take up to 300 bytes for an object or array of JSON; so many are let through whatever the body's size.
_CONTAINERS = 1 << 17
_CONTAINER_BYTES = 16


def parse_json_logs(body: bytes, records: Records, context: RequestContext, *, lines: bool) -> None:
    """Add every record of a body. ``lines``: it was said to be of lines; else that is tried where the whole is no JSON.

    Raises:
        InvalidArgument: it is neither, or empty.
        PayloadTooLarge: it takes far more memory than its bytes.

    """
    if not body.strip(b" \t\r\n"):
        raise InvalidArgument("the body is empty", hint="send an object, an array of objects, or one object a line")
    if not lines:
        try:
            document = loaded(body, records)
        except ValueError as error:
            if b"\n" not in body.strip(b" \t\r\n"):
                raise InvalidArgument(f"the body is not JSON: {error}") from error
        else:
            for item in document if isinstance(document, list) else (document,):
                add_document(records, item, context)
            return
    for line in split_lines(body):
        if line:
            _add_line(line, records, context)
    if records.faults and len(records.faults) == records.items and not lines:
        # Not one line is a record: what was sent was meant as a whole.
        raise InvalidArgument(f"the body is neither JSON nor lines of JSON: line 1: {records.faults[0].message}")


def _add_line(line: bytes, records: Records, context: RequestContext) -> None:
    try:
        document = loaded(line, records)
    except ValueError as error:
        records.refuse(f"not JSON: {error}", line)
    else:
        add_document(records, document, context)


def split_lines(body: bytes) -> Iterator[bytes]:
    """Lines without their ends and the blanks around, one after another and not all at once; empty ones as well."""
    start = 0
    while start < len(body):
        end = body.find(b"\n", start)
        end = len(body) if end < 0 else end
        yield body[start:end].strip(b" \t\r")
        start = end + 1


def loaded(text: bytes, records: Records) -> object:
    """What JSON says; strings in it that are no text are read with U+FFFD, and a warning says so.

    Raises:
        ValueError: it is no JSON.
        InvalidArgument: it would take far more memory than a log record does.

    """
    if len(text) > _CONTAINERS:
        most = _CONTAINERS + len(text) // _CONTAINER_BYTES
        if text.count(b"{") + text.count(b"[") > most:
            raise InvalidArgument(f"{len(text)} bytes have more than {most} objects and arrays", hint="send smaller batches")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        if not (found := repaired(text)):
            raise
    fixed, sample = found
    document = orjson.loads(fixed)
    records.rejections.add("invalid_text", REPLACED, sample, 0)
    return document
